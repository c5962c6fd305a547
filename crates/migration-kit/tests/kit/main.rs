//! The kit against a real server: each step from scratch, again, and after a crash at each of its inner points.

mod column;
mod constraint;
mod index;
mod support;
mod table_lock;
mod trigger;
