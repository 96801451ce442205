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

/// The samples of a node with their sums by class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'a> {
    pub samples: &'a [Sample],
    pub sums: &'a [u64],
}

/// One column by which a node may be split.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<'a> {
    pub feature: usize,
    /// By row of the fit.
    pub codes: &'a [u8],
    /// The bin that stands for missing values.
    pub missing: usize,
}

/// Sums by bin and class of one column and one node. Only bins that hold rows are touched, so that a node of ten rows costs ten steps and
/// not 256.
pub(super) struct Histogram {
    classes: usize,
    /// The classes of a bin are filled up with zeros to groups of lanes.
    sums: Vec<u64>,
    occupied: [u8; 256],
    left: Vec<f64>,
    total: Vec<f64>,
}

impl Histogram {
    pub fn new(classes: usize) -> Self {
        // Whole groups of the lanes of `improve_by`.
        let lanes = if classes <= 8 { classes.next_multiple_of(2) } else { classes.next_multiple_of(8) };
        let zeros = || vec![0.0; lanes];
        Self { classes, sums: vec![0; 256 * lanes], occupied: [0; 256], left: zeros(), total: zeros() }
    }

    /// Puts the best split of `members` by a column in the place of `best` if it scores higher. Of equals the first counts, missing values
    /// on the right before the left. Returns whether the rows differ at all.
    pub fn improve(&mut self, members: Members<'_>, offer: Offer<'_>, rules: &Rules, best: &mut Option<Split>) -> bool {
        // What the compiler knows of classes and criterion becomes straight code.
        match rules.criterion {
            Criterion::Gini => self.improve_by::<false>(members, offer, rules, best),
            Criterion::Entropy => self.improve_by::<true>(members, offer, rules, best),
        }
    }

    fn improve_by<const ENTROPY: bool>(
        &mut self,
        members: Members<'_>,
        offer: Offer<'_>,
        rules: &Rules,
        best: &mut Option<Split>,
    ) -> bool {
        match self.classes {
            0..=2 => self.improve_in::<ENTROPY, 2, 1>(members, offer, rules, best),
            3..=4 => self.improve_in::<ENTROPY, 4, 1>(members, offer, rules, best),
            5..=6 => self.improve_in::<ENTROPY, 6, 1>(members, offer, rules, best),
            7..=8 => self.improve_in::<ENTROPY, 8, 1>(members, offer, rules, best),
            _ => self.improve_in::<ENTROPY, 8, 0>(members, offer, rules, best),
        }
    }

    /// In `GROUPS` groups of `LANES` classes; 0 for as many as there are.
    fn improve_in<const ENTROPY: bool, const LANES: usize, const GROUPS: usize>(
        &mut self,
        Members { samples, sums }: Members<'_>,
        Offer { feature, codes, missing }: Offer<'_>,
        rules: &Rules,
        best: &mut Option<Split>,
    ) -> bool {
        let groups = if GROUPS == 0 { self.classes.div_ceil(LANES) } else { GROUPS };
        debug_assert_eq!(self.total.len(), LANES * groups, "of another width than `new` made");
        let mut seen = [0u64; 4];
        for sample in samples {
            let code = codes[sample.row as usize];
            seen[usize::from(code >> 6)] |= 1 << (code & 63);
            self.sums[usize::from(code) * (LANES * groups) + sample.class as usize] += sample.packed;
        }
        let has_missing = seen[missing >> 6] >> (missing & 63) & 1 == 1;
        let mut occupied = 0;
        for (index, mut word) in seen.into_iter().enumerate() {
            while word != 0 {
                self.occupied[occupied] = (index * 64) as u8 + word.trailing_zeros() as u8;
                occupied += 1;
                word &= word - 1;
            }
        }
        let (bins, _) = self.sums.as_chunks_mut::<LANES>();
        let occupied = &self.occupied[..occupied];
        if occupied.len() > 1 {
            let (total, _) = self.total.as_chunks_mut::<LANES>();
            total.as_flattened_mut().iter_mut().zip(sums).for_each(|(total, sum)| *total = rules.units.weight(*sum));
            let (left, _) = self.left.as_chunks_mut::<LANES>();
            // Missing values have the last bin.
            let numbers = &occupied[..occupied.len() - usize::from(has_missing)];
            let scan = Scan { bins, numbers, total: &total[..groups], rows: samples.len() as u64, feature, rules };
            let left = &mut left[..groups];
            scan.scan::<ENTROPY, GROUPS>(has_missing.then_some((missing, false)), left, best);
            if has_missing {
                scan.scan::<ENTROPY, GROUPS>(Some((missing, true)), left, best);
            }
        }
        for bin in occupied {
            bins[usize::from(*bin) * groups..][..groups].fill([0; LANES]);
        }
        occupied.len() > 1
    }
}

