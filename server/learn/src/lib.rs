#![doc = include_str!("../README.md")]

pub mod artifacts;
pub mod baseline;
pub mod card;
mod context;
mod examples;
pub mod explain_html;
pub mod file;
mod html;
pub mod metrics;
mod model;
pub mod onnx;
pub mod params;
pub mod plot;
mod registry;
pub mod report;
#[cfg(test)]
mod testing;

pub use context::{Checkpoints, FitContext};
pub use examples::{Examples, TrainingData};
pub use file::{Lineage, ModelFile};
pub use metrics::{EvaluateOptions, Evaluation, evaluate};
pub use model::{Contribution, Explanation, Model, ModelSize, Scratch, Trainer, label_of, predict_all};
pub use registry::Registry;
