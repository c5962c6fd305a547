//! Backfills, rejects, moved rows and space.

mod backfill;
mod moves;
mod plain;
mod rejects;
mod resume;
mod space;
