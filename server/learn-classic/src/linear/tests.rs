use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use tenor_domain::{Digest, ErrorKind};
use tenor_features::Stop;
use tenor_features::arrays::{Array, Arrays};
use tenor_features::contract::Prepared;
use tenor_learn::{
    Examples, FitContext, Lineage, Model, ModelFile, Registry, Scratch, Trainer, TrainingData, label_of, predict_all,
};

use super::LogisticRegression;
use crate::testing::contract;
use crate::trainer::KindTrainer;

const LOGREG: KindTrainer<LogisticRegression> = KindTrainer::new();

fn examples(texts: &[String], numeric: &[Vec<f64>], labels: &[u32]) -> Examples {
    Examples {
        row_ids: (0..labels.len() as i64).collect(),
        texts: texts.to_vec(),
        cleaned: texts.to_vec(),
        numeric: numeric.concat(),
        width: 2,
        labels: labels.to_vec(),
    }
}

/// Seeded rows: words whose chance depends on the class, and two numbers.
fn generated(rows: usize, classes: usize, seed: u64) -> TrainingData {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize * limit) >> 31
    };
    let (mut texts, mut numeric, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let class = next(classes);
        let words = (0..10 + next(20)).map(|_| match next(6) {
            0 => format!("cue{class}x{}", next(40)),
            _ => {
                let limit = 1 + next(2_000);
                format!("word{}", next(limit))
            }
        });
        texts.push(words.collect::<Vec<_>>().join(" "));
        numeric.push(vec![(class + next(5)) as f64, next(100) as f64]);
        labels.push(class as u32);
    }
    TrainingData { contract: contract(classes), train: examples(&texts, &numeric, &labels), validation: None }
}

fn fit(data: &TrainingData, params: Value) -> Box<dyn Model> {
    LOGREG.fit(data, &params, &FitContext::quiet(1)).unwrap()
}

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    classes: usize,
    #[serde(rename = "C")]
    c: f64,
    class_weight: Value,
    text_weight: f64,
    numeric_weight: f64,
    train: Rows,
    test: Rows,
    probabilities: Vec<Vec<f64>>,
}

#[derive(serde::Deserialize)]
struct Rows {
    texts: Vec<String>,
    numeric: Vec<Vec<f64>>,
    #[serde(default)]
    labels: Vec<u32>,
}

/// The whole way from texts to probabilities, within 1e-5 of scikit-learn 1.9.1 (ours are stored as f32).
#[test]
fn probabilities_equal_scikit_learns() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/logreg.json")).unwrap();
    for case in golden.cases {
        let train = examples(&case.train.texts, &case.train.numeric, &case.train.labels);
        let data = TrainingData { contract: contract(case.classes), train, validation: None };
        let model = fit(
            &data,
            json!({"C": case.c, "class_weight": case.class_weight, "text_weight": case.text_weight, "max_features": null,
                   "numeric_weight": case.numeric_weight, "tol": 1e-9, "max_iter": 20_000}),
        );
        let test = examples(&case.test.texts, &case.test.numeric, &vec![0; case.test.texts.len()]);
        let found = predict_all(model.as_ref(), &test, Stop::never()).unwrap();
        let farthest = found.iter().zip(case.probabilities.concat()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{} classes, C {}: farthest probability {farthest:.1e}", case.classes, case.c);
        assert!(farthest < 1e-5, "{} classes: {farthest}", case.classes);
    }
}

#[test]
fn the_same_data_give_the_same_file_for_any_number_of_threads() {
    for classes in [2, 3, 7] {
        let data = generated(6_000, classes, 3);
        let digest = |threads| {
            let context = FitContext { threads, ..FitContext::quiet(5) };
            let model = LOGREG.fit(&data, &json!({"ngram_max": 2}), &context).unwrap();
            Digest::of(&model.save(Lineage::default()).unwrap().to_bytes().unwrap())
        };
        let one = digest(1);
        assert_eq!(one, digest(2));
        assert_eq!(one, digest(2));
        assert_eq!(one, digest(5));
    }
}

fn registry() -> Registry {
    Registry::new(crate::trainers())
}

