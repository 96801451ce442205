//! Multi-layer perceptron: dense layers with an activation between them, a softmax at the end, trained by Adam.
//!
//! A learner over a dense matrix whose columns are already on one scale; which text became which row is not its concern.
//! The products are faer's, the rest are plain loops: docs/adr/0004-mlp-training.md says why not candle. Same data, parameters and
//! seed give the same bits whatever the number of threads.

mod adam;
mod attribute;
mod checks;
mod file;
mod forward;
mod gradient;
mod options;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod train;

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::Arrays;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, ModelSize, onnx};

use crate::dense::{Learner, Training};
pub(crate) use forward::Mlp;
use options::{Activation, MlpParams};

impl Learner for Mlp {
    const KIND: &'static str = "mlp";
    const ATTRIBUTION: Attribution = Attribution::IntegratedGradients;
    type Options = MlpParams;

    fn defaults() -> Value {
        options::defaults()
    }

    fn read(params: &mut Params<'_>) -> Result<MlpParams, Error> {
        MlpParams::read(params)
    }

    fn curves(options: &MlpParams) -> &'static [&'static str] {
        if options.early_stopping { &["train/loss", "val/loss"] } else { &["train/loss"] }
    }

    fn wants_validation(options: &MlpParams) -> bool {
        options.early_stopping
    }

    fn fit(training: Training<'_>, options: &MlpParams, context: &FitContext<'_>) -> Result<Self, Error> {
        train::fit(training, options, context)
    }

    fn predict_into(&self, row: &[f32], scratch: &mut Vec<f32>, probabilities: &mut [f64]) {
        self.answer(row, scratch, probabilities);
    }

    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64) {
        attribute::attribute(self, row, class, contributions)
    }

    fn importances(&self) -> Vec<f64> {
        self.importances.clone()
    }

    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error> {
        if self.activation != Activation::Relu {
            return Ok(None);
        }
        let layers: Vec<onnx::Layer<'_>> =
            self.layers.iter().map(|layer| onnx::Layer { weights: &layer.weights, biases: &layer.biases }).collect();
        onnx::dense_layers(width, &layers, options).map(Some)
    }

    fn size(&self) -> ModelSize {
        let all = || self.layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.biases));
        ModelSize { parameters: all().count() as u64, nonzero: all().filter(|&&number| number != 0.0).count() as u64 }
    }

    fn save(&self, arrays: &mut Arrays) {
        file::save(self, arrays);
    }

    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error> {
        file::load(arrays, width, classes)
    }
}
