//! Cross-validation: every row is answered by a model that has not seen it.

use std::collections::BTreeMap;

use serde_json::Value;
use tenor_domain::Error;

use crate::folds::Folds;
use crate::noise::{LabelNoise, find_label_noise};
use crate::{EvaluateOptions, FitContext, Trainer, TrainingData, evaluate, predict_all};

/// What the folds gave.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CrossValidation {
    /// Row-major, in the order of the training rows: the answers of the models that did not learn from the row.
    #[serde(skip)]
    pub out_of_fold: Vec<f64>,
    /// The labels that those answers speak against.
    #[serde(skip)]
    pub noise: LabelNoise,
    /// The metrics of each fold by key, as [`Evaluation::metrics`](crate::Evaluation::metrics) names them.
    pub folds: Vec<BTreeMap<String, f64>>,
    /// Over the folds in which the metric is defined.
    pub summary: BTreeMap<String, Summary>,
}

/// One metric over the folds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    pub mean: f64,
    /// Sample standard deviation; 0 for a single fold. Folds share training rows: this is no standard error.
    pub std: f64,
    /// Folds in which the metric is defined.
    pub folds: u32,
}

/// Trains on all folds but one and judges by that one, for each fold of `data.train`. Every fit gets the context's seed and
/// `data.validation`; its metrics go out with the prefix `fold_<n>/`, n from 1, and no checkpoints are kept. The statistics in
/// the contract (mean, deviation, default of the numeric features) are those of all training rows.
///
/// Deterministic for any number of threads. An error of a fit ends it all.
pub fn cross_validate(
    trainer: &dyn Trainer,
    data: &TrainingData,
    params: &Value,
    folds: &Folds,
    context: &FitContext<'_>,
) -> Result<CrossValidation, Error> {
    if folds.rows() != data.train.len() {
        let text = format!("were cut for {} rows, but there are {}", folds.rows(), data.train.len());
        return Err(Error::invalid("folds", text));
    }
    let classes = &data.contract.classes;
    let mut out_of_fold = vec![0.0; data.train.len() * classes.len()];
    let mut part = TrainingData {
        contract: data.contract.clone(),
        train: Default::default(),
        validation: data.validation.clone(),
    };
    let mut metrics = Vec::new();
    for fold in 0..folds.count() {
        context.stop.check()?;
        let (train, test) = folds.split(fold);
        part.train = data.train.select(&train);
        let examples = data.train.select(&test);
        let share = |share: f64| (f64::from(fold) + share) / f64::from(folds.count());
        let name = format!("fold {} of {}", fold + 1, folds.count());
        let of_fold = FitContext {
            on_progress: &|done, what| context.progress(share(done * 0.95), &format!("{name}: {what}")),
            on_metric: &|key, value, step| context.metric(&format!("fold_{}/{key}", fold + 1), value, step),
            checkpoints: None,
            blocks: None,
            ..*context
        };
        let model = trainer.fit(&part, params, &of_fold)?;
        let probabilities = context.in_pool(|| predict_all(model.as_ref(), &examples, context.stop))?;
        for (row, answer) in test.iter().zip(probabilities.chunks_exact(classes.len())) {
            let at = *row as usize * classes.len();
            out_of_fold[at..at + classes.len()].copy_from_slice(answer);
        }
        let options = EvaluateOptions { resamples: 0, seed: context.seed, prior: None, stop: context.stop };
        let evaluation = evaluate(&examples.labels, &probabilities, classes, data.contract.stars.as_deref(), &options)?;
        metrics.push(evaluation.metrics(""));
        context.progress(share(1.0), &name);
    }
    let noise = find_label_noise(&data.train.labels, &out_of_fold, classes.len())?;
    Ok(CrossValidation { out_of_fold, noise, summary: summaries(&metrics), folds: metrics })
}

impl CrossValidation {
    /// Mean and standard deviation over the folds as `cv/<metric>` and `cv/<metric>_std`, and `cv/label_noise_rate`.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let of = |(key, summary): (&String, &Summary)| {
            [(format!("cv/{key}"), summary.mean), (format!("cv/{key}_std"), summary.std)]
        };
        let rate = ("cv/label_noise_rate".to_owned(), self.noise.noise_rate);
        self.summary.iter().flat_map(of).chain([rate]).collect()
    }
}