#[test]
fn a_loaded_model_answers_bit_for_bit_as_before() {
    for classes in [2, 5] {
        let data = generated(500, classes, 8);
        let model = fit(&data, json!({}));
        let bytes = model.save(Lineage::default()).unwrap().to_bytes().unwrap();
        let (loaded, file) = registry().load(&bytes).unwrap();
        assert!(file.header.self_test.len() > classes);
        let answers = |model: &dyn Model| predict_all(model, &data.train, Stop::never()).unwrap();
        assert_eq!(answers(model.as_ref()), answers(loaded.as_ref()));
        assert_eq!(loaded.save(Lineage::default()).unwrap().to_bytes().unwrap(), bytes);
        assert_eq!(model.size(), loaded.size());
    }
}

#[test]
fn a_row_alone_is_answered_as_in_a_batch() {
    let data = generated(700, 3, 2);
    let model = fit(&data, json!({}));
    let batch = predict_all(model.as_ref(), &data.train, Stop::never()).unwrap();
    let mut scratch = Scratch::default();
    let mut alone = vec![0.0; 3];
    for (index, row) in batch.chunks(3).enumerate() {
        model.predict(&data.train.prepared(index), &mut scratch, &mut alone);
        assert_eq!(alone, row);
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn contributions_add_up_to_the_logit_and_the_logit_gives_the_probability() {
    for classes in [2, 4] {
        let data = generated(600, classes, 4);
        let model = fit(&data, json!({}));
        let mut scratch = Scratch::default();
        for index in 0..50 {
            let prepared = data.train.prepared(index);
            let mut probabilities = vec![0.0; classes];
            model.predict(&prepared, &mut scratch, &mut probabilities);
            let logits: Vec<f64> = (0..classes)
                .map(|class| {
                    let whole = model.explain(&prepared, class, usize::MAX, &mut scratch);
                    let sum: f64 = whole.contributions.iter().map(|contribution| contribution.value).sum();
                    assert!((whole.bias + sum - whole.logit).abs() < 1e-9);
                    let three = model.explain(&prepared, class, 3, &mut scratch);
                    assert_eq!(three.contributions, whole.contributions[..3]);
                    let listed: f64 = three.contributions.iter().map(|contribution| contribution.value).sum();
                    assert!((three.bias + listed + three.rest - three.logit).abs() < 1e-9);
                    whole.logit
                })
                .collect();
            // For two classes each side's logit is the negative of the other's.
            let exponents: Vec<f64> =
                logits.iter().map(|logit| (logit / if classes == 2 { 2.0 } else { 1.0 }).exp()).collect();
            for (probability, exponent) in probabilities.iter().zip(&exponents) {
                assert!((probability - exponent / exponents.iter().sum::<f64>()).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn the_cues_of_a_class_are_its_strongest_terms() {
    let data = generated(3_000, 3, 6);
    let model = fit(&data, json!({"ngram_max": 1}));
    for class in 0..3 {
        let features = model.top_features(class, 20);
        assert_eq!(features.len(), 20);
        assert!(features.is_sorted_by(|a, b| a.value.abs() >= b.value.abs()));
        let own = features.iter().filter(|f| f.value > 0.0 && f.feature.starts_with(&format!("cue{class}x"))).count();
        assert!(own > 10, "{features:?}");
    }
}

#[test]
fn a_class_without_rows_is_never_answered() {
    for (classes, kept) in [(3, vec![0, 2]), (5, vec![1, 2, 4])] {
        let mut data = generated(800, classes, 9);
        for label in &mut data.train.labels {
            *label = kept[*label as usize % kept.len()];
        }
        let model = fit(&data, json!({}));
        let probabilities = predict_all(model.as_ref(), &data.train, Stop::never()).unwrap();
        let mut right = 0;
        for (row, label) in probabilities.chunks(classes).zip(&data.train.labels) {
            for (class, probability) in row.iter().enumerate() {
                assert!(kept.contains(&(class as u32)) || *probability < 1e-15);
            }
            right += usize::from(label_of(row) == *label as usize);
        }
        assert!(right > 700, "{right}");
    }
}

#[test]
fn training_without_two_classes_or_without_terms_is_a_clear_error() {
    let reason =
        |data: &TrainingData| LOGREG.fit(data, &json!({}), &FitContext::quiet(0)).map(|_| ()).unwrap_err().reason;
    let mut data = generated(50, 2, 1);
    data.train.labels.fill(1);
    assert_eq!(reason(&data), "TOO_FEW_CLASSES");
    data.train = Examples::default();
    assert_eq!(reason(&data), "TOO_FEW_CLASSES");
    let mut data = generated(50, 2, 1);
    data.train.cleaned.iter_mut().for_each(String::clear);
    assert_eq!(reason(&data), "EMPTY_VOCABULARY");
    let mut data = generated(50, 2, 1);
    data.train.numeric.pop();
    assert_eq!(reason(&data), "INVALID_FIELD");
}

#[test]
fn parameters_are_completed_and_checked_by_name() {
    let complete = LOGREG.check_params(&json!({"max_iter": 7.0, "C": 2})).unwrap();
    assert_eq!((&complete["C"], &complete["max_iter"], &complete["ngram_max"]), (&json!(2.0), &json!(7), &json!(2)));
    assert_eq!(LOGREG.check_params(&Value::Null).unwrap(), LOGREG.default_params());
    assert_eq!(LOGREG.check_params(&complete).unwrap(), complete);
    for (field, params) in [
        ("params.C", json!({"C": 0})),
        ("params.C", json!({"C": "1"})),
        ("params.c", json!({"c": 1})),
        ("params.max_iter", json!({"max_iter": 1.5})),
        ("params.class_weight", json!({"class_weight": "even"})),
        ("params.class_weight", json!({"class_weight": {"a": -1}})),
        ("params.min_df", json!({"min_df": 0})),
        ("params.use_numeric", json!({"use_numeric": 1})),
        ("params", json!([])),
    ] {
        assert_eq!(LOGREG.check_params(&params).unwrap_err().violations[0].field, field, "{params}");
    }
    let unknown = json!({"class_weight": {"no such class": 2}});
    let error = LOGREG.fit(&generated(50, 2, 1), &unknown, &FitContext::quiet(0)).map(|_| ()).unwrap_err();
    assert_eq!(error.violations[0].field, "params.class_weight");
}

#[test]
fn metrics_and_progress_tell_how_the_fit_goes() {
    let metrics = std::sync::Mutex::new(BTreeMap::<String, Vec<f64>>::new());
    let shares = std::sync::Mutex::new(Vec::new());
    let on_metric = |key: &str, value: f64, step: i64| {
        let mut metrics = metrics.lock().unwrap();
        let series = metrics.entry(key.to_owned()).or_default();
        assert_eq!(series.len() as i64, step);
        series.push(value);
    };
    let on_progress = |share: f64, _: &str| shares.lock().unwrap().push(share);
    let context = FitContext { on_metric: &on_metric, on_progress: &on_progress, ..FitContext::quiet(1) };
    LOGREG.fit(&generated(500, 2, 1), &json!({}), &context).unwrap();
    let metrics = metrics.into_inner().unwrap();
    assert_eq!(metrics["train/converged"], [1.0]);
    assert!((metrics["train/loss"][0] - 2f64.ln()).abs() < 1e-12);
    assert!(metrics["train/loss"].is_sorted_by(|a, b| a >= b));
    assert_eq!(metrics["train/loss"].len() as f64, metrics["train/iterations"][0] + 1.0);
    let shares = shares.into_inner().unwrap();
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)) && shares.last() == Some(&1.0));
}

#[test]
fn a_wish_to_stop_is_honoured_at_every_check() {
    let data = generated(2_500, 3, 1);
    let fit = |stop: &(dyn Fn() -> bool + Sync)| {
        let context = FitContext { stop: Stop::when(stop), ..FitContext::quiet(1) };
        LOGREG.fit(&data, &json!({"tol": 1e-8}), &context).map(|_| ())
    };
    let calls = AtomicUsize::new(0);
    let count = || {
        calls.fetch_add(1, Ordering::Relaxed);
        false
    };
    fit(&count).unwrap();
    let all = calls.load(Ordering::Relaxed);
    for after in (0..all).step_by(all / 40) {
        let left = AtomicUsize::new(after);
        let stop = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err();
        assert_eq!(fit(&stop).unwrap_err().kind, ErrorKind::Cancelled, "{after} of {all}");
    }
}

#[test]
fn cancelling_a_long_training_takes_less_than_two_seconds() {
    let data = generated(60_000, 5, 1);
    for wait in [50, 400, 1_500] {
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        let timer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(wait));
            flag.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let stop = || stopped.load(Ordering::Relaxed);
        let context = FitContext { stop: Stop::when(&stop), ..FitContext::quiet(1) };
        let params = json!({"tol": 1e-12, "max_iter": 1_000_000, "C": 1e8, "ngram_max": 5});
        let result = LOGREG.fit(&data, &params, &context).map(|_| ());
        let took = timer.join().unwrap().elapsed();
        assert_eq!(result.unwrap_err().kind, ErrorKind::Cancelled);
        assert!(took < Duration::from_secs(2), "after {wait} ms: {took:?}");
    }
}

#[test]
fn a_file_with_arrays_that_do_not_fit_is_refused() {
    let file = fit(&generated(200, 3, 1), json!({})).save(Lineage::default()).unwrap();
    let weights = file.arrays.f32s("logreg.weights").unwrap().len();
    let spoiled: [(&str, Array); 9] = [
        ("logreg.weights", Array::F32(vec![0.0; weights - 1])),
        ("logreg.weights", Array::F32(vec![f32::NAN; weights])),
        ("logreg.weights", Array::F64(vec![0.0; weights])),
        ("logreg.biases", Array::F64(vec![0.0; 2])),
        ("logreg.biases", Array::F64(vec![f64::INFINITY; 3])),
        ("numeric.scale", Array::F64(vec![0.0; 2])),
        ("numeric.mean", Array::F64(vec![0.0; 3])),
        ("pipeline.weights", Array::F64(vec![0.0, 1.0])),
        ("tfidf.idf", Array::F64(vec![f64::MAX; 3])),
    ];
    for (name, array) in spoiled {
        let mut file = file.clone();
        file.arrays.insert(name, array);
        let error = registry().load(&file.to_bytes().unwrap()).map(|_| ()).unwrap_err();
        assert_eq!(error.reason, "BROKEN_MODEL_FILE", "{name}");
    }
    let mut empty = file;
    empty.arrays = Arrays::default();
    assert!(registry().load(&empty.to_bytes().unwrap()).is_err());
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), -1e3..1e3f64, any::<f64>()]
}

/// Arrays as an attacker would write them: right names, anything inside.
fn hostile_arrays() -> impl Strategy<Value = Vec<(String, Array)>> {
    let names = [
        "tfidf.idf",
        "tfidf.terms.ends",
        "tfidf.terms.bytes",
        "tfidf.sublinear",
        "numeric.mean",
        "numeric.scale",
        "pipeline.weights",
        "logreg.weights",
        "logreg.biases",
    ];
    let array = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(Array::U8),
        proptest::collection::vec(0u64..40, 0..12).prop_map(Array::U64),
        proptest::collection::vec(numbers(), 0..12).prop_map(Array::F64),
        proptest::collection::vec(numbers(), 0..40).prop_map(|v| Array::F32(v.into_iter().map(|v| v as f32).collect())),
    ];
    proptest::collection::vec((0..names.len(), array).prop_map(move |(at, array)| (names[at].to_owned(), array)), 1..4)
}

proptest! {
    #[test]
    fn a_hostile_file_is_refused_or_answers_with_finite_probabilities(
        changes in hostile_arrays(),
        text in "\\PC{0,40}|((cue0x1|word1|word2) ){0,9}",
        values in [numbers(), numbers()],
    ) {
        static FILE: std::sync::LazyLock<ModelFile> =
            std::sync::LazyLock::new(|| fit(&generated(40, 3, 1), json!({})).save(Lineage::default()).unwrap());
        let mut file = FILE.clone();
        for (name, array) in changes {
            file.arrays.insert(name, array);
        }
        if let Ok(model) = LOGREG.load(&file) {
            let prepared = Prepared { cleaned: text, numeric: values.into_iter().filter(|v| v.is_finite()).collect() };
            let mut probabilities = [0.0; 3];
            model.predict(&prepared, &mut Scratch::default(), &mut probabilities);
            prop_assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
            model.explain(&prepared, 1, 5, &mut Scratch::default());
            model.top_features(2, 5);
        }
    }
}
