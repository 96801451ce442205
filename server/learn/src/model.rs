//! The contract that every kind of model implements.

use rayon::prelude::*;
use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::{Attribution, Contribution};
use tenor_features::Stop;
use tenor_features::contract::{FeatureContract, Prepared};
use tenor_features::pipeline::{self, FeatureKind};

use crate::{Examples, FitContext, Lineage, ModelFile, TrainingData};

/// Makes models of one kind.
pub trait Trainer: Send + Sync {
    /// The name of the kind, e.g. `logreg`; never changes, never reused.
    fn kind(&self) -> &'static str;
    /// All parameters with their defaults, as a JSON object.
    fn default_params(&self) -> Value;
    /// Completes `params` by the defaults. An unknown name, a wrong type or a value out of range is an error that names
    /// the field.
    fn check_params(&self, params: &Value) -> Result<Value, Error>;
    /// The metrics that a fit with these parameters tells step by step, so that it can be ended early by them.
    fn curves(&self, _params: &Value) -> Result<&'static [&'static str], Error> {
        Ok(&[])
    }
    /// Learns from `data`; deterministic in data, `params` and seed, whatever the number of threads. Stops within two
    /// seconds, with an error of kind `Cancelled`, when the context wants it.
    fn fit(&self, data: &TrainingData, params: &Value, context: &FitContext<'_>) -> Result<Box<dyn Model>, Error>;
    /// Makes the model of a file of this kind; never trusts its contents.
    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error>;
}

/// A fitted model. Predicting needs no lock and no allocation beyond `scratch`.
pub trait Model: Send + Sync {
    fn kind(&self) -> &'static str;
    /// What the model may be fed, and its classes.
    fn contract(&self) -> &FeatureContract;
    /// The parameters it was fitted with, complete.
    fn params(&self) -> &Value;
    fn classes(&self) -> &[String] {
        &self.contract().classes
    }
    /// Writes the probability of each class; `probabilities` must have one place a class. They are finite and add up to 1.
    fn predict(&self, prepared: &Prepared, scratch: &mut Scratch, probabilities: &mut [f64]);
    /// Why `class` got its score; `top_k` limits the list, not the sum.
    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, scratch: &mut Scratch) -> Explanation;
    /// How [`explain`](Self::explain) takes a score apart.
    fn attribution(&self) -> Attribution;
    /// The features that speak most strongly for or against `class`, strongest first.
    fn top_features(&self, class: usize, top_k: usize) -> Vec<Contribution>;
    /// Up to `count` terms of the vocabulary to try the model with, those that speak for `class` where the kind can tell.
    fn typical_terms(&self, class: usize, count: usize) -> Vec<String> {
        let strongest = self.top_features(class, 4 * count).into_iter();
        strongest
            .filter(|feature| feature.kind == FeatureKind::Term)
            .map(|feature| feature.feature)
            .take(count)
            .collect()
    }
    /// The model from its vector on as an ONNX file, its probabilities corrected by `temperature`; `None` when it has no such form.
    fn onnx(&self, _temperature: Option<f64>) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }
    /// The file without metrics; the caller may add some.
    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error>;
    fn size(&self) -> ModelSize;
}

/// Room for one row at work; one a thread, kept from row to row.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    pub vectorizer: pipeline::Scratch,
    pub numbers: Vec<f64>,
    /// Of a network's layers.
    pub hidden: Vec<f32>,
}

/// How large a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelSize {
    /// Learned numbers, without the vocabulary.
    pub parameters: u64,
    /// Those that are not zero.
    pub nonzero: u64,
}

/// A score taken apart: `logit = bias + the sum of all contributions`, of which the list holds the largest.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    pub class: usize,
    pub bias: f64,
    /// What the softmax (or for two classes, as the class's side of it, the sigmoid) is taken of.
    pub logit: f64,
    /// Largest magnitude first; equals by text.
    pub contributions: Vec<Contribution>,
    /// The sum of those that are not in the list.
    pub rest: f64,
}

impl Explanation {
    /// Orders `contributions`, keeps the first `top_k` and adds up the rest.
    pub fn new(class: usize, bias: f64, logit: f64, mut contributions: Vec<Contribution>, top_k: usize) -> Self {
        strongest_first(&mut contributions);
        let rest = contributions.iter().skip(top_k).map(|contribution| contribution.value).sum();
        contributions.truncate(top_k);
        Self { class, bias, logit, contributions, rest }
    }
}

/// Orders by magnitude, then by text.
pub fn strongest_first(contributions: &mut [Contribution]) {
    contributions.sort_by(|a, b| {
        b.value
            .abs()
            .total_cmp(&a.value.abs())
            .then_with(|| (&a.feature, a.kind as u8).cmp(&(&b.feature, b.kind as u8)))
    });
}

/// The index of the largest probability; the first of equals. 0 for no class at all.
pub fn label_of(probabilities: &[f64]) -> usize {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    best
}

/// The probabilities of all `examples`, row-major, on the threads of the current pool; each row as alone.
pub fn predict_all(model: &dyn Model, examples: &Examples, stop: Stop<'_>) -> Result<Vec<f64>, Error> {
    const CHUNK: usize = 512;
    let classes = model.classes().len().max(1);
    let mut probabilities = vec![0.0; examples.len() * classes];
    probabilities.par_chunks_mut(CHUNK * classes).enumerate().try_for_each(|(chunk, rows)| {
        stop.check()?;
        let (mut scratch, mut prepared) = (Scratch::default(), Prepared::default());
        for (offset, row) in rows.chunks_mut(classes).enumerate() {
            examples.prepare_into(chunk * CHUNK + offset, &mut prepared);
            model.predict(&prepared, &mut scratch, row);
        }
        Ok::<(), Error>(())
    })?;
    Ok(probabilities)
}
