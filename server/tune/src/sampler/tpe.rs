//! Tree-structured Parzen estimators (Bergstra et al. 2011; multivariate as in Falkner et al. 2018; settings after
//! Watanabe 2023, "Tree-structured Parzen estimator: understanding its algorithm components"; the good trials of
//! several objectives as in Ozaki et al. 2022).
//!
//! The good trials make one density, the others another; of some points drawn from the first, the one is taken where
//! the first is largest beside the second.
//!
//! With several objectives most suggestions draw all parameters together, some each by itself: the first keep what
//! belongs together, the second put together what was found apart. Measured, both find more than either alone.
//!
//! Where parameters depend on others, some suggestions for one objective search a branch by its own trials, whichever branch
//! that is: when the first good trials are of one kind of model, hardly another would be drawn, and none learned. What was
//! measured is in `docs/adr/0006-search-defaults.md`.

use std::ops::Range;

use tenor_domain::Error;
use tenor_features::random::Random;

use super::Sampler;
use super::parzen::{Bandwidth, Parzen};
use crate::history::{History, Trial, TrialState, random_of};
use crate::pareto::{fronts, hypervolume_subset, reference_of};
use crate::space::{Point, Space};

/// Settings of the sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct TpeOptions {
    /// Share of the suggestions that draw all parameters together; the others draw each by itself.
    pub together: f64,
    /// Chance that a parameter of a point drawn together comes from another good trial than the point.
    pub crossing: f64,
    /// Share of the suggestions that look at the trials of one branch only, any branch with the same chance.
    pub by_branch: f64,
    /// Trials that are drawn at random before any is modelled.
    pub startup_trials: usize,
    /// Points that are drawn for each suggestion.
    pub candidates: usize,
    /// Share of the trials that count as good, rounded up.
    pub good_share: f64,
    /// Most trials that count as good.
    pub max_good: usize,
    /// Most other trials that are looked at: the newest half, and some of the rest.
    pub max_others: usize,
    /// Kernels are at least so wide, in parts of the range; `None`: as wide as `n` points would be apart.
    pub min_bandwidth: Option<f64>,
    /// How much evenness a categorical kernel has, in points.
    pub categorical_prior: f64,
    /// Whether good trials weigh by how much better they are than the worst of the good; for one objective.
    pub weigh_by_improvement: bool,
}

impl TpeOptions {
    /// The defaults for a space and a number of objectives.
    pub fn of(space: &Space, objectives: usize) -> Self {
        let (conditional, single) = (space.is_conditional(), objectives == 1);
        let base = Self {
            together: if single { 1.0 } else { 0.75 },
            crossing: if single { 0.0 } else { 0.3 },
            by_branch: 0.0,
            startup_trials: 10,
            candidates: 24,
            good_share: 0.1,
            max_good: if single { 25 } else { 50 },
            max_others: if single { 400 } else { 200 },
            min_bandwidth: Some(if single { 0.03 } else { 0.05 }),
            categorical_prior: 1.0,
            weigh_by_improvement: single,
        };
        match (conditional, single) {
            (false, true) => Self { good_share: 0.15, ..base },
            (true, true) => Self { by_branch: 0.2, min_bandwidth: Some(0.1), categorical_prior: 3.0, ..base },
            (_, false) => base,
        }
    }
}

/// Trials that a branch has before it is modelled by itself.
const BRANCH_STARTUP: usize = 4;

/// The sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct Tpe {
    options: TpeOptions,
}

impl Tpe {
    pub fn new(options: TpeOptions) -> Self {
        Self { options }
    }
}

impl Sampler for Tpe {
    fn suggest(&self, space: &Space, history: History<'_>, study_seed: u64, number: u64) -> Result<Point, Error> {
        let mut random = random_of(study_seed, number);
        let Some(split) = Split::of(history, |_| true, &self.options, &mut random) else {
            return Ok(space.random(&mut random));
        };
        if self.options.by_branch > 0.0 && random.unit() < self.options.by_branch {
            return Ok(self.in_a_branch(space, history, &mut random));
        }
        Ok(if self.options.together >= 1.0 || random.unit() < self.options.together {
            self.together(space, &split, &[], &mut random)
        } else {
            self.one_by_one(space, &split, &mut random)
        })
    }
}

