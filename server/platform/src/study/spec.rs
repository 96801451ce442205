//! What a study searches, for what, and how: stored with the study as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenor_domain::{
    AliasName, CalibrationMethod, Error, ExperimentName, Metric, ModelName, ParamValue, SplitId, Trial, TrialState,
};
use tenor_tune::pruner::{Halving, Hyperband, Median, NoPruner, Wilcoxon};
use tenor_tune::{Assignment, Direction, Param, Policy, Pruner, SamplerKind};

use crate::check;

/// Most objectives: with more, nearly every trial is on the front.
const MAX_OBJECTIVES: usize = 6;
const MAX_CONSTRAINTS: usize = 20;
/// Most trials of a study.
pub(crate) const MAX_TRIALS: u32 = 100_000;
/// Most trials of one study that run at once as jobs.
const MAX_PARALLEL: u32 = 256;
/// The parameter that chooses the model kind. Parameters of a kind are named `<kind>.<parameter>` beside it.
pub const KIND_PARAM: &str = "kind";
/// A metric with this behind its name is the standard error of that metric.
pub const STANDARD_ERROR: &str = "_se";

/// What a study searches, for what, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudySpec {
    pub space: Vec<Param>,
    /// The most important first.
    pub objectives: Vec<Objective>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    pub sampler: SamplerKind,
    #[serde(default)]
    pub pruner: PrunerSpec,
    /// What trials are pruned by; the objectives when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prune_metrics: Vec<Objective>,
    /// The same seed and the same order of results give the same suggestions.
    pub seed: u64,
    pub budget: Budget,
    /// For so long a client that runs a trial may be silent before another may take it over.
    pub lease_seconds: u32,
    /// How the winner is chosen.
    #[serde(default)]
    pub policy: PolicySpec,
    /// Trials that are trainings, run by jobs; `None`: clients ask and tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<StudyTraining>,
}

/// A metric, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    pub metric: String,
    pub direction: Direction,
}

/// Bounds of a metric. A trial that breaks one is never on the front and never wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    pub metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// When a study ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Trials in all, whatever became of them.
    pub max_trials: u32,
    /// Seconds for which it is active; trials that run then may end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<u32>,
    /// It ends after so many complete trials without one that is better than all before (with several objectives: that none before
    /// dominates or equals); one that breaks constraints is never better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
}

/// Which trials end early.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PrunerSpec {
    #[default]
    None,
    Median(Median),
    Halving(Halving),
    Hyperband(Hyperband),
    Wilcoxon(Wilcoxon),
}

/// How the winner is chosen, objectives by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PolicySpec {
    /// The best by the first objective; the others decide between equals.
    Lexicographic {
        #[serde(default)]
        order: Vec<String>,
        /// Trials within it of the best count as equal to it; one an objective of `order`.
        #[serde(default)]
        tolerances: Vec<f64>,
    },
    Knee,
    /// Of those within one standard error of the best by the first objective, the best by the second. The error of a metric `m` is
    /// the metric `m_se`.
    OneStandardError,
}

impl Default for PolicySpec {
    fn default() -> Self {
        Self::Lexicographic { order: Vec::new(), tolerances: Vec::new() }
    }
}

/// Trials that are trainings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyTraining {
    pub split_id: SplitId,
    /// The model kind; empty when the space has the parameter `kind`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Parameters that are the same in all trials, as a JSON object; null for none.
    #[serde(default)]
    pub params: Value,
    /// Folds on the training rows that a trial is judged by; `None`: by the validation rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<u32>,
    /// Trials that run at once.
    pub parallel: u32,
    /// Whether the winner is fitted again on the rows of training and validation, and judged once by the test rows.
    pub refit: bool,
    /// Of the refit's run; created when it does not exist.
    pub experiment: ExperimentName,
    /// Corrects the refit's probabilities. It learns on the validation rows, so they are not trained on then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationMethod>,
    /// Register the refit under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_model: Option<ModelName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<AliasName>,
}

