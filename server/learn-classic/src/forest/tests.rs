use std::sync::Mutex;

use serde_json::{Value, json};
use tenor_features::Stop;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::FitContext;
use tenor_learn::params::Params;

use super::options::{Criterion, MaxFeatures, defaults};
use super::sample::{Sample, Units};
use super::split::{Histogram, Members, Offer, Rules, Split, node_score};
use super::*;
use crate::dense::importance::permutation_importance;
use crate::trees::testing::{
    accuracy, check_cancel, check_file, fit, generated, golden, interrupted, matrix_of, numbers, options, probabilities,
};

#[test]
fn a_tree_without_chance_is_that_of_scikit_learn() {
    for case in golden()["forest"].as_array().unwrap() {
        let (matrix, classes) = (matrix_of(&case["x"]), case["classes"].as_u64().unwrap() as usize);
        let labels: Vec<u32> = numbers(&case["y"]).into_iter().map(|label| label as u32).collect();
        let weights: Vec<f32> = numbers(&case["weights"]).into_iter().map(|weight| weight as f32).collect();
        let mut given = case["params"].clone();
        given["n_estimators"] = json!(1);
        given["bootstrap"] = json!(false);
        given["max_split_features"] = json!(null);
        let context = FitContext::quiet(1);
        let forest = Forest::fit(
            Training { matrix: &matrix, labels: &labels, classes, weights: &weights, validation: None },
            &options::<Forest>(given),
            &context,
        )
        .unwrap();
        let wanted: Vec<f64> = case["probabilities"].as_array().unwrap().iter().flat_map(numbers).collect();
        let got = probabilities(&forest, &matrix, forest.classes);
        // Shares are kept as f32.
        assert!(got.iter().zip(&wanted).all(|(got, wanted)| (got - wanted).abs() < 1e-6));
        let importances = numbers(&case["importances"]);
        assert!(forest.importances().iter().zip(&importances).all(|(got, wanted)| (got - wanted).abs() < 1e-9));
    }
}

#[test]
fn columns_that_never_vary_take_no_places_among_those_that_are_drawn() {
    let (matrix, labels) = generated(600, 6, 3, 5);
    let between = [f32::NAN, 0.0, 7.5];
    let row = |row: &[f32]| row.iter().flat_map(|value| [*value].into_iter().chain(between)).collect::<Vec<_>>();
    let values: Vec<f32> = matrix.values.chunks(matrix.width).flat_map(row).collect();
    let wide = DenseMatrix { values, width: 4 * matrix.width };
    let given = json!({ "n_estimators": 20, "max_split_features": 2 });
    let narrow = fit::<Forest>(&matrix, &labels, 3, given.clone());
    let fitted = fit::<Forest>(&wide, &labels, 3, given);
    assert_eq!(probabilities(&fitted, &wide, 3), probabilities(&narrow, &matrix, 3));
    let importances: Vec<f64> = fitted.importances().into_iter().step_by(4).collect();
    assert_eq!(importances, narrow.importances());
}

#[test]
fn a_forest_learns_and_answers_the_same_on_any_number_of_threads() {
    for (classes, criterion) in [(2, "gini"), (3, "gini"), (3, "entropy")] {
        let (matrix, labels) = generated(1_500, 6, classes, 3);
        let (test, test_labels) = generated(800, 6, classes, 4);
        let given = json!({ "n_estimators": 40, "criterion": criterion });
        let weights: Vec<f32> = labels.iter().map(|label| 0.7 + *label as f32 / 3.0).collect();
        let fit = |threads, seed| {
            let context = FitContext { threads, ..FitContext::quiet(seed) };
            let params = options::<Forest>(given.clone());
            context
                .in_pool(|| {
                    Forest::fit(
                        Training { matrix: &matrix, labels: &labels, classes, weights: &weights, validation: None },
                        &params,
                        &context,
                    )
                })
                .unwrap()
        };
        let forest = fit(1, 7);
        assert_eq!(forest, fit(4, 7));
        assert_ne!(forest, fit(1, 8));
        let reached = accuracy(&probabilities(&forest, &test, forest.classes), &test_labels, classes);
        assert!(reached > 0.75, "{classes} classes, {criterion}: {reached}");
    }
}

