use proptest::prelude::*;
use tenor_features::Stop;
use tenor_features::arrays::Arrays;
use tenor_features::dense::DenseMatrix;
use tenor_learn::onnx::TreeNode;

use super::binner::{MAX_BINS, bin_columns, code, find_edges};
use super::ensemble::{Ensemble, Node, Tree};
use super::testing::{golden, numbers};
use super::{file, rows};
use crate::dense::Training;
use crate::dense::importance::permutation_importance;

#[test]
fn edges_and_bins_are_those_of_scikit_learn() {
    for case in golden()["edges"].as_array().unwrap() {
        let values: Vec<f32> = numbers(&case["values"]).into_iter().map(|value| value as f32).collect();
        let edges = find_edges(values.clone(), case["max_bins"].as_u64().unwrap() as usize);
        let wanted = numbers(&case["edges"]);
        assert_eq!(edges.len(), wanted.len());
        // Halves of whole numbers are exact in both.
        assert!(edges.iter().zip(&wanted).all(|(edge, wanted)| f64::from(*edge) == *wanted), "{edges:?} {wanted:?}");
        let codes: Vec<f64> = values.iter().map(|value| f64::from(code(&edges, *value))).collect();
        assert_eq!(codes, numbers(&case["codes"]));
    }
}

#[test]
fn edges_of_few_values_of_none_and_of_huge_ones() {
    assert!(find_edges(vec![], 255).is_empty());
    assert!(find_edges(vec![f32::NAN; 5], 255).is_empty());
    assert!(find_edges(vec![3.0; 9], 255).is_empty());
    assert_eq!(find_edges(vec![3.0, 4.0, f32::NAN], 2), [3.5]);
    let huge = find_edges(vec![f32::MIN, f32::MAX, 0.0], 255);
    assert!(huge.iter().all(|edge| edge.is_finite()), "{huge:?}");
    // The midpoint of two neighbours rounds to one of them: it must stay with the lower.
    let low = 1.0f32;
    let edges = find_edges(vec![low, low.next_up()], 255);
    assert_eq!((code(&edges, low), code(&edges, low.next_up())), (0, 1));
}

#[test]
fn more_rows_than_the_subsample_still_give_even_bins() {
    let count = 250_000;
    let matrix = DenseMatrix { width: 1, values: (0..count).map(|row| (row * 7919 % count) as f32).collect() };
    let rows: Vec<u32> = (0..count as u32).collect();
    let columns = bin_columns(&matrix, &rows, 10, 1, Stop::never()).unwrap();
    assert_eq!(columns, bin_columns(&matrix, &rows, 10, 1, Stop::never()).unwrap());
    let mut counts = vec![0; columns[0].bins()];
    columns[0].codes.iter().for_each(|code| counts[usize::from(*code)] += 1);
    assert_eq!(counts.len(), 10);
    assert!(counts.iter().all(|count| (24_000..26_000).contains(count)), "{counts:?}");
}

#[test]
fn infinite_numbers_are_refused() {
    let matrix = DenseMatrix { width: 2, values: vec![1.0, 2.0, 3.0, f32::INFINITY] };
    let error = bin_columns(&matrix, &[0, 1], 255, 1, Stop::never()).unwrap_err();
    assert!(error.message.contains("column 1"), "{error}");
    assert!(bin_columns(&matrix, &[0], 255, 1, Stop::never()).is_ok());
}

#[test]
fn wrong_arguments_name_what_is_wrong() {
    let matrix = DenseMatrix::zeros(2, 3);
    let used = |matrix: &DenseMatrix, labels: &[u32], weights: &[f32]| {
        rows::used_rows(&Training { matrix, labels, classes: 2, weights, validation: None })
    };
    let check = |labels: &[u32], weights: &[f32], field: &str| {
        let error = used(&matrix, labels, weights).unwrap_err();
        assert_eq!(error.violations[0].field, field, "{error}");
    };
    check(&[0], &[1.0], "labels");
    check(&[0, 2], &[1.0, 1.0], "labels");
    check(&[0, 1], &[1.0], "weights");
    check(&[0, 1], &[1.0, f32::NAN], "weights");
    check(&[0, 1], &[1.0, -1.0], "weights");
    check(&[0, 1], &[0.0, 0.0], "weights");
    assert!(used(&DenseMatrix::default(), &[], &[]).is_err());
    assert_eq!(used(&matrix, &[0, 1], &[0.0, 0.5]).unwrap(), [1]);
}

/// A stump on column 1 below another on column 0.
fn small() -> Ensemble {
    let mut ensemble = Ensemble::new(1);
    let split = |feature, threshold, missing_left, right| {
        let node = Node::split(feature, threshold, missing_left);
        Node::from_raw(node.threshold, node.raw_feature(), right)
    };
    let nodes = vec![split(0, 0.5, true, 4), split(1, -1.0, false, 3), Node::LEAF, Node::LEAF, Node::LEAF];
    ensemble.push(&Tree { nodes, values: vec![0.5, 0.25, 1.0, 2.0, 4.0] });
    ensemble.push(&Tree { nodes: vec![Node::LEAF], values: vec![8.0] });
    ensemble
}

