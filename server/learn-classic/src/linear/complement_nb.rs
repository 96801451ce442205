//! Complement naive Bayes (Rennie et al. 2003, "Tackling the poor assumptions of naive Bayes text classifiers"), as scikit-learn's
//! `ComplementNB` has it.
//!
//! With `n` the smoothed sum of a term's values over the rows of all *other* classes, the weight of a term is `-ln(n / sum of n)`, divided
//! by the sum of the class's weights when `norm` is set; probabilities are the softmax of the scores. Numeric columns may be
//! negative and are not used. Fast, hard to beat on short unbalanced texts, badly calibrated: see the calibration of a training.

use serde_json::{Map, Value, json};
use tenor_domain::Error;
use tenor_features::pipeline::{Matrix, VectorizerParams};
use tenor_features::sparse::CsrMatrix;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, Model, ModelFile, Trainer, TrainingData};

use super::model::{LinearModel, Link};
use super::{Present, expand};
use crate::features::{self, object, vectorize};
use crate::weights::RowWeights;

/// The trainer of kind `complement_nb`.
#[derive(Debug, Clone, Copy)]
pub struct ComplementNb;

const KIND: (&str, Link) = ("complement_nb", Link::Softmax);

struct Options {
    /// Smoothing of the sums.
    alpha: f64,
    norm: bool,
    weights: RowWeights,
    vectorizer: VectorizerParams,
}

fn defaults() -> Value {
    let mut defaults: Map<String, Value> = object(json!({ "alpha": 1.0, "norm": false }));
    defaults.extend(RowWeights::defaults());
    defaults.extend(features::sparse_defaults());
    for name in ["svd_components", "numeric_weight", "use_numeric"] {
        defaults.remove(name);
    }
    Value::Object(defaults)
}

impl Options {
    fn read(given: &Value) -> Result<(Self, Value), Error> {
        let defaults = defaults();
        let mut params = Params::new(given, &defaults)?;
        let options = Self {
            alpha: params.f64("alpha", 1e-6..=1e6)?,
            norm: params.bool("norm")?,
            weights: RowWeights::read(&mut params)?,
            vectorizer: features::read_terms(&mut params)?,
        };
        Ok((options, params.complete()))
    }
}

impl Trainer for ComplementNb {
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
            let Matrix::Sparse(matrix) = matrix else { return Err(Error::internal("complement_nb needs sparse rows")) };
            let present = Present::of(data, &weights);
            let solution = solve(&matrix, &present, &weights, &options);
            context.progress(1.0, "fitted");
            let fitted = expand(&solution, matrix.width, data.contract.classes.len(), &present.classes);
            let model = LinearModel::new(KIND, data.contract.clone(), params, vectorizer, fitted)?;
            Ok(Box::new(model) as Box<dyn Model>)
        })
    }

    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error> {
        file.expect_kind(KIND.0)?;
        let (_, params) = Options::read(&file.header.params)?;
        Ok(Box::new(LinearModel::load(KIND, file, params)?))
    }
}

/// Features x columns, row-major, then the biases, which are 0; one column, the second class less the first, for two classes.
fn solve(matrix: &CsrMatrix, present: &Present, weights: &[f64], options: &Options) -> Vec<f64> {
    let classes = present.classes.len();
    let mut sums = vec![0.0; matrix.width * classes];
    for (row, (&label, &weight)) in present.labels.iter().zip(weights).enumerate() {
        for (column, value) in matrix.row(row).iter() {
            sums[column * classes + label as usize] += weight * f64::from(value);
        }
    }
    let mut totals = vec![0.0; classes];
    for of_term in sums.chunks_exact_mut(classes) {
        let all: f64 = of_term.iter().sum();
        for (sum, total) in of_term.iter_mut().zip(&mut totals) {
            // What the other classes have of the term.
            *sum = all - *sum + options.alpha;
            *total += *sum;
        }
    }
    let mut logarithms = vec![0.0; classes];
    for of_term in sums.chunks_exact_mut(classes) {
        for ((sum, total), logarithm) in of_term.iter_mut().zip(&totals).zip(&mut logarithms) {
            *sum = (*sum / total).ln();
            *logarithm += *sum;
        }
    }
    for of_term in sums.chunks_exact_mut(classes) {
        for (sum, logarithm) in of_term.iter_mut().zip(&logarithms) {
            *sum = if options.norm { *sum / logarithm } else { -*sum };
        }
    }
    if classes > 2 {
        sums.resize((matrix.width + 1) * classes, 0.0);
        return sums;
    }
    sums.chunks_exact(2).map(|of_term| of_term[1] - of_term[0]).chain([0.0]).collect()
}