impl Tpe {
    fn density<'a>(&self, space: &'a Space, axes: Range<usize>, trials: &[&Trial], weights: &[f64]) -> Parzen<'a> {
        let points: Vec<&Point> = trials.iter().map(|trial| &trial.point).collect();
        let bandwidth = self.options.min_bandwidth.map_or(Bandwidth::Wide, Bandwidth::AtLeast);
        Parzen::new(space, axes, &points, weights, bandwidth, self.options.categorical_prior)
    }

    /// A branch has all parameters that others depend on at certain choices.
    fn in_a_branch(&self, space: &Space, history: History<'_>, random: &mut Random) -> Point {
        let mut is_switch = vec![false; space.params().len()];
        space
            .axes()
            .iter()
            .filter_map(|axis| axis.condition.as_ref())
            .for_each(|(parent, _)| is_switch[*parent] = true);
        let any = space.random(random);
        let of_switch = |(switch, at): (&bool, &Option<f64>)| if *switch { *at } else { None };
        let branch: Vec<Option<f64>> = is_switch.iter().zip(&any.0).map(of_switch).collect();
        let is_of_branch = |trial: &Trial| {
            (0..branch.len()).all(|axis| !is_switch[axis] || trial.point.coordinate(axis) == branch[axis])
        };
        let options =
            TpeOptions { startup_trials: self.options.startup_trials.min(BRANCH_STARTUP), ..self.options.clone() };
        match Split::of(history, is_of_branch, &options, random) {
            Some(split) => self.together(space, &split, &branch, random),
            None => any,
        }
    }

    /// `fixed` has the coordinates, by axis, that are not drawn.
    fn together(&self, space: &Space, split: &Split<'_>, fixed: &[Option<f64>], random: &mut Random) -> Point {
        let (axes, crossing) = (0..space.params().len(), self.options.crossing);
        let good = self.density(space, axes.clone(), &split.good, &split.weights);
        let others = self.density(space, axes, &split.others, &vec![1.0; split.others.len()]);
        let mut scratch = Vec::new();
        let drawn = (0..self.options.candidates.max(1)).map(|_| {
            let kernel = good.kernel(random);
            let point = space.build(|axis, _| {
                if let Some(at) = fixed.get(axis).copied().flatten() {
                    return at;
                }
                let crosses = crossing > 0.0 && random.unit() < crossing;
                let kernel = if crosses { good.kernel(random) } else { kernel };
                good.draw(kernel, axis, random)
            });
            let score = good.log_density(&point, &mut scratch) - others.log_density(&point, &mut scratch);
            (score, point)
        });
        let best = drawn.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or_else(Point::default, |(_, point)| point)
    }

    fn one_by_one(&self, space: &Space, split: &Split<'_>, random: &mut Random) -> Point {
        let mut scratch = Vec::new();
        space.build(|axis, kind| {
            // Only trials that have the parameter say something of it.
            let has = |trial: &&&Trial| trial.point.coordinate(axis).is_some();
            let weighed = split.good.iter().zip(&split.weights).filter(|(trial, _)| has(trial));
            let (good, weights): (Vec<&Trial>, Vec<f64>) = weighed.unzip();
            let others: Vec<&Trial> = split.others.iter().filter(has).copied().collect();
            let of_good = self.density(space, axis..axis + 1, &good, &weights);
            let of_others = self.density(space, axis..axis + 1, &others, &vec![1.0; others.len()]);
            let mut at_axis = Point(vec![None; axis + 1]);
            let drawn = (0..self.options.candidates.max(1)).map(|_| {
                let kernel = of_good.kernel(random);
                let at = kind.kind.snap(of_good.draw(kernel, axis, random));
                at_axis.0[axis] = Some(at);
                let score = of_good.log_density(&at_axis, &mut scratch) - of_others.log_density(&at_axis, &mut scratch);
                (score, at)
            });
            drawn.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(0.0, |(_, at)| at)
        })
    }
}

/// The trials in two parts.
struct Split<'a> {
    good: Vec<&'a Trial>,
    /// Of the good ones.
    weights: Vec<f64>,
    /// With those that run: another suggestion should lie elsewhere (what Optuna calls a constant liar).
    others: Vec<&'a Trial>,
}

impl<'a> Split<'a> {
    /// Of those that `counts` holds for; `None` while there are too few.
    fn of(
        history: History<'a>,
        counts: impl Fn(&Trial) -> bool,
        options: &TpeOptions,
        random: &mut Random,
    ) -> Option<Self> {
        let counted = || history.trials.iter().filter(|trial| counts(trial));
        let feasible: Vec<&Trial> = history.feasible().filter(|trial| counts(trial)).collect();
        let ended = counted().filter(|it| matches!(it.state, TrialState::Complete | TrialState::Pruned));
        let ended = ended.count();
        if ended < options.startup_trials.max(1) {
            return None;
        }
        let wanted = ((options.good_share * ended as f64).ceil() as usize).clamp(1, options.max_good);
        let mut good = match history.directions {
            [_] => best_of_one(history, &feasible, wanted),
            _ => best_of_many(history, &feasible, wanted),
        };
        if good.len() < wanted {
            // Too few trials are complete and keep the constraints: those that were pruned last, then those that break them least.
            good.extend(second_best(history).filter(|trial| counts(trial)).take(wanted - good.len()));
        }
        let weights = match options.weigh_by_improvement && history.directions.len() == 1 {
            true => improvements(history, &good),
            false => vec![1.0; good.len()],
        };
        let mut numbers: Vec<u64> = good.iter().map(|trial| trial.number).collect();
        numbers.sort_unstable();
        let mut is_good = numbers.into_iter().peekable();
        // Numbers rise on both sides.
        let is_other =
            |trial: &&Trial| is_good.next_if_eq(&trial.number).is_none() && trial.state != TrialState::Failed;
        let mut others: Vec<&Trial> = counted().filter(is_other).collect();
        if others.len() > options.max_others {
            // The newest half, among which are those that run, and any of the others.
            let newest = options.max_others / 2;
            let mut kept = others.split_off(others.len() - newest);
            for at in 0..options.max_others - newest {
                let other = at + random.below(others.len() - at);
                others.swap(at, other);
            }
            others.truncate(options.max_others - newest);
            others.sort_by_key(|trial| trial.number);
            others.append(&mut kept);
        }
        Some(Self { good, weights, others })
    }
}

