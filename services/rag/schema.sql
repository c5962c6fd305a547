-- Generated from the migrations. Commit it with them; do not edit it by hand.
-- The schema of `rag` after all its migrations, contract steps included.
-- As pg_dump writes it for PostgreSQL 15.

CREATE SCHEMA rag;
CREATE FUNCTION rag.user_knowledge_set_updated_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN NEW.updated_at := CURRENT_TIMESTAMP; RETURN NEW; END$$;
CREATE TABLE rag.user_knowledge (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id character varying(50) NOT NULL,
    name character varying(100) NOT NULL,
    personality text,
    background text,
    expertise jsonb,
    communication_style text,
    preferences jsonb,
    file_path character varying(255),
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP
);
ALTER TABLE ONLY rag.user_knowledge
    ADD CONSTRAINT user_knowledge_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rag.user_knowledge
    ADD CONSTRAINT user_knowledge_user_id_key UNIQUE (user_id);
CREATE TRIGGER update_user_knowledge_updated_at BEFORE UPDATE ON rag.user_knowledge FOR EACH ROW EXECUTE FUNCTION rag.user_knowledge_set_updated_at();
