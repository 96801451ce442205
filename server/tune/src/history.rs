//! What is known of a study when it is asked for something: its trials.

use serde::{Deserialize, Serialize};
use tenor_features::random::Random;

use crate::space::Point;

/// What is wanted of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Minimize,
    Maximize,
}

impl Direction {
    /// `value` so that smaller is better, never -0, which has a place of its own in total orders.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            Self::Minimize => value + 0.0,
            Self::Maximize => 0.0 - value,
        }
    }
}

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    Running,
    Complete,
    /// Ended early because it did not look good.
    Pruned,
    Failed,
}

/// The values of one step of a trial, one a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub step: u64,
    pub values: Vec<f64>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Counts from 0 within the study.
    pub number: u64,
    pub state: TrialState,
    pub point: Point,
    /// One an objective when complete, else empty.
    pub values: Vec<f64>,
    /// By how much constraints are broken, all together; 0 when they are kept.
    pub violation: f64,
    /// With rising steps.
    pub reports: Vec<Report>,
}

/// A study's trials with rising numbers, and what is wanted of their objectives.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    pub directions: &'a [Direction],
    pub trials: &'a [Trial],
}

impl<'a> History<'a> {
    /// Complete trials that keep the constraints and have finite values.
    pub fn feasible(&self) -> impl Iterator<Item = &'a Trial> {
        let objectives = self.directions.len();
        self.trials.iter().filter(move |trial| {
            trial.state == TrialState::Complete
                && trial.violation <= 0.0
                && trial.values.len() == objectives
                && trial.values.iter().all(|value| value.is_finite())
        })
    }

    /// The values of a trial so that smaller is better.
    pub fn losses(&self, trial: &Trial) -> Vec<f64> {
        self.directions.iter().zip(&trial.values).map(|(direction, value)| direction.loss(*value)).collect()
    }

    /// The best feasible trial by the first objective, the earliest of equals.
    pub fn best(&self) -> Option<&'a Trial> {
        let loss = |trial: &Trial| self.directions[0].loss(trial.values[0]);
        self.feasible().min_by(|a, b| loss(a).total_cmp(&loss(b)).then(a.number.cmp(&b.number)))
    }

    /// The feasible trials that no other dominates, by number. Equal ones are all on the front.
    pub fn pareto_front(&self) -> Vec<&'a Trial> {
        let trials: Vec<&Trial> = self.feasible().collect();
        let losses: Vec<Vec<f64>> = trials.iter().map(|trial| self.losses(trial)).collect();
        let mut front = crate::pareto::front(&losses);
        front.sort_unstable();
        front.into_iter().map(|at| trials[at]).collect()
    }
}

/// The generator of one trial: the same for the same study and number, whatever was drawn for other trials.
pub fn random_of(study_seed: u64, trial_number: u64) -> Random {
    // Through the mixer: seeds that follow one another must not give streams that do.
    let mut seeds = Random::new(study_seed, 0x7e11);
    let seed = seeds.next();
    Random::new(seed, trial_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_loss_is_negative_zero() {
        for (direction, value) in [(Direction::Minimize, -0.0), (Direction::Maximize, 0.0)] {
            assert!(direction.loss(value).is_sign_positive());
        }
        assert_eq!((Direction::Minimize.loss(-2.0), Direction::Maximize.loss(-2.0)), (-2.0, 2.0));
    }
}
