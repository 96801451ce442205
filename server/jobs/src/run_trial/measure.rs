//! Fits and measures: quality on the validation rows or over folds, the time of an answer, and the size of the model.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tenor_domain::{Digest, Error, ErrorKind};
use tenor_features::Stop;
use tenor_features::arrays::{Array, Arrays};
use tenor_learn::cross_validation::Summary;
use tenor_learn::folds::Folds;
use tenor_learn::serve::measure_latency;
use tenor_learn::{
    Blocks, Checkpoints, EvaluateOptions, Examples, FitContext, Lineage, Model, Trainer, TrainingData, evaluate,
    predict_all,
};
use tenor_platform::STANDARD_ERROR;

use super::rows::TrialRows;
use crate::kept::Kept;

/// What trials measure besides the scores of an evaluation. `latency_us`: the median time of one answer on the serving path, one
/// text after the other on one thread, in microseconds; `latency_us_p95` their 95th percentile, `latency_us_mad` their median absolute
/// deviation, `latency_us_n` the number of answers. `model_bytes`: the model file. `nonzero_params`: learned numbers that are not zero.
/// `fit_seconds`: of all fits; of one that a killed worker left and another went on with, what the last attempt took.
/// `feature_block_hits`: fits that found their features made.
pub(crate) const MEASURED: [&str; 8] = [
    "latency_us",
    "latency_us_p95",
    "latency_us_mad",
    "latency_us_n",
    "model_bytes",
    "nonzero_params",
    "fit_seconds",
    "feature_block_hits",
];

/// What a trial measures of latency.
pub(super) fn latencies() -> impl Iterator<Item = &'static str> {
    MEASURED.into_iter().filter(|name| name.starts_with("latency_us"))
}

/// Texts of a latency, and how often each is answered: so often when the study looks at it, else once, for the record.
const LATENCY_ROWS: usize = 200;
const LATENCY_ROUNDS: usize = 5;
/// Bootstrap samples behind a standard error on validation rows.
const RESAMPLES: u32 = 100;

/// One trial.
pub(super) struct Trial<'a> {
    pub trainer: &'a dyn Trainer,
    pub params: &'a Value,
    pub seed: u64,
    pub threads: usize,
    pub rows: &'a TrialRows,
    /// `None`: judged by the validation rows.
    pub folds: Option<u32>,
    pub kept: &'a Kept,
    /// Of the fit, or of the folds that are finished.
    pub checkpoints: &'a dyn Checkpoints,
    pub prune_metrics: &'a [String],
    /// Whether the study looks at latency.
    pub latency_counts: bool,
    /// Takes a step and every metric that trials are pruned by; says whether to end.
    pub report: &'a (dyn Fn(i64, BTreeMap<String, f64>) -> Result<bool, Error> + Sync),
    pub progress: &'a (dyn Fn(f64, &str) + Sync),
    pub cancelled: &'a Arc<AtomicBool>,
}

/// What was measured.
pub(super) enum Measured {
    Complete(BTreeMap<String, f64>),
    /// Ended early, with what there was until then.
    Pruned(BTreeMap<String, f64>),
}

