mod cases;
mod runtime;

use prost::Message as _;
use tenor_domain::Digest;

use super::proto::{AttributeProto, DimensionValue, ModelProto};
use super::*;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix} {index} \"<é>\"")).collect()
}

fn parsed(bytes: &[u8]) -> ModelProto {
    let model = ModelProto::decode(bytes).unwrap();
    assert_eq!(model.encode_to_vec(), bytes);
    model
}

fn refused(result: Result<Vec<u8>, tenor_domain::Error>, part: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(part), "{message}");
}

#[test]
fn a_file_says_who_made_it_and_what_its_numbers_mean() {
    let (classes, features) = (names("class", 2), names("feature", 3));
    let hash = Digest::of(b"contract");
    let options = Options { classes: &classes, features: &features, contract_hash: Some(hash), ..Options::default() };
    let bytes = linear(3, &[0.5, -1.0, 2.0], &[0.25], &options).unwrap();
    let model = parsed(&bytes);
    assert_eq!((model.ir_version, model.producer_name.as_str()), (9, "tenor"));
    let opsets: Vec<_> = model.opset_import.iter().map(|set| (set.domain.as_str(), set.version)).collect();
    assert_eq!(opsets, [("", 17), ("ai.onnx.ml", 3)]);
    let value = |key: &str| model.metadata_props.iter().find(|entry| entry.key == key).unwrap().value.clone();
    assert_eq!(serde_json::from_str::<Vec<String>>(&value("classes")).unwrap(), classes);
    assert_eq!(serde_json::from_str::<Vec<String>>(&value("features")).unwrap(), features);
    assert_eq!(value("contract_hash"), hash.to_string());
}

#[test]
fn a_file_is_parsed_again_as_it_was_written() {
    let classes = names("class", 2);
    let options = Options { classes: &classes, ..Options::default() };
    let bytes = linear(3, &[0.5, -1.0, 2.0], &[0.25], &options).unwrap();
    assert_eq!(bytes, linear(3, &[0.5, -1.0, 2.0], &[0.25], &options).unwrap());
    let graph = parsed(&bytes).graph.unwrap();
    let operators: Vec<_> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(operators, ["Gemm", "Neg", "Concat", "Sigmoid", "Identity", "ArgMax"]);
    assert_eq!(graph.initializer[0].dims, [3, 1]);
    assert_eq!(graph.initializer[0].raw_data, [0.5f32, -1.0, 2.0].map(f32::to_le_bytes).concat());
    let shape = graph.input[0].kind.clone().unwrap().tensor_type.unwrap().shape.unwrap();
    let dims: Vec<_> = shape.dim.into_iter().map(|dim| dim.value.unwrap()).collect();
    assert_eq!(dims, [DimensionValue::Name("N".to_owned()), DimensionValue::Size(3)]);
    assert_eq!(graph.output.iter().map(|value| value.name.as_str()).collect::<Vec<_>>(), ["probabilities", "label"]);
}

#[test]
fn messages_have_the_bytes_that_the_protobuf_compiler_gives() {
    // onnx 1.23.2: helper.make_attribute("axis", 1) and ("keepdims", 0), SerializeToString().
    assert_eq!(AttributeProto::int("axis", 1).encode_to_vec(), b"\x0a\x04axis\x18\x01\xa0\x01\x02");
    assert_eq!(AttributeProto::int("keepdims", 0).encode_to_vec(), b"\x0a\x08keepdims\x18\x00\xa0\x01\x02");
    assert_eq!(AttributeProto::string("a", "SUM").encode_to_vec(), b"\x0a\x01a\x22\x03SUM\xa0\x01\x03");
}

#[test]
fn numbers_that_do_not_fit_are_refused_by_name() {
    let classes = names("class", 3);
    let options = Options { classes: &classes, ..Options::default() };
    refused(linear(2, &[1.0; 6], &[0.0; 2], &options), "`scores` must be one a class (3)");
    refused(linear(2, &[1.0; 5], &[0.0; 3], &options), "`weights_0` must hold [2, 3] numbers, got 5");
    refused(linear(2, &[f32::NAN; 6], &[0.0; 3], &options), "`weights_0` must hold finite numbers");
    refused(linear(2, &[1.0; 6], &[1e300; 3], &options), "`biases_0` must hold finite numbers");
    refused(linear(2, &[1.0; 6], &[0.0; 3], &Options { temperature: Some(0.0), ..options }), "`temperature`");
    refused(linear(2, &[1.0; 6], &[0.0; 3], &Options { classes: &classes[..1], ..options }), "`classes`");
    refused(linear(2, &[1.0; 6], &[0.0; 3], &Options { features: &classes, ..options }), "`features` must be 2 names");
    refused(dense_layers(2, &[], &options), "`scores`");
}

#[test]
fn trees_that_would_not_end_or_not_fit_are_refused() {
    let classes = names("class", 2);
    let options = Options { classes: &classes, ..Options::default() };
    let split = |feature, left, right| TreeNode::Split { feature, threshold: 0.5, missing_left: true, left, right };
    let leaf = TreeNode::Leaf(&[0.25, 0.75]);
    let mean = |nodes: Vec<TreeNode<'_>>| trees(2, &[vec![leaf], nodes], Combine::Mean { outputs: 2 }, &options);
    refused(mean(vec![split(0, 0, 1), leaf]), "`trees[1]` has a node 0 whose children are 0 and 1");
    refused(mean(vec![split(0, 1, 3), leaf, leaf]), "children are 1 and 3");
    refused(mean(vec![split(2, 1, 2), leaf, leaf]), "whether feature 2");
    refused(mean(vec![TreeNode::Leaf(&[1.0])]), "2 finite values in leaf 0");
    refused(mean(vec![]), "must have a root");
    refused(trees(2, &[], Combine::Mean { outputs: 2 }, &options), "`trees` must be at least one");
    refused(trees(2, &[vec![leaf]], Combine::Sum { base: &[0.5] }, &options), "1 finite values in leaf 0");
}
