//! Fitting: epochs of shuffled batches, until the loss that is watched stays.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::FitContext;

use super::adam;
use super::checks::{check_rows, check_training};
use super::forward::{Layer, Mlp};
use super::gradient::{Network, Shape, Shard};
use super::options::MlpParams;
use super::rows::{Rows, shuffle, split};
use super::state::State;

/// Rows of a batch that are worth a thread of their own, and how many threads at most: each keeps a gradient. The cut depends on
/// the batch alone, so that the sums do not depend on the threads.
const SHARD_ROWS: usize = 100;
const MAX_SHARDS: usize = 4;
/// Rows that one thread evaluates at a time.
const EVALUATE_ROWS: usize = 512;

/// The streams of random numbers under the seed; an epoch or a shard is added to them.
const INITIAL: u64 = 1 << 60;
const HOLD_OUT: u64 = 2 << 60;
const DROPOUT: u64 = 3 << 60;

impl Mlp {
    /// Learns from the rows of `matrix`, each with its label below `classes` and its weight, on the threads of the current pool.
    ///
    /// Minimises the mean weighted cross-entropy. With `early_stopping` it watches the loss of `valid`, or of a seeded, stratified
    /// part of the training rows, and keeps the weights of its best epoch; otherwise the training loss, and keeps the last ones.
    /// Metrics, with the epoch from 0 as step: `train/loss` (while learning: without penalty, with dropout), `val/loss`; at the end
    /// `train/epochs`.
    ///
    /// Errors name a number that is not finite, a label or weight out of place, fewer than two classes, and a loss that grew beyond
    /// all numbers. A class without rows is hardly ever answered.
    pub fn fit(
        matrix: &DenseMatrix,
        labels: &[u32],
        classes: usize,
        weights: &[f32],
        valid: Option<(&DenseMatrix, &[u32])>,
        params: &MlpParams,
        context: &FitContext<'_>,
    ) -> Result<Self, Error> {
        let present = check_training(matrix, labels, classes, weights)?;
        if let Some((valid, labels)) = valid.filter(|(_, labels)| !labels.is_empty()) {
            check_rows("validation", valid, labels, classes)?;
            if valid.width != matrix.width {
                let text = format!("of the validation rows have {} columns, not {}", valid.width, matrix.width);
                return Err(Error::invalid("features", text));
            }
        }
        let (train, watched) = split(matrix, labels, weights, valid, params, Random::new(context.seed, HOLD_OUT))?;
        let shape = Shape::new(matrix.width, &params.hidden_layer_sizes, classes);
        let resumed = context.resume()?.and_then(|arrays| State::from_arrays(&arrays, &shape));
        let initial = || State::new(&shape, &present, Random::new(context.seed, INITIAL));
        let fit = Fit { shape: &shape, train: &train, watched: watched.as_ref(), params, context };
        let state = fit.run(resumed.unwrap_or_else(initial))?;
        Ok(network(&shape, &state, params))
    }
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
            shuffle(&mut order, &mut Random::new(context.seed, state.epoch));
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
        context.progress(1.0, "fitted");
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

fn network(shape: &Shape, state: &State, params: &MlpParams) -> Mlp {
    let numbers = if state.best.is_empty() { &state.parameters } else { &state.best };
    let layers = shape.places().iter().map(|place| Layer {
        inputs: place.inputs,
        outputs: place.outputs,
        weights: numbers[place.weights()].to_vec(),
        biases: numbers[place.biases()].to_vec(),
    });
    Mlp { activation: params.activation, layers: layers.collect() }
}
