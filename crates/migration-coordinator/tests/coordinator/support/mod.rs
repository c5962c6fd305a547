//! Small services, a database for each test, what a run told, and a proxy.

mod bench;
mod events;
mod proxy;
mod service;

pub(crate) use bench::{Bench, Session, deployment_at, done, everything, options, revert};
pub(crate) use events::Events;
pub(crate) use proxy::{Behaviour, Proxy};
pub(crate) use service::{Step, service, step};
