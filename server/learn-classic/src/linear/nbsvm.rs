//! NB-SVM (Wang and Manning 2012, "Baselines and bigrams"): a linear model over terms scaled by their log-count ratios.
//!
//! For each class against the rest, with `p` and `q` the smoothed sums of a term's presence over rows of the class and over the others,
//! `r = ln((p / |p|_1) / (q / |q|_1))`; the rows `r * x` go to a logistic regression (there: a support vector machine; the logistic
//! loss gives probabilities), whose weights `w` are drawn towards their mean magnitude: `w' = (1 - beta) * mean|w| + beta * w`.
//! Numeric columns keep the ratio 1 and their own weight. The model is linear in `x` and served as such.

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::pipeline::{Matrix, Vectorizer};
use tenor_features::sparse::CsrMatrix;
use tenor_learn::params::Params;
use tenor_learn::{FitContext, Model, ModelFile, TrainingData};

use super::loss::{Design, Problem, Targets};
use super::model::{LinearModel, Link, Weights};
use super::series::Series;
use super::solve::SolverOptions;
use super::sparse::SparseDesign;
use super::{ABSENT, Present};
use crate::features::{Takes, object};
use crate::trainer::{Fit, Kind};

pub(crate) struct NbSvm;

const LINK: Link = Link::OneVsRest;

pub(crate) struct Options {
    /// Inverse of the L2 penalty.
    c: f64,
    /// Smoothing of the counts.
    alpha: f64,
    /// 1 keeps the weights as fitted, 0 is naive Bayes.
    beta: f64,
    solver: SolverOptions,
}

impl Kind for NbSvm {
    const NAME: &'static str = "nbsvm";
    const TAKES: Takes = Takes::TermsAndNumbers;
    type Options = Options;

    fn defaults() -> Value {
        let mut defaults = object(json!({ "C": 4.0, "alpha": 1.0, "beta": 1.0 }));
        defaults.extend(SolverOptions::defaults());
        Value::Object(defaults)
    }

    fn read(params: &mut Params<'_>) -> Result<Options, Error> {
        Ok(Options {
            c: params.f64("C", 1e-8..=1e8)?,
            alpha: params.f64("alpha", 1e-6..=1e6)?,
            beta: params.f64("beta", 0.0..=1.0)?,
            solver: SolverOptions::read(params)?,
        })
    }

    fn curves(_: &Options) -> &'static [&'static str] {
        &["train/loss"]
    }

    fn learn(fit: Fit<'_>, options: &Options) -> Result<Box<dyn Model>, Error> {
        let Fit { data, params, weights, vectorizer, matrix, context } = fit;
        let Matrix::Sparse(matrix) = matrix else { return Err(Error::internal("nbsvm needs sparse rows")) };
        let fitted = fit_classes(&vectorizer, &matrix, &weights, data, options, &context)?;
        let kind = (Self::NAME, LINK);
        Ok(Box::new(LinearModel::new(kind, data.contract.clone(), params, vectorizer, fitted)?))
    }

    fn load(file: &ModelFile, params: Value) -> Result<Box<dyn Model>, Error> {
        Ok(Box::new(LinearModel::load((Self::NAME, LINK), file, params)?))
    }
}

/// One column for two classes, the second's; else one a class, against the rest.
fn fit_classes(
    vectorizer: &Vectorizer,
    matrix: &CsrMatrix,
    weights: &[f64],
    data: &TrainingData,
    options: &Options,
    context: &FitContext<'_>,
) -> Result<Weights, Error> {
    let classes = data.contract.classes.len();
    let columns = if classes == 2 { 1 } else { classes };
    let sum: f64 = weights.iter().sum();
    let mut fitted = Weights { features: vec![0.0; matrix.width * columns], biases: vec![f64::NEG_INFINITY; columns] };
    let wanted: Vec<usize> = if classes == 2 { vec![1] } else { Present::of(data, weights).classes };
    // The labels and the ratios of each class against the rest.
    let parts: Vec<(Vec<u32>, Vec<f64>)> = wanted
        .iter()
        .map(|&class| {
            context.stop.check()?;
            let labels: Vec<u32> = data.train.labels.iter().map(|&label| u32::from(label as usize == class)).collect();
            let ratios = log_count_ratios(matrix, vectorizer.terms(), &labels, weights, options.alpha);
            Ok((labels, ratios))
        })
        .collect::<Result<_, Error>>()?;
    let design = SparseDesign::new(matrix);
    let mut series = Series::begin(context, options.solver, parts.len(), matrix.width + 1)?;
    while let Some(at) = series.next() {
        let (labels, ratios) = &parts[at];
        let (scaled, targets) = (Scaled { design: &design, factors: ratios }, Targets::new(labels, weights, sum, 2));
        series.solve(&Problem::new(&scaled, &targets, options.c, 0.0, sum, context.stop), false)?;
    }
    for ((solution, class), (_, ratios)) in series.finish().iter().zip(wanted).zip(&parts) {
        let (of_features, bias) = solution.split_at(matrix.width);
        let mean = of_features.iter().map(|weight| weight.abs()).sum::<f64>() / matrix.width.max(1) as f64;
        let column = if classes == 2 { 0 } else { class };
        for (feature, (weight, ratio)) in of_features.iter().zip(ratios).enumerate() {
            let is_term = feature < vectorizer.terms();
            let drawn = if is_term { (1.0 - options.beta) * mean + options.beta * weight } else { *weight };
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

/// The rows of another design with each column times its factor, for one weight vector.
struct Scaled<'a> {
    design: &'a dyn Design,
    factors: &'a [f64],
}

impl Design for Scaled<'_> {
    fn width(&self) -> usize {
        self.design.width()
    }

    fn evaluate(&self, targets: &Targets<'_>, parameters: &[f64], stop: Stop<'_>) -> Result<(f64, Vec<f64>), Error> {
        // `w * (r x) = (w r) * x`; the bias behind the weights has no factor.
        let scale =
            |numbers: &mut [f64]| numbers.iter_mut().zip(self.factors).for_each(|(number, factor)| *number *= factor);
        let mut parameters = parameters.to_vec();
        scale(&mut parameters);
        let (loss, mut gradient) = self.design.evaluate(targets, &parameters, stop)?;
        scale(&mut gradient);
        Ok((loss, gradient))
    }

    fn mean_squares(&self, targets: &Targets<'_>) -> Vec<f64> {
        let squares = self.design.mean_squares(targets).into_iter();
        squares.zip(self.factors).map(|(square, factor)| square * factor * factor).collect()
    }
}
