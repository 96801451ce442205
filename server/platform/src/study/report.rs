//! A study as one HTML page.

use std::collections::BTreeMap;

use serde_json::Value;
use tenor_domain::{Error, ParamValue, Study, Trial, TrialState};
use tenor_learn::study_page::{PageObjective, PageParam, PageTrial, Scale, StudyPage};
use tenor_tune::{Direction, Domain, Param};

use super::Studies;
use super::cache::Loaded;
use super::locked::on_thread;
use super::spec::StudyOutcome;

impl Studies<'_> {
    /// History, front, importance, parallel coordinates, slices and trials on one page that stands alone.
    pub async fn report_page(&self, study: &str) -> Result<String, Error> {
        let (study, loaded) = self.load(study).await?;
        on_thread(loaded, move |loaded| Ok(page(&study, loaded)?.to_html())).await
    }
}

fn page(study: &Study, loaded: &Loaded) -> Result<StudyPage, Error> {
    let spec = &loaded.spec;
    let front: Vec<u64> = loaded.history().pareto_front().iter().map(|trial| trial.number).collect();
    let complete = loaded.trials.iter().filter(|trial| trial.state == TrialState::Complete).count();
    let pruned = loaded.trials.iter().filter(|trial| trial.state == TrialState::Pruned).count();
    let failed = loaded.trials.iter().filter(|trial| trial.state == TrialState::Failed).count();
    let pruner = serde_json::to_value(&spec.pruner).map_err(Error::internal)?;
    let mut facts = vec![
        ("state", study.state.to_string()),
        ("trials", format!("{complete} complete, {pruned} pruned, {failed} failed of {}", spec.budget.max_trials)),
        ("sampler", format!("{}, seed {}", spec.sampler.as_str(), spec.seed)),
        ("pruner", pruner.get("type").and_then(Value::as_str).unwrap_or_default().to_owned()),
    ];
    for constraint in &spec.constraints {
        let bounds = [(constraint.min, "at least"), (constraint.max, "at most")];
        let bounds = bounds.iter().filter_map(|(bound, word)| Some(format!("{word} {}", (*bound)?)));
        facts.push(("constraint", format!("{} {}", constraint.metric, bounds.collect::<Vec<_>>().join(" and "))));
    }
    if let Some(training) = &spec.training {
        let judged = training.folds.map_or("validation rows".to_owned(), |folds| format!("{folds} folds"));
        facts.push(("split", training.split_id.to_string()));
        facts.push(("judged by", judged));
    }
    if let Some(error) = &study.error {
        facts.push(("error", error.clone()));
    }
    let outcome: Option<StudyOutcome> =
        study.outcome.clone().map(serde_json::from_value).transpose().map_err(Error::internal)?;
    Ok(StudyPage {
        name: study.name.to_string(),
        description: study.description.clone(),
        facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        objectives: spec
            .objectives
            .iter()
            .map(|it| PageObjective { name: it.metric.clone(), maximize: it.direction == Direction::Maximize })
            .collect(),
        params: spec.space.iter().map(page_param).collect(),
        trials: loaded.trials.iter().map(|trial| page_trial(trial, loaded, &front)).collect(),
        importance: importances(loaded),
        winner: outcome.and_then(|outcome| Some((outcome.trial?, outcome.reason))),
    })
}

fn page_param(param: &Param) -> PageParam {
    let scale = match &param.domain {
        Domain::Float { log: true, .. } | Domain::Int { log: true, .. } => Scale::Log,
        Domain::Float { .. } | Domain::Int { .. } => Scale::Linear,
        Domain::Categorical { choices } => Scale::Categories(choices.iter().map(ToString::to_string).collect()),
    };
    PageParam { name: param.name.clone(), scale }
}

fn page_trial(trial: &Trial, loaded: &Loaded, front: &[u64]) -> PageTrial {
    let complete = trial.state == TrialState::Complete;
    let value = |metric: &String| trial.metrics.get(metric).copied().unwrap_or(f64::INFINITY);
    PageTrial {
        number: trial.number,
        state: trial.state.as_str(),
        values: match complete {
            true => loaded.spec.objectives.iter().map(|objective| value(&objective.metric)).collect(),
            false => Vec::new(),
        },
        feasible: trial.violation <= 0.0,
        on_front: front.binary_search(&trial.number.unsigned_abs()).is_ok(),
        params: loaded.spec.space.iter().map(|param| coordinate(param, &trial.params)).collect(),
        reports: trial.reports.iter().filter_map(|report| Some((report.step, *report.values.first()?))).collect(),
    }
}

/// The number, or the index of the choice.
fn coordinate(param: &Param, params: &BTreeMap<String, ParamValue>) -> Option<f64> {
    let value = params.get(&param.name)?;
    match (&param.domain, value) {
        (Domain::Categorical { choices }, value) => {
            choices.iter().position(|choice| choice == value).map(|choice| choice as f64)
        }
        (_, ParamValue::Int(number)) => Some(*number as f64),
        (_, ParamValue::Float(number)) => Some(*number),
        _ => None,
    }
}

/// For each objective, and with several for the front; nothing while there are too few trials.
fn importances(loaded: &Loaded) -> Vec<(String, Vec<(String, f64)>)> {
    let objectives = &loaded.spec.objectives;
    let of = |place: Option<usize>, name: String| {
        let found = loaded.importance(place).ok()?;
        Some((name, found.into_iter().map(|param| (param.name, param.share)).collect()))
    };
    let each = objectives.iter().enumerate().filter_map(|(at, it)| of(Some(at), it.metric.clone()));
    let front = (objectives.len() > 1).then(|| of(None, "being on an early front".to_owned())).flatten();
    each.chain(front).collect()
}