fn best_of_one<'a>(history: History<'a>, feasible: &[&'a Trial], wanted: usize) -> Vec<&'a Trial> {
    let losses = feasible.iter().map(|trial| history.directions[0].loss(trial.values[0]));
    lowest(losses, wanted).into_iter().map(|at| feasible[at]).collect()
}

/// The places of the `wanted` lowest numbers, the lowest first, the first of equals. Holds at most twice as many.
fn lowest(numbers: impl Iterator<Item = f64>, wanted: usize) -> Vec<usize> {
    let by_number = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let mut kept: Vec<(f64, usize)> = Vec::with_capacity(2 * wanted);
    // What is not lower than this comes too late.
    let mut limit = f64::INFINITY;
    for (at, number) in numbers.enumerate() {
        if number.total_cmp(&limit).is_ge() {
            continue;
        }
        kept.push((number, at));
        if kept.len() == 2 * wanted {
            let (_, last, _) = kept.select_nth_unstable_by(wanted - 1, by_number);
            limit = last.0;
            kept.truncate(wanted);
        }
    }
    kept.sort_unstable_by(by_number);
    kept.into_iter().take(wanted).map(|(_, at)| at).collect()
}

/// Most trials of several objectives that are compared with one another.
const MAX_COMPARED: usize = 500;

/// Front by front; of the last one those that dominate most together.
fn best_of_many<'a>(history: History<'a>, feasible: &[&'a Trial], wanted: usize) -> Vec<&'a Trial> {
    let compared = most_promising(history, feasible, MAX_COMPARED);
    let losses: Vec<Vec<f64>> = compared.iter().map(|at| history.losses(feasible[*at])).collect();
    let mut chosen: Vec<usize> = Vec::with_capacity(wanted);
    for front in fronts(&losses, wanted) {
        let room = wanted - chosen.len();
        if front.len() <= room {
            chosen.extend(front);
            continue;
        }
        let rows: Vec<Vec<f64>> = front.iter().map(|at| losses[*at].clone()).collect();
        let reference = reference_of(&rows);
        chosen.extend(hypervolume_subset(&rows, &reference, room).into_iter().map(|at| front[at]));
    }
    chosen.into_iter().map(|at| feasible[compared[at]]).collect()
}

/// The places of at most `count` trials, so that the work is bounded however long a study or wide a front is. A trial
/// is as good as its worst objective: the best when all objectives count the same, and when one counts five times as
/// much.
fn most_promising(history: History<'_>, feasible: &[&Trial], count: usize) -> Vec<usize> {
    if feasible.len() <= count {
        return (0..feasible.len()).collect();
    }
    // By objective, from 0 for the best to 1 for the worst.
    let column = |objective: usize| {
        let loss = |trial: &&Trial| history.directions[objective].loss(trial.values[objective]);
        let mut losses: Vec<f64> = feasible.iter().map(loss).collect();
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let range = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
        let scale = if range > 0.0 { 1.0 / range } else { 0.0 };
        losses.iter_mut().for_each(|loss| *loss = (*loss - least) * scale);
        losses
    };
    let objectives = history.directions.len();
    let columns: Vec<Vec<f64>> = (0..objectives).map(column).collect();
    let (mut is_kept, mut worst) = (vec![false; feasible.len()], vec![0.0; feasible.len()]);
    for favoured in 0..=objectives {
        worst.fill(0.0);
        for (objective, column) in columns.iter().enumerate() {
            let weight = if objective == favoured { 5.0 } else { 1.0 };
            worst.iter_mut().zip(column).for_each(|(worst, loss)| *worst = f64::max(*worst, weight * loss));
        }
        lowest(worst.iter().copied(), count / (objectives + 1)).into_iter().for_each(|at| is_kept[at] = true);
    }
    (0..feasible.len()).filter(|at| is_kept[*at]).collect()
}

/// Pruned trials, those that came farthest first and of equals the better; then those that break constraints, the least first.
fn second_best<'a>(history: History<'a>) -> impl Iterator<Item = &'a Trial> {
    let last = |trial: &Trial| trial.reports.last().map(|report| report.step);
    let value = |trial: &Trial| {
        let value = trial.reports.last().and_then(|report| report.values.first()).copied();
        value.map_or(f64::INFINITY, |value| history.directions[0].loss(value))
    };
    let mut pruned: Vec<&Trial> = history.trials.iter().filter(|it| it.state == TrialState::Pruned).collect();
    pruned.sort_by(|a, b| last(b).cmp(&last(a)).then(value(a).total_cmp(&value(b))).then(a.number.cmp(&b.number)));
    let broken = |trial: &&Trial| trial.state == TrialState::Complete && trial.violation > 0.0;
    let mut broken: Vec<&Trial> = history.trials.iter().filter(broken).collect();
    broken.sort_by(|a, b| a.violation.total_cmp(&b.violation).then(a.number.cmp(&b.number)));
    pruned.into_iter().chain(broken)
}

