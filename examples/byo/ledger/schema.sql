-- Generated from the migrations. Commit it with them; do not edit it by hand.
-- The schema of `ledger` after all its migrations, contract steps included.
-- As pg_dump writes it for PostgreSQL 15.

CREATE SCHEMA ledger;
CREATE TYPE ledger.kind AS ENUM (
    'debit',
    'credit; reversed'
);
CREATE FUNCTION ledger.total() RETURNS numeric
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- What is booked; nothing else.
    RETURN (SELECT coalesce(sum(amount), 0) FROM entry);
END;
$$;
CREATE TABLE ledger.entry (
    id bigint NOT NULL,
    kind ledger.kind NOT NULL,
    amount numeric NOT NULL,
    note text DEFAULT ';'::text NOT NULL
);
CREATE MATERIALIZED VIEW ledger.booked AS
 SELECT entry.kind,
    sum(entry.amount) AS amount
   FROM ledger.entry
  GROUP BY entry.kind
  WITH NO DATA;
ALTER TABLE ledger.entry ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ledger.entry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY ledger.entry
    ADD CONSTRAINT entry_pkey PRIMARY KEY (id);
CREATE INDEX entry_amount ON ledger.entry USING btree (amount);
