-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY a ON b (c);
-- migrate:down
DROP INDEX a;
