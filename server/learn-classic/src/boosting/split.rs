//! The best split of a node by one column.
//!
//! With `G`, `H` the sums of gradients and hessians of a node and `l` the regularisation, its value is `-G / (H + l)`, and a split gains
//! `G_l^2 / (H_l + l) + G_r^2 / (H_r + l)` less the same of the node (Chen and Guestrin 2016, equations 5 to 7). Order of the scan, limits
//! and ties are those of scikit-learn (sklearn/ensemble/_hist_gradient_boosting/splitting.pyx, 1.9.1).

use super::histogram::{Pair, Units};

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
    min_hessian: f64,
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
            min_hessian: MIN_HESSIAN / hessian,
            regularization: (l2_regularization + TINY) / hessian,
            scale: gradient * gradient / hessian,
        }
    }
    /// Whether a node of `rows` rows may be split.
    pub fn splits(&self, rows: usize) -> bool {
        rows as u64 >= 2 * self.min_samples_leaf
    }
    pub fn has_hessian(&self, sums: Pair) -> bool {
        self.units.whole_hessian(sums) >= self.min_hessian
    }
    /// The value of a node before shrinkage.
    pub fn value(&self, sums: Pair) -> f64 {
        let newton = sums[0] as f64 / (self.units.whole_hessian(sums) + self.regularization);
        -newton * (self.units.gradient(1) / self.units.hessian(1))
    }
    /// By how much the loss falls when a node gets its value.
    pub fn score(&self, sums: Pair) -> f64 {
        let gradient = sums[0] as f64;
        gradient * gradient / (self.units.whole_hessian(sums) + self.regularization) * self.scale
    }
    /// What two sides score together, in units: numerator and denominator.
    #[inline]
    fn whole_scores(&self, (gradient, hessian): (i64, f64), other: (i64, f64)) -> (f64, f64) {
        let (gradient, hessian) = (gradient as f64, hessian + self.regularization);
        let (other_gradient, other_hessian) = (other.0 as f64, other.1 + self.regularization);
        let numerator = gradient * gradient * other_hessian + other_gradient * other_gradient * hessian;
        (numerator, hessian * other_hessian)
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

impl Offer<'_> {
    /// The best split that gains anything.
    pub fn best(&self, rules: &Rules) -> Option<Split> {
        let (last, numbers) = self.bins.split_last()?;
        let mut best = None;
        // The last bin of numbers may go left only if something may stay on the right.
        let end = if self.missing { numbers.len() } else { numbers.len() - 1 };
        self.scan(numbers[..end].iter().enumerate(), false, rules, &mut best);
        if self.missing && last[1] != 0 {
            let from_right = numbers.iter().enumerate().skip(1).rev().map(|(bin, sums)| (bin - 1, sums));
            self.scan(from_right, true, rules, &mut best);
        }
        best
    }

    /// Grows one side, bin by bin: the left one, or the right one when missing values stay on the left.
    fn scan<'a>(
        &self,
        bins: impl Iterator<Item = (usize, &'a Pair)>,
        missing_left: bool,
        rules: &Rules,
        best: &mut Option<Split>,
    ) {
        let Rules { units, min_samples_leaf, min_hessian, .. } = *rules;
        let mut side: Pair = [0, 0];
        // Scores are compared as fractions: a division a bin would take most of the time.
        let mut best_score = ((best.map_or(0.0, |best| best.gain) + self.score) / rules.scale, 1.0);
        for (bin, sums) in bins {
            if sums[1] == 0 {
                continue;
            }
            side = [side[0] + sums[0], side[1] + sums[1]];
            let rest = [self.total[0] - side[0], self.total[1] - side[1]];
            let (side_hessian, rest_hessian) = (units.whole_hessian(side), units.whole_hessian(rest));
            if units.count(side) < min_samples_leaf || side_hessian < min_hessian {
                continue;
            }
            if units.count(rest) < min_samples_leaf || rest_hessian < min_hessian {
                break;
            }
            let score = rules.whole_scores((side[0], side_hessian), (rest[0], rest_hessian));
            if score.0 * best_score.1 > best_score.0 * score.1 {
                best_score = score;
                let gain = score.0 / score.1 * rules.scale - self.score;
                let left = if missing_left { rest } else { side };
                *best = Some(Split { gain, feature: self.feature, bin, missing_left, left });
            }
        }
    }
}
