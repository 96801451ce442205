//! Generated models with what they must answer, worked out in f64 here.

use tenor_features::random::Random;

use super::names;
use crate::onnx::{Combine, Layer, Options, TreeNode, dense_layers, linear, trees};

/// A file, rows for it, and the probabilities it must give.
pub(super) struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    pub width: usize,
    pub rows: Vec<f32>,
    pub classes: usize,
    pub probabilities: Vec<f64>,
}

const ROWS: usize = 40;

fn normal(random: &mut Random, count: usize, scale: f64) -> Vec<f32> {
    (0..count).map(|_| ((random.unit() + random.unit() + random.unit() - 1.5) * scale) as f32).collect()
}

/// `x * weights + biases`, in f64.
fn affine(x: &[f64], weights: &[f32], biases: &[f64]) -> Vec<f64> {
    let sum = |(output, bias): (usize, &f64)| {
        x.iter().enumerate().fold(*bias, |sum, (i, x)| sum + x * f64::from(weights[i * biases.len() + output]))
    };
    biases.iter().enumerate().map(sum).collect()
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let odds = match scores {
        [score] => vec![1.0, score.exp()],
        _ => scores.iter().map(|score| score.exp()).collect(),
    };
    odds.iter().map(|value| value / odds.iter().sum::<f64>()).collect()
}

fn tempered(probabilities: Vec<f64>, temperature: Option<f64>) -> Vec<f64> {
    let Some(temperature) = temperature else { return probabilities };
    softmax(&probabilities.iter().map(|p| p.max(f64::EPSILON).ln() / temperature).collect::<Vec<_>>())
}

fn case(
    name: String,
    width: usize,
    rows: Vec<f32>,
    options: &Options<'_>,
    bytes: Vec<u8>,
    model: impl Fn(&[f64]) -> Vec<f64>,
) -> Case {
    let answer = |row: &[f32]| {
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        tempered(model(&row), options.temperature)
    };
    let probabilities = rows.chunks(width).flat_map(answer).collect();
    Case { name, bytes, width, rows, classes: options.classes.len(), probabilities }
}

pub(super) fn linear_case(columns: usize, temperature: Option<f64>) -> Case {
    const WIDTH: usize = 300;
    let mut random = Random::new(7, columns as u64);
    let (weights, biases) = (normal(&mut random, WIDTH * columns, 1.0), vec![0.3; columns]);
    let (classes, features) = (names("class", columns.max(2)), names("feature", WIDTH));
    let options = Options { classes: &classes, features: &features, temperature, ..Options::default() };
    let bytes = linear(WIDTH, &weights, &biases, &options).unwrap();
    let rows = normal(&mut random, ROWS * WIDTH, 0.4);
    let name = format!("linear, {columns} columns, temperature {temperature:?}");
    case(name, WIDTH, rows, &options, bytes, |row| softmax(&affine(row, &weights, &biases)))
}

/// Two hidden layers over `width` numbers.
pub(super) fn network_case(width: usize) -> Case {
    let mut random = Random::new(8, width as u64);
    let sizes = [width, 16, 5, 3];
    let layers: Vec<(Vec<f32>, Vec<f32>)> = sizes
        .windows(2)
        .map(|pair| (normal(&mut random, pair[0] * pair[1], 1.0), normal(&mut random, pair[1], 0.4)))
        .collect();
    let borrowed: Vec<_> = layers.iter().map(|(weights, biases)| Layer { weights, biases }).collect();
    let classes = names("class", 3);
    let options = Options { classes: &classes, ..Options::default() };
    let bytes = dense_layers(width, &borrowed, &options).unwrap();
    let rows = normal(&mut random, ROWS * width, 0.7);
    case(format!("network over {width} numbers"), width, rows, &options, bytes, |row| {
        let mut x = row.to_vec();
        for (index, (weights, biases)) in layers.iter().enumerate() {
            x = affine(&x, weights, &biases.iter().map(|bias| f64::from(*bias)).collect::<Vec<_>>());
            if index + 1 < layers.len() {
                x.iter_mut().for_each(|x| *x = x.max(0.0));
            }
        }
        softmax(&x)
    })
}

