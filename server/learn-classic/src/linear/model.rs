//! A fitted linear model of any kind.

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::{Array, Arrays, broken};
use tenor_features::contract::{FeatureContract, Prepared};
use tenor_features::pipeline::Vectorizer;
use tenor_learn::link::{sigmoid, softmax};
use tenor_learn::{Contribution, Explanation, Lineage, Model, ModelFile, ModelSize, Scratch, onnx};

use crate::features::{self, strongest};

/// How scores become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// The softmax of the scores; the sigmoid of the one score of two classes.
    Softmax,
    /// The sigmoid of each score, divided by their sum.
    OneVsRest,
}

/// What a kind of linear model learned: weights (features x columns, row-major) and one bias a column; one column for two classes,
/// else one a class.
pub(super) struct Weights {
    pub features: Vec<f32>,
    pub biases: Vec<f64>,
}

pub(super) struct LinearModel {
    kind: &'static str,
    link: Link,
    contract: FeatureContract,
    params: Value,
    vectorizer: Vectorizer,
    columns: usize,
    weights: Vec<f32>,
    biases: Vec<f64>,
}

impl LinearModel {
    pub fn new(
        (kind, link): (&'static str, Link),
        contract: FeatureContract,
        params: Value,
        vectorizer: Vectorizer,
        weights: Weights,
    ) -> Result<Self, Error> {
        let Weights { features: weights, biases } = weights;
        let columns = if contract.classes.len() == 2 { 1 } else { contract.classes.len() };
        if biases.len() != columns || biases.iter().any(|bias| !bias.is_finite()) {
            return Err(broken(&format!("{kind}.biases"), &format!("must hold {columns} finite numbers")));
        }
        if weights.len() != vectorizer.width() * columns || weights.iter().any(|weight| !weight.is_finite()) {
            return Err(broken(&format!("{kind}.weights"), "must hold finite numbers, one a feature and column"));
        }
        Ok(Self { kind, link, contract, params, vectorizer, columns, weights, biases })
    }

    /// Of a file of `kind`, whose parameters `params` are checked.
    pub fn load((kind, link): (&'static str, Link), file: &ModelFile, params: Value) -> Result<Self, Error> {
        let (header, arrays) = (&file.header, &file.arrays);
        header.contract.validate()?;
        let vectorizer = Vectorizer::load(arrays, &header.contract)?;
        let weights = Weights {
            features: arrays.f32s(&format!("{kind}.weights"))?.to_vec(),
            biases: arrays.f64s(&format!("{kind}.biases"))?.to_vec(),
        };
        Self::new((kind, link), header.contract.clone(), params, vectorizer, weights)
    }

    /// The weights of a feature, one a column.
    fn weights(&self, feature: usize) -> &[f32] {
        &self.weights[feature * self.columns..(feature + 1) * self.columns]
    }

    /// Gives every entry of the row that the vectorizer made last: its column and its value.
    fn each_entry(&self, scratch: &Scratch, mut take: impl FnMut(usize, f64)) {
        if self.vectorizer.is_dense() {
            scratch.vectorizer.dense.iter().enumerate().for_each(|(feature, &value)| take(feature, f64::from(value)));
        } else {
            scratch.vectorizer.row.as_ref().iter().for_each(|(feature, value)| take(feature, f64::from(value)));
        }
    }

    /// Writes the score of each column.
    fn scores(&self, scratch: &Scratch, scores: &mut [f64]) {
        scores.copy_from_slice(&self.biases);
        if let [score] = scores {
            self.each_entry(scratch, |feature, value| *score += f64::from(self.weights[feature]) * value);
            return;
        }
        self.each_entry(scratch, |feature, value| {
            let weights = self.weights(feature);
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += f64::from(*weight) * value);
        });
    }

    /// The column that speaks of `class`, and the sign with which it does.
    fn side(&self, class: usize) -> (usize, f64) {
        match (self.columns, class) {
            (1, 0) => (0, -1.0),
            (1, _) => (0, 1.0),
            _ => (class.min(self.columns - 1), 1.0),
        }
    }

    /// The weights of the components in `column`, times `sign`.
    fn component_weights(&self, column: usize, sign: f64) -> Vec<f64> {
        // Sparse rows have none.
        let components =
            if self.vectorizer.is_dense() { self.vectorizer.width() - self.vectorizer.numbers() } else { 0 };
        (0..components).map(|component| sign * f64::from(self.weights(component)[column])).collect()
    }

    fn contribution(&self, feature: usize, value: f64) -> Contribution {
        let (kind, feature) = self.vectorizer.feature(feature, &self.contract);
        Contribution { feature, kind, value }
    }
}

impl Model for LinearModel {
    fn kind(&self) -> &'static str {
        self.kind
    }
    fn contract(&self) -> &FeatureContract {
        &self.contract
    }
    fn params(&self) -> &Value {
        &self.params
    }

