//! What the kinds over dense rows have in common: components of the text and numbers in, probabilities out.

mod hold_out;
pub(crate) mod importance;
mod model;

use std::marker::PhantomData;

use serde_json::Value;
use tenor_domain::Error;
use tenor_domain::predict::Attribution;
use tenor_features::arrays::Arrays;
use tenor_features::dense::DenseMatrix;
use tenor_features::pipeline::Matrix;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, Model, ModelFile, ModelSize, onnx};

use crate::features::Takes;
use crate::trainer::{Fit, Kind};
pub(crate) use hold_out::hold_out;
use model::DenseModel;

/// Rows, labels and weights to learn from.
#[derive(Clone, Copy)]
pub(crate) struct Training<'a> {
    pub matrix: &'a DenseMatrix,
    pub labels: &'a [u32],
    pub classes: usize,
    /// One a row.
    pub weights: &'a [f32],
    /// Rows to stop early by.
    pub validation: Option<(&'a DenseMatrix, &'a [u32])>,
}

impl Training<'_> {
    /// An error that names what does not belong together.
    pub fn check(&self) -> Result<(), Error> {
        check_rows("training", self.matrix, self.labels, self.classes)?;
        if self.weights.len() != self.labels.len() {
            let text = format!("must be one a row: {} for {} rows", self.weights.len(), self.labels.len());
            return Err(Error::invalid("weights", text));
        }
        if let Some(row) = self.weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            let text = format!("must be finite and not negative; row {row} has {}", self.weights[row]);
            return Err(Error::invalid("weights", text));
        }
        let Some((matrix, labels)) = self.validation.filter(|(_, labels)| !labels.is_empty()) else { return Ok(()) };
        check_rows("validation", matrix, labels, self.classes)?;
        if matrix.width != self.matrix.width {
            let text = format!("of the validation rows have {} columns, not {}", matrix.width, self.matrix.width);
            return Err(Error::invalid("features", text));
        }
        Ok(())
    }
}

/// An error unless there is one label below `classes` for each row.
pub(crate) fn check_rows(which: &str, matrix: &DenseMatrix, labels: &[u32], classes: usize) -> Result<(), Error> {
    if matrix.width == 0 && !labels.is_empty() {
        let text = format!("of the {which} rows have no columns; there must be at least one");
        return Err(Error::invalid("features", text));
    }
    if matrix.rows() != labels.len() || u32::try_from(labels.len()).is_err() {
        return Err(Error::invalid("labels", format!("are {} for {} {which} rows", labels.len(), matrix.rows())));
    }
    match labels.iter().position(|&label| label as usize >= classes) {
        Some(row) => {
            let text = format!("must be below {classes}; {which} row {row} has {}", labels[row]);
            Err(Error::invalid("labels", text))
        }
        None => Ok(()),
    }
}

/// A kind of model over dense rows.
pub(crate) trait Learner: Send + Sync + Sized + 'static {
    /// The name of the kind.
    const KIND: &'static str;
    const ATTRIBUTION: Attribution;
    /// Its own parameters, without those of the features.
    type Options: Send + Sync;

    fn defaults() -> Value;
    fn read(params: &mut Params<'_>) -> Result<Self::Options, Error>;
    /// The metrics that a fit tells step by step.
    fn curves(options: &Self::Options) -> &'static [&'static str];
    /// Whether [`fit`](Self::fit) looks at the validation rows.
    fn wants_validation(options: &Self::Options) -> bool;
    /// Learns on the threads of the current pool; same bits on any number of them, and after going on from a checkpoint.
    fn fit(training: Training<'_>, options: &Self::Options, context: &FitContext<'_>) -> Result<Self, Error>;
    /// Writes the probability of each class of a row as wide as the matrix was. They are finite and add up to 1. Allocates nothing once
    /// `scratch` has grown.
    fn predict_into(&self, row: &[f32], scratch: &mut Vec<f32>, probabilities: &mut [f64]);
    /// Writes what each column adds to the score of `class`; returns the bias and the score: `score = bias + sum`.
    fn attribute(&self, row: &[f32], class: usize, contributions: &mut [f64]) -> (f64, f64);
    /// How much each column matters, adding up to 1; empty when the kind cannot tell.
    fn importances(&self) -> Vec<f64>;
    /// The learner, from rows of `width` columns on; `None` when it has no such form.
    fn onnx(&self, width: usize, options: &onnx::Options<'_>) -> Result<Option<Vec<u8>>, Error>;
    fn size(&self) -> ModelSize;
    fn save(&self, arrays: &mut Arrays);
    /// Reads what [`save`](Self::save) stored, for rows of `width` columns; never trusts it.
    fn load(arrays: &Arrays, width: usize, classes: usize) -> Result<Self, Error>;
}

/// The kind whose models `L` learns.
pub(crate) struct Dense<L>(PhantomData<L>);

impl<L: Learner> Kind for Dense<L> {
    const NAME: &'static str = L::KIND;
    const TAKES: Takes = Takes::Dense;
    type Options = L::Options;

    fn defaults() -> Value {
        L::defaults()
    }

    fn read(params: &mut Params<'_>) -> Result<L::Options, Error> {
        L::read(params)
    }

    fn curves(options: &L::Options) -> &'static [&'static str] {
        L::curves(options)
    }

    fn learn(fit: Fit<'_>, options: &L::Options) -> Result<Box<dyn Model>, Error> {
        let Fit { data, params, weights, vectorizer, matrix, context } = fit;
        let judged = data.validation.as_ref().filter(|_| L::wants_validation(options));
        let validation = judged.map(|rows| dense(vectorizer.transform(rows.rows(), context.stop)?)).transpose()?;
        let training = Training {
            matrix: &dense(matrix)?,
            labels: &data.train.labels,
            classes: data.contract.classes.len(),
            weights: &weights.into_iter().map(|weight| weight as f32).collect::<Vec<_>>(),
            validation: validation.as_ref().zip(judged).map(|(matrix, rows)| (matrix, rows.labels.as_slice())),
        };
        let learner = L::fit(training, options, &context)?;
        Ok(Box::new(DenseModel::new(data.contract.clone(), params, vectorizer, learner)))
    }

    fn load(file: &ModelFile, params: Value) -> Result<Box<dyn Model>, Error> {
        Ok(Box::new(DenseModel::<L>::load(file, params)?))
    }
}

fn dense(matrix: Matrix) -> Result<DenseMatrix, Error> {
    match matrix {
        Matrix::Dense(matrix) => Ok(matrix),
        Matrix::Sparse(_) => Err(Error::internal("dense rows were asked for, sparse ones came")),
    }
}
