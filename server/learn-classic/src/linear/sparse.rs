//! The logistic loss over sparse rows.
//!
//! The scores are computed row by row from the matrix, the gradient column by column from its transpose: both in parallel,
//! both adding up in an order that no number of threads can change.

use pulp::Arch;
use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::sparse::CsrMatrix;

use super::loss::{CHUNK_ROWS, Design, Targets};

/// Entries of the transpose that one thread takes at a time, about.
const CHUNK_ENTRIES: usize = 65_536;

/// Sparse rows and their transpose.
pub(super) struct SparseDesign<'a> {
    matrix: &'a CsrMatrix,
    transpose: Transpose,
    arch: Arch,
}

/// The columns of the matrix, cut into pieces of about equal work.
struct Transpose {
    offsets: Vec<usize>,
    rows: Vec<u32>,
    values: Vec<f32>,
    pieces: Vec<std::ops::Range<usize>>,
}

impl<'a> SparseDesign<'a> {
    pub fn new(matrix: &'a CsrMatrix) -> Self {
        Self { matrix, transpose: Transpose::new(matrix), arch: Arch::new() }
    }

    fn evaluate_columns<const K: usize>(
        &self,
        targets: &Targets<'_>,
        parameters: &[f64],
        stop: Stop<'_>,
    ) -> Result<(f64, Vec<f64>), Error> {
        let (weights, biases) = parameters.split_at(self.matrix.width * K);
        let (weights, _) = weights.as_chunks::<K>();
        let mut residuals = vec![[0.0; K]; targets.rows()];
        let loss = targets.score(&mut residuals, CHUNK_ROWS, stop, |first, chunk| {
            let mut loss = 0.0;
            self.arch.dispatch(
                #[inline(always)]
                || {
                    for (row, scores) in (first..).zip(chunk.iter_mut()) {
                        scores.copy_from_slice(biases);
                        let entries = self.matrix.row(row);
                        add_products(scores, entries.columns, entries.values, weights);
                    }
                },
            );
            for (row, scores) in (first..).zip(chunk.iter_mut()) {
                loss += targets.residual(row, scores);
            }
            loss
        })?;
        let mut gradient = vec![0.0; parameters.len()];
        let (of_weights, of_biases) = gradient.split_at_mut(self.matrix.width * K);
        self.transpose.each_piece(of_weights, K, stop, |columns, gradient| {
            let (gradient, _) = gradient.as_chunks_mut::<K>();
            self.arch.dispatch(
                #[inline(always)]
                || {
                    for (column, gradient) in columns.clone().zip(gradient) {
                        let (rows, values) = self.transpose.column(column);
                        add_products(gradient, rows, values, &residuals);
                    }
                },
            );
        })?;
        for residual in &residuals {
            of_biases.iter_mut().zip(residual).for_each(|(gradient, residual)| *gradient += residual);
        }
        Ok((loss, gradient))
    }

    fn evaluate_any(
        &self,
        targets: &Targets<'_>,
        parameters: &[f64],
        stop: Stop<'_>,
    ) -> Result<(f64, Vec<f64>), Error> {
        let k = targets.columns;
        let (weights, biases) = parameters.split_at(self.matrix.width * k);
        let mut residuals = vec![0.0; targets.rows() * k];
        let loss = targets.score(&mut residuals, CHUNK_ROWS * k, stop, |first, chunk| {
            let mut loss = 0.0;
            for (row, scores) in (first / k..).zip(chunk.chunks_mut(k)) {
                scores.copy_from_slice(biases);
                for (column, value) in self.matrix.row(row).iter() {
                    let (weights, value) = (&weights[column * k..(column + 1) * k], f64::from(value));
                    scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += weight * value);
                }
                loss += targets.residual(row, scores);
            }
            loss
        })?;
        let mut gradient = vec![0.0; parameters.len()];
        let (of_weights, of_biases) = gradient.split_at_mut(self.matrix.width * k);
        self.transpose.each_piece(of_weights, k, stop, |columns, gradient| {
            for (column, gradient) in columns.zip(gradient.chunks_mut(k)) {
                let (rows, values) = self.transpose.column(column);
                for (&row, &value) in rows.iter().zip(values) {
                    let (residual, value) = (&residuals[row as usize * k..(row as usize + 1) * k], f64::from(value));
                    gradient.iter_mut().zip(residual).for_each(|(gradient, residual)| *gradient += residual * value);
                }
            }
        })?;
        for residual in residuals.chunks(k) {
            of_biases.iter_mut().zip(residual).for_each(|(gradient, residual)| *gradient += residual);
        }
        Ok((loss, gradient))
    }
}

