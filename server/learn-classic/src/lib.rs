#![doc = include_str!("../README.md")]

mod boosting;
mod dense;
mod features;
mod forest;
mod linear;
mod mlp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trainer;
mod trees;
mod weights;

use std::sync::Arc;

use tenor_learn::Trainer;

use boosting::Boosting;
use dense::Dense;
use forest::Forest;
use linear::{ComplementNb, LogisticRegression, NbSvm};
use mlp::Mlp;
use trainer::{Kind, KindTrainer};

/// One trainer of every kind in this crate.
pub fn trainers() -> Vec<Arc<dyn Trainer>> {
    vec![
        trainer_of::<LogisticRegression>(),
        trainer_of::<NbSvm>(),
        trainer_of::<ComplementNb>(),
        trainer_of::<Dense<Forest>>(),
        trainer_of::<Dense<Boosting>>(),
        trainer_of::<Dense<Mlp>>(),
    ]
}

fn trainer_of<K: Kind>() -> Arc<dyn Trainer> {
    Arc::new(KindTrainer::<K>::new())
}
