//! What goes in: weights, classes, small and broken data, parameters.

use serde_json::{Value, json};
use tenor_features::dense::DenseMatrix;
use tenor_learn::FitContext;
use tenor_learn::params::Params;

use super::*;

#[test]
fn a_row_weight_counts_as_that_many_rows() {
    let (matrix, labels) = clouds(60, 4, 2, 9);
    let weights: Vec<f32> = (0..60).map(|row| if row % 3 == 0 { 2.0 } else { 1.0 }).collect();
    let twice: Vec<usize> = (0..60).chain((0..60).step_by(3)).collect();
    let doubled = DenseMatrix { width: 4, values: twice.iter().flat_map(|&row| matrix.row(row).to_vec()).collect() };
    let doubled_labels: Vec<u32> = twice.iter().map(|&row| labels[row]).collect();
    // One batch an epoch: the gradients are then equal but for rounding.
    let params = params(json!({"early_stopping": false, "max_iter": 20, "batch_size": 100, "alpha": 0.0}));
    let quiet = FitContext::quiet(2);
    let weighted = Mlp::fit(
        Training { matrix: &matrix, labels: &labels, classes: 2, weights: &weights, validation: None },
        &params,
        &quiet,
    )
    .unwrap();
    let repeated = Mlp::fit(
        Training { matrix: &doubled, labels: &doubled_labels, classes: 2, weights: &[1.0; 80], validation: None },
        &params,
        &quiet,
    )
    .unwrap();
    for (one, other) in answers(&weighted, &matrix, 2).iter().zip(answers(&repeated, &matrix, 2)) {
        assert!((one[0] - other[0]).abs() < 1e-3, "{one:?} {other:?}");
    }
}

#[test]
fn a_class_without_rows_is_hardly_ever_answered() {
    let mut data = clouds(300, 6, 4, 3);
    data.1.iter_mut().for_each(|label| *label = if *label < 2 { 1 } else { 3 });
    let mlp = fit(&data, 5, json!({}), &FitContext::quiet(1)).unwrap();
    for answer in answers(&mlp, &data.0, 5) {
        assert!([0, 2, 4].iter().all(|&class| answer[class] < 1e-12), "{answer:?}");
    }
}

#[test]
fn few_rows_and_rows_of_weight_zero_are_enough() {
    let data = (DenseMatrix { width: 2, values: vec![0.0, 1.0, 1.0, 0.0] }, vec![0, 1]);
    let quiet = FitContext::quiet(1);
    for given in [json!({}), json!({"batch_size": 4096}), json!({"batch_size": 1, "dropout": 0.9})] {
        fit(&data, 2, given, &quiet).unwrap();
    }
    let empty = DenseMatrix::default();
    let valid = Some((&empty, &[][..]));
    let mlp = Mlp::fit(
        Training { matrix: &data.0, labels: &data.1, classes: 2, weights: &[0.0, 1.0], validation: valid },
        &params(json!({})),
        &quiet,
    )
    .unwrap();
    assert!(answers(&mlp, &data.0, 2).iter().flatten().all(|p| p.is_finite()));
}

