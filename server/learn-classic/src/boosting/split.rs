//! The best split of a node by one column.
//!
//! With `G`, `H` the sums of gradients and hessians of a node and `l` the regularisation, its value is `-G / (H + l)`, and a split gains
//! `G_l^2 / (H_l + l) + G_r^2 / (H_r + l)` less the same of the node (Chen and Guestrin 2016, equations 5 to 7). Order of the scan, limits
//! and ties are those of scikit-learn (sklearn/ensemble/_hist_gradient_boosting/splitting.pyx, 1.9.1).

use std::ops::Range;

use pulp::NullaryFnOnce;

use super::histogram::{Pair, Units};
use crate::trees::exact::exact;

/// Children with a smaller sum of hessians are not made; scikit-learn's constant.
pub(super) const MIN_HESSIAN: f64 = 1e-3;
/// Keeps a value finite where no hessian is left.
const TINY: f64 = 1e-15;

/// A split that may be taken: bins up to `bin` go left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub gain: f64,
    pub feature: usize,
    pub bin: usize,
    pub missing_left: bool,
    /// Sums of the left side.
    pub left: Pair,
}

/// What a split must respect. Scores are computed in whole units and scaled by powers of two at the end, which changes no digit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    min_samples_leaf: u64,
    units: Units,
    /// In units of the hessian.
    min_hessian: i64,
    regularization: f64,
    /// From a score in units to one.
    scale: f64,
}

impl Rules {
    pub fn new(min_samples_leaf: u32, l2_regularization: f64, units: Units) -> Self {
        let (gradient, hessian) = (units.gradient(1), units.hessian(1));
        Self {
            min_samples_leaf: u64::from(min_samples_leaf),
            units,
            min_hessian: (MIN_HESSIAN / hessian).ceil() as i64,
            regularization: (l2_regularization + TINY) / hessian,
            scale: gradient * gradient / hessian,
        }
    }
    /// Whether a node of `rows` rows may be split.
    pub fn splits(&self, rows: usize) -> bool {
        rows as u64 >= 2 * self.min_samples_leaf
    }
    #[inline(always)]
    pub fn has_hessian(&self, sums: Pair) -> bool {
        self.units.whole_hessian(sums) >= self.min_hessian
    }
    /// The value of a node before shrinkage.
    pub fn value(&self, sums: Pair) -> f64 {
        let newton = exact(sums[0]) / (exact(self.units.whole_hessian(sums)) + self.regularization);
        -newton * (self.units.gradient(1) / self.units.hessian(1))
    }
    /// By how much the loss falls when a node gets its value.
    pub fn score(&self, sums: Pair) -> f64 {
        let gradient = exact(sums[0]);
        gradient * gradient / (exact(self.units.whole_hessian(sums)) + self.regularization) * self.scale
    }
    /// Numerator and denominator of what both sides of a node with `total` score together, in whole units; one division for both. Of plain
    /// numbers, not of pairs, which the compiler would shuffle.
    #[inline(always)]
    fn whole_score(&self, gradient: i64, hessian: i64, total: Pair) -> (f64, f64) {
        let of_hessian = |hessian: i64| exact(self.units.whole_hessian([0, hessian])) + self.regularization;
        let (left, right) = (exact(gradient), exact(total[0] - gradient));
        let (below_left, below_right) = (of_hessian(hessian), of_hessian(total[1] - hessian));
        (left * left * below_right + right * right * below_left, below_left * below_right)
    }
    /// Whether a side may be made.
    #[inline(always)]
    fn is_enough(&self, sums: Pair) -> bool {
        self.units.count(sums) >= self.min_samples_leaf && self.has_hessian(sums)
    }
}

/// One column of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'a> {
    pub feature: usize,
    /// The sums by bin, those of missing values last.
    pub bins: &'a [Pair],
    /// Whether any row of the fit is missing in this column.
    pub missing: bool,
    /// The sums of the node.
    pub total: Pair,
    /// What the node scores already; 0 for the root, which has no value yet.
    pub score: f64,
}

/// Scores that are computed together.
const LANES: usize = 8;

/// Room for one column: what lies on the left of each split, and what the split scores.
pub(super) struct Scan {
    gradients: [i64; 256],
    hessians: [i64; 256],
    scores: [f64; 256],
}

impl Scan {
    pub fn new() -> Self {
        Self { gradients: [0; 256], hessians: [0; 256], scores: [0.0; 256] }
    }

    fn left(&self, bin: usize) -> Pair {
        [self.gradients[bin], self.hessians[bin]]
    }

