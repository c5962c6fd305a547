//! The kit against a real server: one binary, so that all tests share one cluster; a database a test.

mod data;
mod support;