impl Trial<'_> {
    pub fn measure(&self) -> Result<Measured, Error> {
        let params = self.trainer.check_params(self.params)?;
        match self.folds {
            Some(count) => self.over_folds(&params, count),
            None => self.on_validation(&params),
        }
    }

    /// Ends in the middle of the fit when what it reports says so.
    fn on_validation(&self, params: &Value) -> Result<Measured, Error> {
        let data = &self.rows.data;
        let Some(validation) = &data.validation else {
            let text = "must be set, because the split has no validation rows to judge by";
            return Err(Error::invalid("training.folds", text));
        };
        let live = Live::default();
        let asked = || self.cancelled.load(Ordering::Relaxed) || live.pruned.load(Ordering::Relaxed);
        let on_metric = |key: &str, value: f64, step: i64| self.live(&live, key, value, step);
        let context = FitContext {
            seed: self.seed,
            threads: self.threads,
            stop: Stop::when(&asked),
            on_progress: &|share, what| (self.progress)(0.9 * share, what),
            on_metric: &on_metric,
            checkpoints: Some(self.checkpoints),
            blocks: self.blocks(self.rows.digest),
        };
        let judged = self.fit_and_judge(data, validation, params, &context, RESAMPLES);
        let seen = live.last.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = live.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        match judged {
            Err(error) if error.kind == ErrorKind::Cancelled && live.pruned.into_inner() => Ok(Measured::Pruned(seen)),
            judged => Ok(Measured::Complete(judged?)),
        }
    }

    /// A metric of the fit while it goes on. A step is reported once everything of it is there.
    fn live(&self, live: &Live, key: &str, value: f64, step: i64) {
        if !value.is_finite() {
            return;
        }
        let complete = {
            let mut last = live.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.insert(key.to_owned(), value);
            if !self.prune_metrics.iter().any(|metric| metric == key) {
                return;
            }
            let mut steps = live.steps.lock().unwrap_or_else(PoisonError::into_inner);
            let metrics = steps.entry(step).or_default();
            metrics.insert(key.to_owned(), value);
            (metrics.len() == self.prune_metrics.len()).then(|| steps.remove(&step).unwrap_or_default())
        };
        let Some(metrics) = complete else { return };
        let ended = (self.report)(step, metrics).unwrap_or_else(|error| {
            *live.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            true
        });
        if ended {
            live.pruned.store(true, Ordering::Relaxed);
        }
    }

    /// Reports after each fold, the first of which is step 1. Folds that an earlier attempt on this machine finished are not fitted again.
    fn over_folds(&self, params: &Value, count: u32) -> Result<Measured, Error> {
        let data = &self.rows.data;
        let folds = Folds::grouped(&self.rows.groups, &data.train.labels, count, self.seed)?;
        let asked = || self.cancelled.load(Ordering::Relaxed);
        let finished = self.checkpoints.load()?.map(|arrays| from_arrays(&arrays)).unwrap_or_default();
        let mut of_folds: Vec<BTreeMap<String, f64>> = Vec::new();
        for fold in 0..folds.count() {
            let metrics = match finished.get(fold as usize) {
                Some(known) => known.clone(),
                None => self.on_fold(params, &folds, fold, Stop::when(&asked))?,
            };
            let mut report = BTreeMap::new();
            for name in self.prune_metrics {
                let value = metrics.get(name).ok_or_else(|| unmeasured(name, &metrics))?;
                report.insert(name.clone(), *value);
            }
            of_folds.push(metrics);
            if of_folds.len() > finished.len() {
                self.checkpoints.save(&to_arrays(&of_folds)?)?;
            }
            if (self.report)(i64::from(fold) + 1, report)? && fold + 1 < folds.count() {
                return Ok(Measured::Pruned(mean(&of_folds)));
            }
        }
        Ok(Measured::Complete(mean(&of_folds)))
    }

    /// What one fold measures: the scores of its rows, and what its fit told last.
    fn on_fold(
        &self,
        params: &Value,
        folds: &Folds,
        fold: u32,
        stop: Stop<'_>,
    ) -> Result<BTreeMap<String, f64>, Error> {
        let (data, count) = (&self.rows.data, folds.count());
        let (train, test) = folds.split(fold);
        let part = TrainingData {
            contract: data.contract.clone(),
            train: data.train.select(&train),
            validation: data.validation.clone(),
        };
        let last = Mutex::new(BTreeMap::new());
        let share = |share: f64| (f64::from(fold) + share) / f64::from(count);
        let name = format!("fold {} of {count}", fold + 1);
        let context = FitContext {
            seed: self.seed,
            threads: self.threads,
            stop,
            on_progress: &|done, what| (self.progress)(share(done * 0.9), &format!("{name}: {what}")),
            on_metric: &|key, value, _| {
                last.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), value);
            },
            checkpoints: None,
            blocks: self.blocks(fold_digest(&self.rows.digest, fold, count, self.seed)),
        };
        let mut metrics = self.fit_and_judge(&part, &data.train.select(&test), params, &context, 0)?;
        let seen = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in seen.into_iter().filter(|(_, value)| value.is_finite()) {
            metrics.entry(key).or_insert(value);
        }
        Ok(metrics)
    }

    fn blocks(&self, rows: Digest) -> Option<Blocks<'_>> {
        self.kept.blocks(rows).map(|blocks| Blocks { counts: Some(&self.rows.counts), ..blocks })
    }

    fn fit_and_judge(
        &self,
        data: &TrainingData,
        examples: &Examples,
        params: &Value,
        context: &FitContext<'_>,
        resamples: u32,
    ) -> Result<BTreeMap<String, f64>, Error> {
        let hits = Mutex::new(0.0);
        let on_metric = |key: &str, value: f64, step: i64| {
            if key == "train/feature_block_hits" {
                *hits.lock().unwrap_or_else(PoisonError::into_inner) += value;
            }
            context.metric(key, value, step);
        };
        let started = Instant::now();
        let model = self.trainer.fit(data, params, &FitContext { on_metric: &on_metric, ..*context })?;
        let seconds = started.elapsed().as_secs_f64();
        let mut metrics = context.in_pool(|| {
            let probabilities = predict_all(model.as_ref(), examples, context.stop)?;
            let options = EvaluateOptions { resamples, seed: self.seed, prior: None, stop: context.stop };
            let contract = &data.contract;
            let judged =
                evaluate(&examples.labels, &probabilities, &contract.classes, contract.stars.as_deref(), &options)?;
            let mut metrics = judged.metrics("");
            for score in &judged.scores {
                if let Some(error) = score.standard_error() {
                    metrics.insert(format!("{}{STANDARD_ERROR}", score.name), error);
                }
            }
            Ok(metrics)
        })?;
        let rounds = if self.latency_counts { LATENCY_ROUNDS } else { 1 };
        let latency = measure_latency(model.as_ref(), examples, LATENCY_ROWS, rounds, context.stop)?;
        let hits = hits.into_inner().unwrap_or_else(PoisonError::into_inner);
        let values = [
            latency.median,
            latency.p95,
            latency.mad,
            latency.count as f64,
            file_bytes(model.as_ref())? as f64,
            model.size().nonzero as f64,
            seconds,
            hits,
        ];
        metrics.extend(MEASURED.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value)));
        metrics.retain(|_, value| value.is_finite());
        Ok(metrics)
    }
}

