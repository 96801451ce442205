//! Growing one tree, the most gainful split first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use pulp::Arch;
use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::random::Random;

use super::histogram::{Bins, Block, LANES, Pair, Units, add_up, subtract};
use super::loss::Derivatives;
use super::options::BoostingParams;
use super::split::{Better, Offer, Rules, Scan, Split};
use crate::trees::binner::Column;
use crate::trees::ensemble::{Node, Tree};

/// Fewer steps than this are not worth a second thread.
const PARALLEL: usize = 1 << 15;

/// What all trees of a fit are grown from.
pub(super) struct Ground<'a> {
    pub columns: &'a [Column],
    pub blocks: &'a [Block],
    pub params: &'a BoostingParams,
    pub seed: u64,
    pub stop: Stop<'a>,
    pub arch: Arch,
}

/// Room for one tree at work, kept from tree to tree.
#[derive(Default)]
pub(super) struct Scratch<const BINS: usize> {
    rows: Vec<u32>,
    right: Vec<u32>,
    pairs: Vec<Pair>,
    gathered: Vec<Pair>,
    pool: Vec<Vec<Bins<BINS>>>,
}

/// A grown tree with its gain by column.
pub(super) struct Grown {
    pub tree: Tree,
    pub gains: Vec<f64>,
}

/// A node of a tree that is being grown.
struct Draft {
    start: usize,
    end: usize,
    depth: u32,
    sums: Pair,
    value: f64,
    split: Option<(Node, usize, usize)>,
}

/// A node that can be split.
struct Candidate<const BINS: usize> {
    split: Split,
    at: usize,
    histogram: Vec<Bins<BINS>>,
}

impl<const BINS: usize> PartialEq for Candidate<BINS> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<const BINS: usize> Eq for Candidate<BINS> {}
impl<const BINS: usize> PartialOrd for Candidate<BINS> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<const BINS: usize> Ord for Candidate<BINS> {
    /// By gain; of equals the older one is the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        self.split.gain.total_cmp(&other.split.gain).then(other.at.cmp(&self.at))
    }
}

impl Ground<'_> {
    /// Grows tree `number` and adds its values to `scores`. No column has more than `BINS` bins, that of missing values included.
    pub fn grow<const BINS: usize>(
        &self,
        number: u64,
        derivatives: &[Derivatives],
        scores: &mut [f64],
        scratch: &mut Scratch<BINS>,
    ) -> Result<Grown, Error> {
        let units = Units::new(derivatives);
        let rules = Rules::new(self.params.min_samples_leaf, self.params.l2_regularization, units);
        scratch.rows.clear();
        scratch.rows.extend(0..derivatives.len() as u32);
        scratch.pairs.clear();
        scratch.pairs.extend(derivatives.iter().map(|pair| units.pack(*pair)));
        let mut growth = Growth {
            ground: self,
            rules,
            random: Random::new(self.seed, number),
            drafts: Vec::new(),
            waiting: BinaryHeap::new(),
            leaves: 1,
            gains: vec![0.0; self.columns.len()],
            scratch,
        };
        growth.start();
        while let Some(candidate) = growth.waiting.pop() {
            self.stop.check()?;
            growth.split(candidate);
        }
        Ok(growth.finish(scores))
    }
}

struct Growth<'a, const BINS: usize> {
    ground: &'a Ground<'a>,
    rules: Rules,
    random: Random,
    drafts: Vec<Draft>,
    waiting: BinaryHeap<Candidate<BINS>>,
    leaves: u32,
    gains: Vec<f64>,
    scratch: &'a mut Scratch<BINS>,
}

/// The best split of each search so far, with room to look for better ones.
struct Found {
    best: Vec<Option<Split>>,
    scan: Box<Scan>,
}

/// The splits with the larger gain; of equals the first.
fn or_better(mut best: Vec<Option<Split>>, next: Vec<Option<Split>>) -> Vec<Option<Split>> {
    for (best, next) in best.iter_mut().zip(next) {
        if next.is_some_and(|next| best.is_none_or(|best| next.gain > best.gain)) {
            *best = next;
        }
    }
    best
}

/// One block of columns: its place, its bins in the histogram that is summed, and in that of the parent if there is one.
type Work<'a, const BINS: usize> = (usize, (&'a mut [Bins<BINS>], Option<&'a mut [Bins<BINS>]>));

