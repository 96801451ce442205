//! Multi-layer perceptron: dense layers with an activation between them, a softmax at the end, trained by Adam.
//!
//! A learner over a dense matrix whose columns are already on one scale; which text became which row is not its concern.
//! The products are faer's, the rest are plain loops: docs/adr/0004-mlp-training.md says why not candle. Same data, parameters and
//! seed give the same bits whatever the number of threads.

mod adam;
mod attribute;
mod checks;
mod file;
mod forward;
mod gradient;
mod options;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod train;

pub use attribute::attribute;
pub use forward::{Layer, Mlp};
pub use options::{Activation, MlpParams, Optimizer, defaults};
