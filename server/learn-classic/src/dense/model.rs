//! A fitted learner behind its features.

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::{Arrays, broken};
use tenor_features::contract::{FeatureContract, Prepared};
use tenor_features::pipeline::{FeatureKind, Vectorizer};
use tenor_learn::{Contribution, Explanation, Lineage, Model, ModelFile, ModelSize, Scratch};

use super::Learner;
use crate::features;

pub(super) struct DenseModel<L> {
    contract: FeatureContract,
    params: Value,
    vectorizer: Vectorizer,
    learner: L,
}

impl<L: Learner> DenseModel<L> {
    pub fn new(contract: FeatureContract, params: Value, vectorizer: Vectorizer, learner: L) -> Self {
        Self { contract, params, vectorizer, learner }
    }

    /// Of a file of this kind, whose parameters `params` are checked.
    pub fn load(file: &ModelFile, params: Value) -> Result<Self, Error> {
        let (header, arrays) = (&file.header, &file.arrays);
        header.contract.validate()?;
        let vectorizer = Vectorizer::load(arrays, &header.contract)?;
        if !vectorizer.is_dense() {
            return Err(broken("svd.weights", "is missing"));
        }
        let learner = L::load(arrays, vectorizer.width(), header.contract.classes.len())?;
        Ok(Self::new(header.contract.clone(), params, vectorizer, learner))
    }

    fn contribution(&self, column: usize, value: f64) -> Contribution {
        let (kind, feature) = self.vectorizer.feature(column, &self.contract);
        Contribution { feature, kind, value }
    }
}

impl<L: Learner> Model for DenseModel<L> {
    fn kind(&self) -> &'static str {
        L::KIND
    }
    fn contract(&self) -> &FeatureContract {
        &self.contract
    }
    fn params(&self) -> &Value {
        &self.params
    }

    fn predict(&self, prepared: &Prepared, scratch: &mut Scratch, probabilities: &mut [f64]) {
        self.vectorizer.transform_into(prepared, &mut scratch.vectorizer);
        self.learner.predict_into(&scratch.vectorizer.dense, &mut scratch.hidden, probabilities);
    }

    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, scratch: &mut Scratch) -> Explanation {
        self.vectorizer.transform_into(prepared, &mut scratch.vectorizer);
        let mut values = vec![0.0; self.vectorizer.width()];
        let (bias, score) = self.learner.attribute(&scratch.vectorizer.dense, class, &mut values);
        let contributions = (0..).zip(values).filter(|(_, value)| *value != 0.0);
        let contributions = contributions.map(|(column, value)| self.contribution(column, value)).collect();
        Explanation::new(class, bias, score, contributions, top_k)
    }

    fn attribution(&self) -> Attribution {
        L::ATTRIBUTION
    }

    /// How much each column matters for all classes alike: never below 0.
    fn top_features(&self, _: usize, top_k: usize) -> Vec<Contribution> {
        let importances = self.learner.importances();
        let strongest = features::strongest(&importances, top_k);
        strongest.into_iter().map(|column| self.contribution(column, importances[column])).collect()
    }

    /// Terms from all over the vocabulary.
    fn typical_terms(&self, class: usize, count: usize) -> Vec<String> {
        let terms = self.vectorizer.terms();
        let step = (terms / count.max(1)).max(1);
        let places = (class % step..terms).step_by(step).take(count).map(|place| self.vectorizer.term(place));
        places.filter(|(kind, _)| *kind == FeatureKind::Term).map(|(_, term)| term).collect()
    }

    fn onnx(&self, temperature: Option<f64>) -> Result<Option<Vec<u8>>, Error> {
        let features = features::names(&self.vectorizer, &self.contract);
        let options = features::onnx_options(&self.contract, &features, temperature);
        self.learner.onnx(self.vectorizer.width(), &options)
    }

    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        let mut arrays = Arrays::default();
        self.vectorizer.save(&mut arrays);
        self.learner.save(&mut arrays);
        Ok(ModelFile::new(self, arrays, lineage))
    }

    fn size(&self) -> ModelSize {
        self.learner.size()
    }
}
