use std::sync::Mutex;

use pulp::Arch;
use serde_json::{Value, json};
use tenor_features::Stop;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::FitContext;
use tenor_learn::params::Params;

use super::grow::{Ground, Scratch};
use super::histogram::{Pair, Units, blocks};
use super::loss::Derivatives;
use super::options::defaults;
use super::split::{Better, Offer, Rules, Scan, Split};
use super::stopping::should_stop;
use super::*;
use crate::trees::binner::bin_columns;
use crate::trees::testing::{
    accuracy, check_cancel, check_file, fit, generated, golden, interrupted, matrix_of, numbers, options, probabilities,
};

#[test]
fn predictions_are_those_of_scikit_learn() {
    for case in golden()["boosting"].as_array().unwrap() {
        let (matrix, classes) = (matrix_of(&case["x"]), case["classes"].as_u64().unwrap() as usize);
        let labels: Vec<u32> = numbers(&case["y"]).into_iter().map(|label| label as u32).collect();
        let weights: Vec<f32> = numbers(&case["weights"]).into_iter().map(|weight| weight as f32).collect();
        let mut given = case["params"].clone();
        given["early_stopping"] = json!(false);
        let context = FitContext::quiet(1);
        let model = Boosting::fit(
            Training { matrix: &matrix, labels: &labels, classes, weights: &weights, validation: None },
            &options::<Boosting>(given),
            &context,
        )
        .unwrap();
        let got = probabilities(&model, &matrix_of(&case["rows"]), classes);
        let wanted: Vec<f64> = case["probabilities"].as_array().unwrap().iter().flat_map(numbers).collect();
        let largest = got.iter().zip(&wanted).fold(0.0f64, |largest, (got, wanted)| largest.max((got - wanted).abs()));
        assert!(largest < 1e-6, "{}: {largest}", case["params"]);
    }
}

#[test]
fn a_model_learns_and_answers_the_same_on_any_number_of_threads() {
    for classes in [2, 3] {
        // Enough for a node's columns to be looked at by several threads. The last column is the first once more, so that splits are equal.
        let twice = |(mut matrix, labels): (DenseMatrix, Vec<u32>)| {
            matrix.values.chunks_mut(12).for_each(|row| row[11] = row[0]);
            (matrix, labels)
        };
        let (matrix, labels) = twice(generated(3_000, 12, classes, 3));
        let (test, test_labels) = twice(generated(800, 12, classes, 4));
        let weights: Vec<f32> = labels.iter().map(|label| 0.7 + *label as f32 / 3.0).collect();
        let given = json!({ "max_iter": 30, "max_split_features": 0.5, "early_stopping": true });
        let fit = |threads, seed| {
            let context = FitContext { threads, ..FitContext::quiet(seed) };
            let params = options::<Boosting>(given.clone());
            context
                .in_pool(|| {
                    Boosting::fit(
                        Training { matrix: &matrix, labels: &labels, classes, weights: &weights, validation: None },
                        &params,
                        &context,
                    )
                })
                .unwrap()
        };
        let model = fit(1, 7);
        assert_eq!(model, fit(3, 7));
        assert_ne!(model, fit(1, 8));
        let reached = accuracy(&probabilities(&model, &test, model.classes), &test_labels, classes);
        assert!(reached > 0.75, "{classes} classes: {reached}");
    }
}

#[test]
fn an_interrupted_fit_ends_in_the_same_model() {
    let (matrix, labels) = generated(600, 5, 3, 3);
    let (valid, valid_labels) = generated(200, 5, 3, 4);
    let weights = vec![1.0; labels.len()];
    let params = options::<Boosting>(json!({ "max_iter": 12, "early_stopping": true, "max_split_features": 0.5 }));
    for valid in [None, Some((&valid, valid_labels.as_slice()))] {
        let whole = Boosting::fit(
            Training { matrix: &matrix, labels: &labels, classes: 3, weights: &weights, validation: valid },
            &params,
            &FitContext::quiet(5),
        )
        .unwrap();
        let fit = |context: &FitContext<'_>| {
            Boosting::fit(
                Training { matrix: &matrix, labels: &labels, classes: 3, weights: &weights, validation: valid },
                &params,
                context,
            )
        };
        let (resumed, interruptions) = interrupted(5, 5, fit);
        assert!(interruptions > 1);
        assert_eq!(whole, resumed);
    }
}

