//! Penalties, sample weights and naive Bayes against scikit-learn 1.9.1.

use serde_json::{Value, json};
use tenor_features::Stop;
use tenor_learn::{Examples, FitContext, Model, Trainer, TrainingData, predict_all};

use super::{ComplementNb, LogisticRegression};
use crate::testing::contract;
use crate::trainer::KindTrainer;

#[derive(serde::Deserialize)]
struct Golden {
    penalties: Vec<Case>,
    bayes: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    classes: usize,
    texts: Vec<String>,
    labels: Vec<u32>,
    weights: Vec<f64>,
    test: Vec<String>,
    probabilities: Vec<Vec<f64>>,
    #[serde(flatten)]
    params: serde_json::Map<String, Value>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../../tests/golden/linear.json")).unwrap()
}

fn examples(texts: &[String], weights: &[f64], labels: &[u32]) -> Examples {
    Examples {
        row_ids: (0..texts.len() as i64).collect(),
        texts: texts.to_vec(),
        cleaned: texts.to_vec(),
        numeric: weights.iter().flat_map(|weight| [*weight, 0.0]).collect(),
        width: 2,
        labels: labels.to_vec(),
    }
}

/// The farthest probability from scikit-learn's, and the model.
fn farthest(trainer: &dyn Trainer, case: &Case, params: Value) -> (f64, Box<dyn Model>) {
    let train = examples(&case.texts, &case.weights, &case.labels);
    let data = TrainingData { contract: contract(case.classes), train, validation: None };
    let model = trainer.fit(&data, &params, &FitContext::quiet(1)).unwrap();
    let test = examples(&case.test, &vec![1.0; case.test.len()], &vec![0; case.test.len()]);
    let found = predict_all(model.as_ref(), &test, Stop::never()).unwrap();
    (found.iter().zip(case.probabilities.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max), model)
}

/// Within 1e-5 of the solver `saga`, and with as many weights that are not zero.
#[test]
fn penalties_and_sample_weights_equal_scikit_learns() {
    for case in golden().penalties {
        let ratio = case.params["l1_ratio"].as_f64().unwrap();
        let (farthest, model) = farthest(
            &KindTrainer::<LogisticRegression>::new(),
            &case,
            json!({"C": case.params["C"], "penalty": if ratio == 1.0 { "l1" } else { "elastic_net" }, "l1_ratio": ratio, "sample_weight": "x",
                   "use_numeric": false, "max_features": null, "tol": 1e-9, "max_iter": 20_000}),
        );
        assert!(farthest < 1e-5, "{:?}: {farthest}", case.params);
        // saga keeps one column a class for two classes too, with the same number of weights in it.
        let biases = if case.classes == 2 { 1 } else { case.classes as u64 };
        let nonzero = case.params["nonzero"].as_u64().unwrap();
        assert!((model.size().nonzero - biases).abs_diff(nonzero) <= nonzero / 50, "{:?} {nonzero}", model.size());
    }
}

/// Within 1e-6: weights are stored as f32.
#[test]
fn complement_naive_bayes_equals_scikit_learns() {
    for case in golden().bayes {
        let params = json!({"alpha": case.params["alpha"], "norm": case.params["norm"], "sample_weight": "x", "max_features": null});
        let (farthest, _) = farthest(&KindTrainer::<ComplementNb>::new(), &case, params);
        assert!(farthest < 1e-6, "{:?}: {farthest}", case.params);
    }
}