#[test]
fn an_interrupted_fit_ends_in_the_same_forest() {
    let (matrix, labels) = generated(400, 5, 3, 3);
    let weights = vec![1.0; labels.len()];
    let params = options::<Forest>(json!({ "n_estimators": 20 }));
    let whole = Forest::fit(
        Training { matrix: &matrix, labels: &labels, classes: 3, weights: &weights, validation: None },
        &params,
        &FitContext::quiet(5),
    )
    .unwrap();
    let (resumed, interruptions) = interrupted(3, 5, |context| {
        Forest::fit(
            Training { matrix: &matrix, labels: &labels, classes: 3, weights: &weights, validation: None },
            &params,
            context,
        )
    });
    assert!(interruptions > 1);
    assert_eq!(whole, resumed);
}

#[test]
fn a_row_of_weight_two_counts_as_two_and_one_of_weight_zero_as_none() {
    let (matrix, labels) = generated(300, 4, 2, 3);
    let given = json!({ "n_estimators": 1, "bootstrap": false, "max_split_features": null, "min_samples_leaf": 1, "max_depth": 4 });
    let weights: Vec<f32> = (0..300).map(|row| (row % 3) as f32).collect();
    let mut repeated = DenseMatrix { width: 4, values: vec![] };
    let mut repeated_labels = vec![];
    for (row, label) in labels.iter().enumerate() {
        for _ in 0..row % 3 {
            repeated.values.extend_from_slice(matrix.row(row));
            repeated_labels.push(*label);
        }
    }
    let context = FitContext::quiet(1);
    let weighted = Forest::fit(
        Training { matrix: &matrix, labels: &labels, classes: 2, weights: &weights, validation: None },
        &options::<Forest>(given.clone()),
        &context,
    )
    .unwrap();
    let plain = fit::<Forest>(&repeated, &repeated_labels, 2, given);
    assert_eq!(probabilities(&weighted, &matrix, weighted.classes), probabilities(&plain, &matrix, plain.classes));
}

#[test]
fn degenerate_data_makes_single_leaves_or_clear_answers() {
    let check = |matrix: &DenseMatrix, labels: &[u32], classes: usize, given: Value, wanted: &[f64]| {
        let forest = fit::<Forest>(matrix, labels, classes, given);
        let mut p = vec![0.0; classes];
        forest.predict_into(matrix.row(0), &mut Vec::new(), &mut p);
        assert!(p.iter().zip(wanted).all(|(p, wanted)| (p - wanted).abs() < 1e-6), "{p:?} {wanted:?}");
        if forest.nodes_are_leaves() {
            assert!(forest.importances().iter().all(|gain| *gain == 0.0));
        }
    };
    let whole = json!({ "bootstrap": false });
    let (matrix, labels) = generated(60, 4, 2, 3);
    check(&matrix, &[1; 60], 2, json!({}), &[0.0, 1.0]);
    check(&matrix, &[1; 60], 3, json!({}), &[0.0, 1.0, 0.0]);
    check(&matrix, &[0; 60], 1, json!({}), &[1.0]);
    let share = labels.iter().sum::<u32>() as f64 / 60.0;
    check(&matrix, &labels, 2, json!({ "bootstrap": false, "min_samples_leaf": 1_000 }), &[1.0 - share, share]);
    let halves: Vec<u32> = (0..60).map(|row| row % 2).collect();
    check(&DenseMatrix { width: 2, values: vec![3.0; 120] }, &halves, 2, whole.clone(), &[0.5, 0.5]);
    check(&DenseMatrix { width: 2, values: vec![f32::NAN; 120] }, &halves, 2, whole, &[0.5, 0.5]);
    check(&DenseMatrix { width: 1, values: vec![1.0] }, &[1], 2, json!({}), &[0.0, 1.0]);
    let huge = DenseMatrix { width: 1, values: (0..60).map(|row| [f32::MIN, f32::MAX][row % 2]).collect() };
    check(&huge, &halves, 2, json!({ "min_samples_leaf": 1 }), &[1.0, 0.0]);
}

