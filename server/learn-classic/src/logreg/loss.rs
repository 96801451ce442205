//! The loss and its gradient over sparse rows.
//!
//! The scores are computed row by row from the matrix, the gradient column by column from its transpose: both in parallel,
//! both adding up in an order that no number of threads can change.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::sparse::CsrMatrix;

/// Rows that one thread takes at a time; the partial losses are added in the order of the chunks.
const CHUNK_ROWS: usize = 1_024;
/// Entries of the transpose that one thread takes at a time, about.
const CHUNK_ENTRIES: usize = 65_536;

/// Mean weighted loss plus penalty, divided so that the size of the data does not change the scale:
/// `sum(s_i * loss_i) / S + |w|^2 / (2 * C * S)` with `S` the sum of the row weights `s_i`.
///
/// Parameters: features x columns, row-major, then one bias a column. One column means two classes.
pub(super) struct Problem<'a> {
    matrix: &'a CsrMatrix,
    labels: &'a [u32],
    /// `s_i / S` of each class.
    row_weights: Vec<f64>,
    columns: usize,
    penalty: f64,
    transpose: Transpose,
    stop: Stop<'a>,
}

/// The columns of the matrix, cut into pieces of about equal work.
struct Transpose {
    offsets: Vec<usize>,
    rows: Vec<u32>,
    values: Vec<f32>,
    pieces: Vec<std::ops::Range<usize>>,
}

impl<'a> Problem<'a> {
    /// `labels` index `class_weights`, of which there are at least two.
    pub fn new(matrix: &'a CsrMatrix, labels: &'a [u32], class_weights: &[f64], c: f64, stop: Stop<'a>) -> Self {
        let sum: f64 = labels.iter().map(|&label| class_weights[label as usize]).sum();
        let columns = if class_weights.len() == 2 { 1 } else { class_weights.len() };
        Self {
            matrix,
            labels,
            row_weights: class_weights.iter().map(|weight| weight / sum).collect(),
            columns,
            penalty: 1.0 / (c * sum),
            transpose: Transpose::new(matrix),
            stop,
        }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        (self.matrix.width + 1) * self.columns
    }

    /// The value and the gradient at `parameters`.
    pub fn evaluate(&self, parameters: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        // The usual numbers of columns get code of their own, in which the innermost loops have no counter.
        match self.columns {
            1 => self.evaluate_columns::<1>(parameters),
            3 => self.evaluate_columns::<3>(parameters),
            4 => self.evaluate_columns::<4>(parameters),
            5 => self.evaluate_columns::<5>(parameters),
            _ => self.evaluate_any(parameters),
        }
    }

    fn evaluate_columns<const K: usize>(&self, parameters: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let (weights, biases) = parameters.split_at(self.matrix.width * K);
        let (weights, _) = weights.as_chunks::<K>();
        let mut residuals = vec![[0.0; K]; self.labels.len()];
        let loss = self.score(&mut residuals, CHUNK_ROWS, |first, chunk| {
            let mut loss = 0.0;
            for (row, residual) in (first..).zip(chunk.iter_mut()) {
                let mut scores = [0.0; K];
                scores.copy_from_slice(biases);
                let entries = self.matrix.row(row);
                for (&column, &value) in entries.columns.iter().zip(entries.values) {
                    let (weights, value) = (&weights[column as usize], f64::from(value));
                    for k in 0..K {
                        scores[k] += weights[k] * value;
                    }
                }
                loss += self.residual(row, &mut scores);
                *residual = scores;
            }
            loss
        })?;
        let mut gradient = vec![0.0; parameters.len()];
        let (of_weights, of_biases) = gradient.split_at_mut(self.matrix.width * K);
        self.transpose.each_piece(of_weights, K, self.stop, |columns, gradient| {
            let (gradient, _) = gradient.as_chunks_mut::<K>();
            for (column, gradient) in columns.zip(gradient) {
                let (rows, values) = self.transpose.column(column);
                for (&row, &value) in rows.iter().zip(values) {
                    let (residual, value) = (&residuals[row as usize], f64::from(value));
                    for k in 0..K {
                        gradient[k] += residual[k] * value;
                    }
                }
            }
        })?;
        for residual in &residuals {
            of_biases.iter_mut().zip(residual).for_each(|(gradient, residual)| *gradient += residual);
        }
        Ok((loss + self.penalise(parameters, &mut gradient), gradient))
    }

    fn evaluate_any(&self, parameters: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let k = self.columns;
        let (weights, biases) = parameters.split_at(self.matrix.width * k);
        let mut residuals = vec![0.0; self.labels.len() * k];
        let loss = self.score(&mut residuals, CHUNK_ROWS * k, |first, chunk| {
            let mut loss = 0.0;
            for (row, scores) in (first / k..).zip(chunk.chunks_mut(k)) {
                scores.copy_from_slice(biases);
                for (column, value) in self.matrix.row(row).iter() {
                    let (weights, value) = (&weights[column * k..(column + 1) * k], f64::from(value));
                    scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += weight * value);
                }
                loss += self.residual(row, scores);
            }
            loss
        })?;
        let mut gradient = vec![0.0; parameters.len()];
        let (of_weights, of_biases) = gradient.split_at_mut(self.matrix.width * k);
        self.transpose.each_piece(of_weights, k, self.stop, |columns, gradient| {
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
        Ok((loss + self.penalise(parameters, &mut gradient), gradient))
    }

    /// Fills `residuals` chunk by chunk (`work` gets the index of a chunk's first item) and adds up the losses in their order.
    fn score<T: Send>(
        &self,
        residuals: &mut [T],
        chunk: usize,
        work: impl Fn(usize, &mut [T]) -> f64 + Sync,
    ) -> Result<f64, Error> {
        let losses: Vec<f64> = residuals
            .par_chunks_mut(chunk)
            .enumerate()
            .map(|(index, items)| self.stop.check().map(|()| work(index * chunk, items)))
            .collect::<Result<_, _>>()?;
        Ok(losses.iter().sum())
    }

    /// Turns the scores of `row` into the derivatives of its loss, and returns the loss; both weighted.
    fn residual(&self, row: usize, scores: &mut [f64]) -> f64 {
        let label = self.labels[row] as usize;
        let weight = self.row_weights[label];
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

    /// Adds the penalty's gradient and returns its value; the biases are free.
    fn penalise(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let mut squares = 0.0;
        for (weight, gradient) in parameters.iter().zip(gradient).take(self.matrix.width * self.columns) {
            squares += weight * weight;
            *gradient += self.penalty * weight;
        }
        self.penalty * squares / 2.0
    }
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
