//! What a fit asks of its input besides what every learner does.

use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;

use crate::dense::Training;

/// Which classes occur in the training rows; an error that names what is wrong with them.
pub(super) fn check(training: &Training<'_>) -> Result<Vec<bool>, Error> {
    training.check()?;
    check_finite("training", training.matrix)?;
    if let Some((matrix, _)) = training.validation {
        check_finite("validation", matrix)?;
    }
    let mut present = vec![false; training.classes];
    training.labels.iter().for_each(|&label| present[label as usize] = true);
    if present.iter().filter(|present| **present).count() < 2 {
        return Err(Error::precondition(
            "TOO_FEW_CLASSES",
            "the training rows hold fewer than two classes; check the label column and the split",
        ));
    }
    Ok(present)
}

fn check_finite(which: &str, matrix: &DenseMatrix) -> Result<(), Error> {
    let Some(at) = matrix.values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let (row, column, value) = (at / matrix.width, at % matrix.width, matrix.values[at]);
    let text = format!("must be finite; {which} row {row}, column {column} holds {value}");
    Err(Error::invalid("features", text))
}