#[test]
fn what_cannot_be_learned_is_a_clear_error() {
    let quiet = FitContext::quiet(1);
    let (matrix, labels) = clouds(30, 3, 2, 1);
    let error = |matrix: &DenseMatrix, labels: &[u32], weights: &[f32], valid: Option<(&DenseMatrix, &[u32])>| {
        Mlp::fit(Training { matrix, labels, classes: 2, weights, validation: valid }, &params(json!({})), &quiet)
            .map(|_| ())
            .unwrap_err()
    };
    let ones = [1.0; 30];
    for value in [f32::NAN, f32::INFINITY] {
        let mut spoiled = matrix.clone();
        spoiled.values[3 * 7 + 2] = value;
        let found = error(&spoiled, &labels, &ones, None);
        assert_eq!(found.message, format!("`features` must be finite; training row 7, column 2 holds {value}"));
        let found = error(&matrix, &labels, &ones, Some((&spoiled, &labels)));
        assert!(found.message.contains("validation row 7"), "{found}");
    }
    assert_eq!(error(&matrix, &[1; 30], &ones, None).reason, "TOO_FEW_CLASSES");
    assert_eq!(error(&DenseMatrix::default(), &[], &[], None).reason, "TOO_FEW_CLASSES");
    assert_eq!(error(&DenseMatrix { width: 1, values: vec![1.0] }, &[1], &[1.0], None).reason, "TOO_FEW_CLASSES");
    let narrow = DenseMatrix::zeros(30, 2);
    for (found, field) in [
        (error(&matrix, &labels[1..], &ones[1..], None), "labels"),
        (error(&matrix, &[2; 30], &ones, None), "labels"),
        (error(&DenseMatrix::default(), &labels, &ones, None), "features"),
        (error(&matrix, &labels, &ones[1..], None), "weights"),
        (error(&matrix, &labels, &[-1.0; 30], None), "weights"),
        (error(&matrix, &labels, &[f32::NAN; 30], None), "weights"),
        (error(&matrix, &labels, &[0.0; 30], None), "weights"),
        (error(&matrix, &labels, &ones, Some((&narrow, &labels))), "features"),
    ] {
        assert_eq!(found.violations[0].field, field, "{found}");
    }
}

#[test]
fn a_loss_beyond_all_numbers_says_what_to_do() {
    let mut data = clouds(300, 3, 2, 1);
    data.0.values.iter_mut().for_each(|value| *value *= 1e30);
    let given = json!({"learning_rate_init": 10.0, "hidden_layer_sizes": [64, 64]});
    let error = fit(&data, 2, given.clone(), &FitContext::quiet(1)).map(|_| ()).unwrap_err();
    assert_eq!(error.reason, "TRAINING_DIVERGED");
    assert!(error.message.contains("lower `learning_rate_init`, now 10"), "{error}");
    // Too large for the very first forward pass.
    data.0.values.fill(f32::MAX);
    let error = fit(&data, 2, given, &FitContext::quiet(1)).map(|_| ()).unwrap_err();
    assert_eq!(error.reason, "TRAINING_DIVERGED");
}

#[test]
fn parameters_are_completed_and_checked_by_name() {
    let defaults = defaults();
    let complete = |given: Value| {
        let mut params = Params::new(&given, &defaults)?;
        MlpParams::read(&mut params).map(|_| params.complete())
    };
    assert_eq!(complete(Value::Null).unwrap(), defaults);
    let given = json!({"hidden_layer_sizes": 64.0, "batch_size": 32.0, "optimizer": "adamw"});
    let canonical = complete(given).unwrap();
    assert_eq!((&canonical["hidden_layer_sizes"], &canonical["batch_size"]), (&json!([64]), &json!(32)));
    assert_eq!(complete(canonical.clone()).unwrap(), canonical);
    for (name, value) in [
        ("hidden_layer_sizes", json!([])),
        ("hidden_layer_sizes", json!([1, 2, 3, 4, 5])),
        ("hidden_layer_sizes", json!([0])),
        ("hidden_layer_sizes", json!([4_096])),
        ("hidden_layer_sizes", json!("128")),
        ("hidden_layer_sizes", json!([1.5])),
        ("batch_size", json!(0)),
        ("batch_size", json!("all")),
        ("batch_size", json!(1e9)),
        ("activation", json!("step")),
        ("optimizer", json!(null)),
        ("dropout", json!(1.0)),
        ("learning_rate_init", json!(0)),
        ("max_iter", json!(0)),
        ("early_stopping", json!(1)),
        ("validation_fraction", json!(1.0)),
    ] {
        let error = complete(json!({ name: value })).unwrap_err();
        assert_eq!(error.violations[0].field, format!("params.{name}"), "{error}");
    }
}
