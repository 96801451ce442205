use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};
use tenor_domain::{Error, ErrorKind};
use tenor_features::Stop;
use tenor_features::arrays::{Array, Arrays};
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::params::Params;
use tenor_learn::{Checkpoints, FitContext, label_of};

use super::gradient::{Network, Shape, Shard};
use super::rows::Rows;
use super::state::State;
use super::*;

fn params(given: Value) -> MlpParams {
    MlpParams::read(&mut Params::new(&given, &defaults()).unwrap()).unwrap()
}

/// Rows around a centre a class, and their labels.
fn clouds(rows: usize, width: usize, classes: usize, seed: u64) -> (DenseMatrix, Vec<u32>) {
    let mut random = Random::new(seed, 0);
    let mut matrix = DenseMatrix::zeros(rows, width);
    let labels: Vec<u32> = (0..rows).map(|_| random.below(classes) as u32).collect();
    for (row, &label) in matrix.values.chunks_mut(width).zip(&labels) {
        for (column, value) in row.iter_mut().enumerate() {
            let centre = if column % classes == label as usize { 0.5 } else { 0.0 };
            *value = (centre + random.unit() * 2.0 - 1.0) as f32;
        }
    }
    (matrix, labels)
}

fn fit(data: &(DenseMatrix, Vec<u32>), classes: usize, given: Value, context: &FitContext<'_>) -> Result<Mlp, Error> {
    Mlp::fit(&data.0, &data.1, classes, &vec![1.0; data.1.len()], None, &params(given), context)
}

fn answers(mlp: &Mlp, matrix: &DenseMatrix, classes: usize) -> Vec<Vec<f64>> {
    let mut scratch = Vec::new();
    let answer = |row| {
        let mut probabilities = vec![0.0; classes];
        mlp.predict_into(matrix.row(row), &mut scratch, &mut probabilities);
        probabilities
    };
    (0..matrix.rows()).map(answer).collect()
}

fn accuracy(mlp: &Mlp, data: &(DenseMatrix, Vec<u32>), classes: usize) -> f64 {
    let answers = answers(mlp, &data.0, classes);
    let right = answers.iter().zip(&data.1).filter(|(answer, label)| label_of(answer) == **label as usize).count();
    right as f64 / data.1.len() as f64
}

fn bits(mlp: &Mlp) -> Vec<u32> {
    mlp.layers().iter().flat_map(|layer| layer.weights.iter().chain(&layer.biases)).map(|w| w.to_bits()).collect()
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    for activation in Activation::ALL {
        let (matrix, labels) = clouds(9, 4, 3, 5);
        let weights = (0..9).map(|row| row as f32 / 4.0).collect();
        let rows = Rows { matrix: &matrix, labels: &labels, weights, picked: (0..9).collect() };
        let shape = Shape::new(4, &[6, 5], 3);
        let network = Network { shape: &shape, activation, dropout: 0.0, stop: Stop::never() };
        let mut state = State::new(&shape, &[true; 3], Random::new(3, 0));
        // Away from 0: the relu has no derivative there.
        state.parameters.iter_mut().for_each(|w| *w += 0.05);
        let mut shard = Shard::default();
        let picked = [1, 2, 3, 5, 8, 8];
        shard.learn(network, &state.parameters, &rows, &picked, 0.25, Random::new(0, 0)).unwrap();
        let gradient = shard.gradient.clone();
        for at in 0..shape.len() {
            let mut loss_at = |change: f32| {
                let mut parameters = state.parameters.clone();
                parameters[at] += change;
                shard.evaluate(network, &parameters, &rows, &picked).unwrap() * 0.25
            };
            let step = 2e-3;
            let slope = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[at]);
            assert!((slope - found).abs() < 2e-3, "{activation:?} parameter {at}: {slope} is not {found}");
        }
    }
}

#[test]
fn dropout_leaves_out_its_share_and_keeps_the_expected_sums() {
    let (matrix, labels) = clouds(400, 4, 2, 5);
    let rows = Rows { matrix: &matrix, labels: &labels, weights: vec![1.0; 400], picked: (0..400).collect() };
    let shape = Shape::new(4, &[64], 2);
    let network = Network { shape: &shape, activation: Activation::Tanh, dropout: 0.0, stop: Stop::never() };
    let mut state = State::new(&shape, &[true; 2], Random::new(3, 0));
    // Every unit answers about 1, every weight above is 1: a score is the count of the units that stay, raised.
    let (hidden, output) = (shape.places()[0], shape.places()[1]);
    state.parameters[hidden.biases()].fill(20.0);
    state.parameters[output.weights()].fill(1.0);
    let mut shard = Shard::default();
    let network = Network { dropout: 0.3, ..network };
    shard.learn(network, &state.parameters, &rows, &rows.picked, 1.0, Random::new(7, 0)).unwrap();
    let kept: Vec<f32> = shard.scores().chunks(2).map(|scores| scores[0] * 0.7).collect();
    assert!(kept.iter().all(|kept| (kept - kept.round()).abs() < 1e-3), "{kept:?}");
    let share = kept.iter().sum::<f32>() / (400.0 * 64.0);
    assert!((share - 0.7).abs() < 0.01, "{share}");
    // The gradient of the weights above the first unit knows only the rows in which it stayed.
    assert!(kept.iter().any(|&k| k != kept[0]));
}

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
fn the_threads_do_not_change_a_bit() {
    let data = clouds(1_500, 37, 3, 2);
    let given =
        json!({"max_iter": 4, "dropout": 0.2, "hidden_layer_sizes": [150, 40], "batch_size": 330, "alpha": 0.1});
    let run = |threads: usize, seed: u64| {
        let context = FitContext { threads, ..FitContext::quiet(seed) };
        bits(&context.in_pool(|| fit(&data, 3, given.clone(), &context)).unwrap())
    };
    let one = run(1, 7);
    for threads in [2, 3, 5] {
        assert!(run(threads, 7) == one, "{threads} threads");
    }
    assert!(fit(&data, 3, given.clone(), &FitContext::quiet(7)).map(|mlp| bits(&mlp)).unwrap() == one, "global pool");
    assert!(run(2, 8) != one, "the seed plays no part");
}

