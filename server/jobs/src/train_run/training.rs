//! The part of a training that computes: fit, calibrate, evaluate, judge, and make the files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};
use tenor_domain::{CalibrationMethod, Clock as _, Digest, Error, Metric, SystemClock, Timestamp};
use tenor_features::Stop;
use tenor_features::contract::FeatureContract;
use tenor_learn::artifacts::{self, Artifact};
use tenor_learn::baseline::Baseline;
use tenor_learn::calibration::{Calibrated, Calibrator};
use tenor_learn::cross_validation::{CrossValidation, cross_validate};
use tenor_learn::folds::Folds;
use tenor_learn::judgement::{Judgement, JudgementInputs};
use tenor_learn::slices::SliceFilter;
use tenor_learn::{
    EvaluateOptions, Examples, FitContext, Lineage, Model, Registry, TrainingData, evaluate, predict_all,
};

use super::Parts;
use crate::kept::{Kept, RunCheckpoints};
use crate::run_trial::load_examples;

/// Everything that the blocking part needs.
pub(super) struct Training {
    pub registry: Arc<Registry>,
    pub threads: usize,
    pub lineage: Lineage,
    pub kind: String,
    pub params: Value,
    pub seed: u64,
    /// Whether it learns from the validation rows as well.
    pub with_validation: bool,
    /// Of the probabilities, on the validation rows.
    pub calibration: Option<CalibrationMethod>,
    /// Of a cross-validation on the training rows.
    pub folds: Option<u32>,
    /// Besides the usual ones.
    pub slices: Vec<SliceFilter>,
    /// What the model card is headed.
    pub title: String,
    pub contract: Value,
    pub parts: Parts,
    /// Identity of the training rows.
    pub rows: Digest,
    pub kept: Kept,
    pub checkpoints: Arc<RunCheckpoints>,
}

/// What the blocking part hands back.
pub(super) struct Trained {
    pub file: Bytes,
    pub kind: String,
    pub contract: FeatureContract,
    pub metrics: BTreeMap<String, f64>,
    pub history: Vec<Metric>,
    pub artifacts: Vec<Artifact>,
}

impl Training {
    pub fn run(self, progress: &(dyn Fn(f64, &str) + Sync), cancelled: &Arc<AtomicBool>) -> Result<Trained, Error> {
        let contract: FeatureContract = serde_json::from_value(self.contract.clone())
            .map_err(|error| Error::internal(format!("the split's contract cannot be read: {error}")))?;
        progress(0.0, "load");
        let load = |path: &PathBuf| load_examples(path, &contract);
        let mut data = TrainingData {
            train: load(&self.parts.train)?,
            validation: Some(load(&self.parts.validation)?).filter(|rows| !rows.is_empty()),
            contract: contract.clone(),
        };
        if self.with_validation
            && let Some(validation) = data.validation.take()
        {
            data.train.extend(validation);
        }
        if self.calibration.is_some() && data.validation.is_none() {
            let text = "needs validation rows to learn from, and the split has none; split more rows, or leave it out";
            return Err(Error::invalid("calibration", text));
        }
        let test = load(&self.parts.test)?;
        let wanted = || cancelled.load(Ordering::Relaxed);
        let history = Mutex::new(Vec::new());
        let on_metric = |key: &str, value: f64, step: i64| {
            let metric = Metric { key: key.to_owned(), value, step, at: SystemClock.now() };
            history.lock().unwrap_or_else(PoisonError::into_inner).push(metric);
        };
        // Each fold is a fit more.
        let of_fit = 0.7 / f64::from(1 + self.folds.unwrap_or(0));
        let fit_progress = |share: f64, step: &str| progress(0.05 + of_fit * share, step);
        let context = FitContext {
            seed: self.seed,
            threads: self.threads,
            stop: Stop::when(&wanted),
            on_progress: &fit_progress,
            on_metric: &on_metric,
            checkpoints: Some(self.checkpoints.as_ref()),
            blocks: self.kept.blocks(self.rows),
        };

        let trainer = self.registry.get(&self.kind)?;
        let params = trainer.check_params(&self.params)?;
        let started = Instant::now();
        let fitted = trainer.fit(&data, &params, &context)?;
        let seconds = started.elapsed().as_secs_f64();

        let cross_validation = match self.folds {
            Some(count) => {
                let groups = tenor_data::load_groups(&self.parts.train)?;
                let folds = Folds::grouped(&groups, &data.train.labels, count, self.seed)?;
                let share_progress = |share: f64, step: &str| progress(0.05 + of_fit + (0.7 - of_fit) * share, step);
                let context = FitContext { on_progress: &share_progress, ..context };
                Some(cross_validate(trainer, &data, &params, &folds, &context)?)
            }
            None => None,
        };

        progress(0.8, "evaluate");
        let baseline = Baseline::of(&contract, &data.train);
        let (answered, judged) = context.in_pool(|| {
            let answered = Answered::of(fitted, self.calibration, &data, &test, &context)?;
            let judged = self.judge(&answered, &baseline, &data, &test, &context)?;
            Ok((answered, judged))
        })?;

        progress(0.95, "artifacts");
        let mut metrics = judged.test.metrics("test/");
        metrics.extend(judged.validation.iter().flat_map(|evaluation| evaluation.metrics("val/")));
        let of_judgement = judged.judgement.metrics();
        metrics.insert("fit_seconds".to_owned(), seconds);
        metrics.extend(of_judgement.clone());
        metrics.extend(cross_validation.iter().flat_map(CrossValidation::metrics));
        let model = answered.model.as_ref();
        let mut file = model.save(self.lineage.clone())?.with_scores(&judged.test);
        file.header.metrics.extend(of_judgement);
        let file = Bytes::from(file.to_bytes()?);
        let validation_rows = data.validation.as_ref().map_or(0, Examples::len);
        let artifacts = artifacts::artifacts(&artifacts::Inputs {
            model,
            evaluation: &judged.test,
            validation: judged.validation.as_ref(),
            test: &test,
            probabilities: &answered.test,
            train: &data.train,
            cross_validation: cross_validation.as_ref(),
            baseline: &baseline,
            judgement: &judged.judgement,
            lineage: &self.lineage,
            title: &self.title,
            file: (file.len() as u64, Digest::of(&file)),
            rows: [data.train.len() as u64, validation_rows as u64, test.len() as u64],
            seconds,
            extra: &json!({}),
            stop: context.stop,
        })?;
        let history = history.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Trained { file, kind: self.kind, contract, metrics, history, artifacts })
    }
}

