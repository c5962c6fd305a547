//! What planning promises, one question a test; `notation` explains how catalogs and histories are written here.

mod applying;
mod catalogs;
mod describing;
mod generated;
mod holding;
mod notation;
mod properties;
mod refusing;
mod reverting;
mod targets;
mod texts;
