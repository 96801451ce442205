//! Which parameters matter: PED-ANOVA (Watanabe, Bansal, Hutter 2023, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
//! subspaces").

use tenor_domain::Error;

use crate::history::{History, Trial};
use crate::normal;
use crate::pareto::ranks;
use crate::space::{AxisKind, Space};

/// Share of the trials that count as good.
const GOOD: f64 = 0.1;
/// Cells that a numeric range is cut into.
const CELLS: usize = 50;

/// A parameter and its share of what decides between good and not.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Importance {
    pub name: String,
    /// 0 to 1; all of a space add up to 1, unless all are 0.
    pub share: f64,
    /// Trials that have the parameter.
    pub trials: u64,
}

/// Compares, for each parameter, how its values are spread among the best tenth of the feasible trials and among all of them: Pearson's
/// divergence of the first from the second, for trials that have the parameter, times their share. `objective` is the index of one, or
/// `None` for the rank of the front that a trial is on.
///
/// # Errors
/// Fewer than ten feasible trials, or an unknown objective.
pub fn importance(space: &Space, history: History<'_>, objective: Option<usize>) -> Result<Vec<Importance>, Error> {
    const LEAST: usize = 10;
    let trials: Vec<&Trial> = history.feasible().collect();
    if trials.len() < LEAST {
        let text =
            format!("importance needs {LEAST} complete trials that keep the constraints, there are {}", trials.len());
        return Err(Error::precondition("TOO_FEW_TRIALS", text));
    }
    let losses: Vec<f64> = match objective {
        Some(at) => {
            let directions = history.directions;
            let direction = directions
                .get(at)
                .ok_or_else(|| Error::invalid("objective", format!("must be below {}, got {at}", directions.len())))?;
            trials.iter().map(|trial| direction.loss(trial.values[at])).collect()
        }
        None => {
            let rows: Vec<Vec<f64>> = trials.iter().map(|trial| history.losses(trial)).collect();
            ranks(&rows).into_iter().map(f64::from).collect()
        }
    };
    let mut order: Vec<usize> = (0..trials.len()).collect();
    order.sort_by(|a, b| losses[*a].total_cmp(&losses[*b]).then(a.cmp(b)));
    let good = ((trials.len() as f64 * GOOD).ceil() as usize).max(2);
    // All that are as good as the last of the good are good.
    let limit = losses[order[good - 1]];
    let is_good: Vec<bool> = losses.iter().map(|loss| *loss <= limit).collect();
    let mut shares: Vec<Importance> = space
        .params()
        .iter()
        .enumerate()
        .map(|(at, param)| {
            let having: Vec<(f64, bool)> = trials
                .iter()
                .zip(&is_good)
                .filter_map(|(trial, good)| Some((trial.point.coordinate(at)?, *good)))
                .collect();
            let weight = having.len() as f64 / trials.len() as f64;
            let divergence = divergence(&space.axes()[at].kind, &having);
            Importance { name: param.name.clone(), share: divergence * weight, trials: having.len() as u64 }
        })
        .collect();
    let sum: f64 = shares.iter().map(|it| it.share).sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|it| it.share /= sum);
    }
    Ok(shares)
}

/// `sum of p_all (p_good / p_all - 1)^2` over the cells of an axis.
fn divergence(kind: &AxisKind, rows: &[(f64, bool)]) -> f64 {
    let good: Vec<f64> = rows.iter().filter(|row| row.1).map(|row| row.0).collect();
    if good.len() < 2 || good.len() == rows.len() {
        return 0.0;
    }
    let all: Vec<f64> = rows.iter().map(|row| row.0).collect();
    let (of_good, of_all) = (spread(kind, &good), spread(kind, &all));
    of_good.iter().zip(&of_all).map(|(good, all)| if *all > 0.0 { all * (good / all - 1.0).powi(2) } else { 0.0 }).sum()
}

/// The share of each cell: for choices counted, with one more for evenness; for numbers smoothed by kernels as wide as Scott's rule says.
fn spread(kind: &AxisKind, values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    if let AxisKind::Choices { count } = kind {
        let mut counts = vec![1.0 / *count as f64; *count];
        values.iter().for_each(|value| counts[(*value as usize).min(count - 1)] += 1.0);
        return counts.into_iter().map(|it| it / (n + 1.0)).collect();
    }
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    let width = (1.06 * deviation * n.powf(-0.2)).max(0.5 / CELLS as f64);
    let below = |value: f64, at: f64| normal::cumulative((at - value) / width);
    let cells: Vec<f64> = (0..CELLS)
        .map(|cell| {
            let (from, to) = (cell as f64 / CELLS as f64, (cell + 1) as f64 / CELLS as f64);
            let of_value = |value: &f64| {
                let inside = below(*value, 1.0) - below(*value, 0.0);
                (below(*value, to) - below(*value, from)) / inside
            };
            // A little evenness, or an empty cell of all would weigh without bound.
            (values.iter().map(of_value).sum::<f64>() + 1.0 / CELLS as f64) / (n + 1.0)
        })
        .collect();
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Direction, TrialState, random_of};
    use crate::space::{Domain, Param};

    #[test]
    fn a_planted_order_is_found() {
        let float = |name: &str| Param {
            name: name.to_owned(),
            domain: Domain::Float { low: -1.0, high: 1.0, log: false, step: None },
            when: None,
        };
        let choices = ["a", "b", "c"].map(|it| tenor_domain::ParamValue::Text(it.to_owned())).to_vec();
        let switch = Param { name: "switch".to_owned(), domain: Domain::Categorical { choices }, when: None };
        let space = Space::new(vec![float("much"), float("some"), float("none"), switch]).unwrap();
        for seed in 0..5 {
            let trials: Vec<Trial> = (0..500)
                .map(|number| {
                    let point = space.random(&mut random_of(seed, number));
                    let at = |axis: usize| 2.0 * point.coordinate(axis).unwrap() - 1.0;
                    let value = 4.0 * at(0).powi(2) + 1.0 * at(1).powi(2) + 0.05 * point.coordinate(3).unwrap();
                    Trial {
                        number,
                        state: TrialState::Complete,
                        values: vec![value],
                        violation: 0.0,
                        reports: vec![],
                        point,
                    }
                })
                .collect();
            let history = History { directions: &[Direction::Minimize], trials: &trials };
            let found = importance(&space, history, Some(0)).unwrap();
            let share: Vec<f64> = found.iter().map(|it| it.share).collect();
            assert!(share[0] > share[1] && share[1] > share[2].max(share[3]), "{found:?}");
            assert!((share.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            assert_eq!(importance(&space, history, None).unwrap().len(), 4);
            assert!(importance(&space, history, Some(1)).is_err());
            let few = History { trials: &trials[..9], ..history };
            assert_eq!(importance(&space, few, Some(0)).unwrap_err().reason, "TOO_FEW_TRIALS");
        }
    }
}