/// The final model and its probabilities.
struct Answered {
    model: Box<dyn Model>,
    /// Of the test rows.
    test: Vec<f64>,
    /// Of the validation rows, if there are any.
    validation: Option<Vec<f64>>,
    /// The calibrator and the test rows' probabilities before it.
    calibrated: Option<(Calibrator, Vec<f64>)>,
}

impl Answered {
    fn of(
        fitted: Box<dyn Model>,
        method: Option<CalibrationMethod>,
        data: &TrainingData,
        test_rows: &Examples,
        context: &FitContext<'_>,
    ) -> Result<Self, Error> {
        let classes = fitted.classes().len();
        let of_rows = |rows| predict_all(fitted.as_ref(), rows, context.stop);
        let mut validation = data.validation.as_ref().map(of_rows).transpose()?;
        let mut test = of_rows(test_rows)?;
        let Some(method) = method else { return Ok(Self { model: fitted, test, validation, calibrated: None }) };
        let (Some(rows), Some(probabilities)) = (&data.validation, &mut validation) else {
            return Err(Error::internal("a calibration without validation rows"));
        };
        let calibrator = Calibrator::fit(method, &rows.labels, probabilities, classes)?;
        let before = test.clone();
        calibrator.apply_all(probabilities);
        calibrator.apply_all(&mut test);
        let model = Box::new(Calibrated::new(fitted, calibrator.clone())?);
        Ok(Self { model, test, validation, calibrated: Some((calibrator, before)) })
    }
}

/// The scores and whatever else there is to say.
struct Judged {
    test: tenor_learn::Evaluation,
    validation: Option<tenor_learn::Evaluation>,
    judgement: Judgement,
}

impl Training {
    fn judge(
        &self,
        answered: &Answered,
        baseline: &Baseline,
        data: &TrainingData,
        test: &Examples,
        context: &FitContext<'_>,
    ) -> Result<Judged, Error> {
        let contract = &data.contract;
        let (seed, stop) = (context.seed, context.stop);
        let options = EvaluateOptions { seed, prior: Some(&baseline.class_shares), stop, ..EvaluateOptions::default() };
        let judge = |rows: &Examples, probabilities: &[f64]| {
            evaluate(&rows.labels, probabilities, &contract.classes, contract.stars.as_deref(), &options)
        };
        let validation = data.validation.as_ref().zip(answered.validation.as_ref());
        let calibrated = answered.calibrated.as_ref().map(|(calibrator, before)| (calibrator, before.as_slice()));
        let years: Vec<Option<i32>> =
            tenor_data::load_times(&self.parts.test)?.into_iter().map(|time| time.and_then(Timestamp::year)).collect();
        let inputs = JudgementInputs {
            data,
            test,
            probabilities: &answered.test,
            validation: answered.validation.as_deref(),
            calibrated,
            years: &years,
            filters: &self.slices,
            seed,
            stop,
        };
        Ok(Judged {
            validation: validation.map(|(rows, probabilities)| judge(rows, probabilities)).transpose()?,
            test: judge(test, &answered.test)?,
            judgement: Judgement::of(&inputs)?,
        })
    }
}
