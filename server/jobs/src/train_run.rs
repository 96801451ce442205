//! Fits, evaluates and, on request, registers a model.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenor_domain::{
    Caller, Clock as _, DatasetVersion, Digest, Error, Metric, RunId, Split, SplitOutcome, State, SystemClock,
};
use tenor_features::Stop;
use tenor_features::contract::FeatureContract;
use tenor_learn::artifacts::{self, Artifact};
use tenor_learn::baseline::Baseline;
use tenor_learn::{
    EvaluateOptions, Examples, FitContext, Lineage, Model, ModelFile, Registry, TrainingData, evaluate, predict_all,
};
use tenor_platform::{ModelFacts, NewArtifact, TrainSpec, TrainedModel};
use tenor_queue::{Job, JobContext, JobError};

use crate::context::{Jobs, already, compute};

/// The artifact that holds the model file.
pub const MODEL_ARTIFACT: &str = "model.safetensors";

/// Trains one run. Idempotent: a run that is already final is left as it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct TrainRun {
    pub run_id: RunId,
}

impl Job for TrainRun {
    const KIND: &'static str = "train_run";
}

impl TrainRun {
    pub(crate) async fn run(self, jobs: &Jobs, context: &JobContext) -> Result<Value, JobError> {
        let runs = jobs.platform.runs();
        let run = runs.get(&self.run_id).await?;
        if run.state.is_final() {
            return already(run.state, run.error.as_deref());
        }
        let spec: TrainSpec = serde_json::from_value(run.spec.clone().unwrap_or_default())
            .context("the run has no training specification")
            .map_err(JobError::fail)?;
        let split = jobs.platform.splits().get(&spec.split_id).await?;
        let Some(outcome) = split.outcome.clone().filter(|_| split.state == State::Succeeded) else {
            let why = format!("split {} is {}; only a succeeded split can be trained on", split.id, split.state);
            return Err(JobError::fail(anyhow::anyhow!(why)));
        };
        let version = jobs.platform.datasets().get_version_by_id(&split.dataset_version_id).await?;
        if let Some(name) = &spec.register_model {
            jobs.platform.models().check_contract(name, &spec.aliases, &outcome.contract).await?;
        }
        runs.start(&context.fence(), &run.id).await?;

        let scratch = jobs.scratch()?;
        let parts = Parts::fetch(jobs, scratch.path(), &outcome).await?;
        let work = Training {
            registry: Arc::clone(&jobs.registry),
            threads: jobs.threads,
            lineage: lineage(&version, &split, &outcome, &spec),
            kind: spec.kind.clone(),
            params: spec.params.clone(),
            seed: spec.seed,
            contract: outcome.contract,
            parts,
        };
        let trained = compute(context, move |progress, cancelled| work.run(progress, cancelled)).await?;
        let digest = store(jobs, context, &run.id, &trained).await?;
        let facts = ModelFacts {
            digest,
            size_bytes: size(&trained.file),
            kind: trained.kind.clone(),
            classes: trained.contract.classes.clone(),
            contract_hash: trained.contract.hash(),
            metrics: trained.metrics.clone(),
        };
        let mut result = json!({ "metrics": trained.metrics, "model_digest": digest });
        let made = TrainedModel { facts, register_model: spec.register_model, aliases: spec.aliases };
        let finished = runs.finish_training(&context.fence(), &caller(context), &run.id, made).await?;
        if let Some(version) = finished.version {
            result["model"] = json!(version.model_name);
            result["version"] = json!(version.number);
        }
        for (alias, error) in &finished.refused {
            context.warn(format!("alias `{alias}` was not moved: {error}")).await;
        }
        if !finished.refused.is_empty() {
            result["aliases_refused"] = json!(finished.refused.iter().map(|(alias, _)| alias).collect::<Vec<_>>());
        }
        Ok(result)
    }
}

/// The worker, under the trace of whoever asked for the job.
fn caller(context: &JobContext) -> Caller {
    Caller { traceparent: context.job.traceparent.clone(), principal: "worker".to_owned() }
}

/// By content only: same data, parameters and seed must give the same file.
fn lineage(version: &DatasetVersion, split: &Split, outcome: &SplitOutcome, spec: &TrainSpec) -> Lineage {
    Lineage {
        program: concat!("tenor ", env!("CARGO_PKG_VERSION")).to_owned(),
        source_digest: Some(version.source_digest),
        import_options_digest: Some(version.options_digest),
        split_options_digest: Some(split.options_digest),
        train_digest: Some(outcome.train.digest),
        validation_digest: Some(outcome.validation.digest),
        test_digest: Some(outcome.test.digest),
        train_rows: outcome.train.rows.try_into().unwrap_or_default(),
        seed: spec.seed,
        notes: BTreeMap::new(),
    }
}

/// The three tables of a split on this machine.
struct Parts {
    train: PathBuf,
    validation: PathBuf,
    test: PathBuf,
}

impl Parts {
    async fn fetch(jobs: &Jobs, folder: &std::path::Path, outcome: &SplitOutcome) -> Result<Self, JobError> {
        let parts = Self {
            train: folder.join("train.parquet"),
            validation: folder.join("validation.parquet"),
            test: folder.join("test.parquet"),
        };
        for (part, path) in
            [(&outcome.train, &parts.train), (&outcome.validation, &parts.validation), (&outcome.test, &parts.test)]
        {
            jobs.platform.blobs().get_to_file(&part.digest, path).await?;
        }
        Ok(parts)
    }
}

/// Everything that the blocking part needs.
struct Training {
    registry: Arc<Registry>,
    threads: usize,
    lineage: Lineage,
    kind: String,
    params: Value,
    seed: u64,
    contract: Value,
    parts: Parts,
}