fn summaries(folds: &[BTreeMap<String, f64>]) -> BTreeMap<String, Summary> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (key, value) in folds.iter().flatten() {
        values.entry(key).or_default().push(*value);
    }
    values.into_iter().map(|(key, values)| (key.to_owned(), Summary::of(&values))).collect()
}

impl Summary {
    /// Of one value a fold; at least one.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let std = if values.len() < 2 { 0.0 } else { (squares / (count - 1.0)).sqrt() };
        Self { mean, std, folds: values.len() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;
    use tenor_domain::ErrorKind;
    use tenor_features::Stop;

    use super::*;
    use crate::testing::{LengthTrainer, ToyTrainer, contract};
    use crate::{Examples, label_of};

    fn data() -> TrainingData {
        let texts: Vec<String> =
            (0..60usize).map(|row| format!("{row} {}", "word ".repeat(1 + row * 7 % 13))).collect();
        let labels = texts.iter().map(|text| u32::from(text.len() > 30)).collect();
        let numeric = vec![Some(0.0); texts.len()];
        let train =
            Examples::from_columns(&contract(), (0..60).collect(), texts.clone(), texts, &numeric, labels).unwrap();
        TrainingData { contract: contract(), train, validation: None }
    }

    #[test]
    fn every_row_is_answered_by_a_model_that_did_not_see_it() {
        let data = data();
        let folds = Folds::stratified(&data.train.labels, 4, 3).unwrap();
        let run = |threads| {
            let context = FitContext { threads, ..FitContext::quiet(3) };
            cross_validate(&LengthTrainer, &data, &json!({}), &folds, &context).unwrap()
        };
        let found = run(1);
        assert_eq!(found, run(3));
        for row in 0..60 {
            // The model of this trainer is certain (1.0) of a row that it has seen, else 0.9 or so.
            let answer = &found.out_of_fold[row * 2..row * 2 + 2];
            assert!(answer[label_of(answer)] < 1.0 && answer.iter().sum::<f64>() > 0.999, "{row} {answer:?}");
        }
        assert_eq!(found.folds.len(), 4);
        let accuracy = found.summary["accuracy"];
        let mean = found.folds.iter().map(|fold| fold["accuracy"]).sum::<f64>() / 4.0;
        assert!((accuracy.mean - mean).abs() < 1e-12 && accuracy.folds == 4 && accuracy.std.is_finite());
    }

    #[test]
    fn progress_rises_over_all_folds_and_metrics_name_their_fold() {
        let data = data();
        let folds = Folds::stratified(&data.train.labels, 3, 3).unwrap();
        let (seen, keys) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let context = FitContext {
            on_progress: &|share, what| seen.lock().unwrap().push((share, what.to_owned())),
            on_metric: &|key, _, _| keys.lock().unwrap().push(key.to_owned()),
            ..FitContext::quiet(3)
        };
        cross_validate(&LengthTrainer, &data, &json!({}), &folds, &context).unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted_by(|a, b| a.0 <= b.0) && seen.last().unwrap().0 == 1.0, "{seen:?}");
        assert!(seen[0].1.starts_with("fold 1 of 3: "));
        assert_eq!(keys.into_inner().unwrap(), ["fold_1/loss", "fold_2/loss", "fold_3/loss"]);
    }

    #[test]
    fn a_wish_to_stop_and_folds_of_other_rows_are_errors() {
        let data = data();
        let folds = Folds::stratified(&data.train.labels, 3, 3).unwrap();
        let context = FitContext { stop: Stop::when(&|| true), ..FitContext::quiet(3) };
        let error = cross_validate(&ToyTrainer, &data, &json!({}), &folds, &context).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Cancelled);
        let other = Folds::stratified(&[0, 1, 0, 1], 2, 3).unwrap();
        let error = cross_validate(&ToyTrainer, &data, &json!({}), &other, &FitContext::quiet(3)).unwrap_err();
        assert_eq!(error.violations[0].field, "folds");
    }
}
