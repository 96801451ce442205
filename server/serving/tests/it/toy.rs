//! A model of one number, whose loading waits at a [`Gate`].

use std::sync::Arc;

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::{Array, Arrays};
use tenor_features::contract::{FeatureContract, Prepared};
use tenor_features::text::lexicon_digest;
use tenor_learn::{
    Contribution, Explanation, FitContext, Lineage, Model, ModelFile, ModelSize, Scratch, Trainer, TrainingData,
};

use crate::support::Gate;

pub struct Toy {
    contract: FeatureContract,
    params: Value,
    weight: f64,
}

impl Toy {
    pub fn new(weight: f64, classes: [&str; 2]) -> Self {
        let contract = serde_json::from_value(json!({
            "format": 1, "text_column": "text", "cleaning": "unicode", "min_chars": 1, "max_chars": 1000,
            "lexicon": lexicon_digest(), "classes": classes, "stars": null,
            "numeric": [{ "name": "votes", "source": "caller", "min": 0.0, "max": 9.0, "mean": 1.5, "std": 2.0, "default": 1.0 }],
        }));
        Self { contract: contract.unwrap(), params: json!({}), weight }
    }
}

impl Model for Toy {
    fn kind(&self) -> &'static str {
        "toy"
    }
    fn contract(&self) -> &FeatureContract {
        &self.contract
    }
    fn params(&self) -> &Value {
        &self.params
    }
    fn predict(&self, _: &Prepared, _: &mut Scratch, probabilities: &mut [f64]) {
        probabilities.copy_from_slice(&[self.weight, 1.0 - self.weight]);
    }
    fn explain(&self, _: &Prepared, class: usize, top_k: usize, _: &mut Scratch) -> Explanation {
        Explanation::new(class, 0.0, 0.0, Vec::new(), top_k)
    }
    fn attribution(&self) -> Attribution {
        Attribution::Linear
    }
    fn top_features(&self, _: usize, _: usize) -> Vec<Contribution> {
        Vec::new()
    }
    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        let mut arrays = Arrays::default();
        arrays.insert("toy.weight", Array::F64(vec![self.weight]));
        Ok(ModelFile::new(self, arrays, lineage))
    }
    fn size(&self) -> ModelSize {
        ModelSize { parameters: 1, nonzero: 1 }
    }
}

pub struct ToyTrainer(pub Arc<Gate>);

impl Trainer for ToyTrainer {
    fn kind(&self) -> &'static str {
        "toy"
    }
    fn default_params(&self) -> Value {
        json!({})
    }
    fn check_params(&self, params: &Value) -> Result<Value, Error> {
        Ok(params.clone())
    }
    fn fit(&self, _: &TrainingData, _: &Value, _: &FitContext<'_>) -> Result<Box<dyn Model>, Error> {
        Err(Error::internal("a toy does not learn"))
    }
    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error> {
        let weight = file.arrays.f64("toy.weight")?;
        self.0.pass(weight);
        Ok(Box::new(Toy { contract: file.header.contract.clone(), params: file.header.params.clone(), weight }))
    }
}
