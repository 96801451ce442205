//! Bayesian optimisation with Gaussian processes (Jones et al. 1998): the next point has the largest expected improvement over the
//! best trial, under constraints weighted by the chance that they are kept (Gardner et al. 2014). Several objectives become one, with other
//! weights for each suggestion (ParEGO, Knowles 2006).
//!
//! It needs fewer trials than Parzen estimators and milliseconds to suggest where those need microseconds; of long studies only some trials are modelled.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use tenor_domain::Error;
use tenor_features::random::Random;

use super::Sampler;
use super::regression::{Inputs, Regression};
use crate::history::{History, Trial, TrialState, random_of};
use crate::normal;
use crate::space::{Axis, AxisKind, Point, Space};

/// The sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct Gp {
    /// Trials that are drawn at random before any is modelled.
    pub startup_trials: usize,
    /// Most trials that are modelled: the best half, and the newest of the rest.
    pub max_modelled: usize,
    /// Points of the space that are looked at before the search around the best of them.
    pub candidates: usize,
}

impl Default for Gp {
    fn default() -> Self {
        Self { startup_trials: 10, max_modelled: 150, candidates: 512 }
    }
}

impl Sampler for Gp {
    fn suggest(&self, space: &Space, history: History<'_>, study_seed: u64, number: u64) -> Result<Point, Error> {
        let mut random = random_of(study_seed, number);
        let ended = history.trials.iter().filter(|trial| trial.state != TrialState::Running).count();
        let known = Known::of(history, self.max_modelled, &mut random);
        if ended < self.startup_trials.max(1) || known.losses.is_empty() {
            return Ok(space.random(&mut random));
        }
        let acquisition = Acquisition::of(space, history, &known);
        Ok(self.search(space, history, &known, &acquisition, &mut random))
    }
}

impl Gp {
    /// The best of many points, then of their neighbours, ever closer ones (a hill climb from several starts).
    fn search(
        &self,
        space: &Space,
        history: History<'_>,
        known: &Known<'_>,
        acquisition: &Acquisition,
        random: &mut Random,
    ) -> Point {
        const STARTS: usize = 5;
        const ROUNDS: i32 = 8;
        const NEIGHBOURS: usize = 8;
        let valued = |point: Point| (acquisition.value(&point), point);
        // What is known, or runs, is not tried again where there is anything else.
        let tried: HashSet<Vec<Option<u64>>> = history.trials.iter().map(|trial| key(&trial.point)).collect();
        let mut drawn: Vec<(f64, Point)> = Vec::new();
        drawn.extend((0..self.candidates.max(1)).map(|_| valued(space.random(random))));
        for (place, trial) in known.feasible.iter().take(STARTS).enumerate() {
            for at in 0..40 {
                let width = [0.3, 0.1, 0.03, 0.01][(place + at) % 4];
                drawn.push(valued(neighbour(space, &trial.point, width, random)));
            }
        }
        drawn.sort_by(|a, b| b.0.total_cmp(&a.0));
        let last_resort = drawn[0].1.clone();
        drawn.retain(|(_, point)| !tried.contains(&key(point)));
        drawn.truncate(STARTS);
        for round in 0..ROUNDS {
            for best in &mut drawn {
                for _ in 0..NEIGHBOURS {
                    let next = valued(neighbour(space, &best.1, 0.2 * 0.5f64.powi(round), random));
                    if next.0 > best.0 && !tried.contains(&key(&next.1)) {
                        *best = next;
                    }
                }
            }
        }
        let best = drawn.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or(last_resort, |(_, point)| point)
    }
}

fn key(point: &Point) -> Vec<Option<u64>> {
    point.0.iter().map(|at| at.map(f64::to_bits)).collect()
}

/// A point close to another: some of the numbers moved, hardly a choice.
fn neighbour(space: &Space, of: &Point, width: f64, random: &mut Random) -> Point {
    let existing = of.0.iter().flatten().count().max(1) as f64;
    space.build(|at, axis| match (of.coordinate(at), &axis.kind) {
        (None, kind) => kind.random(random),
        (Some(choice), AxisKind::Choices { .. }) => {
            if random.unit() < 0.25 / existing.sqrt() {
                axis.kind.random(random)
            } else {
                choice
            }
        }
        (Some(at), _) if random.unit() < 0.3 => at,
        // The ends of a range are as good as other places, and more often the best.
        (Some(at), kind) => (at + width.max(cell_width(kind)) * normal::draw(random)).clamp(0.0, 1.0),
    })
}

fn cell_width(kind: &AxisKind) -> f64 {
    match kind {
        AxisKind::Cells { edges } => 0.5 / (edges.len() - 1) as f64,
        _ => 0.0,
    }
}

