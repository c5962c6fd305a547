//! Small services, a database for each test, and what a run told.

mod bench;
mod events;
mod service;

pub(crate) use bench::{Bench, Session, deployment_at, done, everything, options};
pub(crate) use events::Events;
pub(crate) use service::{Step, service, step};
