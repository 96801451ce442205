use std::collections::BTreeSet;

use proptest::prelude::*;
use tenor_domain::ParamValue;

use super::*;
use crate::history::{Direction, Trial, TrialState};
use crate::pareto::hypervolume;
use crate::space::tests::{every_sort, same};
use crate::space::{Domain, Param, When};

pub(super) fn floats(names: &[&str], low: f64, high: f64) -> Space {
    let param = |name: &&str| Param {
        name: (*name).to_owned(),
        domain: Domain::Float { low, high, log: false, step: None },
        when: None,
    };
    Space::new(names.iter().map(param).collect()).unwrap()
}

pub(super) fn trial(number: u64, point: Point, values: &[f64]) -> Trial {
    Trial { number, state: TrialState::Complete, point, values: values.to_vec(), violation: 0.0, reports: Vec::new() }
}

/// A study of `count` trials, one after the other.
pub(super) fn study(
    sampler: &dyn Sampler,
    space: &Space,
    directions: &[Direction],
    (seed, count): (u64, u64),
    objective: impl Fn(&Space, &Point) -> Vec<f64>,
) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for number in 0..count {
        let point = sampler.suggest(space, History { directions, trials: &trials }, seed, number).unwrap();
        let values = objective(space, &point);
        trials.push(trial(number, point, &values));
    }
    trials
}

