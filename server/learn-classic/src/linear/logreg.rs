//! Logistic regression with L2, L1 or elastic-net penalty.
//!
//! Minimises `C * sum of weighted losses + penalty` as scikit-learn does, with the penalty `|w|_2^2 / 2`, `|w|_1`, or
//! `l1_ratio * |w|_1 + (1 - l1_ratio) * |w|_2^2 / 2`; the biases are not penalised. The optimum is unique, so over sparse rows the seed
//! plays no part.

use serde_json::Value;
use tenor_domain::Error;
use tenor_features::pipeline::Matrix;
use tenor_learn::{FitContext, Model, ModelFile, Trainer, TrainingData};

use super::dense::DenseDesign;
use super::loss::{Design, Targets};
use super::model::{LinearModel, Link};
use super::options::{Options, defaults};
use super::path::{self, Path};
use super::sparse::SparseDesign;
use super::{Present, expand};
use crate::features::vectorize;

/// The trainer of kind `logreg`.
#[derive(Debug, Clone, Copy)]
pub struct LogisticRegression;

const KIND: (&str, Link) = ("logreg", Link::Softmax);

impl Trainer for LogisticRegression {
    fn kind(&self) -> &'static str {
        KIND.0
    }

    fn default_params(&self) -> Value {
        defaults()
    }

    fn check_params(&self, params: &Value) -> Result<Value, Error> {
        Ok(Options::read(params)?.1)
    }

    fn fit(&self, data: &TrainingData, params: &Value, context: &FitContext<'_>) -> Result<Box<dyn Model>, Error> {
        let (options, params) = Options::read(params)?;
        data.check()?;
        let weights = options.weights.of(data)?;
        context.in_pool(|| {
            let (vectorizer, matrix) = vectorize(data, &options.vectorizer, context)?;
            let present = Present::of(data, &weights);
            let sum: f64 = weights.iter().sum();
            let targets = Targets::new(&present.labels, &weights, sum, present.classes.len());
            let design: Box<dyn Design + '_> = match &matrix {
                Matrix::Sparse(matrix) => Box::new(SparseDesign::new(matrix)),
                Matrix::Dense(matrix) => Box::new(DenseDesign::new(matrix)),
            };
            let path = Path { design: design.as_ref(), targets: &targets, sum, options: &options };
            let classes = data.contract.classes.len();
            let (width, kinds) = (vectorizer.width(), &present.classes);
            let model = |solution: &[f64]| {
                let weights = expand(solution, width, classes, kinds);
                LinearModel::new(KIND, data.contract.clone(), params.clone(), vectorizer.clone(), weights)
            };
            let solution = path::choose(&path, data.validation.as_ref(), context, &model)?;
            context.progress(1.0, "fitted");
            Ok(Box::new(model(&solution)?) as Box<dyn Model>)
        })
    }

    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error> {
        file.expect_kind(KIND.0)?;
        let (_, params) = Options::read(&file.header.params)?;
        Ok(Box::new(LinearModel::load(KIND, file, params)?))
    }
}
