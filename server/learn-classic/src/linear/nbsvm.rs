//! NB-SVM (Wang and Manning 2012, "Baselines and bigrams"): a linear model over terms scaled by their log-count ratios.
//!
//! For each class against the rest, with `p` and `q` the smoothed sums of a term's presence over rows of the class and over the others,
//! `r = ln((p / |p|_1) / (q / |q|_1))`; the rows `r * x` go to a logistic regression (there: a support vector machine; the logistic
//! loss gives probabilities), whose weights `w` are drawn towards their mean magnitude: `w' = (1 - beta) * mean|w| + beta * w`.
//! Numeric columns keep the ratio 1 and their own weight. The model is linear in `x` and served as such.

use serde_json::{Map, Value, json};
use tenor_domain::Error;
use tenor_features::pipeline::{Matrix, Vectorizer, VectorizerParams};
use tenor_features::sparse::CsrMatrix;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, Model, ModelFile, Trainer, TrainingData};

use super::loss::{Problem, Targets};
use super::model::{LinearModel, Link, Weights};
use super::options::SolverOptions;
use super::solve::{Start, minimise};
use super::sparse::SparseDesign;
use super::{ABSENT, Present};
use crate::features::{self, object, vectorize};
use crate::weights::RowWeights;

/// The trainer of kind `nbsvm`.
#[derive(Debug, Clone, Copy)]
pub struct NbSvm;

const KIND: (&str, Link) = ("nbsvm", Link::OneVsRest);

struct Options {
    /// Inverse of the L2 penalty.
    c: f64,
    /// Smoothing of the counts.
    alpha: f64,
    /// 1 keeps the weights as fitted, 0 is naive Bayes.
    beta: f64,
    solver: SolverOptions,
    weights: RowWeights,
    vectorizer: VectorizerParams,
}

fn defaults() -> Value {
    let mut defaults: Map<String, Value> = object(json!({ "C": 4.0, "alpha": 1.0, "beta": 1.0 }));
    defaults.extend(SolverOptions::defaults());
    defaults.extend(RowWeights::defaults());
    defaults.extend(features::sparse_defaults());
    defaults.remove("svd_components");
    Value::Object(defaults)
}

impl Options {
    fn read(given: &Value) -> Result<(Self, Value), Error> {
        let defaults = defaults();
        let mut params = Params::new(given, &defaults)?;
        let options = Self {
            c: params.f64("C", 1e-8..=1e8)?,
            alpha: params.f64("alpha", 1e-6..=1e6)?,
            beta: params.f64("beta", 0.0..=1.0)?,
            solver: SolverOptions::read(&mut params)?,
            weights: RowWeights::read(&mut params)?,
            vectorizer: features::read_sparse(&mut params)?,
        };
        Ok((options, params.complete()))
    }
}

impl Trainer for NbSvm {
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
            let Matrix::Sparse(matrix) = matrix else { return Err(Error::internal("nbsvm needs sparse rows")) };
            let present = Present::of(data, &weights);
            let fitted = fit_classes(&vectorizer, &matrix, &weights, &present, data, &options, context)?;
            context.progress(1.0, "fitted");
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

/// One column for two classes, the second's; else one a class, against the rest.
fn fit_classes(
    vectorizer: &Vectorizer,
    matrix: &CsrMatrix,
    weights: &[f64],
    present: &Present,
    data: &TrainingData,
    options: &Options,
    context: &FitContext<'_>,
) -> Result<Weights, Error> {
    let classes = data.contract.classes.len();
    let columns = if classes == 2 { 1 } else { classes };
    let sum: f64 = weights.iter().sum();
    let mut fitted = Weights { features: vec![0.0; matrix.width * columns], biases: vec![f64::NEG_INFINITY; columns] };
    let wanted: Vec<usize> = if classes == 2 { vec![1] } else { present.classes.clone() };
    for class in wanted {
        let labels: Vec<u32> = data.train.labels.iter().map(|&label| u32::from(label as usize == class)).collect();
        let ratios = log_count_ratios(matrix, vectorizer.terms(), &labels, weights, options.alpha);
        let scaled = scale_columns(matrix, &ratios);
        let (design, targets) = (SparseDesign::new(&scaled), Targets::new(&labels, weights, sum, 2));
        let problem = Problem::new(&design, &targets, options.c, 0.0, sum, context.stop);
        let start = Start::at(vec![0.0; problem.len()]);
        let solution = minimise(&problem, start, options.solver, context, &|_| Ok(()))?;
        let (of_features, bias) = solution.split_at(matrix.width);
        let mean = of_features.iter().map(|weight| weight.abs()).sum::<f64>() / matrix.width.max(1) as f64;
        let column = if classes == 2 { 0 } else { class };
        for (feature, (weight, ratio)) in of_features.iter().zip(&ratios).enumerate() {
            let drawn = if feature < vectorizer.terms() {
                (1.0 - options.beta) * mean + options.beta * weight
            } else {
                *weight
            };
            fitted.features[feature * columns + column] = (drawn * ratio) as f32;
        }
        fitted.biases[column] = bias[0];
    }
    let lowest = fitted.biases.iter().copied().filter(|bias| bias.is_finite()).fold(f64::INFINITY, f64::min);
    fitted.biases.iter_mut().filter(|bias| !bias.is_finite()).for_each(|bias| *bias = lowest.min(0.0) - ABSENT);
    Ok(fitted)
}

/// The ratio of each term between the rows of label 1 and the others; 1 for the numeric columns after the `terms`.
fn log_count_ratios(matrix: &CsrMatrix, terms: usize, labels: &[u32], weights: &[f64], alpha: f64) -> Vec<f64> {
    let mut counts = [vec![alpha; terms], vec![alpha; terms]];
    for (row, (&label, &weight)) in labels.iter().zip(weights).enumerate() {
        let counts = &mut counts[label as usize];
        for (column, _) in matrix.row(row).iter().filter(|(column, _)| *column < terms) {
            counts[column] += weight;
        }
    }
    let [others, class] = counts;
    let (of_others, of_class): (f64, f64) = (others.iter().sum(), class.iter().sum());
    let mut ratios: Vec<f64> =
        class.iter().zip(&others).map(|(p, q)| ((p / of_class) / (q / of_others)).ln()).collect();
    ratios.resize(matrix.width, 1.0);
    ratios
}

fn scale_columns(matrix: &CsrMatrix, factors: &[f64]) -> CsrMatrix {
    let mut scaled = matrix.clone();
    for (value, &column) in scaled.values.iter_mut().zip(&matrix.columns) {
        *value = (f64::from(*value) * factors[column as usize]) as f32;
    }
    scaled
}
