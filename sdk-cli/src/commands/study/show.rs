//! What a study found, for people: tables and plots.

use futures::TryStreamExt as _;
use serde_json::{Map, Value};
use tenor_sdk::TrialQuery;
use tenor_sdk::types::{Constraint, Direction, Objective, Policy, Pruner, Study, Trial, TrialState};

use crate::chart::{Mark, bars, history, scatter};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::json::ToJson as _;
use crate::output::{cell, clip, table, text};

/// Size of a plot in characters.
const WIDTH: usize = 72;
const HEIGHT: usize = 14;

/// A study; as a table with the plot of its first objective.
pub(super) async fn study(study: &Study, context: &mut Context<'_>) -> Result {
    if context.is_table() {
        context.value(&summary(study))?;
    } else {
        context.item(study)?;
    }
    let (true, Some(objective)) = (context.is_table(), study.objectives.first()) else { return Ok(()) };
    let query = TrialQuery::new().state(TrialState::Complete);
    let trials: Vec<Trial> = context.client.studies().trials(study.id.clone(), query).try_collect().await?;
    let value = |trial: &Trial| Some((trial.number, *trial.metrics.get(&objective.metric)?));
    let values: Vec<(i64, f64)> = trials.iter().filter(|trial| trial.violation <= 0.0).filter_map(value).collect();
    if values.len() < 2 {
        return Ok(());
    }
    writeln!(context.out, "\n{} by trial, and the best so far", clip(&objective.metric, 60))?;
    print(context, history(&values, objective.direction() == Direction::Maximize, WIDTH, HEIGHT))?;
    if study.objectives.len() > 1 {
        context.note(&format!("`tenor study pareto {}` shows the front", study.name))?;
    }
    Ok(())
}

/// The lines that people look for; JSON has all.
fn summary(study: &Study) -> Value {
    let full = study.to_json();
    let direction = |objective: &Objective| match objective.direction() {
        Direction::Minimize => format!("{} (lower is better)", objective.metric),
        _ => format!("{} (higher is better)", objective.metric),
    };
    let bound = |constraint: &Constraint| {
        let min = constraint.min.map(|min| format!("{} >= {min}", constraint.metric));
        min.into_iter().chain(constraint.max.map(|max| format!("{} <= {max}", constraint.metric))).collect::<Vec<_>>()
    };
    let join = |texts: Vec<String>| Value::String(texts.join(", "));
    let most = study.budget.as_ref().map_or(0, |budget| budget.max_trials);
    let params = full["space"].as_array().into_iter().flatten().filter_map(|param| param["name"].as_str());
    let mut fields = Map::new();
    for name in ["name", "id", "description", "tags", "state", "error"] {
        fields.insert(name.to_owned(), full[name].clone());
    }
    fields.insert("trials".to_owned(), format!("{} of {most}", study.trial_count).into());
    fields.insert("objectives".to_owned(), join(study.objectives.iter().map(direction).collect()));
    fields.insert("constraints".to_owned(), join(study.constraints.iter().flat_map(bound).collect()));
    fields.insert("params".to_owned(), join(params.map(str::to_owned).collect()));
    fields.insert("sampler".to_owned(), format!("{}, seed {}", study.sampler, study.seed).into());
    let pruner = |pruner: &Pruner| match pruner.metrics.as_slice() {
        [] => pruner.kind.clone(),
        metrics => format!("{} by {}", pruner.kind, metrics.iter().map(direction).collect::<Vec<_>>().join(", ")),
    };
    fields.insert("pruner".to_owned(), study.pruner.as_ref().map(pruner).into());
    fields.insert("split_id".to_owned(), study.training.as_ref().map(|training| training.split_id.clone()).into());
    for name in ["best_trial", "best_reason", "best_run_id", "create_time", "finish_time"] {
        fields.insert(name.to_owned(), full[name].clone());
    }
    Value::Object(fields)
}

fn print(context: &mut Context<'_>, lines: Vec<String>) -> Result {
    for line in lines {
        writeln!(context.out, "{line}")?;
    }
    Ok(())
}

