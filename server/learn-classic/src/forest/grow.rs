//! Growing one tree of a forest, depth first.

use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::random::Random;

use super::options::ForestParams;
use super::sample::{Sample, Units, draw};
use super::split::{Histogram, Members, Offer, Rules, Split, node_score};
use crate::dense::importance::normalise;
use crate::trees::binner::Column;
use crate::trees::ensemble::{Node, Tree};

/// What all trees of a fit are grown from.
pub(super) struct Ground<'a> {
    pub columns: &'a [Column],
    /// By row of the fit.
    pub labels: &'a [u32],
    pub weights: &'a [f32],
    pub classes: usize,
    pub params: &'a ForestParams,
    pub units: Units,
    pub seed: u64,
    pub stop: Stop<'a>,
}

/// A tree, and by how much each column lowered the impurity; that sums to 1 unless there is no split.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grown {
    pub tree: Tree,
    pub gains: Vec<f64>,
}

/// Room for one tree at work, kept from tree to tree.
pub(super) struct Scratch {
    histogram: Histogram,
    times: Vec<u32>,
    samples: Vec<Sample>,
    right: Vec<Sample>,
    features: Vec<u32>,
    sums: Vec<u64>,
}

impl Scratch {
    pub fn new(classes: usize) -> Self {
        Self {
            histogram: Histogram::new(classes),
            times: Vec::new(),
            samples: Vec::new(),
            right: Vec::new(),
            features: Vec::new(),
            sums: vec![0; classes],
        }
    }
}

/// A node that waits for its turn.
struct Waiting {
    start: usize,
    end: usize,
    depth: u32,
    /// The node whose right child it is.
    right_of: Option<usize>,
}

impl Ground<'_> {
    /// How often tree `index` takes each row; the generator goes on with its splits.
    pub fn draw(&self, index: u32, times: &mut Vec<u32>) -> Random {
        let mut random = Random::new(self.seed, u64::from(index));
        if self.params.bootstrap {
            draw(self.labels.len(), &mut random, times);
        } else {
            times.clear();
            times.resize(self.labels.len(), 1);
        }
        random
    }

    /// Values of a node: for two classes the share of the second, else the share of each.
    pub fn outputs(&self) -> usize {
        if self.classes == 2 { 1 } else { self.classes }
    }

    pub fn grow(&self, index: u32, scratch: &mut Scratch) -> Result<Grown, Error> {
        let mut random = self.draw(index, &mut scratch.times);
        scratch.samples.clear();
        for (row, &times) in scratch.times.iter().enumerate().filter(|(_, times)| **times > 0) {
            let packed = self.units.pack(self.weights[row], times);
            scratch.samples.push(Sample { row: row as u32, class: self.labels[row], packed });
        }
        scratch.features.clear();
        scratch.features.extend((0..self.columns.len() as u32).filter(|at| self.columns[*at as usize].varies()));
        let mut grown = Grown { tree: Tree::default(), gains: vec![0.0; self.columns.len()] };
        let mut waiting = vec![Waiting { start: 0, end: scratch.samples.len(), depth: 0, right_of: None }];
        while let Some(node) = waiting.pop() {
            self.stop.check()?;
            let at = grown.tree.nodes.len();
            if let Some(parent) = node.right_of {
                grown.tree.nodes[parent].right = at as u32;
            }
            let Waiting { start, end, depth, .. } = node;
            let score = self.write_values(&scratch.samples[start..end], &mut scratch.sums, &mut grown.tree.values);
            let Some(split) = self.find_split(&node, score, &mut random, scratch) else {
                grown.tree.nodes.push(Node::LEAF);
                continue;
            };
            let column = &self.columns[split.feature];
            let middle = start + partition(&mut scratch.samples[start..end], &mut scratch.right, column, &split);
            // A node without missing values will send one where most of its rows went.
            let missing_left = split.missing_left.unwrap_or(middle - start > end - middle);
            grown.gains[split.feature] += split.score - score.sum;
            grown.tree.nodes.push(Node::split(split.feature, column.threshold(split.bin), missing_left));
            waiting.push(Waiting { start: middle, end, depth: depth + 1, right_of: Some(at) });
            waiting.push(Waiting { start, end: middle, depth: depth + 1, right_of: None });
        }
        normalise(&mut grown.gains);
        Ok(grown)
    }

    /// Appends the class shares of `samples`.
    fn write_values(&self, samples: &[Sample], sums: &mut [u64], values: &mut Vec<f32>) -> NodeScore {
        sums.fill(0);
        for sample in samples {
            sums[sample.class as usize] += sample.packed;
        }
        let weight = self.units.weight(sums.iter().sum::<u64>());
        let shares = sums.iter().map(|sum| (self.units.weight(*sum) / weight) as f32);
        values.extend(shares.skip(if self.classes == 2 { 1 } else { 0 }));
        NodeScore {
            sum: node_score(sums.iter().map(|sum| self.units.weight(*sum)), self.params.criterion),
            pure: sums.iter().filter(|sum| **sum > 0).count() <= 1,
        }
    }

    /// Looks at `max_features` columns drawn without replacement, and at more while all of them are constant in this node, as
    /// scikit-learn does (sklearn/tree/_splitter.pyx, 1.9.1). A split need not lower the impurity. Columns that are constant in all rows are
    /// not drawn, other than there: they would take the places of those that tell something.
    fn find_split(
        &self,
        node: &Waiting,
        score: NodeScore,
        random: &mut Random,
        scratch: &mut Scratch,
    ) -> Option<Split> {
        let params = self.params;
        let samples = &scratch.samples[node.start..node.end];
        let members = Members { samples, sums: &scratch.sums };
        let rows = samples.len() as u64;
        let deep = params.max_depth.is_some_and(|limit| node.depth >= limit);
        let small = rows < u64::from(params.min_samples_split) || rows < 2 * u64::from(params.min_samples_leaf);
        if deep || small || score.pure {
            return None;
        }
        let rules = Rules {
            criterion: params.criterion,
            min_samples_leaf: u64::from(params.min_samples_leaf),
            units: self.units,
        };
        let wanted = params.max_features.of(self.columns.len());
        let (mut best, mut varied): (Option<Split>, bool) = (None, false);
        for drawn in 0..scratch.features.len() {
            if drawn >= wanted && varied {
                break;
            }
            let other = drawn + random.below(scratch.features.len() - drawn);
            scratch.features.swap(drawn, other);
            let feature = scratch.features[drawn] as usize;
            let column = &self.columns[feature];
            let offer = Offer { feature, codes: &column.codes, missing: column.bins() };
            varied |= scratch.histogram.improve(members, offer, &rules, &mut best);
        }
        best
    }
}

#[derive(Clone, Copy)]
struct NodeScore {
    sum: f64,
    pure: bool,
}

/// Moves the samples that go left before the others, both in their order; returns how many go left.
fn partition(samples: &mut [Sample], right: &mut Vec<Sample>, column: &Column, split: &Split) -> usize {
    right.clear();
    let missing = column.bins();
    let mut left = 0;
    for at in 0..samples.len() {
        let sample = samples[at];
        let code = usize::from(column.codes[sample.row as usize]);
        let goes_left = if code == missing { split.missing_left == Some(true) } else { code <= split.bin };
        if goes_left {
            samples[left] = sample;
            left += 1;
        } else {
            right.push(sample);
        }
    }
    samples[left..].copy_from_slice(right);
    left
}
