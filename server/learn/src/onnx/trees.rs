//! Forests and boosted trees, as `TreeEnsembleRegressor` of `ai.onnx.ml`.
//!
//! The regressor and not the classifier: it gives the bare sums, and what follows them stays in plain operators.

use tenor_domain::Error;

use super::Options;
use super::graph::Graph;
use super::layers::check_columns;
use super::proto::AttributeProto;

/// One node of a tree; children are places in the tree's own list, which begins with the root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TreeNode<'a> {
    /// `x[feature] <= threshold` goes to `left`, else to `right`; NaN as `missing_left` says.
    Split {
        feature: usize,
        threshold: f32,
        missing_left: bool,
        left: usize,
        right: usize,
    },
    Leaf(&'a [f32]),
}

/// How the answers of the trees become probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Combine<'a> {
    /// The mean of the leaves' `outputs` probabilities: a forest. One a class, or one for two classes, that of the second.
    Mean { outputs: usize },
    /// `base` plus the sum of the leaves' single values, where tree `i` adds to score `i % base.len()`, then sigmoid or softmax:
    /// gradient boosting. One score is that of the second of two classes.
    Sum { base: &'a [f64] },
}

/// Trees over `width` features. No tree at all is an error for a mean.
pub fn trees(
    width: usize,
    trees: &[Vec<TreeNode<'_>>],
    combine: Combine<'_>,
    options: &Options<'_>,
) -> Result<Vec<u8>, Error> {
    options.check()?;
    let columns = match combine {
        Combine::Mean { outputs } => outputs,
        Combine::Sum { base } => base.len(),
    };
    check_columns(columns, options)?;
    match combine {
        Combine::Mean { .. } if trees.is_empty() => return Err(Error::invalid("trees", "must be at least one")),
        // Runtimes refuse an ensemble without nodes: trees that say nothing stand in.
        Combine::Sum { .. } if trees.is_empty() => {
            return self::trees(width, &vec![vec![TreeNode::Leaf(&[0.0])]; columns], combine, options);
        }
        _ => {}
    }
    let mut table = Table::default();
    for (index, nodes) in trees.iter().enumerate() {
        let place = |what: String| Error::invalid(format!("trees[{index}]"), what);
        let target = matches!(combine, Combine::Sum { .. }).then_some(index % columns);
        table.push(index, nodes, width, columns, target).map_err(place)?;
    }
    let mut graph = options.begin("trees", width)?;
    let (aggregate, base) = match combine {
        Combine::Mean { .. } => ("AVERAGE", &[] as &[f64]),
        Combine::Sum { base } => ("SUM", base),
    };
    let mut attributes = table.into_attributes();
    attributes.push(AttributeProto::string("aggregate_function", aggregate));
    attributes.push(AttributeProto::int("n_targets", columns as i64));
    if !base.is_empty() {
        let base: Vec<f32> = base.iter().map(|score| *score as f32).collect();
        if base.iter().any(|score| !score.is_finite()) {
            return Err(Error::invalid("base", "must hold finite numbers"));
        }
        attributes.push(AttributeProto::floats("base_values", base));
    }
    let value = graph.ml_node("TreeEnsembleRegressor", Graph::INPUT, "tree_values", attributes);
    let probabilities = match combine {
        Combine::Sum { .. } => graph.probabilities_of(&value, columns),
        Combine::Mean { .. } => graph.completed(&value, columns),
    };
    graph.finish(&probabilities, options)
}

/// The columns of the operator's node table and of its leaf table.
#[derive(Default)]
struct Table<'a> {
    tree: Vec<i64>,
    node: Vec<i64>,
    feature: Vec<i64>,
    mode: Vec<&'a str>,
    threshold: Vec<f32>,
    left: Vec<i64>,
    right: Vec<i64>,
    missing_left: Vec<i64>,
    target_tree: Vec<i64>,
    target_node: Vec<i64>,
    target: Vec<i64>,
    weight: Vec<f32>,
}

impl Table<'_> {
    /// Adds a tree, after checking that its children come later and its leaves fit. With `target` a leaf has one value.
    fn push(
        &mut self,
        tree: usize,
        nodes: &[TreeNode<'_>],
        width: usize,
        columns: usize,
        target: Option<usize>,
    ) -> Result<(), String> {
        if nodes.is_empty() {
            return Err("must have a root".to_owned());
        }
        for (at, node) in nodes.iter().enumerate() {
            let (mode, feature, threshold, left, right, missing_left) = match *node {
                TreeNode::Leaf(values) => {
                    self.leaf(tree, at, values, columns, target)?;
                    ("LEAF", 0, 0.0, 0, 0, false)
                }
                TreeNode::Split { feature, threshold, missing_left, left, right } => {
                    if [left, right].iter().any(|child| *child <= at || *child >= nodes.len()) || left == right {
                        return Err(format!("has a node {at} whose children are {left} and {right}"));
                    }
                    if feature >= width || threshold.is_nan() {
                        return Err(format!("asks at node {at} whether feature {feature} is at most {threshold}"));
                    }
                    ("BRANCH_LEQ", feature, threshold, left, right, missing_left)
                }
            };
            self.tree.push(tree as i64);
            self.node.push(at as i64);
            self.feature.push(feature as i64);
            self.mode.push(mode);
            self.threshold.push(threshold);
            self.left.push(left as i64);
            self.right.push(right as i64);
            self.missing_left.push(i64::from(missing_left));
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        tree: usize,
        at: usize,
        values: &[f32],
        columns: usize,
        target: Option<usize>,
    ) -> Result<(), String> {
        let wanted = if target.is_some() { 1 } else { columns };
        if values.len() != wanted || values.iter().any(|value| !value.is_finite()) {
            return Err(format!("must have {wanted} finite values in leaf {at}, got {values:?}"));
        }
        for (column, value) in values.iter().enumerate() {
            self.target_tree.push(tree as i64);
            self.target_node.push(at as i64);
            self.target.push(target.unwrap_or(column) as i64);
            self.weight.push(*value);
        }
        Ok(())
    }

    fn into_attributes(self) -> Vec<AttributeProto> {
        vec![
            AttributeProto::ints("nodes_treeids", self.tree),
            AttributeProto::ints("nodes_nodeids", self.node),
            AttributeProto::ints("nodes_featureids", self.feature),
            AttributeProto::strings("nodes_modes", self.mode),
            AttributeProto::floats("nodes_values", self.threshold),
            AttributeProto::ints("nodes_truenodeids", self.left),
            AttributeProto::ints("nodes_falsenodeids", self.right),
            AttributeProto::ints("nodes_missing_value_tracks_true", self.missing_left),
            AttributeProto::ints("target_treeids", self.target_tree),
            AttributeProto::ints("target_nodeids", self.target_node),
            AttributeProto::ints("target_ids", self.target),
            AttributeProto::floats("target_weights", self.weight),
        ]
    }
}