#[test]
fn a_row_of_weight_zero_counts_as_none() {
    let (matrix, labels) = generated(300, 4, 2, 3);
    let kept: Vec<usize> = (0..300).filter(|row| row % 3 > 0).collect();
    let values = kept.iter().flat_map(|row| matrix.row(*row).to_vec()).collect();
    let kept_labels: Vec<u32> = kept.iter().map(|row| labels[*row]).collect();
    let weights: Vec<f32> = (0..300).map(|row| if row % 3 > 0 { 1.0 } else { 0.0 }).collect();
    let context = FitContext::quiet(1);
    let weighted = Boosting::fit(
        Training { matrix: &matrix, labels: &labels, classes: 2, weights: &weights, validation: None },
        &options::<Boosting>(json!({})),
        &context,
    )
    .unwrap();
    assert_eq!(weighted, fit::<Boosting>(&DenseMatrix { width: 4, values }, &kept_labels, 2, json!({})));
}

#[test]
fn degenerate_data_makes_single_leaves_or_clear_answers() {
    let check = |matrix: &DenseMatrix, labels: &[u32], classes: usize, given: Value, wanted: &[f64]| {
        let model = fit::<Boosting>(matrix, labels, classes, given);
        let mut p = vec![0.0; classes];
        model.predict_into(matrix.row(0), &mut Vec::new(), &mut p);
        assert!(p.iter().zip(wanted).all(|(p, wanted)| (p - wanted).abs() < 1e-6), "{p:?} {wanted:?}");
        if model.trees.nodes.iter().all(|node| node.is_leaf()) {
            assert!(model.importances().iter().all(|gain| *gain == 0.0));
        }
    };
    let (matrix, labels) = generated(60, 4, 2, 3);
    check(&matrix, &[1; 60], 2, json!({}), &[0.0, 1.0]);
    check(&matrix, &[1; 60], 3, json!({}), &[0.0, 1.0, 0.0]);
    check(&matrix, &[0; 60], 1, json!({}), &[1.0]);
    let share = labels.iter().sum::<u32>() as f64 / 60.0;
    check(&matrix, &labels, 2, json!({ "min_samples_leaf": 1_000 }), &[1.0 - share, share]);
    let halves: Vec<u32> = (0..60).map(|row| row % 2).collect();
    check(&DenseMatrix { width: 2, values: vec![3.0; 120] }, &halves, 2, json!({}), &[0.5, 0.5]);
    check(&DenseMatrix { width: 2, values: vec![f32::NAN; 120] }, &halves, 2, json!({}), &[0.5, 0.5]);
    check(&DenseMatrix { width: 1, values: vec![1.0] }, &[1], 2, json!({ "early_stopping": true }), &[0.0, 1.0]);
    let huge = DenseMatrix { width: 1, values: (0..60).map(|row| [f32::MIN, f32::MAX][row % 2]).collect() };
    let model = fit::<Boosting>(&huge, &halves, 2, json!({}));
    assert_eq!(accuracy(&probabilities(&model, &huge, model.classes), &halves, 2), 1.0);
}

#[test]
fn extreme_weights_keep_the_numbers_finite() {
    let (matrix, labels) = generated(300, 4, 2, 3);
    for (low, high) in [(1e-30, 1e-30), (1e30, 1e30), (1e-20, 1e20)] {
        let weights: Vec<f32> = (0..300).map(|row| if row % 2 == 0 { low } else { high }).collect();
        let context = FitContext::quiet(1);
        let model = Boosting::fit(
            Training { matrix: &matrix, labels: &labels, classes: 2, weights: &weights, validation: None },
            &options::<Boosting>(json!({})),
            &context,
        )
        .unwrap();
        probabilities(&model, &matrix, model.classes);
    }
}

#[test]
fn missing_values_go_where_they_help() {
    let values: Vec<f32> = (0..400).map(|row| if row % 4 == 0 { f32::NAN } else { (row % 50) as f32 }).collect();
    let labels: Vec<u32> = values.iter().map(|value| u32::from(value.is_nan() || *value > 30.0)).collect();
    let matrix = DenseMatrix { width: 1, values };
    let model = fit::<Boosting>(&matrix, &labels, 2, json!({ "min_samples_leaf": 5 }));
    assert_eq!(accuracy(&probabilities(&model, &matrix, model.classes), &labels, 2), 1.0);
}

