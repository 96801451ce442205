//! Logistic regression with L2, L1 or elastic-net penalty.
//!
//! Minimises `C * sum of weighted losses + penalty` as scikit-learn does, with the penalty `|w|_2^2 / 2`, `|w|_1`, or
//! `l1_ratio * |w|_1 + (1 - l1_ratio) * |w|_2^2 / 2`; the biases are not penalised. The optimum is unique, so over sparse rows the seed
//! plays no part. Of several `C` each fit begins where the one before ended, and the one with the lowest log-loss on the validation
//! rows is taken.

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_features::pipeline::Matrix;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, Model, ModelFile};

use super::dense::DenseDesign;
use super::loss::{Design, Problem, Targets};
use super::model::{LinearModel, Link};
use super::series::Series;
use super::solve::SolverOptions;
use super::sparse::SparseDesign;
use super::{Present, expand};
use crate::features::{Takes, object};
use crate::trainer::{Fit, Kind};

pub(crate) struct LogisticRegression;

const LINK: Link = Link::Softmax;

pub(crate) struct Options {
    /// Inverse of the penalty; several, ascending, to choose from by validation.
    c: Vec<f64>,
    /// Share of the L1 penalty: 0 for L2, 1 for L1, between them the elastic net.
    l1_ratio: f64,
    solver: SolverOptions,
}

impl Kind for LogisticRegression {
    const NAME: &'static str = "logreg";
    const TAKES: Takes = Takes::Either;
    type Options = Options;

    /// `C` and `numeric_weight` are measured: docs/adr/0001-defaults-of-logistic-regression.md.
    fn defaults() -> Value {
        let mut defaults = object(json!({ "C": 5.0, "penalty": "l2", "l1_ratio": 0.5 }));
        defaults.extend(SolverOptions::defaults());
        Value::Object(defaults)
    }

    fn read(params: &mut Params<'_>) -> Result<Options, Error> {
        Ok(Options { c: inverse_penalties(params)?, l1_ratio: l1_ratio(params)?, solver: SolverOptions::read(params)? })
    }

    fn curves(_: &Options) -> &'static [&'static str] {
        &["train/loss"]
    }

    fn learn(fit: Fit<'_>, options: &Options) -> Result<Box<dyn Model>, Error> {
        let Fit { data, params, weights, vectorizer, matrix, context } = fit;
        let judged = data.validation.as_ref().filter(|_| options.c.len() > 1);
        let judged = judged.map(|rows| Ok((vectorizer.transform(rows.rows(), context.stop)?, rows.labels.as_slice())));
        let judged: Option<(Matrix, &[u32])> = judged.transpose()?;
        if judged.is_none() && options.c.len() > 1 {
            let text = "has several values, but there are no validation rows to choose by; give one, or a split with validation rows";
            return Err(Error::invalid("params.C", text));
        }
        let present = Present::of(data, &weights);
        let sum: f64 = weights.iter().sum();
        let targets = Targets::new(&present.labels, &weights, sum, present.classes.len());
        let design = design(&matrix);
        let length = (design.width() + 1) * targets.columns;
        let mut series = Series::begin(&context, options.solver, options.c.len(), length)?;
        while let Some(at) = series.next() {
            let problem = Problem::new(design.as_ref(), &targets, options.c[at], options.l1_ratio, sum, context.stop);
            series.solve(&problem, true)?;
        }
        let mut fitted = series.finish();
        let chosen = match &judged {
            Some((matrix, labels)) => choose(&fitted, &options.c, matrix, labels, &present, &context)?,
            None => 0,
        };
        let weights =
            expand(&fitted.swap_remove(chosen), vectorizer.width(), data.contract.classes.len(), &present.classes);
        let kind = (Self::NAME, LINK);
        Ok(Box::new(LinearModel::new(kind, data.contract.clone(), params, vectorizer, weights)?))
    }

    fn load(file: &ModelFile, params: Value) -> Result<Box<dyn Model>, Error> {
        Ok(Box::new(LinearModel::load((Self::NAME, LINK), file, params)?))
    }
}

fn design(matrix: &Matrix) -> Box<dyn Design + '_> {
    match matrix {
        Matrix::Sparse(matrix) => Box::new(SparseDesign::new(matrix)),
        Matrix::Dense(matrix) => Box::new(DenseDesign::new(matrix)),
    }
}

/// The place of the solution with the lowest log-loss on rows that it was not fitted on, the strongest penalty of equals. Rows of
/// classes that did not occur in training say nothing about the penalty and are left out.
fn choose(
    fitted: &[Vec<f64>],
    penalties: &[f64],
    matrix: &Matrix,
    labels: &[u32],
    present: &Present,
    context: &FitContext<'_>,
) -> Result<usize, Error> {
    let places: Vec<Option<u32>> = labels.iter().map(|&label| present.place(label)).collect();
    let weights: Vec<f64> = places.iter().map(|place| f64::from(u8::from(place.is_some()))).collect();
    let labels: Vec<u32> = places.into_iter().map(Option::unwrap_or_default).collect();
    // No row at all: every loss is 0.
    let sum = weights.iter().sum::<f64>().max(1.0);
    let targets = Targets::new(&labels, &weights, sum, present.classes.len());
    let design = design(matrix);
    let mut best = (f64::INFINITY, 0);
    for (at, solution) in fitted.iter().enumerate() {
        let (loss, _) = design.evaluate(&targets, solution, context.stop)?;
        context.metric("val/log_loss_of_path", loss, at as i64);
        if loss < best.0 {
            best = (loss, at);
        }
    }
    context.metric("train/C", penalties[best.1], 0);
    Ok(best.1)
}

fn inverse_penalties(params: &mut Params<'_>) -> Result<Vec<f64>, Error> {
    const MOST: usize = 100;
    let name = "C";
    let Value::Array(path) = params.value(name) else { return Ok(vec![params.f64(name, 1e-8..=1e8)?]) };
    let path: Option<Vec<f64>> =
        path.iter().map(|value| value.as_f64().filter(|value| (1e-8..=1e8).contains(value))).collect();
    match path.filter(|path| (1..=MOST).contains(&path.len()) && path.is_sorted_by(|a, b| a < b)) {
        Some(path) => {
            params.record(name, json!(path));
            Ok(path)
        }
        None => Err(params.wrong(name, "a number from 1e-8 to 1e8, or 1 to 100 of them that ascend")),
    }
}

fn l1_ratio(params: &mut Params<'_>) -> Result<f64, Error> {
    let ratio = params.f64("l1_ratio", 0.0..=1.0)?;
    let name = "penalty";
    let penalty = params.value(name);
    let ratio = match penalty.as_str() {
        Some("l2") => 0.0,
        Some("l1") => 1.0,
        Some("elastic_net") => ratio,
        _ => return Err(params.wrong(name, "`l2`, `l1` or `elastic_net`")),
    };
    params.record(name, penalty.clone());
    Ok(ratio)
}
