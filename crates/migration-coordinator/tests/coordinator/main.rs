//! The coordinator against real servers: one module a promise.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test, and says where")]

mod atomic;
mod backfills;
mod begun;
mod cancellation;
mod connecting;
mod embedding;
mod extensions;
mod failure;
mod foreign;
mod isolation;
mod kit_steps;
mod locking;
mod order;
mod plain;
mod quiet;
mod reading;
mod refusals;
mod roles;
mod shared_schema;
mod support;
mod table_locks;
