//! Where to look next.

mod gp;
mod grid;
mod nsga2;
mod parzen;
mod qmc;
mod regression;
#[cfg(test)]
mod tests;
mod tpe;

use serde::{Deserialize, Serialize};
use tenor_domain::Error;

pub use gp::Gp;
pub use grid::Grid;
pub use nsga2::Nsga2;
pub use qmc::QuasiRandom;
pub use tpe::{Tpe, TpeOptions};

use crate::history::{History, random_of};
use crate::space::{Point, Space};

/// Chooses the point of a trial. A pure function: the same space, history, seed and number give the same point.
pub trait Sampler: Send + Sync {
    /// The point of trial `number`. Of the history only trials with smaller numbers may be there.
    ///
    /// # Errors
    /// `SPACE_EXHAUSTED` when a sampler that has an end has come to it.
    fn suggest(&self, space: &Space, history: History<'_>, study_seed: u64, number: u64) -> Result<Point, Error>;
}

/// Any point with the same chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomSampler;

impl Sampler for RandomSampler {
    fn suggest(&self, space: &Space, _: History<'_>, study_seed: u64, number: u64) -> Result<Point, Error> {
        Ok(space.random(&mut random_of(study_seed, number)))
    }
}

/// The samplers by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    Random,
    QuasiRandom,
    Grid,
    Tpe,
    Gp,
    Nsga2,
}

impl SamplerKind {
    pub const ALL: [Self; 6] = [Self::Random, Self::QuasiRandom, Self::Grid, Self::Tpe, Self::Gp, Self::Nsga2];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::QuasiRandom => "quasi_random",
            Self::Grid => "grid",
            Self::Tpe => "tpe",
            Self::Gp => "gp",
            Self::Nsga2 => "nsga2",
        }
    }

    /// The sampler with its defaults for a space and a number of objectives.
    pub fn sampler(self, space: &Space, objectives: usize) -> Box<dyn Sampler> {
        match self {
            Self::Random => Box::new(RandomSampler),
            Self::QuasiRandom => Box::new(QuasiRandom),
            Self::Grid => Box::new(Grid::default()),
            Self::Tpe => Box::new(Tpe::new(TpeOptions::of(space, objectives))),
            Self::Gp => Box::new(Gp::default()),
            Self::Nsga2 => Box::new(Nsga2::default()),
        }
    }
}
