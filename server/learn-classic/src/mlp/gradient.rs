//! The loss of some rows and its gradient, by matrix products.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::random::Random;

use super::options::Activation;
use super::rows::Rows;

/// Where each layer stands in the one vector of parameters.
#[derive(Debug, Clone)]
pub(super) struct Shape(Vec<Place>);

/// One layer's part: weights (inputs x outputs, row-major), then biases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub inputs: usize,
    pub outputs: usize,
    start: usize,
}

impl Place {
    pub fn weights(&self) -> Range<usize> {
        self.start..self.start + self.inputs * self.outputs
    }
    pub fn biases(&self) -> Range<usize> {
        self.weights().end..self.weights().end + self.outputs
    }
}

impl Shape {
    pub fn new(inputs: usize, hidden: &[usize], classes: usize) -> Self {
        let (mut places, mut inputs, mut start) = (Vec::new(), inputs, 0);
        for &outputs in hidden.iter().chain([&classes]) {
            let place = Place { inputs, outputs, start };
            (inputs, start) = (outputs, place.biases().end);
            places.push(place);
        }
        Self(places)
    }
    pub fn places(&self) -> &[Place] {
        &self.0
    }
    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |place| place.biases().end)
    }
}

/// What stays the same from batch to batch.
#[derive(Clone, Copy)]
pub(super) struct Network<'a> {
    pub shape: &'a Shape,
    pub activation: Activation,
    pub dropout: f64,
    pub stop: Stop<'a>,
}

/// Room for the rows that one thread takes of a batch, and what it found there.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// Of the sum of the losses times `scale`; as long as the parameters.
    pub gradient: Vec<f32>,
    /// The weighted sum of the losses.
    pub loss: f64,
    /// The input rows, then the outputs of each layer.
    values: Vec<Vec<f32>>,
    /// The derivative of each hidden layer's outputs by its sums.
    slopes: Vec<Vec<f32>>,
    /// The derivative of the loss by the sums of the layer at work, and of the one below.
    delta: Vec<f32>,
    below: Vec<f32>,
}

impl Shard {
    /// Computes the loss of `rows` (weighted cross-entropy `-s_i ln p_i`) and, times `scale`, its gradient. Hidden units are left
    /// out by `dropout`; those that stay count `1 / (1 - share)` as much, so that nothing changes when predicting (Srivastava
    /// and others 2014, inverted).
    pub fn learn(
        &mut self,
        network: Network<'_>,
        parameters: &[f32],
        rows: &Rows<'_>,
        picked: &[u32],
        scale: f32,
        mut dropout: Random,
    ) -> Result<(), Error> {
        self.forward(network, parameters, rows, picked, Some(&mut dropout))?;
        self.score(rows, picked);
        self.delta.iter_mut().for_each(|delta| *delta *= scale);
        self.gradient.resize(parameters.len(), 0.0);
        for (layer, place) in network.shape.places().iter().enumerate().rev() {
            network.stop.check()?;
            let delta = matrix(&self.delta, place.outputs);
            let gradient = &mut self.gradient[place.weights()];
            product(gradient, Accum::Replace, matrix(&self.values[layer], place.inputs).transpose(), delta);
            let biases = &mut self.gradient[place.biases()];
            biases.fill(0.0);
            for delta in self.delta.chunks_exact(place.outputs) {
                biases.iter_mut().zip(delta).for_each(|(bias, delta)| *bias += delta);
            }
            if layer > 0 {
                self.below.resize(picked.len() * place.inputs, 0.0);
                let weights = matrix(&parameters[place.weights()], place.outputs);
                product(&mut self.below, Accum::Replace, delta, weights.transpose());
                self.below.iter_mut().zip(&self.slopes[layer - 1]).for_each(|(delta, slope)| *delta *= slope);
                std::mem::swap(&mut self.delta, &mut self.below);
            }
        }
        Ok(())
    }

