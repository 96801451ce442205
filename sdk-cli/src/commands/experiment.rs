//! `tenor experiment`.

use clap::Subcommand;

use super::named::{Create, Delete, List, Update};
use crate::context::Context;
use crate::error::Result;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create an experiment.
    Create(Create),
    /// List experiments.
    List(List),
    /// Show an experiment.
    Describe {
        /// Name or id.
        experiment: String,
    },
    /// Change description or tags.
    Update(Update),
    /// Delete an experiment without runs.
    Delete(Delete),
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let experiments = context.client.experiments();
    match verb {
        Verb::Create(create) => context.item(&experiments.create(create.request()).await?),
        Verb::List(list) => {
            context.list(experiments.list(list.prefix), list.limit.limit, &["name", "description", "create_time"]).await
        }
        Verb::Describe { experiment } => context.item(&experiments.get(experiment).await?),
        Verb::Update(update) => {
            let (name, change) = update.request()?;
            context.item(&experiments.update(name, change).await?)
        }
        Verb::Delete(Delete { name, etag }) => {
            context.confirm(&format!("delete experiment {name}")).await?;
            experiments.delete(name, etag).await?;
            context.note("deleted")
        }
    }
}
