//! What holds of every kind.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use tenor_domain::{Digest, Error, ErrorKind};
use tenor_features::Stop;
use tenor_features::arrays::{Array, Arrays};
use tenor_features::contract::Prepared;
use tenor_features::tfidf::CountCache;
use tenor_learn::{
    Blocks, Checkpoints, FeatureBlocks, FitContext, Lineage, Model, ModelFile, Registry, Scratch, label_of, predict_all,
};

use crate::testing::generated;

fn registry() -> Registry {
    Registry::new(crate::trainers())
}

/// Every kind with parameters that make it small, and the dense form of logistic regression.
fn kinds() -> Vec<(&'static str, Value)> {
    vec![
        ("logreg", json!({})),
        (
            "logreg",
            json!({"penalty": "elastic_net", "char_ngrams": [2, 3], "max_features": 300, "stemming": "english"}),
        ),
        ("logreg", json!({"svd_components": 12})),
        ("logreg", json!({"hash_bits": 12, "C": [0.5, 2.0]})),
        ("nbsvm", json!({})),
        ("complement_nb", json!({})),
        ("random_forest", json!({"svd_components": 12, "n_estimators": 12})),
        ("hist_gb", json!({"svd_components": 12, "max_iter": 8})),
        ("mlp", json!({"svd_components": 12, "hidden_layer_sizes": [16], "max_iter": 30})),
    ]
}

fn digest(model: &dyn Model) -> Digest {
    Digest::of(&model.save(Lineage::default()).unwrap().to_bytes().unwrap())
}

#[test]
fn the_list_of_tests_has_every_kind() {
    let mut tested: Vec<&str> = kinds().into_iter().map(|(kind, _)| kind).collect();
    tested.dedup();
    tested.sort_unstable();
    tested.dedup();
    assert_eq!(registry().kinds().collect::<Vec<_>>(), tested);
}

#[test]
fn same_data_and_seed_give_the_same_digest_for_any_number_of_threads() {
    let registry = registry();
    for classes in [2, 3] {
        let data = generated(1_500, classes, 3);
        for (kind, params) in kinds() {
            let fit = |threads, seed| {
                let context = FitContext { threads, ..FitContext::quiet(seed) };
                digest(registry.get(kind).unwrap().fit(&data, &params, &context).unwrap().as_ref())
            };
            let one = fit(1, 5);
            assert_eq!(one, fit(2, 5), "{kind} {params}");
            assert_eq!(one, fit(1, 5), "{kind} {params}");
        }
    }
}

#[test]
fn a_loaded_model_answers_bit_for_bit_as_before_and_a_row_alone_as_in_a_batch() {
    let registry = registry();
    for classes in [2, 4] {
        let data = generated(900, classes, 8);
        for (kind, params) in kinds() {
            let model = registry.get(kind).unwrap().fit(&data, &params, &FitContext::quiet(2)).unwrap();
            let bytes = model.save(Lineage::default()).unwrap().to_bytes().unwrap();
            let (loaded, file) = registry.load(&bytes).unwrap();
            assert!(file.header.self_test.len() > classes, "{kind}");
            assert_eq!(loaded.save(Lineage::default()).unwrap().to_bytes().unwrap(), bytes, "{kind}");
            assert_eq!(model.size(), loaded.size());
            let rows = data.validation.as_ref().unwrap();
            let answers = predict_all(model.as_ref(), rows, Stop::never()).unwrap();
            assert_eq!(answers, predict_all(loaded.as_ref(), rows, Stop::never()).unwrap());
            let (mut scratch, mut alone, mut right) = (Scratch::default(), vec![0.0; classes], 0);
            for (index, row) in answers.chunks(classes).enumerate() {
                model.predict(&rows.prepared(index), &mut scratch, &mut alone);
                assert_eq!(alone, row, "{kind}");
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9 && row.iter().all(|p| (0.0..=1.0).contains(p)));
                right += usize::from(label_of(row) == rows.labels[index] as usize);
            }
            let share = right as f64 / rows.len() as f64;
            assert!(share > 1.3 / classes as f64, "{kind} {params}: {share} right");
        }
    }
}

