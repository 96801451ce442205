#![doc = include_str!("../README.md")]

pub mod abstention;
pub mod artifacts;
pub mod baseline;
pub mod calibration;
pub mod card;
pub mod compare;
mod context;
pub mod cross_validation;
mod examples;
pub mod explain_html;
pub mod file;
pub mod folds;
mod html;
pub mod judgement;
pub mod leakage;
pub mod link;
pub mod metrics;
mod model;
pub mod noise;
pub mod occlusion;
pub mod onnx;
pub mod params;
pub mod plot;
pub mod predictions;
mod registry;
pub mod report;
pub mod serve;
pub mod slices;
pub mod state;
mod statistics;
pub mod study_page;
#[cfg(test)]
mod testing;
pub mod threshold;

pub use context::{BUILD, Blocks, Checkpoints, FeatureBlocks, FitContext};
pub use examples::{Examples, TrainingData};
pub use file::{Lineage, ModelFile};
pub use metrics::{EvaluateOptions, Evaluation, evaluate};
pub use model::{Explanation, Model, ModelSize, Scratch, Trainer, label_of, predict_all};
pub use registry::Registry;
pub use tenor_domain::predict::Contribution;
