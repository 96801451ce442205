//! Models as ONNX files, for whoever wants to run them without this program.
//!
//! The builders take plain numbers, so every kind of model can use them. A file starts from the feature vector, not from text:
//! no ONNX operator makes the same TF-IDF. Its input is `features` (N x width) and its outputs are `probabilities` (N x classes), both
//! f32, and `label` (N), the index of the most likely class. The metadata `classes` and `features` name both, as JSON.
//!
//! Files are in IR version 9 with operator sets `ai.onnx` 17 and `ai.onnx.ml` 3, which onnxruntime reads since 1.15. Numbers are f32
//! there and partly f64 here: probabilities agree within 1e-5. The same input gives the same bytes.

mod graph;
mod layers;
mod options;
mod proto;
#[cfg(test)]
mod tests;
mod trees;

pub use layers::{Layer, dense_layers, linear};
pub use options::Options;
pub use trees::{Combine, TreeNode, trees};

/// What an ONNX file is called over HTTP.
pub const MEDIA_TYPE: &str = "application/vnd.onnx";
