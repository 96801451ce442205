//! The command line as a whole: what every command takes, and the nouns.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::{dataset, deployment, experiment, explain, job, model, predict, run, study};
use crate::output::Format;

/// Works with a Tenor server: datasets, runs, models, deployments and predictions.
#[derive(Debug, Parser)]
#[command(
    name = "tenor",
    version,
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 permission, 5 conflict or precondition, 6 validation failed, \
                  7 unavailable or timeout, 130 interrupted."
)]
pub struct Cli {
    /// The server's address.
    #[arg(long, global = true, env = "TENOR_SERVER", default_value = "http://127.0.0.1:8470", value_name = "URL")]
    pub server: String,
    /// How to print results.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// Neither progress nor notes on stderr.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// End after so many seconds, with exit code 7. Work at the server goes on.
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// Do not ask before deleting.
    #[arg(long, short, global = true)]
    pub yes: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Files of texts: import, validate, split.
    #[command(subcommand)]
    Dataset(dataset::Verb),
    /// Groups of runs.
    #[command(subcommand)]
    Experiment(experiment::Verb),
    /// Trainings, and work logged from outside.
    #[command(subcommand)]
    Run(run::Verb),
    /// Searches for good parameters.
    #[command(subcommand)]
    Study(study::Verb),
    /// Registered models and their versions.
    #[command(subcommand)]
    Model(model::Verb),
    /// Names for model versions, with history.
    #[command(subcommand)]
    Alias(model::AliasVerb),
    /// Models that answer predictions.
    #[command(subcommand)]
    Deployment(deployment::Verb),
    /// Predict the label of texts.
    Predict(predict::Predict),
    /// Show which words and features led to the label of a text.
    Explain(explain::Explain),
    /// Long work at the server.
    #[command(subcommand)]
    Job(job::Verb),
    /// Ask whether the server answers.
    Ping,
    /// Ask every service of the server how it is.
    Doctor,
    /// Print a completion script for a shell.
    Completions { shell: Shell },
}

impl Command {
    /// The noun, for the trace.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Dataset(_) => "dataset",
            Self::Experiment(_) => "experiment",
            Self::Run(_) => "run",
            Self::Study(_) => "study",
            Self::Model(_) => "model",
            Self::Alias(_) => "alias",
            Self::Deployment(_) => "deployment",
            Self::Predict(_) => "predict",
            Self::Explain(_) => "explain",
            Self::Job(_) => "job",
            Self::Ping => "ping",
            Self::Doctor => "doctor",
            Self::Completions { .. } => "completions",
        }
    }
}
