//! How much of the matrix the components explain.

use crate::dense::DenseMatrix;
use crate::sparse::CsrMatrix;

/// Returns the sum of the population variances of all columns: `sum(x^2) / rows - sum over columns of mean^2`.
pub(super) fn of_matrix(matrix: &CsrMatrix) -> f64 {
    let mut sums = vec![0.0; matrix.width];
    let mut squares = 0.0;
    for (&column, &value) in matrix.columns.iter().zip(&matrix.values) {
        let value = f64::from(value);
        sums[column as usize] += value;
        squares += value * value;
    }
    let rows = matrix.rows() as f64;
    (squares - sums.iter().map(|sum| sum * sum).sum::<f64>() / rows) / rows
}

/// Returns the population variance of each column.
pub(super) fn of_columns(matrix: &DenseMatrix) -> Vec<f64> {
    let rows = matrix.rows() as f64;
    let mut means = vec![0.0; matrix.width];
    for row in matrix.values.chunks_exact(matrix.width) {
        means.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / rows);
    }
    let mut variances = vec![0.0; matrix.width];
    for row in matrix.values.chunks_exact(matrix.width) {
        for ((variance, mean), value) in variances.iter_mut().zip(&means).zip(row) {
            let deviation = f64::from(*value) - mean;
            *variance += deviation * deviation / rows;
        }
    }
    variances
}
