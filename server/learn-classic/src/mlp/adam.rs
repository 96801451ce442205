//! Adam and AdamW over one vector of parameters.

use rayon::prelude::*;

use super::gradient::Shape;
use super::options::{MlpParams, Optimizer};
use super::state::State;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;
/// Numbers that one thread takes at a time.
const CHUNK: usize = 65_536;

/// One step along `gradient`, of the mean loss of `rows` rows.
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, `w -= r sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + e)` (Kingma and Ba 2015, end of
/// section 2, which is scikit-learn's form too). The penalty comes first: see [`Optimizer`].
pub(super) fn step(state: &mut State, shape: &Shape, gradient: &mut [f32], rows: usize, params: &MlpParams) {
    state.step += 1;
    penalise(&mut state.parameters, shape, gradient, rows, params);
    let t = i32::try_from(state.step).unwrap_or(i32::MAX);
    let rate = params.learning_rate_init * (1.0 - BETA2.powi(t)).sqrt() / (1.0 - BETA1.powi(t));
    let (rate, beta1, beta2) = (rate as f32, BETA1 as f32, BETA2 as f32);
    let parts = state.parameters.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
    let moments = state.first.par_chunks_mut(CHUNK).zip(state.second.par_chunks_mut(CHUNK));
    parts.zip(moments).for_each(|((weights, gradient), (first, second))| {
        for (((w, g), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w -= rate * *m / (v.sqrt() + EPSILON);
        }
    });
}

fn penalise(parameters: &mut [f32], shape: &Shape, gradient: &mut [f32], rows: usize, params: &MlpParams) {
    if params.alpha == 0.0 {
        return;
    }
    for place in shape.places() {
        let weights = &mut parameters[place.weights()];
        match params.optimizer {
            Optimizer::Adam => {
                let share = (params.alpha / rows as f64) as f32;
                gradient[place.weights()].iter_mut().zip(weights).for_each(|(g, w)| *g += share * *w);
            }
            Optimizer::AdamW => {
                let kept = (1.0 - params.learning_rate_init * params.alpha) as f32;
                weights.iter_mut().for_each(|w| *w *= kept);
            }
        }
    }
}
