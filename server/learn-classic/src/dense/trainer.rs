//! Fitting a learner: features, weights, then the learner's own work.

use std::marker::PhantomData;

use serde_json::Value;
use tenor_domain::Error;
use tenor_features::pipeline::{Matrix, Vectorizer, VectorizerParams};
use tenor_learn::params::Params;
use tenor_learn::{Examples, FitContext, Model, ModelFile, Trainer, TrainingData};

use super::model::DenseModel;
use super::{Learner, Training, defaults};
use crate::features::{self, vectorize};
use crate::weights::RowWeights;

/// The trainer of the kind that `L` learns.
#[derive(Debug)]
pub(crate) struct DenseTrainer<L>(PhantomData<fn() -> L>);

impl<L> Default for DenseTrainer<L> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

struct Options<L: Learner> {
    learner: L::Options,
    weights: RowWeights,
    vectorizer: VectorizerParams,
}

fn read<L: Learner>(given: &Value) -> Result<(Options<L>, Value), Error> {
    let defaults = defaults::<L>();
    let mut params = Params::new(given, &defaults)?;
    let options = Options {
        learner: L::read(&mut params)?,
        weights: RowWeights::read(&mut params)?,
        vectorizer: features::read_dense(&mut params)?,
    };
    Ok((options, params.complete()))
}

impl<L: Learner> Trainer for DenseTrainer<L> {
    fn kind(&self) -> &'static str {
        L::KIND
    }

    fn default_params(&self) -> Value {
        defaults::<L>()
    }

    fn check_params(&self, params: &Value) -> Result<Value, Error> {
        Ok(read::<L>(params)?.1)
    }

    fn fit(&self, data: &TrainingData, params: &Value, context: &FitContext<'_>) -> Result<Box<dyn Model>, Error> {
        let (options, params) = read::<L>(params)?;
        data.check()?;
        let weights: Vec<f32> = options.weights.of(data)?.into_iter().map(|weight| weight as f32).collect();
        context.in_pool(|| {
            let (vectorizer, matrix) = vectorize(data, &options.vectorizer, context)?;
            let matrix = dense(matrix)?;
            let judged = data.validation.as_ref().filter(|_| L::wants_validation(&options.learner));
            let validation = judged.map(|rows| transform(&vectorizer, rows, context)).transpose()?;
            let training = Training {
                matrix: &matrix,
                labels: &data.train.labels,
                classes: data.contract.classes.len(),
                weights: &weights,
                validation: validation.as_ref().zip(judged).map(|(matrix, rows)| (matrix, rows.labels.as_slice())),
            };
            let later = |share: f64, what: &str| context.progress(0.3 + 0.7 * share, what);
            let learner = L::fit(training, &options.learner, &FitContext { on_progress: &later, ..*context })?;
            context.progress(1.0, "fitted");
            Ok(Box::new(DenseModel::new(data.contract.clone(), params, vectorizer, learner)) as Box<dyn Model>)
        })
    }

    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error> {
        file.expect_kind(L::KIND)?;
        let (_, params) = read::<L>(&file.header.params)?;
        Ok(Box::new(DenseModel::<L>::load(file, params)?))
    }
}

fn transform(
    vectorizer: &Vectorizer,
    rows: &Examples,
    context: &FitContext<'_>,
) -> Result<tenor_features::dense::DenseMatrix, Error> {
    dense(vectorizer.transform(rows.rows(), context.stop)?)
}

fn dense(matrix: Matrix) -> Result<tenor_features::dense::DenseMatrix, Error> {
    match matrix {
        Matrix::Dense(matrix) => Ok(matrix),
        Matrix::Sparse(_) => Err(Error::internal("dense rows were asked for, sparse ones came")),
    }
}
