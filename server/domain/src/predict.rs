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
    /// Answers that are less probable abstain; 0 to 1.
    pub min_confidence: f64,
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
    /// Less sure than was asked for.
    pub abstained: bool,
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

/// What to explain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExplainOptions {
    /// The class to explain; `None` means the most probable one.
    pub class: Option<String>,
    /// Contributions to return, largest first.
    pub top_k: usize,
    /// `None` means the deployment's mode.
    pub contract_mode: Option<ContractMode>,
}

/// An answer taken apart in two ways: by the features of the model, and by the words of the text.
#[derive(Debug, Clone)]
pub struct Explained {
    pub model: Arc<str>,
    pub version: i64,
    pub classes: Arc<[String]>,
    /// The answer, as a prediction gives it; its `explanation` is `None`.
    pub row: Row,
    /// Index of the explained class.
    pub class: usize,
    pub attribution: Attribution,
    /// `score = bias + sum of contributions + rest`.
    pub bias: f64,
    pub score: f64,
    /// Largest magnitude first.
    pub contributions: Vec<Contribution>,
    pub rest: f64,
    /// In the order of the text.
    pub tokens: Vec<TokenShare>,
}

/// What one feature adds to a score.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Contribution {
    pub feature: String,
    pub kind: FeatureKind,
    pub value: f64,
}

impl Contribution {
    /// How the feature reads in a list: `great`, `"gre"` for characters, or `[text_len]` for a numeric one.
    pub fn label(&self) -> String {
        match self.kind {
            FeatureKind::Term | FeatureKind::Hash => self.feature.clone(),
            FeatureKind::Characters => format!("\"{}\"", self.feature),
            FeatureKind::Numeric | FeatureKind::Component => format!("[{}]", self.feature),
        }
    }
}

/// A piece of the raw text, in bytes, and how much the log-odds of a class fall when it is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenShare {
    pub start: usize,
    pub end: usize,
    pub value: f64,
}

/// What a feature of a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A word or several in a row.
    Term,
    /// A numeric feature of the contract.
    Numeric,
    /// Characters within a word.
    Characters,
    /// All terms of one hash.
    Hash,
    /// A component of the truncated SVD.
    Component,
}

/// How a model takes its score apart. Each way gives contributions that add up to the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution {
    /// Weight times value: exact, for the score is this sum.
    Linear,
    /// Along the path through each tree, the change of the value at each split goes to the feature of the split.
    TreePaths,
    /// Gradients integrated on the way from the mean row to this one.
    IntegratedGradients,
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
    /// Explains one answer. This takes up to some hundreds of predictions, so it belongs on a thread that may block; it ends
    /// with an error of kind `Cancelled` soon after `stop` says so.
    fn explain(
        &self,
        deployment: &str,
        instance: &Instance<'_>,
        options: &ExplainOptions,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Explained, Error>;
    fn loaded(&self, deployment: &str) -> Option<Loaded>;
    fn limits(&self) -> Limits;
}
