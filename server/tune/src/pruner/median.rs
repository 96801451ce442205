//! The median rule (Golovin et al. 2017, "Google Vizier"), for any number of metrics.

use serde::{Deserialize, Serialize};

use super::{Decision, Pruner, comparable, losses, quantile};
use crate::history::{Direction, History, Trial};

/// Ends a trial that is worse than the given share of the others in EVERY metric: its best so far against theirs at the same step. With
/// one metric this is the median rule; with several a trial stays that is good at anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Median {
    /// The share of the others that must be better: 0.5 for the median.
    pub quantile: f64,
    /// Trials that must have come to the step.
    pub startup_trials: usize,
    /// Steps before which nothing is ended.
    pub warmup_steps: u64,
}

impl Default for Median {
    fn default() -> Self {
        Self { quantile: 0.5, startup_trials: 5, warmup_steps: 0 }
    }
}

impl Pruner for Median {
    fn decide(&self, history: History<'_>, directions: &[Direction], trial: &Trial) -> Decision {
        let Some(last) = trial.reports.last() else { return Decision::go_on("nothing is reported yet") };
        if last.step < self.warmup_steps {
            return Decision::go_on(format!("before step {}", self.warmup_steps));
        }
        let Some(own) = best_until(directions, trial, last.step) else {
            return Decision::prune("a report is not finite");
        };
        let others = comparable(history).filter(|other| other.number != trial.number);
        let others = others.filter(|other| other.reports.last().is_some_and(|report| report.step >= last.step));
        let others: Vec<Vec<f64>> = others.filter_map(|other| best_until(directions, other, last.step)).collect();
        if others.len() < self.startup_trials.max(1) {
            return Decision::go_on(format!("{} others came to step {}", others.len(), last.step));
        }
        let limits: Vec<f64> = (0..directions.len())
            .map(|metric| {
                let mut column: Vec<f64> = others.iter().map(|row| row[metric]).collect();
                column.sort_by(f64::total_cmp);
                quantile(&column, self.quantile)
            })
            .collect();
        let (worse, count) = (own.iter().zip(&limits).all(|(own, limit)| own > limit), others.len());
        let percent = self.quantile * 100.0;
        if worse {
            Decision::prune(format!("worse than {percent} % of {count} others at step {} in every metric", last.step))
        } else {
            Decision::go_on(format!(
                "among the better {percent} % of {count} others at step {} in some metric",
                last.step
            ))
        }
    }
}

/// The best of each metric in the reports up to a step; `None` when there is none or one is not finite.
fn best_until(directions: &[Direction], trial: &Trial, step: u64) -> Option<Vec<f64>> {
    let reports = trial.reports.iter().filter(|report| report.step <= step);
    reports.map(|report| losses(directions, report)).reduce(|best, next| {
        let (best, next) = (best?, next?);
        Some(best.iter().zip(next).map(|(best, next)| best.min(next)).collect())
    })?
}