impl Forest {
    fn nodes_are_leaves(&self) -> bool {
        self.trees.nodes.iter().all(|node| node.is_leaf())
    }
}

#[test]
fn missing_values_go_where_they_help() {
    // Missing means class 1, and so does a large value.
    let values: Vec<f32> = (0..200).map(|row| if row % 4 == 0 { f32::NAN } else { (row % 50) as f32 }).collect();
    let labels: Vec<u32> = values.iter().map(|value| u32::from(value.is_nan() || *value > 30.0)).collect();
    let matrix = DenseMatrix { width: 1, values };
    let forest = fit::<Forest>(&matrix, &labels, 2, json!({ "n_estimators": 5, "min_samples_leaf": 1 }));
    assert_eq!(accuracy(&probabilities(&forest, &matrix, forest.classes), &labels, 2), 1.0);
    // Only missing or not tells the classes apart.
    let values: Vec<f32> = (0..100).map(|row| if row % 2 == 0 { f32::NAN } else { 3.0 }).collect();
    let labels: Vec<u32> = values.iter().map(|value| u32::from(value.is_nan())).collect();
    let matrix = DenseMatrix { width: 1, values };
    let forest = fit::<Forest>(&matrix, &labels, 2, json!({ "n_estimators": 5 }));
    assert_eq!(accuracy(&probabilities(&forest, &matrix, forest.classes), &labels, 2), 1.0);
}

#[test]
fn contributions_add_up_to_the_probability() {
    for classes in [2, 3] {
        let (matrix, labels) = generated(500, 6, classes, 3);
        let forest = fit::<Forest>(&matrix, &labels, classes, json!({ "n_estimators": 20 }));
        let (mut contributions, mut p) = (vec![0.0; 6], vec![0.0; classes]);
        for row in 0..50 {
            forest.predict_into(matrix.row(row), &mut Vec::new(), &mut p);
            for (class, p) in p.iter().enumerate() {
                let (bias, total) = forest.attribute(matrix.row(row), class, &mut contributions);
                assert!((total - p).abs() < 1e-6, "{total} {p}");
                assert!((bias + contributions.iter().sum::<f64>() - total).abs() < 1e-12);
                assert_eq!(contributions[2], 0.0, "a constant column");
            }
        }
    }
}

