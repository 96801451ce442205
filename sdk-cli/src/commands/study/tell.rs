//! What clients tell of trials that they run themselves.

use clap::Args;

use crate::commands::run::params;
use crate::context::{Context, map, number_pair, pair};
use crate::error::Result;
use crate::json::ToJson as _;

/// A trial, and who runs it.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Of {
    pub study: String,
    pub number: i64,
    /// Who runs it, as in `suggest`.
    #[arg(long)]
    pub client: String,
}

#[derive(Debug, Args)]
pub struct Measured {
    #[command(flatten)]
    pub of: Of,
    /// May be repeated.
    #[arg(long = "metric", value_name = "KEY=NUMBER", value_parser = number_pair)]
    pub metrics: Vec<(String, f64)>,
}

#[derive(Debug, Args)]
pub struct ReportStep {
    #[command(flatten)]
    pub measured: Measured,
    /// Above that of the last report.
    #[arg(long)]
    pub step: i64,
}

#[derive(Debug, Args)]
pub struct Enqueue {
    pub study: String,
    /// A parameter of the point, e.g. C=0.5; one for each that exists.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair, required = true)]
    pub params: Vec<(String, String)>,
}

pub(super) async fn enqueue(args: Enqueue, context: &mut Context<'_>) -> Result {
    let trials = context.client.studies().enqueue(args.study, vec![params(args.params)]).await?;
    trials.iter().try_for_each(|trial| context.item(trial))
}

pub(super) async fn report_step(args: ReportStep, context: &mut Context<'_>) -> Result {
    let Measured { of, metrics } = args.measured;
    let told = context.client.studies().report(of.study, of.number, of.client, args.step, map(metrics)).await?;
    context.value(&told.to_json())
}

pub(super) async fn complete(args: Measured, context: &mut Context<'_>) -> Result {
    let Measured { of, metrics } = args;
    context.item(&context.client.studies().complete(of.study, of.number, of.client, map(metrics)).await?)
}

pub(super) async fn prune(args: Measured, context: &mut Context<'_>) -> Result {
    let Measured { of, metrics } = args;
    context.item(&context.client.studies().prune(of.study, of.number, of.client, map(metrics)).await?)
}
