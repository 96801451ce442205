//! Studies as messages.

use tenor_domain::{Error, Study, StudyState, Trial, TrialReport, TrialState};
use tenor_platform::Direction;
use tenor_platform::{
    Budget, Constraint, Objective, PolicySpec, PrunerSpec, StudyChange, StudyImportance, StudyOutcome, StudySpec,
    StudyTraining,
};
use tenor_proto::v1 as pb;

use crate::encode::{json, param, time};

pub(super) fn study(study: Study) -> Result<pb::Study, Error> {
    let spec: StudySpec = serde_json::from_value(study.spec).map_err(Error::internal)?;
    let outcome: Option<StudyOutcome> =
        study.outcome.map(serde_json::from_value).transpose().map_err(Error::internal)?;
    let run_id = outcome.as_ref().and_then(|outcome| outcome.run_id.clone());
    let pruner = pruner(&spec)?;
    Ok(pb::Study {
        id: study.id.to_string(),
        name: study.name.to_string(),
        description: study.description,
        tags: study.tags,
        state: state(study.state),
        space_json: serde_json::to_string(&spec.space).map_err(Error::internal)?,
        objectives: spec.objectives.into_iter().map(objective).collect(),
        constraints: spec.constraints.into_iter().map(constraint).collect(),
        sampler: spec.sampler.as_str().to_owned(),
        pruner: Some(pruner),
        seed: spec.seed,
        budget: Some(budget(spec.budget)),
        lease_seconds: number(spec.lease_seconds),
        policy: Some(policy(spec.policy)),
        training: spec.training.map(training),
        trial_count: study.trial_count,
        revision: study.revision,
        job_ids: study.jobs.into_iter().map(|id| id.0).collect(),
        best_trial: outcome.as_ref().and_then(|outcome| outcome.trial),
        best_reason: outcome.map(|outcome| outcome.reason).unwrap_or_default(),
        best_run_id: run_id.map(|id| id.to_string()).unwrap_or_default(),
        error: study.error.unwrap_or_default(),
        create_time: time(study.created_at),
        update_time: time(study.updated_at),
        finish_time: study.finished_at.and_then(time),
        etag: study.etag.to_string(),
    })
}

pub(super) fn trial(trial: Trial) -> pb::Trial {
    pb::Trial {
        study_id: trial.study_id.to_string(),
        number: trial.number,
        state: trial_state(trial.state),
        params: trial.params.into_iter().map(|(key, value)| (key, param(value))).collect(),
        metrics: trial.metrics,
        violation: trial.violation,
        origin: trial.origin,
        client_id: trial.client_id,
        job_id: trial.job_id.map_or(0, |id| id.0),
        lease_time: trial.lease_until.and_then(time),
        error: trial.error.unwrap_or_default(),
        create_time: time(trial.created_at),
        start_time: trial.started_at.and_then(time),
        finish_time: trial.finished_at.and_then(time),
        reports: trial.reports.into_iter().map(report).collect(),
        revision: trial.revision,
    }
}

pub(super) fn change(change: StudyChange) -> Result<pb::StudyChange, Error> {
    Ok(pb::StudyChange { study: Some(study(change.study)?), trial: change.trial.map(trial), revision: change.revision })
}

pub(super) fn importance(found: StudyImportance) -> pb::ImportanceResponse {
    let params = found.params.into_iter().map(|it| pb::ParamImportance {
        name: it.name,
        share: it.share,
        trials: i64::try_from(it.trials).unwrap_or(i64::MAX),
    });
    pb::ImportanceResponse { params: params.collect(), objective: found.objective.unwrap_or_default() }
}

fn report(report: TrialReport) -> pb::TrialReport {
    pb::TrialReport {
        step: report.step,
        values: report.values,
        prune: report.prune,
        reason: report.reason,
        time: time(report.at),
    }
}

fn state(state: StudyState) -> i32 {
    let state = match state {
        StudyState::Active => pb::StudyState::Active,
        StudyState::Paused => pb::StudyState::Paused,
        StudyState::Stopped => pb::StudyState::Stopped,
        StudyState::Completed => pb::StudyState::Completed,
        StudyState::Failed => pb::StudyState::Failed,
    };
    state.into()
}

fn trial_state(state: TrialState) -> i32 {
    let state = match state {
        TrialState::Waiting => pb::TrialState::Waiting,
        TrialState::Running => pb::TrialState::Running,
        TrialState::Complete => pb::TrialState::Complete,
        TrialState::Pruned => pb::TrialState::Pruned,
        TrialState::Failed => pb::TrialState::Failed,
    };
    state.into()
}

/// What was checked to be small enough when it came in.
fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn objective(objective: Objective) -> pb::Objective {
    let direction = match objective.direction {
        Direction::Minimize => pb::Direction::Minimize,
        Direction::Maximize => pb::Direction::Maximize,
    };
    pb::Objective { metric: objective.metric, direction: direction.into() }
}

fn constraint(constraint: Constraint) -> pb::Constraint {
    pb::Constraint { metric: constraint.metric, min: constraint.min, max: constraint.max }
}

fn budget(budget: Budget) -> pb::Budget {
    pb::Budget {
        max_trials: number(budget.max_trials),
        max_seconds: number(budget.max_seconds.unwrap_or(0)),
        patience: number(budget.patience.unwrap_or(0)),
    }
}

fn pruner(spec: &StudySpec) -> Result<pb::Pruner, Error> {
    let mut options = serde_json::to_value(&spec.pruner).map_err(Error::internal)?;
    let kind = options.as_object_mut().and_then(|options| options.remove("type"));
    let options_json = match spec.pruner {
        PrunerSpec::None => String::new(),
        _ => options.to_string(),
    };
    Ok(pb::Pruner {
        kind: kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_owned(),
        options_json,
        metrics: spec.prune_metrics.iter().cloned().map(objective).collect(),
    })
}

fn policy(policy: PolicySpec) -> pb::Policy {
    let (kind, order, tolerances) = match policy {
        PolicySpec::Lexicographic { order, tolerances } => ("lexicographic", order, tolerances),
        PolicySpec::Knee => ("knee", Vec::new(), Vec::new()),
        PolicySpec::OneStandardError => ("one_standard_error", Vec::new(), Vec::new()),
    };
    pb::Policy { kind: kind.to_owned(), order, tolerances }
}

fn training(training: StudyTraining) -> pb::StudyTraining {
    pb::StudyTraining {
        split_id: training.split_id.to_string(),
        kind: training.kind,
        params_json: json(Some(&training.params)),
        folds: number(training.folds.unwrap_or(0)),
        parallel: number(training.parallel),
        refit: training.refit,
        experiment: training.experiment.to_string(),
        calibration: training.calibration.map(|method| method.as_str().to_owned()).unwrap_or_default(),
        register_model: training.register_model.map(|name| name.to_string()).unwrap_or_default(),
        aliases: training.aliases.iter().map(ToString::to_string).collect(),
    }
}
