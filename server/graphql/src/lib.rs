#![doc = include_str!("../README.md")]

mod batch;
mod connection;
mod dataset;
mod deployment;
mod document;
mod engine;
mod error;
mod experiment;
mod global_id;
mod http;
mod job;
mod limits;
mod loader;
mod metrics;
mod model;
mod node;
mod run;
mod scalar;
mod schema;
mod scope;
mod socket;
mod split;
mod study;

pub use http::{Options, router};
pub use limits::Limits;
pub use metrics::Metrics;
pub use schema::sdl;
