//! The median rule (Golovin et al. 2017, "Google Vizier"), for any number of metrics.

use serde::{Deserialize, Serialize};

use super::{Decision, Pruner, comparable, losses, quantile};
use crate::history::{Direction, History, Trial};
use crate::pareto::ranks;

/// Ends a trial that is worse than the given share of the others: its best so far against theirs at the same step. With several metrics it
/// is worse by the fronts of non-dominated trials, so one that no other dominates goes on (docs/adr/0009-median-by-fronts.md).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Median {
    /// The share of the others that must be better: 0.5 for the median.
    pub quantile: f64,
    /// Trials that must have come to the step.
    pub startup_trials: usize,
    /// Steps before which nothing is ended.
    pub warmup_steps: u64,
    /// Ends only what is worse in each metric by itself, so what is good at anything goes on; for several metrics.
    pub every_metric: bool,
}

impl Default for Median {
    fn default() -> Self {
        Self { quantile: 0.5, startup_trials: 5, warmup_steps: 0, every_metric: false }
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
        let mut rows: Vec<Vec<f64>> = others.filter_map(|other| best_until(directions, other, last.step)).collect();
        let count = rows.len();
        if count < self.startup_trials.max(1) {
            let text = format!("{count} others that keep the constraints came to step {}", last.step);
            return Decision::go_on(text);
        }
        rows.push(own);
        let by_fronts = directions.len() > 1 && !self.every_metric;
        if by_fronts {
            rows = ranks(&rows).into_iter().map(|rank| vec![f64::from(rank)]).collect();
        }
        let (others, own) = rows.split_at(count);
        let worse = own[0].iter().enumerate().all(|(at, own)| {
            let mut column: Vec<f64> = others.iter().map(|row| row[at]).collect();
            column.sort_by(f64::total_cmp);
            *own > quantile(&column, self.quantile)
        });
        let place = if worse { "worse than" } else { "among the better" };
        let by = match directions.len() {
            1 => "",
            _ if by_fronts => ", by fronts",
            _ if worse => " in every metric",
            _ => " in some metric",
        };
        let text = format!("{place} {} % of {count} others at step {}{by}", self.quantile * 100.0, last.step);
        if worse { Decision::prune(text) } else { Decision::go_on(text) }
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
