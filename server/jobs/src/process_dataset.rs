//! Cleans, balances and splits the accepted rows of a dataset version.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenor_data::{ProcessOptions, ProcessedPart};
use tenor_domain::{SplitId, SplitOutcome, SplitPart, State};
use tenor_queue::{Job, JobContext, JobError};

use crate::context::{Jobs, already, blocking};
use crate::import_dataset::count;

/// Makes one split. Idempotent: a split that is already final is left as it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProcessDataset {
    pub split_id: SplitId,
}

impl Job for ProcessDataset {
    const KIND: &'static str = "process_dataset";
}

impl ProcessDataset {
    pub(crate) async fn run(self, jobs: &Jobs, context: &JobContext) -> Result<Value, JobError> {
        let splits = jobs.platform.splits();
        let split = splits.get(&self.split_id).await?;
        if split.state.is_final() {
            return already(split.state, split.error.as_deref());
        }
        splits.start(&context.fence(), &split.id).await?;
        let version = jobs.platform.datasets().get_version_by_id(&split.dataset_version_id).await?;
        let Some(import) = version.outcome.filter(|_| version.state == State::Succeeded) else {
            return Err(JobError::fail(anyhow::anyhow!(
                "dataset version {} is {}; only a succeeded import can be processed",
                version.number,
                version.state
            )));
        };
        if !import.valid {
            return Err(JobError::fail(anyhow::anyhow!(
                "dataset version {} breaks rules of severity `error`; see its validation report",
                version.number
            )));
        }
        let options = ProcessOptions::parse(&split.options).map_err(JobError::fail)?;
        let scratch = jobs.scratch()?;
        let accepted = scratch.path().join("accepted.parquet");
        jobs.platform.blobs().get_to_file(&import.data_digest, &accepted).await?;
        let folder = scratch.path().join("out");
        let processed =
            blocking(jobs, context, move |work| tenor_data::process(&accepted, &options, &folder, work)).await?;
        for warning in &processed.report.warnings {
            context.warn(warning).await;
        }
        let outcome = SplitOutcome {
            train: part(jobs, &processed.train).await?,
            validation: part(jobs, &processed.validation).await?,
            test: part(jobs, &processed.test).await?,
            contract_hash: processed.contract.hash(),
            contract: serde_json::to_value(&processed.contract).map_err(JobError::fail)?,
            report: serde_json::to_value(&processed.report).map_err(JobError::fail)?,
        };
        let summary = json!({
            "train": outcome.train.rows, "validation": outcome.validation.rows, "test": outcome.test.rows,
            "dropped": processed.report.dropped,
        });
        splits.finish(&context.fence(), &split.id, Ok(outcome)).await?;
        Ok(summary)
    }
}

async fn part(jobs: &Jobs, part: &ProcessedPart) -> Result<SplitPart, JobError> {
    let path: &Path = &part.path;
    let (digest, size_bytes) = jobs.platform.blobs().put_file(path).await?;
    Ok(SplitPart { digest, rows: count(part.rows), size_bytes: count(size_bytes) })
}
