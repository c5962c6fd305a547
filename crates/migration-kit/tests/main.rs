//! The kit against a real server: one binary, so that all tests share one cluster; a database a test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod data;
mod online;
mod support;
mod texts;
