use proptest::prelude::*;

use super::*;
use tenor_features::random::Random;

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    labels: Vec<u32>,
    probs: Vec<Vec<f64>>,
    stars: Option<Vec<f64>>,
    values: serde_json::Value,
}

fn class_names(classes: usize) -> Vec<String> {
    (0..classes).map(|class| format!("class {class}")).collect()
}

fn without_intervals(labels: &[u32], probs: &[f64], classes: usize, stars: Option<&[f64]>) -> Evaluation {
    let options = EvaluateOptions { resamples: 0, ..EvaluateOptions::default() };
    evaluate(labels, probs, &class_names(classes), stars, &options).unwrap()
}

fn near(name: &str, ours: f64, theirs: &serde_json::Value) {
    let theirs = theirs.as_f64().unwrap_or_else(|| panic!("{name} is missing"));
    assert!((ours - theirs).abs() <= 1e-9, "{name}: {ours} but scikit-learn has {theirs}");
}

/// Within 1e-9 of scikit-learn 1.9.1 (calibration error, within-one: of numpy).
#[test]
fn every_score_equals_scikit_learns() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/metrics.json")).unwrap();
    for case in golden.cases {
        let classes = case.probs[0].len();
        let found = without_intervals(&case.labels, &case.probs.concat(), classes, case.stars.as_deref());
        for name in SCORES.iter().chain(if case.stars.is_some() { &STAR_SCORES[..] } else { &[] }) {
            near(&format!("{}: {name}", case.name), found.get(name).unwrap(), &case.values[*name]);
        }
        assert_eq!(serde_json::to_value(&found.confusion).unwrap(), case.values["confusion"]);
        for (class, theirs) in found.per_class.iter().zip(case.values["per_class"].as_array().unwrap()) {
            near("precision", class.precision.value.unwrap(), &theirs["precision"]);
            near("recall", class.recall.value.unwrap(), &theirs["recall"]);
            near("f1", class.f1.value.unwrap(), &theirs["f1"]);
            assert_eq!(theirs["support"], class.support);
        }
        if classes == 2 {
            let flat = case.probs.concat();
            let steps = Frame::new(&case.labels, &flat, 2, None).unwrap().steps(1);
            compare_curve(&curves::roc(&steps), &case.values["roc_curve"]);
            compare_curve(&curves::precision_recall(&steps), &case.values["pr_curve"]);
        }
    }
}

fn compare_curve(ours: &[(f64, f64)], theirs: &serde_json::Value) {
    assert_eq!(ours.len(), theirs[0].as_array().unwrap().len());
    for (at, (x, y)) in ours.iter().enumerate() {
        near("x", *x, &theirs[0][at]);
        near("y", *y, &theirs[1][at]);
    }
}

#[test]
fn one_class_only_leaves_areas_undefined_and_nothing_panics() {
    let found = without_intervals(&[1, 1, 1], &[0.2, 0.8, 0.6, 0.4, 0.5, 0.5], 2, Some(&[1.0, 5.0]));
    assert_eq!(found.get("roc_auc"), None);
    assert_eq!(found.get("pr_auc"), None);
    assert_eq!(found.get("accuracy"), Some(1.0 / 3.0));
    assert!(!found.metrics("").contains_key("roc_auc"));
    assert!(found.metrics("test/").contains_key("test/f1/class 1"));
}

#[test]
fn a_class_without_rows_is_left_out_of_the_mean_area() {
    let probs = [0.8, 0.1, 0.1, 0.3, 0.5, 0.2, 0.6, 0.3, 0.1, 0.1, 0.9, 0.0];
    let found = without_intervals(&[0, 1, 0, 1], &probs, 3, None);
    assert_eq!(found.get("roc_auc"), Some(1.0));
    assert_eq!(found.per_class[2].roc_auc, None);
}

#[test]
fn the_baseline_guesses_from_the_training_shares() {
    let probs = [0.9, 0.1, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6];
    let options = EvaluateOptions { resamples: 0, prior: Some(&[0.75, 0.25]), ..EvaluateOptions::default() };
    let found = evaluate(&[0, 1, 1, 1], &probs, &class_names(2), None, &options).unwrap();
    let baseline = |name: &str| found.score(name).unwrap().baseline;
    assert_eq!(baseline("accuracy"), Some(0.25));
    assert_eq!(baseline("roc_auc"), Some(0.5));
    assert_eq!(baseline("pr_auc"), Some(0.75));
    let entropy = -(0.25 * 0.75f64.ln() + 0.75 * 0.25f64.ln());
    assert!((baseline("log_loss").unwrap() - entropy).abs() < 1e-12);
    let wrong = EvaluateOptions { prior: Some(&[1.0]), ..options };
    assert_eq!(evaluate(&[0], &[0.5, 0.5], &class_names(2), None, &wrong).unwrap_err().violations[0].field, "prior");
}

