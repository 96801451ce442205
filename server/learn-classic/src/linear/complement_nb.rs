//! Complement naive Bayes (Rennie et al. 2003, "Tackling the poor assumptions of naive Bayes text classifiers"), as scikit-learn's
//! `ComplementNB` has it.
//!
//! With `n` the smoothed sum of a term's values over the rows of all *other* classes, the weight of a term is `-ln(n / sum of n)`, divided
//! by the sum of the class's weights when `norm` is set; probabilities are the softmax of the scores. Numeric columns may be
//! negative and are not used. Fast, hard to beat on short unbalanced texts, badly calibrated: see the calibration of a training.

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_features::pipeline::Matrix;
use tenor_features::sparse::CsrMatrix;
use tenor_learn::params::Params;
use tenor_learn::{Model, ModelFile};

use super::model::{LinearModel, Link};
use super::{Present, expand};
use crate::features::Takes;
use crate::trainer::{Fit, Kind};

pub(crate) struct ComplementNb;

const LINK: Link = Link::Softmax;

pub(crate) struct Options {
    /// Smoothing of the sums.
    alpha: f64,
    norm: bool,
}

impl Kind for ComplementNb {
    const NAME: &'static str = "complement_nb";
    const TAKES: Takes = Takes::Terms;
    type Options = Options;

    fn defaults() -> Value {
        json!({ "alpha": 1.0, "norm": false })
    }

    fn read(params: &mut Params<'_>) -> Result<Options, Error> {
        Ok(Options { alpha: params.f64("alpha", 1e-6..=1e6)?, norm: params.bool("norm")? })
    }

    fn learn(fit: Fit<'_>, options: &Options) -> Result<Box<dyn Model>, Error> {
        let Fit { data, params, weights, vectorizer, matrix, .. } = fit;
        let Matrix::Sparse(matrix) = matrix else { return Err(Error::internal("complement_nb needs sparse rows")) };
        let present = Present::of(data, &weights);
        let solution = solve(&matrix, &present, &weights, options);
        let fitted = expand(&solution, matrix.width, data.contract.classes.len(), &present.classes);
        let kind = (Self::NAME, LINK);
        Ok(Box::new(LinearModel::new(kind, data.contract.clone(), params, vectorizer, fitted)?))
    }

    fn load(file: &ModelFile, params: Value) -> Result<Box<dyn Model>, Error> {
        Ok(Box::new(LinearModel::load((Self::NAME, LINK), file, params)?))
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
