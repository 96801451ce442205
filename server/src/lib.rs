#![doc = include_str!("../README.md")]

pub mod commands;
pub mod config;
mod models;
mod options;
mod rows;
mod scratch;
mod service;

pub use config::Config;
pub use models::registry;
pub use options::{Command, Options, Role};
pub use service::{Running, connect, start};
