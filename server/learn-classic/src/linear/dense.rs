//! The logistic loss over dense rows.
//!
//! The class axis is the outer one, so that the inner loops run over contiguous features. Eight partial sums a dot product, added
//! in a fixed order: the numbers depend neither on the number of threads nor on the width of the machine's vectors.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::dense::DenseMatrix;

use super::loss::{CHUNK_ROWS, Design, Targets};

/// Partial sums of a dot product.
const LANES: usize = 8;
/// Rows that are worked on together: each weight is loaded once for all of them.
const BLOCK: usize = 4;

/// Dense rows.
pub(super) struct DenseDesign<'a> {
    matrix: &'a DenseMatrix,
    arch: Arch,
}

impl<'a> DenseDesign<'a> {
    pub fn new(matrix: &'a DenseMatrix) -> Self {
        Self { matrix, arch: Arch::new() }
    }
}

impl Design for DenseDesign<'_> {
    fn width(&self) -> usize {
        self.matrix.width
    }

    fn evaluate(&self, targets: &Targets<'_>, parameters: &[f64], stop: Stop<'_>) -> Result<(f64, Vec<f64>), Error> {
        let (width, k) = (self.matrix.width, targets.columns);
        let (weights, biases) = parameters.split_at(width * k);
        // Columns x features, so that a column's weights are contiguous.
        let mut by_column = vec![0.0; width * k];
        for (feature, weights) in weights.chunks_exact(k).enumerate() {
            for (column, &weight) in weights.iter().enumerate() {
                by_column[column * width + feature] = weight;
            }
        }
        let chunks = targets.rows().div_ceil(CHUNK_ROWS);
        let parts: Vec<(f64, Vec<f64>)> = (0..chunks)
            .into_par_iter()
            .map(|chunk| {
                stop.check()?;
                let rows = chunk * CHUNK_ROWS..targets.rows().min((chunk + 1) * CHUNK_ROWS);
                Ok(self.chunk(rows, targets, &by_column, biases))
            })
            .collect::<Result<_, Error>>()?;
        let mut loss = 0.0;
        let mut sum = vec![0.0; parameters.len()];
        for (part_loss, part) in &parts {
            loss += part_loss;
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        let mut gradient = vec![0.0; parameters.len()];
        for (feature, gradient) in gradient.chunks_exact_mut(k).take(width).enumerate() {
            for (column, gradient) in gradient.iter_mut().enumerate() {
                *gradient = sum[column * width + feature];
            }
        }
        gradient[width * k..].copy_from_slice(&sum[width * k..]);
        Ok((loss, gradient))
    }

    fn mean_squares(&self, targets: &Targets<'_>) -> Vec<f64> {
        let mut means = vec![0.0; self.matrix.width];
        for (row, weight) in targets.weights().iter().enumerate() {
            for (mean, &value) in means.iter_mut().zip(self.matrix.row(row)) {
                *mean += weight * f64::from(value).powi(2);
            }
        }
        means
    }
}

impl DenseDesign<'_> {
    /// Loss and gradient (columns x features, then biases) of `rows`.
    fn chunk(&self, rows: Range<usize>, targets: &Targets<'_>, weights: &[f64], biases: &[f64]) -> (f64, Vec<f64>) {
        let (width, k) = (self.matrix.width, targets.columns);
        let mut scores = vec![0.0; rows.len() * k];
        self.arch.dispatch(Scores { design: self, first: rows.start, weights, biases, scores: &mut scores });
        let residuals = scores.chunks_exact_mut(k);
        let loss = rows.clone().zip(residuals).map(|(row, scores)| targets.residual(row, scores)).sum();
        let mut gradient = vec![0.0; (width + 1) * k];
        let (of_weights, of_biases) = gradient.split_at_mut(width * k);
        self.arch.dispatch(Gradient { design: self, first: rows.start, residuals: &scores, gradient: of_weights });
        for residuals in scores.chunks_exact(k) {
            of_biases.iter_mut().zip(residuals).for_each(|(bias, residual)| *bias += residual);
        }
        (loss, gradient)
    }

    /// Rows `first..first + count` as wide numbers in `values`, at most [`BLOCK`]; rows that are lacking are zero.
    #[inline(always)]
    fn widen(&self, first: usize, count: usize, values: &mut [f64]) {
        let width = self.matrix.width;
        for (at, values) in values.chunks_exact_mut(width).enumerate() {
            if at < count {
                for (wide, &value) in values.iter_mut().zip(self.matrix.row(first + at)) {
                    *wide = f64::from(value);
                }
            } else {
                values.fill(0.0);
            }
        }
    }
}

