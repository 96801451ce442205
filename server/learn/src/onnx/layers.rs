//! Models made of matrix products: linear ones and networks of dense layers.

use tenor_domain::Error;

use super::Options;
use super::graph::Graph;

/// One dense layer: `x * weights + biases`.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// inputs x outputs, row-major.
    pub weights: &'a [f32],
    /// One an output.
    pub biases: &'a [f32],
}

/// A linear model over `width` features. `weights` are features x columns, row-major, with one bias a column; one column is the
/// score of the second of two classes (sigmoid), else there is one a class (softmax).
pub fn linear(width: usize, weights: &[f32], biases: &[f64], options: &Options<'_>) -> Result<Vec<u8>, Error> {
    let biases: Vec<f32> = biases.iter().map(|bias| *bias as f32).collect();
    network("linear", width, &[Layer { weights, biases: &biases }], options)
}

/// A network with ReLU between its layers; the last one gives the scores, in one column or one a class as for [`linear`].
pub fn dense_layers(width: usize, layers: &[Layer<'_>], options: &Options<'_>) -> Result<Vec<u8>, Error> {
    network("dense_layers", width, layers, options)
}

fn network(kind: &str, width: usize, layers: &[Layer<'_>], options: &Options<'_>) -> Result<Vec<u8>, Error> {
    options.check()?;
    let columns = layers.last().map_or(0, |layer| layer.biases.len());
    check_columns(columns, options)?;
    let mut graph = options.begin(kind, width)?;
    let mut value = Graph::INPUT.to_owned();
    let mut inputs = width;
    for (index, layer) in layers.iter().enumerate() {
        let outputs = layer.biases.len();
        let weights = graph.constant(&format!("weights_{index}"), &[inputs, outputs], layer.weights)?;
        let biases = graph.constant(&format!("biases_{index}"), &[outputs], layer.biases)?;
        value = graph.node("Gemm", &[&value, &weights, &biases], &format!("layer_{index}"));
        if index + 1 < layers.len() {
            value = graph.node("Relu", &[&value], &format!("relu_{index}"));
        }
        inputs = outputs;
    }
    let probabilities = graph.probabilities_of(&value, columns);
    graph.finish(&probabilities, options)
}

/// Scores come in one column for two classes, or in one a class.
pub(super) fn check_columns(columns: usize, options: &Options<'_>) -> Result<(), Error> {
    let classes = options.classes.len();
    if columns == classes || (columns, classes) == (1, 2) {
        return Ok(());
    }
    Err(Error::invalid("scores", format!("must be one a class ({classes}), or one for two classes, got {columns}")))
}