    fn predict(&self, prepared: &Prepared, scratch: &mut Scratch, probabilities: &mut [f64]) {
        self.vectorizer.transform_into(prepared, &mut scratch.vectorizer);
        if let ([_], [first, second]) = (self.biases.as_slice(), &mut *probabilities) {
            let mut score = [0.0];
            self.scores(scratch, &mut score);
            (*first, *second) = (sigmoid(-score[0]), sigmoid(score[0]));
            return;
        }
        let Some(probabilities) = probabilities.get_mut(..self.columns) else { return };
        self.scores(scratch, probabilities);
        match self.link {
            Link::Softmax => softmax(probabilities),
            Link::OneVsRest => one_vs_rest(probabilities),
        }
    }

    /// Exact: a component is a sum over terms, so that a dense model too is taken apart into terms.
    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, scratch: &mut Scratch) -> Explanation {
        self.vectorizer.transform_into(prepared, &mut scratch.vectorizer);
        let (column, sign) = self.side(class);
        let mut bias = sign * self.biases[column];
        let mut contributions = Vec::new();
        let weight = |feature: usize| sign * f64::from(self.weights(feature)[column]);
        match self.vectorizer.unfold(&self.component_weights(column, sign)) {
            None => self.each_entry(scratch, |feature, value| {
                contributions.push(self.contribution(feature, weight(feature) * value));
            }),
            Some(unfolded) => {
                bias += unfolded.constant;
                for (term, value) in scratch.vectorizer.row.as_ref().iter() {
                    let (kind, feature) = self.vectorizer.term(term);
                    let value = unfolded.weight(term) * f64::from(value);
                    contributions.push(Contribution { feature, kind, value });
                }
                let first = self.vectorizer.width() - self.vectorizer.numbers();
                for (feature, &value) in scratch.vectorizer.dense.iter().enumerate().skip(first) {
                    contributions.push(self.contribution(feature, weight(feature) * f64::from(value)));
                }
            }
        }
        let logit = contributions.iter().fold(bias, |logit, contribution| logit + contribution.value);
        Explanation::new(class, bias, logit, contributions, top_k)
    }

    fn attribution(&self) -> Attribution {
        Attribution::Linear
    }

    /// The weights: what one unit of the TF-IDF value, or one standard deviation times its block's weight, adds to the score.
    fn top_features(&self, class: usize, top_k: usize) -> Vec<Contribution> {
        let (column, sign) = self.side(class);
        let weight = |feature: usize| sign * f64::from(self.weights(feature)[column]);
        let Some(unfolded) = self.vectorizer.unfold(&self.component_weights(column, sign)) else {
            let weights: Vec<f64> = (0..self.vectorizer.width()).map(weight).collect();
            let strongest = strongest(&weights, top_k);
            return strongest.into_iter().map(|feature| self.contribution(feature, weights[feature])).collect();
        };
        let (terms, first) = (self.vectorizer.terms(), self.vectorizer.width() - self.vectorizer.numbers());
        let mut weights: Vec<f64> = (0..terms).map(|term| unfolded.weight(term)).collect();
        weights.extend((first..self.vectorizer.width()).map(weight));
        let of_feature = |place: usize| {
            if place >= terms {
                return self.contribution(first + place - terms, weights[place]);
            }
            let (kind, feature) = self.vectorizer.term(place);
            Contribution { feature, kind, value: weights[place] }
        };
        strongest(&weights, top_k).into_iter().map(of_feature).collect()
    }

    fn onnx(&self, temperature: Option<f64>) -> Result<Option<Vec<u8>>, Error> {
        if self.link == Link::OneVsRest && self.columns > 1 {
            return Ok(None);
        }
        let features = features::names(&self.vectorizer, &self.contract);
        let options = features::onnx_options(&self.contract, &features, temperature);
        onnx::linear(self.vectorizer.width(), &self.weights, &self.biases, &options).map(Some)
    }

    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        let mut arrays = Arrays::default();
        self.vectorizer.save(&mut arrays);
        arrays.insert(format!("{}.weights", self.kind), Array::F32(self.weights.clone()));
        arrays.insert(format!("{}.biases", self.kind), Array::F64(self.biases.clone()));
        Ok(ModelFile::new(self, arrays, lineage))
    }

    fn size(&self) -> ModelSize {
        let nonzero = self.weights.iter().filter(|weight| **weight != 0.0).count() + self.biases.len();
        ModelSize { parameters: (self.weights.len() + self.biases.len()) as u64, nonzero: nonzero as u64 }
    }
}

/// Where every sigmoid underflows, the largest score decides alone.
fn one_vs_rest(scores: &mut [f64]) {
    let largest = tenor_learn::label_of(scores);
    scores.iter_mut().for_each(|score| *score = sigmoid(*score));
    let sum: f64 = scores.iter().sum();
    if sum > 0.0 {
        scores.iter_mut().for_each(|score| *score /= sum);
    } else {
        scores.iter_mut().enumerate().for_each(|(class, score)| *score = f64::from(u8::from(class == largest)));
    }
}