/// Number, state, objectives and what is constrained, then the parameters.
fn columns(study: &Study, trials: &[Value]) -> Vec<String> {
    let mut columns = vec!["number".to_owned(), "state".to_owned()];
    let objectives = study.objectives.iter().map(|objective| &objective.metric);
    for metric in objectives.chain(study.constraints.iter().map(|constraint| &constraint.metric)) {
        let column = format!("metrics.{metric}");
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    if trials.iter().any(|trial| trial["violation"].as_f64().is_some_and(|violation| violation > 0.0)) {
        columns.push("violation".to_owned());
    }
    let mut params: Vec<&String> =
        trials.iter().filter_map(|trial| trial["params"].as_object()).flat_map(|it| it.keys()).collect();
    params.sort();
    params.dedup();
    columns.extend(params.into_iter().map(|param| format!("params.{param}")));
    if trials.iter().any(|trial| trial["error"].as_str().is_some_and(|error| !error.is_empty())) {
        columns.push("error".to_owned());
    }
    columns
}

fn show(study: &Study, trials: Vec<Value>, context: &mut Context<'_>) -> Result {
    if !context.is_table() {
        return context.values(trials, &[]);
    }
    if trials.is_empty() {
        return context.note("none");
    }
    let columns = columns(study, &trials);
    // Parameters of two kinds may have the same last part, so the header has all parts.
    let header = |path: &String| path.trim_start_matches("metrics.").trim_start_matches("params.").to_owned();
    let header: Vec<String> = columns.iter().map(header).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> =
        trials.iter().map(|trial| columns.iter().map(|path| cell(trial, path)).collect()).collect();
    Ok(table(context.out, &header, &rows)?)
}

pub(super) async fn trials(study: String, query: TrialQuery, limit: usize, context: &mut Context<'_>) -> Result {
    let studies = context.client.studies();
    let found = studies.get(study).await?;
    let mut items = studies.trials(found.id.clone(), query);
    let mut trials = Vec::new();
    while let Some(trial) = items.try_next().await? {
        if limit > 0 && trials.len() == limit {
            context.note(&format!("more than {limit}; --limit 0 shows all"))?;
            break;
        }
        trials.push(trial.to_json());
    }
    show(&found, trials, context)
}

pub(super) async fn pareto(study: String, axes: Vec<String>, context: &mut Context<'_>) -> Result {
    let studies = context.client.studies();
    let found = studies.get(study).await?;
    let front = studies.pareto_front(found.id.clone()).await?;
    show(&found, front.iter().map(|trial| trial.to_json()).collect(), context)?;
    let known: Vec<&str> = found.objectives.iter().map(|objective| objective.metric.as_str()).collect();
    if let Some(unknown) = axes.iter().find(|axis| !known.contains(&axis.as_str())) {
        return Err(Error::usage(format!("`{unknown}` is no objective of the study; there are {}", known.join(", "))));
    }
    let axes: Vec<&str> = if axes.len() == 2 { axes.iter().map(String::as_str).collect() } else { known };
    let ([x, y, ..], true) = (axes.as_slice(), context.is_table()) else { return Ok(()) };
    let query = TrialQuery::new().state(TrialState::Complete);
    let all: Vec<Trial> = studies.trials(found.id.clone(), query).try_collect().await?;
    let mark = |trial: &Trial| {
        if found.best_trial == Some(trial.number) {
            Mark::Best
        } else if front.iter().any(|of_front| of_front.number == trial.number) {
            Mark::Front
        } else {
            Mark::Plain
        }
    };
    let point = |trial: &Trial| Some((*trial.metrics.get(*x)?, *trial.metrics.get(*y)?, mark(trial)));
    let points: Vec<(f64, f64, Mark)> = all.iter().filter_map(point).collect();
    writeln!(context.out)?;
    print(context, scatter(&points, (x, y), WIDTH, HEIGHT))
}

pub(super) async fn importance(study: String, objective: String, context: &mut Context<'_>) -> Result {
    let found = context.client.studies().importance(study, objective).await?;
    if !context.is_table() {
        return context.item(&found);
    }
    let of = if found.objective.is_empty() { "being on an early front".to_owned() } else { clip(&found.objective, 60) };
    writeln!(context.out, "importance for {of}")?;
    let rows: Vec<(String, f64)> = found.params.iter().map(|param| (clip(&param.name, 40), param.share)).collect();
    print(context, bars(&rows, WIDTH))
}

pub(super) async fn best(study: String, policy: Option<Policy>, refit: bool, context: &mut Context<'_>) -> Result {
    let studies = context.client.studies();
    let found = match refit {
        true => studies.refit_best(study, policy).await?,
        false => studies.best(study, policy).await?,
    };
    if !context.is_table() {
        return context.item(&found);
    }
    if let Some(trial) = &found.trial {
        context.item(trial)?;
    }
    writeln!(context.out, "\n{}", clip(&found.reason, 1000))?;
    if !found.run_id.is_empty() {
        let run = text(&Value::String(found.run_id), 60);
        context.note(&format!("it is fitted again in run {run}: `tenor run describe` shows how it goes"))?;
    }
    Ok(())
}
