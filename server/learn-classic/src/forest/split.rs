//! The best split of a node by one column.

use super::options::Criterion;
use super::sample::{Sample, Units};

/// A split that may be taken: bins up to `bin` go left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    /// What both sides score together; see [`score`].
    pub score: f64,
    pub feature: usize,
    pub bin: usize,
    /// Where missing values go; `None` when the node has none.
    pub missing_left: Option<bool>,
}

/// What a split must respect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub criterion: Criterion,
    pub min_samples_leaf: u64,
    pub units: Units,
}

/// Sums by bin and class of one column and one node. Only bins that hold rows are touched, so that a node of ten rows costs ten steps and
/// not 256.
pub(super) struct Histogram {
    classes: usize,
    sums: Vec<u64>,
    seen: [u64; 4],
    left: Vec<u64>,
    total: Vec<u64>,
}

/// What one column offers.
pub(super) enum Offer {
    /// All rows have the same value.
    Constant,
    /// No split respects the rules.
    Nothing,
    Best(Split),
}

impl Histogram {
    pub fn new(classes: usize) -> Self {
        let zeros = || vec![0; classes];
        Self { classes, sums: vec![0; 256 * classes], seen: [0; 4], left: zeros(), total: zeros() }
    }

    /// The best split of `samples` by a column with these `codes`, of which `missing_bin` stands for missing values. Of equals the first,
    /// missing values on the right before the left.
    pub fn best(
        &mut self,
        samples: &[Sample],
        codes: &[u8],
        missing_bin: usize,
        feature: usize,
        rules: &Rules,
    ) -> Offer {
        let classes = self.classes;
        self.seen = [0; 4];
        for sample in samples {
            let code = codes[sample.row as usize];
            self.seen[usize::from(code >> 6)] |= 1 << (code & 63);
            self.sums[usize::from(code) * classes + sample.class as usize] += sample.packed;
        }
        let missing = self.seen[missing_bin >> 6] >> (missing_bin & 63) & 1 == 1;
        let bins: u32 = self.seen.iter().map(|word| word.count_ones()).sum();
        let mut best = None;
        if bins > 1 {
            self.total.fill(0);
            for bin in occupied(self.seen) {
                for (total, sum) in self.total.iter_mut().zip(&self.sums[bin * classes..]) {
                    *total += sum;
                }
            }
            self.scan(missing.then_some(missing_bin), false, feature, rules, &mut best);
            if missing {
                self.scan(Some(missing_bin), true, feature, rules, &mut best);
            }
        }
        for bin in occupied(self.seen) {
            self.sums[bin * classes..(bin + 1) * classes].fill(0);
        }
        match best {
            _ if bins <= 1 => Offer::Constant,
            None => Offer::Nothing,
            Some(split) => Offer::Best(split),
        }
    }

    fn scan(
        &mut self,
        missing: Option<usize>,
        missing_left: bool,
        feature: usize,
        rules: &Rules,
        best: &mut Option<Split>,
    ) {
        // A number that the compiler knows makes the loops over the classes straight code.
        match self.classes {
            2 => self.scan_classes(2, missing, missing_left, feature, rules, best),
            3 => self.scan_classes(3, missing, missing_left, feature, rules, best),
            4 => self.scan_classes(4, missing, missing_left, feature, rules, best),
            5 => self.scan_classes(5, missing, missing_left, feature, rules, best),
            classes => self.scan_classes(classes, missing, missing_left, feature, rules, best),
        }
    }

    #[inline(always)]
    fn scan_classes(
        &mut self,
        classes: usize,
        missing: Option<usize>,
        missing_left: bool,
        feature: usize,
        rules: &Rules,
        best: &mut Option<Split>,
    ) {
        let (left, total) = (&mut self.left[..classes], &self.total[..classes]);
        let of_bin = |bin: usize| &self.sums[bin * classes..(bin + 1) * classes];
        left.fill(0);
        if let Some(bin) = missing.filter(|_| missing_left) {
            left.copy_from_slice(of_bin(bin));
        }
        let rows = rules.units.count(total.iter().sum::<u64>());
        let mut bins = occupied(self.seen).filter(|bin| Some(*bin) != missing).peekable();
        while let Some(bin) = bins.next() {
            left.iter_mut().zip(of_bin(bin)).for_each(|(left, sum)| *left += sum);
            let next = bins.peek().copied();
            if next.is_none() && (missing.is_none() || missing_left) {
                break;
            }
            let left_rows = rules.units.count(left.iter().sum::<u64>());
            if left_rows < rules.min_samples_leaf {
                continue;
            }
            if rows - left_rows < rules.min_samples_leaf {
                break;
            }
            let score = score(left, total, rules);
            if best.is_none_or(|best| score > best.score) {
                // Between two bins that hold rows, the middle: as a threshold halfway between two values.
                let bin = match (next, missing) {
                    (Some(next), _) => (bin + next - 1) / 2,
                    (None, Some(missing)) => missing - 1,
                    (None, None) => bin,
                };
                *best = Some(Split { score, feature, bin, missing_left: missing.map(|_| missing_left) });
            }
        }
    }
}

/// What a split has in common with the decrease of impurity, larger being better: for Gini `sum of w_k^2 / w` over both sides, for entropy
/// `sum of w_k log2(w_k / w)`, where `w_k` is the weight of class `k` on a side and `w` that of the side.
#[inline]
fn score(left: &[u64], total: &[u64], rules: &Rules) -> f64 {
    let (mut left_weight, mut right_weight, mut left_sum, mut right_sum) = (0.0, 0.0, 0.0, 0.0);
    for (&left, &total) in left.iter().zip(total) {
        let (left, right) = (rules.units.weight(left), rules.units.weight(total - left));
        left_weight += left;
        right_weight += right;
        left_sum += part(left, rules.criterion);
        right_sum += part(right, rules.criterion);
    }
    match rules.criterion {
        Criterion::Gini => left_sum / left_weight + right_sum / right_weight,
        Criterion::Entropy => {
            left_sum + right_sum - part(left_weight, rules.criterion) - part(right_weight, rules.criterion)
        }
    }
}

#[inline]
fn part(weight: f64, criterion: Criterion) -> f64 {
    match criterion {
        Criterion::Gini => weight * weight,
        Criterion::Entropy if weight > 0.0 => weight * weight.log2(),
        Criterion::Entropy => 0.0,
    }
}

/// The same of a node that is not split.
pub(super) fn node_score(weights: impl Iterator<Item = f64>, criterion: Criterion) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for of_class in weights {
        weight += of_class;
        sum += part(of_class, criterion);
    }
    match criterion {
        Criterion::Gini => sum / weight,
        Criterion::Entropy => sum - part(weight, criterion),
    }
}

/// The indices of the bits that are set, ascending.
fn occupied(seen: [u64; 4]) -> impl Iterator<Item = usize> {
    seen.into_iter().enumerate().flat_map(|(index, mut word)| {
        std::iter::from_fn(move || {
            let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
            word &= word - 1;
            Some(index * 64 + bit)
        })
    })
}
