//! Wilcoxon's signed-rank test over the folds (Wilcoxon 1945): ends a trial that is worse than the best one on the same folds by more than chance.

use serde::{Deserialize, Serialize};

use super::{Decision, Pruner};
use crate::history::{Direction, History, Report, Trial};
use crate::normal;

/// For trials whose steps are folds or data sets: step `i` of one trial is compared with step `i` of the best. It looks at the first metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wilcoxon {
    /// A one-sided probability below this ends a trial.
    pub threshold: f64,
    /// Steps that both must have.
    pub startup_steps: usize,
}

impl Default for Wilcoxon {
    fn default() -> Self {
        Self { threshold: 0.1, startup_steps: 2 }
    }
}

impl Pruner for Wilcoxon {
    fn decide(&self, history: History<'_>, directions: &[Direction], trial: &Trial) -> Decision {
        let Some(direction) = directions.first() else { return Decision::go_on("nothing is reported yet") };
        let Some(best) = history.best().filter(|best| best.number != trial.number) else {
            return Decision::go_on("no other trial is complete");
        };
        let loss = |report: &Report| report.values.first().map(|value| direction.loss(*value));
        let pairs: Vec<(f64, f64)> = trial
            .reports
            .iter()
            .filter_map(|own| {
                let other = best.reports.iter().find(|other| other.step == own.step)?;
                Some((loss(own)?, loss(other)?))
            })
            .collect();
        if pairs.iter().any(|(own, _)| !own.is_finite()) {
            return Decision::prune("a report is not finite");
        }
        if pairs.len() < self.startup_steps.max(1) {
            return Decision::go_on(format!("{} steps in common with trial {}", pairs.len(), best.number));
        }
        let differences: Vec<f64> = pairs.iter().map(|(own, other)| own - other).collect();
        let p = worse(&differences);
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let text = format!("p = {p:.4} for being worse than trial {} on {} steps", best.number, pairs.len());
        // A trial that is better on average is not ended, whatever the ranks say.
        if p < self.threshold && mean > 0.0 { Decision::prune(text) } else { Decision::go_on(text) }
    }
}

/// One-sided probability of differences as large as these when there is none; exact up to 25 without ties, else by the normal approximation
/// with ties and continuity corrected. Zeros are left out.
pub(super) fn worse(differences: &[f64]) -> f64 {
    let mut sizes: Vec<(f64, bool)> =
        differences.iter().filter(|it| **it != 0.0).map(|it| (it.abs(), *it > 0.0)).collect();
    let n = sizes.len();
    if n == 0 {
        return 1.0;
    }
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut sum, mut ties, mut from) = (0.0, 0.0, 0);
    for equals in sizes.chunk_by(|a, b| a.0 == b.0) {
        let count = equals.len() as f64;
        let rank = from as f64 + (count + 1.0) / 2.0;
        sum += rank * equals.iter().filter(|it| it.1).count() as f64;
        ties += count.powi(3) - count;
        from += equals.len();
    }
    if n <= 25 && ties == 0.0 {
        return exact(n, sum as usize);
    }
    let n = n as f64;
    let mean = n * (n + 1.0) / 4.0;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (sum - mean - 0.5) / variance.sqrt();
    normal::cumulative(-z)
}

/// The share of all sign patterns whose positive ranks add up to `sum` or more.
fn exact(n: usize, sum: usize) -> f64 {
    let most = n * (n + 1) / 2;
    let mut ways = vec![0.0; most + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for at in (rank..=most).rev() {
            ways[at] += ways[at - rank];
        }
    }
    ways[sum.min(most)..].iter().sum::<f64>() / 2f64.powi(n as i32)
}
