//! What a prediction is asked and answers; `serving` implements it, `api` calls it. No I/O, no protobuf.

use std::sync::Arc;

use crate::{ContractMode, Error};

/// One input.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance<'a> {
    /// The raw text.
    pub text: &'a str,
    /// Numeric features by name.
    pub numeric: Vec<(&'a str, f64)>,
}

/// How to answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PredictOptions {
    /// Contributions to return, largest first; 0 for none.
    pub explain_top_k: usize,
    /// `None` means the deployment's mode.
    pub contract_mode: Option<ContractMode>,
}

/// The answer to one call: the rows in the order of the instances.
#[derive(Debug, Clone)]
pub struct Answer {
    pub model: Arc<str>,
    pub version: i64,
    pub classes: Arc<[String]>,
    pub rows: Vec<Result<Row, Error>>,
}

/// The answer to one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub prediction_id: String,
    /// Index of the most probable class; the first of equals.
    pub label: usize,
    /// In the order of `classes`.
    pub probabilities: Vec<f64>,
    pub warnings: Vec<Warning>,
    pub explanation: Option<Explanation>,
}

/// A contract violation that did not refuse the instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    pub field: String,
    pub rule: &'static str,
    pub description: String,
}

/// `logit = bias + sum of all contributions` of class `label`; `contributions` holds the largest ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub label: usize,
    pub bias: f64,
    pub logit: f64,
    pub contributions: Vec<(String, f64)>,
}

/// What a server has loaded for a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// `None` while nothing could be loaded.
    pub version: Option<i64>,
    /// The version that could not be loaded, if the last load failed.
    pub failure: Option<LoadFailure>,
}

/// Why a version is not served.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadFailure {
    pub version: i64,
    pub why: String,
}

/// Bounds of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub max_text_chars: usize,
    pub max_batch: usize,
}

/// Answers predictions from memory: synchronous, CPU only, microseconds a row. The outer error is about the call
/// (unknown deployment, too many instances), the inner ones about single instances.
pub trait Predictor: Send + Sync {
    fn predict(&self, deployment: &str, instances: &[Instance<'_>], options: &PredictOptions) -> Result<Answer, Error>;
    fn loaded(&self, deployment: &str) -> Option<Loaded>;
    fn limits(&self) -> Limits;
}
