//! Columns of numbers as columns of small integers.
//!
//! A column gets at most `max_bins` bins. Bin `b` holds the values `x` with `edges[b - 1] < x <= edges[b]`. Edges are found as in
//! scikit-learn's `_BinMapper` (sklearn/ensemble/_hist_gradient_boosting/binning.py, 1.9.1): the midpoints between distinct values when
//! there are few, else quantiles by the averaged inverted distribution function. Missing values (NaN) have the bin after the last.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;

/// The most bins a column can have, beside the one of missing values.
pub(crate) const MAX_BINS: u32 = 255;

/// Quantiles are taken from so many rows at most.
const SUBSAMPLE: usize = 200_000;

/// The stream of the generator that picks those rows.
const STREAM: u64 = u64::MAX;

/// The bins of one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// Ascending and finite; one fewer than there are bins.
    pub edges: Vec<f32>,
    /// The bin of each row.
    pub codes: Vec<u8>,
    /// Whether a row of this column is missing.
    pub missing: bool,
}

impl Column {
    /// Bins of numbers; the bin with this index is that of missing values.
    pub fn bins(&self) -> usize {
        self.edges.len() + 1
    }
    /// Whether some rows are in another bin than others.
    pub fn varies(&self) -> bool {
        !self.edges.is_empty() || self.missing && self.codes.iter().any(|code| usize::from(*code) != self.bins())
    }
    /// The threshold that sends the bins up to `bin` to the left: all numbers there are when it is the last.
    pub fn threshold(&self, bin: usize) -> f32 {
        self.edges.get(bin).copied().unwrap_or(f32::MAX)
    }
}

/// Bins `rows` of `matrix`, column by column. An infinite number is an error.
pub(crate) fn bin_columns(
    matrix: &DenseMatrix,
    rows: &[u32],
    max_bins: u32,
    seed: u64,
    stop: Stop<'_>,
) -> Result<Vec<Column>, Error> {
    let sample = subsample(rows, SUBSAMPLE, seed);
    let of = |feature: usize, rows: &[u32]| -> Vec<f32> {
        rows.iter().map(|&row| matrix.values[row as usize * matrix.width + feature]).collect()
    };
    let columns = (0..matrix.width).into_par_iter().map(|feature| {
        stop.check()?;
        let values = of(feature, rows);
        if values.iter().any(|value| value.is_infinite()) {
            return Err(Error::invalid("matrix", format!("holds an infinite number in column {feature}")));
        }
        let edges = match sample.len() == rows.len() {
            true => find_edges(values.clone(), max_bins as usize),
            false => find_edges(of(feature, &sample), max_bins as usize),
        };
        let codes = values.iter().map(|&value| code(&edges, value)).collect();
        Ok(Column { missing: values.iter().any(|value| value.is_nan()), edges, codes })
    });
    columns.collect()
}

/// The bin of `value`.
pub(crate) fn code(edges: &[f32], value: f32) -> u8 {
    // At most 254 edges, so that bin 255 is free for missing values.
    let bin = if value.is_nan() { edges.len() + 1 } else { edges.partition_point(|edge| *edge < value) };
    bin as u8
}

/// The edges of a column with these values.
pub(crate) fn find_edges(mut values: Vec<f32>, max_bins: usize) -> Vec<f32> {
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f32::total_cmp);
    let mut distinct = values.clone();
    distinct.dedup();
    let mut edges: Vec<f32> = match distinct.len() <= max_bins {
        true => distinct.windows(2).map(|pair| at_most((f64::from(pair[0]) + f64::from(pair[1])) / 2.0)).collect(),
        false => (1..max_bins).map(|index| at_most(quantile(&values, index, max_bins))).collect(),
    };
    edges.dedup();
    edges
}

/// Quantile `index / of` of ascending `values`, of which there are more than `of`: where the distribution function is flat, the middle of
/// the flat piece (Hyndman and Fan 1996, definition 2). The arithmetic is numpy's, so that both round alike.
fn quantile(values: &[f32], index: usize, of: usize) -> f64 {
    let share = index as f64 * (100.0 / of as f64) / 100.0;
    let place = values.len() as f64 * share - 1.0;
    let before = place.floor().max(0.0);
    let low = f64::from(values[before as usize]);
    let high = f64::from(values[(before as usize + 1).min(values.len() - 1)]);
    if place == before { high - (high - low) * 0.5 } else { high }
}

/// The largest `f32` that is not above `edge`: `x <= edge` for the same `f32` numbers `x`.
fn at_most(edge: f64) -> f32 {
    let nearest = edge as f32;
    if f64::from(nearest) > edge { nearest.next_down() } else { nearest }
}

/// `limit` of `rows` in their order, each choice alike (Knuth, The Art of Computer Programming 2, algorithm 3.4.2 S).
fn subsample(rows: &[u32], limit: usize, seed: u64) -> Vec<u32> {
    if rows.len() <= limit {
        return rows.to_vec();
    }
    let mut random = Random::new(seed, STREAM);
    let mut wanted = limit;
    let mut chosen = Vec::with_capacity(limit);
    for (index, &row) in rows.iter().enumerate() {
        if random.below(rows.len() - index) < wanted {
            wanted -= 1;
            chosen.push(row);
        }
    }
    chosen
}
