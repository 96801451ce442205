//! The learners of this crate as kinds of models.

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::Arrays;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, ModelSize};

use super::{Learner, Training};
use crate::boosting::{self, Boosting, BoostingParams};
use crate::forest::{self, Forest, ForestParams};
use crate::mlp::{self, Mlp, MlpParams};

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