impl StudySpec {
    /// The names of the metrics that every complete trial has.
    pub fn metrics(&self) -> BTreeSet<&str> {
        let objectives = self.objectives.iter().map(|objective| objective.metric.as_str());
        objectives.chain(self.constraints.iter().map(|constraint| constraint.metric.as_str())).collect()
    }

    /// Whether trials are judged or pruned by a metric.
    pub fn looks_at(&self, metric: &str) -> bool {
        self.metrics().contains(metric) || self.prune_metrics.iter().any(|pruned| pruned.metric == metric)
    }

    pub fn directions(&self) -> Vec<Direction> {
        self.objectives.iter().map(|objective| objective.direction).collect()
    }

    /// What trials are pruned by.
    pub fn prune_metrics(&self) -> &[Objective] {
        if self.prune_metrics.is_empty() { &self.objectives } else { &self.prune_metrics }
    }

    /// A report's values in the order of [`prune_metrics`](Self::prune_metrics): all of these, and no other.
    pub fn reported(&self, metrics: &BTreeMap<String, f64>) -> Result<Vec<f64>, Error> {
        let wanted = self.prune_metrics();
        let unknown = metrics.keys().find(|name| !wanted.iter().any(|metric| metric.metric == **name));
        if let Some(unknown) = unknown {
            let names: Vec<&str> = wanted.iter().map(|metric| metric.metric.as_str()).collect();
            let text = format!("is no metric that trials of this study are pruned by; those are {}", names.join(", "));
            return Err(Error::invalid(format!("metrics.{unknown}"), text));
        }
        let value = |metric: &Objective| match metrics.get(&metric.metric) {
            Some(value) if value.is_finite() => Ok(*value),
            Some(value) => {
                Err(Error::invalid(format!("metrics.{}", metric.metric), format!("must be finite, got {value}")))
            }
            None => {
                let text =
                    "is missing: a report has every metric that trials are pruned by; repeat what does not change";
                Err(Error::invalid(format!("metrics.{}", metric.metric), text))
            }
        };
        wanted.iter().map(value).collect()
    }

    /// By how much metrics break the constraints, all together.
    pub fn violation(&self, metrics: &BTreeMap<String, f64>) -> f64 {
        let of = |constraint: &Constraint| {
            let value = metrics.get(&constraint.metric).copied().unwrap_or(f64::INFINITY);
            let above = constraint.max.map_or(0.0, |max| (value - max).max(0.0));
            above + constraint.min.map_or(0.0, |min| (min - value).max(0.0))
        };
        self.constraints.iter().map(of).sum()
    }

    /// Ranges, names and what does not go together; the space itself is checked where it is made.
    pub fn check(&self) -> Result<(), Error> {
        check_metrics("objectives", &self.objectives, 1..=MAX_OBJECTIVES)?;
        check_metrics("pruner.metrics", &self.prune_metrics, 0..=MAX_OBJECTIVES)?;
        if self.constraints.len() > MAX_CONSTRAINTS {
            return Err(Error::invalid("constraints", format!("must be at most {MAX_CONSTRAINTS}")));
        }
        for (at, constraint) in self.constraints.iter().enumerate() {
            let field = format!("constraints[{at}]");
            Metric::check_key(&field, &constraint.metric)?;
            let bounds: Vec<f64> = constraint.min.into_iter().chain(constraint.max).collect();
            if bounds.is_empty() || !bounds.iter().all(|bound| bound.is_finite()) || !bounds.is_sorted() {
                return Err(Error::invalid(field, "must have a finite min, a finite max, or both with min <= max"));
            }
        }
        let Budget { max_trials, max_seconds, patience } = self.budget;
        let fields = [
            ("budget.max_trials", Some(max_trials), MAX_TRIALS),
            ("budget.max_seconds", max_seconds, 366 * 24 * 3_600),
            ("budget.patience", patience, MAX_TRIALS),
            ("lease_seconds", Some(self.lease_seconds), 7 * 24 * 3_600),
        ];
        for (field, value, most) in fields {
            if value.is_some_and(|value| value == 0 || value > most) {
                return Err(Error::invalid(field, format!("must be 1 to {most}, got {}", value.unwrap_or(0))));
            }
        }
        self.pruner.check()?;
        self.policy.policy(self, &[]).map(drop)?;
        let Some(training) = &self.training else { return Ok(()) };
        training.check(&self.space)?;
        let live = |metric: &Objective| metric.metric.starts_with("val/") || metric.metric.starts_with("train/");
        if training.folds.is_none() && self.pruner != PrunerSpec::None && !self.prune_metrics().iter().all(live) {
            let text = "needs folds, or metrics that a fit has while it goes on, such as `val/loss`: the scores of validation rows are \
                        there only at the end";
            return Err(Error::invalid("pruner.metrics", text));
        }
        Ok(())
    }
}