/// Fills `scores` (rows x columns) from the rows that begin at `first`.
struct Scores<'a> {
    design: &'a DenseDesign<'a>,
    first: usize,
    /// Columns x features.
    weights: &'a [f64],
    biases: &'a [f64],
    scores: &'a mut [f64],
}

impl NullaryFnOnce for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { design, first, weights, biases, scores } = self;
        let (width, k) = (design.matrix.width, biases.len());
        let mut values = vec![0.0; BLOCK * width];
        for (block, scores) in scores.chunks_mut(BLOCK * k).enumerate() {
            design.widen(first + block * BLOCK, scores.len() / k, &mut values);
            for (column, weights) in weights.chunks_exact(width).enumerate() {
                let dots = dots(weights, &values);
                for (scores, dot) in scores.chunks_exact_mut(k).zip(dots) {
                    scores[column] = biases[column] + dot;
                }
            }
        }
    }
}

/// Adds the rows that begin at `first`, each times its residuals (rows x columns), to `gradient` (columns x features).
struct Gradient<'a> {
    design: &'a DenseDesign<'a>,
    first: usize,
    residuals: &'a [f64],
    gradient: &'a mut [f64],
}

impl NullaryFnOnce for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { design, first, residuals, gradient } = self;
        let width = design.matrix.width;
        let k = gradient.len() / width;
        let mut values = vec![0.0; BLOCK * width];
        for (block, residuals) in residuals.chunks(BLOCK * k).enumerate() {
            design.widen(first + block * BLOCK, residuals.len() / k, &mut values);
            for (column, gradient) in gradient.chunks_exact_mut(width).enumerate() {
                let mut factors = [0.0; BLOCK];
                for (factor, residuals) in factors.iter_mut().zip(residuals.chunks_exact(k)) {
                    *factor = residuals[column];
                }
                add_rows(gradient, &factors, &values);
            }
        }
    }
}

/// The dot products of `weights` with each row of a block.
#[inline(always)]
fn dots(weights: &[f64], values: &[f64]) -> [f64; BLOCK] {
    let width = weights.len();
    let rows: [&[f64]; BLOCK] = std::array::from_fn(|at| &values[at * width..(at + 1) * width]);
    let mut sums = [[0.0; LANES]; BLOCK];
    let whole = width - width % LANES;
    for start in (0..whole).step_by(LANES) {
        let weights = &weights[start..start + LANES];
        for at in 0..BLOCK {
            let values = &rows[at][start..start + LANES];
            for lane in 0..LANES {
                sums[at][lane] += weights[lane] * values[lane];
            }
        }
    }
    std::array::from_fn(|at| {
        let rest: f64 = weights[whole..].iter().zip(&rows[at][whole..]).map(|(weight, value)| weight * value).sum();
        sums[at].iter().sum::<f64>() + rest
    })
}

/// Adds each row of a block times its factor.
#[inline(always)]
fn add_rows(sum: &mut [f64], factors: &[f64; BLOCK], values: &[f64]) {
    let width = sum.len();
    let rows: [&[f64]; BLOCK] = std::array::from_fn(|at| &values[at * width..(at + 1) * width]);
    for (feature, sum) in sum.iter_mut().enumerate() {
        let mut added = *sum;
        for at in 0..BLOCK {
            added += factors[at] * rows[at][feature];
        }
        *sum = added;
    }
}
