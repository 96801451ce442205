#![doc = include_str!("../README.md")]

mod blob;
pub mod dataset;
mod db;
pub mod deployment;
mod error;
pub mod experiment;
mod lite;
mod migrate;
pub mod model;
pub mod request;
mod row;
pub mod run;
pub mod split;
mod spool;
pub mod study;
pub mod testing;
mod tx;
pub mod upload;

pub use blob::{Blobs, ByteStream};
pub use db::{Db, Options};
pub use error::Error;
pub use migrate::known_version;
pub use spool::Spool;
pub use tx::{Dialect, Held, Statement, Tx};

/// Every constant statement of this crate; a test prepares each on its databases.
pub fn statements() -> impl Iterator<Item = Statement> {
    [
        tx::STATEMENTS,
        dataset::STATEMENTS,
        upload::STATEMENTS,
        split::STATEMENTS,
        experiment::STATEMENTS,
        deployment::STATEMENTS,
        request::STATEMENTS,
    ]
    .into_iter()
    .chain(model::statements())
    .chain(run::statements())
    .chain(study::statements())
    .flatten()
    .copied()
}
