//! Fits, evaluates and, on request, registers a model.

mod training;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenor_domain::{Clock as _, DatasetVersion, Digest, Metric, RunId, Split, SplitOutcome, State, SystemClock};
use tenor_learn::slices::SliceFilter;
use tenor_learn::{Lineage, ModelFile};
use tenor_platform::{ModelFacts, NewArtifact, TrainRows, TrainSpec, TrainedModel};
use tenor_queue::{Job, JobContext, JobError};

use crate::context::{Jobs, already, caller, compute};
use training::{Trained, Training};

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
        let checkpoints = Arc::new(jobs.kept.checkpoints(&run.id));
        let with_validation = spec.rows == TrainRows::TrainAndValidation;
        let (train, validation) = (outcome.train.digest, outcome.validation.digest);
        let work = Training {
            registry: Arc::clone(&jobs.registry),
            threads: jobs.threads,
            lineage: lineage(&version, &split, &outcome, &spec),
            kind: spec.kind.clone(),
            params: spec.params.clone(),
            seed: spec.seed,
            calibration: spec.calibration,
            folds: spec.folds,
            slices: spec.slices.iter().map(|filter| SliceFilter::parse(filter)).collect::<Result<_, _>>()?,
            title: spec.register_model.as_ref().map_or_else(|| spec.kind.clone(), ToString::to_string),
            contract: outcome.contract,
            parts,
            rows: if with_validation { Digest::of(format!("{train} {validation}").as_bytes()) } else { train },
            with_validation,
            kept: jobs.kept.clone(),
            checkpoints: Arc::clone(&checkpoints),
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
        checkpoints.remove();
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

/// By content only: same data, parameters and seed must give the same file.
fn lineage(version: &DatasetVersion, split: &Split, outcome: &SplitOutcome, spec: &TrainSpec) -> Lineage {
    let (mut rows, mut notes) = (outcome.train.rows, BTreeMap::new());
    if spec.rows == TrainRows::TrainAndValidation {
        rows += outcome.validation.rows;
        notes.insert("rows".to_owned(), "train and validation".to_owned());
    }
    Lineage {
        program: concat!("tenor ", env!("CARGO_PKG_VERSION")).to_owned(),
        source_digest: Some(version.source_digest),
        import_options_digest: Some(version.options_digest),
        split_options_digest: Some(split.options_digest),
        train_digest: Some(outcome.train.digest),
        validation_digest: Some(outcome.validation.digest),
        test_digest: Some(outcome.test.digest),
        train_rows: rows.try_into().unwrap_or_default(),
        seed: spec.seed,
        notes,
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
