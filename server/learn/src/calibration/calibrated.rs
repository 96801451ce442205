//! A model whose answers are calibrated.

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::contract::{FeatureContract, Prepared};

use super::Calibrator;
use crate::{Contribution, Explanation, Lineage, Model, ModelFile, ModelSize, Scratch};

/// Any model with a calibrator behind it. Its file is the model's with the calibrator's arrays besides.
pub struct Calibrated {
    inner: Box<dyn Model>,
    calibrator: Calibrator,
}

impl Calibrated {
    /// An error unless the calibrator was fitted for as many classes as the model has.
    pub fn new(inner: Box<dyn Model>, calibrator: Calibrator) -> Result<Self, Error> {
        let (model, fitted) = (inner.classes().len(), calibrator.classes());
        if model != fitted {
            let text = format!("was fitted for {fitted} classes, but the model has {model}");
            return Err(Error::invalid("calibrator", text));
        }
        Ok(Self { inner, calibrator })
    }
}

impl Model for Calibrated {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    fn contract(&self) -> &FeatureContract {
        self.inner.contract()
    }
    fn params(&self) -> &Value {
        self.inner.params()
    }
    fn predict(&self, prepared: &Prepared, scratch: &mut Scratch, probabilities: &mut [f64]) {
        self.inner.predict(prepared, scratch, probabilities);
        self.calibrator.apply(probabilities);
    }
    /// Of the score before calibration: that is the one which is a sum of contributions.
    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, scratch: &mut Scratch) -> Explanation {
        self.inner.explain(prepared, class, top_k, scratch)
    }
    fn attribution(&self) -> Attribution {
        self.inner.attribution()
    }
    fn top_features(&self, class: usize, top_k: usize) -> Vec<Contribution> {
        self.inner.top_features(class, top_k)
    }
    fn typical_terms(&self, class: usize, count: usize) -> Vec<String> {
        self.inner.typical_terms(class, count)
    }
    /// ONNX files know temperatures only, and one of them.
    fn onnx(&self, temperature: Option<f64>) -> Result<Option<Vec<u8>>, Error> {
        match (self.calibrator.temperature(), temperature) {
            (Some(own), None) => self.inner.onnx(Some(own)),
            _ => Ok(None),
        }
    }
    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        let mut file = self.inner.save(lineage)?;
        self.calibrator.save(&mut file.arrays);
        Ok(file.with_self_test_of(self))
    }
    fn size(&self) -> ModelSize {
        let (inner, added) = (self.inner.size(), self.calibrator.parameters());
        ModelSize { parameters: inner.parameters + added, nonzero: inner.nonzero + added }
    }
}
