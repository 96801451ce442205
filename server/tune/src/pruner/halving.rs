//! Successive halving without waiting (Li et al. 2020, "A system for massively parallel hyperparameter tuning"), for any number of metrics
//! (Schmucker et al. 2021, "Multi-objective asynchronous successive halving"), and Hyperband on top of it.

use serde::{Deserialize, Serialize};

use super::{Decision, Pruner, comparable, losses};
use crate::history::{Direction, History, Trial};
use crate::pareto::ranks;

/// Ends a trial that is not among the best `1 / eta` at a rung. Rungs are the steps `first * eta^k`; a trial stands on a rung with its first
/// report at that step or later. With several metrics trials are ordered by the front they are on, then by how much they spread it
/// (the best in the first metric, then each time the farthest from those taken).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Halving {
    /// The step of the first rung, 1 or more.
    pub first: u64,
    /// Of so many trials one goes on, 2 or more.
    pub eta: u64,
    /// Whether trials that no other dominates always go on; for several metrics.
    pub protect_front: bool,
}

impl Default for Halving {
    fn default() -> Self {
        Self { first: 1, eta: 3, protect_front: true }
    }
}

impl Pruner for Halving {
    fn decide(&self, history: History<'_>, directions: &[Direction], trial: &Trial) -> Decision {
        let (first, eta) = (self.first.max(1), self.eta.max(2));
        let Some(last) = trial.reports.last() else { return Decision::go_on("nothing is reported yet") };
        let Some(rung) = rung_of(first, eta, last.step) else {
            return Decision::go_on(format!("before the first rung, step {first}"));
        };
        // Only the report that reaches a rung is judged there.
        let earlier = trial.reports.len().checked_sub(2).and_then(|at| rung_of(first, eta, trial.reports[at].step));
        if earlier == Some(rung) {
            return Decision::go_on(format!("between rungs, after step {}", first * eta.pow(rung)));
        }
        if losses(directions, last).is_none() {
            return Decision::prune("a report is not finite");
        }
        let at_rung = first.saturating_mul(eta.saturating_pow(rung));
        let next = at_rung.saturating_mul(eta);
        let on_rung = comparable(history).filter(|it| it.number != trial.number).chain([trial]);
        let on_rung: Vec<(u64, Vec<f64>)> = on_rung
            .filter_map(|it| {
                let report = it.reports.iter().find(|report| report.step >= at_rung)?;
                // One that jumped over the rung does not stand on it.
                let stands = report.step < next;
                Some((it.number, losses(directions, report).filter(|_| stands)?))
            })
            .collect();
        let (count, kept) = (on_rung.len(), (on_rung.len() / eta as usize).max(1));
        if count < 2 * eta as usize {
            return Decision::go_on(format!("{count} trials at step {at_rung}"));
        }
        let place = place_of(&on_rung, trial.number);
        let on_front = directions.len() > 1 && place.rank == 0;
        if on_front && self.protect_front {
            return Decision::go_on(format!("on the front of {count} trials at step {at_rung}"));
        }
        let text = format!("place {} of {count} at step {at_rung}, where {kept} go on", place.before + 1);
        if place.before >= kept { Decision::prune(text) } else { Decision::go_on(text) }
    }
}

/// The highest rung that a step reaches.
fn rung_of(first: u64, eta: u64, step: u64) -> Option<u32> {
    let (mut rung, mut at) = (0, first);
    if step < first {
        return None;
    }
    while let Some(next) = at.checked_mul(eta).filter(|next| *next <= step) {
        (rung, at) = (rung + 1, next);
    }
    Some(rung)
}

struct Place {
    rank: u32,
    /// How many are better.
    before: usize,
}

fn place_of(rows: &[(u64, Vec<f64>)], number: u64) -> Place {
    let losses: Vec<Vec<f64>> = rows.iter().map(|(_, row)| row.clone()).collect();
    let ranks = ranks(&losses);
    let own = rows.iter().position(|(other, _)| *other == number).unwrap_or(0);
    let better = ranks.iter().filter(|rank| **rank < ranks[own]).count();
    let mut front: Vec<usize> = (0..rows.len()).filter(|at| ranks[*at] == ranks[own]).collect();
    front.sort_by_key(|at| rows[*at].0);
    let spread = epsilon_net(&losses, &front);
    let within = spread.iter().position(|at| *at == own).unwrap_or(0);
    Place { rank: ranks[own], before: better + within }
}

