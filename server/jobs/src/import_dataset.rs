//! Reads, validates and profiles an uploaded file.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenor_data::ImportOptions;
use tenor_domain::{DatasetVersionId, ImportOutcome};
use tenor_queue::{Job, JobContext, JobError};

use crate::context::{Jobs, already, blocking};

/// Imports one dataset version. Idempotent: a version that is already final is left as it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportDataset {
    pub dataset_version_id: DatasetVersionId,
}

impl Job for ImportDataset {
    const KIND: &'static str = "import_dataset";
}

impl ImportDataset {
    pub(crate) async fn run(self, jobs: &Jobs, context: &JobContext) -> Result<Value, JobError> {
        let datasets = jobs.platform.datasets();
        let version = datasets.get_version_by_id(&self.dataset_version_id).await?;
        if version.state.is_final() {
            return already(version.state, version.error.as_deref());
        }
        datasets.start_import(&context.fence(), &version.id).await?;
        let options = ImportOptions::parse(&version.options).map_err(JobError::fail)?;
        let scratch = jobs.scratch()?;
        let source = scratch.path().join("source");
        jobs.platform.blobs().get_to_file(&version.source_digest, &source).await?;
        let folder = scratch.path().join("out");
        let import = {
            let (source, folder) = (source.clone(), folder.clone());
            blocking(jobs, context, move |work| tenor_data::import(&source, &options, &folder, work)).await?
        };
        let blobs = jobs.platform.blobs();
        let (data_digest, data_bytes) = blobs.put_file(&import.data).await?;
        let quarantine_digest = match &import.quarantine {
            Some(path) => Some(blobs.put_file(path).await?.0),
            None => None,
        };
        let mut validation = serde_json::to_value(&import.validation).map_err(JobError::fail)?;
        if let Some(report) = validation.as_object_mut() {
            report.insert("repairs".to_owned(), json!(import.repairs));
            report.insert("quarantined".to_owned(), json!(import.quarantined));
        }
        let outcome = ImportOutcome {
            rows_read: count(import.rows_read),
            rows_accepted: count(import.rows_accepted),
            rows_repaired: count(import.rows_repaired),
            rows_quarantined: count(import.rows_quarantined),
            data_digest,
            data_bytes: count(data_bytes),
            quarantine_digest,
            profile: serde_json::to_value(&import.profile).map_err(JobError::fail)?,
            valid: import.validation.valid,
            validation,
        };
        let summary = json!({
            "rows_read": outcome.rows_read, "rows_accepted": outcome.rows_accepted,
            "rows_repaired": outcome.rows_repaired, "rows_quarantined": outcome.rows_quarantined, "valid": outcome.valid,
        });
        datasets.finish_import(&context.fence(), &version.id, Ok(outcome)).await?;
        Ok(summary)
    }
}

/// Row counts fit: a file with more than 2^63 rows does not exist.
pub(crate) fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
