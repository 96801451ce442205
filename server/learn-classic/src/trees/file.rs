//! Trees as named arrays. Indices are `u32` as little-endian bytes; in Python, `array.view("<u4")`.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};

use super::ensemble::{Ensemble, Node};

/// Stores `ensemble` under names that begin with `prefix`.
pub(crate) fn save(ensemble: &Ensemble, prefix: &str, arrays: &mut Arrays) {
    let thresholds = ensemble.nodes.iter().map(|node| node.threshold).collect();
    insert_u32s(arrays, format!("{prefix}.roots"), ensemble.roots.iter().copied());
    insert_u32s(arrays, format!("{prefix}.features"), ensemble.nodes.iter().map(Node::raw_feature));
    insert_u32s(arrays, format!("{prefix}.rights"), ensemble.nodes.iter().map(|node| node.right));
    arrays.insert(format!("{prefix}.thresholds"), Array::F32(thresholds));
    arrays.insert(format!("{prefix}.values"), Array::F32(ensemble.values.clone()));
}

/// Reads what [`save`] stored. The arrays may come from anybody: every path from a root must end in a leaf of the same tree, every feature
/// be one of `width`, every number finite.
pub(crate) fn load(arrays: &Arrays, prefix: &str, width: usize, outputs: usize) -> Result<Ensemble, Error> {
    let name = |part: &str| format!("{prefix}.{part}");
    let roots = u32s(arrays, &name("roots"))?;
    let features = u32s(arrays, &name("features"))?;
    let rights = u32s(arrays, &name("rights"))?;
    let thresholds = arrays.f32s(&name("thresholds"))?;
    let values = arrays.f32s(&name("values"))?;
    let count = features.len();
    if rights.len() != count || thresholds.len() != count || count.checked_mul(outputs) != Some(values.len()) {
        return Err(broken(&name("features"), "differs in length from the arrays beside it"));
    }
    for (part, numbers) in [("thresholds", thresholds), ("values", values)] {
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(broken(&name(part), "holds a number that is not finite"));
        }
    }
    let nodes: Vec<Node> = (0..count).map(|at| Node::from_raw(thresholds[at], features[at], rights[at])).collect();
    check_roots(&roots, count).map_err(|what| broken(&name("roots"), what))?;
    for (index, &root) in roots.iter().enumerate() {
        let end = roots.get(index + 1).map_or(count, |root| *root as usize);
        check_tree(&nodes, root as usize, end, width).map_err(|(part, what)| broken(&name(part), what))?;
    }
    let mut ensemble = Ensemble::new(outputs);
    (ensemble.roots, ensemble.nodes, ensemble.values) = (roots, nodes, values.to_vec());
    Ok(ensemble)
}

/// Roots ascend from 0 and stay below the number of nodes.
fn check_roots(roots: &[u32], nodes: usize) -> Result<(), &'static str> {
    let ascend = roots.windows(2).all(|pair| pair[0] < pair[1]);
    let within = roots.last().is_none_or(|last| (*last as usize) < nodes);
    match roots.first() {
        Some(0) if ascend && within => Ok(()),
        None if nodes == 0 => Ok(()),
        _ => Err("must ascend from 0 and stay among the nodes"),
    }
}

/// The nodes are those of one tree in preorder: a left child follows its parent, a right child the last leaf of its sibling.
fn check_tree(nodes: &[Node], root: usize, end: usize, width: usize) -> Result<(), (&'static str, &'static str)> {
    let mut rights = Vec::new();
    for (at, node) in nodes.iter().enumerate().take(end).skip(root) {
        if node.is_leaf() {
            if rights.pop().unwrap_or(end) != at + 1 {
                return Err(("rights", "must name the node after the left subtree"));
            }
            continue;
        }
        if node.feature() >= width {
            return Err(("features", "names a column that is not there"));
        }
        rights.push(node.right as usize);
    }
    match rights.is_empty() && nodes[end - 1].is_leaf() {
        true => Ok(()),
        false => Err(("features", "ends a tree before its last leaf")),
    }
}

pub(crate) fn insert_u32s(arrays: &mut Arrays, name: String, numbers: impl Iterator<Item = u32>) {
    arrays.insert(name, Array::U8(numbers.flat_map(u32::to_le_bytes).collect()));
}

pub(crate) fn u32s(arrays: &Arrays, name: &str) -> Result<Vec<u32>, Error> {
    let (numbers, rest) = arrays.u8s(name)?.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(broken(name, "must hold four bytes a number"));
    }
    Ok(numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}
