//! Messages of studies as what the use cases take.

use serde_json::{Map, Value};
use tenor_domain::{AliasName, CalibrationMethod, Error, ExperimentName, ModelName, SplitId, StudyName, TrialState};
use tenor_platform::{
    Budget, Constraint, NewStudy, Objective, Param, PolicySpec, PrunerSpec, StudySpec, StudyTraining,
};
use tenor_platform::{Direction, SamplerKind};
use tenor_proto::v1 as pb;

use crate::decode::{given, json, params, unknown_enum};

/// Trials of a study that does not say how many.
const MAX_TRIALS: u32 = 100;
/// Lease of a study that does not say how long.
const LEASE_SECONDS: u32 = 600;

pub(super) fn new_study(request: pb::CreateStudyRequest) -> Result<NewStudy, Error> {
    let name = StudyName::parse(&request.name)?;
    let budget = request.budget.unwrap_or_default();
    let training = request.training.map(|training| self::training(training, &name)).transpose()?;
    let (pruner, prune_metrics) = pruner(request.pruner.unwrap_or_default())?;
    let spec = StudySpec {
        space: space(&request.space_json)?,
        objectives: objectives("objectives", request.objectives)?,
        constraints: request.constraints.into_iter().map(constraint).collect(),
        sampler: sampler(&request.sampler)?,
        pruner,
        prune_metrics,
        seed: request.seed,
        budget: Budget {
            max_trials: count("budget.max_trials", budget.max_trials)?.unwrap_or(MAX_TRIALS),
            max_seconds: count("budget.max_seconds", budget.max_seconds)?,
            patience: count("budget.patience", budget.patience)?,
        },
        lease_seconds: count("lease_seconds", request.lease_seconds)?.unwrap_or(LEASE_SECONDS),
        policy: request.policy.map(policy).transpose()?.unwrap_or_default(),
        training,
    };
    Ok(NewStudy {
        name,
        description: request.description,
        tags: request.tags,
        spec,
        kinds: request.kinds,
        skip_defaults: request.skip_defaults,
        initial: request.initial.into_iter().map(|point| params(point.params)).collect::<Result<_, _>>()?,
        warm_start_from: request.warm_start_from,
    })
}

pub(super) fn policy(policy: pb::Policy) -> Result<PolicySpec, Error> {
    let lexicographic = matches!(policy.kind.as_str(), "" | "lexicographic");
    let ordered = !policy.order.is_empty() || !policy.tolerances.is_empty();
    if ordered && !lexicographic {
        return Err(Error::invalid("policy.order", "goes with `lexicographic` only"));
    }
    match policy.kind.as_str() {
        "" | "lexicographic" => Ok(PolicySpec::Lexicographic { order: policy.order, tolerances: policy.tolerances }),
        "knee" => Ok(PolicySpec::Knee),
        "one_standard_error" => Ok(PolicySpec::OneStandardError),
        _ => Err(Error::invalid("policy.kind", "must be `lexicographic`, `knee` or `one_standard_error`")),
    }
}

pub(super) fn trial_state(number: i32) -> Result<TrialState, Error> {
    match pb::TrialState::try_from(number) {
        Ok(pb::TrialState::Waiting) => Ok(TrialState::Waiting),
        Ok(pb::TrialState::Running) => Ok(TrialState::Running),
        Ok(pb::TrialState::Complete) => Ok(TrialState::Complete),
        Ok(pb::TrialState::Pruned) => Ok(TrialState::Pruned),
        Ok(pb::TrialState::Failed) => Ok(TrialState::Failed),
        Ok(pb::TrialState::Unspecified) => {
            Err(Error::invalid("states", "must be specified; leave the list empty for all states"))
        }
        Err(_) => Err(unknown_enum("states", number)),
    }
}

/// 0 as `None`.
fn count(field: &str, number: i32) -> Result<Option<u32>, Error> {
    match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Error::invalid(field, format!("must not be negative, got {number}"))),
    }
}

