//! How much a model of any kind relies on each column.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::arrays::{Arrays, broken};
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;

use super::check_rows;

/// By how much the log-loss on `matrix` grows when the values of one column are shuffled among the rows; the mean of `repeats` shuffles, one
/// number a column (Breiman 2001; Fisher, Rudin, Dominici 2019). Near 0 or below: the model does not need the column.
///
/// `predict` writes the probabilities of a row. Same seed, same numbers, whatever the number of threads. No rows: zeros.
pub(crate) fn permutation_importance(
    matrix: &DenseMatrix,
    labels: &[u32],
    classes: usize,
    predict: impl Fn(&[f32], &mut [f64]) + Sync,
    repeats: u32,
    seed: u64,
    stop: Stop<'_>,
) -> Result<Vec<f64>, Error> {
    check_rows("given", matrix, labels, classes)?;
    let rows = labels.len();
    if rows == 0 || repeats == 0 {
        return Ok(vec![0.0; matrix.width]);
    }
    let loss = |row: &[f32], label: u32, probabilities: &mut [f64]| {
        predict(row, probabilities);
        -probabilities[label as usize].max(f64::EPSILON).ln()
    };
    let mut probabilities = vec![0.0; classes];
    let mut base = 0.0;
    for (row, &label) in labels.iter().enumerate() {
        base += loss(matrix.row(row), label, &mut probabilities);
    }
    let of_column = |feature: usize| {
        let mut random = Random::new(seed, feature as u64);
        let mut order: Vec<usize> = (0..rows).collect();
        let (mut changed, mut probabilities) = (Vec::new(), vec![0.0; classes]);
        let mut total = 0.0;
        for _ in 0..repeats {
            stop.check()?;
            random.shuffle(&mut order);
            let mut shuffled = 0.0;
            for (row, &label) in labels.iter().enumerate() {
                changed.clear();
                changed.extend_from_slice(matrix.row(row));
                changed[feature] = matrix.row(order[row])[feature];
                shuffled += loss(&changed, label, &mut probabilities);
                if row % 256 == 0 {
                    stop.check()?;
                }
            }
            total += shuffled - base;
        }
        Ok(total / f64::from(repeats) / rows as f64)
    };
    (0..matrix.width).into_par_iter().map(of_column).collect()
}

/// The importances of `width` columns in a model file.
pub(crate) fn read_importances(arrays: &Arrays, name: &str, width: usize) -> Result<Vec<f64>, Error> {
    let importances = arrays.f64s(name)?;
    if importances.len() != width || importances.iter().any(|share| !(0.0..=1.0).contains(share)) {
        return Err(broken(name, "must hold a number from 0 to 1 for each column"));
    }
    Ok(importances.to_vec())
}

/// Scales what columns count to shares of their sum; below 0 counts as 0, and where nothing is left all shares are 0.
pub(crate) fn normalise(counts: &mut [f64]) {
    counts.iter_mut().for_each(|count| *count = count.max(0.0));
    let sum: f64 = counts.iter().sum();
    if sum > 0.0 {
        counts.iter_mut().for_each(|count| *count /= sum);
    }
}