pub(super) fn numbers(space: &Space, point: &Point) -> Vec<f64> {
    let values = space.assignment(point);
    space
        .params()
        .iter()
        .map(|param| match &values[&param.name] {
            ParamValue::Float(value) => *value,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Branin's function: three equal minima of 0.397887 in [-5, 10] x [0, 15]; here over [0, 1]^2.
pub(super) fn branin(space: &Space, point: &Point) -> Vec<f64> {
    use std::f64::consts::PI;
    let at = numbers(space, point);
    let (x, y) = (15.0 * at[0] - 5.0, 15.0 * at[1]);
    let inner = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    vec![inner * inner + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0]
}

pub(super) fn best(trials: &[Trial]) -> f64 {
    trials.iter().map(|trial| trial.values[0]).fold(f64::INFINITY, f64::min)
}

#[test]
fn tpe_beats_chance_on_single_objectives() {
    let sphere = |space: &Space, point: &Point| vec![numbers(space, point).iter().map(|x| (x - 0.7).powi(2)).sum()];
    // Ackley's function: many shallow valleys around a deep one.
    let ackley = |space: &Space, point: &Point| {
        let x: Vec<f64> = numbers(space, point).iter().map(|x| 20.0 * x - 13.0).collect();
        let mean = |of: fn(f64) -> f64| x.iter().map(|x| of(*x)).sum::<f64>() / x.len() as f64;
        let (far, waves) = (mean(|x| x * x).sqrt(), mean(|x| (std::f64::consts::TAU * x).cos()));
        vec![-20.0 * (-0.2 * far).exp() - waves.exp() + 20.0 + std::f64::consts::E]
    };
    type Objective<'a> = &'a dyn Fn(&Space, &Point) -> Vec<f64>;
    let problems: [(&[&str], Objective<'_>); 3] =
        [(&["x", "y"], &branin), (&["a", "b", "c", "d"], &sphere), (&["x", "y", "z"], &ackley)];
    for (names, objective) in problems {
        let space = floats(names, 0.0, 1.0);
        let tpe = SamplerKind::Tpe.sampler(&space, 1);
        let run =
            |sampler: &dyn Sampler, seed| best(&study(sampler, &space, &[Direction::Minimize], (seed, 80), objective));
        let wins = (0..20).filter(|seed| run(tpe.as_ref(), *seed) < run(&RandomSampler, *seed)).count();
        assert!(wins >= 16, "{names:?}: {wins} of 20");
    }
}

#[test]
fn tpe_and_nsga2_cover_more_than_chance_does() {
    let space = floats(&["a", "b", "c", "d", "e"], 0.0, 1.0);
    let zdt1 = |space: &Space, point: &Point| {
        let x = numbers(space, point);
        let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / 4.0;
        vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
    };
    let volume = |kind: SamplerKind, seed, count| {
        let sampler = kind.sampler(&space, 2);
        let trials = study(sampler.as_ref(), &space, &[Direction::Minimize; 2], (seed, count), zdt1);
        hypervolume(&trials.iter().map(|trial| trial.values.clone()).collect::<Vec<_>>(), &[1.1, 5.0])
    };
    let wins = |kind, count| {
        (0..10).filter(|seed| volume(kind, *seed, count) > volume(SamplerKind::Random, *seed, count)).count()
    };
    assert!(wins(SamplerKind::Tpe, 100) >= 9);
    assert!(wins(SamplerKind::Nsga2, 300) >= 9);
}

#[test]
fn a_branch_that_is_fair_everywhere_does_not_hide_a_better_one() {
    let texts = |texts: &[&str]| texts.iter().map(|text| ParamValue::Text((*text).to_owned())).collect::<Vec<_>>();
    let kinds = ["fair", "steep", "poor"];
    let kind = Domain::Categorical { choices: texts(&kinds) };
    let mut params = vec![Param { name: "kind".to_owned(), domain: kind, when: None }];
    for kind in kinds {
        let when = Some(When { param: "kind".to_owned(), values: texts(&[kind]) });
        let domain = Domain::Float { low: 0.0, high: 1.0, log: false, step: None };
        params.push(Param { name: format!("{kind}.x"), domain, when });
    }
    let space = Space::new(params).unwrap();
    let loss = |_: &Space, point: &Point| {
        let distance = |axis| point.coordinate(axis).map_or(0.0, |x| (x - 0.8).abs());
        vec![match point.coordinate(0) {
            Some(0.0) => 0.2 + 0.05 * distance(1),
            Some(1.0) => 3.0 * distance(2),
            _ => 1.0 + distance(3),
        }]
    };
    let options = TpeOptions::of(&space, 1);
    let found = |options: &TpeOptions| {
        let tpe = Tpe::new(options.clone());
        (0..30).filter(|seed| best(&study(&tpe, &space, &[Direction::Minimize], (*seed, 200), loss)) < 0.1).count()
    };
    let (with, without) = (found(&options), found(&TpeOptions { by_branch: 0.0, ..options.clone() }));
    assert!(with >= 24 && with >= without + 8, "{with} and {without} of 30");
}

#[test]
fn the_same_question_has_the_same_answer() {
    let space = every_sort();
    let directions = [Direction::Maximize, Direction::Minimize];
    let score = |space: &Space, point: &Point| {
        let coordinates = (0..space.params().len()).filter_map(|at| point.coordinate(at));
        vec![coordinates.clone().sum(), coordinates.map(|at| at * at).sum()]
    };
    for kind in SamplerKind::ALL {
        let sampler = kind.sampler(&space, 2);
        let all = study(sampler.as_ref(), &space, &directions, (5, 70), score);
        for number in [0, 9, 10, 33, 69] {
            let history = History { directions: &directions, trials: &all[..number] };
            let again = kind.sampler(&space, 2).suggest(&space, history, 5, number as u64).unwrap();
            assert_eq!(again, all[number].point, "{kind:?} {number}");
        }
    }
}

#[test]
fn a_long_study_of_several_objectives_is_answered_the_same_each_time() {
    let space = floats(&["a", "b", "c"], 0.0, 1.0);
    for objectives in 2..=4 {
        let mut random = random_of(1, objectives as u64);
        let mut any = |number: u64| {
            let values: Vec<f64> = (0..objectives).map(|_| random.unit()).collect();
            trial(number, space.random(&mut random), &values)
        };
        let trials: Vec<Trial> = (0..3_000).map(&mut any).collect();
        let directions = vec![Direction::Minimize; objectives];
        let history = History { directions: &directions, trials: &trials };
        let ask = |number| SamplerKind::Tpe.sampler(&space, objectives).suggest(&space, history, 8, number).unwrap();
        assert_eq!(ask(3_000), ask(3_000));
        assert_ne!(ask(3_000), ask(3_001));
    }
}

/// Points written down before several objectives got settings of their own.
#[test]
fn one_objective_is_searched_as_ever() {
    let space = floats(&["x", "y"], 0.0, 1.0);
    let tpe = SamplerKind::Tpe.sampler(&space, 1);
    let trials = study(tpe.as_ref(), &space, &[Direction::Minimize], (1, 31), branin);
    for (number, x, y) in [(10, 0.4194052, 0.6035519), (30, 0.1289364, 0.8166929)] {
        let at = |axis| trials[number].point.coordinate(axis).unwrap();
        assert!((at(0) - x).abs() < 1e-6 && (at(1) - y).abs() < 1e-6, "{number}: {} {}", at(0), at(1));
    }
}

#[test]
fn seeds_that_follow_one_another_have_nothing_in_common() {
    let space = floats(&["x"], 0.0, 1.0);
    let draws = |seed: u64| -> Vec<f64> {
        (0..1_000).map(|number| space.random(&mut random_of(seed, number)).coordinate(0).unwrap()).collect()
    };
    let correlation = |a: &[f64], b: &[f64]| {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (of_a, of_b) = (mean(a), mean(b));
        let product: f64 = a.iter().zip(b).map(|(a, b)| (a - of_a) * (b - of_b)).sum();
        product / (a.len() as f64 / 12.0)
    };
    let (one, two) = (draws(41), draws(42));
    for shift in 0..5 {
        assert!(correlation(&one[shift..], &two[..1_000 - shift]).abs() < 0.12);
        assert!(correlation(&two[shift..], &one[..1_000 - shift]).abs() < 0.12);
        if shift > 0 {
            assert!(correlation(&one[shift..], &one[..1_000 - shift]).abs() < 0.12);
        }
    }
}

#[test]
fn running_trials_push_the_next_one_away_and_failed_ones_do_not() {
    let space = floats(&["x", "y"], 0.0, 1.0);
    let tpe = SamplerKind::Tpe.sampler(&space, 1);
    let directions = [Direction::Minimize];
    let mut trials = study(tpe.as_ref(), &space, &directions, (3, 30), branin);
    let ask = |trials: &[Trial]| tpe.suggest(&space, History { directions: &directions, trials }, 3, 40).unwrap();
    let alone = ask(&trials);
    for number in 30..35 {
        trials.push(Trial { state: TrialState::Running, ..trial(number, alone.clone(), &[]) });
    }
    assert_ne!(ask(&trials), alone);
    trials[30..].iter_mut().for_each(|trial| trial.state = TrialState::Failed);
    assert_eq!(ask(&trials), alone);
    // Eight at once are eight places.
    trials.truncate(30);
    let mut places = BTreeSet::new();
    for number in 30..38 {
        let point = tpe.suggest(&space, History { directions: &directions, trials: &trials }, 3, number).unwrap();
        places.insert(format!("{point:?}"));
        trials.push(Trial { state: TrialState::Running, ..trial(number, point, &[]) });
    }
    assert_eq!(places.len(), 8);
}

#[test]
fn a_maximum_is_the_minimum_of_the_opposite() {
    let space = floats(&["x", "y"], 0.0, 1.0);
    let tpe = SamplerKind::Tpe.sampler(&space, 1);
    let opposite = |space: &Space, point: &Point| vec![-branin(space, point)[0]];
    let least = study(tpe.as_ref(), &space, &[Direction::Minimize], (1, 40), branin);
    let most = study(tpe.as_ref(), &space, &[Direction::Maximize], (1, 40), opposite);
    assert!(least.iter().zip(&most).all(|(a, b)| a.point == b.point));
}

#[test]
fn trials_that_break_constraints_or_are_not_finite_attract_nobody() {
    let space = floats(&["x"], 0.0, 1.0);
    let tpe = SamplerKind::Tpe.sampler(&space, 1);
    // The best values lie below 0.3, where the constraint is broken or the value is no number.
    let mut trials = Vec::new();
    for number in 0..120 {
        let history = History { directions: &[Direction::Minimize], trials: &trials };
        let point = tpe.suggest(&space, history, 2, number).unwrap();
        let x = point.coordinate(0).unwrap();
        let mut next = trial(number, point, &[if x < 0.1 { f64::NAN } else { x }]);
        next.violation = (0.3 - x).max(0.0);
        trials.push(next);
    }
    let late = trials[60..].iter().filter(|trial| trial.violation == 0.0 && trial.values[0] < 0.5).count();

    // It searches along the edge, on both sides of it.
    assert!(late > 25, "{late} of 60");
    let history = History { directions: &[Direction::Minimize], trials: &trials };
    assert!(history.best().unwrap().values[0] >= 0.3);
    assert!(history.pareto_front().iter().all(|trial| trial.violation == 0.0));
}

#[test]
fn a_grid_has_every_combination_once_and_then_ends() {
    let space = every_sort();
    let grid = Grid { steps: 2 };
    let history = History { directions: &[Direction::Minimize], trials: &[] };
    let mut seen = BTreeSet::new();
    let mut number = 0;
    let error = loop {
        match grid.suggest(&space, history, 0, number) {
            Ok(point) => assert!(seen.insert(format!("{:?}", space.assignment(&point)))),
            Err(error) => break error,
        }
        number += 1;
    };
    // rate, share, tenths, flag and bytes have two places each; depth and width belong to one kind each.
    assert_eq!(number, 32 * (1 + 2 + 2));
    assert_eq!(error.reason, "SPACE_EXHAUSTED");
    assert!(error.message.contains("160 points"), "{error}");
}

#[test]
fn quasi_random_points_fill_a_square_more_evenly() {
    let space = floats(&["x", "y"], 0.0, 1.0);
    let history = History { directions: &[Direction::Minimize], trials: &[] };
    let empty = |sampler: &dyn Sampler| {
        let mut cells = [false; 64];
        for number in 0..128 {
            let point = sampler.suggest(&space, history, 7, number).unwrap();
            let cell = |axis| (point.coordinate(axis).unwrap() * 8.0).min(7.0) as usize;
            cells[cell(0) * 8 + cell(1)] = true;
        }
        cells.iter().filter(|cell| !**cell).count()
    };
    assert!(empty(&QuasiRandom) <= 2 && empty(&RandomSampler) > 4);
}

#[test]
fn parameters_with_equal_domains_have_histories_of_their_own() {
    let space = floats(&["x", "y"], 0.0, 1.0);
    for together in [1.0, 0.0] {
        let tpe = Tpe::new(TpeOptions { together, ..TpeOptions::of(&space, 1) });
        let far = |space: &Space, point: &Point| {
            let at = numbers(space, point);
            vec![(at[0] - 0.1).abs() + (at[1] - 0.9).abs()]
        };
        let trials = study(&tpe, &space, &[Direction::Minimize], (4, 80), far);
        assert!(best(&trials) < 0.15, "{together}: {}", best(&trials));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever the history, a suggestion is a point of the space.
    #[test]
    fn every_suggestion_lies_in_the_space(seed in any::<u64>(), count in 0u64..60, objectives in 1usize..4) {
        let space = every_sort();
        let directions = vec![Direction::Maximize; objectives];
        let mut trials: Vec<Trial> = Vec::new();
        for number in 0..count {
            let mut random = random_of(seed ^ 1, number);
            let mut next = trial(number, space.random(&mut random), &vec![0.0; objectives]);
            next.values.iter_mut().for_each(|value| *value = (random.unit() * 4.0).floor());
            match random.below(6) {
                0 => next.state = TrialState::Running,
                1 => next.state = TrialState::Pruned,
                2 => next.state = TrialState::Failed,
                3 => next.violation = 1.0,
                4 => next.values[0] = f64::NAN,
                _ => {}
            }
            trials.push(next);
        }
        for kind in SamplerKind::ALL {
            let history = History { directions: &directions, trials: &trials };
            let point = kind.sampler(&space, objectives).suggest(&space, history, seed, count).unwrap();
            let values = space.assignment(&point);
            let again = space.assignment(&space.point(&values).unwrap());
            prop_assert!(same(&again, &values), "{again:?} {values:?}");
        }
    }
}
