//! The fitted network and its answer to one row.

use tenor_learn::link::softmax;

use super::options::Activation;

/// One layer: `z = x W + b`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    pub inputs: usize,
    pub outputs: usize,
    /// inputs x outputs, row-major.
    pub weights: Vec<f32>,
    pub biases: Vec<f32>,
}

/// A fitted perceptron: hidden layers with their activation, then one linear layer whose softmax are the probabilities.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mlp {
    pub(super) activation: Activation,
    /// At least two; each has as many inputs as the one before has outputs.
    pub(super) layers: Vec<Layer>,
    /// Share of each column in what shuffling one column at a time costs.
    pub(super) importances: Vec<f64>,
}

impl Mlp {
    /// Writes the probability of each class for `row`, which has the width the network was fitted with. They are finite and add
    /// up to 1 whatever the row holds. Allocates nothing once `scratch` has grown.
    pub(super) fn answer(&self, row: &[f32], scratch: &mut Vec<f32>, probabilities: &mut [f64]) {
        let widest = self.layers.iter().map(|layer| layer.outputs).max().unwrap_or(0);
        if scratch.len() < 2 * widest {
            scratch.resize(2 * widest, 0.0);
        }
        let (mut values, mut next) = scratch.split_at_mut(widest);
        let (hidden, output) = self.layers.split_at(self.layers.len() - 1);
        let mut input = row;
        for layer in hidden {
            let sums = &mut next[..layer.outputs];
            layer.sums(input, sums);
            self.activation.apply(sums);
            std::mem::swap(&mut values, &mut next);
            input = &values[..layer.outputs];
        }
        let scores = &mut next[..output[0].outputs];
        output[0].sums(input, scores);
        probabilities_of(scores, probabilities);
    }
}

impl Layer {
    /// Rows of weights, four at a time, are added to the sums: contiguous, so that the compiler uses vectors. Inputs that are all
    /// zero, as half of the units behind a relu are, cost nothing.
    pub(super) fn sums(&self, input: &[f32], sums: &mut [f32]) {
        let n = self.outputs;
        sums.copy_from_slice(&self.biases);
        let (fours, rest) = input.as_chunks::<4>();
        let (of_fours, of_rest) = self.weights.split_at(fours.len() * 4 * n);
        for (x, weights) in fours.iter().zip(of_fours.chunks_exact(4 * n)) {
            if *x == [0.0; 4] {
                continue;
            }
            let (first, second) = weights.split_at(2 * n);
            let ((a, b), (c, d)) = (first.split_at(n), second.split_at(n));
            for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum += (x[0] * a + x[1] * b) + (x[2] * c + x[3] * d);
            }
        }
        for (x, weights) in rest.iter().zip(of_rest.chunks_exact(n)) {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
        }
    }
}

impl Activation {
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
            Self::Tanh => values.iter_mut().for_each(|v| *v = v.tanh()),
            Self::Logistic => values.iter_mut().for_each(|v| *v = 1.0 / (1.0 + (-*v).exp())),
            Self::Identity => (),
        }
    }

    /// The derivative at each place, told from the value that [`apply`](Self::apply) left there.
    pub(super) fn slopes(self, values: &[f32], slopes: &mut [f32]) {
        let pairs = slopes.iter_mut().zip(values);
        match self {
            Self::Relu => pairs.for_each(|(slope, v)| *slope = if *v > 0.0 { 1.0 } else { 0.0 }),
            Self::Tanh => pairs.for_each(|(slope, v)| *slope = 1.0 - v * v),
            Self::Logistic => pairs.for_each(|(slope, v)| *slope = v * (1.0 - v)),
            Self::Identity => pairs.for_each(|(slope, _)| *slope = 1.0),
        }
    }
}

/// The softmax of `scores`, which may be anything in a damaged network: what is not a number counts as 0.
fn probabilities_of(scores: &[f32], probabilities: &mut [f64]) {
    for (probability, &score) in probabilities.iter_mut().zip(scores) {
        *probability = if score.is_nan() { 0.0 } else { f64::from(score.clamp(f32::MIN, f32::MAX)) };
    }
    softmax(probabilities);
}
