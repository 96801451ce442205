//! The objective of linear models: the mean logistic loss and its penalty.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;

/// Rows that one thread takes at a time; the partial losses are added in the order of the chunks.
pub(super) const CHUNK_ROWS: usize = 1_024;

/// Rows of features: what scores and gradients are computed from.
pub(super) trait Design: Sync {
    /// Number of features.
    fn width(&self) -> usize;
    /// The sum of the weighted losses and its gradient at `parameters` (features x columns, row-major, then one bias a column).
    fn evaluate(&self, targets: &Targets<'_>, parameters: &[f64], stop: Stop<'_>) -> Result<(f64, Vec<f64>), Error>;
    /// The weighted mean of each feature's square.
    fn mean_squares(&self, targets: &Targets<'_>) -> Vec<f64>;
}

/// What the rows should be answered with, and how much each counts.
pub(super) struct Targets<'a> {
    /// Among the classes that occur.
    labels: &'a [u32],
    /// Of each row; they add up to 1.
    weights: Vec<f64>,
    /// Weight vectors: one for two classes, else one a class.
    pub columns: usize,
}

impl<'a> Targets<'a> {
    /// `labels` are below `classes`, of which there are at least two; `weights`, one a row, have the sum `sum`, above 0.
    pub fn new(labels: &'a [u32], weights: &[f64], sum: f64, classes: usize) -> Self {
        let columns = if classes == 2 { 1 } else { classes };
        Self { labels, weights: weights.iter().map(|weight| weight / sum).collect(), columns }
    }

    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Of each row; they add up to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The weighted share of the rows of each column's class; for one column that of the second class.
    fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.columns];
        for (&label, weight) in self.labels.iter().zip(&self.weights) {
            match shares.as_mut_slice() {
                [second] => *second += f64::from(label) * weight,
                shares => shares[label as usize] += weight,
            }
        }
        shares
    }

    /// Fills `residuals` chunk by chunk (`work` gets the index of a chunk's first item) and adds up the losses in their order.
    pub fn score<T: Send>(
        &self,
        residuals: &mut [T],
        chunk: usize,
        stop: Stop<'_>,
        work: impl Fn(usize, &mut [T]) -> f64 + Sync,
    ) -> Result<f64, Error> {
        let losses: Vec<f64> = residuals
            .par_chunks_mut(chunk)
            .enumerate()
            .map(|(index, items)| stop.check().map(|()| work(index * chunk, items)))
            .collect::<Result<_, _>>()?;
        Ok(losses.iter().sum())
    }

    /// Turns the scores of `row` into the derivatives of its loss, and returns the loss; both weighted.
    pub fn residual(&self, row: usize, scores: &mut [f64]) -> f64 {
        let label = self.labels[row] as usize;
        let weight = self.weights[row];
        if let [score] = scores {
            let (z, y) = (*score, label as f64);
            let small = (-z.abs()).exp();
            let sigmoid = if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            *score = weight * (sigmoid - y);
            return weight * (small.ln_1p() + z.max(0.0) - y * z);
        }
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let of_label = scores[label];
        let mut sum = 0.0;
        for score in scores.iter_mut() {
            *score = (*score - largest).exp();
            sum += *score;
        }
        scores.iter_mut().for_each(|score| *score *= weight / sum);
        scores[label] -= weight;
        weight * (largest + sum.ln() - of_label)
    }
}

/// `sum(s_i * loss_i) / S + |w|^2 / (2 * C * S)` with `S` the sum of the row weights `s_i`: scikit-learn's objective, divided so that the
/// size of the data does not change the scale.
pub(super) struct Problem<'a> {
    pub design: &'a dyn Design,
    pub targets: &'a Targets<'a>,
    /// `(1 - l1_ratio) / (C * S)`.
    pub l2: f64,
    /// `l1_ratio / (C * S)`; the solver adds this part.
    pub l1: f64,
    pub stop: Stop<'a>,
}

impl<'a> Problem<'a> {
    /// The problem with inverse penalty `c`; `sum` is that of the row weights.
    pub fn new(
        design: &'a dyn Design,
        targets: &'a Targets<'a>,
        c: f64,
        l1_ratio: f64,
        sum: f64,
        stop: Stop<'a>,
    ) -> Self {
        let penalty = 1.0 / (c * sum);
        Self { design, targets, l2: (1.0 - l1_ratio) * penalty, l1: l1_ratio * penalty, stop }
    }

    /// How many parameters, the first ones, are penalised: all but the biases.
    pub fn penalised(&self) -> usize {
        self.design.width() * self.targets.columns
    }

    /// About how strongly the objective bends along each parameter: the diagonal of the Hessian where every row has the probabilities of
    /// the classes. Steps that begin from it are fewer (Jacobi's preconditioning): features differ in it a thousandfold.
    pub fn bends(&self) -> Vec<f64> {
        let mut spread: Vec<f64> = self.targets.shares().iter().map(|share| share * (1.0 - share)).collect();
        // Along the weights of a rare class the rows of that class, which its probability does not stand for, bend most.
        let least = spread.iter().sum::<f64>() / spread.len() as f64 / 4.0;
        spread.iter_mut().for_each(|spread| *spread = spread.max(least));
        let of_feature = |square: f64| spread.iter().map(move |spread| self.l2 + spread * square);
        let features = self.design.mean_squares(self.targets);
        let bends = features.into_iter().flat_map(of_feature).chain(spread.iter().copied());
        bends.map(|bend| if bend > 0.0 { bend } else { 1.0 }).collect()
    }

    /// The value and the gradient at `parameters`, without the L1 penalty.
    pub fn evaluate(&self, parameters: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let (loss, mut gradient) = self.design.evaluate(self.targets, parameters, self.stop)?;
        let mut squares = 0.0;
        for (weight, gradient) in parameters.iter().zip(&mut gradient).take(self.penalised()) {
            squares += weight * weight;
            *gradient += self.l2 * weight;
        }
        Ok((loss + self.l2 * squares / 2.0, gradient))
    }
}
