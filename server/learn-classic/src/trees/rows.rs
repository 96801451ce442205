//! The rows that a fit works on.

use tenor_domain::Error;

use crate::dense::Training;

/// More rows than this leave too few bits for the sums of a histogram.
const MAX_ROWS: usize = 1 << 24;

/// Checks what a fit is given and returns the rows with a weight above 0: a row of weight 0 counts as absent.
pub(crate) fn used_rows(training: &Training<'_>) -> Result<Vec<u32>, Error> {
    training.check()?;
    let rows = training.labels.len();
    if rows > MAX_ROWS {
        return Err(Error::invalid("features", format!("have {rows} rows; at most {MAX_ROWS} fit")));
    }
    let used: Vec<u32> = (0..rows as u32).filter(|&row| training.weights[row as usize] > 0.0).collect();
    if used.is_empty() {
        return Err(Error::invalid("weights", "must be above 0 for one row at least"));
    }
    Ok(used)
}
