#![doc = include_str!("../README.md")]

mod features;
pub mod linear;
mod weights;

use std::sync::Arc;

use tenor_learn::Trainer;

/// One trainer of every kind in this crate.
pub fn trainers() -> Vec<Arc<dyn Trainer>> {
    vec![Arc::new(linear::LogisticRegression), Arc::new(linear::NbSvm), Arc::new(linear::ComplementNb)]
}
