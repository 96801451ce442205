//! Which trial wins, and why.

use serde::{Deserialize, Serialize};
use tenor_domain::Error;

use crate::history::{History, Trial};

/// How one trial is chosen from those that are complete and keep the constraints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Policy {
    /// The best by one objective; the others decide between equals, in their order. With a tolerance, trials within it of the best
    /// count as equal to it.
    Lexicographic {
        /// Indexes of the objectives, the most important first; those that are not named come after them.
        #[serde(default)]
        order: Vec<usize>,
        /// One an objective of `order`, in its unit; missing ones are 0.
        #[serde(default)]
        tolerances: Vec<f64>,
    },
    /// The trial of the Pareto front that is farthest below the line (plane) through the front's ends, relative to its ranges: more
    /// of one objective costs most of another there.
    Knee,
    /// Of the trials within one standard error of the best by the first objective, the one with the lowest second objective
    /// (Breiman et al. 1984, the one-standard-error rule; with latency second: the fastest that is as good).
    OneStandardError {
        /// Of the first objective, by trial number; what is missing counts as 0.
        #[serde(default)]
        errors: std::collections::BTreeMap<u64, f64>,
    },
}

/// The trial that won.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    pub number: u64,
    /// For people.
    pub reason: String,
}

impl Policy {
    /// The winner; `names` of the objectives are for its reason.
    ///
    /// # Errors
    /// `NO_FEASIBLE_TRIAL` when nothing can be chosen; a wrong index or tolerance.
    pub fn select(&self, history: History<'_>, names: &[&str]) -> Result<Selected, Error> {
        let trials: Vec<&Trial> = history.feasible().collect();
        if trials.is_empty() {
            let text = "no trial is complete and keeps the constraints; run more trials, or loosen them";
            return Err(Error::precondition("NO_FEASIBLE_TRIAL", text));
        }
        let losses: Vec<Vec<f64>> = trials.iter().map(|trial| history.losses(trial)).collect();
        match self {
            Self::Lexicographic { order, tolerances } => {
                lexicographic(history, names, &trials, &losses, (order, tolerances))
            }
            Self::Knee => knee(history, names, &trials, &losses),
            Self::OneStandardError { errors } => one_standard_error(names, &trials, &losses, errors),
        }
    }
}

fn name<'a>(names: &[&'a str], objective: usize) -> &'a str {
    names.get(objective).copied().unwrap_or("an objective")
}

fn shown(names: &[&str], trial: &Trial) -> String {
    let value = |(at, value): (usize, &f64)| format!("{} {value:.6}", name(names, at));
    let values: Vec<String> = trial.values.iter().enumerate().map(value).collect();
    format!("trial {} ({})", trial.number, values.join(", "))
}

fn lexicographic(
    history: History<'_>,
    names: &[&str],
    trials: &[&Trial],
    losses: &[Vec<f64>],
    (order, tolerances): (&[usize], &[f64]),
) -> Result<Selected, Error> {
    let objectives = history.directions.len();
    if let Some(wrong) = order.iter().find(|at| **at >= objectives) {
        return Err(Error::invalid("policy.order", format!("must name objectives below {objectives}, got {wrong}")));
    }
    if tolerances.len() > order.len() || !tolerances.iter().all(|it| it.is_finite() && *it >= 0.0) {
        return Err(Error::invalid(
            "policy.tolerances",
            "must be at most one for each objective of `order`, and 0 or more",
        ));
    }
    let all = order.iter().copied().chain((0..objectives).filter(|at| !order.contains(at)));
    let mut left: Vec<usize> = (0..trials.len()).collect();
    let mut steps = Vec::new();
    for (place, objective) in all.enumerate() {
        let best = left.iter().map(|at| losses[*at][objective]).fold(f64::INFINITY, f64::min);
        let tolerance = tolerances.get(place).copied().unwrap_or(0.0);
        left.retain(|at| losses[*at][objective] <= best + tolerance);
        let how = if tolerance > 0.0 { format!("within {tolerance} of the best") } else { "best".to_owned() };
        steps.push(format!("{} {how} by {}", left.len(), name(names, objective)));
        if left.len() == 1 {
            break;
        }
    }
    let winner = trials[left[0]];
    let reason = format!("{}: of {} trials {}", shown(names, winner), trials.len(), steps.join(", then "));
    Ok(Selected { number: winner.number, reason })
}

fn knee(history: History<'_>, names: &[&str], trials: &[&Trial], losses: &[Vec<f64>]) -> Result<Selected, Error> {
    let front = crate::pareto::front(losses);
    let objectives = history.directions.len();
    let range = |objective: usize| {
        let values = front.iter().map(|at| losses[*at][objective]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)))
    };
    let ranges: Vec<(f64, f64)> = (0..objectives).map(range).collect();
    // In relative numbers the ends are at 1; the plane through them is where they add up to 1.
    let relative = |at: usize| -> f64 {
        let of = |objective: usize| {
            let (low, high) = ranges[objective];
            if high > low { (losses[at][objective] - low) / (high - low) } else { 0.0 }
        };
        (0..objectives).map(of).sum()
    };
    let mut order = front.clone();
    order.sort_by(|a, b| relative(*a).total_cmp(&relative(*b)).then(trials[*a].number.cmp(&trials[*b].number)));
    let winner = trials[order[0]];
    let below = 1.0 - relative(order[0]);
    if front.len() > 1 && below <= 1e-9 {
        let mut selected = lexicographic(history, names, trials, losses, (&[], &[]))?;
        selected.reason = format!("{}; the front of {} has no knee: it bends nowhere", selected.reason, front.len());
        return Ok(selected);
    }
    let reason = match front.len() {
        1 => format!("{}: the only one on the front", shown(names, winner)),
        count => {
            let text = "of the way from the worst to the best below the straight line between its ends";
            format!("{}: the knee of a front of {count}, {below:.3} {text}", shown(names, winner))
        }
    };
    Ok(Selected { number: winner.number, reason })
}