#[test]
fn both_importances_find_the_columns_that_matter() {
    let (matrix, labels) = generated(1_000, 8, 2, 3);
    let forest = fit::<Forest>(&matrix, &labels, 2, json!({ "n_estimators": 30 }));
    let gains = forest.importances();
    assert!((gains.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(gains[0] > 2.0 * gains[4] && gains[1] > 2.0 * gains[4] && gains[2] == 0.0, "{gains:?}");
    let predict = |row: &[f32], p: &mut [f64]| forest.predict_into(row, &mut Vec::new(), p);
    let losses = permutation_importance(&matrix, &labels, 2, predict, 1, 1, Stop::never()).unwrap();
    assert!(losses[0] > 5.0 * losses[4] && losses[2] == 0.0, "{losses:?}");
}

#[test]
fn metrics_out_of_the_bag_are_near_those_of_new_rows() {
    let (matrix, labels) = generated(1_500, 6, 3, 3);
    let (test, test_labels) = generated(1_500, 6, 3, 4);
    let logged = Mutex::new(std::collections::BTreeMap::new());
    let on_metric = |key: &str, value: f64, _: i64| {
        logged.lock().unwrap().insert(key.to_owned(), value);
    };
    let context = FitContext { on_metric: &on_metric, ..FitContext::quiet(1) };
    let weights = vec![1.0; labels.len()];
    let params = options::<Forest>(json!({ "n_estimators": 60 }));
    let forest = Forest::fit(
        Training { matrix: &matrix, labels: &labels, classes: 3, weights: &weights, validation: None },
        &params,
        &context,
    )
    .unwrap();
    let logged = logged.into_inner().unwrap();
    let answers = probabilities(&forest, &test, forest.classes);
    let reached = accuracy(&answers, &test_labels, 3);
    let losses = answers.chunks(3).zip(&test_labels).map(|(row, label)| -row[*label as usize].max(1e-12).ln());
    let loss = losses.sum::<f64>() / test_labels.len() as f64;
    assert!((logged["train/oob_accuracy"] - reached).abs() < 0.05, "{logged:?} {reached}");
    assert!((logged["train/oob_log_loss"] - loss).abs() < 0.1, "{logged:?}");
}

#[test]
fn what_was_saved_answers_as_what_was_fitted_and_hostile_files_are_refused() {
    check_file::<Forest>(&json!({ "n_estimators": 5 }));
}

#[test]
fn a_cancelled_fit_ends_soon() {
    check_cancel::<Forest>(500);
}

#[test]
fn parameters_are_read_in_all_their_forms() {
    let read = |given: Value| {
        let defaults = defaults();
        let mut params = Params::new(&given, &defaults).unwrap();
        ForestParams::read(&mut params).map(|read| (read, params.complete()))
    };
    assert_eq!(read(json!({})).unwrap().1, defaults());
    for (given, wanted, of_110) in [
        (json!("sqrt"), MaxFeatures::Sqrt, 10),
        (json!("log2"), MaxFeatures::Log2, 6),
        (json!(null), MaxFeatures::All, 110),
        (json!(7), MaxFeatures::Count(7), 7),
        (json!(7.0), MaxFeatures::Count(7), 7),
        (json!(0.5), MaxFeatures::Fraction(0.5), 55),
        (json!(1.0), MaxFeatures::Fraction(1.0), 110),
        (json!(1), MaxFeatures::Count(1), 1),
        (json!(500), MaxFeatures::Count(500), 110),
        (json!(0.001), MaxFeatures::Fraction(0.001), 1),
    ] {
        let (read, complete) = read(json!({ "max_split_features": given })).unwrap();
        assert_eq!(read.max_features, wanted);
        assert_eq!(read.max_features.of(110), of_110);
        // What was completed reads the same again.
        let again = options::<Forest>(complete);
        assert_eq!(again.max_features, wanted);
    }
    for (name, value) in [
        ("max_split_features", json!(0)),
        ("max_split_features", json!(1.5)),
        ("max_split_features", json!("auto")),
        ("criterion", json!("mse")),
        ("max_bins", json!(256)),
        ("min_samples_split", json!(1)),
        ("bootstrap", json!("yes")),
    ] {
        let error = read(json!({ name: value })).unwrap_err();
        assert_eq!(error.violations[0].field, format!("params.{name}"));
    }
}

#[test]
fn the_best_split_is_that_of_trying_every_one() {
    let mut random = Random::new(4, 0);
    let mut met = [0; 3];
    for case in 0..600 {
        let (rows, numbers, classes) = (4 + random.below(150), 2 + random.below(60), 2 + random.below(16));
        let criterion = if case % 2 == 0 { Criterion::Gini } else { Criterion::Entropy };
        let weights: Vec<f32> = (0..rows).map(|_| 0.1 + random.unit() as f32).collect();
        let units = Units::new(&weights);
        // Some bins stay empty, and in every third case some values are missing.
        let code = |_| match case % 3 == 2 && random.below(9) == 0 {
            true => numbers as u8,
            false => random.below(numbers) as u8 / 3 * 3,
        };
        let codes: Vec<u8> = (0..rows).map(code).collect();
        let samples: Vec<Sample> = (0..rows)
            .map(|row| Sample {
                row: row as u32,
                class: random.below(classes) as u32,
                packed: units.pack(weights[row], 1 + random.below(2) as u32),
            })
            .collect();
        let min_samples_leaf = 1 + random.below(4) as u64;
        let side = |chosen: &dyn Fn(usize) -> bool| {
            let mut sums = vec![0; classes];
            let of_side = samples.iter().filter(|sample| chosen(usize::from(codes[sample.row as usize])));
            let count = of_side.map(|sample| sums[sample.class as usize] += sample.packed).count();
            (count as u64, node_score(sums.iter().map(|sum| units.weight(*sum)), criterion))
        };
        let missing = codes.contains(&(numbers as u8));
        let mut wanted: Option<f64> = None;
        for missing_left in [false, true] {
            for bin in (0..numbers).filter(|_| missing || !missing_left) {
                let goes_left = |code: usize| if code == numbers { missing_left } else { code <= bin };
                let (left, right) = (side(&goes_left), side(&|code| !goes_left(code)));
                if left.0.min(right.0) >= min_samples_leaf {
                    wanted = Some(wanted.map_or(left.1 + right.1, |best: f64| best.max(left.1 + right.1)));
                }
            }
        }
        let rules = Rules { criterion, min_samples_leaf, units };
        let mut sums = vec![0; classes];
        samples.iter().for_each(|sample| sums[sample.class as usize] += sample.packed);
        let members = Members { samples: &samples, sums: &sums };
        let offer = Offer { feature: 0, codes: &codes, missing: numbers };
        let mut histogram = Histogram::new(classes);
        let mut better_than = |mut best: Option<Split>| {
            let differ = histogram.improve(members, offer, &rules, &mut best);
            assert_eq!(differ, codes.iter().any(|code| *code != codes[0]), "case {case}");
            best
        };
        match (better_than(None), wanted) {
            (Some(split), Some(wanted)) => {
                met[usize::from(split.missing_left == Some(true))] += 1;
                assert!((split.score / wanted - 1.0).abs() < 1e-9, "case {case}: {} for {wanted}", split.score);
                let goes_left =
                    |code: usize| if code == numbers { split.missing_left == Some(true) } else { code <= split.bin };
                let found = side(&goes_left).1 + side(&|code| !goes_left(code)).1;
                assert!((found / wanted - 1.0).abs() < 1e-9, "case {case}: {split:?}");
                let other = Split { feature: 1, ..split };
                assert_eq!(better_than(Some(other)), Some(other), "case {case}: an equal split is no better one");
                let lower = Split { score: split.score.next_down(), ..other };
                assert_eq!(better_than(Some(lower)), Some(split), "case {case}: by one digit");
            }
            (Some(split), None) => panic!("case {case}: {split:?} breaks the rules"),
            (_, wanted) => {
                met[2] += 1;
                assert!(wanted.is_none(), "case {case}: {wanted:?} was not found");
            }
        }
    }
    assert!(met.iter().all(|met| *met > 10), "{met:?}");
}

#[test]
fn weights_add_up_exactly_however_often_rows_are_drawn() {
    for rows in [3usize, 4, 4_097] {
        let heavy = (0..rows).map(|row| if row == 0 { 1e6 } else { 1e-3 }).collect::<Vec<f32>>();
        for weights in [vec![1.0f32; rows], vec![1.0f32.next_up(); rows], heavy] {
            let units = Units::new(&weights);
            let all_on_the_first = units.pack(weights[0], rows as u32);
            let one_each: Vec<u64> = weights.iter().map(|weight| units.pack(*weight, 1)).collect();
            for samples in [&[all_on_the_first][..], &one_each] {
                let sum: u64 = samples.iter().sum();
                assert_eq!(units.count(sum), samples.len() as u64);
                assert_eq!(units.weight(sum), samples.iter().map(|sample| units.weight(*sample)).sum::<f64>());
            }
            let share = units.weight(one_each[0]) * rows as f64 / units.weight(all_on_the_first);
            assert!((share - 1.0).abs() < 1e-9, "{rows} rows: {share}");
        }
    }
}
