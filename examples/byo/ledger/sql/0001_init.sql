-- migrate:up
CREATE TYPE kind AS ENUM ('debit', 'credit; reversed');
CREATE TABLE entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind kind NOT NULL,
    amount numeric NOT NULL,
    note text NOT NULL DEFAULT ';'
);
CREATE FUNCTION total() RETURNS numeric LANGUAGE plpgsql AS $body$
BEGIN
    -- What is booked; nothing else.
    RETURN (SELECT coalesce(sum(amount), 0) FROM entry);
END;
$body$;

-- migrate:down
DROP FUNCTION total();
DROP TABLE entry;
DROP TYPE kind
