//! A study while it goes on: a bar with the best so far, a line for each better trial, and at the end the outcome.

use std::time::Duration;

use tenor_sdk::Kind;
use tenor_sdk::types::{Direction, Study, StudyChange, StudyState, Trial, TrialState};

use super::show;
use crate::commands::run::report;
use crate::commands::run::train::succeeded;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::json::ToJson as _;
use crate::output::{Format, clip, plain};

pub(super) async fn until_over(study: &Study, context: &mut Context<'_>) -> Result {
    let most = study.budget.as_ref().map_or(0, |budget| budget.max_trials).unsigned_abs();
    let bar = context.bar(u64::from(most), "share");
    bar.set_message("trials");
    bar.enable_steady_tick(Duration::from_millis(250));
    let mut progress = Progress::default();
    let mut lines = Vec::new();
    let format = context.format;
    let mut failed = None;
    let out = &mut *context.out;
    let followed = context
        .client
        .studies()
        .follow(study.id.clone(), |change| {
            if format == Format::Ndjson {
                failed = failed.take().or(writeln!(out, "{}", change.to_json()).and_then(|()| out.flush()).err());
            }
            for line in progress.see(change) {
                if bar.is_hidden() { lines.push(line) } else { bar.println(line) }
            }
            bar.set_position(progress.ended);
            bar.set_message(progress.message());
        })
        .await;
    bar.finish_and_clear();
    for line in lines {
        context.note(&line)?;
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let study = followed?;
    match context.format {
        Format::Ndjson => {}
        Format::Json => context.item(&study)?,
        Format::Table => show::study(&study, context).await?,
    }
    match study.state() {
        StudyState::Failed => Err(Error::Job {
            message: format!("study {} failed: {}", study.name, clip(&study.error, 1000)),
            hint: format!("`tenor study trials {} --state failed` shows what happened", study.name),
        }),
        _ => refit(&study, context).await,
    }
}

/// Waits for the refit of the winner, if there is one, and prints its scores.
async fn refit(study: &Study, context: &mut Context<'_>) -> Result {
    if study.best_run_id.is_empty() {
        return Ok(());
    }
    let run = match context.client.experiments().run(study.best_run_id.clone()).await {
        Err(error) if error.kind() == Kind::NotFound => return Ok(()), // deleted since
        run => run?,
    };
    let hint = format!("`tenor study best {} --refit` fits the winner once more", study.name);
    let run = succeeded(run, "refit", &hint, context).await?;
    if context.is_table() { report::show(context, &run).await } else { Ok(()) }
}

/// What was seen so far.
#[derive(Default)]
struct Progress {
    /// Trials that have ended.
    ended: u64,
    seen: std::collections::BTreeSet<i64>,
    best: Option<(i64, f64)>,
    metric: String,
}

impl Progress {
    /// Lines that say what is new.
    fn see(&mut self, change: &StudyChange) -> Vec<String> {
        let (Some(study), Some(trial)) = (&change.study, &change.trial) else { return Vec::new() };
        let over = matches!(trial.state(), TrialState::Complete | TrialState::Pruned | TrialState::Failed);
        if !over || !self.seen.insert(trial.number) {
            return Vec::new();
        }
        self.ended += 1;
        let mut lines = Vec::new();
        if trial.state() == TrialState::Failed {
            lines.push(format!("trial {} failed: {}", trial.number, clip(&trial.error, 300)));
        }
        let Some(objective) = study.objectives.first() else { return lines };
        self.metric.clone_from(&objective.metric);
        let value = trial.metrics.get(&objective.metric).copied();
        let feasible = trial.state() == TrialState::Complete && trial.violation <= 0.0;
        if let Some(value) = value.filter(|_| feasible)
            && self.best.is_none_or(|(_, best)| better(objective.direction(), value, best))
        {
            self.best = Some((trial.number, value));
            lines.push(format!("trial {}: {}", trial.number, values(study, trial)));
        }
        lines
    }

    fn message(&self) -> String {
        match self.best {
            Some((number, value)) => format!("{} {} (trial {number})", clip(&self.metric, 20), plain(value)),
            None => "trials".to_owned(),
        }
    }
}

fn better(direction: Direction, new: f64, old: f64) -> bool {
    if direction == Direction::Minimize { new < old } else { new > old }
}

/// The objectives of a trial, and its parameters.
fn values(study: &Study, trial: &Trial) -> String {
    let value = |metric: &String| trial.metrics.get(metric).map_or_else(|| "-".to_owned(), |value| plain(*value));
    let values: Vec<String> = study
        .objectives
        .iter()
        .map(|objective| format!("{} {}", clip(&objective.metric, 40), value(&objective.metric)))
        .collect();
    let params: Vec<String> = trial
        .params
        .iter()
        .map(|(key, value)| clip(&format!("{key}={}", crate::output::text(&value.to_json(), 30)), 60))
        .collect();
    format!("{}  {}", values.join(", "), params.join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tenor_sdk::types::Objective;

    use super::*;

    #[test]
    fn a_better_trial_is_a_line_and_each_counts_once() {
        let objective = Objective { metric: "loss".to_owned(), direction: Direction::Minimize.into() };
        let study = Study { objectives: vec![objective], ..Study::default() };
        let change = |number, state: TrialState, loss: f64| StudyChange {
            study: Some(study.clone()),
            trial: Some(Trial {
                number,
                state: state.into(),
                metrics: BTreeMap::from([("loss".to_owned(), loss)]),
                ..Trial::default()
            }),
            revision: 1,
        };
        let mut progress = Progress::default();
        assert!(progress.see(&change(0, TrialState::Running, 1.0)).is_empty());
        assert_eq!(progress.see(&change(0, TrialState::Complete, 1.0)).len(), 1);
        assert!(progress.see(&change(0, TrialState::Complete, 1.0)).is_empty());
        assert!(progress.see(&change(1, TrialState::Complete, 2.0)).is_empty());
        assert_eq!(progress.see(&change(2, TrialState::Complete, 0.5))[0], "trial 2: loss 0.5  ");
        assert_eq!((progress.ended, progress.best), (3, Some((2, 0.5))));
    }
}
