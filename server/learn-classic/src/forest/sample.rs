//! The rows of one tree, with weights that add up exactly.

use tenor_features::random::Random;

use crate::trees::exact::{EXACT_BITS, exact};

/// One distinct row of a tree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Index among the rows of the fit.
    pub row: u32,
    pub class: u32,
    /// See [`Units::pack`].
    pub packed: u64,
}

/// Weights as whole multiples of a power of two, packed with a count of rows into one number: one addition updates both, sums are exact,
/// and so neither the order of rows nor the number of threads can change a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Units {
    count_bits: u32,
    per_weight: f64,
}

impl Units {
    /// For sums over all `weights`, each taken as often as there are rows at most.
    pub fn new(weights: &[f32]) -> Self {
        let count_bits = usize::BITS - weights.len().leading_zeros();
        let largest = weights.iter().copied().fold(0.0f32, f32::max);
        // A bootstrap draws as many rows as there are, so its sum is at most `rows * largest`. One bit less than there are: rounding up needs
        // room.
        let limit = (weights.len() as f64 * f64::from(largest)).log2().ceil();
        let per_weight = (f64::from((62 - count_bits).min(EXACT_BITS - 1)) - limit).exp2();
        Self { count_bits, per_weight }
    }
    /// One row drawn `times` times: the weight in units above `count_bits` bits that hold 1.
    pub fn pack(&self, weight: f32, times: u32) -> u64 {
        let units = (f64::from(weight) * self.per_weight * f64::from(times)).round().max(1.0);
        (units as u64) << self.count_bits | 1
    }
    /// Rows in a sum of packed numbers.
    #[inline(always)]
    pub fn count(&self, packed: u64) -> u64 {
        packed & ((1 << self.count_bits) - 1)
    }
    /// The weight in units, exact.
    #[inline(always)]
    pub fn weight(&self, packed: u64) -> f64 {
        exact((packed >> self.count_bits) as i64)
    }
}

/// How often each of `rows` rows is drawn when `rows` are drawn with replacement.
pub(super) fn draw(rows: usize, random: &mut Random, times: &mut Vec<u32>) {
    times.clear();
    times.resize(rows, 0);
    for _ in 0..rows {
        times[random.below(rows)] += 1;
    }
}
