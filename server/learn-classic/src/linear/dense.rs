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
        let of_chunk = |(chunk, weights): (usize, &[f64])| {
            let mut sums = vec![0.0; self.matrix.width];
            for (row, weight) in (chunk * CHUNK_ROWS..).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(self.matrix.row(row)) {
                    *sum += weight * f64::from(value).powi(2);
                }
            }
            sums
        };
        let parts: Vec<Vec<f64>> = targets.weights().par_chunks(CHUNK_ROWS).enumerate().map(of_chunk).collect();
        let mut means = vec![0.0; self.matrix.width];
        parts.iter().for_each(|part| means.iter_mut().zip(part).for_each(|(mean, part)| *mean += part));
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

    /// Gives `work` the rows `first..first + count`, at most [`BLOCK`]; those that are lacking are the first again. Several columns read
    /// every number several times: `wide` is then room to convert them once.
    #[inline(always)]
    fn block(&self, first: usize, count: usize, wide: Option<&mut [f64]>, work: impl BlockWork) {
        let width = self.matrix.width;
        let row = |at: usize| self.matrix.row(first + if at < count { at } else { 0 });
        let Some(wide) = wide else { return work.call::<f32>(std::array::from_fn(row)) };
        for (at, values) in wide.chunks_exact_mut(width).enumerate() {
            values.iter_mut().zip(row(at)).for_each(|(wide, value)| *wide = f64::from(*value));
        }
        work.call::<f64>(std::array::from_fn(|at| &wide[at * width..(at + 1) * width]));
    }
}

/// What is done with a block of rows, be they of narrow or of wide numbers.
trait BlockWork {
    fn call<T: Copy + Into<f64>>(self, rows: [&[T]; BLOCK]);
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
        let mut wide = (k > 1).then(|| vec![0.0; BLOCK * width]);
        for (block, scores) in scores.chunks_mut(BLOCK * k).enumerate() {
            let (first, count) = (first + block * BLOCK, scores.len() / k);
            design.block(first, count, wide.as_deref_mut(), BlockScores { weights, biases, scores });
        }
    }
}

struct BlockScores<'a> {
    weights: &'a [f64],
    biases: &'a [f64],
    scores: &'a mut [f64],
}

impl BlockWork for BlockScores<'_> {
    #[inline(always)]
    fn call<T: Copy + Into<f64>>(self, rows: [&[T]; BLOCK]) {
        let (width, k) = (rows[0].len(), self.biases.len());
        for (column, weights) in self.weights.chunks_exact(width).enumerate() {
            let dots = dots(weights, &rows);
            for (scores, dot) in self.scores.chunks_exact_mut(k).zip(dots) {
                scores[column] = self.biases[column] + dot;
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
        let mut wide = (k > 1).then(|| vec![0.0; BLOCK * width]);
        for (block, residuals) in residuals.chunks(BLOCK * k).enumerate() {
            let (first, count) = (first + block * BLOCK, residuals.len() / k);
            design.block(first, count, wide.as_deref_mut(), BlockGradient { residuals, gradient });
        }
    }
}

struct BlockGradient<'a> {
    residuals: &'a [f64],
    gradient: &'a mut [f64],
}

impl BlockWork for BlockGradient<'_> {
    #[inline(always)]
    fn call<T: Copy + Into<f64>>(self, rows: [&[T]; BLOCK]) {
        let width = rows[0].len();
        let k = self.gradient.len() / width;
        for (column, gradient) in self.gradient.chunks_exact_mut(width).enumerate() {
            // Rows that are lacking add nothing.
            let mut factors = [0.0; BLOCK];
            for (factor, residuals) in factors.iter_mut().zip(self.residuals.chunks_exact(k)) {
                *factor = residuals[column];
            }
            add_rows(gradient, &factors, &rows);
        }
    }
}

/// The dot products of `weights` with each row of a block.
#[inline(always)]
fn dots<T: Copy + Into<f64>>(weights: &[f64], rows: &[&[T]; BLOCK]) -> [f64; BLOCK] {
    let width = weights.len();
    let mut sums = [[0.0; LANES]; BLOCK];
    let whole = width - width % LANES;
    for start in (0..whole).step_by(LANES) {
        let weights = &weights[start..start + LANES];
        for at in 0..BLOCK {
            let values = &rows[at][start..start + LANES];
            for lane in 0..LANES {
                sums[at][lane] += weights[lane] * values[lane].into();
            }
        }
    }
    std::array::from_fn(|at| {
        let rest = weights[whole..].iter().zip(&rows[at][whole..width]);
        sums[at].iter().sum::<f64>() + rest.map(|(weight, value)| weight * (*value).into()).sum::<f64>()
    })
}

/// Adds each row of a block times its factor.
#[inline(always)]
fn add_rows<T: Copy + Into<f64>>(sum: &mut [f64], factors: &[f64; BLOCK], rows: &[&[T]; BLOCK]) {
    let width = sum.len();
    let rows: [&[T]; BLOCK] = std::array::from_fn(|at| &rows[at][..width]);
    for (feature, sum) in sum.iter_mut().enumerate() {
        let mut added = *sum;
        for at in 0..BLOCK {
            added += factors[at] * rows[at][feature].into();
        }
        *sum = added;
    }
}