#[test]
fn contributions_and_bias_add_up_to_the_score() {
    let registry = registry();
    for classes in [2, 3] {
        let data = generated(700, classes, 4);
        for (kind, params) in kinds() {
            let model = registry.get(kind).unwrap().fit(&data, &params, &FitContext::quiet(2)).unwrap();
            let mut scratch = Scratch::default();
            for index in 0..20 {
                let prepared = data.train.prepared(index);
                let whole = model.explain(&prepared, 1, usize::MAX, &mut scratch);
                let sum: f64 = whole.contributions.iter().map(|contribution| contribution.value).sum();
                assert!((whole.bias + sum - whole.logit).abs() < 1e-6, "{kind} {params}");
                let three = model.explain(&prepared, 1, 3, &mut scratch);
                assert_eq!(three.contributions, whole.contributions[..3.min(whole.contributions.len())]);
                assert!(whole.contributions.iter().all(|contribution| !contribution.feature.is_empty()), "{kind}");
            }
        }
    }
}

#[test]
fn cancelling_ends_every_fit_at_once() {
    let registry = registry();
    let data = generated(3_000, 3, 6);
    for (kind, params) in kinds() {
        let trainer = registry.get(kind).unwrap();
        let calls = AtomicUsize::new(0);
        let count = || {
            calls.fetch_add(1, Ordering::Relaxed);
            false
        };
        trainer.fit(&data, &params, &FitContext { stop: Stop::when(&count), ..FitContext::quiet(1) }).unwrap();
        let all = calls.load(Ordering::Relaxed);
        for share in [0.1, 0.5, 0.9] {
            let left = AtomicUsize::new((all as f64 * share) as usize);
            let stop = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err();
            let context = FitContext { stop: Stop::when(&stop), ..FitContext::quiet(1) };
            let error = trainer.fit(&data, &params, &context).map(|_| ()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Cancelled, "{kind} {params}");
        }
    }
}

#[test]
fn a_wish_to_cancel_is_honoured_within_two_seconds() {
    let registry = registry();
    let data = generated(8_000, 5, 6);
    for (kind, params) in [
        ("logreg", json!({"C": 1e6, "tol": 1e-12})),
        ("nbsvm", json!({"C": 1e6, "tol": 1e-12})),
        ("random_forest", json!({"n_estimators": 5_000, "svd_components": 50})),
        ("hist_gb", json!({"max_iter": 5_000, "svd_components": 50, "early_stopping": false})),
        ("mlp", json!({"max_iter": 5_000, "svd_components": 50, "early_stopping": false})),
    ] {
        let (cancelled, asked) = (AtomicBool::new(false), Mutex::new(None));
        let stop = || cancelled.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(1_500));
                *asked.lock().unwrap() = Some(Instant::now());
                cancelled.store(true, Ordering::Relaxed);
            });
            let context = FitContext { stop: Stop::when(&stop), ..FitContext::quiet(1) };
            let outcome = registry.get(kind).unwrap().fit(&data, &params, &context).map(|_| ());
            // On a fast machine a fit may be ready before it is cancelled.
            if let Err(error) = outcome {
                assert_eq!(error.kind, ErrorKind::Cancelled, "{kind}");
                let took = asked.lock().unwrap().unwrap().elapsed();
                assert!(took < Duration::from_secs(2), "{kind} took {took:?}");
            }
        });
    }
}

/// Keeps every state.
#[derive(Default)]
struct Kept {
    states: Mutex<Vec<Arrays>>,
}

impl Checkpoints for Kept {
    fn load(&self) -> Result<Option<Arrays>, Error> {
        Ok(self.states.lock().unwrap().last().cloned())
    }
    fn due(&self) -> bool {
        true
    }
    fn save(&self, state: &Arrays) -> Result<(), Error> {
        self.states.lock().unwrap().push(state.clone());
        Ok(())
    }
}

#[test]
fn a_fit_that_goes_on_from_a_checkpoint_ends_in_the_same_model() {
    let registry = registry();
    let data = generated(1_200, 3, 9);
    for (kind, params) in [
        ("logreg", json!({"penalty": "l1", "C": 100.0, "tol": 1e-12, "max_iter": 350})),
        ("logreg", json!({"C": [0.1, 1.0, 10.0]})),
        ("nbsvm", json!({})),
        ("random_forest", json!({"svd_components": 10, "n_estimators": 20})),
        ("hist_gb", json!({"svd_components": 10, "max_iter": 10})),
        ("mlp", json!({"svd_components": 10, "hidden_layer_sizes": [8], "max_iter": 6})),
    ] {
        let trainer = registry.get(kind).unwrap();
        let whole = Kept::default();
        let context = FitContext { checkpoints: Some(&whole), ..FitContext::quiet(7) };
        let model = digest(trainer.fit(&data, &params, &context).unwrap().as_ref());
        let states = whole.states.into_inner().unwrap();
        assert!(states.len() > 1, "{kind} kept {} states", states.len());
        let middle = Kept { states: Mutex::new(vec![states[states.len() / 2].clone()]) };
        let context = FitContext { checkpoints: Some(&middle), ..FitContext::quiet(7) };
        assert_eq!(digest(trainer.fit(&data, &params, &context).unwrap().as_ref()), model, "{kind}");
        assert_eq!(digest(trainer.fit(&data, &params, &FitContext::quiet(7)).unwrap().as_ref()), model, "{kind}");
    }
}

