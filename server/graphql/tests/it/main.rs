//! The GraphQL API on SQLite and on PostgreSQL.

mod batch;
mod connection;
mod error;
mod hostile;
mod limits;
mod log;
mod node;
mod schema;
mod socket;
mod study;
mod subscription;
mod support;
mod transport;
