//! A small model for the tests of this crate: scores by the length of the text and by one number.

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::{Array, Arrays};
use tenor_features::contract::{FeatureContract, Prepared};
use tenor_features::pipeline::FeatureKind;
use tenor_features::text::lexicon_digest;

use crate::{
    Contribution, Explanation, FitContext, Lineage, Model, ModelFile, ModelSize, Scratch, Trainer, TrainingData,
};

pub(crate) fn contract() -> FeatureContract {
    serde_json::from_value(json!({
        "format": 1, "text_column": "text", "cleaning": "unicode", "min_chars": 1, "max_chars": 1000,
        "lexicon": lexicon_digest(), "classes": ["bad", "good"], "stars": null,
        "numeric": [{ "name": "votes", "source": "caller", "min": 0.0, "max": 9.0, "mean": 1.5, "std": 2.0, "default": 1.0 }],
    }))
    .unwrap()
}

pub(crate) struct Toy {
    pub contract: FeatureContract,
    pub params: Value,
    pub weight: f64,
}

pub(crate) fn toy() -> Toy {
    Toy { contract: contract(), params: json!({"a": 0.1, "z": [1, "é"]}), weight: 0.25 }
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
    fn predict(&self, prepared: &Prepared, _: &mut Scratch, probabilities: &mut [f64]) {
        let score = self.weight * prepared.cleaned.len() as f64 - prepared.numeric[0];
        probabilities[1] = 1.0 / (1.0 + (-score).exp());
        probabilities[0] = 1.0 - probabilities[1];
    }
    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, _: &mut Scratch) -> Explanation {
        let contribution =
            |feature: &str, value| Contribution { feature: feature.into(), kind: FeatureKind::Numeric, value };
        let (length, votes) = (self.weight * prepared.cleaned.len() as f64, -prepared.numeric[0]);
        let both = vec![contribution("length", length), contribution("votes", votes)];
        Explanation::new(class, 0.0, length + votes, both, top_k)
    }
    fn attribution(&self) -> Attribution {
        Attribution::Linear
    }
    fn top_features(&self, _: usize, top_k: usize) -> Vec<Contribution> {
        let terms = ["great", "<b>&\"'", "slow\u{7}"].into_iter().zip([self.weight, -1.5, 0.01]);
        terms
            .map(|(term, value)| Contribution { feature: term.into(), kind: FeatureKind::Term, value })
            .take(top_k)
            .collect()
    }
    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        let mut arrays = Arrays::default();
        arrays.insert("toy.weight", Array::F64(vec![self.weight]));
        arrays.insert("toy.bytes", Array::U8(vec![1, 2, 3]));
        arrays.insert("toy.numbers", Array::U64(vec![u64::MAX]));
        arrays.insert("toy.floats", Array::F32(vec![0.1, -0.0]));
        Ok(ModelFile::new(self, arrays, lineage))
    }
    fn size(&self) -> ModelSize {
        ModelSize { parameters: 1, nonzero: 1 }
    }
}

pub(crate) struct ToyTrainer;

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
    fn fit(&self, _: &TrainingData, params: &Value, _: &FitContext<'_>) -> Result<Box<dyn Model>, Error> {
        Ok(Box::new(Toy { params: params.clone(), ..toy() }))
    }
    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error> {
        let weight = file.arrays.f64("toy.weight")?;
        Ok(Box::new(Toy { contract: file.header.contract.clone(), params: file.header.params.clone(), weight }))
    }
}

/// The values of scikit-learn, statsmodels and cleanlab that `make_evaluation.py` wrote.
pub(crate) fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/evaluation.json")).unwrap()
}

/// The probabilities of a golden case, row-major.
pub(crate) fn flat(rows: &Value) -> Vec<f64> {
    serde_json::from_value::<Vec<Vec<f64>>>(rows.clone()).unwrap().concat()
}

/// Labels and overconfident probabilities of `classes` classes: labels are drawn from softmax(z), the answers are softmax(2.5 z).
pub(crate) fn overconfident(seed: u64, rows: usize, classes: usize) -> (Vec<u32>, Vec<f64>) {
    let mut random = tenor_features::random::Random::new(seed, 0);
    let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
    let softmax = |scores: &[f64], sharp: f64| {
        let odds: Vec<f64> = scores.iter().map(|score| (score * sharp).exp()).collect();
        let sum: f64 = odds.iter().sum();
        odds.into_iter().map(|odd| odd / sum).collect::<Vec<f64>>()
    };
    for _ in 0..rows {
        let scores: Vec<f64> = (0..classes).map(|_| 4.0 * (random.unit() + random.unit() - 1.0)).collect();
        let (mut left, mut label) = (random.unit(), classes - 1);
        for (class, chance) in softmax(&scores, 1.0).into_iter().enumerate() {
            if left < chance {
                label = class;
                break;
            }
            left -= chance;
        }
        labels.push(label as u32);
        probabilities.extend(softmax(&scores, 2.5));
    }
    (labels, probabilities)
}

/// Learns the mean length, and remembers the id of every row it saw, which is the first word of its text: of those it is certain.
pub(crate) struct LengthTrainer;

struct LengthModel {
    toy: Toy,
    limit: f64,
    seen: std::collections::BTreeSet<String>,
}

impl Trainer for LengthTrainer {
    fn kind(&self) -> &'static str {
        "length"
    }
    fn default_params(&self) -> Value {
        json!({})
    }
    fn check_params(&self, params: &Value) -> Result<Value, Error> {
        Ok(params.clone())
    }
    fn fit(&self, data: &TrainingData, _: &Value, context: &FitContext<'_>) -> Result<Box<dyn Model>, Error> {
        context.progress(0.5, "learning");
        context.metric("loss", 0.5, 1);
        let train = &data.train;
        let seen = train.row_ids.iter().map(|id| id.to_string()).collect();
        let limit = train.cleaned.iter().map(|text| text.len() as f64).sum::<f64>() / train.len() as f64;
        Ok(Box::new(LengthModel { toy: toy(), limit, seen }))
    }
    fn load(&self, _: &ModelFile) -> Result<Box<dyn Model>, Error> {
        Err(Error::internal("never saved"))
    }
}

impl Model for LengthModel {
    fn kind(&self) -> &'static str {
        "length"
    }
    fn contract(&self) -> &FeatureContract {
        &self.toy.contract
    }
    fn params(&self) -> &Value {
        &self.toy.params
    }
    fn predict(&self, prepared: &Prepared, _: &mut Scratch, probabilities: &mut [f64]) {
        let known = self.seen.contains(prepared.cleaned.split(' ').next().unwrap_or_default());
        let sure = if known { 1.0 } else { 0.9 };
        probabilities[1] = if prepared.cleaned.len() as f64 > self.limit { sure } else { 1.0 - sure };
        probabilities[0] = 1.0 - probabilities[1];
    }
    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, scratch: &mut Scratch) -> Explanation {
        self.toy.explain(prepared, class, top_k, scratch)
    }
    fn attribution(&self) -> Attribution {
        Attribution::Linear
    }
    fn top_features(&self, class: usize, top_k: usize) -> Vec<Contribution> {
        self.toy.top_features(class, top_k)
    }
    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        self.toy.save(lineage)
    }
    fn size(&self) -> ModelSize {
        self.toy.size()
    }
}