#[test]
fn progress_never_goes_back_and_no_metric_takes_the_step_of_another() {
    let registry = registry();
    let data = generated(900, 3, 9);
    let mut all = kinds();
    all.push(("logreg", json!({"C": [0.1, 1.0, 10.0], "tol": 1e-8})));
    for (kind, params) in all {
        let (shares, seen) = (Mutex::new(Vec::new()), Mutex::new(std::collections::BTreeSet::new()));
        let on_progress = |share: f64, _: &str| shares.lock().unwrap().push(share);
        let on_metric = |key: &str, _: f64, step: i64| {
            assert!(seen.lock().unwrap().insert((key.to_owned(), step)), "{kind} {params}: {key} at {step} twice");
        };
        let context =
            FitContext { threads: 1, on_progress: &on_progress, on_metric: &on_metric, ..FitContext::quiet(3) };
        registry.get(kind).unwrap().fit(&data, &params, &context).unwrap();
        let shares = shares.into_inner().unwrap();
        assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{kind} {params}: {shares:?}");
    }
}

/// Keeps blocks in memory.
#[derive(Default)]
struct InMemory(Mutex<std::collections::BTreeMap<Digest, Arrays>>);

impl FeatureBlocks for InMemory {
    fn get(&self, key: &Digest) -> Result<Option<Arrays>, Error> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }
    fn put(&self, key: &Digest, block: &Arrays) -> Result<(), Error> {
        self.0.lock().unwrap().insert(*key, block.clone());
        Ok(())
    }
}

#[test]
fn features_of_an_earlier_training_give_the_same_model_and_are_found_by_every_kind_that_shares_them() {
    let registry = registry();
    let data = generated(600, 2, 5);
    let store = InMemory::default();
    let counts = CountCache::new(1 << 20);
    let blocks = Some(Blocks { store: &store, rows: Digest::of(b"rows"), counts: Some(&counts) });
    let hits = Mutex::new(0.0);
    let on_metric = |key: &str, value: f64, _: i64| {
        if key == "train/feature_block_hits" {
            *hits.lock().unwrap() += value;
        }
    };
    for (kind, params) in kinds() {
        let trainer = registry.get(kind).unwrap();
        let alone = digest(trainer.fit(&data, &params, &FitContext::quiet(7)).unwrap().as_ref());
        let before = *hits.lock().unwrap();
        for _ in 0..2 {
            let context = FitContext { blocks, on_metric: &on_metric, ..FitContext::quiet(7) };
            assert_eq!(digest(trainer.fit(&data, &params, &context).unwrap().as_ref()), alone, "{kind} {params}");
        }
        assert!(*hits.lock().unwrap() > before, "{kind}");
    }
    // Dense kinds share their features, and so do sparse ones.
    assert!(store.0.lock().unwrap().len() < kinds().len());
    for (kind, params) in [
        ("logreg", json!({ "numeric_weight": 0.3, "text_weight": 2.0 })),
        ("mlp", json!({ "numeric_weight": 3.0, "svd_components": 12 })),
        ("mlp", json!({ "numeric_weight": 0.1, "text_weight": 0.7, "svd_components": 12 })),
    ] {
        let (trainer, kept) = (registry.get(kind).unwrap(), store.0.lock().unwrap().len());
        let context = FitContext { blocks, on_metric: &on_metric, ..FitContext::quiet(7) };
        let alone = digest(trainer.fit(&data, &params, &FitContext::quiet(7)).unwrap().as_ref());
        assert_eq!(digest(trainer.fit(&data, &params, &context).unwrap().as_ref()), alone, "{kind} {params}");
        assert_eq!(store.0.lock().unwrap().len(), kept, "{kind} {params}: weights are no features of their own");
    }
    let context = FitContext { blocks, on_metric: &on_metric, ..FitContext::quiet(8) };
    let before = *hits.lock().unwrap();
    registry.get("logreg").unwrap().fit(&data, &json!({}), &context).unwrap();
    assert_eq!(*hits.lock().unwrap(), before + 1.0, "terms do not depend on the seed");
    registry.get("mlp").unwrap().fit(&data, &kinds().last().unwrap().1, &context).unwrap();
    assert_eq!(*hits.lock().unwrap(), before + 1.0, "components do");
}

