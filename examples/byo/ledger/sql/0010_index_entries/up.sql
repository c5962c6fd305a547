-- A killed build leaves an invalid index behind.
DROP INDEX CONCURRENTLY IF EXISTS entry_amount;
CREATE INDEX CONCURRENTLY entry_amount ON entry (amount);
