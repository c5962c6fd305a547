//! End to end: the real `cargo xtask migrate` against real servers, a database and an empty directory a test.
//!
//! What people and machines see is part of the interface: exit codes, stdout and stderr. How the parts below work is
//! tested beside them.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

mod adopt;
mod adopted;
mod artifacts;
mod attached;
mod backup;
mod bad_backups;
mod check;
mod citus;
mod coming_from;
mod contract;
mod deploy;
mod diff;
mod doctor;
mod down;
mod drift;
mod drill;
mod embedded;
mod encodings;
mod environment;
mod external;
mod failing;
mod fetched;
mod first_install;
mod formats;
mod from_entities;
mod generate;
mod help;
mod hints;
mod hostile_names;
mod killed;
mod left_out;
mod limits;
mod locked;
mod locks;
mod long_lists;
mod long_texts;
mod looking;
mod lost;
mod lost_history;
mod moved_away;
mod moving;
mod names;
mod new_service;
mod other_servers;
mod outside;
mod page;
mod pgbouncer;
mod pipelines;
mod previews;
mod reading;
mod readme;
mod refused;
mod rejects;
mod renamed;
mod repair;
mod reset;
mod restore;
mod roles;
mod run_time;
mod saved_plan;
mod secrets;
mod served;
mod sessions;
mod settings;
mod shared_schema;
mod sql;
mod standby;
mod status;
mod streamed;
mod tasks;
mod terminal;
mod traces;
mod twins;
mod unmovable;
mod up;