#[test]
fn a_value_at_the_threshold_goes_left_and_a_missing_one_where_the_node_says() {
    let trees = small();
    let value = |row: &[f32]| trees.values(trees.leaf(0, row))[0];
    assert_eq!(value(&[0.5, -1.0]), 1.0);
    assert_eq!(value(&[0.5, 0.0]), 2.0);
    assert_eq!(value(&[0.6, 0.0]), 4.0);
    assert_eq!(value(&[f32::NAN, -2.0]), 1.0);
    assert_eq!(value(&[0.0, f32::NAN]), 2.0);
    assert_eq!(size_of::<Node>(), 12);
}

#[test]
fn the_steps_of_a_path_add_up_to_its_leaf() {
    let trees = small();
    let mut contributions = [0.0; 2];
    let start = trees.attribute(0, &[0.0, 3.0], 0, 2.0, &mut contributions);
    assert_eq!((start, contributions), (1.0, [-0.5, 3.5]));
}

#[test]
fn views_count_from_the_root_of_their_tree() {
    let mut trees = small();
    trees.push(&small().tree(0));
    let views = &trees.onnx_nodes()[2];
    assert_eq!(views.len(), 5);
    assert_eq!(views[0], TreeNode::Split { feature: 0, threshold: 0.5, missing_left: true, left: 1, right: 4 });
    assert_eq!(views[4], TreeNode::Leaf(&[4.0]));
    assert_eq!(trees.tree(2), small().tree(0));
}

#[test]
fn files_with_paths_that_leave_their_tree_are_refused() {
    let mut arrays = Arrays::default();
    file::save(&small(), "t", &mut arrays);
    assert_eq!(file::load(&arrays, "t", 2, 1).unwrap(), small());
    assert!(file::load(&arrays, "t", 1, 1).is_err(), "a feature past the width");
    assert!(file::load(&arrays, "t", 2, 2).is_err(), "other outputs");
    let check = |name: &str, at: usize, value: u32| {
        let mut numbers = file::u32s(&arrays, name).unwrap();
        numbers[at] = value;
        let mut copy = arrays.clone();
        file::insert_u32s(&mut copy, name.to_owned(), numbers.into_iter());
        let error = file::load(&copy, "t", 2, 1).unwrap_err();
        assert_eq!(error.reason, "BROKEN_MODEL_FILE", "{name} {at} {value}");
    };
    // Itself, its left child, before it, in the next tree, past all nodes.
    for right in [0, 1, 5, 6, u32::MAX] {
        check("t.rights", 0, right);
    }
    for right in [0, 1, 2, 5] {
        check("t.rights", 1, right);
    }
    check("t.features", 0, 2);
    check("t.features", 0, (1 << 31) | 2);
    // A leaf that becomes a split at the end of its tree.
    check("t.features", 4, 0);
    check("t.features", 5, 0);
    for (at, root) in [(0, 1), (1, 0), (1, 6), (1, u32::MAX)] {
        check("t.roots", at, root);
    }
}

#[test]
fn shuffling_a_column_tells_which_one_a_model_needs() {
    let values = (0..400).flat_map(|row| [(row % 2) as f32, (row % 7) as f32]).collect();
    let matrix = DenseMatrix { width: 2, values };
    let labels: Vec<u32> = (0..400).map(|row| row % 2).collect();
    let predict = |row: &[f32], p: &mut [f64]| {
        p[1] = 0.1 + 0.8 * f64::from(row[0]);
        p[0] = 1.0 - p[1];
    };
    let importance = |seed| permutation_importance(&matrix, &labels, 2, predict, 3, seed, Stop::never()).unwrap();
    let found = importance(1);
    // Half of the rows get the other value: half of ln(0.9 / 0.1).
    assert!((found[0] - 0.5 * 9.0f64.ln()).abs() < 0.15, "{found:?}");
    assert_eq!(found[1], 0.0);
    assert_eq!(found, importance(1));
    assert_ne!(found, importance(2));
    let empty = DenseMatrix { width: 2, values: vec![] };
    assert_eq!(permutation_importance(&empty, &[], 2, predict, 3, 1, Stop::never()).unwrap(), [0.0, 0.0]);
    let stopped = Stop::when(&|| true);
    assert!(permutation_importance(&matrix, &labels, 2, predict, 1, 1, stopped).is_err());
}

fn any_values() -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![
        8 => (-50i32..50).prop_map(|value| value as f32 / 4.0),
        4 => -1e30f32..1e30,
        1 => Just(f32::NAN),
        1 => prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(f32::MIN_POSITIVE), Just(-0.0)],
    ];
    prop::collection::vec(value, 0..600)
}

proptest! {
    #[test]
    fn edges_ascend_and_part_values_as_thresholds_do(values in any_values(), max_bins in 2u32..=MAX_BINS) {
        let edges = find_edges(values.clone(), max_bins as usize);
        prop_assert!(edges.len() < max_bins as usize);
        prop_assert!(edges.windows(2).all(|pair| pair[0] < pair[1]) && edges.iter().all(|edge| edge.is_finite()));
        for value in values {
            let code = usize::from(code(&edges, value));
            if value.is_nan() {
                prop_assert_eq!(code, edges.len() + 1);
            } else {
                for (bin, edge) in edges.iter().enumerate() {
                    prop_assert_eq!(code <= bin, value <= *edge);
                }
            }
        }
    }
}
