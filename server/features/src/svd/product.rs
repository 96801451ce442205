//! The sparse product of the power iteration.

use std::ops::Range;

use rayon::prelude::*;
use tenor_domain::Error;

use super::lanes::{Lanes, Panels};
use crate::Stop;
use crate::sparse::CsrMatrix;

/// Rows between two looks at the stop flag.
const STOP_EVERY: usize = 512;

/// Returns `A^T A Q` in one walk over the rows of A: each row gathers `a^T Q` and scatters `a (a^T Q)` at once. So there is
/// neither a transpose of A nor an `A Q`, whose size would grow with the rows.
///
/// Panels are independent of each other. Each is summed in parts of rows whose number depends on the matrix alone, and the
/// parts are added in their order: the same bits for any number of threads.
pub(super) fn normal_product(matrix: &CsrMatrix, q: &Panels, stop: Stop<'_>) -> Result<Panels, Error> {
    let parts = parts(matrix);
    let panels: Result<Vec<_>, Error> = q
        .panels
        .par_iter()
        .map(|panel| {
            let sums: Vec<Vec<Lanes>> =
                parts.par_iter().map(|rows| of_part(matrix, rows.clone(), panel, stop)).collect::<Result<_, _>>()?;
            Ok(sums.into_iter().reduce(added).unwrap_or_default())
        })
        .collect();
    Ok(Panels { rows: q.rows, panels: panels? })
}

/// Ranges of rows with about equally many entries, each with at least [`ENTRIES_A_COLUMN`] entries a column, so that adding
/// up the parts stays cheap.
fn parts(matrix: &CsrMatrix) -> Vec<Range<usize>> {
    const ENTRIES_A_COLUMN: usize = 24;
    const MOST: usize = 8;
    let entries = matrix.columns.len();
    let count = (entries / (ENTRIES_A_COLUMN * matrix.width).max(1)).clamp(1, MOST);
    let end = |part: usize| match part {
        part if part == count => matrix.rows(),
        part => matrix.offsets.partition_point(|&offset| offset < entries / count * part).min(matrix.rows()),
    };
    (0..count).map(|part| end(part)..end(part + 1)).collect()
}

fn of_part(matrix: &CsrMatrix, rows: Range<usize>, q: &[Lanes], stop: Stop<'_>) -> Result<Vec<Lanes>, Error> {
    let mut z = vec![Lanes::ZERO; q.len()];
    for (count, index) in rows.enumerate() {
        if count % STOP_EVERY == 0 {
            stop.check()?;
        }
        let row = matrix.row(index);
        let mut product = Lanes::ZERO;
        for (column, value) in row.iter() {
            product.add_scaled(value, &q[column]);
        }
        for (column, value) in row.iter() {
            z[column].add_scaled(value, &product);
        }
    }
    Ok(z)
}

fn added(mut sum: Vec<Lanes>, part: Vec<Lanes>) -> Vec<Lanes> {
    for (sum, part) in sum.iter_mut().zip(&part) {
        sum.add_scaled(1.0, part);
    }
    sum
}
