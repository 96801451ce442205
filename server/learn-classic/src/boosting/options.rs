//! The parameters of histogram gradient boosting.

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_learn::params::Params;

use crate::trees::binner::MAX_BINS;

/// Whether to stop when the validation loss no longer falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyStopping {
    /// With more than 10,000 rows, as scikit-learn does.
    Auto,
    On,
    Off,
}

impl EarlyStopping {
    pub fn wanted(self, rows: usize) -> bool {
        match self {
            Self::Auto => rows > 10_000,
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// Checked parameters, by scikit-learn's names.
#[derive(Debug, Clone)]
pub struct BoostingParams {
    pub learning_rate: f64,
    pub max_iter: u32,
    /// No limit when `None`; of this and the next, whichever comes first.
    pub max_leaf_nodes: Option<u32>,
    pub max_depth: Option<u32>,
    pub min_samples_leaf: u32,
    pub l2_regularization: f64,
    /// Share of the columns that a split looks at: `max_split_features`, since `max_features` is the number of terms.
    pub max_features: f64,
    pub max_bins: u32,
    pub early_stopping: EarlyStopping,
    /// Share of the rows held out for early stopping when there is no validation part.
    pub validation_fraction: f64,
    pub n_iter_no_change: u32,
    pub tol: f64,
}

/// scikit-learn's.
pub fn defaults() -> Value {
    json!({
        "learning_rate": 0.1,
        "max_iter": 100,
        "max_leaf_nodes": 31,
        "max_depth": null,
        "min_samples_leaf": 20,
        "l2_regularization": 0.0,
        "max_split_features": 1.0,
        "max_bins": 255,
        "early_stopping": "auto",
        "validation_fraction": 0.1,
        "n_iter_no_change": 10,
        "tol": 1e-7,
    })
}

impl BoostingParams {
    /// Reads its parameters out of `params`, whose defaults must hold [`defaults`].
    pub fn read(params: &mut Params<'_>) -> Result<Self, Error> {
        Ok(Self {
            learning_rate: params.f64("learning_rate", 1e-6..=10.0)?,
            max_iter: params.u32("max_iter", 1..=100_000)?,
            max_leaf_nodes: params.optional_u32("max_leaf_nodes", 2..=1_000_000)?,
            max_depth: params.optional_u32("max_depth", 1..=1_000)?,
            min_samples_leaf: params.u32("min_samples_leaf", 1..=u32::MAX)?,
            l2_regularization: params.f64("l2_regularization", 0.0..=1e9)?,
            max_features: params.f64("max_split_features", 1e-6..=1.0)?,
            max_bins: params.u32("max_bins", 2..=MAX_BINS)?,
            early_stopping: early_stopping(params)?,
            validation_fraction: params.f64("validation_fraction", 1e-6..=0.9)?,
            n_iter_no_change: params.u32("n_iter_no_change", 1..=100_000)?,
            tol: params.f64("tol", 0.0..=1e3)?,
        })
    }
}

fn early_stopping(params: &mut Params<'_>) -> Result<EarlyStopping, Error> {
    let name = "early_stopping";
    let value = params.value(name);
    let wanted = match value {
        Value::String(text) if text == "auto" => EarlyStopping::Auto,
        Value::Bool(true) => EarlyStopping::On,
        Value::Bool(false) => EarlyStopping::Off,
        _ => return Err(params.wrong(name, "`auto`, true or false")),
    };
    params.record(name, value.clone());
    Ok(wanted)
}