#[test]
fn input_that_fits_nowhere_is_refused_by_name() {
    let two = class_names(2);
    let options = EvaluateOptions::default();
    let field = |labels: &[u32], probs: &[f64], classes: &[String], stars: Option<&[f64]>| {
        evaluate(labels, probs, classes, stars, &options).unwrap_err().violations[0].field.clone()
    };
    assert_eq!(field(&[], &[], &two, None), "labels");
    assert_eq!(field(&[2], &[0.5, 0.5], &two, None), "labels");
    assert_eq!(field(&[0], &[1.0], &two[..1], None), "classes");
    assert_eq!(field(&[0], &[0.5], &two, None), "probabilities");
    assert_eq!(field(&[0], &[0.5, 0.6], &two, None), "probabilities");
    assert_eq!(field(&[0], &[f64::NAN, 0.5], &two, None), "probabilities");
    assert_eq!(field(&[0], &[-0.5, 1.5], &two, None), "probabilities");
    assert_eq!(field(&[0], &[0.5, 0.5], &two, Some(&[1.0])), "stars");
}

/// A toy world in which the truth is known: class 1 with chance 0.4, scores that overlap.
fn draw(random: &mut Random, rows: usize) -> (Vec<u32>, Vec<f64>) {
    let mut labels = Vec::new();
    let mut probs = Vec::new();
    for _ in 0..rows {
        let label = u32::from(random.unit() < 0.4);
        let score = (0.5 * (random.unit() + random.unit()) + 0.25 * f64::from(label)) / 1.25;
        labels.push(label);
        probs.extend([1.0 - score, score]);
    }
    (labels, probs)
}

#[test]
fn intervals_do_not_depend_on_the_number_of_threads_and_hold_the_value() {
    let (labels, probs) = draw(&mut Random::new(3, 0), 400);
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| evaluate(&labels, &probs, &class_names(2), None, &EvaluateOptions::default()).unwrap())
    };
    let found = with_threads(1);
    assert_eq!(found, with_threads(3));
    for score in &found.scores {
        let (value, low, high) = (score.value.unwrap(), score.low.unwrap(), score.high.unwrap());
        assert!(low <= value + 0.02 && value <= high + 0.02 && low < high, "{score:?}");
    }
    let other = EvaluateOptions { seed: 7, ..EvaluateOptions::default() };
    assert_ne!(evaluate(&labels, &probs, &class_names(2), None, &other).unwrap().scores, found.scores);
}

#[test]
fn intervals_cover_the_truth_at_least_93_times_in_100() {
    const WORLDS: u64 = 600;
    let (labels, probs) = draw(&mut Random::new(99, 0), 2_000_000);
    let truth = without_intervals(&labels, &probs, 2, None);
    let names = ["accuracy", "macro_f1", "roc_auc", "log_loss", "brier", "mcc"];
    let mut covered = [0u32; 6];
    for world in 0..WORLDS {
        let (labels, probs) = draw(&mut Random::new(4, world), 500);
        let options = EvaluateOptions { resamples: 400, seed: world, ..EvaluateOptions::default() };
        let found = evaluate(&labels, &probs, &class_names(2), None, &options).unwrap();
        for (covered, name) in covered.iter_mut().zip(names) {
            let score = found.score(name).unwrap();
            let truth = truth.get(name).unwrap();
            *covered += u32::from((score.low.unwrap()..=score.high.unwrap()).contains(&truth));
        }
    }
    for (covered, name) in covered.iter().zip(names) {
        let share = f64::from(*covered) / WORLDS as f64;
        println!("coverage of {name}: {:.1} %", share * 100.0);
        assert!(share >= 0.93, "{name}: {share}");
    }
}

#[test]
fn a_wish_to_stop_ends_the_bootstrap() {
    let (labels, probs) = draw(&mut Random::new(3, 0), 100);
    let options = EvaluateOptions { stop: Stop::when(&|| true), ..EvaluateOptions::default() };
    let error = evaluate(&labels, &probs, &class_names(2), None, &options).unwrap_err();
    assert_eq!(error.kind, tenor_domain::ErrorKind::Cancelled);
}

#[test]
fn thinning_keeps_the_ends_and_the_shape() {
    let curve: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i) / 1e4, (f64::from(i) / 1e4).sqrt())).collect();
    let thinned = thin(&curve, 200);
    assert!(thinned.len() <= 200 && thinned.len() > 150);
    assert_eq!((thinned[0], *thinned.last().unwrap()), (curve[0], curve[9_999]));
    assert_eq!(thin(&curve[..5], 200), curve[..5]);
    assert!(thin(&[(0.5, 0.5); 300], 10).len() <= 10);
}

proptest! {
    #[test]
    fn scores_stay_within_their_ranges(
        rows in proptest::collection::vec((0u32..4, [0.0f64..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0]), 1..40),
    ) {
        let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let probs: Vec<f64> = rows.iter().flat_map(|row| {
            let sum: f64 = row.1.iter().sum::<f64>() + 4e-9;
            row.1.map(|value| (value + 1e-9) / sum)
        }).collect();
        let options = EvaluateOptions { resamples: 20, ..EvaluateOptions::default() };
        let found = evaluate(&labels, &probs, &class_names(4), Some(&[1.0, 2.0, 4.0, 5.0]), &options).unwrap();
        for score in &found.scores {
            let range = match score.name.as_str() {
                "mcc" | "quadratic_kappa" => -1.0 - 1e-12..=1.0 + 1e-12,
                "log_loss" => 0.0..=40.0,
                "brier" => 0.0..=2.0 + 1e-12,
                "mae" => 0.0..=4.0 + 1e-12,
                _ => 0.0..=1.0 + 1e-12,
            };
            for value in [score.value, score.low, score.high, score.baseline].into_iter().flatten() {
                prop_assert!(range.contains(&value), "{score:?}");
            }
        }
    }
}
