//! Which inputs led a network to its score.

use super::forward::{Layer, Mlp};

/// Places on the way from the baseline to the row at which the gradient is taken.
const STEPS: usize = 32;

/// Integrated gradients (Sundararajan, Taly, Yan 2017) along the straight line from a row of zeros, which is the mean of standardised
/// columns: column `j` gets `x_j * mean of d score / d x_j`. The score is what the softmax is taken of, less that of the other class
/// when there are two. Writes one number a column; returns the bias, which is the score of zeros up to the error of the sum, and the
/// score: `score = bias + sum`.
pub(super) fn attribute(network: &Mlp, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64) {
    let classes = network.layers.last().map_or(0, |layer| layer.outputs);
    let mut seed = vec![0.0f32; classes];
    if let Some(own) = seed.get_mut(class) {
        *own = 1.0;
    }
    if classes == 2 {
        seed[1 - class.min(1)] = -1.0;
    }
    contributions.fill(0.0);
    let mut point = vec![0.0f32; row.len()];
    for step in 0..STEPS {
        let share = (step as f32 + 0.5) / STEPS as f32;
        point.iter_mut().zip(row).for_each(|(point, value)| *point = share * value);
        let gradient = gradient(network, &activations(network, &point), &seed);
        for ((sum, gradient), value) in contributions.iter_mut().zip(&gradient).zip(row) {
            *sum += f64::from(*gradient) * f64::from(*value) / STEPS as f64;
        }
    }
    let all = activations(network, row);
    let scores = all.last().map_or(&[][..], Vec::as_slice);
    let score = scores.iter().zip(&seed).map(|(score, seed)| f64::from(*score) * f64::from(*seed)).sum::<f64>();
    (score - contributions.iter().sum::<f64>(), score)
}

/// What each layer gives out, the last without activation.
fn activations(network: &Mlp, row: &[f32]) -> Vec<Vec<f32>> {
    let mut all: Vec<Vec<f32>> = Vec::with_capacity(network.layers.len());
    for (at, layer) in network.layers.iter().enumerate() {
        let mut sums = vec![0.0; layer.outputs];
        layer.sums(all.last().map_or(row, Vec::as_slice), &mut sums);
        if at + 1 < network.layers.len() {
            network.activation.apply(&mut sums);
        }
        all.push(sums);
    }
    all
}

/// The gradient of `seed * scores` by the inputs.
fn gradient(network: &Mlp, activations: &[Vec<f32>], seed: &[f32]) -> Vec<f32> {
    let mut gradient = seed.to_vec();
    for (at, layer) in network.layers.iter().enumerate().rev() {
        gradient = back(layer, &gradient);
        if at > 0 {
            let mut slopes = vec![0.0; gradient.len()];
            network.activation.slopes(&activations[at - 1], &mut slopes);
            gradient.iter_mut().zip(slopes).for_each(|(gradient, slope)| *gradient *= slope);
        }
    }
    gradient
}

/// `W g`: from the gradient by a layer's outputs to that by its inputs.
fn back(layer: &Layer, gradient: &[f32]) -> Vec<f32> {
    let dot = |weights: &[f32]| weights.iter().zip(gradient).map(|(weight, gradient)| weight * gradient).sum();
    layer.weights.chunks_exact(layer.outputs).map(dot).collect()
}
