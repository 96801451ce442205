//! Minimising the objective in rounds, between which a fit can be left and taken up again.

use serde_json::{Map, Value, json};
use tenor_domain::Error;
use tenor_learn::FitContext;
use tenor_learn::params::Params;

use super::lbfgs;
use super::loss::Problem;
use crate::features::object;

/// Iterations after which the memory of the solver is dropped. Only long fits get there; a fit that resumes at such a place
/// goes on exactly as one that was never interrupted.
const ROUND: u64 = 100;

/// When a solver stops.
#[derive(Debug, Clone, Copy)]
pub(super) struct SolverOptions {
    pub max_iter: u32,
    /// The largest entry of the gradient of the mean loss at which to stop.
    pub tol: f64,
}

impl SolverOptions {
    pub fn defaults() -> Map<String, Value> {
        object(json!({ "max_iter": 1000, "tol": 1e-4 }))
    }

    pub fn read(params: &mut Params<'_>) -> Result<Self, Error> {
        Ok(Self { max_iter: params.u32("max_iter", 1..=1_000_000)?, tol: params.f64("tol", 1e-12..=1.0)? })
    }
}

/// Where a solver begins, begins again, or has come to.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub parameters: Vec<f64>,
    /// Those already made.
    pub iterations: u64,
}

/// Goes from `start` to the minimum; returns where it ended and whether it arrived before `max_iter`. `keep` is told of places from
/// which another attempt can go on.
pub(super) fn minimise(
    problem: &Problem<'_>,
    start: Start,
    options: SolverOptions,
    mut watch: Watch<'_>,
    keep: &dyn Fn(&Start) -> Result<(), Error>,
) -> Result<(Start, bool), Error> {
    let most = u64::from(options.max_iter);
    let mut at = start;
    loop {
        watch.made = at.iterations;
        let iterations = ROUND.min(most.saturating_sub(at.iterations));
        let (parameters, done, converged) = lbfgs::run(problem, at.parameters, iterations, &mut watch)?;
        problem.stop.check()?;
        if parameters.iter().any(|value| !value.is_finite()) {
            return Err(Error::internal("the fit left the finite numbers"));
        }
        at = Start { parameters, iterations: at.iterations + done };
        if converged || at.iterations >= most || done < iterations {
            return Ok((at, converged));
        }
        keep(&at)?;
    }
}

/// Tells how far a solver is, and when it is there: when the largest entry of the gradient is at most `tol`, as scikit-learn has it.
pub(super) struct Watch<'a> {
    tol: f64,
    /// The largest entry at the start.
    first: Option<f64>,
    /// The step of the start, and the iterations before the current round.
    first_step: u64,
    made: u64,
    /// The largest share of the way told so far: the gradient does not always fall.
    told: f64,
    context: &'a FitContext<'a>,
}

impl<'a> Watch<'a> {
    pub fn new(tol: f64, first_step: u64, context: &'a FitContext<'a>) -> Self {
        Self { tol, first: None, first_step, made: 0, told: 0.0, context }
    }

    /// Whether the solver, after `step` iterations of this round, has arrived.
    pub fn arrived(&mut self, cost: f64, largest: f64, step: u64) -> bool {
        let first = *self.first.get_or_insert(largest);
        // A round begins where the last one ended.
        if step > 0 || self.made == 0 {
            self.context.metric("train/loss", cost, (self.first_step + self.made + step) as i64);
        }
        let share = (first / largest).ln() / (first / self.tol).ln();
        if share.is_finite() {
            self.told = share.clamp(self.told, 1.0);
        }
        self.context.progress(self.told, "fitting weights");
        largest <= self.tol
    }
}
