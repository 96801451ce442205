//! Runs: the rows, what is logged to them, and the search over them.

mod artifact;
mod chunk;
mod details;
mod metric;
mod param;
mod search;
mod tag;

use std::collections::BTreeMap;

use tenor_domain::{Etag, ExperimentId, JobId, Run, RunId, SplitId, State, Timestamp};

pub use artifact::{artifact, artifacts, artifacts_of, put_artifact};
pub use metric::{MetricPoint, history, write_metrics};
pub use param::{insert_params, params};
pub use search::{
    Attribute, Comparison, Condition, Field, Filter, Order, Search, SortValue, fits, search, sort_values,
};
pub use tag::{put_tags, replace_tags, tags};

use crate::row::{Place, by_ids, execute, json, optional, scalar};
use crate::{Error, Statement, Tx};

macro_rules! columns {
    () => {
        "r.id, r.experiment_id, r.parent_run_id, r.name, r.kind, r.state, r.note, r.split_id, r.job_id, r.spec, r.error, \
         r.created_at, r.started_at, r.finished_at, r.etag"
    };
}
use columns;

crate::statements! {
    Both INSERT = "-- run.insert
INSERT INTO runs (id, experiment_id, parent_run_id, name, kind, state, note, split_id, job_id, spec, created_at, started_at, etag)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1)";
    Both BY_ID = concat!("-- run.by_id
SELECT ", columns!(), " FROM runs r WHERE r.id = $1");
    Pg PG_BY_IDS = concat!("-- run.by_ids
SELECT ", columns!(), " FROM runs r WHERE r.id = ANY($1)");
    Lite LITE_BY_IDS = concat!("-- run.by_ids
SELECT ", columns!(), " FROM runs r WHERE r.id IN (SELECT value FROM json_each($1))");
    Both SET_JOB = "-- run.set_job
UPDATE runs SET job_id = $2 WHERE id = $1";
    /// `$2` and `$3` NULL: as it is.
    Both UPDATE = "-- run.update
UPDATE runs
SET name = COALESCE(CAST($2 AS TEXT), name), note = COALESCE(CAST($3 AS TEXT), note), etag = etag + 1
WHERE id = $1 AND (CAST($4 AS BIGINT) IS NULL OR etag = $4)";
    /// Only from the state that the caller saw. The first start counts: a run whose job is tried again keeps it.
    Both MOVE = "-- run.move
UPDATE runs
SET state = $3, error = $4, started_at = COALESCE(started_at, CAST($5 AS BIGINT)), finished_at = $6, etag = etag + 1
WHERE id = $1 AND state = $2";
    Both SET_MODEL = "-- run.set_model
UPDATE runs SET model = $2 WHERE id = $1";
    Both MODEL = "-- run.model
SELECT model FROM runs WHERE id = $1";
    Both DELETE = "-- run.delete
DELETE FROM runs WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR etag = $2)";
    /// Versions that came from the run or from one below it.
    Both VERSIONS_FROM = "-- run.versions_from
WITH RECURSIVE below (id) AS (
    SELECT id FROM runs WHERE id = $1
    UNION
    SELECT r.id FROM runs r JOIN below b ON r.parent_run_id = b.id
)
SELECT CAST(COUNT(*) AS BIGINT) FROM model_versions WHERE run_id IN (SELECT id FROM below)";
}

/// Every statement of runs.
pub(crate) fn statements() -> impl Iterator<Item = &'static [Statement]> {
    [STATEMENTS, artifact::STATEMENTS, details::STATEMENTS, metric::STATEMENTS, param::STATEMENTS, tag::STATEMENTS]
        .into_iter()
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    experiment_id: String,
    parent_run_id: Option<String>,
    name: String,
    kind: String,
    state: String,
    note: String,
    split_id: Option<String>,
    job_id: Option<i64>,
    spec: Option<String>,
    error: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    etag: i64,
}

impl TryFrom<Row> for Run {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "runs", id: &row.id };
        Ok(Self {
            state: place.state("state", &row.state)?,
            spec: place.optional_json("spec", row.spec)?,
            id: RunId::trusted(row.id),
            experiment_id: ExperimentId::trusted(row.experiment_id),
            parent_run_id: row.parent_run_id.map(RunId::trusted),
            name: row.name,
            kind: row.kind,
            params: BTreeMap::new(),
            tags: BTreeMap::new(),
            note: row.note,
            split_id: row.split_id.map(SplitId::trusted),
            job_id: row.job_id.map(JobId),
            error: row.error,
            created_at: Timestamp(row.created_at),
            started_at: row.started_at.map(Timestamp),
            finished_at: row.finished_at.map(Timestamp),
            etag: Etag(row.etag),
            metrics: BTreeMap::new(),
        })
    }
}

