//! `tenor deployment`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tenor_sdk::types::{ContractMode, Deployment};
use tenor_sdk::{DeploymentChange, NewDeployment, Target};

use super::named::{Delete, Limit};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::clip;

/// How long `create` and `update` wait for the model.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve a model under a name.
    Create {
        name: String,
        /// The registered model.
        #[arg(long)]
        model: String,
        #[command(flatten)]
        target: TargetArgs,
        /// What to do with input that breaks the feature contract.
        #[arg(long, value_enum)]
        mode: Option<Mode>,
        /// Return before the server has loaded the model.
        #[arg(long)]
        no_wait: bool,
        /// A UUID; the same command with the same id is done once.
        #[arg(long, value_name = "UUID")]
        request_id: Option<String>,
    },
    /// List deployments.
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a deployment.
    Describe {
        /// Name or id.
        deployment: String,
    },
    /// Change what a deployment serves, or its mode.
    Update {
        /// Name or id.
        deployment: String,
        #[command(flatten)]
        target: TargetArgs,
        #[arg(long, value_enum)]
        mode: Option<Mode>,
        /// Return before the server has loaded the model.
        #[arg(long)]
        no_wait: bool,
        /// Fail when the deployment has another etag by now.
        #[arg(long, default_value = "")]
        etag: String,
        /// Serve the target although it takes other input than the served one: the callers are ready.
        #[arg(long)]
        allow_breaking_contract: bool,
    },
    /// Stop serving.
    Delete(Delete),
}

/// What to serve.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// Whatever this alias points at.
    #[arg(long, conflicts_with = "version")]
    pub alias: Option<String>,
    /// This version for good.
    #[arg(long)]
    pub version: Option<i64>,
}

impl TargetArgs {
    fn target(self) -> Option<Target> {
        self.alias.map(Target::Alias).or(self.version.map(Target::Version))
    }
}

/// The contract modes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Mode {
    /// Refuse.
    Strict,
    /// Answer and warn.
    Warn,
    /// Answer with defaults for missing and out-of-range values, and warn.
    Impute,
}

impl From<Mode> for ContractMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Strict => Self::Strict,
            Mode::Warn => Self::Warn,
            Mode::Impute => Self::Impute,
        }
    }
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let deployments = context.client.deployments();
    match verb {
        Verb::Create { name, model, target, mode, no_wait, request_id } => {
            let Some(target) = target.target() else {
                return Err(Error::usage("say what to serve: --alias NAME or --version NUMBER"));
            };
            let mut new = NewDeployment::new(name, model, target);
            if let Some(mode) = mode {
                new = new.mode(mode.into());
            }
            if let Some(id) = request_id {
                new = new.request_id(id);
            }
            let made = deployments.create(new).await?;
            loaded(context, made, no_wait).await
        }
        Verb::List { limit } => {
            let columns = [
                "name",
                "model",
                "alias",
                "version",
                "current_version",
                "loaded_version",
                "contract_mode",
                "load_error",
            ];
            context.list(deployments.list(), limit.limit, &columns).await
        }
        Verb::Describe { deployment } => context.item(&deployments.get(deployment).await?),
        Verb::Update { deployment, target, mode, no_wait, etag, allow_breaking_contract } => {
            let target = target.target();
            if target.is_none() && mode.is_none() {
                return Err(Error::usage("nothing to change; give --alias, --version or --mode"));
            }
            let mut change = DeploymentChange::new().etag(etag);
            if let Some(target) = target {
                change = change.target(target);
            }
            if let Some(mode) = mode {
                change = change.mode(mode.into());
            }
            if allow_breaking_contract {
                change = change.allow_breaking_contract();
            }
            let changed = deployments.update(deployment, change).await?;
            loaded(context, changed, no_wait).await
        }
        Verb::Delete(Delete { name, etag }) => {
            context.confirm(&format!("delete deployment {name}; its callers will fail")).await?;
            deployments.delete(name, etag).await?;
            context.note("deleted")
        }
    }
}

/// Shows a deployment once its model is loaded; a model that was refused is an error.
async fn loaded(context: &mut Context<'_>, deployment: Deployment, no_wait: bool) -> Result {
    if no_wait {
        return context.item(&deployment);
    }
    let now = context.client.deployments().wait_loaded(deployment.id, LOAD_TIMEOUT).await?;
    context.item(&now)?;
    if now.current_version == 0 {
        return context.note("its alias points at no version yet; `tenor alias set` gives it one");
    }
    if now.loaded_version == now.current_version {
        return Ok(());
    }
    let why = if now.load_error.is_empty() { "it is still being loaded" } else { &now.load_error };
    Err(Error::Job {
        message: format!("version {} of model {} is not served: {}", now.current_version, now.model, clip(why, 1000)),
        hint: format!("`tenor deployment describe {}` shows the state; an older version goes on serving", now.name),
    })
}
