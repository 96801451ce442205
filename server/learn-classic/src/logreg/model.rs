//! A fitted logistic regression.

use serde_json::Value;
use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};
use tenor_features::contract::{FeatureContract, Prepared};
use tenor_features::pipeline::Vectorizer;
use tenor_features::sparse::RowRef;
use tenor_learn::{Contribution, Explanation, Lineage, Model, ModelFile, ModelSize, Scratch};

use super::{KIND, Options};

/// Weights (features x columns, row-major) and one bias a column; one column for two classes, else one a class.
pub(super) struct LogisticModel {
    contract: FeatureContract,
    params: Value,
    vectorizer: Vectorizer,
    columns: usize,
    weights: Vec<f32>,
    biases: Vec<f64>,
}

impl LogisticModel {
    pub fn new(
        contract: FeatureContract,
        params: Value,
        vectorizer: Vectorizer,
        weights: Vec<f32>,
        biases: Vec<f64>,
    ) -> Result<Self, Error> {
        let columns = if contract.classes.len() == 2 { 1 } else { contract.classes.len() };
        if biases.len() != columns || biases.iter().any(|bias| !bias.is_finite()) {
            return Err(broken("logreg.biases", &format!("must hold {columns} finite numbers")));
        }
        if weights.len() != vectorizer.width() * columns || weights.iter().any(|weight| !weight.is_finite()) {
            return Err(broken("logreg.weights", "must hold finite numbers, one a feature and column"));
        }
        Ok(Self { contract, params, vectorizer, columns, weights, biases })
    }

    pub fn load(file: &ModelFile) -> Result<Self, Error> {
        let (header, arrays) = (&file.header, &file.arrays);
        header.contract.validate()?;
        let (_, params) = Options::read(&header.params)?;
        let vectorizer = Vectorizer::load(arrays, &header.contract)?;
        let (weights, biases) = (arrays.f32s("logreg.weights")?.to_vec(), arrays.f64s("logreg.biases")?.to_vec());
        Self::new(header.contract.clone(), params, vectorizer, weights, biases)
    }

    /// The weights of a feature, one a column.
    fn weights(&self, feature: usize) -> &[f32] {
        &self.weights[feature * self.columns..(feature + 1) * self.columns]
    }

    /// Writes the score of each column.
    fn scores(&self, row: RowRef<'_>, scores: &mut [f64]) {
        scores.copy_from_slice(&self.biases);
        if let [score] = scores {
            for (feature, value) in row.iter() {
                *score += f64::from(self.weights[feature]) * f64::from(value);
            }
            return;
        }
        for (feature, value) in row.iter() {
            let weights = self.weights(feature);
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += f64::from(*weight) * f64::from(value));
        }
    }

    /// The column that speaks of `class`, and the sign with which it does.
    fn side(&self, class: usize) -> (usize, f64) {
        match (self.columns, class) {
            (1, 0) => (0, -1.0),
            (1, _) => (0, 1.0),
            _ => (class.min(self.columns - 1), 1.0),
        }
    }

    fn contribution(&self, feature: usize, value: f64) -> Contribution {
        let (kind, name) = self.vectorizer.feature(feature, &self.contract);
        Contribution { feature: name.to_owned(), kind, value }
    }
}

impl Model for LogisticModel {
    fn kind(&self) -> &'static str {
        KIND
    }
    fn contract(&self) -> &FeatureContract {
        &self.contract
    }
    fn params(&self) -> &Value {
        &self.params
    }

    fn predict(&self, prepared: &Prepared, scratch: &mut Scratch, probabilities: &mut [f64]) {
        self.vectorizer.transform_into(prepared, &mut scratch.vectorizer);
        let row = scratch.vectorizer.row.as_ref();
        if let ([_], [first, second]) = (self.biases.as_slice(), &mut *probabilities) {
            let mut score = [0.0];
            self.scores(row, &mut score);
            (*first, *second) = (sigmoid(-score[0]), sigmoid(score[0]));
            return;
        }
        let Some(probabilities) = probabilities.get_mut(..self.columns) else { return };
        self.scores(row, probabilities);
        softmax(probabilities);
    }

    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, scratch: &mut Scratch) -> Explanation {
        self.vectorizer.transform_into(prepared, &mut scratch.vectorizer);
        let (column, sign) = self.side(class);
        let bias = sign * self.biases[column];
        let mut logit = bias;
        let mut contributions = Vec::with_capacity(scratch.vectorizer.row.columns.len());
        for (feature, value) in scratch.vectorizer.row.as_ref().iter() {
            let added = sign * f64::from(self.weights(feature)[column]) * f64::from(value);
            logit += added;
            contributions.push(self.contribution(feature, added));
        }
        Explanation::new(class, bias, logit, contributions, top_k)
    }

    /// The weights: what one unit of the TF-IDF value, or one standard deviation times its block's weight, adds to the score.
    fn top_features(&self, class: usize, top_k: usize) -> Vec<Contribution> {
        let (column, sign) = self.side(class);
        let weight = |feature: usize| sign * f64::from(self.weights(feature)[column]);
        let mut order: Vec<usize> = (0..self.vectorizer.width()).filter(|&feature| weight(feature) != 0.0).collect();
        // Features ascend by text within each block, so equals stay in that order.
        let strongest = |&a: &usize, &b: &usize| weight(b).abs().total_cmp(&weight(a).abs()).then(a.cmp(&b));
        if top_k < order.len() {
            order.select_nth_unstable_by(top_k, strongest);
            order.truncate(top_k);
        }
        order.sort_by(strongest);
        order.into_iter().map(|feature| self.contribution(feature, weight(feature))).collect()
    }

    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        let mut arrays = Arrays::default();
        self.vectorizer.save(&mut arrays);
        arrays.insert("logreg.weights", Array::F32(self.weights.clone()));
        arrays.insert("logreg.biases", Array::F64(self.biases.clone()));
        Ok(ModelFile::new(self, arrays, lineage))
    }

    fn size(&self) -> ModelSize {
        let nonzero = self.weights.iter().filter(|weight| **weight != 0.0).count() + self.biases.len();
        ModelSize { parameters: (self.weights.len() + self.biases.len()) as u64, nonzero: nonzero as u64 }
    }
}

fn sigmoid(z: f64) -> f64 {
    let small = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

fn softmax(scores: &mut [f64]) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}