    /// Adds up the bins on top of `sums`; returns the splits that leave enough on both sides.
    #[inline(always)]
    fn add_up(&mut self, bins: &[Pair], mut sums: Pair, total: Pair, rules: &Rules) -> Range<usize> {
        for ((bin, gradient), hessian) in bins.iter().zip(&mut self.gradients).zip(&mut self.hessians) {
            sums = [sums[0] + bin[0], sums[1] + bin[1]];
            (*gradient, *hessian) = (sums[0], sums[1]);
        }
        // The left side only grows and the right one only shrinks.
        let hessians = &self.hessians[..bins.len()];
        let first = hessians.partition_point(|left| !rules.is_enough([0, *left]));
        first..hessians.partition_point(|left| rules.is_enough([0, total[1] - left]))
    }

    /// Whether any of `splits` may score above `bar`, in whole units: told without a division, and so with some room for rounding.
    #[inline(always)]
    fn reaches(&self, bar: f64, splits: &Range<usize>, total: Pair, rules: &Rules) -> bool {
        let bar = bar * (1.0 - 1e-12);
        let (gradients, hessians) = (&self.gradients[splits.clone()], &self.hessians[splits.clone()]);
        // The sign bit stays while all that is left over is negative.
        let mut below = u64::MAX;
        for (gradient, hessian) in gradients.iter().zip(hessians) {
            let (numerator, denominator) = rules.whole_score(*gradient, *hessian, total);
            below &= (numerator - bar * denominator).to_bits();
        }
        below >> 63 == 0
    }

    /// Scores `splits`, of which there is one at least; returns the highest score, in whole units.
    #[inline(always)]
    fn score(&mut self, splits: &Range<usize>, total: Pair, rules: &Rules) -> f64 {
        let gradients = &self.gradients[splits.clone()];
        let hessians = &self.hessians[splits.clone()];
        let scores = &mut self.scores[splits.clone()];
        for ((score, gradient), hessian) in scores.iter_mut().zip(gradients).zip(hessians) {
            let (numerator, denominator) = rules.whole_score(*gradient, *hessian, total);
            *score = numerator / denominator;
        }
        let mut highest = [f64::NEG_INFINITY; LANES];
        let (groups, others) = scores.as_chunks::<LANES>();
        let larger = |highest: f64, score: f64| if score > highest { score } else { highest };
        for group in groups {
            for lane in 0..LANES {
                highest[lane] = larger(highest[lane], group[lane]);
            }
        }
        for (highest, score) in highest.iter_mut().zip(others) {
            *highest = larger(*highest, *score);
        }
        highest.into_iter().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Looks for a better split than `best` in one column, with vectors as wide as the machine has them.
pub(super) struct Better<'a> {
    pub best: Option<Split>,
    pub offer: Offer<'a>,
    pub rules: &'a Rules,
    pub scan: &'a mut Scan,
}

impl NullaryFnOnce for Better<'_> {
    /// The first split that gains more than `best`, or than nothing when that is `None`.
    type Output = Option<Split>;

    #[inline(always)]
    fn call(mut self) -> Option<Split> {
        let Offer { bins, missing, .. } = self.offer;
        let (last, numbers) = bins.split_last()?;
        // The last bin of numbers may go left only if something may stay on the right.
        let (all, others) = (numbers, &numbers[..numbers.len() - 1]);
        self.look(if missing { all } else { others }, false, [0, 0]);
        if missing && last[1] != 0 {
            self.look(others, true, *last);
        }
        self.best
    }
}

impl Better<'_> {
    /// Of equal splits the one that is met first counts: the left side grows, but the right one when missing values stay on the left.
    #[inline(always)]
    fn look(&mut self, bins: &[Pair], missing_left: bool, sums: Pair) {
        let Offer { feature, total, score, .. } = self.offer;
        let splits = self.scan.add_up(bins, sums, total, self.rules);
        let least = self.best.map_or(0.0, |best| best.gain);
        if splits.is_empty() || !self.scan.reaches((least + score) / self.rules.scale, &splits, total, self.rules) {
            return;
        }
        let highest = self.scan.score(&splits, total, self.rules);
        let gain = highest * self.rules.scale - score;
        if gain > least {
            let mut scores = self.scan.scores[splits.clone()].iter();
            let of = |score: &f64| *score == highest;
            let found = if missing_left { scores.rposition(of) } else { scores.position(of) };
            let bin = splits.start + found.unwrap_or_default();
            self.best = Some(Split { gain, feature, bin, missing_left, left: self.scan.left(bin) });
        }
    }
}