/// What the blocking part hands back.
struct Trained {
    file: Bytes,
    kind: String,
    contract: FeatureContract,
    metrics: BTreeMap<String, f64>,
    history: Vec<Metric>,
    artifacts: Vec<Artifact>,
}

impl Training {
    fn run(self, progress: &(dyn Fn(f64, &str) + Sync), cancelled: &Arc<AtomicBool>) -> Result<Trained, Error> {
        let contract: FeatureContract = serde_json::from_value(self.contract.clone())
            .map_err(|error| Error::internal(format!("the split's contract cannot be read: {error}")))?;
        progress(0.0, "load");
        let load = |path: &PathBuf| -> Result<Examples, Error> {
            let rows = tenor_data::load_examples(path, &contract)?;
            Examples::from_columns(&contract, rows.row_ids, rows.texts, rows.cleaned, &rows.numeric, rows.labels)
        };
        let data = TrainingData {
            train: load(&self.parts.train)?,
            validation: Some(load(&self.parts.validation)?).filter(|rows| !rows.is_empty()),
            contract: contract.clone(),
        };
        let test = load(&self.parts.test)?;
        let wanted = || cancelled.load(Ordering::Relaxed);
        let stop = Stop::when(&wanted);
        let history = Mutex::new(Vec::new());
        let on_metric = |key: &str, value: f64, step: i64| {
            let metric = Metric { key: key.to_owned(), value, step, at: SystemClock.now() };
            history.lock().unwrap_or_else(PoisonError::into_inner).push(metric);
        };
        let fit_progress = |share: f64, step: &str| progress(0.05 + 0.7 * share, step);
        let context = FitContext {
            seed: self.seed,
            threads: self.threads,
            stop,
            on_progress: &fit_progress,
            on_metric: &on_metric,
            checkpoints: None,
        };

        let trainer = self.registry.get(&self.kind)?;
        let params = trainer.check_params(&self.params)?;
        let started = Instant::now();
        let model = trainer.fit(&data, &params, &context)?;
        let seconds = started.elapsed().as_secs_f64();

        progress(0.8, "evaluate");
        let counts = data.train.class_counts(contract.classes.len());
        let rows = data.train.len().max(1) as f64;
        let prior: Vec<f64> = counts.iter().map(|count| *count as f64 / rows).collect();
        let options = EvaluateOptions { seed: self.seed, prior: Some(&prior), stop, ..EvaluateOptions::default() };
        let judge = |model: &dyn Model, rows: &Examples| {
            let probabilities = predict_all(model, rows, stop)?;
            let evaluation =
                evaluate(&rows.labels, &probabilities, &contract.classes, contract.stars.as_deref(), &options)?;
            Ok::<_, Error>((probabilities, evaluation))
        };
        let (probabilities, evaluation, validation) = context.in_pool(|| {
            let validation = data.validation.as_ref().map(|rows| judge(model.as_ref(), rows)).transpose()?;
            let (probabilities, evaluation) = judge(model.as_ref(), &test)?;
            Ok((probabilities, evaluation, validation.map(|(_, evaluation)| evaluation)))
        })?;

        progress(0.95, "artifacts");
        let mut metrics = evaluation.metrics("test/");
        metrics.extend(validation.iter().flat_map(|evaluation| evaluation.metrics("val/")));
        metrics.insert("fit_seconds".to_owned(), seconds);
        let baseline = Baseline::of(&contract, &data.train);
        let validation_rows = data.validation.as_ref().map_or(0, Examples::len);
        let artifacts = artifacts::artifacts(&artifacts::Inputs {
            model: model.as_ref(),
            evaluation: &evaluation,
            validation: validation.as_ref(),
            test: &test,
            probabilities: &probabilities,
            baseline: &baseline,
            rows: [data.train.len() as u64, validation_rows as u64, test.len() as u64],
            seconds,
            extra: &json!({}),
        })?;
        let file = model.save(self.lineage)?.with_scores(&evaluation);
        Ok(Trained {
            file: Bytes::from(file.to_bytes()?),
            kind: self.kind,
            contract,
            metrics,
            history: history.into_inner().unwrap_or_else(PoisonError::into_inner),
            artifacts,
        })
    }
}

/// Writes model file and artifacts as blobs, then the rows that point to them, under the fence. Returns the model's digest.
async fn store(jobs: &Jobs, context: &JobContext, run: &RunId, trained: &Trained) -> Result<Digest, JobError> {
    let (blobs, runs, fence) = (jobs.platform.blobs(), jobs.platform.runs(), context.fence());
    let digest = blobs.put_bytes(trained.file.clone()).await?;
    let mut artifacts =
        vec![NewArtifact { name: MODEL_ARTIFACT.to_owned(), media_type: ModelFile::MEDIA_TYPE.to_owned(), digest }];
    for artifact in &trained.artifacts {
        artifacts.push(NewArtifact {
            name: artifact.name.to_owned(),
            media_type: artifact.media_type.to_owned(),
            digest: blobs.put_bytes(Bytes::from(artifact.bytes.clone())).await?,
        });
    }
    for artifact in artifacts {
        runs.add_artifact(run, artifact, Some(&fence)).await?;
    }
    let at = SystemClock.now();
    let last = trained.metrics.iter().map(|(key, value)| Metric { key: key.clone(), value: *value, step: 0, at });
    let metrics = trained.history.iter().cloned().chain(last).collect::<Vec<_>>();
    let caller = caller(context);
    for batch in metrics.chunks(10_000) {
        runs.log_metrics(&caller, run, batch.to_vec(), None, Some(&fence)).await?;
    }
    Ok(digest)
}

/// A model file is smaller than 2^63 bytes.
fn size(file: &Bytes) -> i64 {
    i64::try_from(file.len()).unwrap_or(i64::MAX)
}
