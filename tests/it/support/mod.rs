//! Servers to test: in process on both databases, or as processes of their own.

mod files;
mod http;
mod process;
mod server;

pub use files::*;
pub use http::*;
pub use process::*;
pub use server::*;
