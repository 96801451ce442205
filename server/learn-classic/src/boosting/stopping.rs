//! Rows to validate on, and when to stop.

use tenor_features::random::Random;

/// The stream of the generator that holds rows out.
const STREAM: u64 = u64::MAX - 1;

/// Parts `0..labels.len()` into rows to fit on and rows held out, about `fraction` of each class, one row at least on either side.
pub(super) fn hold_out(labels: &[u32], classes: usize, fraction: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let mut random = Random::new(seed, STREAM);
    let mut held = vec![false; labels.len()];
    for class in 0..classes as u32 {
        let mut rows: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] == class).collect();
        let count = (rows.len() as f64 * fraction).round() as usize;
        for at in 0..count {
            let other = at + random.below(rows.len() - at);
            rows.swap(at, other);
            held[rows[at]] = true;
        }
    }
    if held.iter().all(|held| !held) && held.len() > 1 {
        held[random.below(labels.len())] = true;
    }
    if held.iter().all(|held| *held) && !held.is_empty() {
        held[random.below(labels.len())] = false;
    }
    (0..labels.len() as u32).partition(|row| !held[*row as usize])
}

/// Whether none of the last `patience` losses is below the one before them by more than `tol`.
pub(super) fn should_stop(losses: &[f64], patience: usize, tol: f64) -> bool {
    let Some(reference) = losses.len().checked_sub(patience + 1) else { return false };
    losses[reference + 1..].iter().all(|loss| *loss >= losses[reference] - tol)
}
