//! Accuracy and log-loss while fitting.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::dense::DenseMatrix;
use tenor_learn::label_of;

/// Sums over rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub rows: u64,
    right: u64,
    loss: f64,
}

impl Tally {
    pub fn add(&mut self, probabilities: &[f64], label: usize) {
        self.rows += 1;
        self.right += u64::from(label_of(probabilities) == label);
        // The floor that scikit-learn's log_loss has.
        self.loss -= probabilities[label].max(f64::EPSILON).ln();
    }
    /// The sum in the order of `parts`, so that it does not depend on the threads.
    pub fn sum(parts: &[Self]) -> Self {
        parts.iter().fold(Self::default(), |sum, part| Self {
            rows: sum.rows + part.rows,
            right: sum.right + part.right,
            loss: sum.loss + part.loss,
        })
    }
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.rows as f64
    }
    pub fn log_loss(&self) -> f64 {
        self.loss / self.rows as f64
    }
}

/// Accuracy and log-loss of what `predict` says about the rows of `matrix`.
pub(crate) fn scores(
    matrix: &DenseMatrix,
    labels: &[u32],
    classes: usize,
    predict: &(dyn Fn(&[f32], &mut [f64]) + Sync),
    stop: Stop<'_>,
) -> Result<(f64, f64), Error> {
    const CHUNK: usize = 512;
    let score = |(chunk, labels): (usize, &[u32])| {
        stop.check()?;
        let (mut tally, mut probabilities) = (Tally::default(), vec![0.0; classes]);
        for (offset, &label) in labels.iter().enumerate() {
            predict(matrix.row(chunk * CHUNK + offset), &mut probabilities);
            tally.add(&probabilities, label as usize);
        }
        Ok::<_, Error>(tally)
    };
    let tallies: Vec<Tally> = labels.par_chunks(CHUNK).enumerate().map(score).collect::<Result<_, _>>()?;
    let tally = Tally::sum(&tallies);
    Ok((tally.accuracy(), tally.log_loss()))
}
