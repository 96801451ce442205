//! The rows of a split in memory, so that the trials of a study read them once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tenor_domain::{Digest, Error, SplitOutcome};
use tenor_features::contract::FeatureContract;
use tenor_features::tfidf::CountCache;
use tenor_learn::{Examples, TrainingData};
use tenor_queue::JobError;

use crate::context::Jobs;

/// What trials learn from and are judged by. The test rows are not among them.
pub(super) struct TrialRows {
    pub data: TrainingData,
    /// One a training row: rows of one group stay in one fold.
    pub groups: Vec<i64>,
    /// Identity of the training rows.
    pub digest: Digest,
    validation: Digest,
    /// The terms of the training rows and of folds of them.
    pub counts: CountCache,
}

/// Bound of the counts in memory.
const COUNT_BYTES: usize = 256 << 20;

/// The rows that were used last.
#[derive(Clone, Default)]
pub struct RowsCache(Arc<Mutex<Option<Arc<TrialRows>>>>);

impl RowsCache {
    /// The rows of training and validation of a split.
    pub(super) async fn load(&self, jobs: &Jobs, outcome: &SplitOutcome) -> Result<Arc<TrialRows>, JobError> {
        let (train, validation) = (outcome.train.digest, outcome.validation.digest);
        let known = self.lock().clone();
        if let Some(rows) = known.filter(|rows| rows.digest == train && rows.validation == validation) {
            return Ok(rows);
        }
        let scratch = jobs.scratch()?;
        let (at_train, at_validation) =
            (scratch.path().join("train.parquet"), scratch.path().join("validation.parquet"));
        jobs.platform.blobs().get_to_file(&train, &at_train).await?;
        jobs.platform.blobs().get_to_file(&validation, &at_validation).await?;
        let contract = outcome.contract.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let contract: FeatureContract = serde_json::from_value(contract)
                .map_err(|error| Error::internal(format!("the split's contract cannot be read: {error}")))?;
            let data = TrainingData {
                train: load_examples(&at_train, &contract)?,
                validation: Some(load_examples(&at_validation, &contract)?).filter(|rows| !rows.is_empty()),
                contract,
            };
            let groups = tenor_data::load_groups(&at_train)?;
            drop(scratch);
            Ok::<_, Error>(TrialRows { data, groups, digest: train, validation, counts: CountCache::new(COUNT_BYTES) })
        });
        let loaded = loaded.await.map_err(|_| JobError::fail(anyhow::anyhow!("reading the split panicked")))??;
        let rows = Arc::new(loaded);
        *self.lock() = Some(Arc::clone(&rows));
        Ok(rows)
    }

    /// Gives the memory back.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<TrialRows>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of one part of a split.
pub(crate) fn load_examples(path: &Path, contract: &FeatureContract) -> Result<Examples, Error> {
    let rows = tenor_data::load_examples(&PathBuf::from(path), contract)?;
    Examples::from_columns(contract, rows.row_ids, rows.texts, rows.cleaned, &rows.numeric, rows.labels)
}
