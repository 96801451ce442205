//! Fits along a path of penalties, each from where the last one ended, and the choice among them.

use tenor_domain::Error;
use tenor_features::arrays::{Array, Arrays, broken};
use tenor_learn::metrics::log_loss;
use tenor_learn::{Examples, FitContext, Model, predict_all};

use super::loss::{Design, Problem, Targets};
use super::model::LinearModel;
use super::options::Options;
use super::solve::{Start, minimise};

/// One objective under several penalties.
pub(super) struct Path<'a> {
    pub design: &'a dyn Design,
    pub targets: &'a Targets<'a>,
    /// Of the row weights.
    pub sum: f64,
    pub options: &'a Options,
}

/// The solution under the one penalty; of several, that with the lowest log-loss on `validation`, the strongest of equals.
pub(super) fn choose(
    path: &Path<'_>,
    validation: Option<&Examples>,
    context: &FitContext<'_>,
    model: &dyn Fn(&[f64]) -> Result<LinearModel, Error>,
) -> Result<Vec<f64>, Error> {
    let penalties = &path.options.c;
    let judged = match validation.filter(|rows| !rows.is_empty()) {
        Some(rows) => Some(rows),
        None if penalties.len() == 1 => None,
        None => {
            let text = "has several values, but there are no validation rows to choose by; give one, or a split with validation rows";
            return Err(Error::invalid("params.C", text));
        }
    };
    let length = (path.design.width() + 1) * path.targets.columns;
    let mut state = State::resume(context, length, penalties.len())?;
    while state.fitted.len() < penalties.len() {
        let c = penalties[state.fitted.len()];
        let problem = Problem::new(path.design, path.targets, c, path.options.l1_ratio, path.sum, context.stop);
        let keep = |at: &Start| context.checkpoint(|| state.with(at));
        let solution = minimise(&problem, state.start.clone(), path.options.solver, context, &keep)?;
        state.start = Start::at(solution.clone());
        state.fitted.push(solution);
    }
    match judged {
        Some(rows) if penalties.len() > 1 => best(path, &state.fitted, rows, context, model),
        _ => state.fitted.pop().ok_or_else(|| Error::internal("a path without penalties")),
    }
}

fn best(
    path: &Path<'_>,
    fitted: &[Vec<f64>],
    rows: &Examples,
    context: &FitContext<'_>,
    model: &dyn Fn(&[f64]) -> Result<LinearModel, Error>,
) -> Result<Vec<f64>, Error> {
    let mut best: Option<(f64, usize)> = None;
    for (at, solution) in fitted.iter().enumerate() {
        let model = model(solution)?;
        let probabilities = predict_all(&model, rows, context.stop)?;
        let loss = log_loss(&rows.labels, &probabilities, model.classes().len());
        context.metric("val/log_loss_of_path", loss, at as i64);
        if best.is_none_or(|(lowest, _)| loss < lowest) {
            best = Some((loss, at));
        }
    }
    let at = best.map_or(0, |(_, at)| at);
    context.metric("train/C", path.options.c[at], 0);
    Ok(fitted[at].clone())
}

/// How far along the path a fit is.
struct State {
    fitted: Vec<Vec<f64>>,
    start: Start,
}

impl State {
    /// From the beginning, at zero, or from the last checkpoint.
    fn resume(context: &FitContext<'_>, length: usize, penalties: usize) -> Result<Self, Error> {
        let Some(kept) = context.resume()? else {
            return Ok(Self { fitted: Vec::new(), start: Start::at(vec![0.0; length]) });
        };
        let fitted = kept.f64s("path.fitted")?;
        let parameters = kept.f64s("path.parameters")?.to_vec();
        if parameters.len() != length || fitted.len() % length != 0 || fitted.len() / length >= penalties {
            return Err(broken("path.parameters", "does not belong to this fit"));
        }
        let fitted = fitted.chunks_exact(length).map(<[f64]>::to_vec).collect();
        Ok(Self { fitted, start: Start { parameters, iterations: kept.u64("path.iterations")? } })
    }

    fn with(&self, at: &Start) -> Arrays {
        let mut arrays = Arrays::default();
        arrays.insert("path.fitted", Array::F64(self.fitted.concat()));
        arrays.insert("path.parameters", Array::F64(at.parameters.clone()));
        arrays.insert("path.iterations", Array::U64(vec![at.iterations]));
        arrays
    }
}
