//! Studies.

mod trial;

use tenor_domain::{Etag, JobId, Study, StudyId, StudyName, StudyState, Tags, Timestamp};

pub use trial::{insert_report, insert_trials, reports_since, trials_since, update_trial};

use crate::row::{Place, all, by_ids, execute, json, optional, prefix_end};
use crate::{Error, Statement, Tx};

macro_rules! columns {
    () => {
        "id, name, description, tags, state, spec, revision, trial_count, jobs, spent_ms, resumed_at, outcome, error, created_at, \
         updated_at, finished_at, etag"
    };
}

crate::statements! {
    Both INSERT = concat!("-- study.insert
INSERT INTO studies (", columns!(), ")
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (name) DO NOTHING");
    Both BY_NAME = concat!("-- study.by_name
SELECT ", columns!(), " FROM studies WHERE name = $1");
    Both BY_ID = concat!("-- study.by_id
SELECT ", columns!(), " FROM studies WHERE id = $1");
    Pg LOCK = concat!("-- study.lock
SELECT ", columns!(), " FROM studies WHERE id = $1 FOR UPDATE");
    Pg PG_BY_IDS = concat!("-- study.by_ids
SELECT ", columns!(), " FROM studies WHERE id = ANY($1)");
    Lite LITE_BY_IDS = concat!("-- study.by_ids
SELECT ", columns!(), " FROM studies WHERE id IN (SELECT value FROM json_each($1))");
    Both LIST = concat!("-- study.list
SELECT ", columns!(), "
FROM studies
WHERE name > $1 AND name >= $2 AND name < $3
ORDER BY name
LIMIT $4");
    Both SAVE = "-- study.save
UPDATE studies
SET description = $2, tags = $3, state = $4, revision = $5, trial_count = $6, jobs = $7, spent_ms = $8, resumed_at = $9, outcome = $10,
    error = $11, updated_at = $12, finished_at = $13, etag = $14
WHERE id = $1";
    Both DELETE = "-- study.delete
DELETE FROM studies WHERE id = $1";
}

pub(crate) fn statements() -> impl Iterator<Item = &'static [Statement]> {
    [STATEMENTS, trial::STATEMENTS].into_iter()
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    description: String,
    tags: String,
    state: String,
    spec: String,
    revision: i64,
    trial_count: i64,
    jobs: String,
    spent_ms: i64,
    resumed_at: Option<i64>,
    outcome: Option<String>,
    error: Option<String>,
    created_at: i64,
    updated_at: i64,
    finished_at: Option<i64>,
    etag: i64,
}

impl TryFrom<Row> for Study {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "studies", id: &row.id };
        Ok(Self {
            tags: place.json::<Tags>("tags", &row.tags)?,
            state: place.parsed("state", &row.state, StudyState::parse(&row.state))?,
            spec: place.json("spec", &row.spec)?,
            jobs: place.json::<Vec<JobId>>("jobs", &row.jobs)?,
            outcome: place.optional_json("outcome", row.outcome)?,
            id: StudyId::trusted(row.id),
            name: StudyName::trusted(row.name),
            description: row.description,
            revision: row.revision,
            trial_count: row.trial_count,
            spent_ms: row.spent_ms,
            resumed_at: row.resumed_at.map(Timestamp),
            error: row.error,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            finished_at: row.finished_at.map(Timestamp),
            etag: Etag(row.etag),
        })
    }
}

/// Inserts a study; `false` when its name is taken.
pub async fn insert(tx: &mut Tx, study: &Study) -> Result<bool, Error> {
    let (tags, spec, jobs) = (json(&study.tags)?, json(&study.spec)?, json(&study.jobs)?);
    let outcome = study.outcome.as_ref().map(json).transpose()?;
    let inserted = execute!(
        tx,
        INSERT,
        study.id.as_str(),
        study.name.as_str(),
        &study.description,
        &tags,
        study.state.as_str(),
        &spec,
        study.revision,
        study.trial_count,
        &jobs,
        study.spent_ms,
        study.resumed_at.map(|at| at.0),
        outcome.as_deref(),
        study.error.as_deref(),
        study.created_at.0,
        study.updated_at.0,
        study.finished_at.map(|at| at.0),
        study.etag.0,
    )?;
    Ok(inserted == 1)
}

pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Study>, Error> {
    optional!(tx, Row, BY_NAME, name)?.map(Study::try_from).transpose()
}

pub async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<Study>, Error> {
    optional!(tx, Row, BY_ID, id)?.map(Study::try_from).transpose()
}

/// The study, which nobody else changes until the transaction ends. On SQLite a writing transaction is alone anyway.
pub async fn lock(tx: &mut Tx, id: &StudyId) -> Result<Option<Study>, Error> {
    let statement = if tx.is_postgres() { LOCK } else { BY_ID };
    optional!(tx, Row, statement, id.as_str())?.map(Study::try_from).transpose()
}

/// Those of these studies that exist, in any order.
pub async fn by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<Study>, Error> {
    by_ids!(tx, Row, PG_BY_IDS, LITE_BY_IDS, ids).into_iter().map(Study::try_from).collect()
}

/// Studies by name, after the name `after`.
pub async fn list(tx: &mut Tx, prefix: &str, after: &str, limit: i64) -> Result<Vec<Study>, Error> {
    let end = prefix_end(prefix);
    all!(tx, Row, LIST, after, prefix, &end, limit)?.into_iter().map(Study::try_from).collect()
}

/// Writes all of a study that may change. Call it under [`lock`].
pub async fn save(tx: &mut Tx, study: &Study) -> Result<(), Error> {
    let (tags, jobs) = (json(&study.tags)?, json(&study.jobs)?);
    let outcome = study.outcome.as_ref().map(json).transpose()?;
    execute!(
        tx,
        SAVE,
        study.id.as_str(),
        &study.description,
        &tags,
        study.state.as_str(),
        study.revision,
        study.trial_count,
        &jobs,
        study.spent_ms,
        study.resumed_at.map(|at| at.0),
        outcome.as_deref(),
        study.error.as_deref(),
        study.updated_at.0,
        study.finished_at.map(|at| at.0),
        study.etag.0,
    )?;
    Ok(())
}

/// Deletes a study with its trials.
pub async fn delete(tx: &mut Tx, id: &StudyId) -> Result<(), Error> {
    execute!(tx, DELETE, id.as_str())?;
    Ok(())
}
