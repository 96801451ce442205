//! The `tenor` command without a server.

mod commands;
mod json;
mod usage;
