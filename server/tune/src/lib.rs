#![doc = include_str!("../README.md")]

pub mod history;
pub mod importance;
mod normal;
pub mod pareto;
pub mod policy;
pub mod pruner;
pub mod sampler;
pub mod space;

pub use history::{Direction, History, Report, Trial, TrialState};
pub use policy::{Policy, Selected};
pub use pruner::{Decision, Pruner};
pub use sampler::{Sampler, SamplerKind};
pub use space::{Assignment, Domain, Param, Point, Space, When};