/// By how much each is better than the worst of them; even where they are all as good. What a trial that breaks constraints reached says
/// nothing of how good it is.
fn improvements(history: History<'_>, good: &[&Trial]) -> Vec<f64> {
    let loss = |trial: &&Trial| {
        let value = trial.values.first().filter(|_| trial.violation <= 0.0);
        value.map(|value| history.directions[0].loss(*value))
    };
    let losses: Vec<Option<f64>> = good.iter().map(loss).collect();
    let worst = losses.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let gains: Vec<f64> = losses.iter().map(|loss| loss.map_or(0.0, |loss| worst - loss)).collect();
    let mean = gains.iter().sum::<f64>() / gains.len().max(1) as f64;
    if mean > 0.0 && mean.is_finite() {
        // The worst keeps a little, so that a single good trial is not all there is.
        gains.iter().map(|gain| gain / mean + 1e-2).collect()
    } else {
        vec![1.0; good.len()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::Direction;

    fn trials(rows: &[Vec<f64>]) -> Vec<Trial> {
        let trial = |(values, number): (&Vec<f64>, u64)| Trial {
            number,
            state: TrialState::Complete,
            point: Point(vec![Some(0.5)]),
            values: values.clone(),
            violation: 0.0,
            reports: Vec::new(),
        };
        rows.iter().zip(0..).map(trial).collect()
    }

    #[test]
    fn what_a_trial_reached_by_breaking_constraints_does_not_weigh() {
        let mut all = trials(&[vec![1.0], vec![2.0], vec![0.0]]);
        all[2].violation = 0.5;
        let directions = [Direction::Minimize];
        let good: Vec<&Trial> = all.iter().collect();
        let weights = improvements(History { directions: &directions, trials: &all }, &good);
        assert!(weights[0] > 2.0 && weights[1] == weights[2], "{weights:?}");
    }

    #[test]
    fn of_a_long_study_the_best_trials_are_compared() {
        for objectives in 2..=4 {
            // Most rows lie on a front that is behind another of few.
            let mut random = Random::new(objectives as u64, 3);
            let mut row = |least: f64| {
                let parts: Vec<f64> = (0..objectives).map(|_| -(1.0 - random.unit()).ln()).collect();
                let total: f64 = parts.iter().sum();
                parts.into_iter().map(|part| least + part / total).collect::<Vec<f64>>()
            };
            let mut rows: Vec<Vec<f64>> = (0..5_000).map(|_| row(1.0)).collect();
            let best: Vec<usize> = (0..30).map(|at| at * 150 + 7).collect();
            best.iter().for_each(|at| rows[*at] = row(0.0));
            let trials = trials(&rows);
            let feasible: Vec<&Trial> = trials.iter().collect();
            let directions = vec![Direction::Minimize; objectives];
            let history = History { directions: &directions, trials: &trials };
            let kept = most_promising(history, &feasible, MAX_COMPARED);
            assert!(kept.len() <= MAX_COMPARED && kept.is_sorted());
            assert!(best.iter().all(|at| kept.contains(at)), "{objectives}");
            let mut good: Vec<u64> = best_of_many(history, &feasible, 30).iter().map(|it| it.number).collect();
            good.sort_unstable();
            assert_eq!(good, best.iter().map(|at| *at as u64).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn the_lowest_are_those_of_a_sorted_list(seed in any::<u64>(), count in 0usize..300, wanted in 1usize..40) {
            let mut random = Random::new(seed, 1);
            let numbers: Vec<f64> = (0..count).map(|_| random.below(50) as f64 - 25.0).collect();
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));
            order.truncate(wanted);
            prop_assert_eq!(lowest(numbers.into_iter(), wanted), order);
        }
    }
}
