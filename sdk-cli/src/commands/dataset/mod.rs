//! `tenor dataset`.

mod import;
mod lint;
mod split;
mod upload;
mod version;

use clap::Subcommand;

use super::named::{Create, Delete, Limit, List, Update};
use crate::context::{Context, dataset_and_version};
use crate::error::Result;

pub(crate) use split::split_to_train_on;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Upload a file and import it as a version of a dataset.
    Import(import::Import),
    /// Create a dataset without versions.
    Create {
        #[command(flatten)]
        create: Create,
        /// Check only, create nothing.
        #[arg(long)]
        validate_only: bool,
    },
    /// List datasets.
    List(List),
    /// Show a dataset.
    Describe {
        /// Name or id.
        dataset: String,
    },
    /// Change description or tags.
    Update(Update),
    /// Delete a dataset with its versions and splits.
    Delete(Delete),
    /// List the versions of a dataset.
    Versions {
        dataset: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a version.
    DescribeVersion {
        /// NAME, or NAME@NUMBER.
        dataset: String,
    },
    /// Print the validation report of a version; exit code 6 when it is not valid.
    Validate {
        /// NAME, or NAME@NUMBER.
        dataset: String,
    },
    /// Show rows of a version.
    Preview(version::Preview),
    /// Make train, validation and test rows from a version.
    #[command(alias = "process")]
    Split(split::NewSplitArgs),
    /// Find training rows whose labels are probably wrong: models judge the rows that they did not learn from.
    Lint(lint::Lint),
    /// List splits.
    Splits {
        /// NAME, or NAME@NUMBER.
        dataset: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a split.
    DescribeSplit { split: String },
    /// The steps of an upload one by one.
    #[command(subcommand)]
    Upload(upload::Verb),
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let datasets = context.client.datasets();
    match verb {
        Verb::Import(args) => import::run(args, context).await,
        Verb::Create { create, validate_only } => {
            let new = create.request();
            let new = if validate_only { new.validate_only() } else { new };
            context.item(&datasets.create(new).await?)
        }
        Verb::List(list) => {
            let columns = ["name", "latest_version", "description", "create_time"];
            context.list(datasets.list(list.prefix), list.limit.limit, &columns).await
        }
        Verb::Describe { dataset } => context.item(&datasets.get(dataset).await?),
        Verb::Update(update) => {
            let (name, change) = update.request()?;
            context.item(&datasets.update(name, change).await?)
        }
        Verb::Delete(Delete { name, etag }) => {
            context.confirm(&format!("delete dataset {name} with all versions and splits")).await?;
            datasets.delete(name, etag).await?;
            context.note("deleted")
        }
        Verb::Versions { dataset, limit } => {
            let columns = [
                "number",
                "state",
                "file_name",
                "outcome.rows_accepted",
                "outcome.rows_quarantined",
                "outcome.valid",
                "create_time",
                "error",
            ];
            context.list(datasets.versions(dataset), limit.limit, &columns).await
        }
        Verb::DescribeVersion { dataset } => {
            let (name, number) = dataset_and_version(&dataset)?;
            let found = datasets.version(name, number).await?;
            if context.is_table() { version::show(context, &found) } else { context.item(&found) }
        }
        Verb::Validate { dataset } => version::validate(&dataset, context).await,
        Verb::Preview(args) => version::preview(args, context).await,
        Verb::Split(args) => split::create(args, context).await,
        Verb::Lint(args) => lint::run(args, context).await,
        Verb::Splits { dataset, limit } => {
            let (name, number) = dataset_and_version(&dataset)?;
            let columns = [
                "id",
                "state",
                "options.task",
                "options.split",
                "outcome.train.rows",
                "outcome.validation.rows",
                "outcome.test.rows",
                "error",
            ];
            context.list(datasets.splits(name, number), limit.limit, &columns).await
        }
        Verb::DescribeSplit { split } => {
            let found = datasets.split(split).await?;
            if context.is_table() { split::show(context, &found) } else { context.item(&found) }
        }
        Verb::Upload(verb) => upload::run(verb, context).await,
    }
}
