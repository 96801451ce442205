//! Minimising the objective: argmin's L-BFGS, or OWL-QN where there is an L1 penalty.

use std::sync::Mutex;

use argmin::core::{
    CostFunction, Error as SolverError, Executor, Gradient, IterState, KV, Problem as Counted, Solver, State,
    TerminationReason, TerminationStatus,
};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use tenor_domain::Error;
use tenor_learn::FitContext;

use super::loss::Problem;
use super::options::SolverOptions;
use super::owlqn;

/// Pairs of steps that L-BFGS remembers.
const MEMORY: usize = 10;

type Search = MoreThuenteLineSearch<Vec<f64>, Vec<f64>, f64>;
type Lbfgs = LBFGS<Search, Vec<f64>, Vec<f64>, f64>;
type Progress = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Iterations after which the memory of the solver is dropped. Only long fits get there; a fit that resumes at such a place
/// goes on exactly as one that was never interrupted.
const ROUND: u64 = 100;

/// Returns the parameters at the minimum, and logs how it got there. Reaching `max_iter` is no error: `train/converged` is then 0.
pub(super) fn minimise(
    problem: &Problem<'_>,
    start: Start,
    options: SolverOptions,
    context: &FitContext<'_>,
    keep: &dyn Fn(&Start) -> Result<(), Error>,
) -> Result<Vec<f64>, Error> {
    let mut at = start;
    let mut watch = Watch { tol: options.tol, first: None, steps_before: at.iterations, context };
    let most = u64::from(options.max_iter);
    loop {
        let iterations = ROUND.min(most.saturating_sub(at.iterations));
        let (parameters, done, converged) = match problem.l1 > 0.0 {
            true => owlqn::run(problem, at.parameters, iterations, &mut watch)?,
            false => lbfgs(problem, at.parameters, iterations, &mut watch)?,
        };
        context.stop.check()?;
        if parameters.iter().any(|value| !value.is_finite()) {
            return Err(Error::internal("the fit left the finite numbers"));
        }
        at = Start { parameters, iterations: at.iterations + done };
        if converged || at.iterations >= most || done < iterations {
            context.metric("train/iterations", at.iterations as f64, 0);
            context.metric("train/converged", f64::from(u8::from(converged)), 0);
            return Ok(at.parameters);
        }
        watch.steps_before = at.iterations;
        keep(&at)?;
    }
}

/// Where a solver begins, or begins again.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub parameters: Vec<f64>,
    /// Those already made.
    pub iterations: u64,
}

impl Start {
    pub fn at(parameters: Vec<f64>) -> Self {
        Self { parameters, iterations: 0 }
    }
}

/// Tells how far a solver is, and when it is there: when the largest entry of the gradient is at most `tol`, as scikit-learn has it.
pub(super) struct Watch<'a, 'b> {
    tol: f64,
    /// The largest entry at the start.
    first: Option<f64>,
    steps_before: u64,
    context: &'a FitContext<'b>,
}

impl Watch<'_, '_> {
    /// Whether the solver, after `step` iterations of this round, has arrived.
    pub fn arrived(&mut self, cost: f64, largest: f64, step: u64) -> bool {
        let first = *self.first.get_or_insert(largest);
        self.context.metric("train/loss", cost, (self.steps_before + step) as i64);
        let share = (first / largest).ln() / (first / self.tol).ln();
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.context.progress(0.3 + 0.7 * share, "fitting weights");
        largest <= self.tol
    }
}

/// At most `iterations` of argmin's L-BFGS: the best parameters, the iterations made, and whether it arrived.
fn lbfgs(
    problem: &Problem<'_>,
    start: Vec<f64>,
    iterations: u64,
    watch: &mut Watch<'_, '_>,
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
struct Watched<'a, 'b, 'c> {
    inner: Lbfgs,
    watch: &'a mut Watch<'b, 'c>,
}

impl<'p, 'd> Solver<Cached<'p, 'd>, Progress> for Watched<'_, '_, '_> {
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
