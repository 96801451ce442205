//! Minimising the objective: argmin's L-BFGS, or OWL-QN where there is an L1 penalty.

use std::sync::Mutex;

use argmin::core::{
    CostFunction, Error as SolverError, Executor, Gradient, IterState, KV, Problem as Counted, Solver, State,
    TerminationReason, TerminationStatus,
};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use serde_json::{Map, Value, json};
use tenor_domain::Error;
use tenor_learn::FitContext;
use tenor_learn::params::Params;

use super::loss::Problem;
use super::owlqn;
use crate::features::object;

/// Pairs of steps that L-BFGS remembers.
const MEMORY: usize = 10;

type Search = MoreThuenteLineSearch<Vec<f64>, Vec<f64>, f64>;
type Lbfgs = LBFGS<Search, Vec<f64>, Vec<f64>, f64>;
type Progress = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

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
        let (parameters, done, converged) = match problem.l1 > 0.0 {
            true => owlqn::run(problem, at.parameters, iterations, &mut watch)?,
            false => lbfgs(problem, at.parameters, iterations, &mut watch)?,
        };
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

/// At most `iterations` of argmin's L-BFGS: the best parameters, the iterations made, and whether it arrived.
fn lbfgs(
    problem: &Problem<'_>,
    start: Vec<f64>,
    iterations: u64,
    watch: &mut Watch<'_>,
) -> Result<(Vec<f64>, u64, bool), Error> {
    let cached = Cached { problem, last: Mutex::new(None) };
    let inner = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_grad(0.0)
        .and_then(|solver| solver.with_tolerance_cost(0.0))
        .map_err(Error::internal)?;
    let stop = problem.stop;
    let outcome = Executor::new(cached, Watched { inner, watch })
        .configure(|state| state.param(start).max_iters(iterations))
        .timer(false)
        .run();
    stop.check()?;
    let mut state = outcome.map_err(|error| Error::internal(format!("logistic regression failed: {error}")))?.state;
    // A line search that finds nothing better has come as far as these numbers allow.
    let converged = matches!(
        state.get_termination_reason(),
        Some(TerminationReason::SolverConverged | TerminationReason::SolverExit(_))
    );
    let best = state.take_best_param().ok_or_else(|| Error::internal("the fit left the finite numbers"))?;
    Ok((best, state.get_iter(), converged))
}

/// argmin asks for cost and gradient one after the other: both come from one evaluation.
struct Cached<'a, 'b> {
    problem: &'a Problem<'b>,
    last: Mutex<Option<Evaluated>>,
}

struct Evaluated {
    parameters: Vec<f64>,
    cost: f64,
    gradient: Vec<f64>,
}

impl Cached<'_, '_> {
    fn with<T>(&self, parameters: &[f64], take: impl FnOnce(&Evaluated) -> T) -> Result<T, SolverError> {
        // Nothing panics while the lock is held; what it guards would be a complete value even then.
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(last) = last.as_ref().filter(|last| last.parameters == parameters) {
            return Ok(take(last));
        }
        let (cost, gradient) = self.problem.evaluate(parameters)?;
        Ok(take(last.insert(Evaluated { parameters: parameters.to_vec(), cost, gradient })))
    }
}

impl CostFunction for Cached<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, SolverError> {
        self.with(parameters, |evaluated| evaluated.cost)
    }
}

impl Gradient for Cached<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, SolverError> {
        self.with(parameters, |evaluated| evaluated.gradient.clone())
    }
}

/// L-BFGS that stops when the watch says so.
struct Watched<'a, 'b> {
    inner: Lbfgs,
    watch: &'a mut Watch<'b>,
}

impl<'p, 'd> Solver<Cached<'p, 'd>, Progress> for Watched<'_, '_> {
    fn name(&self) -> &str {
        "L-BFGS"
    }

    fn init(
        &mut self,
        problem: &mut Counted<Cached<'p, 'd>>,
        state: Progress,
    ) -> Result<(Progress, Option<KV>), SolverError> {
        self.inner.init(problem, state)
    }

    fn next_iter(
        &mut self,
        problem: &mut Counted<Cached<'p, 'd>>,
        state: Progress,
    ) -> Result<(Progress, Option<KV>), SolverError> {
        self.inner.next_iter(problem, state)
    }

    fn terminate(&mut self, state: &Progress) -> TerminationStatus {
        let largest =
            state.get_gradient().into_iter().flatten().fold(0.0f64, |largest, entry| largest.max(entry.abs()));
        if self.watch.arrived(state.get_cost(), largest, state.get_iter()) {
            return TerminationStatus::Terminated(TerminationReason::SolverConverged);
        }
        TerminationStatus::NotTerminated
    }
}
