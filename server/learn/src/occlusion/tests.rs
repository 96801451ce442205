use std::sync::atomic::{AtomicUsize, Ordering};

use tenor_domain::predict::Attribution;
use tenor_domain::{ContractMode, ErrorKind};
use tenor_features::contract::{FeatureContract, Input, NumericValue};

use super::*;
use crate::testing::toy;
use crate::{Contribution, Explanation, Lineage, ModelFile, ModelSize};

/// The share of "good" follows from the words: `great` adds 2 to the log-odds, `boring` takes 1, `café` adds 0.5; a number adds
/// itself.
struct Words {
    inner: crate::testing::Toy,
    predicted: AtomicUsize,
}

fn model() -> Words {
    Words { inner: toy(), predicted: AtomicUsize::new(0) }
}

impl Model for Words {
    fn kind(&self) -> &'static str {
        "words"
    }
    fn contract(&self) -> &FeatureContract {
        &self.inner.contract
    }
    fn params(&self) -> &serde_json::Value {
        &self.inner.params
    }
    fn predict(&self, prepared: &Prepared, _: &mut Scratch, probabilities: &mut [f64]) {
        self.predicted.fetch_add(1, Ordering::Relaxed);
        let weight = |word| match word {
            "great" => 2.0,
            "boring" => -1.0,
            "café" => 0.5,
            "certainly" => 1e4,
            _ => 0.0,
        };
        let score = prepared.numeric[0] + prepared.cleaned.split(' ').map(weight).sum::<f64>();
        (probabilities[0], probabilities[1]) = (1.0 / (1.0 + score.exp()), 1.0 / (1.0 + (-score).exp()));
    }
    fn explain(&self, prepared: &Prepared, class: usize, top_k: usize, scratch: &mut Scratch) -> Explanation {
        self.inner.explain(prepared, class, top_k, scratch)
    }
    fn attribution(&self) -> Attribution {
        Attribution::Linear
    }
    fn top_features(&self, class: usize, top_k: usize) -> Vec<Contribution> {
        self.inner.top_features(class, top_k)
    }
    fn save(&self, lineage: Lineage) -> Result<ModelFile, Error> {
        self.inner.save(lineage)
    }
    fn size(&self) -> ModelSize {
        self.inner.size()
    }
}

fn prepared(model: &dyn Model, text: &str) -> Prepared {
    let mut prepared = Prepared::default();
    let numeric = [("votes", NumericValue::Number(0.25))];
    model.contract().apply(ContractMode::Warn, &Input { text, numeric: &numeric }, &mut prepared).unwrap();
    prepared
}

fn values<'a>(model: &dyn Model, text: &'a str, class: usize, limit: usize) -> Vec<(&'a str, f64)> {
    let tokens = occlusion(model, text, &prepared(model, text), class, limit, Stop::never()).unwrap();
    tokens.into_iter().map(|token| (&text[token.start..token.end], (token.value * 1e6).round() / 1e6)).collect()
}

#[test]
fn a_word_is_worth_what_the_log_odds_lose_without_it() {
    let text = "A <b>Great</b> caf&eacute;,  CAF\u{c9} &amp; boring: 日本語 🦀 http://great.example";
    let expected =
        [("A", 0.0), ("Great", 2.0), ("caf&eacute;", 0.5), ("CAF\u{c9}", 0.5), ("boring", -1.0), ("日本語", 0.0)];
    assert_eq!(values(&model(), text, 1, MAX_TOKENS), expected);
    let against: Vec<_> =
        expected.iter().map(|(word, value)| (*word, if *value == 0.0 { 0.0 } else { -value })).collect();
    assert_eq!(values(&model(), text, 0, MAX_TOKENS), against, "two classes mirror each other");
}

#[test]
fn the_only_word_is_measured_against_no_word() {
    assert_eq!(values(&model(), "  great!", 1, MAX_TOKENS), [("great", 2.0)]);
    // The toy scores the length of the cleaned text: 5 characters at 0.25, of which nothing is left.
    assert_eq!(values(&toy(), "caf&eacute;s", 1, MAX_TOKENS), [("caf&eacute;s", 0.25 * 6.0)]);
}

#[test]
fn a_long_text_is_tried_in_windows() {
    let text = "great ".repeat(10);
    let model = model();
    let found = values(&model, &text, 1, 4);
    assert_eq!(found.len(), 4, "10 words in windows of 3");
    assert_eq!(found[0].0, "great great great");
    assert_eq!(found[3], ("great", 2.0));
    assert_eq!(model.predicted.load(Ordering::Relaxed), 5);
    assert_eq!(values(&model, "great boring", 1, 0), [("great boring", 1.0)], "a limit of 0 is one of 1");
    assert_eq!(values(&model, "great boring", 1, 2).len(), 2);
}

#[test]
fn certainty_is_finite() {
    let found = values(&model(), "certainly boring", 1, MAX_TOKENS);
    assert_eq!(found[1], ("boring", 0.0), "it is certain either way");
    assert!(found[0].1 > 27.0 && found[0].1 < 56.0, "{found:?}");
    assert!(values(&model(), "certainly boring", 0, MAX_TOKENS).iter().all(|(_, value)| value.is_finite()));
}

#[test]
fn it_stops_when_asked() {
    let (model, text) = (model(), "great ".repeat(100));
    let stop = || model.predicted.load(Ordering::Relaxed) >= 7;
    let error = occlusion(&model, &text, &prepared(&model, &text), 1, 512, Stop::when(&stop)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert_eq!(model.predicted.load(Ordering::Relaxed), 7);
}

#[test]
fn an_unknown_class_is_refused() {
    let model = toy();
    let error = occlusion(&model, "great", &prepared(&model, "great"), 2, 512, Stop::never()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidArgument);
}
