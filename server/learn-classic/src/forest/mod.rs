//! Random forest (Breiman 2001) on binned columns: each tree sees a bootstrap of the rows, each split a few columns; a probability is the mean
//! of the class shares in the leaves that a row reaches, as in scikit-learn.
//!
//! Tree `i` draws from stream `i` of the seed and sums are exact, so a forest has the same bits on any number of threads and after any
//! number of interruptions.

mod checkpoint;
mod fit;
mod grow;
mod oob;
mod options;
mod sample;
mod split;
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
use options::ForestParams;

/// A fitted forest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forest {
    classes: usize,
    trees: Ensemble,
    importances: Vec<f64>,
}

/// What a forest's arrays are called.
const PREFIX: &str = "forest";

impl Learner for Forest {
    const KIND: &'static str = "random_forest";
    const ATTRIBUTION: Attribution = Attribution::TreePaths;
    type Options = ForestParams;

    fn defaults() -> Value {
        options::defaults()
    }

    fn read(params: &mut Params<'_>) -> Result<ForestParams, Error> {
        ForestParams::read(params)
    }

    fn curves(_: &ForestParams) -> &'static [&'static str] {
        &[]
    }

    fn wants_validation(_: &ForestParams) -> bool {
        false
    }

    fn fit(training: Training<'_>, options: &ForestParams, context: &FitContext<'_>) -> Result<Self, Error> {
        fit::fit(training, options, context)
    }

    fn predict_into(&self, row: &[f32], _: &mut Vec<f32>, probabilities: &mut [f64]) {
        match probabilities {
            [first, second] => {
                let mut sum = 0.0;
                self.trees.each_leaf(row, |leaf| sum += f64::from(self.trees.values(leaf)[0]));
                *second = sum / self.trees.len() as f64;
                *first = 1.0 - *second;
            }
            _ => {
                probabilities.fill(0.0);
                self.trees.each_leaf(row, |leaf| {
                    for (probability, share) in probabilities.iter_mut().zip(self.trees.values(leaf)) {
                        *probability += f64::from(*share);
                    }
                });
                let sum: f64 = probabilities.iter().sum();
                probabilities.iter_mut().for_each(|probability| *probability /= sum);
            }
        }
    }

    /// Writes what each column adds to the probability of `class` along the paths of `row`; returns the mean share at the roots, and that
    /// plus all contributions.
    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64) {
        contributions.fill(0.0);
        let weight = 1.0 / self.trees.len() as f64;
        // The share of the first of two classes is 1 less the share of the second.
        let (output, scale) = match (self.classes, class) {
            (2, 0) => (0, -weight),
            (2, _) => (0, weight),
            _ => (class, weight),
        };
        let mut bias = if scale < 0.0 { 1.0 } else { 0.0 };
        for root in &self.trees.roots {
            bias += self.trees.attribute(*root as usize, row, output, scale, contributions);
        }
        (bias, bias + contributions.iter().sum::<f64>())
    }

    /// By how much each column lowers the impurity: the mean over trees whose sums are 1 each, scaled to sum to 1 (zeros without a split).
    fn importances(&self) -> Vec<f64> {
        self.importances.clone()
    }

    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error> {
        let combine = onnx::Combine::Mean { outputs: self.trees.outputs() };
        onnx::trees(width, &self.trees.onnx_nodes(), combine, options).map(Some)
    }

    fn size(&self) -> ModelSize {
        self.trees.size()
    }

    fn save(&self, arrays: &mut Arrays) {
        file::save(&self.trees, PREFIX, arrays);
        arrays.insert("forest.importances", Array::F64(self.importances.clone()));
    }

    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error> {
        let outputs = if classes == 2 { 1 } else { classes.max(1) };
        let trees = file::load(arrays, PREFIX, width, outputs)?;
        if trees.is_empty() {
            return Err(broken("forest.roots", "names no tree"));
        }
        check_shares(&trees, classes)?;
        let importances = read_importances(arrays, "forest.importances", width)?;
        Ok(Self { classes, trees, importances })
    }
}

/// Shares are from 0 to 1 and add up to 1.
fn check_shares(trees: &Ensemble, classes: usize) -> Result<(), Error> {
    let fits = |shares: &[f32]| {
        let sum: f32 = shares.iter().sum();
        shares.iter().all(|share| (0.0..=1.0).contains(share)) && (classes == 2 || (sum - 1.0).abs() < 1e-3)
    };
    match trees.values.chunks(trees.outputs()).all(fits) {
        true => Ok(()),
        false => Err(broken("forest.values", "holds shares that do not add up to 1")),
    }
}
