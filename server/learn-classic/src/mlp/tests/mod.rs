//! Helpers of the tests beside.

mod file;
mod gradient;
mod inputs;
mod learn;
mod reproduce;

use serde_json::Value;
use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, label_of};

use super::options::defaults;
use super::*;

fn params(given: Value) -> MlpParams {
    MlpParams::read(&mut Params::new(&given, &defaults()).unwrap()).unwrap()
}

/// Rows around a centre a class, and their labels.
fn clouds(rows: usize, width: usize, classes: usize, seed: u64) -> (DenseMatrix, Vec<u32>) {
    let mut random = Random::new(seed, 0);
    let mut matrix = DenseMatrix::zeros(rows, width);
    let labels: Vec<u32> = (0..rows).map(|_| random.below(classes) as u32).collect();
    for (row, &label) in matrix.values.chunks_mut(width).zip(&labels) {
        for (column, value) in row.iter_mut().enumerate() {
            let centre = if column % classes == label as usize { 0.5 } else { 0.0 };
            *value = (centre + random.unit() * 2.0 - 1.0) as f32;
        }
    }
    (matrix, labels)
}

fn fit(data: &(DenseMatrix, Vec<u32>), classes: usize, given: Value, context: &FitContext<'_>) -> Result<Mlp, Error> {
    Mlp::fit(
        Training { matrix: &data.0, labels: &data.1, classes, weights: &vec![1.0; data.1.len()], validation: None },
        &params(given),
        context,
    )
}

fn answers(mlp: &Mlp, matrix: &DenseMatrix, classes: usize) -> Vec<Vec<f64>> {
    let mut scratch = Vec::new();
    let answer = |row| {
        let mut probabilities = vec![0.0; classes];
        mlp.predict_into(matrix.row(row), &mut scratch, &mut probabilities);
        probabilities
    };
    (0..matrix.rows()).map(answer).collect()
}

fn accuracy(mlp: &Mlp, data: &(DenseMatrix, Vec<u32>), classes: usize) -> f64 {
    let answers = answers(mlp, &data.0, classes);
    let right = answers.iter().zip(&data.1).filter(|(answer, label)| label_of(answer) == **label as usize).count();
    right as f64 / data.1.len() as f64
}

fn bits(mlp: &Mlp) -> Vec<u32> {
    mlp.layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.biases)).map(|w| w.to_bits()).collect()
}
