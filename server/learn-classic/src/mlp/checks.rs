//! What a fit asks of its input.

use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;

/// Which classes occur in `labels`; an error that names what is wrong with the training rows.
pub(super) fn check_training(
    matrix: &DenseMatrix,
    labels: &[u32],
    classes: usize,
    weights: &[f32],
) -> Result<Vec<bool>, Error> {
    check_rows("training", matrix, labels, classes)?;
    if weights.len() != labels.len() {
        return Err(Error::invalid("weights", format!("are {} for {} rows", weights.len(), labels.len())));
    }
    if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
        return Err(Error::invalid(
            "weights",
            format!("must be finite and not negative; row {row} has {}", weights[row]),
        ));
    }
    let mut present = vec![false; classes];
    labels.iter().for_each(|&label| present[label as usize] = true);
    if present.iter().filter(|present| **present).count() < 2 {
        return Err(Error::precondition(
            "TOO_FEW_CLASSES",
            "the training rows hold fewer than two classes; check the label column and the split",
        ));
    }
    Ok(present)
}

/// An error when `matrix` and `labels` do not belong together or a number is not finite.
pub(super) fn check_rows(which: &str, matrix: &DenseMatrix, labels: &[u32], classes: usize) -> Result<(), Error> {
    if matrix.width == 0 && !labels.is_empty() {
        return Err(Error::invalid(
            "features",
            format!("of the {which} rows have no columns; there must be at least one"),
        ));
    }
    if matrix.rows() != labels.len() || u32::try_from(labels.len()).is_err() {
        return Err(Error::invalid("labels", format!("are {} for {} {which} rows", labels.len(), matrix.rows())));
    }
    if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
        let text = format!("must be below {classes}; {which} row {row} has {}", labels[row]);
        return Err(Error::invalid("labels", text));
    }
    if let Some(at) = matrix.values.iter().position(|value| !value.is_finite()) {
        let (row, column, value) = (at / matrix.width, at % matrix.width, matrix.values[at]);
        let text = format!("must be finite; {which} row {row}, column {column} holds {value}");
        return Err(Error::invalid("features", text));
    }
    Ok(())
}
