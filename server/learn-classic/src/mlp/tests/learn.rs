//! What is learned and when it stops.

use std::sync::Mutex;

use serde_json::json;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::FitContext;

use super::*;

#[test]
fn exclusive_or_is_learned() {
    let mut random = Random::new(1, 1);
    let mut data = (DenseMatrix::zeros(800, 2), Vec::new());
    for row in data.0.values.chunks_mut(2) {
        row.iter_mut().for_each(|value| *value = (random.unit() * 2.0 - 1.0) as f32);
        data.1.push(u32::from((row[0] > 0.0) != (row[1] > 0.0)));
    }
    for given in [json!({}), json!({"activation": "tanh", "optimizer": "adamw", "hidden_layer_sizes": [32, 16]})] {
        let mut given = given;
        given["learning_rate_init"] = json!(0.01);
        given["max_iter"] = json!(200);
        let mlp = fit(&data, 2, given, &FitContext::quiet(1)).unwrap();
        let accuracy = accuracy(&mlp, &data, 2);
        assert!(accuracy > 0.95, "{accuracy}");
    }
    let linear = fit(&data, 2, json!({"activation": "identity"}), &FitContext::quiet(1)).unwrap();
    assert!(accuracy(&linear, &data, 2) < 0.7);
}

#[test]
fn early_stopping_keeps_the_weights_of_the_best_epoch() {
    let (train, valid) = (clouds(200, 20, 2, 3), clouds(300, 20, 2, 4));
    let losses = Mutex::new(Vec::new());
    let on_metric = |key: &str, value: f64, step: i64| {
        if key == "val/loss" {
            let mut losses = losses.lock().unwrap();
            assert_eq!(losses.len() as i64, step);
            losses.push(value);
        }
    };
    let context = FitContext { on_metric: &on_metric, ..FitContext::quiet(1) };
    let params = params(json!({"learning_rate_init": 0.02, "max_iter": 300, "n_iter_no_change": 8}));
    let watched = Some((&valid.0, valid.1.as_slice()));
    let mlp = Mlp::fit(
        Training { matrix: &train.0, labels: &train.1, classes: 2, weights: &vec![3.0; 200], validation: watched },
        &params,
        &context,
    )
    .unwrap();
    let losses = losses.into_inner().unwrap();
    assert!(losses.len() > 9 && losses.len() < 300, "{losses:?}");
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses[losses.len() - 1] > best);
    let answers = answers(&mlp, &valid.0, 2);
    let loss = answers.iter().zip(&valid.1).map(|(answer, label)| -answer[*label as usize].ln()).sum::<f64>() / 300.0;
    assert!((loss - best).abs() < 1e-6, "{loss} is not {best}");
}

#[test]
fn without_early_stopping_the_training_loss_decides() {
    let data = clouds(100, 4, 2, 3);
    let epochs = Mutex::new(0.0);
    let on_metric = |key: &str, value: f64, _: i64| {
        assert_ne!(key, "val/loss");
        if key == "train/epochs" {
            *epochs.lock().unwrap() = value;
        }
    };
    let context = FitContext { on_metric: &on_metric, ..FitContext::quiet(1) };
    fit(&data, 2, json!({"early_stopping": false, "tol": 1.0, "n_iter_no_change": 4}), &context).unwrap();
    // The first epoch improves on infinity, five do not by 1.
    assert_eq!(*epochs.lock().unwrap(), 6.0);
}