impl Design for SparseDesign<'_> {
    fn width(&self) -> usize {
        self.matrix.width
    }

    fn evaluate(&self, targets: &Targets<'_>, parameters: &[f64], stop: Stop<'_>) -> Result<(f64, Vec<f64>), Error> {
        // The usual numbers of columns get code of their own, in which the innermost loops have no counter.
        match targets.columns {
            1 => self.evaluate_columns::<1>(targets, parameters, stop),
            3 => self.evaluate_columns::<3>(targets, parameters, stop),
            4 => self.evaluate_columns::<4>(targets, parameters, stop),
            5 => self.evaluate_columns::<5>(targets, parameters, stop),
            _ => self.evaluate_any(targets, parameters, stop),
        }
    }

    fn mean_squares(&self, targets: &Targets<'_>) -> Vec<f64> {
        let of_column = |column| {
            let (rows, values) = self.transpose.column(column);
            let square = |(row, value): (&u32, &f32)| targets.weights()[*row as usize] * f64::from(*value).powi(2);
            rows.iter().zip(values).map(square).sum()
        };
        (0..self.matrix.width).into_par_iter().map(of_column).collect()
    }
}

/// Adds each value times the vector that its index names.
#[inline(always)]
fn add_products<const K: usize>(sum: &mut [f64; K], indexes: &[u32], values: &[f32], vectors: &[[f64; K]]) {
    let mut sums = *sum;
    for (&index, &value) in indexes.iter().zip(values) {
        let (vector, value) = (&vectors[index as usize], f64::from(value));
        for k in 0..K {
            sums[k] += vector[k] * value;
        }
    }
    *sum = sums;
}

impl Transpose {
    fn new(matrix: &CsrMatrix) -> Self {
        let mut offsets = vec![0usize; matrix.width + 1];
        for &column in &matrix.columns {
            offsets[column as usize + 1] += 1;
        }
        for column in 0..matrix.width {
            offsets[column + 1] += offsets[column];
        }
        let mut next = offsets.clone();
        let (mut rows, mut values) = (vec![0u32; matrix.columns.len()], vec![0.0f32; matrix.columns.len()]);
        for row in 0..matrix.rows() {
            for (column, value) in matrix.row(row).iter() {
                let at = next[column];
                next[column] += 1;
                rows[at] = row as u32;
                values[at] = value;
            }
        }
        let mut pieces = Vec::new();
        let mut first = 0;
        for column in 0..matrix.width {
            if offsets[column + 1] - offsets[first] >= CHUNK_ENTRIES || column + 1 == matrix.width {
                pieces.push(first..column + 1);
                first = column + 1;
            }
        }
        Self { offsets, rows, values, pieces }
    }

    fn column(&self, column: usize) -> (&[u32], &[f32]) {
        let range = self.offsets[column]..self.offsets[column + 1];
        (&self.rows[range.clone()], &self.values[range])
    }

    /// Gives each piece its columns and its part of `gradient`, which has `k` numbers a column.
    fn each_piece(
        &self,
        mut gradient: &mut [f64],
        k: usize,
        stop: Stop<'_>,
        work: impl Fn(std::ops::Range<usize>, &mut [f64]) + Sync,
    ) -> Result<(), Error> {
        let mut parts = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let (part, rest) = gradient.split_at_mut(piece.len() * k);
            parts.push((piece.clone(), part));
            gradient = rest;
        }
        parts.into_par_iter().try_for_each(|(columns, part)| {
            stop.check()?;
            work(columns, part);
            Ok(())
        })
    }
}
