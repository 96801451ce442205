//! What the tests of both learners share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tenor_domain::{Error, ErrorKind};
use tenor_features::Stop;
use tenor_features::arrays::Arrays;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::params::Params;
use tenor_learn::{Checkpoints, FitContext};

use crate::dense::{Learner, Training};

/// Values of scikit-learn; tests/golden/make_trees.py says how they were made.
pub(crate) fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../tests/golden/trees.json")).unwrap()
}

/// A matrix of JSON rows; null is a missing value.
pub(crate) fn matrix_of(rows: &Value) -> DenseMatrix {
    let rows = rows.as_array().unwrap();
    let values = rows.iter().flat_map(|row| row.as_array().unwrap());
    let values = values.map(|value| value.as_f64().map_or(f32::NAN, |value| value as f32)).collect();
    DenseMatrix { width: rows[0].as_array().unwrap().len(), values }
}

pub(crate) fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// Seeded rows of `width` columns: the first two decide the class with some noise, the third is constant, the fourth is missing now and
/// then.
pub(crate) fn generated(rows: usize, width: usize, classes: usize, seed: u64) -> (DenseMatrix, Vec<u32>) {
    let mut random = Random::new(seed, 0);
    let mut matrix = DenseMatrix::zeros(rows, width);
    let labels = matrix.values.chunks_mut(width).map(|row| {
        row.fill_with(|| (random.unit() * 8.0 - 4.0) as f32);
        let signal = f64::from(row[0] + row[1] * row[0].signum()) / 8.0 + 0.5 + 0.3 * (random.unit() - 0.5);
        if let Some(constant) = row.get_mut(2) {
            *constant = 7.0;
        }
        if width > 3 && random.below(5) == 0 {
            row[3] = f32::NAN;
        }
        ((signal * classes as f64) as i64).clamp(0, classes as i64 - 1) as u32
    });
    let labels = labels.collect();
    (matrix, labels)
}

/// Probabilities of all rows.
pub(crate) fn all(matrix: &DenseMatrix, classes: usize, predict: impl Fn(&[f32], &mut [f64])) -> Vec<f64> {
    let mut probabilities = vec![0.0; matrix.rows() * classes];
    for (row, probabilities) in probabilities.chunks_mut(classes).enumerate() {
        predict(matrix.row(row), probabilities);
        assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{probabilities:?}");
    }
    probabilities
}

pub(crate) fn accuracy(probabilities: &[f64], labels: &[u32], classes: usize) -> f64 {
    let rows = probabilities.chunks(classes).zip(labels);
    rows.filter(|(row, label)| tenor_learn::label_of(row) == **label as usize).count() as f64 / labels.len() as f64
}

/// Keeps every state, and cancels the fit after some of them.
#[derive(Default)]
pub(crate) struct Interrupting {
    pub state: Mutex<Option<Arrays>>,
    pub saved: AtomicUsize,
}

impl Checkpoints for Interrupting {
    fn load(&self) -> Result<Option<Arrays>, Error> {
        Ok(self.state.lock().unwrap().clone())
    }
    fn due(&self) -> bool {
        true
    }
    fn save(&self, state: &Arrays) -> Result<(), Error> {
        self.saved.fetch_add(1, Ordering::Relaxed);
        *self.state.lock().unwrap() = Some(state.clone());
        Ok(())
    }
}

