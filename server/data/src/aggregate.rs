//! The four aggregates by user and item, out of fold.
//!
//! A row of fold `f` sees the train rows of the other folds only, whichever part it is in. A train row so never sees itself,
//! and train and test values have the same distribution: both come from 4 of 5 folds. Keys that the other folds do not
//! hold are null, not zero. (Zeros for unknown users made the replaced system see drift between its own train and test.)

use std::collections::HashMap;

pub(crate) const FOLDS: usize = 5;

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    rows: [u32; FOLDS],
    chars: [u64; FOLDS],
}

/// Reviews and characters by key and fold.
#[derive(Debug, Default)]
pub(crate) struct Aggregates(HashMap<u64, Sums>);

impl Aggregates {
    pub(crate) fn add(&mut self, key: u64, fold: usize, chars: u32) {
        let sums = self.0.entry(key).or_default();
        sums.rows[fold] += 1;
        sums.chars[fold] += u64::from(chars);
    }
    /// Average length in characters and count of the reviews of `key` outside `fold`.
    pub(crate) fn outside(&self, key: Option<u64>, fold: usize) -> [Option<f64>; 2] {
        let Some(sums) = key.and_then(|key| self.0.get(&key)) else { return [None, None] };
        let rows = sums.rows.iter().sum::<u32>() - sums.rows[fold];
        let chars = sums.chars.iter().sum::<u64>() - sums.chars[fold];
        if rows == 0 { [None, None] } else { [Some(chars as f64 / f64::from(rows)), Some(f64::from(rows))] }
    }
}
