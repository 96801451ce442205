//! One folder or file a noun.

pub(crate) mod dataset;
pub(crate) mod deployment;
pub(crate) mod doctor;
pub(crate) mod experiment;
pub(crate) mod explain;
pub(crate) mod job;
pub(crate) mod model;
pub(crate) mod named;
pub(crate) mod predict;
mod rpcs;
pub(crate) mod run;
pub(crate) mod study;

use std::io::Write;

use clap::CommandFactory as _;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::error::Result;

pub use rpcs::RPC_COMMANDS;

pub(crate) async fn dispatch(command: Command, context: &mut Context<'_>) -> Result {
    match command {
        Command::Dataset(verb) => dataset::run(verb, context).await,
        Command::Experiment(verb) => experiment::run(verb, context).await,
        Command::Run(verb) => run::run(verb, context).await,
        Command::Study(verb) => study::run(verb, context).await,
        Command::Model(verb) => model::run(verb, context).await,
        Command::Alias(verb) => model::run_alias(verb, context).await,
        Command::Deployment(verb) => deployment::run(verb, context).await,
        Command::Predict(predict) => predict::run(predict, context).await,
        Command::Explain(explain) => explain::run(explain, context).await,
        Command::Job(verb) => job::run(verb, context).await,
        Command::Ping => doctor::ping(context).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::Completions { shell } => completions(shell, context.out),
    }
}

pub(crate) fn completions(shell: clap_complete::Shell, out: &mut dyn Write) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tenor", &mut script);
    out.write_all(&script)?;
    Ok(())
}
