//! One text to its probabilities within this process: contract, cleaning, TF-IDF, logistic regression.

use anyhow::{Context as _, anyhow};
use tenor_data::{GenerateOptions, GeneratedFormat, generate};
use tenor_domain::ContractMode;
use tenor_features::contract::{FeatureContract, FeatureSource, Input, NumericFeature, Prepared};
use tenor_features::text::{CleaningProfile, TEXT_FEATURES, clean, lexicon_digest, text_features};
use tenor_learn::{Examples, FitContext, Model, Registry, Scratch, TrainingData};

/// A model with the buffers that a serving thread keeps.
pub struct HotPath {
    model: Box<dyn Model>,
    prepared: Prepared,
    scratch: Scratch,
    probabilities: Vec<f64>,
}

impl HotPath {
    pub fn new(model: Box<dyn Model>) -> Self {
        let probabilities = vec![0.0; model.classes().len()];
        Self { model, prepared: Prepared::default(), scratch: Scratch::default(), probabilities }
    }

    /// The model of a file, as the server would load it.
    pub fn load(bytes: &[u8]) -> anyhow::Result<Self> {
        let (model, _) = Registry::new(tenor_learn_classic::trainers()).load(bytes)?;
        Ok(Self::new(model))
    }

    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// The probabilities of `text`, as the server computes them for a request without numeric features.
    pub fn answer(&mut self, text: &str) -> anyhow::Result<&[f64]> {
        let input = Input { text, numeric: &[] };
        self.model
            .contract()
            .apply(ContractMode::Warn, &input, &mut self.prepared)
            .map_err(|violations| anyhow!("the text breaks the contract: {violations:?}"))?;
        self.model.predict(&self.prepared, &mut self.scratch, &mut self.probabilities);
        Ok(&self.probabilities)
    }
}

/// Two classes over 20,000 terms and the eight features of a text, learned from `rows` synthetic reviews; and their texts.
pub fn fitted(rows: u64) -> anyhow::Result<(HotPath, Vec<String>)> {
    let mut bytes = Vec::new();
    generate(&GenerateOptions { rows, format: GeneratedFormat::JsonLines, ..GenerateOptions::default() }, &mut bytes)?;
    let contract = contract();
    let mut examples = Examples { width: contract.numeric.len(), ..Examples::default() };
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let review: Review = serde_json::from_slice(line).context("a generated review")?;
        let cleaned = clean(contract.cleaning, &review.text);
        if review.stars == 3.0 || cleaned.is_empty() {
            continue;
        }
        examples.numeric.extend(text_features(&review.text, &cleaned));
        examples.row_ids.push(examples.labels.len() as i64);
        examples.labels.push(u32::from(review.stars > 3.0));
        examples.texts.push(review.text);
        examples.cleaned.push(cleaned);
    }
    let texts = examples.texts.clone();
    let data = TrainingData { contract, train: examples, validation: None };
    let registry = Registry::new(tenor_learn_classic::trainers());
    let model =
        registry.get("logreg")?.fit(&data, &serde_json::json!({ "max_features": 20_000 }), &FitContext::quiet(1))?;
    Ok((HotPath::new(model), texts))
}

#[derive(serde::Deserialize)]
struct Review {
    #[serde(rename = "reviewText")]
    text: String,
    #[serde(rename = "overall")]
    stars: f64,
}

fn contract() -> FeatureContract {
    let numeric = TEXT_FEATURES.map(|name| NumericFeature {
        name: name.to_owned(),
        source: FeatureSource::Text,
        min: -1.0,
        max: 1e6,
        mean: 0.0,
        std: 0.0,
        default: 0.0,
    });
    FeatureContract {
        format: FeatureContract::FORMAT,
        text_column: "reviewText".to_owned(),
        cleaning: CleaningProfile::Unicode,
        min_chars: 1,
        max_chars: 1_000_000,
        lexicon: lexicon_digest(),
        numeric: numeric.to_vec(),
        classes: vec!["negative".to_owned(), "positive".to_owned()],
        stars: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fitted_path_answers_with_probabilities() {
        let (mut path, texts) = fitted(200).unwrap();
        let answer = path.answer(&texts[0]).unwrap();
        assert!((answer.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        assert!(path.answer("  ").is_err());
    }
}
