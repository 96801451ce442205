//! When to stop.

/// Whether none of the last `patience` losses is below the one before them by more than `tol`.
pub(super) fn should_stop(losses: &[f64], patience: usize, tol: f64) -> bool {
    let Some(reference) = losses.len().checked_sub(patience + 1) else { return false };
    losses[reference + 1..].iter().all(|loss| *loss >= losses[reference] - tol)
}
