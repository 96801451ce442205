//! `tenor run`.

mod compare;
pub(crate) mod files;
mod log;
pub(crate) mod report;
pub(crate) mod train;

pub(crate) use log::params;

use clap::{Args, Subcommand, ValueEnum};
use futures::TryStreamExt as _;
use serde_json::Value;
use tenor_sdk::types::State;
use tenor_sdk::{NewRun, RunChange, RunQuery};

use super::named::Limit;
use crate::context::{Context, map, pair};
use crate::error::{Error, Result};
use crate::json::ToJson as _;
use crate::output::{plain, sparkline};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Train a model, wait for it and print its scores.
    Train(train::Train),
    /// Begin a run that is logged from outside.
    Create(Create),
    /// Search runs.
    List(List),
    /// Show a run, with its scores when it was a training.
    Describe { run: String },
    /// Compare two runs: parameters, metrics, and their answers to the test rows that both have.
    Compare(compare::Compare),
    /// Change name, note, tags or state.
    Update(Update),
    /// Delete a run that no model version came from.
    Delete {
        run: String,
        #[arg(long, default_value = "")]
        etag: String,
    },
    /// Write parameters of a run; each is written once.
    LogParams(log::LogParams),
    /// Log metrics from flags, or from stdin as JSON lines.
    LogMetrics(log::LogMetrics),
    /// Show the points of a metric.
    History { run: String, key: String },
    /// List the files of a run.
    Artifacts { run: String },
    /// Write a file of a run.
    Download(files::Download),
    /// Store a file with a run.
    Upload(files::Upload),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Name or id of an existing experiment.
    #[arg(long)]
    pub experiment: String,
    #[arg(long, default_value = "")]
    pub name: String,
    /// Id of the run that this one belongs to.
    #[arg(long, default_value = "")]
    pub parent: String,
    /// May be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
    /// May be repeated.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// A UUID; the same command with the same id is done once.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only runs of this experiment; may be repeated.
    #[arg(long)]
    pub experiment: Vec<String>,
    /// E.g. `metrics."test/macro_f1" > 0.8 AND params.C <= 1`.
    #[arg(long, default_value = "")]
    pub filter: String,
    /// E.g. `metrics."test/macro_f1" DESC, create_time`.
    #[arg(long, default_value = "")]
    pub order_by: String,
    /// More columns for the table, e.g. metrics.test/log_loss or params.C; may be repeated.
    #[arg(long = "column")]
    pub columns: Vec<String>,
    #[command(flatten)]
    pub limit: Limit,
}

#[derive(Debug, Args)]
pub struct Update {
    pub run: String,
    #[arg(long)]
    pub name: Option<String>,
    #[arg(long)]
    pub note: Option<String>,
    /// Replaces all tags; may be repeated.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// Removes all tags.
    #[arg(long, conflicts_with = "tags")]
    pub clear_tags: bool,
    /// The next state of a run that is logged from outside.
    #[arg(long, value_enum)]
    pub state: Option<StateArg>,
    /// Why, with `--state failed`.
    #[arg(long, default_value = "", requires = "state")]
    pub error: String,
    /// Fail when the run has another etag by now.
    #[arg(long, default_value = "")]
    pub etag: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StateArg {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl From<StateArg> for State {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Running => Self::Running,
            StateArg::Succeeded => Self::Succeeded,
            StateArg::Failed => Self::Failed,
            StateArg::Cancelled => Self::Cancelled,
        }
    }
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let experiments = context.client.experiments();
    match verb {
        Verb::Train(args) => train::run(args, context).await,
        Verb::Create(args) => {
            let mut new = NewRun::new(args.experiment)
                .name(args.name)
                .parent(args.parent)
                .params(log::params(args.params))
                .tags(map(args.tags));
            if let Some(id) = args.request_id {
                new = new.request_id(id);
            }
            context.item(&experiments.create_run(new).await?)
        }
        Verb::List(args) => {
            let size = i32::try_from(args.limit.limit).unwrap_or(0).min(1000);
            let query = RunQuery::new().filter(args.filter).order_by(args.order_by).page_size(size);
            let query = args.experiment.into_iter().fold(query, RunQuery::experiment);
            let fixed =
                ["id", "name", "kind", "state", "metrics.test/macro_f1", "metrics.test/accuracy", "create_time"];
            let columns: Vec<&str> = fixed.into_iter().chain(args.columns.iter().map(String::as_str)).collect();
            context.list(experiments.runs(query), args.limit.limit, &columns).await
        }
        Verb::Describe { run } => {
            let run = experiments.run(run).await?;
            report::show(context, &run).await
        }
        Verb::Compare(args) => compare::run(args, context).await,
        Verb::Update(args) => {
            let mut change = RunChange::new().etag(args.etag);
            if args.name.is_none()
                && args.note.is_none()
                && args.tags.is_empty()
                && !args.clear_tags
                && args.state.is_none()
            {
                return Err(Error::usage("nothing to change; give --name, --note, --tag, --clear-tags or --state"));
            }
            if let Some(name) = args.name {
                change = change.name(name);
            }
            if let Some(note) = args.note {
                change = change.note(note);
            }
            if args.clear_tags || !args.tags.is_empty() {
                change = change.tags(map(args.tags));
            }
            if let Some(state) = args.state {
                change = change.state(state.into(), args.error);
            }
            context.item(&experiments.update_run(args.run, change).await?)
        }
        Verb::Delete { run, etag } => {
            context.confirm(&format!("delete run {run} with its metrics and files")).await?;
            experiments.delete_run(run, etag).await?;
            context.note("deleted")
        }
        Verb::LogParams(args) => log::log_params(args, context).await,
        Verb::LogMetrics(args) => log::log_metrics(args, context).await,
        Verb::History { run, key } => history(run, key, context).await,
        Verb::Artifacts { run } => {
            let files: Vec<Value> =
                experiments.artifacts(run).await?.iter().map(crate::json::ToJson::to_json).collect();
            context.values(files, &["name", "size_bytes", "media_type", "create_time"])
        }
        Verb::Download(args) => files::download(args, context).await,
        Verb::Upload(args) => files::upload(args, context).await,
    }
}

async fn history(run: String, key: String, context: &mut Context<'_>) -> Result {
    let points = context.client.experiments().metric_history(run, key.clone());
    if !context.is_table() {
        return context.list(points, 0, &[]).await;
    }
    let points: Vec<_> = points.try_collect().await?;
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return context.note("none") };
    let line = sparkline(&values, 60);
    writeln!(context.out, "{key}  {line}  {} to {}, {} points", plain(*first), plain(*last), values.len())?;
    let values = points.iter().map(|point| point.to_json()).collect();
    context.values(values, &["step", "value", "time"])
}
