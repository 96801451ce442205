//! One conformance suite, run on SQLite and on PostgreSQL.

mod blob;
mod request;
mod schema;