/// What is modelled of the trials.
struct Known<'a> {
    /// Losses of complete trials with finite values, and of pruned ones as if a quarter of those were worse.
    losses: Vec<(f64, &'a Trial)>,
    /// The complete ones that keep the constraints, the best first.
    feasible: Vec<&'a Trial>,
    /// Below 0 where a complete trial keeps the constraints, above where it breaks them or failed; empty where none does.
    broken: Vec<(f64, &'a Trial)>,
}

impl<'a> Known<'a> {
    fn of(history: History<'a>, most: usize, random: &mut Random) -> Self {
        let loss = Loss::of(history, random);
        let mut feasible: Vec<(f64, &Trial)> =
            history.feasible().map(|trial| (loss.of_values(&trial.values), trial)).collect();
        feasible.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
        let mut modelled: Vec<&Trial> =
            history.trials.iter().filter(|trial| trial.state != TrialState::Running).collect();
        if modelled.len() > most {
            let best: HashSet<u64> = feasible.iter().take(most / 2).map(|(_, trial)| trial.number).collect();
            let mut room = most - best.len();
            modelled.reverse();
            modelled.retain(|trial| {
                best.contains(&trial.number) || room.checked_sub(1).inspect(|left| room = *left).is_some()
            });
            modelled.reverse();
            feasible.retain(|(_, trial)| modelled.binary_search_by_key(&trial.number, |it| it.number).is_ok());
        }
        let losses = modelled.iter().filter_map(|trial| Some((loss.of_trial(trial)?, *trial)));
        Self {
            losses: losses.collect(),
            broken: broken(&modelled),
            feasible: feasible.into_iter().map(|(_, trial)| trial).collect(),
        }
    }
}

/// From 0 to 1 by how much the constraints are broken beside other trials, 1 for a trial that failed or has no finite value, -1 for a sound one.
fn broken<'a>(trials: &[&'a Trial]) -> Vec<(f64, &'a Trial)> {
    let mut violations: Vec<f64> =
        trials.iter().map(|trial| trial.violation).filter(|it| *it > 0.0 && it.is_finite()).collect();
    violations.sort_by(f64::total_cmp);
    let median = violations.get(violations.len() / 2).copied().unwrap_or(1.0);
    let broken = trials.iter().filter_map(|trial| match trial.state {
        TrialState::Running | TrialState::Pruned => None,
        TrialState::Complete if is_sound(trial) && trial.violation <= 0.0 => Some((-1.0, *trial)),
        TrialState::Complete if is_sound(trial) && trial.violation.is_finite() => {
            Some((trial.violation / (trial.violation + median), *trial))
        }
        TrialState::Complete | TrialState::Failed => Some((1.0, *trial)),
    });
    let broken: Vec<(f64, &Trial)> = broken.collect();
    if broken.iter().any(|(by, _)| *by > 0.0) { broken } else { Vec::new() }
}

fn is_sound(trial: &Trial) -> bool {
    trial.values.iter().all(|value| value.is_finite())
}

/// One number of the values of a trial, smaller is better.
struct Loss<'a> {
    history: History<'a>,
    /// Of the objectives; they add up to 1.
    weights: Vec<f64>,
    spreads: Vec<Spread>,
}

/// Losses of complete trials by one objective.
struct Spread {
    lowest: f64,
    upper_quartile: f64,
    /// What is above counts as this.
    highest: f64,
}

/// A value that is far out must not make all others look alike: none counts as more than this many times as far above the median as
/// the best lies below it.
const FARTHEST: f64 = 3.0;

impl Spread {
    fn of(losses: impl Iterator<Item = f64>) -> Self {
        let mut losses: Vec<f64> = losses.collect();
        losses.sort_by(f64::total_cmp);
        let at = |share: f64| losses.get((losses.len() as f64 * share) as usize).or(losses.last()).copied();
        let [lowest, median, upper_quartile, highest] = [0.0, 0.5, 0.75, 1.0].map(|share| at(share).unwrap_or(0.0));
        let limit = if median > lowest { median + FARTHEST * (median - lowest) } else { highest };
        Self { lowest, upper_quartile, highest: highest.min(limit) }
    }
}

impl<'a> Loss<'a> {
    fn of(history: History<'a>, random: &mut Random) -> Self {
        let sound = || history.trials.iter().filter(|trial| trial.state == TrialState::Complete && is_sound(trial));
        let directions = history.directions.iter().enumerate();
        let spreads =
            directions.map(|(at, direction)| Spread::of(sound().map(|trial| direction.loss(trial.values[at]))));
        // Evenly over all weights that add up to 1.
        let mut weights: Vec<f64> = history.directions.iter().map(|_| -(1.0 - random.unit()).ln()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum.max(f64::MIN_POSITIVE));
        Self { history, weights, spreads: spreads.collect() }
    }

    fn of_trial(&self, trial: &Trial) -> Option<f64> {
        match trial.state {
            TrialState::Complete if is_sound(trial) => Some(self.of_values(&trial.values)),
            // It was ended for being bad, so it is taken for one of the worse. What it reported may be another metric.
            TrialState::Pruned => Some(self.of_losses(self.spreads.iter().map(|spread| spread.upper_quartile))),
            _ => None,
        }
    }

    fn of_values(&self, values: &[f64]) -> f64 {
        self.of_losses(self.history.directions.iter().zip(values).map(|(direction, value)| direction.loss(*value)))
    }

