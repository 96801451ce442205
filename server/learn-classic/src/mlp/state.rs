//! How far a fit has come; what a checkpoint keeps.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};
use tenor_features::random::Random;

use super::gradient::Shape;

/// Everything that the next epoch depends on beside data, parameters and seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    pub parameters: Vec<f32>,
    /// Adam's moments.
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    /// The parameters at the lowest loss watched; empty when the last ones are wanted.
    pub best: Vec<f32>,
    pub best_loss: f64,
    /// Epochs in a row without an improvement.
    pub stale: u64,
}

/// How far below the others a class without training rows is put: its probability stays below 1e-15.
const ABSENT: f32 = -40.0;

impl State {
    /// Weights uniform within `1 / sqrt(inputs)` (LeCun and others 1998, section 4.6, and PyTorch's choice); biases 0. The wider bounds of
    /// Glorot and He gave a lower AUC: docs/adr/0004-mlp-training.md. Classes that are not `present` get no weights and a low
    /// bias, where the gradient vanishes.
    pub fn new(shape: &Shape, present: &[bool], mut random: Random) -> Self {
        let mut parameters = vec![0.0; shape.len()];
        for place in shape.places() {
            let bound = 1.0 / (place.inputs as f64).sqrt();
            parameters[place.weights()].iter_mut().for_each(|w| *w = ((2.0 * random.unit() - 1.0) * bound) as f32);
        }
        if let Some(last) = shape.places().last() {
            for class in (0..last.outputs).filter(|&class| !present[class]) {
                parameters[last.weights()].iter_mut().skip(class).step_by(last.outputs).for_each(|w| *w = 0.0);
                parameters[last.biases()][class] = ABSENT;
            }
        }
        let zeros = vec![0.0; shape.len()];
        Self {
            epoch: 0,
            step: 0,
            parameters,
            first: zeros.clone(),
            second: zeros,
            best: Vec::new(),
            best_loss: f64::INFINITY,
            stale: 0,
        }
    }

    /// Takes note of the loss watched after an epoch; keeps the parameters if it is the lowest and `keep` says so.
    pub fn watch(&mut self, loss: f64, tol: f64, keep: bool) {
        self.stale = if loss < self.best_loss - tol { 0 } else { self.stale + 1 };
        if loss < self.best_loss {
            self.best_loss = loss;
            if keep {
                self.best.clone_from(&self.parameters);
            }
        }
    }

    pub fn to_arrays(&self) -> Arrays {
        let mut arrays = Arrays::default();
        arrays.insert("mlp.state.counts", Array::U64(vec![self.epoch, self.step, self.stale]));
        arrays.insert("mlp.state.best_loss", Array::F64(vec![self.best_loss]));
        arrays.insert("mlp.state.parameters", Array::F32(self.parameters.clone()));
        arrays.insert("mlp.state.first", Array::F32(self.first.clone()));
        arrays.insert("mlp.state.second", Array::F32(self.second.clone()));
        arrays.insert("mlp.state.best", Array::F32(self.best.clone()));
        arrays
    }

    /// `None` for arrays that are no state of a fit of this shape: the fit then starts anew, which costs time and changes
    /// nothing.
    pub fn from_arrays(arrays: &Arrays, shape: &Shape) -> Result<Self, Error> {
        let state = Self::read(arrays)?;
        let whole = [&state.parameters, &state.first, &state.second].into_iter().all(|v| v.len() == shape.len());
        let best = state.best.is_empty() || state.best.len() == shape.len();
        let numbers = [&state.parameters, &state.first, &state.second, &state.best];
        if whole && best && numbers.into_iter().flatten().all(|number| number.is_finite()) && !state.best_loss.is_nan()
        {
            return Ok(state);
        }
        Err(broken("mlp.state.parameters", "does not belong to this fit"))
    }

    fn read(arrays: &Arrays) -> Result<Self, Error> {
        let &[epoch, step, stale] = arrays.u64s("mlp.state.counts")? else {
            return Err(broken("mlp.state.counts", "must hold three numbers"));
        };
        Ok(Self {
            epoch,
            step,
            parameters: arrays.f32s("mlp.state.parameters")?.to_vec(),
            first: arrays.f32s("mlp.state.first")?.to_vec(),
            second: arrays.f32s("mlp.state.second")?.to_vec(),
            best: arrays.f32s("mlp.state.best")?.to_vec(),
            best_loss: arrays.f64("mlp.state.best_loss")?,
            stale,
        })
    }
}
