-- Generated from the migrations. Commit it with them; do not edit it by hand.
-- The schema of `tickets` after all its migrations, contract steps included.
-- As pg_dump writes it for PostgreSQL 15.

CREATE SCHEMA tickets;
CREATE TYPE tickets.status AS ENUM (
    'open',
    'done'
);
CREATE FUNCTION tickets.open_tickets() RETURNS bigint
    LANGUAGE sql
    AS $$ SELECT count(*) FROM ticket $$;
CREATE TABLE tickets.ticket (
    id integer NOT NULL,
    title text NOT NULL,
    status tickets.status DEFAULT 'open'::tickets.status NOT NULL
);
CREATE MATERIALIZED VIEW tickets.overview AS
 SELECT ticket.status,
    count(*) AS count
   FROM tickets.ticket
  GROUP BY ticket.status
  WITH NO DATA;
CREATE SEQUENCE tickets.ticket_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE tickets.ticket_id_seq OWNED BY tickets.ticket.id;
ALTER TABLE ONLY tickets.ticket ALTER COLUMN id SET DEFAULT nextval('tickets.ticket_id_seq'::regclass);
ALTER TABLE ONLY tickets.ticket
    ADD CONSTRAINT ticket_pkey PRIMARY KEY (id);
CREATE INDEX ticket_title ON tickets.ticket USING gin (title public.gin_trgm_ops);