fn check_metrics(field: &str, metrics: &[Objective], count: std::ops::RangeInclusive<usize>) -> Result<(), Error> {
    if !count.contains(&metrics.len()) {
        let text = format!("must be {} to {}, got {}", count.start(), count.end(), metrics.len());
        return Err(Error::invalid(field, text));
    }
    let mut names = BTreeSet::new();
    for (at, objective) in metrics.iter().enumerate() {
        Metric::check_key(&format!("{field}[{at}]"), &objective.metric)?;
        if !names.insert(&objective.metric) {
            let text = format!("has the metric `{}`, which an earlier one has", objective.metric);
            return Err(Error::invalid(format!("{field}[{at}]"), text));
        }
    }
    Ok(())
}

impl PrunerSpec {
    fn check(&self) -> Result<(), Error> {
        let share = |field: &str, share: f64| match (0.0..=1.0).contains(&share) {
            true => Ok(()),
            false => Err(Error::invalid(format!("pruner.{field}"), format!("must be 0 to 1, got {share}"))),
        };
        let step = |field: &str, step: u64, least: u64| match (least..=u64::from(u32::MAX)).contains(&step) {
            true => Ok(()),
            false => {
                let text = format!("must be {least} to {}, got {step}", u32::MAX);
                Err(Error::invalid(format!("pruner.{field}"), text))
            }
        };
        match *self {
            Self::None => Ok(()),
            Self::Median(Median { quantile, startup_trials, warmup_steps, every_metric: _ }) => {
                share("quantile", quantile)?;
                step("startup_trials", startup_trials as u64, 0)?;
                step("warmup_steps", warmup_steps, 0)
            }
            Self::Halving(Halving { first, eta, .. }) => {
                step("eta", eta, 2)?;
                step("first", first, 1)
            }
            Self::Hyperband(Hyperband { first, eta, last, .. }) => {
                step("eta", eta, 2)?;
                step("first", first, 1)?;
                step("last", last, first)
            }
            Self::Wilcoxon(Wilcoxon { threshold, startup_steps }) => {
                share("threshold", threshold)?;
                step("startup_steps", startup_steps as u64, 0)
            }
        }
    }

    pub fn pruner(&self) -> Box<dyn Pruner> {
        match *self {
            Self::None => Box::new(NoPruner),
            Self::Median(median) => Box::new(median),
            Self::Halving(halving) => Box::new(halving),
            Self::Hyperband(hyperband) => Box::new(hyperband),
            Self::Wilcoxon(wilcoxon) => Box::new(wilcoxon),
        }
    }
}

