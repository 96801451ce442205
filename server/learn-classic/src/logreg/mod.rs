//! Logistic regression with L2 penalty: one weight vector for two classes, a softmax for more.
//!
//! Minimises `C * sum of weighted losses + |weights|^2 / 2` as scikit-learn does; the biases are not penalised. Sparse from end to
//! end. The optimum is unique, so the seed plays no part.

mod loss;
mod model;
mod options;
mod solve;
#[cfg(test)]
mod tests;

use serde_json::Value;
use tenor_domain::Error;
use tenor_features::pipeline::Vectorizer;
use tenor_learn::{FitContext, Model, ModelFile, Trainer, TrainingData};

use loss::Problem;
use model::LogisticModel;
use options::{ClassWeight, Options};

/// The trainer of kind `logreg`.
#[derive(Debug, Clone, Copy)]
pub struct LogisticRegression;

/// The name of the kind.
const KIND: &str = "logreg";

/// How far below the lowest bias a class without training rows is put: its probability stays below 1e-15.
const ABSENT: f64 = 40.0;

impl Trainer for LogisticRegression {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn default_params(&self) -> Value {
        options::defaults()
    }

    fn check_params(&self, params: &Value) -> Result<Value, Error> {
        Ok(Options::read(params)?.1)
    }

    fn fit(&self, data: &TrainingData, params: &Value, context: &FitContext<'_>) -> Result<Box<dyn Model>, Error> {
        let (options, params) = Options::read(params)?;
        data.check()?;
        options.check_classes(&data.contract.classes)?;
        context.in_pool(|| {
            context.progress(0.0, "reading texts");
            let (vectorizer, matrix) = Vectorizer::fit(data.train.rows(), &options.vectorizer, context.stop)?;
            context.metric("train/features", vectorizer.width() as f64, 0);
            context.progress(0.3, "fitting weights");
            let classes = data.contract.classes.len();
            let counts = data.train.class_counts(classes);
            let present: Vec<usize> = (0..classes).filter(|&class| counts[class] > 0).collect();
            // The label of each row among the classes that occur.
            let place: Vec<u32> =
                (0..classes).map(|class| present.iter().position(|&p| p == class).unwrap_or(0) as u32).collect();
            let labels: Vec<u32> = data.train.labels.iter().map(|&label| place[label as usize]).collect();
            let weights = class_weights(&options.class_weight, &data.contract.classes, &present, &counts);
            let problem = Problem::new(&matrix, &labels, &weights, options.c, context.stop);
            let solution = solve::minimise(&problem, &options, context)?;
            let (weights, biases) = expand(&solution, matrix.width, classes, &present);
            context.progress(1.0, "fitted");
            let model = LogisticModel::new(data.contract.clone(), params, vectorizer, weights, biases)?;
            Ok(Box::new(model) as Box<dyn Model>)
        })
    }

    fn load(&self, file: &ModelFile) -> Result<Box<dyn Model>, Error> {
        file.expect_kind(KIND)?;
        Ok(Box::new(LogisticModel::load(file)?))
    }
}

/// The weight of a row of each class that occurs.
fn class_weights(wanted: &ClassWeight, classes: &[String], present: &[usize], counts: &[u64]) -> Vec<f64> {
    let rows: u64 = counts.iter().sum();
    let of_class = |class: &usize| match wanted {
        ClassWeight::None => 1.0,
        ClassWeight::Balanced => rows as f64 / (present.len() as f64 * counts[*class] as f64),
        ClassWeight::Each(weights) => weights.get(&classes[*class]).copied().unwrap_or(1.0),
    };
    present.iter().map(of_class).collect()
}

/// From the solution over the classes that occur (features x columns, then the biases) to all classes: one column for two classes,
/// else one a class.
fn expand(solution: &[f64], width: usize, classes: usize, present: &[usize]) -> (Vec<f32>, Vec<f64>) {
    let solved = if present.len() == 2 { 1 } else { present.len() };
    let (weights, biases) = solution.split_at(width * solved);
    if classes == 2 || present.len() == classes {
        return (weights.iter().map(|&weight| weight as f32).collect(), biases.to_vec());
    }
    // One weight vector is a softmax of two with half of it each, one of them turned round.
    let column = |at: usize, row: &[f64]| match solved {
        1 => row[0] * (at as f64 - 0.5),
        _ => row[at],
    };
    let mut all_weights = vec![0.0; width * classes];
    for (row, solved) in all_weights.chunks_mut(classes).zip(weights.chunks(solved)) {
        for (at, &class) in present.iter().enumerate() {
            row[class] = column(at, solved) as f32;
        }
    }
    let solved_biases: Vec<f64> = (0..present.len()).map(|at| column(at, biases)).collect();
    let lowest = solved_biases.iter().copied().fold(f64::INFINITY, f64::min);
    let mut all_biases = vec![lowest - ABSENT; classes];
    for (&class, bias) in present.iter().zip(solved_biases) {
        all_biases[class] = bias;
    }
    (all_weights, all_biases)
}
