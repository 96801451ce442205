//! Several fits one after the other, as one training: its metrics, its progress and its checkpoints.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};
use tenor_learn::FitContext;

use super::loss::Problem;
use super::solve::{SolverOptions, Start, Watch, minimise};

/// How far along the series a training is.
pub(super) struct Series<'a> {
    context: &'a FitContext<'a>,
    options: SolverOptions,
    count: usize,
    /// Parameters of one fit.
    length: usize,
    fitted: Vec<Vec<f64>>,
    /// Of the fits that have ended.
    iterations: u64,
    converged: bool,
    start: Start,
}

impl<'a> Series<'a> {
    /// A series of `count` fits with `length` parameters each: from the beginning, at zero, or from the last checkpoint.
    pub fn begin(
        context: &'a FitContext<'a>,
        options: SolverOptions,
        count: usize,
        length: usize,
    ) -> Result<Self, Error> {
        let start = Start { parameters: vec![0.0; length], iterations: 0 };
        let fresh = Self { context, options, count, length, fitted: Vec::new(), iterations: 0, converged: true, start };
        let kept = context.resume(|state| {
            let (fitted, parameters) = (state.f64s("series.fitted")?, state.f64s("series.parameters")?);
            let &[iterations, before, converged] = state.u64s("series.state")? else {
                return Err(broken("series.state", "must hold three numbers"));
            };
            if parameters.len() != length || !fitted.len().is_multiple_of(length) || fitted.len() / length >= count {
                return Err(broken("series.parameters", "does not belong to this fit"));
            }
            let fitted = fitted.chunks_exact(length).map(<[f64]>::to_vec).collect();
            let start = Start { parameters: parameters.to_vec(), iterations };
            Ok((fitted, start, before, converged == 1))
        })?;
        Ok(match kept {
            Some((fitted, start, iterations, converged)) => Self { fitted, start, iterations, converged, ..fresh },
            None => fresh,
        })
    }

    /// The number of the fit that is to be made.
    pub fn next(&self) -> Option<usize> {
        Some(self.fitted.len()).filter(|&at| at < self.count)
    }

    /// Makes the next fit. The one after begins where this one ends if `warm`, else at zero.
    pub fn solve(&mut self, problem: &Problem<'_>, warm: bool) -> Result<(), Error> {
        let context = self.context;
        let (ended, count) = (self.fitted.len() as f64, self.count as f64);
        let on_progress = |share: f64, what: &str| context.progress((ended + share) / count, what);
        let of_fit = FitContext { on_progress: &on_progress, ..*context };
        // Each fit has one more step than iterations: where it began.
        let first_step = self.iterations + self.fitted.len() as u64;
        let watch = Watch::new(self.options.tol, first_step, &of_fit);
        let keep = |at: &Start| context.checkpoint(|| self.state(at));
        let (end, converged) = minimise(problem, self.start.clone(), self.options, watch, &keep)?;
        let parameters = if warm { end.parameters.clone() } else { vec![0.0; self.length] };
        self.start = Start { parameters, iterations: 0 };
        self.fitted.push(end.parameters);
        self.iterations += end.iterations;
        self.converged &= converged;
        match self.next() {
            Some(_) => context.checkpoint(|| self.state(&self.start)),
            None => Ok(()),
        }
    }

    /// The solutions, in their order. Reaching `max_iter` is no error: `train/converged` is then 0.
    pub fn finish(self) -> Vec<Vec<f64>> {
        self.context.metric("train/iterations", self.iterations as f64, 0);
        self.context.metric("train/converged", f64::from(u8::from(self.converged)), 0);
        self.fitted
    }

    fn state(&self, at: &Start) -> Arrays {
        let mut arrays = Arrays::default();
        arrays.insert("series.fitted", Array::F64(self.fitted.concat()));
        arrays.insert("series.parameters", Array::F64(at.parameters.clone()));
        let state = vec![at.iterations, self.iterations, u64::from(self.converged)];
        arrays.insert("series.state", Array::U64(state));
        arrays
    }
}