/// What a fit says while it goes on.
#[derive(Default)]
struct Live {
    /// The last value of each metric.
    last: Mutex<BTreeMap<String, f64>>,
    /// Steps of which something is missing yet.
    steps: Mutex<BTreeMap<i64, BTreeMap<String, f64>>>,
    pruned: AtomicBool,
    error: Mutex<Option<Error>>,
}

/// As large as the file of a trained run would be, but for its metrics.
fn file_bytes(model: &dyn Model) -> Result<usize, Error> {
    let lineage = Lineage { program: concat!("tenor ", env!("CARGO_PKG_VERSION")).to_owned(), ..Lineage::default() };
    Ok(model.save(lineage)?.to_bytes()?.len())
}

fn fold_digest(rows: &Digest, fold: u32, count: u32, seed: u64) -> Digest {
    Digest::of(format!("{rows} fold {fold} of {count}, seed {seed}").as_bytes())
}

fn unmeasured(name: &str, metrics: &BTreeMap<String, f64>) -> Error {
    let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
    Error::invalid(format!("pruner.metrics.{name}"), format!("was not measured; there are {}", names.join(", ")))
}

/// The metrics of finished folds, as they are kept for another attempt.
fn to_arrays(folds: &[BTreeMap<String, f64>]) -> Result<Arrays, Error> {
    let mut arrays = Arrays::default();
    arrays.insert("folds", Array::U8(serde_json::to_vec(folds).map_err(Error::internal)?));
    Ok(arrays)
}

/// None where they cannot be read.
fn from_arrays(arrays: &Arrays) -> Vec<BTreeMap<String, f64>> {
    arrays.u8s("folds").ok().and_then(|folds| serde_json::from_slice(folds).ok()).unwrap_or_default()
}

/// The mean of each metric that all folds have, with its standard error (that of folds which share training rows, so a low one);
/// times and counts are added up.
fn mean(folds: &[BTreeMap<String, f64>]) -> BTreeMap<String, f64> {
    let Some(first) = folds.first() else { return BTreeMap::new() };
    let mut metrics = BTreeMap::new();
    for name in first.keys() {
        let values: Vec<f64> = folds.iter().filter_map(|fold| fold.get(name).copied()).collect();
        if values.len() < folds.len() {
            continue;
        }
        if matches!(name.as_str(), "fit_seconds" | "feature_block_hits" | "latency_us_n") {
            metrics.insert(name.clone(), values.iter().sum());
            continue;
        }
        let summary = Summary::of(&values);
        metrics.insert(name.clone(), summary.mean);
        if summary.folds > 1 {
            metrics.insert(format!("{name}{STANDARD_ERROR}"), summary.std / f64::from(summary.folds).sqrt());
        }
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_averaged_and_counts_added_up() {
        let fold =
            |f1: f64, hits: f64| BTreeMap::from([("f1".to_owned(), f1), ("feature_block_hits".to_owned(), hits)]);
        let found = mean(&[fold(0.5, 1.0), fold(0.7, 0.0)]);
        assert!((found["f1"] - 0.6).abs() < 1e-12 && found["feature_block_hits"] == 1.0);
        assert!((found["f1_se"] - 0.1).abs() < 1e-12, "{found:?}");
        assert!(!mean(&[fold(0.5, 1.0)]).contains_key("f1_se") && mean(&[]).is_empty());
    }

    #[test]
    fn finished_folds_come_back_as_they_were() {
        let folds = [BTreeMap::from([("f1".to_owned(), 0.1 + 0.2), ("f1/ä b".to_owned(), 1e-300)]), BTreeMap::new()];
        assert_eq!(from_arrays(&to_arrays(&folds).unwrap()), folds);
        let mut broken = Arrays::default();
        assert!(from_arrays(&broken).is_empty());
        broken.insert("folds", Array::U8(vec![1]));
        assert!(from_arrays(&broken).is_empty());
    }
}
