//! `tenor model` and `tenor alias`.

use std::path::PathBuf;

use clap::Subcommand;
use tenor_sdk::AliasMove;
use tenor_sdk::types::Timestamp;

use super::named::{Create, Delete, Limit, List, Update};
use super::run::files::save;
use crate::context::Context;
use crate::error::Result;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create a model without versions.
    Create(Create),
    /// List models.
    List(List),
    /// Show a model with its aliases.
    Describe {
        /// Name or id.
        model: String,
    },
    /// Change description or tags.
    Update(Update),
    /// Delete a model that no deployment serves.
    Delete(Delete),
    /// Register the model of a succeeded run as the next version.
    Register {
        model: String,
        /// The run's id.
        #[arg(long)]
        run: String,
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List the versions of a model.
    Versions {
        model: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show one version.
    DescribeVersion {
        model: String,
        /// A number, an alias, or `latest`.
        #[arg(default_value = "latest")]
        version: String,
    },
    /// Write the model file of a version.
    Download {
        model: String,
        /// A number, an alias, or `latest`.
        #[arg(default_value = "latest")]
        version: String,
        /// The file to write; `-` for stdout. `MODEL-vNUMBER.tenor` when left out.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum AliasVerb {
    /// Point an alias at a version.
    Set {
        model: String,
        alias: String,
        /// The version's number.
        version: i64,
        /// Compare and set: fail when the alias has another etag by now.
        #[arg(long, default_value = "")]
        etag: String,
        /// The reason, for the history.
        #[arg(long, default_value = "")]
        why: String,
        /// Move it although a deployment that follows it then takes other input: its callers are ready.
        #[arg(long)]
        allow_breaking_contract: bool,
    },
    /// Show what an alias means, or meant.
    Get {
        model: String,
        alias: String,
        /// E.g. 2026-01-31T12:00:00Z; now when left out.
        #[arg(long, value_name = "TIME", value_parser = time)]
        as_of: Option<Timestamp>,
    },
    /// Show all changes of an alias.
    History {
        model: String,
        alias: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Remove an alias; its history stays.
    Delete {
        model: String,
        alias: String,
        #[arg(long, default_value = "")]
        etag: String,
        /// The reason, for the history.
        #[arg(long, default_value = "")]
        why: String,
    },
}

fn time(text: &str) -> std::result::Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{text}` is not a time such as 2026-01-31T12:00:00Z"))
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let models = context.client.models();
    match verb {
        Verb::Create(create) => context.item(&models.create(create.request()).await?),
        Verb::List(list) => {
            let columns = ["name", "latest_version", "aliases", "description", "create_time"];
            context.list(models.list(list.prefix), list.limit.limit, &columns).await
        }
        Verb::Describe { model } => context.item(&models.get(model).await?),
        Verb::Update(update) => {
            let (name, change) = update.request()?;
            context.item(&models.update(name, change).await?)
        }
        Verb::Delete(Delete { name, etag }) => {
            context.confirm(&format!("delete model {name} with all versions")).await?;
            models.delete(name, etag).await?;
            context.note("deleted")
        }
        Verb::Register { model, run, description } => context.item(&models.register(model, run, description).await?),
        Verb::Versions { model, limit } => {
            let columns = [
                "number",
                "kind",
                "metrics.test/macro_f1",
                "metrics.test/accuracy",
                "run_id",
                "size_bytes",
                "create_time",
            ];
            context.list(models.versions(model), limit.limit, &columns).await
        }
        Verb::DescribeVersion { model, version } => context.item(&models.version(model, version).await?),
        Verb::Download { model, version, to } => {
            let version = models.version(model, version).await?;
            let to = to.unwrap_or_else(|| PathBuf::from(format!("{}-v{}.tenor", version.model, version.number)));
            let parts = models.download(version.model, version.number.to_string()).await?;
            let size = u64::try_from(version.size_bytes).unwrap_or(0);
            save(context, parts, &to, size).await
        }
    }
}

pub(crate) async fn run_alias(verb: AliasVerb, context: &mut Context<'_>) -> Result {
    let models = context.client.models();
    match verb {
        AliasVerb::Set { model, alias, version, etag, why, allow_breaking_contract } => {
            let mut to = AliasMove::new(model, alias, version).etag(etag).why(why);
            if allow_breaking_contract {
                to = to.allow_breaking_contract();
            }
            context.item(&models.set_alias(to).await?)
        }
        AliasVerb::Get { model, alias, as_of } => context.item(&models.alias(model, alias, as_of).await?),
        AliasVerb::History { model, alias, limit } => {
            let columns = ["time", "version", "previous", "actor", "why"];
            context.list(models.alias_history(model, alias), limit.limit, &columns).await
        }
        AliasVerb::Delete { model, alias, etag, why } => {
            context
                .confirm(&format!(
                    "remove alias {alias} of model {model}; deployments that follow it lose their target"
                ))
                .await?;
            context.item(&models.delete_alias(model, alias, etag, why).await?)
        }
    }
}
