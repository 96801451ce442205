#![doc = include_str!("../README.md")]

pub mod boosting;
mod dense;
mod features;
pub mod forest;
mod linear;
pub mod mlp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod trees;
mod weights;

use std::sync::Arc;

use tenor_learn::Trainer;

use boosting::Boosting;
use dense::DenseTrainer;
use forest::Forest;
use mlp::Mlp;

pub use linear::{ComplementNb, LogisticRegression, NbSvm};

/// One trainer of every kind in this crate.
pub fn trainers() -> Vec<Arc<dyn Trainer>> {
    vec![
        Arc::new(LogisticRegression),
        Arc::new(NbSvm),
        Arc::new(ComplementNb),
        Arc::new(DenseTrainer::<Forest>::default()),
        Arc::new(DenseTrainer::<Boosting>::default()),
        Arc::new(DenseTrainer::<Mlp>::default()),
    ]
}