/// Keeps every state.
#[derive(Default)]
struct Kept(Mutex<Vec<Arrays>>, Option<Arrays>);

impl Checkpoints for Kept {
    fn load(&self) -> Result<Option<Arrays>, Error> {
        Ok(self.1.clone())
    }
    fn due(&self) -> bool {
        true
    }
    fn save(&self, state: &Arrays) -> Result<(), Error> {
        self.0.lock().unwrap().push(state.clone());
        Ok(())
    }
}

#[test]
fn a_resumed_fit_ends_in_the_same_bits() {
    let data = clouds(400, 10, 2, 3);
    for given in [
        json!({"max_iter": 12, "dropout": 0.1, "learning_rate_init": 0.01, "n_iter_no_change": 3}),
        json!({"max_iter": 5, "early_stopping": false, "optimizer": "adamw", "alpha": 0.5}),
    ] {
        let kept = Kept::default();
        let context = FitContext { checkpoints: Some(&kept), ..FitContext::quiet(5) };
        let whole = fit(&data, 2, given.clone(), &context).unwrap();
        assert_eq!(whole, fit(&data, 2, given.clone(), &FitContext::quiet(5)).unwrap());
        let states = kept.0.into_inner().unwrap();
        assert!(states.len() > 3);
        for (epoch, state) in states.iter().enumerate() {
            let resume = Kept(Mutex::default(), Some(state.clone()));
            let context = FitContext { checkpoints: Some(&resume), ..FitContext::quiet(5) };
            assert!(bits(&fit(&data, 2, given.clone(), &context).unwrap()) == bits(&whole), "after epoch {epoch}");
            assert_eq!(resume.0.lock().unwrap().len(), states.len() - epoch - 1);
        }
        // A state of another fit is of no use and does no harm.
        let mut damaged = states[0].clone();
        damaged.insert("mlp.state.first", Array::F32(vec![0.0]));
        let resume = Kept(Mutex::default(), Some(damaged));
        let context = FitContext { checkpoints: Some(&resume), ..FitContext::quiet(5) };
        assert_eq!(fit(&data, 2, given, &context).unwrap(), whole);
    }
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
    let mlp = Mlp::fit(&train.0, &train.1, 2, &vec![3.0; 200], watched, &params, &context).unwrap();
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

#[test]
fn one_row_answers_as_the_batch_does() {
    for activation in Activation::ALL {
        let (matrix, labels) = clouds(33, 7, 3, 5);
        let given =
            json!({"activation": activation.name(), "hidden_layer_sizes": [9, 5, 6], "max_iter": 3, "batch_size": 5});
        let mlp = fit(&(matrix.clone(), labels.clone()), 3, given, &FitContext::quiet(1)).unwrap();
        let shape = Shape::new(7, &[9, 5, 6], 3);
        let network = Network { shape: &shape, activation, dropout: 0.0, stop: Stop::never() };
        let parameters: Vec<f32> =
            mlp.layers().iter().flat_map(|layer| layer.weights.iter().chain(&layer.biases)).copied().collect();
        let rows = Rows { matrix: &matrix, labels: &labels, weights: vec![1.0; 33], picked: (0..33).collect() };
        let mut shard = Shard::default();
        shard.evaluate(network, &parameters, &rows, &rows.picked).unwrap();
        for (scores, answer) in shard.scores().chunks(3).zip(answers(&mlp, &matrix, 3)) {
            let sum: f64 = scores.iter().map(|score| f64::from(*score).exp()).sum();
            for (score, probability) in scores.iter().zip(answer) {
                assert!((f64::from(*score).exp() / sum - probability).abs() < 1e-5);
            }
        }
    }
}

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
    let weighted = Mlp::fit(&matrix, &labels, 2, &weights, None, &params, &quiet).unwrap();
    let repeated = Mlp::fit(&doubled, &doubled_labels, 2, &[1.0; 80], None, &params, &quiet).unwrap();
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
    let mlp = Mlp::fit(&data.0, &data.1, 2, &[0.0, 1.0], valid, &params(json!({})), &quiet).unwrap();
    assert!(answers(&mlp, &data.0, 2).iter().flatten().all(|p| p.is_finite()));
}