impl PolicySpec {
    /// The policy for the trials of a study, whose standard errors it takes from their metrics.
    pub fn policy(&self, spec: &StudySpec, trials: &[Trial]) -> Result<Policy, Error> {
        Ok(match self {
            Self::Lexicographic { order, tolerances } => {
                let place = |name: &String| {
                    let place = spec.objectives.iter().position(|objective| objective.metric == *name);
                    place
                        .ok_or_else(|| Error::invalid("policy.order", format!("names `{name}`, which is no objective")))
                };
                let order: Vec<usize> = order.iter().map(place).collect::<Result<_, _>>()?;
                if tolerances.len() > order.len() || !tolerances.iter().all(|it| it.is_finite() && *it >= 0.0) {
                    let text = "must be at most one for each objective of `order`, and 0 or more";
                    return Err(Error::invalid("policy.tolerances", text));
                }
                Policy::Lexicographic { order, tolerances: tolerances.clone() }
            }
            Self::Knee => Policy::Knee,
            Self::OneStandardError => {
                if spec.objectives.len() < 2 {
                    let text =
                        "of one standard error needs a second objective, which decides among those that are as good";
                    return Err(Error::invalid("policy", text));
                }
                let key =
                    spec.objectives.first().map_or_else(String::new, |it| format!("{}{STANDARD_ERROR}", it.metric));
                let complete = trials.iter().filter(|trial| trial.state == TrialState::Complete);
                let error = |trial: &Trial| Some((trial.number.unsigned_abs(), *trial.metrics.get(&key)?));
                Policy::OneStandardError { errors: complete.filter_map(error).collect() }
            }
        })
    }
}

impl StudyTraining {
    fn check(&self, space: &[Param]) -> Result<(), Error> {
        let chosen = space.iter().any(|param| param.name == KIND_PARAM);
        match (chosen, self.kind.is_empty()) {
            (true, false) => {
                return Err(Error::invalid(
                    "training.kind",
                    "must be empty, because `kind` is a parameter of the space",
                ));
            }
            (false, true) => {
                let text = "must name a model kind, or `kind` must be a parameter of the space";
                return Err(Error::invalid("training.kind", text));
            }
            _ => {}
        }
        if self.parallel == 0 || self.parallel > MAX_PARALLEL {
            let text = format!("must be 1 to {MAX_PARALLEL}, got {}", self.parallel);
            return Err(Error::invalid("training.parallel", text));
        }
        check::folds("training.folds", self.folds)?;
        check::aliases("training.aliases", &self.aliases)?;
        if !self.params.is_null() && !self.params.is_object() {
            return Err(Error::invalid("training.params", "must be a JSON object, or empty"));
        }
        let always = space.iter().filter(|param| param.when.is_none());
        let mut searched = always.map(|param| own_name(&self.kind, &param.name));
        if let Some(twice) = searched.find(|name| self.params.get(name).is_some()) {
            let text = "is searched too, so it would count for no trial; take it out of the params or out of the space";
            return Err(Error::invalid(format!("training.params.{twice}"), text));
        }
        if self.register_model.is_none() && !self.aliases.is_empty() {
            return Err(Error::invalid("training.aliases", "need `register_model`: an alias points at a version"));
        }
        if !self.refit && (self.register_model.is_some() || self.calibration.is_some()) {
            let text = "must be set for a model to be calibrated or registered: trials keep no models";
            return Err(Error::invalid("training.refit", text));
        }
        Ok(())
    }

    /// The kind and the parameters of a trial.
    pub fn of(&self, trial: &Assignment) -> (String, Value) {
        let kind = match trial.get(KIND_PARAM) {
            Some(kind) => kind.to_string(),
            None => self.kind.clone(),
        };
        let mut params = self.params.as_object().cloned().unwrap_or_default();
        for (name, value) in trial.iter().filter(|(name, _)| *name != KIND_PARAM) {
            place(&mut params, own_name(&kind, name), value);
        }
        (kind, Value::Object(params))
    }
}

/// The name of a kind's parameter, which in a space may stand behind that of the kind: `<kind>.<parameter>`.
fn own_name<'a>(kind: &str, name: &'a str) -> &'a str {
    name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

/// A text that is JSON of a list or of nothing is taken as that: `null`, `[128, 64]`. Choices are plain values.
fn place(params: &mut Map<String, Value>, name: &str, value: &ParamValue) {
    let value = match value {
        ParamValue::Text(text) if text == "null" || text.starts_with('[') => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        value => serde_json::to_value(value).unwrap_or(Value::Null),
    };
    params.insert(name.to_owned(), value);
}

/// How the study ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyOutcome {
    /// The winner; `None` when no trial was complete and kept the constraints.
    pub trial: Option<i64>,
    /// Why it won, or why there is none.
    pub reason: String,
    /// The run of the refit, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<tenor_domain::RunId>,
}