fn one_standard_error(
    names: &[&str],
    trials: &[&Trial],
    losses: &[Vec<f64>],
    errors: &std::collections::BTreeMap<u64, f64>,
) -> Result<Selected, Error> {
    if let Some((trial, _)) = errors.iter().find(|(_, error)| !(error.is_finite() && **error >= 0.0)) {
        return Err(Error::invalid("policy.errors", format!("must be 0 or more, that of trial {trial} is not")));
    }
    let by = |objective: usize| {
        move |a: &usize, b: &usize| {
            let key = |at: usize| losses[at].get(objective).copied().unwrap_or(0.0);
            key(*a).total_cmp(&key(*b)).then(trials[*a].number.cmp(&trials[*b].number))
        }
    };
    let mut order: Vec<usize> = (0..trials.len()).collect();
    order.sort_by(by(0));
    let best = order[0];
    let error = errors.get(&trials[best].number).copied().unwrap_or(0.0);
    let limit = losses[best][0] + error;
    let mut good: Vec<usize> = order.into_iter().filter(|at| losses[*at][0] <= limit).collect();
    // Without a second objective the best wins.
    good.sort_by(by(if losses[best].len() > 1 { 1 } else { 0 }));
    let winner = trials[good[0]];
    let reason = format!(
        "{}: the best by {} of {} trials within one standard error ({error:.6}) of {}",
        shown(names, winner),
        name(names, usize::from(losses[best].len() > 1)),
        good.len(),
        shown(names, trials[best])
    );
    Ok(Selected { number: winner.number, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Direction, TrialState};
    use crate::space::Point;

    fn trials(values: &[&[f64]]) -> Vec<Trial> {
        let trial = |(number, values): (usize, &&[f64])| Trial {
            number: number as u64,
            state: TrialState::Complete,
            point: Point::default(),
            values: values.to_vec(),
            violation: 0.0,
            reports: Vec::new(),
        };
        values.iter().enumerate().map(trial).collect()
    }

    fn selected(policy: &Policy, directions: &[Direction], trials: &[Trial]) -> u64 {
        let found = policy.select(History { directions, trials }, &["quality", "time"]).unwrap();
        assert!(found.reason.contains(&format!("trial {}", found.number)), "{}", found.reason);
        found.number
    }

    const QUALITY_AND_TIME: [Direction; 2] = [Direction::Maximize, Direction::Minimize];

    #[test]
    fn the_most_important_objective_decides_and_the_others_between_equals() {
        let all = trials(&[&[0.9, 5.0], &[0.91, 9.0], &[0.91, 8.0], &[0.5, 1.0]]);
        let by = |order: &[usize], tolerances: &[f64]| Policy::Lexicographic {
            order: order.to_vec(),
            tolerances: tolerances.to_vec(),
        };
        assert_eq!(selected(&by(&[], &[]), &QUALITY_AND_TIME, &all), 2);
        assert_eq!(selected(&by(&[0], &[0.02]), &QUALITY_AND_TIME, &all), 0);
        assert_eq!(selected(&by(&[1], &[]), &QUALITY_AND_TIME, &all), 3);
        let history = History { directions: &QUALITY_AND_TIME, trials: &all };
        assert_eq!(by(&[2], &[]).select(history, &[]).unwrap_err().violations[0].field, "policy.order");
        assert_eq!(by(&[0], &[-1.0]).select(history, &[]).unwrap_err().violations[0].field, "policy.tolerances");
    }

    #[test]
    fn the_knee_is_where_the_front_bends() {
        let all = trials(&[&[1.0, 10.0], &[0.98, 2.0], &[0.5, 1.0], &[0.4, 9.0]]);
        assert_eq!(selected(&Policy::Knee, &QUALITY_AND_TIME, &all), 1);
        assert_eq!(selected(&Policy::Knee, &QUALITY_AND_TIME, &all[..1]), 0);
        // No bend: what costs most of the one gains most of the other.
        let straight = trials(&[&[0.5, 1.0], &[1.0, 10.0], &[0.6, 4.0]]);
        assert_eq!(selected(&Policy::Knee, &QUALITY_AND_TIME, &straight), 1);
    }

    #[test]
    fn the_fastest_within_an_error_of_the_best_wins() {
        let all = trials(&[&[0.90, 9.0], &[0.895, 3.0], &[0.88, 1.0]]);
        let policy = |error: f64| Policy::OneStandardError { errors: [(0, error)].into() };
        assert_eq!(selected(&policy(0.0), &QUALITY_AND_TIME, &all), 0);
        assert_eq!(selected(&policy(0.006), &QUALITY_AND_TIME, &all), 1);
        assert_eq!(selected(&policy(0.1), &QUALITY_AND_TIME, &all), 2);
    }

    #[test]
    fn nothing_infeasible_wins() {
        let mut all = trials(&[&[0.9, 1.0]]);
        all[0].violation = 1.0;
        let history = History { directions: &QUALITY_AND_TIME, trials: &all };
        assert_eq!(Policy::Knee.select(history, &[]).unwrap_err().reason, "NO_FEASIBLE_TRIAL");
    }
}
