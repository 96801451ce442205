//! Registered models, their versions, and aliases with their history.

mod alias;
mod contract;

use std::collections::{BTreeMap, HashMap};

use tenor_domain::{
    Etag, ModelName, ModelVersion, ModelVersionId, RegisteredModel, RegisteredModelId, RunId, Tags, Timestamp,
};

pub use alias::{AliasNow, alias, event_at, history, put_alias};
pub use contract::contract;

use crate::row::{Place, all, by_ids, by_numbers, execute, json, optional, prefix_end, scalar};
use crate::{Error, Statement, Tx};

macro_rules! columns {
    () => {
        "id, name, description, tags, created_at, updated_at, etag, latest_version"
    };
}

macro_rules! version_columns {
    () => {
        "v.id, v.model_id, m.name AS model_name, v.number, v.run_id, v.digest, v.size_bytes, v.kind, v.classes, \
         v.contract_hash, v.metrics, v.description, v.created_at"
    };
}

crate::statements! {
    Both INSERT = concat!("-- model.insert
INSERT INTO registered_models (", columns!(), ")
VALUES ($1, $2, $3, $4, $5, $5, 1, 0)
ON CONFLICT (name) DO NOTHING");
    Both BY_NAME = concat!("-- model.by_name
SELECT ", columns!(), " FROM registered_models WHERE name = $1");
    Both BY_ID = concat!("-- model.by_id
SELECT ", columns!(), " FROM registered_models WHERE id = $1");
    Pg PG_BY_IDS = concat!("-- model.by_ids
SELECT ", columns!(), " FROM registered_models WHERE id = ANY($1)");
    Lite LITE_BY_IDS = concat!("-- model.by_ids
SELECT ", columns!(), " FROM registered_models WHERE id IN (SELECT value FROM json_each($1))");
    Both LIST = concat!("-- model.list
SELECT ", columns!(), "
FROM registered_models
WHERE name > $1 AND name >= $2 AND name < $3
ORDER BY name
LIMIT $4");
    Both UPDATE = concat!("-- model.update
UPDATE registered_models
SET description = COALESCE(CAST($2 AS TEXT), description), tags = COALESCE(CAST($3 AS TEXT), tags), updated_at = $4, etag = etag + 1
WHERE id = $1 AND (CAST($5 AS BIGINT) IS NULL OR etag = $5)
RETURNING ", columns!());
    /// Aliases go first: they refer to versions, which go with the model.
    Both DELETE_ALIASES = "-- model.delete_aliases
DELETE FROM model_aliases WHERE model_id = $1";
    Both DELETE = "-- model.delete
DELETE FROM registered_models WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR etag = $2)";
    Both COUNT_DEPLOYMENTS = "-- model.count_deployments
SELECT CAST(COUNT(*) AS BIGINT) FROM deployments WHERE model_id = $1";
    Pg PG_ALIASES = "-- model.aliases
SELECT model_id, alias, version FROM model_aliases WHERE model_id = ANY($1) AND version IS NOT NULL";
    Lite LITE_ALIASES = "-- model.aliases
SELECT model_id, alias, version
FROM model_aliases
WHERE model_id IN (SELECT value FROM json_each($1)) AND version IS NOT NULL";
    /// A write without a change: it takes the row's lock on both databases.
    Both LOCK = "-- model.lock
UPDATE registered_models SET latest_version = latest_version WHERE id = $1";
    Both NEXT_VERSION = "-- model.next_version
UPDATE registered_models SET latest_version = latest_version + 1, updated_at = $2 WHERE id = $1 RETURNING latest_version";
    Both INSERT_VERSION = "-- model.insert_version
INSERT INTO model_versions
    (id, model_id, number, run_id, digest, size_bytes, kind, classes, contract_hash, metrics, description, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    Both SAME_VERSION = concat!("-- model.same_version
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.model_id = $1 AND v.run_id = $2 AND v.digest = $3");
    Both VERSION_BY_ID = concat!("-- model.version_by_id
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.id = $1");
    Both VERSION_BY_NUMBER = concat!("-- model.version_by_number
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.model_id = $1 AND v.number = $2");
    Pg PG_VERSIONS_BY_IDS = concat!("-- model.versions_by_ids
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.id = ANY($1)");
    Lite LITE_VERSIONS_BY_IDS = concat!("-- model.versions_by_ids
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.id IN (SELECT value FROM json_each($1))");
    Pg PG_VERSIONS_BY_NUMBERS = concat!("-- model.versions_by_numbers
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE (v.model_id, v.number) IN (SELECT * FROM UNNEST(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[])))");
    Lite LITE_VERSIONS_BY_NUMBERS = concat!("-- model.versions_by_numbers
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE (v.model_id, v.number) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each($1))");
    Pg PG_VERSIONS_BY_RUNS = concat!("-- model.versions_by_runs
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.run_id = ANY($1)
ORDER BY v.id");
    Lite LITE_VERSIONS_BY_RUNS = concat!("-- model.versions_by_runs
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.run_id IN (SELECT value FROM json_each($1))
ORDER BY v.id");
    Both LIST_VERSIONS = concat!("-- model.list_versions
SELECT ", version_columns!(), "
FROM model_versions v JOIN registered_models m ON m.id = v.model_id
WHERE v.model_id = $1 AND v.number < $2
ORDER BY v.number DESC
LIMIT $3");
}

/// Every statement of models.
pub(crate) fn statements() -> impl Iterator<Item = &'static [Statement]> {
    [STATEMENTS, alias::STATEMENTS, contract::STATEMENTS].into_iter()
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

impl TryFrom<Row> for RegisteredModel {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            tags: Place { table: "registered_models", id: &row.id }.json("tags", &row.tags)?,
            id: RegisteredModelId::trusted(row.id),
            name: ModelName::trusted(row.name),
            description: row.description,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            etag: Etag(row.etag),
            latest_version: row.latest_version,
            aliases: BTreeMap::new(),
        })
    }
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    id: String,
    model_id: String,
    model_name: String,
    number: i64,
    run_id: String,
    digest: String,
    size_bytes: i64,
    kind: String,
    classes: String,
    contract_hash: String,
    metrics: String,
    description: String,
    created_at: i64,
}

impl TryFrom<VersionRow> for ModelVersion {
    type Error = Error;
    fn try_from(row: VersionRow) -> Result<Self, Error> {
        let place = Place { table: "model_versions", id: &row.id };
        Ok(Self {
            digest: place.digest("digest", &row.digest)?,
            classes: place.json("classes", &row.classes)?,
            contract_hash: place.digest("contract_hash", &row.contract_hash)?,
            metrics: place
                .json::<BTreeMap<String, Number>>("metrics", &row.metrics)?
                .into_iter()
                .map(|(key, number)| (key, number.into()))
                .collect(),
            id: ModelVersionId::trusted(row.id),
            model_id: RegisteredModelId::trusted(row.model_id),
            model_name: ModelName::trusted(row.model_name),
            number: row.number,
            run_id: RunId::trusted(row.run_id),
            size_bytes: row.size_bytes,
            kind: row.kind,
            description: row.description,
            created_at: Timestamp(row.created_at),
        })
    }
}

/// A number in JSON, which has no word for NaN and the infinities.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Number {
    Finite(f64),
    /// `NaN`, `inf` or `-inf`.
    Special(String),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Finite(value) } else { Self::Special(value.to_string()) }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        match number {
            Number::Finite(value) => value,
            Number::Special(text) => text.parse().unwrap_or(f64::NAN),
        }
    }
}

/// Inserts a model without versions; `false` when its name is taken.
pub async fn insert(
    tx: &mut Tx,
    id: &RegisteredModelId,
    name: &ModelName,
    description: &str,
    tags: &Tags,
    now: Timestamp,
) -> Result<bool, Error> {
    let tags = json(tags)?;
    Ok(execute!(tx, INSERT, id.as_str(), name.as_str(), description, &tags, now.0)? == 1)
}

pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<RegisteredModel>, Error> {
    let row = optional!(tx, Row, BY_NAME, name)?;
    one(tx, row).await
}

pub async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<RegisteredModel>, Error> {
    let row = optional!(tx, Row, BY_ID, id)?;
    one(tx, row).await
}

async fn one(tx: &mut Tx, row: Option<Row>) -> Result<Option<RegisteredModel>, Error> {
    let Some(row) = row else { return Ok(None) };
    let mut model = RegisteredModel::try_from(row)?;
    fill(tx, std::slice::from_mut(&mut model)).await?;
    Ok(Some(model))
}

/// Those of these models that exist, in any order.
pub async fn by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<RegisteredModel>, Error> {
    let rows = by_ids!(tx, Row, PG_BY_IDS, LITE_BY_IDS, ids);
    many(tx, rows).await
}

/// Models by name, after the name `after`.
pub async fn list(tx: &mut Tx, prefix: &str, after: &str, limit: i64) -> Result<Vec<RegisteredModel>, Error> {
    let end = prefix_end(prefix);
    let rows = all!(tx, Row, LIST, after, prefix, &end, limit)?;
    many(tx, rows).await
}

async fn many(tx: &mut Tx, rows: Vec<Row>) -> Result<Vec<RegisteredModel>, Error> {
    let mut models = rows.into_iter().map(RegisteredModel::try_from).collect::<Result<Vec<_>, _>>()?;
    fill(tx, &mut models).await?;
    Ok(models)
}

/// The aliases of all models in one statement.
async fn fill(tx: &mut Tx, models: &mut [RegisteredModel]) -> Result<(), Error> {
    if models.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let mut aliases: HashMap<String, BTreeMap<String, i64>> = HashMap::new();
    for (id, alias, version) in by_ids!(tx, (String, String, i64), PG_ALIASES, LITE_ALIASES, &ids) {
        aliases.entry(id).or_default().insert(alias, version);
    }
    for model in models {
        model.aliases = aliases.remove(model.id.as_str()).unwrap_or_default();
    }
    Ok(())
}

/// Changes what is given; `None` when the row is gone or `etag` is stale.
pub async fn update(
    tx: &mut Tx,
    id: &RegisteredModelId,
    description: Option<&str>,
    tags: Option<&Tags>,
    etag: Option<Etag>,
    now: Timestamp,
) -> Result<Option<RegisteredModel>, Error> {
    let tags = tags.map(json).transpose()?;
    let row = optional!(tx, Row, UPDATE, id.as_str(), description, tags.as_deref(), now.0, etag.map(|etag| etag.0))?;
    one(tx, row).await
}

/// Deletes a model with its versions, aliases and their history; `false` when it is gone or `etag` is stale.
///
/// # Errors
/// [`Error::ForeignKey`] when a deployment serves it.
pub async fn delete(tx: &mut Tx, id: &RegisteredModelId, etag: Option<Etag>) -> Result<bool, Error> {
    execute!(tx, DELETE_ALIASES, id.as_str())?;
    Ok(execute!(tx, DELETE, id.as_str(), etag.map(|etag| etag.0))? == 1)
}

/// How many deployments serve the model.
pub async fn count_deployments(tx: &mut Tx, id: &RegisteredModelId) -> Result<i64, Error> {
    Ok(scalar!(tx, i64, COUNT_DEPLOYMENTS, id.as_str())?.unwrap_or(0))
}

/// Holds the model until the transaction ends; `false` when it is gone.
pub async fn lock(tx: &mut Tx, id: &RegisteredModelId) -> Result<bool, Error> {
    Ok(execute!(tx, LOCK, id.as_str())? == 1)
}

/// Takes the next version number; `None` when the model is gone. A transaction that rolls back gives it back.
pub async fn next_version(tx: &mut Tx, id: &RegisteredModelId, now: Timestamp) -> Result<Option<i64>, Error> {
    Ok(scalar!(tx, i64, NEXT_VERSION, id.as_str(), now.0)?)
}

/// Inserts a version.
///
/// # Errors
/// [`Error::ForeignKey`] when its run is gone.
pub async fn insert_version(tx: &mut Tx, version: &ModelVersion) -> Result<(), Error> {
    let classes = json(&version.classes)?;
    let metrics: BTreeMap<&str, Number> =
        version.metrics.iter().map(|(key, value)| (key.as_str(), Number::from(*value))).collect();
    let metrics = json(&metrics)?;
    execute!(
        tx,
        INSERT_VERSION,
        version.id.as_str(),
        version.model_id.as_str(),
        version.number,
        version.run_id.as_str(),
        version.digest.to_string(),
        version.size_bytes,
        &version.kind,
        &classes,
        version.contract_hash.to_string(),
        &metrics,
        &version.description,
        version.created_at.0,
    )?;
    Ok(())
}

/// The version that came from this run with this file.
pub async fn same_version(
    tx: &mut Tx,
    id: &RegisteredModelId,
    run: &RunId,
    digest: &tenor_domain::Digest,
) -> Result<Option<ModelVersion>, Error> {
    optional!(tx, VersionRow, SAME_VERSION, id.as_str(), run.as_str(), digest.to_string())?
        .map(ModelVersion::try_from)
        .transpose()
}

pub async fn version_by_id(tx: &mut Tx, id: &str) -> Result<Option<ModelVersion>, Error> {
    optional!(tx, VersionRow, VERSION_BY_ID, id)?.map(ModelVersion::try_from).transpose()
}

pub async fn version_by_number(
    tx: &mut Tx,
    id: &RegisteredModelId,
    number: i64,
) -> Result<Option<ModelVersion>, Error> {
    optional!(tx, VersionRow, VERSION_BY_NUMBER, id.as_str(), number)?.map(ModelVersion::try_from).transpose()
}

/// Those of these versions that exist, in any order.
pub async fn versions_by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<ModelVersion>, Error> {
    let rows = by_ids!(tx, VersionRow, PG_VERSIONS_BY_IDS, LITE_VERSIONS_BY_IDS, ids);
    rows.into_iter().map(ModelVersion::try_from).collect()
}

/// Those of these versions, each a model's id and a number, that exist, in any order.
pub async fn versions_by_numbers(tx: &mut Tx, pairs: &[(&str, i64)]) -> Result<Vec<ModelVersion>, Error> {
    let rows = by_numbers!(tx, VersionRow, PG_VERSIONS_BY_NUMBERS, LITE_VERSIONS_BY_NUMBERS, pairs);
    rows.into_iter().map(ModelVersion::try_from).collect()
}

/// The versions that came from these runs, oldest first.
pub async fn versions_by_runs(tx: &mut Tx, runs: &[&str]) -> Result<Vec<ModelVersion>, Error> {
    let rows = by_ids!(tx, VersionRow, PG_VERSIONS_BY_RUNS, LITE_VERSIONS_BY_RUNS, runs);
    rows.into_iter().map(ModelVersion::try_from).collect()
}

/// Versions with a number below `before`, newest first.
pub async fn list_versions(
    tx: &mut Tx,
    id: &RegisteredModelId,
    before: i64,
    limit: i64,
) -> Result<Vec<ModelVersion>, Error> {
    all!(tx, VersionRow, LIST_VERSIONS, id.as_str(), before, limit)?.into_iter().map(ModelVersion::try_from).collect()
}
