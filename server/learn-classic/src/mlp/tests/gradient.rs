//! The loss, its gradient and the forward pass.

use serde_json::json;
use tenor_features::Stop;
use tenor_features::random::Random;
use tenor_learn::FitContext;

use super::super::adam;
use super::super::gradient::{Network, Shape, Shard};
use super::super::rows::Rows;
use super::super::state::State;
use super::*;

#[test]
fn the_gradient_is_that_of_finite_differences() {
    for activation in Activation::ALL {
        let (matrix, labels) = clouds(9, 4, 3, 5);
        let weights = (0..9).map(|row| row as f32 / 4.0).collect();
        let rows = Rows { matrix: &matrix, labels: &labels, weights, picked: (0..9).collect() };
        let shape = Shape::new(4, &[6, 5], 3);
        let network = Network { shape: &shape, activation, dropout: 0.0, stop: Stop::never() };
        let mut state = State::new(&shape, &[true; 3], Random::new(3, 0));
        // Away from 0: the relu has no derivative there.
        state.parameters.iter_mut().for_each(|w| *w += 0.05);
        let mut shard = Shard::default();
        let picked = [1, 2, 3, 5, 8, 8];
        shard.learn(network, &state.parameters, &rows, &picked, 0.25, Random::new(0, 0)).unwrap();
        let gradient = shard.gradient.clone();
        for at in 0..shape.len() {
            let mut loss_at = |change: f32| {
                let mut parameters = state.parameters.clone();
                parameters[at] += change;
                shard.evaluate(network, &parameters, &rows, &picked).unwrap() * 0.25
            };
            let step = 2e-3;
            let slope = (loss_at(step) - loss_at(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[at]);
            assert!((slope - found).abs() < 2e-3, "{activation:?} parameter {at}: {slope} is not {found}");
        }
    }
}

#[test]
fn dropout_leaves_out_its_share_and_keeps_the_expected_sums() {
    let (matrix, labels) = clouds(400, 4, 2, 5);
    let rows = Rows { matrix: &matrix, labels: &labels, weights: vec![1.0; 400], picked: (0..400).collect() };
    let shape = Shape::new(4, &[64], 2);
    let network = Network { shape: &shape, activation: Activation::Tanh, dropout: 0.0, stop: Stop::never() };
    let mut state = State::new(&shape, &[true; 2], Random::new(3, 0));
    // Every unit answers about 1, every weight above is 1: a score is the count of the units that stay, raised.
    let (hidden, output) = (shape.places()[0], shape.places()[1]);
    state.parameters[hidden.biases()].fill(20.0);
    state.parameters[output.weights()].fill(1.0);
    let mut shard = Shard::default();
    let network = Network { dropout: 0.3, ..network };
    shard.learn(network, &state.parameters, &rows, &rows.picked, 1.0, Random::new(7, 0)).unwrap();
    let kept: Vec<f32> = shard.scores().chunks(2).map(|scores| scores[0] * 0.7).collect();
    assert!(kept.iter().all(|kept| (kept - kept.round()).abs() < 1e-3), "{kept:?}");
    let share = kept.iter().sum::<f32>() / (400.0 * 64.0);
    assert!((share - 0.7).abs() < 0.01, "{share}");
    // The gradient of the weights above the first unit knows only the rows in which it stayed.
    assert!(kept.iter().any(|&k| k != kept[0]));
}

#[test]
fn one_row_answers_as_the_batch_does() {
    for activation in Activation::ALL {
        let (matrix, labels) = clouds(33, 7, 3, 5);
        let given =
            json!({"activation": activation.name(), "hidden_layer_sizes": [9, 5, 6], "max_iter": 3, "batch_size": 5});
        let mlp = fit(&(matrix.clone(), labels.clone()), 3, given, &FitContext::quiet(1)).unwrap();
        let shape = Shape::new(7, &[9, 5, 6], 3);
        let network = Network { shape: &shape, activation, dropout: 0.0, stop: Stop::never() };
        let parameters: Vec<f32> =
            mlp.layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.biases)).copied().collect();
        let rows = Rows { matrix: &matrix, labels: &labels, weights: vec![1.0; 33], picked: (0..33).collect() };
        let mut shard = Shard::default();
        shard.evaluate(network, &parameters, &rows, &rows.picked).unwrap();
        for (scores, answer) in shard.scores().chunks(3).zip(answers(&mlp, &matrix, 3)) {
            let sum: f64 = scores.iter().map(|score| f64::from(*score).exp()).sum();
            for (score, probability) in scores.iter().zip(answer) {
                assert!((f64::from(*score).exp() / sum - probability).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn a_constant_gradient_moves_weights_by_the_learning_rate_and_alpha_moves_no_bias() {
    let shape = Shape::new(2, &[3], 2);
    let start = State::new(&shape, &[true; 2], Random::new(1, 0));
    let run = |given, slope: f32| {
        let (params, mut state) = (params(given), start.clone());
        for _ in 0..20 {
            let mut gradient = vec![slope; shape.len()];
            adam::step(&mut state, &shape, &mut gradient, 10, &params);
        }
        state.parameters
    };
    // Both moments, once corrected, are those of the constant: every step is the rate, towards the lower loss.
    for slope in [1e-3, -2.0] {
        for (after, before) in run(json!({"alpha": 0.0}), slope).iter().zip(&start.parameters) {
            let moved = after - before;
            assert!((moved + 0.02 * slope.signum()).abs() < 1e-5, "{moved}");
        }
    }
    let decayed = run(json!({"alpha": 10.0, "optimizer": "adamw"}), 0.0);
    let penalised = run(json!({"alpha": 10.0}), 0.0);
    for place in shape.places() {
        for at in place.weights() {
            let weight = start.parameters[at];
            assert!((decayed[at] - weight * 0.99f32.powi(20)).abs() < 1e-5);
            assert!(penalised[at].abs() < weight.abs());
        }
        for at in place.biases() {
            assert_eq!((decayed[at], penalised[at]), (0.0, 0.0));
        }
    }
}
