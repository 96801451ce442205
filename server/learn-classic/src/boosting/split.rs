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

/// What a split must respect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub min_samples_leaf: u64,
    pub l2_regularization: f64,
    pub units: Units,
}

impl Rules {
    /// The value of a node before shrinkage.
    pub fn value(&self, sums: Pair) -> f64 {
        -self.units.gradient(sums) / (self.units.hessian(sums) + self.l2_regularization + TINY)
    }
    /// By how much the loss falls when a node gets its value.
    #[inline]
    fn score(&self, sums: Pair) -> f64 {
        let gradient = self.units.gradient(sums);
        gradient * gradient / (self.units.hessian(sums) + self.l2_regularization + TINY)
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
        let Some((last, numbers)) = self.bins.split_last() else { return None };
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
        let mut side: Pair = [0, 0];
        let mut best_gain = best.map_or(0.0, |best| best.gain);
        for (bin, sums) in bins {
            if sums[1] == 0 {
                continue;
            }
            side = [side[0] + sums[0], side[1] + sums[1]];
            let rest = [self.total[0] - side[0], self.total[1] - side[1]];
            if rules.units.count(side) < rules.min_samples_leaf || rules.units.hessian(side) < MIN_HESSIAN {
                continue;
            }
            if rules.units.count(rest) < rules.min_samples_leaf || rules.units.hessian(rest) < MIN_HESSIAN {
                break;
            }
            let gain = rules.score(side) + rules.score(rest) - self.score;
            if gain > best_gain {
                best_gain = gain;
                let left = if missing_left { rest } else { side };
                *best = Some(Split { gain, feature: self.feature, bin, missing_left, left });
            }
        }
    }
}

/// What a node with a value scores.
pub(super) fn node_score(sums: Pair, rules: &Rules) -> f64 {
    rules.score(sums)
}
