//! Which trials to end early.
//!
//! A report is a vector, one number a metric that trials are pruned by. Decisions are pure functions of the reports; a service keeps each with
//! its trial, so that asking again gives the same answer.

mod halving;
mod median;
#[cfg(test)]
mod tests;
mod wilcoxon;

use serde::{Deserialize, Serialize};

pub use halving::{Halving, Hyperband};
pub use median::Median;
pub use wilcoxon::Wilcoxon;

use crate::history::{Direction, History, Report, Trial, TrialState};

/// Whether a trial should go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub prune: bool,
    /// For people: what it was compared with.
    pub reason: String,
}

impl Decision {
    fn go_on(reason: impl Into<String>) -> Self {
        Self { prune: false, reason: reason.into() }
    }
    fn prune(reason: impl Into<String>) -> Self {
        Self { prune: true, reason: reason.into() }
    }
}

/// Decides by the last report of a trial.
pub trait Pruner: Send + Sync {
    /// `directions` are those of the numbers of a report.
    fn decide(&self, history: History<'_>, directions: &[Direction], trial: &Trial) -> Decision;
}

/// Never prunes.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPruner;

impl Pruner for NoPruner {
    fn decide(&self, _: History<'_>, _: &[Direction], _: &Trial) -> Decision {
        Decision::go_on("nothing is pruned")
    }
}

/// A report so that smaller is better; `None` when something in it is not finite or missing.
fn losses(directions: &[Direction], report: &Report) -> Option<Vec<f64>> {
    let losses: Vec<f64> = directions.iter().zip(&report.values).map(|(it, value)| it.loss(*value)).collect();
    (losses.len() == directions.len() && losses.iter().all(|loss| loss.is_finite())).then_some(losses)
}

/// Trials that another may be compared with: all but those that failed or break constraints.
fn comparable<'a>(history: History<'a>) -> impl Iterator<Item = &'a Trial> {
    history.trials.iter().filter(|trial| trial.state != TrialState::Failed && trial.violation <= 0.0)
}

/// The number below which a share of the values lies, by linear interpolation; `sorted` ascends and is not empty.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}
