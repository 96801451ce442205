//! Fitting: epochs of shuffled batches, until the loss that is watched stays.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::FitContext;

use super::adam;
use super::checks::check;
use super::forward::{Layer, Mlp};
use super::gradient::{Network, Shape, Shard};
use super::options::MlpParams;
use super::rows::{Rows, split};
use super::state::State;
use crate::dense::Training;
use crate::dense::importance::{normalise, permutation_importance};

/// Rows of a batch that are worth a thread of their own, and how many threads at most: each keeps a gradient. The cut depends on
/// the batch alone, so that the sums do not depend on the threads.
const SHARD_ROWS: usize = 100;
const MAX_SHARDS: usize = 4;
/// Rows that one thread evaluates at a time.
const EVALUATE_ROWS: usize = 512;
/// Rows that the importances are measured on, about.
const IMPORTANCE_ROWS: usize = 500;

/// The streams of random numbers under the seed; an epoch or a shard is added to them.
const INITIAL: u64 = 1 << 60;
const HOLD_OUT: u64 = 2 << 60;
const DROPOUT: u64 = 3 << 60;

/// Learns from the rows of `matrix`, each with its label below `classes` and its weight, on the threads of the current pool.
///
/// Minimises the mean weighted cross-entropy. With `early_stopping` it watches the loss of the validation rows, or of a seeded, stratified
/// part of the training rows, and keeps the weights of its best epoch; otherwise the training loss, and keeps the last ones.
/// Metrics, with the epoch from 0 as step: `train/loss` (while learning: without penalty, with dropout), `val/loss`; at the end
/// `train/epochs`.
///
/// Errors name a number that is not finite, a label or weight out of place, fewer than two classes, and a loss that grew beyond
/// all numbers. A class without rows is hardly ever answered.
pub(super) fn fit(training: Training<'_>, params: &MlpParams, context: &FitContext<'_>) -> Result<Mlp, Error> {
    let present = check(&training)?;
    let (train, watched) = split(&training, params, Random::new(context.seed, HOLD_OUT))?;
    let shape = Shape::new(training.matrix.width, &params.hidden_layer_sizes, training.classes);
    let resumed = context.resume(|state| State::from_arrays(state, &shape))?;
    let initial = || State::new(&shape, &present, Random::new(context.seed, INITIAL));
    let fit = Fit { shape: &shape, train: &train, watched: watched.as_ref(), params, context };
    let state = fit.run(resumed.unwrap_or_else(initial))?;
    let network = network(&shape, &state, params);
    let importances = importances(&network, watched.as_ref().unwrap_or(&train), training.classes, context)?;
    Ok(Mlp { importances, ..network })
}

/// One fit.
struct Fit<'a> {
    shape: &'a Shape,
    train: &'a Rows<'a>,
    watched: Option<&'a Rows<'a>>,
    params: &'a MlpParams,
    context: &'a FitContext<'a>,
}

