//! Experiments.

use tenor_domain::{Etag, Experiment, ExperimentId, ExperimentName, Tags, Timestamp};

use crate::row::{Place, all, by_ids, execute, json, optional, prefix_end, scalar};
use crate::{Error, Tx};

macro_rules! columns {
    () => {
        "id, name, description, tags, created_at, updated_at, etag"
    };
}

crate::statements! {
    Both INSERT = concat!("-- experiment.insert
INSERT INTO experiments (", columns!(), ")
VALUES ($1, $2, $3, $4, $5, $5, 1)
ON CONFLICT (name) DO NOTHING");
    Both BY_NAME = concat!("-- experiment.by_name
SELECT ", columns!(), " FROM experiments WHERE name = $1");
    Both BY_ID = concat!("-- experiment.by_id
SELECT ", columns!(), " FROM experiments WHERE id = $1");
    Pg PG_BY_IDS = concat!("-- experiment.by_ids
SELECT ", columns!(), " FROM experiments WHERE id = ANY($1)");
    Lite LITE_BY_IDS = concat!("-- experiment.by_ids
SELECT ", columns!(), " FROM experiments WHERE id IN (SELECT value FROM json_each($1))");
    Both LIST = concat!("-- experiment.list
SELECT ", columns!(), "
FROM experiments
WHERE name > $1 AND name >= $2 AND name < $3
ORDER BY name
LIMIT $4");
    Both UPDATE = concat!("-- experiment.update
UPDATE experiments
SET description = COALESCE(CAST($2 AS TEXT), description), tags = COALESCE(CAST($3 AS TEXT), tags), updated_at = $4, etag = etag + 1
WHERE id = $1 AND (CAST($5 AS BIGINT) IS NULL OR etag = $5)
RETURNING ", columns!());
    Both DELETE = "-- experiment.delete
DELETE FROM experiments WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR etag = $2)";
    Both COUNT_RUNS = "-- experiment.count_runs
SELECT CAST(COUNT(*) AS BIGINT) FROM runs WHERE experiment_id = $1";
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
}

impl TryFrom<Row> for Experiment {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            tags: Place { table: "experiments", id: &row.id }.json("tags", &row.tags)?,
            id: ExperimentId::trusted(row.id),
            name: ExperimentName::trusted(row.name),
            description: row.description,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            etag: Etag(row.etag),
        })
    }
}

/// Inserts an experiment; `false` when its name is taken.
pub async fn insert(
    tx: &mut Tx,
    id: &ExperimentId,
    name: &ExperimentName,
    description: &str,
    tags: &Tags,
    now: Timestamp,
) -> Result<bool, Error> {
    let tags = json(tags)?;
    Ok(execute!(tx, INSERT, id.as_str(), name.as_str(), description, &tags, now.0)? == 1)
}

pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Experiment>, Error> {
    optional!(tx, Row, BY_NAME, name)?.map(Experiment::try_from).transpose()
}

pub async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<Experiment>, Error> {
    optional!(tx, Row, BY_ID, id)?.map(Experiment::try_from).transpose()
}

/// Those of these experiments that exist, in any order.
pub async fn by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<Experiment>, Error> {
    by_ids!(tx, Row, PG_BY_IDS, LITE_BY_IDS, ids).into_iter().map(Experiment::try_from).collect()
}

/// Experiments by name, after the name `after`.
pub async fn list(tx: &mut Tx, prefix: &str, after: &str, limit: i64) -> Result<Vec<Experiment>, Error> {
    let end = prefix_end(prefix);
    all!(tx, Row, LIST, after, prefix, &end, limit)?.into_iter().map(Experiment::try_from).collect()
}

/// Changes what is given; `None` when the row is gone or `etag` is stale.
pub async fn update(
    tx: &mut Tx,
    id: &ExperimentId,
    description: Option<&str>,
    tags: Option<&Tags>,
    etag: Option<Etag>,
    now: Timestamp,
) -> Result<Option<Experiment>, Error> {
    let tags = tags.map(json).transpose()?;
    optional!(tx, Row, UPDATE, id.as_str(), description, tags.as_deref(), now.0, etag.map(|etag| etag.0))?
        .map(Experiment::try_from)
        .transpose()
}

/// Deletes an experiment; `false` when it is gone or `etag` is stale.
///
/// # Errors
/// [`Error::ForeignKey`] when it has runs.
pub async fn delete(tx: &mut Tx, id: &ExperimentId, etag: Option<Etag>) -> Result<bool, Error> {
    Ok(execute!(tx, DELETE, id.as_str(), etag.map(|etag| etag.0))? == 1)
}

pub async fn count_runs(tx: &mut Tx, id: &ExperimentId) -> Result<i64, Error> {
    Ok(scalar!(tx, i64, COUNT_RUNS, id.as_str())?.unwrap_or(0))
}