#[test]
fn parameters_are_completed_and_wrong_ones_name_their_field() {
    let registry = registry();
    for kind in registry.kinds() {
        let trainer = registry.get(kind).unwrap();
        let complete = trainer.check_params(&Value::Null).unwrap();
        assert_eq!(trainer.check_params(&complete).unwrap(), complete, "{kind}");
        let names =
            |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(&complete), names(&trainer.default_params()), "{kind}");
        for (field, params) in [
            ("params.analyzer", json!({"analyzer": "bytes"})),
            ("params.stemming", json!({"stemming": "klingon"})),
            ("params.stemming", json!({"stemming": "english", "analyzer": "char"})),
            ("params.stop_words", json!({"stop_words": [1]})),
            ("params.hash_bits", json!({"hash_bits": 40})),
            ("params.char_ngrams", json!({"char_ngrams": [3, 2]})),
            ("params.char_ngrams", json!({"char_ngrams": "3"})),
            ("params.ngram_max", json!({"ngram_min": 3, "ngram_max": 2})),
            ("params.no_such_thing", json!({"no_such_thing": 1})),
        ] {
            let error = trainer.check_params(&params).unwrap_err();
            assert_eq!(error.violations[0].field, field, "{kind} {params}: {error}");
        }
    }
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::MAX), Just(f64::NAN), Just(f64::MIN_POSITIVE), -1e3..1e3f64, any::<f64>()]
}

/// Something else in the place of an array, of any type and about any length.
fn arrays() -> impl Strategy<Value = Array> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(Array::U8),
        proptest::collection::vec(prop_oneof![0u64..60, any::<u64>()], 0..60).prop_map(Array::U64),
        proptest::collection::vec(numbers(), 0..60).prop_map(Array::F64),
        proptest::collection::vec(numbers(), 0..60).prop_map(|v| Array::F32(v.into_iter().map(|v| v as f32).collect())),
    ]
}

/// Changes one number of `array`.
fn spoil(array: &Array, at: usize, number: f64) -> Array {
    let mut array = array.clone();
    if array.is_empty() {
        return array;
    }
    let at = at % array.len();
    match &mut array {
        Array::U8(values) => values[at] = number as u8,
        Array::U64(values) => values[at] = number as u64,
        Array::F32(values) => values[at] = number as f32,
        Array::F64(values) => values[at] = number,
    }
    array
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_hostile_file_of_any_kind_is_refused_or_answers_with_finite_probabilities(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<usize>(), numbers(), proptest::option::of(arrays())), 1..4),
        text in "\\PC{0,40}|((cue0x1|word1|word2) ){0,9}",
    ) {
        static FILES: std::sync::LazyLock<Vec<ModelFile>> = std::sync::LazyLock::new(|| {
            let data = generated(120, 3, 1);
            kinds().into_iter().map(|(kind, params)| {
                let model = registry().get(kind).unwrap().fit(&data, &params, &FitContext::quiet(1)).unwrap();
                model.save(Lineage::default()).unwrap()
            }).collect()
        });
        let mut file = which.get(&FILES).clone();
        let names: Vec<String> = file.arrays.iter().map(|(name, _)| name.to_owned()).collect();
        for (name, at, number, other) in changes {
            let name = name.get(&names);
            let old = file.arrays.iter().find(|(known, _)| known == name).map(|(_, array)| array.clone()).unwrap();
            file.arrays.insert(name.clone(), other.unwrap_or_else(|| spoil(&old, at, number)));
        }
        if let Ok(model) = registry().get(&file.header.kind).unwrap().load(&file) {
            let prepared = Prepared { cleaned: text, numeric: vec![1.0, 2.0] };
            let mut probabilities = [0.0; 3];
            model.predict(&prepared, &mut Scratch::default(), &mut probabilities);
            prop_assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{} {probabilities:?}", file.header.kind);
            model.explain(&prepared, 1, 5, &mut Scratch::default());
            model.top_features(2, 5);
        }
    }
}
