//! `tenor dataset lint`.

use clap::Args;
use serde_json::Value;
use tenor_sdk::TrainRun;

use super::split_to_train_on;
use crate::commands::run::train::succeeded;
use crate::context::{Context, pair, typed};
use crate::error::{Error, Result};
use crate::output::{table, text};

const REPORT: &str = "reports/label_noise.json";

#[derive(Debug, Args)]
pub struct Lint {
    /// NAME, or NAME@NUMBER; its newest split is looked at.
    #[arg(required_unless_present = "split", conflicts_with = "split")]
    pub dataset: Option<String>,
    /// Look at the split with this id.
    #[arg(long)]
    pub split: Option<String>,
    /// The kind of model that judges the labels: logreg, nbsvm, complement_nb, random_forest, hist_gb or mlp.
    #[arg(long, default_value = "logreg")]
    pub kind: String,
    /// A parameter of the kind, e.g. C=0.5; may be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
    /// Each row is judged by a model that learned from the other folds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(i32).range(2..=20))]
    pub folds: i32,
    /// Same data, parameters and seed give the same rows.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// The experiment of the run; created when it does not exist.
    #[arg(long, default_value = "lint")]
    pub experiment: String,
    /// Rows to show, the most suspicious first; 0 shows all.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

/// Trains with cross-validation and shows the training rows that the models out of fold speak against.
pub(crate) async fn run(args: Lint, context: &mut Context<'_>) -> Result {
    let split = match (args.split, args.dataset) {
        (Some(split), _) => split,
        (None, Some(dataset)) => split_to_train_on(&dataset, context).await?,
        (None, None) => return Err(Error::usage("say what to look at: NAME or --split ID")),
    };
    let mut train = TrainRun::new(args.experiment, split, args.kind).seed(args.seed).folds(args.folds);
    for (key, value) in args.params {
        train = train.param(key, typed(&value));
    }
    let experiments = context.client.experiments();
    let started = experiments.train(train).await?;
    let hint = format!("`tenor job watch {}` shows what happened", started.job_id);
    let run = succeeded(started, "lint", &hint, context).await?;
    let report = experiments.read_artifact(run.id.clone(), REPORT).await?;
    let mut report: Value = serde_json::from_slice(&report).map_err(|error| Error::Job {
        message: format!("`{REPORT}` of run {} cannot be read: {error}", run.id),
        hint: "does the server have the version of this command? `tenor doctor` says so".to_owned(),
    })?;
    if !context.is_table() {
        report["run_id"] = run.id.into();
        return context.value(&report);
    }
    show(context, &report, args.limit)?;
    context.note(&format!("run {}; `tenor run download {} {REPORT}` has all of it", run.id, run.id))
}

fn show(context: &mut Context<'_>, report: &Value, limit: usize) -> Result {
    let (suspected, rows) = (&report["suspected"], &report["rows"]);
    let rate = 100.0 * report["noise_rate"].as_f64().unwrap_or(0.0);
    writeln!(context.out, "{suspected} of {rows} labels are suspicious; about {rate:.1} % are wrong by estimate")?;
    let suspects: Vec<&Value> = report["suspects"].as_array().into_iter().flatten().collect();
    if suspects.is_empty() {
        return Ok(());
    }
    let shown = if limit == 0 { suspects.len() } else { suspects.len().min(limit) };
    let row = |it: &&Value| {
        let score = it["score"].as_f64().map_or_else(|| "-".to_owned(), |score| format!("{score:.4}"));
        vec![text(&it["row_id"], 16), text(&it["label"], 30), text(&it["suggested"], 30), score, text(&it["text"], 80)]
    };
    let cells: Vec<Vec<String>> = suspects[..shown].iter().map(row).collect();
    writeln!(context.out)?;
    table(context.out, &["row id", "label", "suggested", "score", "text"], &cells)?;
    Ok(())
}
