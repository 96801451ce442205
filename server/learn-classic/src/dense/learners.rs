//! The learners of this crate as kinds of models.

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::Arrays;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, ModelSize, onnx};

use super::{Learner, Training};
use crate::boosting::{self, Boosting, BoostingParams};
use crate::forest::{self, Forest, ForestParams};
use crate::mlp::{self, Activation, Mlp, MlpParams};
use crate::trees::ensemble::{Ensemble, NodeView};

impl Learner for Forest {
    const KIND: &'static str = "random_forest";
    const ATTRIBUTION: Attribution = Attribution::TreePaths;
    type Options = ForestParams;

    fn defaults() -> Value {
        forest::defaults()
    }
    fn read(params: &mut Params<'_>) -> Result<ForestParams, Error> {
        ForestParams::read(params)
    }
    fn wants_validation(_: &ForestParams) -> bool {
        false
    }
    fn fit(training: Training<'_>, options: &ForestParams, context: &FitContext<'_>) -> Result<Self, Error> {
        let Training { matrix, labels, classes, weights, validation } = training;
        Forest::fit(matrix, labels, classes, weights, validation, options, context)
    }
    fn predict_into(&self, row: &[f32], _: &mut Vec<f32>, probabilities: &mut [f64]) {
        self.predict_into(row, probabilities);
    }
    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64) {
        self.attribute(row, class, contributions)
    }
    fn importances(&self) -> Vec<f64> {
        self.importances()
    }
    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error> {
        let outputs = if options.classes.len() == 2 { 1 } else { options.classes.len() };
        onnx::trees(width, &nodes(self.trees()), onnx::Combine::Mean { outputs }, options).map(Some)
    }
    fn size(&self) -> ModelSize {
        self.size()
    }
    fn save(&self, arrays: &mut Arrays) {
        self.save(arrays);
    }
    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error> {
        Forest::load(arrays, width, classes)
    }
}

impl Learner for Boosting {
    const KIND: &'static str = "hist_gb";
    const ATTRIBUTION: Attribution = Attribution::TreePaths;
    type Options = BoostingParams;

    fn defaults() -> Value {
        boosting::defaults()
    }
    fn read(params: &mut Params<'_>) -> Result<BoostingParams, Error> {
        BoostingParams::read(params)
    }
    fn wants_validation(_: &BoostingParams) -> bool {
        true
    }
    fn fit(training: Training<'_>, options: &BoostingParams, context: &FitContext<'_>) -> Result<Self, Error> {
        let Training { matrix, labels, classes, weights, validation } = training;
        Boosting::fit(matrix, labels, classes, weights, validation, options, context)
    }
    fn predict_into(&self, row: &[f32], _: &mut Vec<f32>, probabilities: &mut [f64]) {
        self.predict_into(row, probabilities);
    }
    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64) {
        self.attribute(row, class, contributions)
    }
    fn importances(&self) -> Vec<f64> {
        self.importances()
    }
    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error> {
        onnx::trees(width, &nodes(self.trees()), onnx::Combine::Sum { base: self.baseline() }, options).map(Some)
    }
    fn size(&self) -> ModelSize {
        self.size()
    }
    fn save(&self, arrays: &mut Arrays) {
        self.save(arrays);
    }
    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error> {
        Boosting::load(arrays, width, classes)
    }
}

impl Learner for Mlp {
    const KIND: &'static str = "mlp";
    const ATTRIBUTION: Attribution = Attribution::IntegratedGradients;
    type Options = MlpParams;

    fn defaults() -> Value {
        mlp::defaults()
    }
    fn read(params: &mut Params<'_>) -> Result<MlpParams, Error> {
        MlpParams::read(params)
    }
    fn wants_validation(options: &MlpParams) -> bool {
        options.early_stopping
    }
    fn fit(training: Training<'_>, options: &MlpParams, context: &FitContext<'_>) -> Result<Self, Error> {
        let Training { matrix, labels, classes, weights, validation } = training;
        Mlp::fit(matrix, labels, classes, weights, validation, options, context)
    }
    fn predict_into(&self, row: &[f32], scratch: &mut Vec<f32>, probabilities: &mut [f64]) {
        self.predict_into(row, scratch, probabilities);
    }
    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64) {
        mlp::attribute(self, row, class, contributions)
    }
    /// A network cannot tell without rows to try; see the permutation importance of a run.
    fn importances(&self) -> Vec<f64> {
        Vec::new()
    }
    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error> {
        if self.activation() != Activation::Relu {
            return Ok(None);
        }
        fn layer(layer: &mlp::Layer) -> onnx::Layer<'_> {
            onnx::Layer { weights: &layer.weights, biases: &layer.biases }
        }
        onnx::dense_layers(width, &self.layers().iter().map(layer).collect::<Vec<_>>(), options).map(Some)
    }
    fn size(&self) -> ModelSize {
        self.size()
    }
    fn save(&self, arrays: &mut Arrays) {
        self.save(arrays);
    }
    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error> {
        Mlp::load(arrays, width, classes)
    }
}

/// The nodes of every tree as an ONNX file has them.
fn nodes(trees: &Ensemble) -> Vec<Vec<onnx::TreeNode<'_>>> {
    let node = |view| match view {
        NodeView::Split { feature, threshold, missing_left, left, right } => {
            onnx::TreeNode::Split { feature, threshold, missing_left, left, right }
        }
        NodeView::Leaf(values) => onnx::TreeNode::Leaf(values),
    };
    (0..trees.len()).map(|tree| trees.views(tree).map(node).collect()).collect()
}