/// Runs `fit` with a stop after every `saves` states, again and again until it comes to its end. Returns what it made, and how often it was
/// interrupted.
pub(crate) fn interrupted<T: Send>(
    saves: usize,
    seed: u64,
    fit: impl Fn(&FitContext<'_>) -> Result<T, Error> + Sync,
) -> (T, usize) {
    let checkpoints = Interrupting::default();
    for attempt in 0..1_000 {
        let before = checkpoints.saved.load(Ordering::Relaxed);
        let wanted = || checkpoints.saved.load(Ordering::Relaxed) >= before + saves;
        let stop = Stop::when(&wanted);
        let context = FitContext { stop, checkpoints: Some(&checkpoints), ..FitContext::quiet(seed) };
        match context.in_pool(|| fit(&context)) {
            Ok(fitted) => return (fitted, attempt),
            Err(error) => assert_eq!(error.kind, ErrorKind::Cancelled),
        }
    }
    panic!("it never ends");
}

/// All ways to break one array: shorter, and each of `values` at several places.
pub(crate) fn broken_copies(arrays: &Arrays) -> Vec<(String, Arrays)> {
    use tenor_features::arrays::Array;
    let mut copies = Vec::new();
    for (name, array) in arrays.iter() {
        let mut add = |what: String, array: Array| {
            let mut copy = arrays.clone();
            copy.insert(name, array);
            copies.push((format!("{name}: {what}"), copy));
        };
        add("another type".to_owned(), Array::U64(vec![1, 2, 3]));
        match array {
            Array::U8(data) => {
                add("shorter".to_owned(), Array::U8(data[..data.len() - 4].to_vec()));
                add("cut".to_owned(), Array::U8(data[..data.len() - 1].to_vec()));
            }
            Array::F32(data) => {
                add("shorter".to_owned(), Array::F32(data[1..].to_vec()));
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut changed = data.clone();
                    *changed.last_mut().unwrap() = bad;
                    add(format!("{bad}"), Array::F32(changed));
                }
            }
            Array::F64(data) => {
                add("shorter".to_owned(), Array::F64(data[1..].to_vec()));
                for bad in [f64::NAN, f64::INFINITY, -1e300] {
                    let mut changed = data.clone();
                    changed[0] = bad;
                    add(format!("{bad}"), Array::F64(changed));
                }
            }
            Array::U64(_) => (),
        }
    }
    copies
}

pub(crate) fn options<L: Learner>(given: Value) -> L::Options {
    L::read(&mut Params::new(&given, &L::defaults()).unwrap()).unwrap()
}

/// Rows that all count the same, without validation rows.
pub(crate) fn fit<L: Learner>(matrix: &DenseMatrix, labels: &[u32], classes: usize, given: Value) -> L {
    let weights = vec![1.0; labels.len()];
    let training = Training { matrix, labels, classes, weights: &weights, validation: None };
    L::fit(training, &options::<L>(given), &FitContext::quiet(1)).unwrap()
}

pub(crate) fn probabilities<L: Learner>(learner: &L, matrix: &DenseMatrix, classes: usize) -> Vec<f64> {
    all(matrix, classes, |row, p| learner.predict_into(row, &mut Vec::new(), p))
}

/// What was saved is what is loaded, and a file that is broken in any way is refused.
pub(crate) fn check_file<L: Learner + PartialEq + std::fmt::Debug>(given: &Value) {
    for classes in [2, 3] {
        let (matrix, labels) = generated(300, 5, classes, 3);
        let learner: L = fit(&matrix, &labels, classes, given.clone());
        let mut arrays = Arrays::default();
        learner.save(&mut arrays);
        assert_eq!(L::load(&arrays, 5, classes).unwrap(), learner);
        assert!(L::load(&arrays, 4, classes).is_err());
        assert!(L::load(&arrays, 5, classes + 1).is_err());
        assert!(L::load(&Arrays::default(), 5, classes).is_err());
        for (what, copy) in broken_copies(&arrays) {
            assert!(L::load(&copy, 5, classes).is_err(), "{what}");
        }
        let size = learner.size();
        assert!(size.parameters >= size.nonzero && size.nonzero > 0);
    }
}

/// A fit over many rows that is cancelled at its `check`th look ends soon.
pub(crate) fn check_cancel<L: Learner>(check: usize) {
    let (matrix, labels) = generated(20_000, 30, 2, 3);
    let weights = vec![1.0; labels.len()];
    let checks = AtomicUsize::new(0);
    let wanted = || checks.fetch_add(1, Ordering::Relaxed) > check;
    let context = FitContext { stop: Stop::when(&wanted), ..FitContext::quiet(1) };
    let started = Instant::now();
    let training = Training { matrix: &matrix, labels: &labels, classes: 2, weights: &weights, validation: None };
    let error = L::fit(training, &options::<L>(Value::Null), &context).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(10));
}
