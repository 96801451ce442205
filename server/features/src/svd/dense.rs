//! The dense half: inner products, combinations of columns and eigenvectors, by faer.
//!
//! faer runs on the calling thread; rows are cut into blocks whose number depends on the matrix alone.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;
use tenor_domain::Error;

use super::lanes::{LANES, Lanes, Panels};
use crate::Stop;

/// Rows that are converted to `f64` at a time: 250 kB at 120 columns.
const BLOCK: usize = 256;

/// Returns the lower triangle of `a^T b`, for a product that is symmetric; summed in `f64`.
pub(super) fn symmetric_product(a: &Panels, b: &Panels, stop: Stop<'_>) -> Result<Mat<f64>, Error> {
    const PARTS: usize = 8;
    let (rows, width) = (a.rows, a.width());
    let rows_a_part = rows.div_ceil(PARTS).next_multiple_of(BLOCK);
    let sums: Vec<Mat<f64>> = (0..PARTS)
        .into_par_iter()
        .map(|part| {
            let mut sum = Mat::zeros(width, width);
            let (mut left, mut right) = (vec![0.0; BLOCK * width], vec![0.0; BLOCK * width]);
            let end = rows.min((part + 1) * rows_a_part);
            for start in (part * rows_a_part..end).step_by(BLOCK) {
                stop.check()?;
                let count = BLOCK.min(end - start);
                copy_rows(a, start, &mut left[..count * width]);
                copy_rows(b, start, &mut right[..count * width]);
                let left = MatRef::from_row_major_slice(&left[..count * width], count, width);
                let right = MatRef::from_row_major_slice(&right[..count * width], count, width);
                triangular::matmul(
                    &mut sum,
                    BlockStructure::TriangularLower,
                    Accum::Add,
                    left.transpose(),
                    BlockStructure::Rectangular,
                    right,
                    BlockStructure::Rectangular,
                    1.0,
                    Par::Seq,
                );
            }
            Ok(sum)
        })
        .collect::<Result<_, Error>>()?;
    let sum = sums.into_iter().fold(Mat::zeros(width, width), |sum, part| sum + part);
    if (0..width).any(|column| !sum[(column, column)].is_finite()) {
        return Err(Error::invalid("matrix", "must hold finite numbers below 1e18 in size"));
    }
    Ok(sum)
}

/// Copies rows from `start` on, as many as `out` has room for, side by side.
fn copy_rows(panels: &Panels, start: usize, out: &mut [f64]) {
    for (index, row) in out.chunks_exact_mut(panels.width()).enumerate() {
        for (panel, out) in panels.panels.iter().zip(row.chunks_exact_mut(LANES)) {
            widen(&panel[start + index], out);
        }
    }
}

/// Replaces `panels` by `panels * weights`, for a square matrix of weights; summed in `f64`.
pub(super) fn combine(panels: &mut Panels, weights: &Mat<f64>, stop: Stop<'_>) -> Result<(), Error> {
    let width = panels.width();
    let mut blocks: Vec<Vec<&mut [Lanes]>> = Vec::new();
    blocks.resize_with(panels.rows.div_ceil(BLOCK), Vec::new);
    for panel in &mut panels.panels {
        for (block, rows) in blocks.iter_mut().zip(panel.chunks_mut(BLOCK)) {
            block.push(rows);
        }
    }
    blocks.into_par_iter().try_for_each(|mut block| {
        stop.check()?;
        let rows = block[0].len();
        let (mut before, mut after) = (vec![0.0; rows * width], vec![0.0; rows * width]);
        for (panel, lanes) in block.iter().enumerate() {
            for (row, lanes) in before.chunks_exact_mut(width).zip(lanes.iter()) {
                widen(lanes, &mut row[panel * LANES..][..LANES]);
            }
        }
        let product = MatMut::from_row_major_slice_mut(&mut after, rows, width);
        matmul(product, Accum::Replace, MatRef::from_row_major_slice(&before, rows, width), weights, 1.0, Par::Seq);
        for (panel, lanes) in block.iter_mut().enumerate() {
            for (row, lanes) in after.chunks_exact(width).zip(lanes.iter_mut()) {
                for (lane, value) in lanes.0.iter_mut().zip(&row[panel * LANES..]) {
                    *lane = *value as f32;
                }
            }
        }
        Ok(())
    })
}

fn widen(lanes: &Lanes, out: &mut [f64]) {
    for (out, &value) in out.iter_mut().zip(&lanes.0) {
        *out = f64::from(value);
    }
}
