//! The rag service against a real server, a database a test.

mod adoption;
mod data;
mod migrations;
mod neighbours;
mod other_teams;
