//! Each online step from scratch, again, and after a crash at each of its inner points.

mod column;
mod constraint;
mod events;
mod helpers;
mod index;
mod lists;
mod stall;
mod table_lock;
mod trigger;
mod waits;