impl<const BINS: usize> Growth<'_, BINS> {
    /// Makes the root. Its value stays 0 if it cannot be split.
    fn start(&mut self) {
        let end = self.scratch.rows.len();
        let sums = self.scratch.pairs.iter().fold([0, 0], |sum: Pair, pair| [sum[0] + pair[0], sum[1] + pair[1]]);
        self.drafts.push(Draft { start: 0, end, depth: 0, sums, value: 0.0, split: None });
        if !self.is_splittable(0) || !self.rules.has_hessian(sums) {
            return;
        }
        let mut histogram = self.take_histogram();
        let mask = self.mask();
        let best = self.search(&mut histogram, None, 0, &[(0, &mask)]);
        self.push(0, best[0], histogram);
    }

    fn is_splittable(&self, at: usize) -> bool {
        let draft = &self.drafts[at];
        let params = self.ground.params;
        params.max_depth.is_none_or(|limit| draft.depth < limit) && self.rules.splits(draft.end - draft.start)
    }

    fn split(&mut self, candidate: Candidate<BINS>) {
        let Candidate { split, at, histogram } = candidate;
        let Draft { start, end, depth, sums, .. } = self.drafts[at];
        let column = &self.ground.columns[split.feature];
        let middle = start + self.partition(start, end, &split);
        let missing_left = if column.missing { split.missing_left } else { middle - start > end - middle };
        let right_sums = [sums[0] - split.left[0], sums[1] - split.left[1]];
        let child =
            |start, end, sums| Draft { start, end, depth: depth + 1, sums, value: self.rules.value(sums), split: None };
        let (left, right) = (self.drafts.len(), self.drafts.len() + 1);
        let children = [child(start, middle, split.left), child(middle, end, right_sums)];
        self.drafts.extend(children);
        let node = Node::split(split.feature, column.threshold(split.bin), missing_left);
        self.drafts[at].split = Some((node, left, right));
        // A root scored nothing when its gain was found; as importance only what its split adds counts.
        let of_root = if at == 0 { self.rules.score(sums) } else { 0.0 };
        self.gains[split.feature] += (split.gain - of_root).max(0.0);
        self.leaves += 1;
        if self.ground.params.max_leaf_nodes.is_some_and(|limit| self.leaves >= limit) {
            self.scratch.pool.push(histogram);
            self.scratch.pool.extend(self.waiting.drain().map(|candidate| candidate.histogram));
            return;
        }
        self.search_children(left, right, histogram);
    }

    /// Sums the smaller child; what is left of the parent's histogram is the larger one's.
    fn search_children(&mut self, left: usize, right: usize, histogram: Vec<Bins<BINS>>) {
        let rows = |at: usize| self.drafts[at].end - self.drafts[at].start;
        let (small, large) = if rows(left) < rows(right) { (left, right) } else { (right, left) };
        // Drawn left first whatever the sizes are.
        let wanted = [left, right].map(|at| self.is_splittable(at));
        let masks = wanted.map(|wanted| if wanted { self.mask() } else { Vec::new() });
        let mask_of = |at: usize| if at == left { &masks[0] } else { &masks[1] };
        let is_wanted = |at: usize| if at == left { wanted[0] } else { wanted[1] };
        let mut large_histogram = histogram;
        if !is_wanted(small) && !is_wanted(large) {
            self.scratch.pool.push(large_histogram);
            return;
        }
        let mut small_histogram = self.take_histogram();
        let searches: Vec<(usize, &[bool])> =
            [small, large].into_iter().filter(|at| is_wanted(*at)).map(|at| (at, mask_of(at).as_slice())).collect();
        let best = self.search(&mut small_histogram, Some(&mut large_histogram), small, &searches);
        let mut histograms = [Some(small_histogram), Some(large_histogram)];
        for ((at, _), best) in searches.iter().zip(best) {
            if let Some(histogram) = histograms[usize::from(*at == large)].take() {
                self.push(*at, best, histogram);
            }
        }
        self.scratch.pool.extend(histograms.into_iter().flatten());
    }

    fn push(&mut self, at: usize, best: Option<Split>, histogram: Vec<Bins<BINS>>) {
        match best {
            Some(split) => self.waiting.push(Candidate { split, at, histogram }),
            None => self.scratch.pool.push(histogram),
        }
    }

    /// Sums node `summed` into `histogram`, takes that away from its `parent`, and finds the best split of each of `searches`. All of it
    /// block by block, while the bins of a few columns are in the cache.
    fn search(
        &mut self,
        histogram: &mut [Bins<BINS>],
        parent: Option<&mut Vec<Bins<BINS>>>,
        summed: usize,
        searches: &[(usize, &[bool])],
    ) -> Vec<Option<Split>> {
        let Draft { start, end, .. } = self.drafts[summed];
        let rows = &self.scratch.rows[start..end];
        self.scratch.gathered.clear();
        self.scratch.gathered.extend(rows.iter().map(|row| self.scratch.pairs[*row as usize]));
        let (ground, drafts, rules, pairs) = (self.ground, &self.drafts, &self.rules, &self.scratch.gathered);
        let of_block = |mut found: Found, (block, (bins, mut parent)): Work<'_, BINS>| {
            let columns = &ground.columns[block * LANES..(block * LANES + bins.len())];
            for (bins, column) in bins.iter_mut().zip(columns) {
                bins[..=column.bins()].fill([0, 0]);
            }
            add_up(bins, &ground.blocks[block], rows, pairs);
            for (lane, column) in columns.iter().enumerate() {
                if let Some(parent) = &mut parent {
                    let (parent, bins) = (&mut parent[lane][..=column.bins()], &bins[lane][..=column.bins()]);
                    ground.arch.dispatch(|| subtract(parent, bins));
                }
            }
            for (&(at, mask), best) in searches.iter().zip(&mut found.best) {
                let bins: &[Bins<BINS>] = if at == summed { bins } else { parent.as_deref().unwrap_or_default() };
                let score = if at == 0 { 0.0 } else { rules.score(drafts[at].sums) };
                for (lane, column) in columns.iter().enumerate() {
                    let feature = block * LANES + lane;
                    if mask[feature] {
                        let bins = &bins[lane][..=column.bins()];
                        let offer = Offer { feature, bins, missing: column.missing, total: drafts[at].sums, score };
                        *best = ground.arch.dispatch(Better { best: *best, offer, rules, scan: &mut found.scan });
                    }
                }
            }
            found
        };
        let parents: Vec<Option<&mut [Bins<BINS>]>> = match parent {
            Some(parent) => parent.chunks_mut(LANES).map(Some).collect(),
            None => ground.blocks.iter().map(|_| None).collect(),
        };
        let none = || vec![None; searches.len()];
        let nothing = || Found { best: none(), scan: Box::new(Scan::new()) };
        match (rows.len() + 256 * searches.len()) * ground.columns.len() >= PARALLEL {
            true => {
                let work = histogram.par_chunks_mut(LANES).zip(parents).enumerate();
                work.fold(nothing, of_block).map(|found| found.best).reduce(none, or_better)
            }
            false => histogram.chunks_mut(LANES).zip(parents).enumerate().fold(nothing(), of_block).best,
        }
    }

    /// The columns that the next search may use.
    fn mask(&mut self) -> Vec<bool> {
        let width = self.ground.columns.len();
        let wanted = ((self.ground.params.max_features * width as f64).ceil() as usize).clamp(1, width);
        let mut mask = vec![wanted == width; width];
        let mut left = wanted;
        for (index, taken) in mask.iter_mut().enumerate().filter(|_| wanted < width) {
            *taken = self.random.below(width - index) < left;
            left -= usize::from(*taken);
        }
        mask
    }

    fn take_histogram(&mut self) -> Vec<Bins<BINS>> {
        self.scratch.pool.pop().unwrap_or_else(|| vec![[[0, 0]; BINS]; self.ground.columns.len()])
    }

    /// Moves the rows that go left before the others, both in their order; returns how many go left.
    fn partition(&mut self, start: usize, end: usize, split: &Split) -> usize {
        let column = &self.ground.columns[split.feature];
        let missing = column.bins();
        let rows = &mut self.scratch.rows[start..end];
        let right = &mut self.scratch.right;
        right.clear();
        let mut left = 0;
        for at in 0..rows.len() {
            let row = rows[at];
            let code = usize::from(column.codes[row as usize]);
            let goes_left = if code == missing { split.missing_left } else { code <= split.bin };
            if goes_left {
                rows[left] = row;
                left += 1;
            } else {
                right.push(row);
            }
        }
        rows[left..].copy_from_slice(right);
        left
    }

    /// Writes the tree in preorder and adds the values of its leaves to the scores of their rows.
    fn finish(self, scores: &mut [f64]) -> Grown {
        let mut tree = Tree::default();
        let mut waiting: Vec<(usize, Option<usize>)> = vec![(0, None)];
        while let Some((draft, right_of)) = waiting.pop() {
            let draft = &self.drafts[draft];
            if let Some(parent) = right_of {
                tree.nodes[parent].right = tree.nodes.len() as u32;
            }
            let value = (draft.value * self.ground.params.learning_rate) as f32;
            tree.values.push(value);
            match draft.split {
                Some((node, left, right)) => {
                    waiting.extend([(right, Some(tree.nodes.len())), (left, None)]);
                    tree.nodes.push(node);
                }
                None => {
                    tree.nodes.push(Node::LEAF);
                    for row in &self.scratch.rows[draft.start..draft.end] {
                        scores[*row as usize] += f64::from(value);
                    }
                }
            }
        }
        Grown { tree, gains: self.gains }
    }
}
