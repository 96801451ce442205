//! Seeded data for tests.

use serde_json::json;
use tenor_features::contract::FeatureContract;
use tenor_features::random::Random;
use tenor_features::text::lexicon_digest;
use tenor_learn::{Examples, TrainingData};

/// A contract of `classes` classes and two numeric features, `x` and `y`.
pub(crate) fn contract(classes: usize) -> FeatureContract {
    let numeric = ["x", "y"].map(|name| {
        json!({ "name": name, "source": "caller", "min": -1e9, "max": 1e9, "mean": 0.0, "std": 1.0, "default": 0.5 })
    });
    let classes: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
    serde_json::from_value(json!({
        "format": 1, "text_column": "text", "cleaning": "unicode", "min_chars": 1, "max_chars": 1000,
        "lexicon": lexicon_digest(), "classes": classes, "stars": null, "numeric": numeric,
    }))
    .unwrap()
}

/// Rows whose words depend on their class, and two numbers of which the first does.
pub(crate) fn examples(rows: usize, classes: usize, seed: u64) -> Examples {
    let mut random = Random::new(seed, 0);
    let mut examples = Examples { width: 2, ..Examples::default() };
    for row in 0..rows {
        let class = random.below(classes);
        let words = (0..10 + random.below(20)).map(|_| match random.below(6) {
            0 => format!("cue{class}x{}", random.below(40)),
            _ => {
                let limit = 1 + random.below(2_000);
                format!("word{}", random.below(limit))
            }
        });
        let text = words.collect::<Vec<_>>().join(" ");
        examples.row_ids.push(row as i64);
        examples.texts.push(text.clone());
        examples.cleaned.push(text);
        examples.numeric.extend([(class + random.below(5)) as f64, random.below(100) as f64]);
        examples.labels.push(class as u32);
    }
    examples
}

/// Training rows and, a quarter as many, validation rows.
pub(crate) fn generated(rows: usize, classes: usize, seed: u64) -> TrainingData {
    let validation = Some(examples(rows / 4, classes, seed + 1));
    TrainingData { contract: contract(classes), train: examples(rows, classes, seed), validation }
}
