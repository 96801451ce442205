//! What the kinds over dense rows have in common: components of the text and numbers in, probabilities out.

mod learners;
mod model;
mod trainer;

use serde_json::{Map, Value};
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::Arrays;
use tenor_features::dense::DenseMatrix;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, ModelSize, onnx};

pub(crate) use trainer::DenseTrainer;

/// Rows, labels and weights to learn from.
#[derive(Clone, Copy)]
pub(crate) struct Training<'a> {
    pub matrix: &'a DenseMatrix,
    pub labels: &'a [u32],
    pub classes: usize,
    /// One a row.
    pub weights: &'a [f32],
    /// Rows to stop early by.
    pub validation: Option<(&'a DenseMatrix, &'a [u32])>,
}

/// A kind of model over dense rows.
pub(crate) trait Learner: Send + Sync + Sized + 'static {
    /// The name of the kind.
    const KIND: &'static str;
    const ATTRIBUTION: Attribution;
    /// Its own parameters, without those of the features.
    type Options: Send + Sync;

    fn defaults() -> Value;
    fn read(params: &mut Params<'_>) -> Result<Self::Options, Error>;
    /// Whether [`fit`](Self::fit) looks at the validation rows.
    fn wants_validation(options: &Self::Options) -> bool;
    fn fit(training: Training<'_>, options: &Self::Options, context: &FitContext<'_>) -> Result<Self, Error>;
    /// Writes the probability of each class.
    fn predict_into(&self, row: &[f32], scratch: &mut Vec<f32>, probabilities: &mut [f64]);
    /// Writes what each column adds to the score of `class`; returns the bias and the score: `score = bias + sum`.
    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64);
    /// How much each column matters, adding up to 1; empty when the kind cannot tell.
    fn importances(&self) -> Vec<f64>;
    /// The learner, from rows of `width` columns on; `None` when it has no such form.
    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error>;
    fn size(&self) -> ModelSize;
    fn save(&self, arrays: &mut Arrays);
    /// Reads what [`save`](Self::save) stored, for rows of `width` columns; never trusts it.
    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error>;
}

/// The parameters of the kind, of the weights and of the features, with their defaults.
fn defaults<L: Learner>() -> Value {
    let mut defaults: Map<String, Value> = crate::features::object(L::defaults());
    defaults.extend(crate::weights::RowWeights::defaults());
    defaults.extend(crate::features::dense_defaults());
    Value::Object(defaults)
}