    /// The weighted sum of the losses of `picked`, nothing left out.
    pub fn evaluate(
        &mut self,
        network: Network<'_>,
        parameters: &[f32],
        rows: &Rows<'_>,
        picked: &[u32],
    ) -> Result<f64, Error> {
        self.forward(network, parameters, rows, picked, None)?;
        self.score(rows, picked);
        Ok(self.loss)
    }

    /// Fills `values` and, when learning, `slopes`.
    fn forward(
        &mut self,
        network: Network<'_>,
        parameters: &[f32],
        rows: &Rows<'_>,
        picked: &[u32],
        mut learning: Option<&mut Random>,
    ) -> Result<(), Error> {
        let places = network.shape.places();
        self.values.resize_with(places.len() + 1, Vec::new);
        self.slopes.resize_with(places.len() - 1, Vec::new);
        self.values[0].clear();
        for &row in picked {
            self.values[0].extend_from_slice(rows.matrix.row(row as usize));
        }
        for (layer, place) in places.iter().enumerate() {
            network.stop.check()?;
            let (inputs, outputs) = self.values.split_at_mut(layer + 1);
            let (inputs, outputs) = (&inputs[layer], &mut outputs[0]);
            outputs.clear();
            for _ in picked {
                outputs.extend_from_slice(&parameters[place.biases()]);
            }
            let weights = matrix(&parameters[place.weights()], place.outputs);
            product(outputs, Accum::Add, matrix(inputs, place.inputs), weights);
            let Some(slopes) = self.slopes.get_mut(layer) else { continue };
            network.activation.apply(outputs);
            if let Some(random) = &mut learning {
                slopes.resize(outputs.len(), 0.0);
                network.activation.slopes(outputs, slopes);
                leave_out(outputs, slopes, network.dropout, random);
            }
        }
        Ok(())
    }

    /// Turns the outputs of the last layer into the loss and, in `delta`, its derivative `s_i (p_ik - [k = label_i])`.
    fn score(&mut self, rows: &Rows<'_>, picked: &[u32]) {
        self.loss = 0.0;
        self.delta.clear();
        let Some(scores) = self.values.last().filter(|_| !picked.is_empty()) else { return };
        self.delta.extend_from_slice(scores);
        let classes = scores.len() / picked.len();
        for (&row, scores) in picked.iter().zip(self.delta.chunks_exact_mut(classes)) {
            let (label, weight) = (rows.labels[row as usize] as usize, rows.weights[row as usize]);
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let of_label = scores[label];
            let mut sum = 0.0;
            for score in scores.iter_mut() {
                *score = (*score - largest).exp();
                sum += *score;
            }
            scores.iter_mut().for_each(|score| *score *= weight / sum);
            scores[label] -= weight;
            self.loss += f64::from(weight) * (f64::from(largest - of_label) + f64::from(sum).ln());
        }
    }

    /// The scores of the last forward pass, row-major.
    #[cfg(test)]
    pub fn scores(&self) -> &[f32] {
        self.values.last().map_or(&[], Vec::as_slice)
    }
}

/// Zeroes values and slopes of the units left out, with two of them a random number, and raises the others.
fn leave_out(values: &mut [f32], slopes: &mut [f32], share: f64, random: &mut Random) {
    if share == 0.0 {
        return;
    }
    let below = (share * f64::from(u32::MAX)) as u32;
    let raise = (1.0 / (1.0 - share)) as f32;
    for (values, slopes) in values.chunks_mut(2).zip(slopes.chunks_mut(2)) {
        let number = random.next();
        for ((value, slope), half) in values.iter_mut().zip(slopes).zip([number as u32, (number >> 32) as u32]) {
            let factor = if half < below { 0.0 } else { raise };
            *value *= factor;
            *slope *= factor;
        }
    }
}

fn matrix(values: &[f32], width: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(values, values.len() / width, width)
}

/// `into = a b` or `into += a b` on the calling thread: how faer divides a product among threads may change its last bits.
fn product(into: &mut [f32], accumulate: Accum, a: MatRef<'_, f32>, b: MatRef<'_, f32>) {
    matmul(MatMut::from_row_major_slice_mut(into, a.nrows(), b.ncols()), accumulate, a, b, 1.0, Par::Seq);
}