#[test]
fn contributions_add_up_to_the_score() {
    for classes in [2, 3] {
        let (matrix, labels) = generated(500, 6, classes, 3);
        let model = fit::<Boosting>(&matrix, &labels, classes, json!({ "max_iter": 20 }));
        let (mut contributions, mut p) = (vec![0.0; 6], vec![0.0; classes]);
        for row in 0..50 {
            model.predict_into(matrix.row(row), &mut Vec::new(), &mut p);
            let mut scores = vec![];
            for class in 0..classes {
                let (bias, total) = model.attribute(matrix.row(row), class, &mut contributions);
                assert!((bias + contributions.iter().sum::<f64>() - total).abs() < 1e-12);
                assert_eq!(contributions[2], 0.0, "a constant column");
                scores.push(total);
            }
            let odds = if classes == 2 { scores[1] } else { scores[1] - scores[0] };
            assert!((odds - (p[1] / p[0]).ln()).abs() < 1e-6, "{scores:?} {p:?}");
        }
    }
}

#[test]
fn importances_find_the_columns_that_matter() {
    let (matrix, labels) = generated(1_000, 8, 2, 3);
    let gains = fit::<Boosting>(&matrix, &labels, 2, json!({ "max_iter": 20 })).importances();
    assert!((gains.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(gains[0] > 2.0 * gains[4] && gains[1] > 2.0 * gains[4] && gains[2] == 0.0, "{gains:?}");
}

#[test]
fn a_fit_stops_when_the_validation_loss_no_longer_falls() {
    let (matrix, labels) = generated(1_000, 5, 2, 3);
    let (valid, valid_labels) = generated(500, 5, 2, 4);
    let logged = Mutex::new(Vec::new());
    let on_metric = |key: &str, value: f64, step: i64| logged.lock().unwrap().push((key.to_owned(), value, step));
    let context = FitContext { on_metric: &on_metric, ..FitContext::quiet(1) };
    let params = options::<Boosting>(json!({ "early_stopping": true, "max_iter": 500, "n_iter_no_change": 5 }));
    let weights = vec![1.0; labels.len()];
    let valid = Some((&valid, valid_labels.as_slice()));
    let model = Boosting::fit(
        Training { matrix: &matrix, labels: &labels, classes: 2, weights: &weights, validation: valid },
        &params,
        &context,
    )
    .unwrap();
    assert!(model.trees.len() < 400, "{}", model.trees.len());
    let logged = logged.into_inner().unwrap();
    let of = |key: &str| -> Vec<(f64, i64)> {
        logged.iter().filter(|(k, _, _)| k == key).map(|(_, value, step)| (*value, *step)).collect()
    };
    let (train, val) = (of("train/loss"), of("val/loss"));
    assert_eq!(train.len(), model.trees.len() + 1);
    assert!(train.windows(2).all(|pair| pair[1].0 < pair[0].0), "the training loss falls");
    let losses: Vec<f64> = val.iter().map(|(loss, _)| *loss).collect();
    assert_eq!(losses.len(), model.trees.len());
    assert!(should_stop(&losses, 5, 1e-7) && !should_stop(&losses[..losses.len() - 1], 5, 1e-7));
}

#[test]
fn patience_counts_from_the_loss_before_the_last_few() {
    let check = |losses: &[f64], wanted: bool| assert_eq!(should_stop(losses, 2, 0.1), wanted, "{losses:?}");
    check(&[], false);
    check(&[1.0, 2.0], false);
    check(&[1.0, 2.0, 3.0], true);
    check(&[1.0, 2.0, 0.8], false);
    check(&[1.0, 0.95, 0.95], true);
}

#[test]
fn what_was_saved_answers_as_what_was_fitted_and_hostile_files_are_refused() {
    check_file::<Boosting>(&json!({ "max_iter": 5 }));
}

#[test]
fn a_cancelled_fit_ends_soon() {
    check_cancel::<Boosting>(300);
}

#[test]
fn parameters_are_read_and_completed() {
    let read = |given: Value| {
        let defaults = defaults();
        let mut params = Params::new(&given, &defaults).unwrap();
        BoostingParams::read(&mut params).map(|read| (read, params.complete()))
    };
    assert_eq!(read(json!({})).unwrap().1, defaults());
    let auto = read(json!({})).unwrap().0.early_stopping;
    assert!(!auto.wanted(10_000) && auto.wanted(10_001));
    for (name, value) in [("early_stopping", json!("maybe")), ("learning_rate", json!(0)), ("max_leaf_nodes", json!(1))]
    {
        let error = read(json!({ name: value })).unwrap_err();
        assert_eq!(error.violations[0].field, format!("params.{name}"));
    }
}

#[test]
fn the_best_split_is_that_of_trying_every_one() {
    let mut random = Random::new(9, 0);
    let mut met = [0; 2];
    for case in 0..400 {
        let (rows, numbers, missing) = (20 + random.below(200), 2 + random.below(40), case % 2 == 0);
        let derivatives: Vec<_> = (0..rows).map(|_| (random.unit() as f32 - 0.5, random.unit() as f32)).collect();
        let units = Units::new(&derivatives);
        let mut bins = vec![[0, 0]; numbers + 1];
        for pair in &derivatives {
            // Some bins stay empty.
            let bin = random.below(numbers + usize::from(missing)) / 2 * 2;
            let sums = units.pack(*pair);
            bins[bin] = [bins[bin][0] + sums[0], bins[bin][1] + sums[1]];
        }
        let sum = |bins: &[Pair]| bins.iter().fold([0, 0], |sum: Pair, bin| [sum[0] + bin[0], sum[1] + bin[1]]);
        let less = |sums: Pair, other: Pair| [sums[0] - other[0], sums[1] - other[1]];
        let (total, min_samples_leaf) = (sum(&bins), 1 + random.below(10) as u32);
        let rules = Rules::new(min_samples_leaf, 0.5, units);
        // A root scores nothing yet.
        let score = if case % 3 == 0 { 0.0 } else { rules.score(total) };
        let mut wanted: Option<(f64, usize, bool, Pair)> = None;
        let mut offer = |bin: usize, missing_left: bool, left: Pair| {
            let right = less(total, left);
            let gain = rules.score(left) + rules.score(right) - score;
            let allowed = [left, right].iter().all(|side| units.count(*side) >= u64::from(min_samples_leaf));
            if allowed && gain > wanted.map_or(0.0, |best| best.0) {
                wanted = Some((gain, bin, missing_left, left));
            }
        };
        (0..if missing { numbers } else { numbers - 1 }).for_each(|bin| offer(bin, false, sum(&bins[..=bin])));
        if missing && bins[numbers] != [0, 0] {
            (0..numbers - 1).rev().for_each(|bin| offer(bin, true, less(total, sum(&bins[bin + 1..numbers]))));
        }
        let offer = Offer { feature: 3, bins: &bins, missing, total, score };
        let better_than = |best| Arch::new().dispatch(Better { best, offer, rules: &rules, scan: &mut Scan::new() });
        let found = better_than(None);
        let found = found.map(|split| {
            met[usize::from(split.missing_left)] += 1;
            assert!((split.gain - wanted.unwrap().0).abs() < 1e-9, "case {case}: {split:?}");
            let other = Split { feature: 4, ..split };
            assert_eq!(better_than(Some(other)), Some(other), "case {case}: an equal split is no better one");
            let lower = Split { gain: split.gain.next_down(), ..other };
            assert_eq!(better_than(Some(lower)), Some(split), "case {case}: by one digit");
            (split.bin, split.missing_left, split.left)
        });
        assert_eq!(found, wanted.map(|(_, bin, missing_left, left)| (bin, missing_left, left)), "case {case}");
    }
    assert!(met.iter().all(|met| *met > 20), "{met:?}");
}

#[test]
fn a_tree_is_the_same_however_wide_its_histograms_are() {
    let (matrix, labels) = generated(900, 6, 2, 3);
    let rows: Vec<u32> = (0..900).collect();
    let columns = bin_columns(&matrix, &rows, 63, 1, Stop::never()).unwrap();
    let blocks = blocks(&columns, rows.len());
    let mut params =
        Params::new(&Value::Null, &defaults()).map(|mut params| BoostingParams::read(&mut params)).unwrap().unwrap();
    params.min_samples_leaf = 3;
    let ground =
        Ground { columns: &columns, blocks: &blocks, params: &params, seed: 5, stop: Stop::never(), arch: Arch::new() };
    let derivatives: Vec<Derivatives> = labels.iter().map(|label| (0.5 - *label as f32, 0.25)).collect();
    let mut scores = [vec![0.0; 900], vec![0.0; 900], vec![0.0; 900]];
    let [narrow, middle, wide] = &mut scores;
    let grown = [
        ground.grow::<64>(0, &derivatives, narrow, &mut Scratch::default()).unwrap(),
        ground.grow::<128>(0, &derivatives, middle, &mut Scratch::default()).unwrap(),
        ground.grow::<256>(0, &derivatives, wide, &mut Scratch::default()).unwrap(),
    ];
    assert!(grown[0].tree.nodes.len() > 20);
    for other in &grown[1..] {
        assert_eq!((&grown[0].tree, &grown[0].gains), (&other.tree, &other.gains));
    }
    assert!(scores[0] == scores[1] && scores[0] == scores[2]);
}