/// The bins of one column and one node.
struct Scan<'a, const LANES: usize> {
    /// Sums by bin and class.
    bins: &'a [[u64; LANES]],
    /// The bins of numbers that hold rows, ascending.
    numbers: &'a [u8],
    /// Weights by class.
    total: &'a [[f64; LANES]],
    rows: u64,
    feature: usize,
    rules: &'a Rules,
}

impl<const LANES: usize> Scan<'_, LANES> {
    /// `missing`: the bin of missing values, if there are any, and whether they go left.
    #[inline(always)]
    fn scan<const ENTROPY: bool, const GROUPS: usize>(
        &self,
        missing: Option<(usize, bool)>,
        left: &mut [[f64; LANES]],
        best: &mut Option<Split>,
    ) {
        let mut alone = [[0.0; LANES]];
        let left: &mut [[f64; LANES]] = if GROUPS == 1 { &mut alone } else { left };
        left.fill([0.0; LANES]);
        let (units, groups) = (self.rules.units, left.len());
        let total_weight: f64 = self.total.as_flattened().iter().sum();
        let mut left_rows = 0;
        if let Some((bin, true)) = missing {
            for (left, sums) in left.iter_mut().zip(&self.bins[bin * groups..][..groups]) {
                *left = sums.map(|sum| units.weight(sum));
                left_rows += units.count(sums.iter().sum());
            }
        }
        for (at, &bin) in self.numbers.iter().enumerate() {
            let bin = usize::from(bin);
            let next = self.numbers.get(at + 1).map(|next| usize::from(*next));
            if next.is_none() && missing.is_none_or(|(_, is_left)| is_left) {
                break;
            }
            let (mut weights, mut parts) = ([0.0; LANES], [[0.0; LANES]; 2]);
            for ((left, total), sums) in left.iter_mut().zip(self.total).zip(&self.bins[bin * groups..][..groups]) {
                for lane in 0..LANES {
                    left[lane] += units.weight(sums[lane]);
                    weights[lane] += left[lane];
                    parts[0][lane] += part::<ENTROPY>(left[lane]);
                    parts[1][lane] += part::<ENTROPY>(total[lane] - left[lane]);
                }
                left_rows += units.count(sums.iter().sum());
            }
            if left_rows < self.rules.min_samples_leaf {
                continue;
            }
            if self.rows - left_rows < self.rules.min_samples_leaf {
                break;
            }
            let left_weight = add_up(weights);
            let score = score::<ENTROPY>([left_weight, total_weight - left_weight], parts.map(add_up));
            if best.is_none_or(|best| score > best.score) {
                // Between two bins that hold rows, the middle: as a threshold halfway between two values.
                let bin = match (next, missing) {
                    (Some(next), _) => (bin + next - 1) / 2,
                    (None, Some((missing, _))) => missing - 1,
                    (None, None) => bin,
                };
                let missing_left = missing.map(|(_, is_left)| is_left);
                *best = Some(Split { score, feature: self.feature, bin, missing_left });
            }
        }
    }
}

/// The sum of an even number of lanes, two by two.
#[inline(always)]
fn add_up<const LANES: usize>(lanes: [f64; LANES]) -> f64 {
    let mut sums = [0.0; 2];
    for pair in lanes.as_chunks::<2>().0 {
        sums = [sums[0] + pair[0], sums[1] + pair[1]];
    }
    sums[0] + sums[1]
}

/// What a split has in common with the decrease of impurity, larger being better: for Gini `sum of w_k^2 / w` over both sides, for entropy
/// `sum of w_k log2(w_k / w)`, where `w_k` is the weight of class `k` on a side and `w` that of the side; from the weights of the sides and
/// the sums of their parts.
#[inline(always)]
fn score<const ENTROPY: bool>(weights: [f64; 2], parts: [f64; 2]) -> f64 {
    match ENTROPY {
        false => parts[0] / weights[0] + parts[1] / weights[1],
        true => parts[0] + parts[1] - part::<true>(weights[0]) - part::<true>(weights[1]),
    }
}

/// What a class adds: `w^2`, or `w log2(w)`.
#[inline(always)]
fn part<const ENTROPY: bool>(weight: f64) -> f64 {
    match ENTROPY {
        false => weight * weight,
        true if weight > 0.0 => weight * weight.log2(),
        true => 0.0,
    }
}

/// The same of a node that is not split.
pub(super) fn node_score(weights: impl Iterator<Item = f64>, criterion: Criterion) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    let part = if criterion == Criterion::Gini { part::<false> } else { part::<true> };
    for of_class in weights {
        weight += of_class;
        sum += part(of_class);
    }
    match criterion {
        Criterion::Gini => sum / weight,
        Criterion::Entropy => sum - part(weight),
    }
}
