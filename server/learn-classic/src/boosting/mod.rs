//! Gradient boosting on histograms: one tree an iteration for two classes, else one a class, each a Newton step on the log-loss; leaf by
//! leaf, as scikit-learn's `HistGradientBoostingClassifier`.
//!
//! Sums are exact and everything random comes from streams of the seed, so a model has the same bits on any number of threads and after
//! any number of interruptions.

mod checkpoint;
mod fit;
mod grow;
mod histogram;
mod loss;
mod options;
mod split;
mod stopping;
#[cfg(test)]
mod tests;

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::{Array, Arrays, broken};
use tenor_learn::params::Params;
use tenor_learn::{FitContext, ModelSize, onnx};

use crate::dense::importance::read_importances;
use crate::dense::{Learner, Training};
use crate::trees::ensemble::Ensemble;
use crate::trees::file;
use options::BoostingParams;

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Boosting {
    classes: usize,
    /// One a score.
    baseline: Vec<f64>,
    /// Tree `i` adds to score `i % baseline.len()`.
    trees: Ensemble,
    importances: Vec<f64>,
}

/// What the arrays are called.
const PREFIX: &str = "boosting";

impl Learner for Boosting {
    const KIND: &'static str = "hist_gb";
    const ATTRIBUTION: Attribution = Attribution::TreePaths;
    type Options = BoostingParams;

    fn defaults() -> Value {
        options::defaults()
    }

    fn read(params: &mut Params<'_>) -> Result<BoostingParams, Error> {
        BoostingParams::read(params)
    }

    fn curves(_: &BoostingParams) -> &'static [&'static str] {
        &["train/loss", "val/loss"]
    }

    fn wants_validation(_: &BoostingParams) -> bool {
        true
    }

    fn fit(training: Training<'_>, options: &BoostingParams, context: &FitContext<'_>) -> Result<Self, Error> {
        fit::fit(training, options, context)
    }

    fn predict_into(&self, row: &[f32], _: &mut Vec<f32>, probabilities: &mut [f64]) {
        let scores = self.baseline.len();
        probabilities[..scores].copy_from_slice(&self.baseline);
        let mut output = 0;
        self.trees.each_leaf(row, |leaf| {
            probabilities[output] += f64::from(self.trees.values[leaf]);
            output = if output + 1 == scores { 0 } else { output + 1 };
        });
        loss::to_probabilities(probabilities);
    }

    /// Writes what each column adds to the score of `class` along the paths of `row`; returns the score without them and with them. For two
    /// classes the score is the log-odds of `class`.
    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64) {
        contributions.fill(0.0);
        let (output, scale) = match (self.classes, class) {
            (2, 0) => (0, -1.0),
            (2, _) => (0, 1.0),
            _ => (class, 1.0),
        };
        let mut bias = scale * self.baseline[output];
        for root in self.trees.roots.iter().skip(output).step_by(self.baseline.len()) {
            bias += self.trees.attribute(*root as usize, row, 0, scale, contributions);
        }
        (bias, bias + contributions.iter().sum::<f64>())
    }

    /// Share of each column in the gain of all splits; zeros without a split.
    fn importances(&self) -> Vec<f64> {
        self.importances.clone()
    }

    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error> {
        onnx::trees(width, &self.trees.onnx_nodes(), onnx::Combine::Sum { base: &self.baseline }, options).map(Some)
    }

    fn size(&self) -> ModelSize {
        let mut size = self.trees.size();
        size.parameters += self.baseline.len() as u64;
        size.nonzero += self.baseline.iter().filter(|score| **score != 0.0).count() as u64;
        size
    }

    fn save(&self, arrays: &mut Arrays) {
        file::save(&self.trees, PREFIX, arrays);
        arrays.insert("boosting.baseline", Array::F64(self.baseline.clone()));
        arrays.insert("boosting.importances", Array::F64(self.importances.clone()));
    }

    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error> {
        let baseline = arrays.f64s("boosting.baseline")?.to_vec();
        let outputs = if classes == 2 { 1 } else { classes.max(1) };
        if baseline.len() != outputs || !baseline.iter().all(|score| score.abs() <= 1e6) {
            return Err(broken("boosting.baseline", "must hold one finite score for each class"));
        }
        let trees = file::load(arrays, PREFIX, width, 1)?;
        if !trees.len().is_multiple_of(outputs) {
            return Err(broken("boosting.roots", "must name as many trees for each class"));
        }
        let importances = read_importances(arrays, "boosting.importances", width)?;
        Ok(Self { classes, baseline, trees, importances })
    }
}
