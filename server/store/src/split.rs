//! Splits of dataset versions.

use tenor_domain::{DatasetId, DatasetVersionId, Digest, JobId, Split, SplitId, SplitOutcome, State, Timestamp};

use crate::row::{Place, all, by_ids, execute, json, optional};
use crate::{Error, Tx};

macro_rules! columns {
    () => {
        "s.id, s.dataset_version_id, s.state, s.options, s.options_digest, s.job_id, s.error, s.created_at, s.finished_at, s.outcome"
    };
}

crate::statements! {
    Both INSERT = "-- split.insert
INSERT INTO splits (id, dataset_version_id, state, options, options_digest, job_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)";
    /// Two that create the same split wait here for one another. Touches the version without changing it.
    Both LOCK_VERSION = "-- split.lock_version
UPDATE dataset_versions SET number = number WHERE id = $1";
    Both SAME = concat!("-- split.same
SELECT ", columns!(), "
FROM splits s
WHERE s.dataset_version_id = $1 AND s.options_digest = $2 AND s.state IN ('pending', 'running', 'succeeded')");
    Both BY_ID = concat!("-- split.by_id
SELECT ", columns!(), " FROM splits s WHERE s.id = $1");
    Pg PG_BY_IDS = concat!("-- split.by_ids
SELECT ", columns!(), " FROM splits s WHERE s.id = ANY($1)");
    Lite LITE_BY_IDS = concat!("-- split.by_ids
SELECT ", columns!(), " FROM splits s WHERE s.id IN (SELECT value FROM json_each($1))");
    /// Newest first; `$2` is a version's number or NULL for all.
    Both LIST = concat!("-- split.list
SELECT ", columns!(), "
FROM splits s
JOIN dataset_versions v ON v.id = s.dataset_version_id
WHERE v.dataset_id = $1 AND (CAST($2 AS BIGINT) IS NULL OR v.number = $2) AND s.id < $3
ORDER BY s.id DESC
LIMIT $4");
    Both SET_JOB = "-- split.set_job
UPDATE splits SET job_id = $2 WHERE id = $1";
    Both REOPEN = "-- split.reopen
UPDATE splits SET state = 'pending', error = NULL, finished_at = NULL
WHERE id = $1 AND state IN ('failed', 'cancelled')";
    Both MOVE = "-- split.move
UPDATE splits
SET state = $2, error = $3, outcome = $4, finished_at = $5
WHERE id = $1 AND state IN ('pending', 'running')";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    dataset_version_id: String,
    state: String,
    options: String,
    options_digest: String,
    job_id: Option<i64>,
    error: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
    outcome: Option<String>,
}

impl TryFrom<Row> for Split {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "splits", id: &row.id };
        Ok(Self {
            state: place.state("state", &row.state)?,
            options: place.json("options", &row.options)?,
            options_digest: place.digest("options_digest", &row.options_digest)?,
            outcome: place.optional_json("outcome", row.outcome)?,
            id: SplitId::trusted(row.id),
            dataset_version_id: DatasetVersionId::trusted(row.dataset_version_id),
            job_id: row.job_id.map(JobId),
            error: row.error,
            created_at: Timestamp(row.created_at),
            finished_at: row.finished_at.map(Timestamp),
        })
    }
}

/// Inserts a split that has no outcome yet.
pub async fn insert(tx: &mut Tx, split: &Split) -> Result<(), Error> {
    let options = json(&split.options)?;
    execute!(
        tx,
        INSERT,
        split.id.as_str(),
        split.dataset_version_id.as_str(),
        split.state.as_str(),
        &options,
        split.options_digest.to_string(),
        split.job_id.map(|id| id.0),
        split.created_at.0,
    )?;
    Ok(())
}

/// Holds the dataset version until the transaction ends; `false` when it is gone.
pub async fn lock_version(tx: &mut Tx, version: &DatasetVersionId) -> Result<bool, Error> {
    Ok(execute!(tx, LOCK_VERSION, version.as_str())? == 1)
}

/// The live split with this identity.
pub async fn same(tx: &mut Tx, version: &DatasetVersionId, options: &Digest) -> Result<Option<Split>, Error> {
    optional!(tx, Row, SAME, version.as_str(), options.to_string())?.map(Split::try_from).transpose()
}

pub async fn by_id(tx: &mut Tx, id: &SplitId) -> Result<Option<Split>, Error> {
    optional!(tx, Row, BY_ID, id.as_str())?.map(Split::try_from).transpose()
}

/// Those of these splits that exist, in any order.
pub async fn by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<Split>, Error> {
    by_ids!(tx, Row, PG_BY_IDS, LITE_BY_IDS, ids).into_iter().map(Split::try_from).collect()
}

/// Splits of a dataset, or of one of its versions, with an id below `before`, newest first.
pub async fn list(
    tx: &mut Tx,
    dataset: &DatasetId,
    number: Option<i64>,
    before: &str,
    limit: i64,
) -> Result<Vec<Split>, Error> {
    all!(tx, Row, LIST, dataset.as_str(), number, before, limit)?.into_iter().map(Split::try_from).collect()
}

pub async fn set_job(tx: &mut Tx, id: &SplitId, job: JobId) -> Result<(), Error> {
    execute!(tx, SET_JOB, id.as_str(), job.0)?;
    Ok(())
}

/// Moves a split that is not final to `state`; `false` when it is gone or final.
pub async fn move_to(
    tx: &mut Tx,
    id: &str,
    state: State,
    error: Option<&str>,
    outcome: Option<&SplitOutcome>,
    now: Timestamp,
) -> Result<bool, Error> {
    let outcome = outcome.map(json).transpose()?;
    let finished_at = state.is_final().then_some(now.0);
    Ok(execute!(tx, MOVE, id, state.as_str(), error, outcome.as_deref(), finished_at)? == 1)
}

/// Makes a failed or cancelled split pending again.
pub async fn reopen(tx: &mut Tx, id: &str) -> Result<(), Error> {
    execute!(tx, REOPEN, id)?;
    Ok(())
}
