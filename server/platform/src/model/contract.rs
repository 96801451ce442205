//! Callers of a deployment rely on its feature contract: a version takes the place of another only if rows that were right
//! stay right, unless the request allows the break.

use serde_json::Value;
use tenor_domain::{AliasName, Error, ErrorKind, ModelName, ModelVersion, RegisteredModel};
use tenor_features::contract::{ChangeLevel, FeatureContract, compare};
use tenor_store::{Tx, deployment, model};

use super::{Models, version_by_number};
use crate::find;

/// What to do when an alias or a deployment is changed.
const ALLOW: &str =
    "serve it under a new deployment, or repeat with `allow_breaking_contract` once the callers are ready";
/// What to do when a training would move an alias.
const TRAIN_WITHOUT: &str =
    "train without the alias, and set it with `allow_breaking_contract` once the callers are ready";
/// The most of a message that lists changes: a gRPC status travels in headers.
const LISTED_BYTES: usize = 1_000;
/// The most of one change.
const CHANGE_CHARS: usize = 250;

impl Models<'_> {
    /// Checks that `aliases` of a model, which need not exist, may be pointed at a version with `contract`: for a training
    /// to ask before it begins.
    ///
    /// # Errors
    /// `CONTRACT_BREAKING` when a deployment follows one of them and the contract breaks the one that is served.
    pub async fn check_contract(&self, name: &ModelName, aliases: &[AliasName], contract: &Value) -> Result<(), Error> {
        check_contract(&mut self.0.read().await?, name, aliases, contract).await
    }
}

pub(crate) async fn check_contract(
    tx: &mut Tx,
    name: &ModelName,
    aliases: &[AliasName],
    contract: &Value,
) -> Result<(), Error> {
    let found = match find::model(tx, name.as_str()).await {
        Ok(found) => found,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for alias in aliases {
        let Some(served) = found.aliases.get(alias.as_str()) else { continue };
        let followers = deployment::followers(tx, &found.id, alias).await?;
        if followers.is_empty() {
            continue;
        }
        let served = version_by_number(tx, &found, *served).await?;
        let contract = parse(contract.clone())?;
        if served.contract_hash != contract.hash() {
            let old = of_version(tx, &found, &served).await?;
            let changes = breaking(old.as_ref(), Some(&contract));
            refuse(&changes, "a model trained on this split", &served, &followers, TRAIN_WITHOUT)?;
        }
    }
    Ok(())
}

/// Refuses to serve version `new` of `found` in place of version `served` when its contract breaks callers of `deployments`.
pub(crate) async fn check_replacement(
    tx: &mut Tx,
    found: &RegisteredModel,
    served: i64,
    new: &ModelVersion,
    deployments: &[String],
) -> Result<(), Error> {
    if deployments.is_empty() || served == new.number {
        return Ok(());
    }
    let served = version_by_number(tx, found, served).await?;
    if served.contract_hash == new.contract_hash {
        return Ok(());
    }
    let old = of_version(tx, found, &served).await?;
    let changes = breaking(old.as_ref(), of_version(tx, found, new).await?.as_ref());
    refuse(&changes, &format!("version {}", new.number), &served, deployments, ALLOW)
}

/// What breaks between two contracts, gravest first; empty when nothing does.
fn breaking(old: Option<&FeatureContract>, new: Option<&FeatureContract>) -> Vec<String> {
    let (Some(old), Some(new)) = (old, new) else {
        return vec!["the two cannot be compared, because one was not trained on a split".to_owned()];
    };
    let change = compare(old, new);
    if change.level == ChangeLevel::Major { change.reasons } else { Vec::new() }
}

fn refuse(
    changes: &[String],
    what: &str,
    served: &ModelVersion,
    deployments: &[String],
    remedy: &str,
) -> Result<(), Error> {
    let ([first, others @ ..], false) = (deployments, changes.is_empty()) else { return Ok(()) };
    let who = match others.len() {
        0 => format!("deployment `{first}` serves"),
        more => format!("deployment `{first}` and {more} more serve"),
    };
    let text = format!(
        "{what} breaks the feature contract of version {} of model `{}`, which {who}: {}; {remedy}",
        served.number,
        served.model_name,
        listed(changes)
    );
    Err(Error::precondition("CONTRACT_BREAKING", text))
}

/// The contract of a version; `None` when its run was not trained on a split.
async fn of_version(
    tx: &mut Tx,
    found: &RegisteredModel,
    version: &ModelVersion,
) -> Result<Option<FeatureContract>, Error> {
    model::contract(tx, &found.id, version.number).await?.map(parse).transpose()
}

fn parse(contract: Value) -> Result<FeatureContract, Error> {
    serde_json::from_value(contract)
        .map_err(|error| Error::internal(format!("a stored contract cannot be read: {error}")))
}

/// As many of the changes as fit.
fn listed(changes: &[String]) -> String {
    let mut text = String::new();
    for (index, change) in changes.iter().enumerate() {
        let change: String = change.chars().take(CHANGE_CHARS).collect();
        if index > 0 && text.len() + change.len() > LISTED_BYTES {
            text.push_str(&format!("; and {} more", changes.len() - index));
            break;
        }
        text.push_str(if index > 0 { "; " } else { "" });
        text.push_str(&change);
    }
    text
}
