#![doc = include_str!("../README.md")]

pub mod logreg;
pub mod mlp;

use std::sync::Arc;

use tenor_learn::Trainer;

/// One trainer of every kind in this crate.
pub fn trainers() -> Vec<Arc<dyn Trainer>> {
    vec![Arc::new(logreg::LogisticRegression)]
}