/// Inserts a run with its parameters and tags.
///
/// # Errors
/// [`Error::ForeignKey`] when its experiment, parent or split is gone.
pub async fn insert(tx: &mut Tx, run: &Run) -> Result<(), Error> {
    let spec = run.spec.as_ref().map(json).transpose()?;
    execute!(
        tx,
        INSERT,
        run.id.as_str(),
        run.experiment_id.as_str(),
        run.parent_run_id.as_ref().map(RunId::as_str),
        &run.name,
        &run.kind,
        run.state.as_str(),
        &run.note,
        run.split_id.as_ref().map(SplitId::as_str),
        run.job_id.map(|id| id.0),
        spec.as_deref(),
        run.created_at.0,
        run.started_at.map(|at| at.0),
    )?;
    insert_params(tx, &run.id, &run.params).await?;
    put_tags(tx, &run.id, &run.tags).await
}

/// A run with its parameters, tags and last metrics.
pub async fn by_id(tx: &mut Tx, id: &RunId) -> Result<Option<Run>, Error> {
    let Some(row) = optional!(tx, Row, BY_ID, id.as_str())? else { return Ok(None) };
    let mut run = Run::try_from(row)?;
    details::fill(tx, std::slice::from_mut(&mut run)).await?;
    Ok(Some(run))
}

/// Those of these runs that exist, in any order, with their parameters, tags and last metrics.
pub async fn by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<Run>, Error> {
    let rows = by_ids!(tx, Row, PG_BY_IDS, LITE_BY_IDS, ids);
    let mut runs = rows.into_iter().map(Run::try_from).collect::<Result<Vec<_>, _>>()?;
    details::fill(tx, &mut runs).await?;
    Ok(runs)
}

/// Which of these runs exist; they cannot be deleted until the transaction ends.
pub async fn existing(tx: &mut Tx, ids: &[&str]) -> Result<Vec<String>, Error> {
    details::existing(tx, ids).await
}

pub async fn set_job(tx: &mut Tx, id: &RunId, job: JobId) -> Result<(), Error> {
    execute!(tx, SET_JOB, id.as_str(), job.0)?;
    Ok(())
}

/// Changes name or note, or only the etag; `false` when the run is gone or `etag` is stale.
pub async fn update(
    tx: &mut Tx,
    id: &RunId,
    name: Option<&str>,
    note: Option<&str>,
    etag: Option<Etag>,
) -> Result<bool, Error> {
    Ok(execute!(tx, UPDATE, id.as_str(), name, note, etag.map(|etag| etag.0))? == 1)
}

/// Moves a run from one state to another; `false` when it is not in `from` any more.
pub async fn move_to(
    tx: &mut Tx,
    id: &RunId,
    from: State,
    to: State,
    error: Option<&str>,
    now: Timestamp,
) -> Result<bool, Error> {
    let started_at = (to == State::Running).then_some(now.0);
    let finished_at = to.is_final().then_some(now.0);
    let moved = execute!(tx, MOVE, id.as_str(), from.as_str(), to.as_str(), error, started_at, finished_at)?;
    Ok(moved == 1)
}

/// Notes what is known of the model file that the run made, as JSON.
pub async fn set_model(tx: &mut Tx, id: &RunId, model: &serde_json::Value) -> Result<bool, Error> {
    let model = json(model)?;
    Ok(execute!(tx, SET_MODEL, id.as_str(), &model)? == 1)
}

/// What [`set_model`] noted.
pub async fn model(tx: &mut Tx, id: &RunId) -> Result<Option<serde_json::Value>, Error> {
    let text = scalar!(tx, Option<String>, MODEL, id.as_str())?.flatten();
    Place { table: "runs", id: id.as_str() }.optional_json("model", text)
}

/// Deletes a run with all that was logged to it and all runs below it; `false` when it is gone or `etag` is stale.
///
/// # Errors
/// [`Error::ForeignKey`] when a model version came from one of them.
pub async fn delete(tx: &mut Tx, id: &RunId, etag: Option<Etag>) -> Result<bool, Error> {
    Ok(execute!(tx, DELETE, id.as_str(), etag.map(|etag| etag.0))? == 1)
}

/// How many model versions came from the run or from runs below it.
pub async fn versions_from(tx: &mut Tx, id: &RunId) -> Result<i64, Error> {
    Ok(scalar!(tx, i64, VERSIONS_FROM, id.as_str())?.unwrap_or(0))
}
