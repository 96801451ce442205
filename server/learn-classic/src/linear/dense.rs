//! The logistic loss over dense rows.
//!
//! The class axis is the outer one, so that the inner loops run over contiguous features. Eight partial sums a dot product, added
//! in a fixed order: the numbers depend neither on the number of threads nor on the width of the machine's vectors.

use pulp::Arch;
use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::dense::DenseMatrix;

use super::loss::{CHUNK_ROWS, Design, Targets};

/// Partial sums of a dot product.
const LANES: usize = 8;

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
                Ok(self.arch.dispatch(|| self.chunk(rows, targets, &by_column, biases)))
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
}

impl DenseDesign<'_> {
    /// Loss and gradient (columns x features, then biases) of `rows`.
    #[inline(always)]
    fn chunk(
        &self,
        rows: std::ops::Range<usize>,
        targets: &Targets<'_>,
        weights: &[f64],
        biases: &[f64],
    ) -> (f64, Vec<f64>) {
        let (width, k) = (self.matrix.width, targets.columns);
        let mut gradient = vec![0.0; (width + 1) * k];
        let (of_weights, of_biases) = gradient.split_at_mut(width * k);
        let mut scores = vec![0.0; k];
        let mut loss = 0.0;
        for row in rows {
            let values = self.matrix.row(row);
            for ((score, weights), bias) in scores.iter_mut().zip(weights.chunks_exact(width)).zip(biases) {
                *score = bias + dot(weights, values);
            }
            loss += targets.residual(row, &mut scores);
            for ((gradient, residual), bias) in of_weights.chunks_exact_mut(width).zip(&scores).zip(&mut *of_biases) {
                for (gradient, &value) in gradient.iter_mut().zip(values) {
                    *gradient += residual * f64::from(value);
                }
                *bias += residual;
            }
        }
        (loss, gradient)
    }
}

#[inline(always)]
fn dot(weights: &[f64], values: &[f32]) -> f64 {
    let (weights, weights_rest) = weights.as_chunks::<LANES>();
    let (values, values_rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (weights, values) in weights.iter().zip(values) {
        for lane in 0..LANES {
            sums[lane] += weights[lane] * f64::from(values[lane]);
        }
    }
    let rest: f64 = weights_rest.iter().zip(values_rest).map(|(weight, value)| weight * f64::from(*value)).sum();
    sums.iter().sum::<f64>() + rest
}