/// The parameters of a space; an unknown member is a slip of the pen.
fn space(text: &str) -> Result<Vec<Param>, Error> {
    const MEMBERS: [&str; 8] = ["name", "type", "low", "high", "log", "step", "choices", "when"];
    let value = json("space_json", text)?;
    if value.is_null() {
        return Ok(Vec::new());
    }
    let params = value.as_array().ok_or_else(|| Error::invalid("space_json", "must be a JSON list of parameters"))?;
    let param = |(at, param): (usize, &Value)| {
        let wrong = |why: String| Error::invalid(format!("space_json[{at}]"), why);
        let unknown = param.as_object().and_then(|it| it.keys().find(|key| !MEMBERS.contains(&key.as_str())));
        if let Some(unknown) = unknown {
            let unknown: String = unknown.chars().take(40).collect();
            return Err(wrong(format!("has the member `{unknown}`; there are {}", MEMBERS.join(", "))));
        }
        let mut param = param.clone();
        // `null` and lists are kept as their text, and passed on as what they are.
        for list in ["/choices", "/when/in"] {
            let choices = param.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
            choices.filter(|choice| choice.is_null() || choice.is_array()).for_each(|it| *it = it.to_string().into());
        }
        serde_json::from_value(param).map_err(|error| wrong(format!("is no parameter: {error}")))
    };
    params.iter().enumerate().map(param).collect()
}

fn objectives(field: &str, objectives: Vec<pb::Objective>) -> Result<Vec<Objective>, Error> {
    let objective = |(at, objective): (usize, pb::Objective)| {
        let field = format!("{field}[{at}].direction");
        let direction = match pb::Direction::try_from(objective.direction) {
            Ok(pb::Direction::Minimize) => Direction::Minimize,
            Ok(pb::Direction::Maximize) => Direction::Maximize,
            Ok(pb::Direction::Unspecified) => {
                return Err(Error::invalid(field, "must say whether the metric is to be minimized or maximized"));
            }
            Err(_) => return Err(unknown_enum(&field, objective.direction)),
        };
        Ok(Objective { metric: objective.metric, direction })
    };
    objectives.into_iter().enumerate().map(objective).collect()
}

fn constraint(constraint: pb::Constraint) -> Constraint {
    Constraint { metric: constraint.metric, min: constraint.min, max: constraint.max }
}

fn sampler(name: &str) -> Result<SamplerKind, Error> {
    let Some(name) = given(name) else { return Ok(SamplerKind::Tpe) };
    SamplerKind::ALL.into_iter().find(|sampler| sampler.as_str() == name).ok_or_else(|| {
        let names = SamplerKind::ALL.map(SamplerKind::as_str).join(", ");
        Error::invalid("sampler", format!("must be one of {names}"))
    })
}

fn pruner(pruner: pb::Pruner) -> Result<(PrunerSpec, Vec<Objective>), Error> {
    let kind = given(&pruner.kind).unwrap_or("none");
    let mut options = match json("pruner.options_json", &pruner.options_json)? {
        Value::Null => Map::new(),
        Value::Object(options) => options,
        _ => return Err(Error::invalid("pruner.options_json", "must be a JSON object, or empty for the defaults")),
    };
    options.insert("type".to_owned(), kind.into());
    let spec: PrunerSpec = serde_json::from_value(Value::Object(options))
        .map_err(|error| Error::invalid("pruner", format!("does not fit: {error}")))?;
    Ok((spec, objectives("pruner.metrics", pruner.metrics)?))
}

fn training(training: pb::StudyTraining, study: &StudyName) -> Result<StudyTraining, Error> {
    let aliases = training.aliases.iter().map(|alias| AliasName::parse(alias)).collect::<Result<_, _>>()?;
    Ok(StudyTraining {
        split_id: SplitId::parse(&training.split_id)?,
        kind: training.kind,
        params: json("training.params_json", &training.params_json)?,
        folds: count("training.folds", training.folds)?,
        parallel: count("training.parallel", training.parallel)?.unwrap_or(1),
        refit: training.refit,
        experiment: ExperimentName::parse(given(&training.experiment).unwrap_or(study.as_str()))?,
        calibration: given(&training.calibration).map(CalibrationMethod::parse).transpose()?,
        register_model: given(&training.register_model).map(ModelName::parse).transpose()?,
        aliases,
    })
}
