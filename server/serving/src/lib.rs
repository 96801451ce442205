#![doc = include_str!("../README.md")]

mod cache;
mod load;
mod loader;
mod metrics;
mod predictor;

pub use cache::Cache;
pub use loader::{Loader, LoaderOptions};
pub use metrics::Metrics;
pub use predictor::ModelPredictor;
