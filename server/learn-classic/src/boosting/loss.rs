//! Log-loss with its first two derivatives.
//!
//! As scikit-learn's HalfBinomialLoss and HalfMultinomialLoss (sklearn/_loss/loss.py, 1.9.1): with `p` the sigmoid or softmax of the scores,
//! the gradient is `w (p - y)` and the hessian `w p (1 - p)`.

use rayon::prelude::*;
use tenor_learn::link::{sigmoid, softmax};

/// Rows at work at a time; sums are per chunk and then in the order of chunks, so that they do not depend on the threads.
const CHUNK: usize = 2048;

/// The rows of a fit and how much each counts.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub labels: Vec<u32>,
    pub weights: Vec<f32>,
    pub classes: usize,
}

/// First and second derivative by the score.
pub(super) type Derivatives = (f32, f32);

impl Target {
    /// Scores a row: one for two classes (that of the second), else one a class.
    pub fn outputs(&self) -> usize {
        if self.classes == 2 { 1 } else { self.classes }
    }

    /// The scores that fit best without a tree: the logit of the share, or the logarithm of each share less their mean. Shares are kept away
    /// from 0 and 1, so a class without rows gets a very low score.
    pub fn baseline(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.classes];
        for (label, weight) in self.labels.iter().zip(&self.weights) {
            shares[*label as usize] += f64::from(*weight);
        }
        let total: f64 = shares.iter().sum();
        // scikit-learn's margin.
        let margin = 10.0 * f64::EPSILON;
        shares.iter_mut().for_each(|share| *share = (*share / total).clamp(margin, 1.0 - margin));
        if self.classes == 2 {
            return vec![(shares[1] / (1.0 - shares[1])).ln()];
        }
        let mean = shares.iter().map(|share| share.ln()).sum::<f64>() / self.classes as f64;
        shares.iter().map(|share| share.ln() - mean).collect()
    }

    /// Writes the derivatives and returns the mean loss. `scores` and `derivatives` hold all rows of the first output, then of the next.
    pub fn derive(&self, scores: &[f64], derivatives: &mut [Derivatives]) -> f64 {
        let rows = self.labels.len();
        let mut columns: Vec<_> = derivatives.chunks_mut(rows).map(|column| column.chunks_mut(CHUNK)).collect();
        let chunks: Vec<Vec<&mut [Derivatives]>> =
            (0..rows.div_ceil(CHUNK)).map(|_| columns.iter_mut().filter_map(Iterator::next).collect()).collect();
        let losses = chunks.into_par_iter().enumerate().map(|(chunk, mut out)| {
            self.each_row(scores, chunk, |offset, output, probability, is_label, weight| {
                let gradient = weight * (probability - if is_label { 1.0 } else { 0.0 });
                out[output][offset] = (gradient as f32, (weight * probability * (1.0 - probability)) as f32);
            })
        });
        self.mean(losses.collect())
    }

    /// The mean loss, as [`derive`](Self::derive) returns it.
    pub fn loss(&self, scores: &[f64]) -> f64 {
        let chunks = (0..self.labels.len().div_ceil(CHUNK)).into_par_iter();
        self.mean(chunks.map(|chunk| self.each_row(scores, chunk, |_, _, _, _, _| ())).collect())
    }

    fn mean(&self, losses: Vec<f64>) -> f64 {
        let weight: f64 = self.weights.iter().map(|weight| f64::from(*weight)).sum();
        losses.iter().sum::<f64>() / weight
    }

    /// Calls `take` with offset in the chunk, output, probability, whether that is the row's label, and weight; returns the sum of losses.
    fn each_row(&self, scores: &[f64], chunk: usize, mut take: impl FnMut(usize, usize, f64, bool, f64)) -> f64 {
        let rows = self.labels.len();
        let start = chunk * CHUNK;
        let mut loss = 0.0;
        let mut exps = vec![0.0; self.classes];
        for row in start..rows.min(start + CHUNK) {
            let (label, weight) = (self.labels[row] as usize, f64::from(self.weights[row]));
            if self.classes == 2 {
                let score = scores[row];
                let against = if label == 1 { -score } else { score };
                loss += weight * ((-score.abs()).exp().ln_1p() + against.max(0.0));
                take(row - start, 0, sigmoid(score), label == 1, weight);
                continue;
            }
            let of = |class: usize| scores[class * rows + row];
            let largest = (0..self.classes).map(of).fold(f64::NEG_INFINITY, f64::max);
            let mut sum = 0.0;
            for (class, exp) in exps.iter_mut().enumerate() {
                *exp = (of(class) - largest).exp();
                sum += *exp;
            }
            loss += weight * (sum.ln() + largest - of(label));
            for (class, exp) in exps.iter().enumerate() {
                take(row - start, class, exp / sum, class == label, weight);
            }
        }
        loss
    }
}

/// From scores to probabilities, in place of the scores; for two classes the one score stands first.
pub(super) fn to_probabilities(scores: &mut [f64]) {
    if let [first, second] = scores {
        (*first, *second) = (sigmoid(-*first), sigmoid(*first));
        return;
    }
    softmax(scores);
}