/// The rows of a front, first the best in the first metric, then each time the one farthest from those taken, distances relative to the range;
/// of equals the first in `front`.
fn epsilon_net(rows: &[Vec<f64>], front: &[usize]) -> Vec<usize> {
    let metrics = front.first().map_or(0, |at| rows[*at].len());
    let range = |metric: usize| {
        let values = front.iter().map(|at| rows[*at][metric]);
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)));
        if high > low { high - low } else { 1.0 }
    };
    let ranges: Vec<f64> = (0..metrics).map(range).collect();
    let distance = |a: usize, b: usize| -> f64 {
        (0..metrics).map(|metric| ((rows[a][metric] - rows[b][metric]) / ranges[metric]).powi(2)).sum()
    };
    let mut left = front.to_vec();
    let mut taken: Vec<usize> = Vec::with_capacity(front.len());
    let Some(first) = (0..left.len()).min_by(|a, b| rows[left[*a]][0].total_cmp(&rows[left[*b]][0])) else {
        return taken;
    };
    taken.push(left.remove(first));
    let mut nearest: Vec<f64> = left.iter().map(|at| distance(*at, taken[0])).collect();
    while !left.is_empty() {
        let farthest =
            (0..left.len()).reduce(|best, at| if nearest[at] > nearest[best] { at } else { best }).unwrap_or(0);
        let at = left.remove(farthest);
        nearest.remove(farthest);
        nearest.iter_mut().zip(&left).for_each(|(nearest, other)| *nearest = nearest.min(distance(*other, at)));
        taken.push(at);
    }
    taken
}

/// Hyperband (Li et al. 2018): each trial belongs to a bracket by its number; brackets begin to halve at later and later rungs, so that slow
/// starters have a chance in some.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hyperband {
    /// The step of the first rung of the first bracket, 1 or more.
    pub first: u64,
    /// Of so many trials one goes on, 2 or more.
    pub eta: u64,
    /// Whether trials that no other dominates always go on; for several metrics.
    pub protect_front: bool,
    /// The last step of a trial; it decides how many brackets there are. There is no default: 0 is one bracket.
    pub last: u64,
}

impl Default for Hyperband {
    fn default() -> Self {
        let Halving { first, eta, protect_front } = Halving::default();
        Self { first, eta, protect_front, last: 0 }
    }
}

impl Hyperband {
    fn brackets(&self) -> u32 {
        rung_of(self.first.max(1), self.eta.max(2), self.last).map_or(1, |rung| rung + 1)
    }

    /// The bracket of a trial. A bracket with more rungs has more trials, as in the paper.
    pub fn bracket_of(&self, number: u64) -> u32 {
        let (brackets, eta) = (self.brackets(), self.eta.max(2) as f64);
        let all = brackets - 1;
        let share = |bracket: u32| {
            let rungs = f64::from(all - bracket);
            (f64::from(brackets) / (rungs + 1.0) * eta.powf(rungs)).ceil()
        };
        let sum: f64 = (0..brackets).map(share).sum();
        let mut left = crate::history::random_of(0x4b, number).unit() * sum;
        for bracket in 0..brackets {
            left -= share(bracket);
            if left < 0.0 {
                return bracket;
            }
        }
        all
    }
}

impl Pruner for Hyperband {
    fn decide(&self, history: History<'_>, directions: &[Direction], trial: &Trial) -> Decision {
        let bracket = self.bracket_of(trial.number);
        let first = self.first.max(1).saturating_mul(self.eta.max(2).saturating_pow(bracket));
        let same: Vec<Trial> =
            history.trials.iter().filter(|other| self.bracket_of(other.number) == bracket).cloned().collect();
        let halving = Halving { first, eta: self.eta, protect_front: self.protect_front };
        let mut decision = halving.decide(History { trials: &same, ..history }, directions, trial);
        decision.reason = format!("bracket {bracket}: {}", decision.reason);
        decision
    }
}
