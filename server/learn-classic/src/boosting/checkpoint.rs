//! The iterations so far of an unfinished fit.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};

use crate::trees::ensemble::Ensemble;
use crate::trees::file;

const PREFIX: &str = "boosting_so_far";
const GAINS: &str = "boosting_so_far.gains";
const LOSSES: &str = "boosting_so_far.val_losses";

/// What a fit has got.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Progress {
    pub trees: Ensemble,
    /// Sum of gains by column.
    pub gains: Vec<f64>,
    /// Before the first iteration and after each; empty without validation.
    pub val_losses: Vec<f64>,
}

pub(super) fn save(progress: &Progress) -> Arrays {
    let mut arrays = Arrays::default();
    file::save(&progress.trees, PREFIX, &mut arrays);
    arrays.insert(GAINS, Array::F64(progress.gains.clone()));
    arrays.insert(LOSSES, Array::F64(progress.val_losses.clone()));
    arrays
}

pub(super) fn load(state: &Arrays, width: usize, outputs: usize) -> Result<Progress, Error> {
    let trees = file::load(state, PREFIX, width, 1)?;
    let (gains, val_losses) = (state.f64s(GAINS)?.to_vec(), state.f64s(LOSSES)?.to_vec());
    if gains.len() != width || !trees.len().is_multiple_of(outputs) {
        return Err(broken(GAINS, "must hold one number a column"));
    }
    if !(val_losses.is_empty() || val_losses.len() == trees.len() / outputs + 1) {
        return Err(broken(LOSSES, "must hold one number an iteration"));
    }
    Ok(Progress { trees, gains, val_losses })
}
