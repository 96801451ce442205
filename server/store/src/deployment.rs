//! Deployments.

use tenor_domain::{
    AliasName, ContractMode, Deployment, DeploymentId, DeploymentName, DeploymentTarget, Etag, ModelName,
    RegisteredModelId, Timestamp,
};

use crate::row::{Place, all, by_ids, execute, optional};
use crate::{Error, Tx};

/// With what the target means now.
macro_rules! select {
    () => {
        "SELECT d.id, d.name, d.model_id, m.name AS model_name, d.target_alias, d.target_version, d.contract_mode, \
         d.created_at, d.updated_at, d.etag, COALESCE(d.target_version, a.version) AS current_version
FROM deployments d
JOIN registered_models m ON m.id = d.model_id
LEFT JOIN model_aliases a ON a.model_id = d.model_id AND a.alias = d.target_alias "
    };
}

crate::statements! {
    Both INSERT = "-- deployment.insert
INSERT INTO deployments (id, name, model_id, target_alias, target_version, contract_mode, created_at, updated_at, etag)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1)
ON CONFLICT (name) DO NOTHING";
    Both BY_NAME = concat!("-- deployment.by_name\n", select!(), "WHERE d.name = $1");
    Both BY_ID = concat!("-- deployment.by_id\n", select!(), "WHERE d.id = $1");
    Pg PG_BY_IDS = concat!("-- deployment.by_ids\n", select!(), "WHERE d.id = ANY($1)");
    Lite LITE_BY_IDS = concat!("-- deployment.by_ids\n", select!(), "WHERE d.id IN (SELECT value FROM json_each($1))");
    Both LIST = concat!("-- deployment.list\n", select!(), "
WHERE d.name > $1
ORDER BY d.name
LIMIT $2");
    Both FOLLOWERS = "-- deployment.followers
SELECT name FROM deployments WHERE model_id = $1 AND target_alias = $2 ORDER BY name";
    /// Both targets NULL: the target stays.
    Both UPDATE = "-- deployment.update
UPDATE deployments
SET target_alias = CASE WHEN CAST($2 AS TEXT) IS NULL AND CAST($3 AS BIGINT) IS NULL THEN target_alias ELSE $2 END,
    target_version = CASE WHEN CAST($2 AS TEXT) IS NULL AND CAST($3 AS BIGINT) IS NULL THEN target_version ELSE $3 END,
    contract_mode = COALESCE(CAST($4 AS TEXT), contract_mode),
    updated_at = $5,
    etag = etag + 1
WHERE id = $1 AND (CAST($6 AS BIGINT) IS NULL OR etag = $6)";
    Both DELETE = "-- deployment.delete
DELETE FROM deployments WHERE id = $1 AND (CAST($2 AS BIGINT) IS NULL OR etag = $2)";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    model_id: String,
    model_name: String,
    target_alias: Option<String>,
    target_version: Option<i64>,
    contract_mode: String,
    created_at: i64,
    updated_at: i64,
    etag: i64,
    current_version: Option<i64>,
}

impl TryFrom<Row> for Deployment {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "deployments", id: &row.id };
        let target = match (row.target_alias, row.target_version) {
            (Some(alias), _) => DeploymentTarget::Alias(AliasName::trusted(alias)),
            (None, Some(version)) => DeploymentTarget::Version(version),
            (None, None) => return Err(Error::corrupt("deployments", "target_version", &row.id, "no target is set")),
        };
        Ok(Self {
            contract_mode: place.parsed(
                "contract_mode",
                &row.contract_mode,
                ContractMode::parse(&row.contract_mode),
            )?,
            id: DeploymentId::trusted(row.id),
            name: DeploymentName::trusted(row.name),
            model_id: RegisteredModelId::trusted(row.model_id),
            model_name: ModelName::trusted(row.model_name),
            target,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            etag: Etag(row.etag),
            current_version: row.current_version,
        })
    }
}

fn columns(target: Option<&DeploymentTarget>) -> (Option<&str>, Option<i64>) {
    match target {
        Some(DeploymentTarget::Alias(alias)) => (Some(alias.as_str()), None),
        Some(DeploymentTarget::Version(version)) => (None, Some(*version)),
        None => (None, None),
    }
}

/// Inserts a deployment; `false` when its name is taken.
///
/// # Errors
/// [`Error::ForeignKey`] when the model, or the version that it stays on, is gone.
pub async fn insert(
    tx: &mut Tx,
    id: &DeploymentId,
    name: &DeploymentName,
    model: &RegisteredModelId,
    target: &DeploymentTarget,
    mode: ContractMode,
    now: Timestamp,
) -> Result<bool, Error> {
    let (alias, version) = columns(Some(target));
    let inserted =
        execute!(tx, INSERT, id.as_str(), name.as_str(), model.as_str(), alias, version, mode.as_str(), now.0)?;
    Ok(inserted == 1)
}

pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Deployment>, Error> {
    optional!(tx, Row, BY_NAME, name)?.map(Deployment::try_from).transpose()
}

pub async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<Deployment>, Error> {
    optional!(tx, Row, BY_ID, id)?.map(Deployment::try_from).transpose()
}

/// Those of these deployments that exist, in any order.
pub async fn by_ids(tx: &mut Tx, ids: &[&str]) -> Result<Vec<Deployment>, Error> {
    by_ids!(tx, Row, PG_BY_IDS, LITE_BY_IDS, ids).into_iter().map(Deployment::try_from).collect()
}

/// Deployments by name, after the name `after`, each with the version that its target means now.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Deployment>, Error> {
    all!(tx, Row, LIST, after, limit)?.into_iter().map(Deployment::try_from).collect()
}

/// The names of the deployments that follow an alias.
pub async fn followers(tx: &mut Tx, model: &RegisteredModelId, alias: &AliasName) -> Result<Vec<String>, Error> {
    Ok(all!(tx, (String,), FOLLOWERS, model.as_str(), alias.as_str())?.into_iter().map(|(name,)| name).collect())
}

/// Changes what is given; `false` when the row is gone or `etag` is stale.
pub async fn update(
    tx: &mut Tx,
    id: &DeploymentId,
    target: Option<&DeploymentTarget>,
    mode: Option<ContractMode>,
    etag: Option<Etag>,
    now: Timestamp,
) -> Result<bool, Error> {
    let (alias, version) = columns(target);
    let mode = mode.map(ContractMode::as_str);
    Ok(execute!(tx, UPDATE, id.as_str(), alias, version, mode, now.0, etag.map(|etag| etag.0))? == 1)
}

/// Deletes a deployment; `false` when it is gone or `etag` is stale.
pub async fn delete(tx: &mut Tx, id: &DeploymentId, etag: Option<Etag>) -> Result<bool, Error> {
    Ok(execute!(tx, DELETE, id.as_str(), etag.map(|etag| etag.0))? == 1)
}
