//! The parameters of the perceptron, under scikit-learn's names.

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_learn::params::Params;

/// What a hidden unit makes of its sum `z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(z, 0)`
    Relu,
    Tanh,
    /// `1 / (1 + exp(-z))`
    Logistic,
    /// `z`: the whole network is then linear.
    Identity,
}

/// How the weights move along the gradient, and what `alpha` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimizer {
    /// Kingma and Ba 2015; `alpha` is scikit-learn's: `alpha / 2 * |W|^2 / batch rows` is added to the loss.
    Adam,
    /// Loshchilov and Hutter 2019; `alpha` is the decoupled decay: each step takes `learning rate * alpha * W` off.
    AdamW,
}

/// Checked parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpParams {
    /// Units of each hidden layer.
    pub hidden_layer_sizes: Vec<usize>,
    pub activation: Activation,
    /// Share of the hidden units that are left out at random of each training row.
    pub dropout: f64,
    /// Penalty on the weights, not the biases; see [`Optimizer`].
    pub alpha: f64,
    pub learning_rate_init: f64,
    /// Rows a step; `None`: 200, or all if there are fewer.
    pub batch_size: Option<usize>,
    /// Epochs at most.
    pub max_iter: u32,
    /// Watch the validation loss, stop when it stays, keep the weights of its best epoch. Otherwise the training loss is watched
    /// and the last weights stay.
    pub early_stopping: bool,
    /// Epochs in a row without an improvement by `tol` that are borne.
    pub n_iter_no_change: u32,
    pub tol: f64,
    /// Share of the training rows that is held out for early stopping when no validation rows are given.
    pub validation_fraction: f64,
    pub optimizer: Optimizer,
}

/// Layers between input and output, at most.
pub(super) const MAX_LAYERS: usize = 4;
/// Units of a hidden layer, at most: four such layers take 200 MB with their moments.
pub(super) const MAX_UNITS: usize = 2_048;

/// Part of a kind's default parameters.
pub fn defaults() -> Value {
    json!({
        "hidden_layer_sizes": [128],
        "activation": "relu",
        "dropout": 0.0,
        "alpha": 1e-4,
        "learning_rate_init": 1e-3,
        "batch_size": "auto",
        "max_iter": 50,
        "early_stopping": true,
        "n_iter_no_change": 10,
        "tol": 1e-4,
        "validation_fraction": 0.1,
        "optimizer": "adam",
    })
}

impl MlpParams {
    /// Reads its names, and no others, from `params`.
    pub fn read(params: &mut Params<'_>) -> Result<Self, Error> {
        Ok(Self {
            hidden_layer_sizes: hidden_layer_sizes(params)?,
            activation: choice(params, "activation", &Activation::ALL, Activation::name)?,
            dropout: params.f64("dropout", 0.0..=0.9)?,
            alpha: params.f64("alpha", 0.0..=1e3)?,
            learning_rate_init: params.f64("learning_rate_init", 1e-7..=10.0)?,
            batch_size: batch_size(params)?,
            max_iter: params.u32("max_iter", 1..=100_000)?,
            early_stopping: params.bool("early_stopping")?,
            n_iter_no_change: params.u32("n_iter_no_change", 1..=100_000)?,
            tol: params.f64("tol", 0.0..=1.0)?,
            validation_fraction: params.f64("validation_fraction", 0.01..=0.5)?,
            optimizer: choice(params, "optimizer", &[Optimizer::Adam, Optimizer::AdamW], Optimizer::name)?,
        })
    }
}

impl Activation {
    pub(super) const ALL: [Self; 4] = [Self::Relu, Self::Tanh, Self::Logistic, Self::Identity];

    /// The name in parameters and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Tanh => "tanh",
            Self::Logistic => "logistic",
            Self::Identity => "identity",
        }
    }
}

impl Optimizer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::AdamW => "adamw",
        }
    }
}

fn choice<T: Copy>(params: &mut Params<'_>, name: &str, all: &[T], of: fn(T) -> &'static str) -> Result<T, Error> {
    let given = params.value(name).as_str();
    let Some(&found) = all.iter().find(|&&one| Some(of(one)) == given) else {
        let names: Vec<&str> = all.iter().map(|&one| of(one)).collect();
        return Err(params.wrong(name, format!("one of {}", names.join(", "))));
    };
    params.record(name, of(found).into());
    Ok(found)
}

/// One number or a list of them; the canonical form is the list.
fn hidden_layer_sizes(params: &mut Params<'_>) -> Result<Vec<usize>, Error> {
    let name = "hidden_layer_sizes";
    let value = params.value(name);
    let given = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let sizes: Option<Vec<usize>> = given.iter().map(|value| whole(value, MAX_UNITS)).collect();
    match sizes {
        Some(sizes) if (1..=MAX_LAYERS).contains(&sizes.len()) => {
            params.record(name, json!(sizes));
            Ok(sizes)
        }
        _ => Err(params.wrong(name, format!("1 to {MAX_LAYERS} whole numbers from 1 to {MAX_UNITS}"))),
    }
}

fn batch_size(params: &mut Params<'_>) -> Result<Option<usize>, Error> {
    const MAX: usize = 4_096;
    let name = "batch_size";
    let value = params.value(name);
    if value == "auto" {
        params.record(name, value.clone());
        return Ok(None);
    }
    match whole(value, MAX) {
        Some(rows) => {
            params.record(name, json!(rows));
            Ok(Some(rows))
        }
        None => Err(params.wrong(name, format!("`auto` or a whole number from 1 to {MAX}"))),
    }
}

/// A whole number from 1 to `max`; clients that know floats only may write it as `2.0`.
fn whole(value: &Value, max: usize) -> Option<usize> {
    value.as_f64().filter(|v| v.fract() == 0.0 && (1.0..=max as f64).contains(v)).map(|v| v as usize)
}
