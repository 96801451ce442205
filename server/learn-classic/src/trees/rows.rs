//! The rows that a fit works on.

use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;

/// More rows than this leave too few bits for the sums of a histogram.
const MAX_ROWS: usize = 1 << 24;

/// Checks the arguments of a fit and returns the rows with a weight above 0: a row of weight 0 counts as absent.
pub(crate) fn used_rows(
    matrix: &DenseMatrix,
    labels: &[u32],
    classes: usize,
    weights: &[f32],
) -> Result<Vec<u32>, Error> {
    check_labels(matrix, labels, classes, "labels")?;
    if weights.len() != labels.len() {
        let text = format!("must be one a row: {} for {} rows", weights.len(), labels.len());
        return Err(Error::invalid("weights", text));
    }
    if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(Error::invalid(
            "weights",
            format!("must be finite and not negative, row {row} has {}", weights[row]),
        ));
    }
    if labels.len() > MAX_ROWS {
        return Err(Error::invalid("matrix", format!("has {} rows; at most {MAX_ROWS} fit", labels.len())));
    }
    let rows: Vec<u32> = (0..labels.len() as u32).filter(|&row| weights[row as usize] > 0.0).collect();
    if rows.is_empty() {
        return Err(Error::invalid("weights", "must be above 0 for one row at least"));
    }
    Ok(rows)
}

/// An error unless there is one label below `classes` for each row.
pub(crate) fn check_labels(matrix: &DenseMatrix, labels: &[u32], classes: usize, name: &str) -> Result<(), Error> {
    if matrix.width == 0 {
        return Err(Error::invalid("matrix", "must have a column at least"));
    }
    if matrix.rows() != labels.len() {
        return Err(Error::invalid(name, format!("must be one a row: {} for {} rows", labels.len(), matrix.rows())));
    }
    match labels.iter().find(|label| **label as usize >= classes) {
        Some(label) => Err(Error::invalid(name, format!("must be below {classes}, got {label}"))),
        None => Ok(()),
    }
}
