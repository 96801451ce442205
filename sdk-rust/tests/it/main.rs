//! The SDK against a server that breaks on purpose.

mod blocking;
mod broken_streams;
mod errors;
mod fake;
