//! Datasets and their versions.

use tenor_domain::{
    Dataset, DatasetId, DatasetName, DatasetVersion, DatasetVersionId, Digest, Etag, ImportOutcome, JobId, State, Tags,
    Timestamp,
};

use crate::row::{Place, all, by_ids, by_numbers, execute, json, optional, prefix_end, scalar};
use crate::{Error, Tx};

macro_rules! columns {
    () => {
        "id, name, description, tags, created_at, updated_at, etag, latest_version"
    };
}

macro_rules! version_columns {
    () => {
        "id, dataset_id, number, state, source_digest, source_bytes, file_name, options, options_digest, job_id, error, \
         created_at, finished_at, outcome"
    };
}

crate::statements! {
    /// Waits for a concurrent insert of the same name, then does nothing.
    Both INSERT = concat!("-- dataset.insert
INSERT INTO datasets (", columns!(), ")
VALUES ($1, $2, $3, $4, $5, $5, 1, 0)
ON CONFLICT (name) DO NOTHING");
    Both BY_NAME = concat!("-- dataset.by_name
SELECT ", columns!(), " FROM datasets WHERE name = $1");
    Both BY_ID = concat!("-- dataset.by_id
SELECT ", columns!(), " FROM datasets WHERE id = $1");
    Pg PG_BY_IDS = concat!("-- dataset.by_ids
SELECT ", columns!(), " FROM datasets WHERE id = ANY($1)");
    Lite LITE_BY_IDS = concat!("-- dataset.by_ids
SELECT ", columns!(), " FROM datasets WHERE id IN (SELECT value FROM json_each($1))");
    Both LIST = concat!("-- dataset.list
SELECT ", columns!(), "
FROM datasets
WHERE name > $1 AND name >= $2 AND name < $3
ORDER BY name
LIMIT $4");
    Both UPDATE = concat!("-- dataset.update
UPDATE datasets
SET description = COALESCE(CAST($2 AS TEXT), description), tags = COALESCE(CAST($3 AS TEXT), tags), updated_at = $4, etag = etag + 1
WHERE id = $1 AND (CAST($5 AS BIGINT) IS NULL OR etag = $5)
RETURNING ", columns!());
    Both DELETE = "-- dataset.delete
DELETE FROM datasets WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR etag = $2)";
    Both RUNS_USING = "-- dataset.runs_using
SELECT CAST(COUNT(*) AS BIGINT)
FROM runs r
JOIN splits s ON s.id = r.split_id
JOIN dataset_versions v ON v.id = s.dataset_version_id
WHERE v.dataset_id = $1";
    /// A write without a change: it takes the row's lock on both databases.
    Both LOCK = "-- dataset.lock
UPDATE datasets SET latest_version = latest_version WHERE id = $1";
    Both NEXT_VERSION = "-- dataset.next_version
UPDATE datasets SET latest_version = latest_version + 1, updated_at = $2 WHERE id = $1 RETURNING latest_version";
    Both INSERT_VERSION = concat!("-- dataset.insert_version
INSERT INTO dataset_versions (", version_columns!(), ")
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11, NULL, NULL)");
    Both SAME_VERSION = concat!("-- dataset.same_version
SELECT ", version_columns!(), "
FROM dataset_versions
WHERE dataset_id = $1 AND source_digest = $2 AND options_digest = $3 AND state IN ('pending', 'running', 'succeeded')");
    Both VERSION_BY_ID = concat!("-- dataset.version_by_id
SELECT ", version_columns!(), " FROM dataset_versions WHERE id = $1");
    Both VERSION_BY_NUMBER = concat!("-- dataset.version_by_number
SELECT ", version_columns!(), " FROM dataset_versions WHERE dataset_id = $1 AND number = $2");
    Pg PG_VERSIONS_BY_IDS = concat!("-- dataset.versions_by_ids
SELECT ", version_columns!(), " FROM dataset_versions WHERE id = ANY($1)");
    Lite LITE_VERSIONS_BY_IDS = concat!("-- dataset.versions_by_ids
SELECT ", version_columns!(), " FROM dataset_versions WHERE id IN (SELECT value FROM json_each($1))");
    Pg PG_VERSIONS_BY_NUMBERS = concat!("-- dataset.versions_by_numbers
SELECT ", version_columns!(), "
FROM dataset_versions
WHERE (dataset_id, number) IN (SELECT * FROM UNNEST(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[])))");
    Lite LITE_VERSIONS_BY_NUMBERS = concat!("-- dataset.versions_by_numbers
SELECT ", version_columns!(), "
FROM dataset_versions
WHERE (dataset_id, number) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each($1))");
    /// Newest first.
    Both LIST_VERSIONS = concat!("-- dataset.list_versions
SELECT ", version_columns!(), "
FROM dataset_versions
WHERE dataset_id = $1 AND number < $2
ORDER BY number DESC
LIMIT $3");
    Both SET_VERSION_JOB = "-- dataset.set_version_job
UPDATE dataset_versions SET job_id = $2 WHERE id = $1";
    Both REOPEN_VERSION = "-- dataset.reopen_version
UPDATE dataset_versions SET state = 'pending', error = NULL, finished_at = NULL
WHERE id = $1 AND state IN ('failed', 'cancelled')";
    Both MOVE_VERSION = concat!("-- dataset.move_version
UPDATE dataset_versions
SET state = $2, error = $3, outcome = $4, finished_at = $5
WHERE id = $1 AND state IN ('pending', 'running')
RETURNING ", version_columns!());
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    description: String,
    tags: String,
    created_at: i64,
    updated_at: i64,
    etag: i64,
    latest_version: i64,
}

impl TryFrom<Row> for Dataset {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            tags: Place { table: "datasets", id: &row.id }.json("tags", &row.tags)?,
            id: DatasetId::trusted(row.id),
            name: DatasetName::trusted(row.name),
            description: row.description,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            etag: Etag(row.etag),
            latest_version: row.latest_version,
        })
    }
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    id: String,
    dataset_id: String,
    number: i64,
    state: String,
    source_digest: String,
    source_bytes: i64,
    file_name: String,
    options: String,
    options_digest: String,
    job_id: Option<i64>,
    error: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
    outcome: Option<String>,
}

impl TryFrom<VersionRow> for DatasetVersion {
    type Error = Error;
    fn try_from(row: VersionRow) -> Result<Self, Error> {
        let place = Place { table: "dataset_versions", id: &row.id };
        Ok(Self {
            state: place.state("state", &row.state)?,
            source_digest: place.digest("source_digest", &row.source_digest)?,
            options: place.json("options", &row.options)?,
            options_digest: place.digest("options_digest", &row.options_digest)?,
            outcome: place.optional_json("outcome", row.outcome)?,
            id: DatasetVersionId::trusted(row.id),
            dataset_id: DatasetId::trusted(row.dataset_id),
            number: row.number,
            source_bytes: row.source_bytes,
            file_name: row.file_name,
            job_id: row.job_id.map(JobId),
            error: row.error,
            created_at: Timestamp(row.created_at),
            finished_at: row.finished_at.map(Timestamp),
        })
    }
}

/// Inserts a dataset without versions; `false` when its name is taken.
pub async fn insert(
    tx: &mut Tx,
    id: &DatasetId,
    name: &DatasetName,
    description: &str,
    tags: &Tags,
    now: Timestamp,
) -> Result<bool, Error> {
    let tags = json(tags)?;
    Ok(execute!(tx, INSERT, id.as_str(), name.as_str(), description, &tags, now.0)? == 1)
}

pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Dataset>, Error> {
    optional!(tx, Row, BY_NAME, name)?.map(Dataset::try_from).transpose()
}

pub async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<Dataset>, Error> {
    optional!(tx, Row, BY_ID, id)?.map(Dataset::try_from).transpose()
}

/// Those of these datasets that exist, in any order.
pub async fn by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<Dataset>, Error> {
    by_ids!(tx, Row, PG_BY_IDS, LITE_BY_IDS, ids).into_iter().map(Dataset::try_from).collect()
}

/// Datasets by name, after the name `after`.
pub async fn list(tx: &mut Tx, prefix: &str, after: &str, limit: i64) -> Result<Vec<Dataset>, Error> {
    let end = prefix_end(prefix);
    all!(tx, Row, LIST, after, prefix, &end, limit)?.into_iter().map(Dataset::try_from).collect()
}

/// Changes what is given; `None` when the row is gone or `etag` is stale.
pub async fn update(
    tx: &mut Tx,
    id: &DatasetId,
    description: Option<&str>,
    tags: Option<&Tags>,
    etag: Option<Etag>,
    now: Timestamp,
) -> Result<Option<Dataset>, Error> {
    let tags = tags.map(json).transpose()?;
    optional!(tx, Row, UPDATE, id.as_str(), description, tags.as_deref(), now.0, etag.map(|etag| etag.0))?
        .map(Dataset::try_from)
        .transpose()
}

/// Deletes a dataset with its versions and splits; `false` when it is gone or `etag` is stale.
///
/// # Errors
/// [`Error::ForeignKey`] when a run uses one of its splits.
pub async fn delete(tx: &mut Tx, id: &DatasetId, etag: Option<Etag>) -> Result<bool, Error> {
    Ok(execute!(tx, DELETE, id.as_str(), etag.map(|etag| etag.0))? == 1)
}

/// How many runs use a split of the dataset.
pub async fn runs_using(tx: &mut Tx, id: &DatasetId) -> Result<i64, Error> {
    Ok(scalar!(tx, i64, RUNS_USING, id.as_str())?.unwrap_or(0))
}

/// Holds the dataset until the transaction ends; `false` when it is gone.
pub async fn lock(tx: &mut Tx, id: &DatasetId) -> Result<bool, Error> {
    Ok(execute!(tx, LOCK, id.as_str())? == 1)
}

/// Takes the next version number; `None` when the dataset is gone.
pub async fn next_version(tx: &mut Tx, id: &DatasetId, now: Timestamp) -> Result<Option<i64>, Error> {
    Ok(scalar!(tx, i64, NEXT_VERSION, id.as_str(), now.0)?)
}

/// Inserts a version that has no outcome yet.
pub async fn insert_version(tx: &mut Tx, version: &DatasetVersion) -> Result<(), Error> {
    let options = json(&version.options)?;
    execute!(
        tx,
        INSERT_VERSION,
        version.id.as_str(),
        version.dataset_id.as_str(),
        version.number,
        version.state.as_str(),
        version.source_digest.to_string(),
        version.source_bytes,
        &version.file_name,
        &options,
        version.options_digest.to_string(),
        version.job_id.map(|id| id.0),
        version.created_at.0,
    )?;
    Ok(())
}

/// The live version with this identity.
pub async fn same_version(
    tx: &mut Tx,
    id: &DatasetId,
    source: &Digest,
    options: &Digest,
) -> Result<Option<DatasetVersion>, Error> {
    optional!(tx, VersionRow, SAME_VERSION, id.as_str(), source.to_string(), options.to_string())?
        .map(DatasetVersion::try_from)
        .transpose()
}

pub async fn version_by_id(tx: &mut Tx, id: &str) -> Result<Option<DatasetVersion>, Error> {
    optional!(tx, VersionRow, VERSION_BY_ID, id)?.map(DatasetVersion::try_from).transpose()
}

pub async fn version_by_number(tx: &mut Tx, id: &DatasetId, number: i64) -> Result<Option<DatasetVersion>, Error> {
    optional!(tx, VersionRow, VERSION_BY_NUMBER, id.as_str(), number)?.map(DatasetVersion::try_from).transpose()
}

/// Those of these versions that exist, in any order.
pub async fn versions_by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<DatasetVersion>, Error> {
    let rows = by_ids!(tx, VersionRow, PG_VERSIONS_BY_IDS, LITE_VERSIONS_BY_IDS, ids);
    rows.into_iter().map(DatasetVersion::try_from).collect()
}

/// Those of these versions, each a dataset's id and a number, that exist, in any order.
pub async fn versions_by_numbers(tx: &mut Tx, pairs: &[(&str, i64)]) -> Result<Vec<DatasetVersion>, Error> {
    let rows = by_numbers!(tx, VersionRow, PG_VERSIONS_BY_NUMBERS, LITE_VERSIONS_BY_NUMBERS, pairs);
    rows.into_iter().map(DatasetVersion::try_from).collect()
}

/// Versions with a number below `before`, newest first.
pub async fn list_versions(tx: &mut Tx, id: &DatasetId, before: i64, limit: i64) -> Result<Vec<DatasetVersion>, Error> {
    all!(tx, VersionRow, LIST_VERSIONS, id.as_str(), before, limit)?.into_iter().map(DatasetVersion::try_from).collect()
}

pub async fn set_version_job(tx: &mut Tx, id: &DatasetVersionId, job: JobId) -> Result<(), Error> {
    execute!(tx, SET_VERSION_JOB, id.as_str(), job.0)?;
    Ok(())
}

/// Moves a version that is not final to `state`; `None` when it is gone or final.
pub async fn move_version(
    tx: &mut Tx,
    id: &str,
    state: State,
    error: Option<&str>,
    outcome: Option<&ImportOutcome>,
    now: Timestamp,
) -> Result<Option<DatasetVersion>, Error> {
    let outcome = outcome.map(json).transpose()?;
    let finished_at = state.is_final().then_some(now.0);
    optional!(tx, VersionRow, MOVE_VERSION, id, state.as_str(), error, outcome.as_deref(), finished_at)?
        .map(DatasetVersion::try_from)
        .transpose()
}

/// Makes a failed or cancelled version pending again.
pub async fn reopen_version(tx: &mut Tx, id: &str) -> Result<(), Error> {
    execute!(tx, REOPEN_VERSION, id)?;
    Ok(())
}