#[test]
fn what_cannot_be_learned_is_a_clear_error() {
    let quiet = FitContext::quiet(1);
    let (matrix, labels) = clouds(30, 3, 2, 1);
    let error = |matrix: &DenseMatrix, labels: &[u32], weights: &[f32], valid: Option<(&DenseMatrix, &[u32])>| {
        Mlp::fit(matrix, labels, 2, weights, valid, &params(json!({})), &quiet).map(|_| ()).unwrap_err()
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
fn a_wish_to_stop_is_honoured_at_every_check() {
    let data = clouds(500, 5, 2, 1);
    let run = |stop: &(dyn Fn() -> bool + Sync)| {
        let context = FitContext { stop: Stop::when(stop), ..FitContext::quiet(1) };
        fit(&data, 2, json!({"max_iter": 4}), &context).map(|_| ())
    };
    let calls = AtomicUsize::new(0);
    let count = || {
        calls.fetch_add(1, Ordering::Relaxed);
        false
    };
    run(&count).unwrap();
    for after in 0..calls.load(Ordering::Relaxed) {
        let left = AtomicUsize::new(after);
        let stop = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err();
        assert_eq!(run(&stop).unwrap_err().kind, ErrorKind::Cancelled, "{after}");
    }
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

#[test]
fn what_was_saved_is_what_is_loaded() {
    let data = clouds(50, 4, 3, 1);
    let mlp =
        fit(&data, 3, json!({"hidden_layer_sizes": [5, 6], "activation": "tanh"}), &FitContext::quiet(1)).unwrap();
    let mut arrays = Arrays::default();
    mlp.save(&mut arrays);
    assert_eq!(Mlp::load(&arrays, 4, 3).unwrap(), mlp);
    assert_eq!(mlp.size().parameters, 4 * 5 + 5 + 5 * 6 + 6 + 6 * 3 + 3);
    assert!(Mlp::load(&arrays, 5, 3).is_err() && Mlp::load(&arrays, 4, 2).is_err());
    assert!(Mlp::load(&Arrays::default(), 4, 3).is_err());
    for (name, array) in [
        ("mlp.sizes", Array::U64(vec![4, 3])),
        ("mlp.sizes", Array::U64(vec![])),
        ("mlp.sizes", Array::U64(vec![4, 5, u64::MAX, 3])),
        ("mlp.sizes", Array::U64(vec![4, 5, 6, 6, 6, 6, 3])),
        ("mlp.sizes", Array::U64(vec![4, 0, 6, 3])),
        ("mlp.activation", Array::U8(b"step".to_vec())),
        ("mlp.activation", Array::U8(vec![0xff])),
        ("mlp.0.weights", Array::F32(vec![0.0; 19])),
        ("mlp.1.weights", Array::F32(vec![f32::NAN; 30])),
        ("mlp.2.weights", Array::F64(vec![0.0; 18])),
        ("mlp.0.biases", Array::F32(vec![0.0; 6])),
        ("mlp.2.biases", Array::F32(vec![f32::INFINITY; 3])),
    ] {
        let mut spoiled = arrays.clone();
        spoiled.insert(name, array);
        assert_eq!(Mlp::load(&spoiled, 4, 3).unwrap_err().reason, "BROKEN_MODEL_FILE", "{name}");
    }
}

fn numbers() -> impl Strategy<Value = f32> {
    prop_oneof![Just(0.0), Just(f32::MAX), Just(f32::MIN), Just(f32::MIN_POSITIVE), -10.0..10.0f32, any::<f32>()]
}

proptest! {
    #[test]
    fn hostile_arrays_are_refused_or_answer_with_finite_probabilities(
        sizes in prop_oneof![Just(vec![2, 3, 2]), Just(vec![2, 1, 2]), proptest::collection::vec(0u64..5, 0..7)],
        weights in [proptest::collection::vec(numbers(), 0..9), proptest::collection::vec(numbers(), 6)],
        biases in [proptest::collection::vec(numbers(), 3), proptest::collection::vec(numbers(), 2)],
        row in [numbers(), numbers()],
    ) {
        let mut arrays = Arrays::default();
        arrays.insert("mlp.sizes", Array::U64(sizes));
        arrays.insert("mlp.activation", Array::U8(b"relu".to_vec()));
        for (layer, (weights, biases)) in weights.into_iter().zip(biases).enumerate() {
            arrays.insert(format!("mlp.{layer}.weights"), Array::F32(weights));
            arrays.insert(format!("mlp.{layer}.biases"), Array::F32(biases));
        }
        if let Ok(mlp) = Mlp::load(&arrays, 2, 2) {
            let mut probabilities = [0.0; 2];
            mlp.predict_into(&row, &mut Vec::new(), &mut probabilities);
            prop_assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}
