//! Minimising the loss with argmin's L-BFGS.

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
use super::options::Options;

/// Pairs of steps that L-BFGS remembers.
const MEMORY: usize = 10;

type Search = MoreThuenteLineSearch<Vec<f64>, Vec<f64>, f64>;
type Lbfgs = LBFGS<Search, Vec<f64>, Vec<f64>, f64>;
type Progress = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Returns the parameters at the minimum, and logs how it got there. Reaching `max_iter` is no error: `train/converged` is then 0.
pub(super) fn minimise(problem: &Problem<'_>, options: &Options, context: &FitContext<'_>) -> Result<Vec<f64>, Error> {
    let cached = Cached { problem, last: Mutex::new(None) };
    let inner = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_grad(0.0)
        .and_then(|solver| solver.with_tolerance_cost(0.0))
        .map_err(Error::internal)?;
    let watched = Watched { inner, tol: options.tol, first: None, context };
    let start = vec![0.0; problem.len()];
    let outcome = Executor::new(cached, watched)
        .configure(|state| state.param(start).max_iters(u64::from(options.max_iter)))
        .timer(false)
        .run();
    context.stop.check()?;
    let mut state = outcome.map_err(|error| Error::internal(format!("logistic regression failed: {error}")))?.state;
    // A line search that finds nothing better has come as far as these numbers allow.
    let converged = matches!(
        state.get_termination_reason(),
        Some(TerminationReason::SolverConverged | TerminationReason::SolverExit(_))
    );
    context.metric("train/iterations", state.get_iter() as f64, 0);
    context.metric("train/converged", f64::from(u8::from(converged)), 0);
    let best = state.take_best_param().filter(|best| best.iter().all(|value| value.is_finite()));
    best.ok_or_else(|| Error::internal("logistic regression left the finite numbers"))
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

/// L-BFGS that stops by the largest entry of the gradient, as scikit-learn does, and tells how far it is.
struct Watched<'a, 'b> {
    inner: Lbfgs,
    tol: f64,
    /// The largest entry at the start.
    first: Option<f64>,
    context: &'a FitContext<'b>,
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
        let first = *self.first.get_or_insert(largest);
        self.context.metric("train/loss", state.get_cost(), state.get_iter() as i64);
        let share = (first / largest).ln() / (first / self.tol).ln();
        self.context
            .progress(0.3 + 0.7 * if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }, "fitting weights");
        if largest <= self.tol {
            return TerminationStatus::Terminated(TerminationReason::SolverConverged);
        }
        TerminationStatus::NotTerminated
    }
}
