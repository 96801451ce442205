#![doc = include_str!("../README.md")]

pub mod abstention;
pub mod artifacts;
pub mod baseline;
pub mod calibration;
mod context;
mod examples;
pub mod file;
pub mod metrics;
mod model;
pub mod params;
pub mod plot;
mod registry;
pub mod report;
pub mod statistics;
#[cfg(test)]
mod testing;
pub mod threshold;

pub use context::{Checkpoints, FitContext};
pub use examples::{Examples, TrainingData};
pub use file::{Lineage, ModelFile};
pub use metrics::{EvaluateOptions, Evaluation, evaluate};
pub use model::{Contribution, Explanation, Model, ModelSize, Scratch, Trainer, label_of, predict_all};
pub use registry::Registry;
