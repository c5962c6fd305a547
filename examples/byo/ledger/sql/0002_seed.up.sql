BEGIN;
INSERT INTO entry (kind, amount, note) VALUES ('debit', 1, 'a;b'), ('credit; reversed', 2, 'it''s');
CREATE MATERIALIZED VIEW booked AS SELECT kind, sum(amount) AS amount FROM entry GROUP BY kind;
COMMIT;
