//! The parameters of logistic regression.

use serde_json::{Map, Value, json};
use tenor_domain::Error;
use tenor_features::pipeline::VectorizerParams;
use tenor_learn::params::Params;

use crate::features::{self, object};
use crate::weights::RowWeights;

/// When the solver stops.
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

/// Checked parameters.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Inverse of the penalty; several, ascending, to choose from by validation.
    pub c: Vec<f64>,
    /// Share of the L1 penalty: 0 for L2, 1 for L1, between them the elastic net.
    pub l1_ratio: f64,
    pub solver: SolverOptions,
    pub weights: RowWeights,
    pub vectorizer: VectorizerParams,
}

/// `C`: inverse of the penalty, one or, ascending, several to choose from by log-loss on the validation rows. `tol`: the largest entry
/// of the gradient, of the mean loss, at which to stop. `C` and `numeric_weight` are measured:
/// docs/adr/0001-defaults-of-logistic-regression.md.
pub(super) fn defaults() -> Value {
    let mut defaults = object(json!({ "C": 5.0, "penalty": "l2", "l1_ratio": 0.5 }));
    defaults.extend(SolverOptions::defaults());
    defaults.extend(RowWeights::defaults());
    defaults.extend(features::sparse_defaults());
    Value::Object(defaults)
}

impl Options {
    /// Reads `given`; returns the completed parameters as well.
    pub fn read(given: &Value) -> Result<(Self, Value), Error> {
        let defaults = defaults();
        let mut params = Params::new(given, &defaults)?;
        let options = Self {
            c: inverse_penalties(&mut params)?,
            l1_ratio: l1_ratio(&mut params)?,
            solver: SolverOptions::read(&mut params)?,
            weights: RowWeights::read(&mut params)?,
            vectorizer: features::read(&mut params)?,
        };
        Ok((options, params.complete()))
    }
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