    /// The augmented Chebyshev norm of the losses as shares of their range.
    fn of_losses(&self, losses: impl Iterator<Item = f64>) -> f64 {
        let mut losses = losses.zip(&self.spreads).map(|(loss, spread)| (loss.min(spread.highest), spread));
        if self.weights.len() == 1 {
            return losses.next().map_or(f64::INFINITY, |(loss, _)| loss);
        }
        let shares = losses.zip(&self.weights).map(|((loss, spread), weight)| {
            weight * (loss - spread.lowest) / (spread.highest - spread.lowest).max(f64::MIN_POSITIVE)
        });
        let (largest, sum) =
            shares.fold((f64::NEG_INFINITY, 0.0), |(most, sum), share| (f64::max(most, share), sum + share));
        largest + 0.05 * sum
    }
}

/// How much is hoped for at a point.
struct Acquisition {
    encoding: Encoding,
    loss: Regression,
    /// The lowest mean at a trial that keeps the constraints, or that runs and is likely to.
    best: Option<f64>,
    /// How far the constraints are broken.
    broken: Option<Regression>,
}

impl Acquisition {
    fn of(space: &Space, history: History<'_>, known: &Known<'_>) -> Self {
        let encoding = Encoding::of(space);
        let mut loss = encoding.regression(&known.losses);
        let mut broken = (!known.broken.is_empty()).then(|| encoding.regression(&known.broken));
        let mean = |trial: &&Trial| loss.predict(&encoding.row(&trial.point)).0;
        let mut best = known.feasible.iter().map(mean).reduce(f64::min);
        // Those that run: another suggestion should lie elsewhere, and hope for more.
        for trial in history.trials.iter().filter(|trial| trial.state == TrialState::Running) {
            let row = encoding.row(&trial.point);
            if broken.as_ref().is_none_or(|broken| broken.predict(&row).0 < 0.0) {
                best = best.map(|best| best.min(loss.predict(&row).0));
            }
            loss.believe(&row);
            if let Some(broken) = &mut broken {
                broken.believe(&row);
            }
        }
        Self { encoding, loss, best, broken }
    }

    /// A logarithm.
    fn value(&self, point: &Point) -> f64 {
        let row = self.encoding.row(point);
        let improvement = self.best.map_or(0.0, |best| {
            let (mean, deviation) = self.loss.predict(&row);
            log_expected_improvement(best - mean, deviation)
        });
        let kept = self.broken.as_ref().map_or(0.0, |broken| {
            let (mean, deviation) = broken.predict(&row);
            normal::cumulative(-mean / deviation).max(f64::MIN_POSITIVE).ln()
        });
        improvement + kept
    }
}

/// The logarithm of what is gained on average, where a gain is normal with this mean and deviation and a loss counts as 0; also where the gain
/// itself is too small for a double (Ament et al. 2023).
fn log_expected_improvement(mean: f64, deviation: f64) -> f64 {
    let at = mean / deviation;
    let log_density = -0.5 * at * at - 0.5 * std::f64::consts::TAU.ln();
    let log_of_standard = if at > -25.0 {
        (log_density.exp() + at * normal::cumulative(at)).ln()
    } else {
        let inverse = 1.0 / (at * at);
        log_density + (inverse * (1.0 - 3.0 * inverse + 15.0 * inverse * inverse)).ln()
    };
    deviation.ln() + log_of_standard
}

/// Points as rows of numbers: one column a number, at the middle where the parameter does not exist; one column a choice.
struct Encoding {
    /// By parameter; 1 for numbers.
    columns: Vec<usize>,
    is_choice: Vec<bool>,
}

impl Encoding {
    fn of(space: &Space) -> Self {
        let count = |axis: &Axis| match axis.kind {
            AxisKind::Choices { count } => (count, true),
            _ => (1, false),
        };
        let (columns, is_choice) = space.axes().iter().map(count).unzip();
        Self { columns, is_choice }
    }

    fn row(&self, point: &Point) -> Vec<f64> {
        let mut row = Vec::with_capacity(self.columns.iter().sum());
        for (param, (columns, is_choice)) in self.columns.iter().zip(&self.is_choice).enumerate() {
            let at = point.coordinate(param);
            if *is_choice {
                let from = row.len();
                row.resize(from + columns, 0.0);
                if let Some(choice) = at {
                    // Two choices are as far from one another as the ends of a range.
                    row[from + choice as usize] = std::f64::consts::FRAC_1_SQRT_2;
                }
            } else {
                row.push(at.unwrap_or(0.5));
            }
        }
        row
    }

    fn regression(&self, known: &[(f64, &Trial)]) -> Regression {
        let params = self.columns.iter().enumerate();
        let mut inputs =
            Inputs::new(params.flat_map(|(param, columns)| std::iter::repeat_n(param, *columns)).collect());
        known.iter().for_each(|(_, trial)| inputs.push(&self.row(&trial.point)));
        let targets: Vec<f64> = known.iter().map(|(target, _)| *target).collect();
        Regression::fit(&inputs, &targets)
    }
}
