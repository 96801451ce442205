//! Rows to learn from and rows to watch.

use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;

use super::options::MlpParams;
use crate::dense::{Training, hold_out};

/// Some rows of a matrix with their labels and weights.
#[derive(Debug, Clone)]
pub(super) struct Rows<'a> {
    pub matrix: &'a DenseMatrix,
    pub labels: &'a [u32],
    /// One for each row of the matrix.
    pub weights: Vec<f32>,
    /// Which rows of the matrix.
    pub picked: Vec<u32>,
}

impl Rows<'_> {
    /// The sum of the weights of the rows picked.
    pub fn weight(&self) -> f64 {
        self.picked.iter().map(|&row| f64::from(self.weights[row as usize])).sum()
    }
}

/// The rows to learn from, whose weights average 1, and those to watch, if there are any.
///
/// A validation row that was given weighs what training rows of its class do on average: what is watched is the loss that is
/// minimised.
pub(super) fn split<'a>(
    training: &Training<'a>,
    params: &MlpParams,
    random: Random,
) -> Result<(Rows<'a>, Option<Rows<'a>>), Error> {
    let Training { matrix, labels, weights, validation, .. } = *training;
    let mut train = Rows { matrix, labels, weights: weights.to_vec(), picked: (0..labels.len() as u32).collect() };
    let watched = match validation {
        Some((matrix, labels)) if !labels.is_empty() => {
            let weights = class_averages(&train);
            let weights = labels.iter().map(|&label| weights.get(label as usize).copied().unwrap_or(0.0)).collect();
            Some(Rows { matrix, labels, weights, picked: (0..labels.len() as u32).collect() })
        }
        _ if params.early_stopping => {
            let (fitted, held) = hold_out(labels, params.validation_fraction, random);
            train.picked = fitted;
            Some(Rows { picked: held, ..train.clone() })
        }
        _ => None,
    };
    let average = train.weight() / train.picked.len() as f64;
    if average <= 0.0 {
        return Err(Error::invalid("weights", "are all zero in the training rows; at least one must be above 0"));
    }
    train.weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / average) as f32);
    Ok((train, watched.filter(|rows| rows.weight() > 0.0)))
}

fn class_averages(rows: &Rows<'_>) -> Vec<f32> {
    let mut sums: Vec<(f64, u64)> = Vec::new();
    for (&label, &weight) in rows.labels.iter().zip(&rows.weights) {
        if sums.len() <= label as usize {
            sums.resize(label as usize + 1, (0.0, 0));
        }
        let (sum, count) = &mut sums[label as usize];
        (*sum, *count) = (*sum + f64::from(weight), *count + 1);
    }
    sums.into_iter().map(|(sum, count)| (sum / count.max(1) as f64) as f32).collect()
}