enum Grown {
    Split(usize, f32, bool, usize, usize),
    Leaf(Vec<f32>),
}

/// Adds a random subtree in preorder.
fn grow(random: &mut Random, depth: usize, leaf: &dyn Fn(&mut Random) -> Vec<f32>, nodes: &mut Vec<Grown>) {
    if depth == 0 || random.below(6) == 0 {
        nodes.push(Grown::Leaf(leaf(random)));
        return;
    }
    let at = nodes.len();
    // Thresholds on a grid that the rows share: equality must go left.
    let threshold = random.below(8) as f32 / 8.0;
    nodes.push(Grown::Split(random.below(TREE_WIDTH), threshold, random.below(2) == 0, at + 1, 0));
    grow(random, depth - 1, leaf, nodes);
    let behind = nodes.len();
    if let Grown::Split(_, _, _, _, right) = &mut nodes[at] {
        *right = behind;
    }
    grow(random, depth - 1, leaf, nodes);
}

const TREE_WIDTH: usize = 6;

fn answer<'a>(tree: &'a [Grown], row: &[f64]) -> &'a [f32] {
    let mut at = 0;
    loop {
        match &tree[at] {
            Grown::Leaf(values) => return values,
            Grown::Split(feature, threshold, missing_left, left, right) => {
                let x = row[*feature];
                let goes_left = x <= f64::from(*threshold) || (x.is_nan() && *missing_left);
                at = if goes_left { *left } else { *right };
            }
        }
    }
}

/// Rows on the grid of the thresholds, one value in five missing.
pub(super) fn tree_case(
    count: usize,
    depth: usize,
    combine: Combine<'_>,
    classes: usize,
    temperature: Option<f64>,
) -> Case {
    let mut random = Random::new(9, (count * 10 + classes) as u64);
    let leaf = |random: &mut Random| match combine {
        Combine::Mean { outputs: 1 } => vec![random.unit() as f32],
        Combine::Mean { outputs } => {
            let scores: Vec<f64> = (0..outputs).map(|_| random.unit() * 6.0).collect();
            softmax(&scores).iter().map(|p| *p as f32).collect()
        }
        Combine::Sum { .. } => vec![(random.unit() - 0.5) as f32],
    };
    let grown: Vec<Vec<Grown>> = (0..count)
        .map(|_| {
            let mut nodes = Vec::new();
            grow(&mut random, depth, &leaf, &mut nodes);
            nodes
        })
        .collect();
    let views: Vec<Vec<TreeNode<'_>>> = grown.iter().map(|tree| tree.iter().map(view).collect()).collect();
    let class_names = names("class", classes);
    let options = Options { classes: &class_names, temperature, ..Options::default() };
    let bytes = trees(TREE_WIDTH, &views, combine, &options).unwrap();
    let mut value = || if random.below(5) == 0 { f32::NAN } else { random.below(9) as f32 / 8.0 };
    let rows = (0..ROWS * TREE_WIDTH).map(|_| value()).collect();
    let name = format!("{count} trees of depth {depth}, {combine:?}, {classes} classes, temperature {temperature:?}");
    case(name, TREE_WIDTH, rows, &options, bytes, |row| {
        let mut sums = match combine {
            Combine::Mean { outputs } => vec![0.0; outputs],
            Combine::Sum { base } => base.to_vec(),
        };
        let columns = sums.len();
        for (index, tree) in grown.iter().enumerate() {
            match answer(tree, row) {
                [value] => sums[index % columns] += f64::from(*value),
                values => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value)),
            }
        }
        let mean = |sum: &f64| sum / count as f64;
        match (combine, sums.as_slice()) {
            (Combine::Sum { .. }, sums) => softmax(sums),
            (Combine::Mean { .. }, [sum]) => vec![1.0 - mean(sum), mean(sum)],
            (Combine::Mean { .. }, sums) => sums.iter().map(mean).collect(),
        }
    })
}

fn view(node: &Grown) -> TreeNode<'_> {
    match node {
        Grown::Leaf(values) => TreeNode::Leaf(values),
        &Grown::Split(feature, threshold, missing_left, left, right) => {
            TreeNode::Split { feature, threshold, missing_left, left, right }
        }
    }
}