impl Fit<'_> {
    fn run(&self, mut state: State) -> Result<State, Error> {
        let (params, context) = (self.params, self.context);
        let epochs = u64::from(params.max_iter);
        let rows = self.train.picked.len();
        let batch = params.batch_size.unwrap_or(200).min(rows);
        let mut shards: Vec<Shard> = Vec::new();
        shards.resize_with((batch / SHARD_ROWS).clamp(1, MAX_SHARDS), Shard::default);
        while state.epoch < epochs && state.stale <= u64::from(params.n_iter_no_change) {
            context.progress(state.epoch as f64 / epochs as f64, &format!("epoch {} of {epochs}", state.epoch + 1));
            let mut order = self.train.picked.clone();
            Random::new(context.seed, state.epoch).shuffle(&mut order);
            let mut loss = 0.0;
            for rows in order.chunks(batch) {
                context.stop.check()?;
                let of_batch = self.learn(&mut state, &mut shards, batch, rows)?;
                self.check_finite(of_batch, state.epoch)?;
                loss += of_batch;
            }
            // Squares overflow before losses do, and Adam then stands still without a sign.
            if !state.parameters.iter().chain(&state.second).all(|number| number.is_finite()) {
                self.check_finite(f64::INFINITY, state.epoch)?;
            }
            let loss = loss / rows as f64;
            let step = state.epoch as i64;
            context.metric("train/loss", loss, step);
            let watched = self.watched.map(|rows| self.evaluate(&state.parameters, rows)).transpose()?;
            if let Some(loss) = watched {
                self.check_finite(loss, state.epoch)?;
                context.metric("val/loss", loss, step);
            }
            match watched {
                Some(loss) if params.early_stopping => state.watch(loss, params.tol, true),
                _ => state.watch(loss, params.tol, false),
            }
            state.epoch += 1;
            context.checkpoint(|| state.to_arrays())?;
        }
        context.metric("train/epochs", state.epoch as f64, 0);
        Ok(state)
    }

    /// One step on `rows`; returns the sum of their losses before it.
    fn learn(&self, state: &mut State, shards: &mut [Shard], batch: usize, rows: &[u32]) -> Result<f64, Error> {
        let network = self.network();
        let scale = (1.0 / rows.len() as f64) as f32;
        let parts = rows.par_chunks(batch.div_ceil(shards.len()));
        let used = parts.len();
        let first = state.step * MAX_SHARDS as u64;
        shards.par_iter_mut().zip(parts).enumerate().with_max_len(1).try_for_each(|(index, (shard, rows))| {
            let dropout = Random::new(self.context.seed, DROPOUT + first + index as u64);
            shard.learn(network, &state.parameters, self.train, rows, scale, dropout)
        })?;
        let (whole, others) = shards.split_at_mut(1);
        let (gradient, mut loss) = (&mut whole[0].gradient, whole[0].loss);
        for shard in &others[..used - 1] {
            gradient.iter_mut().zip(&shard.gradient).for_each(|(sum, part)| *sum += part);
            loss += shard.loss;
        }
        adam::step(state, self.shape, gradient, rows.len(), self.params);
        Ok(loss)
    }

    /// The mean weighted loss of `rows`.
    fn evaluate(&self, parameters: &[f32], rows: &Rows<'_>) -> Result<f64, Error> {
        let losses = rows
            .picked
            .par_chunks(EVALUATE_ROWS)
            .map_init(Shard::default, |shard, picked| shard.evaluate(self.network(), parameters, rows, picked));
        let losses: Vec<f64> = losses.collect::<Result<_, Error>>()?;
        Ok(losses.iter().sum::<f64>() / rows.weight())
    }

    fn network(&self) -> Network<'_> {
        Network {
            shape: self.shape,
            activation: self.params.activation,
            dropout: self.params.dropout,
            stop: self.context.stop,
        }
    }

    fn check_finite(&self, loss: f64, epoch: u64) -> Result<(), Error> {
        if loss.is_finite() {
            return Ok(());
        }
        let rate = self.params.learning_rate_init;
        let text = format!(
            "the loss grew beyond all numbers in epoch {}; lower `learning_rate_init`, now {rate}, or scale the features",
            epoch + 1
        );
        Err(Error::precondition("TRAINING_DIVERGED", text))
    }
}

/// The share of each column in what shuffling it costs on some of `rows`; zeros when it costs nothing.
fn importances(network: &Mlp, rows: &Rows<'_>, classes: usize, context: &FitContext<'_>) -> Result<Vec<f64>, Error> {
    let picked: Vec<usize> = rows
        .picked
        .iter()
        .step_by(rows.picked.len().div_ceil(IMPORTANCE_ROWS).max(1))
        .map(|row| *row as usize)
        .collect();
    let values = picked.iter().flat_map(|&row| rows.matrix.row(row)).copied().collect();
    let matrix = DenseMatrix { width: rows.matrix.width, values };
    let labels: Vec<u32> = picked.iter().map(|&row| rows.labels[row]).collect();
    let predict = |row: &[f32], probabilities: &mut [f64]| network.answer(row, &mut Vec::new(), probabilities);
    let mut costs = permutation_importance(&matrix, &labels, classes, predict, 1, context.seed, context.stop)?;
    normalise(&mut costs);
    Ok(costs)
}

fn network(shape: &Shape, state: &State, params: &MlpParams) -> Mlp {
    let numbers = if state.best.is_empty() { &state.parameters } else { &state.best };
    let layers = shape.places().iter().map(|place| Layer {
        inputs: place.inputs,
        outputs: place.outputs,
        weights: numbers[place.weights()].to_vec(),
        biases: numbers[place.biases()].to_vec(),
    });
    Mlp { activation: params.activation, layers: layers.collect(), importances: Vec::new() }
}
