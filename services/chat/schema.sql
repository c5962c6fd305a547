-- Generated from the migrations. Commit it with them; do not edit it by hand.
-- The schema of `chat` after all its migrations, contract steps included.
-- As pg_dump writes it for PostgreSQL 15.

CREATE SCHEMA chat;
CREATE TABLE chat.messages (
    id integer NOT NULL,
    user_id bigint NOT NULL,
    chat_id bigint NOT NULL,
    role character varying(20) NOT NULL,
    content text NOT NULL,
    message_length integer NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    deleted_at timestamp without time zone,
    source character varying(20) DEFAULT 'telegram'::character varying NOT NULL,
    CONSTRAINT messages_message_length_check CHECK ((message_length >= 0)),
    CONSTRAINT messages_role_check CHECK (((role)::text = ANY ((ARRAY['user'::character varying, 'assistant'::character varying])::text[])))
);
CREATE SEQUENCE chat.messages_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE chat.messages_id_seq OWNED BY chat.messages.id;
ALTER TABLE ONLY chat.messages ALTER COLUMN id SET DEFAULT nextval('chat.messages_id_seq'::regclass);
ALTER TABLE ONLY chat.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);
CREATE INDEX idx_deleted_at ON chat.messages USING btree (deleted_at) WHERE (deleted_at IS NULL);
CREATE INDEX idx_messages_history ON chat.messages USING btree (user_id, chat_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);
CREATE INDEX idx_messages_source ON chat.messages USING btree (source);
CREATE INDEX idx_user_chat_deleted ON chat.messages USING btree (user_id, chat_id, deleted_at);
CREATE STATISTICS chat.stats_messages_dialogue (dependencies) ON user_id, chat_id FROM chat.messages;
