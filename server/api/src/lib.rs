#![doc = include_str!("../README.md")]

mod decode;
mod encode;
mod health;
pub mod hosts;
pub mod http;
mod layers;
mod limits;
mod linger;
pub mod listener;
mod metrics;
mod services;
mod status;

pub use hosts::HostPolicy;
pub use http::{Operations, Readiness};
pub use limits::Limits;
pub use listener::{ListenOptions, serve};
pub use metrics::Metrics;
pub use services::{RowReader, Services, router};
pub use status::{DOMAIN, status};
