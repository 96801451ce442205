//! Trees in flat arrays, ready to answer.

use std::hint::select_unpredictable;

use tenor_learn::ModelSize;
use tenor_learn::onnx::TreeNode;

/// `Node::feature` of a leaf.
const LEAF: u32 = u32::MAX;
/// Trees that are walked down together.
const TOGETHER: usize = 4;
/// Set in `Node::feature` when missing values go left.
const MISSING_LEFT: u32 = 1 << 31;

/// Twelve bytes: the left child is the next node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    /// `x <= threshold` goes left.
    pub threshold: f32,
    feature: u32,
    /// Index of the right child.
    pub right: u32,
}

impl Node {
    pub const LEAF: Self = Self { threshold: 0.0, feature: LEAF, right: 0 };

    /// A split whose right child is not known yet.
    pub fn split(feature: usize, threshold: f32, missing_left: bool) -> Self {
        let flag = if missing_left { MISSING_LEFT } else { 0 };
        Self { threshold, feature: feature as u32 | flag, right: 0 }
    }
    pub fn from_raw(threshold: f32, feature: u32, right: u32) -> Self {
        Self { threshold, feature, right }
    }
    /// The feature with its flag, as it stands in a file.
    pub fn raw_feature(&self) -> u32 {
        self.feature
    }
    pub fn is_leaf(&self) -> bool {
        self.feature == LEAF
    }
    pub fn feature(&self) -> usize {
        (self.feature & !MISSING_LEFT) as usize
    }
    pub fn missing_left(&self) -> bool {
        self.feature & MISSING_LEFT != 0
    }
}

/// One tree in preorder; `outputs` values a node, those of inner nodes too, so that a path can be taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tree {
    pub nodes: Vec<Node>,
    pub values: Vec<f32>,
}

/// Many trees, one after the other; indices count from the first node of the first tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    outputs: usize,
    pub(crate) roots: Vec<u32>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) values: Vec<f32>,
}

impl Ensemble {
    pub(crate) fn new(outputs: usize) -> Self {
        Self { outputs, roots: Vec::new(), nodes: Vec::new(), values: Vec::new() }
    }

    /// Values a node.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of trees.
    pub fn len(&self) -> usize {
        self.roots.len()
    }
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    pub(crate) fn push(&mut self, tree: &Tree) {
        let first = self.nodes.len() as u32;
        self.roots.push(first);
        let moved = |node: &Node| Node { right: node.right + first, ..*node };
        self.nodes.extend(tree.nodes.iter().map(|node| if node.is_leaf() { Node::LEAF } else { moved(node) }));
        self.values.extend_from_slice(&tree.values);
    }

    /// Tree `index` by itself.
    pub(crate) fn tree(&self, index: usize) -> Tree {
        let (first, end) = self.range(index);
        let alone = |node: &Node| Node { right: node.right.wrapping_sub(first as u32), ..*node };
        let nodes = self.nodes[first..end].iter();
        Tree {
            nodes: nodes.map(|node| if node.is_leaf() { Node::LEAF } else { alone(node) }).collect(),
            values: self.values[first * self.outputs..end * self.outputs].to_vec(),
        }
    }

    /// Its first node and the one behind its last.
    fn range(&self, index: usize) -> (usize, usize) {
        let end = self.roots.get(index + 1).map_or(self.nodes.len(), |root| *root as usize);
        (self.roots[index] as usize, end)
    }

    /// The nodes of every tree as an ONNX file has them, the root first; children count from the tree's root.
    pub fn onnx_nodes(&self) -> Vec<Vec<TreeNode<'_>>> {
        let of_tree = |index: usize| {
            let (first, end) = self.range(index);
            let node = |at: usize| match &self.nodes[at] {
                node if node.is_leaf() => TreeNode::Leaf(self.values(at)),
                node => TreeNode::Split {
                    feature: node.feature(),
                    threshold: node.threshold,
                    missing_left: node.missing_left(),
                    left: at + 1 - first,
                    right: node.right as usize - first,
                },
            };
            (first..end).map(node).collect()
        };
        (0..self.len()).map(of_tree).collect()
    }

    /// The leaf that `row` reaches from node `at`.
    #[inline]
    pub(crate) fn leaf(&self, mut at: usize, row: &[f32]) -> usize {
        loop {
            let node = &self.nodes[at];
            if node.is_leaf() {
                return at;
            }
            at = next(node, at, row);
        }
    }

    /// Calls `visit` with the leaf that `row` reaches in each tree, in the order of the trees. Several trees are walked down together: each
    /// step waits for memory, and so they wait at the same time.
    #[inline]
    pub(crate) fn each_leaf(&self, row: &[f32], mut visit: impl FnMut(usize)) {
        let last = row.len().saturating_sub(1);
        let (together, rest) =
            if row.is_empty() { (&[][..], &*self.roots) } else { self.roots.as_chunks::<TOGETHER>() };
        for roots in together {
            let mut places = roots.map(|root| root as usize);
            while self.descend(&mut places, row, last) {}
            places.into_iter().for_each(&mut visit);
        }
        rest.iter().for_each(|root| visit(self.leaf(*root as usize, row)));
    }

    /// One step down in each tree, without a branch that depends on the row; false when all stand on leaves.
    #[inline]
    fn descend(&self, places: &mut [usize; TOGETHER], row: &[f32], last: usize) -> bool {
        let mut moved = false;
        for at in places {
            let node = &self.nodes[*at];
            let x = row[node.feature().min(last)];
            let left = (x <= node.threshold) | (x.is_nan() & node.missing_left());
            let child = select_unpredictable(left, *at + 1, node.right as usize);
            *at = select_unpredictable(node.is_leaf(), *at, child);
            moved |= !node.is_leaf();
        }
        moved
    }

    /// The values of node `at`.
    #[inline]
    pub(crate) fn values(&self, at: usize) -> &[f32] {
        &self.values[at * self.outputs..(at + 1) * self.outputs]
    }

    /// Adds to `contributions[feature]` by how much each step from node `at` to the leaf changes output `output` (Saabas 2014), times
    /// `scale`. Returns the value at the start; with what was added it makes the value of the leaf.
    pub(crate) fn attribute(
        &self,
        mut at: usize,
        row: &[f32],
        output: usize,
        scale: f64,
        contributions: &mut [f64],
    ) -> f64 {
        let start = f64::from(self.values(at)[output]);
        let mut value = start;
        while !self.nodes[at].is_leaf() {
            let feature = self.nodes[at].feature();
            at = next(&self.nodes[at], at, row);
            let changed = f64::from(self.values(at)[output]);
            contributions[feature] += (changed - value) * scale;
            value = changed;
        }
        start * scale
    }

    /// Thresholds of splits and values of leaves.
    pub(crate) fn size(&self) -> ModelSize {
        let mut size = ModelSize { parameters: 0, nonzero: 0 };
        for (at, node) in self.nodes.iter().enumerate() {
            let numbers = if node.is_leaf() { self.values(at) } else { std::slice::from_ref(&node.threshold) };
            size.parameters += numbers.len() as u64;
            size.nonzero += numbers.iter().filter(|number| **number != 0.0).count() as u64;
        }
        size
    }
}

#[inline]
fn next(node: &Node, at: usize, row: &[f32]) -> usize {
    let x = row[node.feature()];
    let left = (x <= node.threshold) | (x.is_nan() & node.missing_left());
    select_unpredictable(left, at + 1, node.right as usize)
}
