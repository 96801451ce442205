//! `tenor study create` and `tenor study run`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};
use tenor_sdk::types::{Budget, Direction, StudyState, StudyTraining};
use tenor_sdk::{Kind, NewStudy, is_over};

use super::PolicyArgs;
use super::watch;
use crate::commands::dataset::split_to_train_on;
use crate::commands::run::params;
use crate::context::{Context, map, number_pair, pair, typed};
use crate::error::{Error, Result};

/// What a training study looks for unless told.
const OBJECTIVE: &str = "macro_f1";

#[derive(Debug, Args)]
pub struct Create {
    /// 1 to 63 lowercase letters, digits, inner `-`, `_`, `.`.
    pub name: String,
    /// Search this model kind in its usual space, a good point of it first; repeated, the kind is searched too.
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// A JSON file: a list of parameters like {"name": "C", "type": "float", "low": 1e-4, "high": 100, "log": true}. With one --kind,
    /// trials train that kind.
    #[arg(long, value_name = "FILE")]
    pub space: Option<PathBuf>,
    /// Train on the newest split of NAME, or NAME@NUMBER. Without this and --split, clients ask for trials and run them.
    #[arg(long, conflicts_with = "split")]
    pub dataset: Option<String>,
    /// Train on the split with this id.
    #[arg(long)]
    pub split: Option<String>,
    /// An objective, the most important first: macro_f1, accuracy, log_loss:min, latency_us:min, model_bytes:min, ... Larger is better
    /// unless :min follows; macro_f1 alone for trainings unless given; may be repeated.
    #[arg(long = "objective", value_name = "METRIC[:min|:max]")]
    pub objectives: Vec<String>,
    /// A trial above it never wins, e.g. latency_us=200; may be repeated.
    #[arg(long = "at-most", value_name = "METRIC=NUMBER", value_parser = number_pair)]
    pub at_most: Vec<(String, f64)>,
    /// A trial below it never wins; may be repeated.
    #[arg(long = "at-least", value_name = "METRIC=NUMBER", value_parser = number_pair)]
    pub at_least: Vec<(String, f64)>,
    /// Trials in all, whatever becomes of them.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..))]
    pub trials: i32,
    /// End after so many seconds; trials that run then may end.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub max_seconds: Option<i32>,
    /// End after so many complete trials without a better one that keeps the constraints.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub patience: Option<i32>,
    /// tpe, gp (needs fewer trials, takes milliseconds to suggest), random, quasi_random, grid or nsga2.
    #[arg(long, default_value = "tpe")]
    pub sampler: String,
    /// none, median, halving, hyperband or wilcoxon.
    #[arg(long, default_value = "none")]
    pub pruner: String,
    /// An option of the pruner, e.g. startup_trials=10; may be repeated.
    #[arg(long = "pruner-option", value_name = "KEY=VALUE", value_parser = pair)]
    pub pruner_options: Vec<(String, String)>,
    /// Prune by this metric instead of the objectives, e.g. val/loss:min; may be repeated.
    #[arg(long = "prune-by", value_name = "METRIC[:min|:max]")]
    pub prune_by: Vec<String>,
    /// The same seed and the same order of results give the same points.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Judge trials by so many folds of the training rows instead of the validation rows.
    #[arg(long, value_parser = clap::value_parser!(i32).range(2..=20))]
    pub folds: Option<i32>,
    /// Trials that run at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    pub parallel: i32,
    /// A parameter that is the same in all trials, e.g. use_numeric=false; may be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
    /// A point to be tried first, e.g. C=0.5,penalty=l2; may be repeated.
    #[arg(long = "initial", value_name = "KEY=VALUE,...")]
    pub initial: Vec<String>,
    /// Do not try the defaults of the kinds first.
    #[arg(long)]
    pub skip_defaults: bool,
    /// Try the best points of an earlier study first; may be repeated.
    #[arg(long = "warm-start", value_name = "STUDY")]
    pub warm_start: Vec<String>,
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Fit the winner again on training and validation rows, and judge it once by the test rows.
    #[arg(long)]
    pub refit: bool,
    /// Of the refit's run; the study's name unless given.
    #[arg(long, default_value = "")]
    pub experiment: String,
    /// Correct the refit's probabilities on the validation rows: temperature, platt or isotonic.
    #[arg(long, value_name = "METHOD", default_value = "")]
    pub calibrate: String,
    /// Register the refit under this name.
    #[arg(long, value_name = "MODEL", requires = "refit", default_value = "")]
    pub register: String,
    /// Point this alias at the new version; may be repeated.
    #[arg(long = "alias", requires = "register")]
    pub aliases: Vec<String>,
    /// A client that runs a trial may be silent for so long before another may take it over.
    #[arg(long, default_value_t = 600)]
    pub lease_seconds: i32,
    #[arg(long, default_value = "")]
    pub description: String,
    /// May be repeated.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// A UUID; the same command with the same id is done once.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
    /// Only say what would be made.
    #[arg(long)]
    pub validate_only: bool,
}

pub(super) async fn create(args: Create, context: &mut Context<'_>) -> Result {
    let study = context.client.studies().create(request(args, context).await?).await?;
    context.item(&study)
}

/// Goes on with the study of this name when it is there: a broken command is repeated as it was.
pub(super) async fn run(args: Create, context: &mut Context<'_>) -> Result {
    let (name, check_only) = (args.name.clone(), args.validate_only);
    let studies = context.client.studies();
    let study = match studies.create(request(args, context).await?).await {
        Ok(study) if check_only => return context.item(&study),
        Err(error) if error.kind() == Kind::AlreadyExists => {
            let study = studies.get(name).await?;
            let how = match study.state() {
                StudyState::Paused => "is paused: `tenor study resume` lets it go on",
                state if is_over(state) => "has ended",
                _ => "is there already and goes on",
            };
            context.note(&format!("study {} {how}; take another name for a new one", study.name))?;
            study
        }
        created => created?,
    };
    if study.training.is_none() {
        context.note("clients run the trials of this study: `tenor study suggest` gives them out")?;
    }
    watch::until_over(&study, context).await
}

async fn request(args: Create, context: &mut Context<'_>) -> Result<NewStudy> {
    let split = match (args.split, args.dataset) {
        (Some(split), _) => Some(split),
        (None, Some(dataset)) => Some(split_to_train_on(&dataset, context).await?),
        (None, None) => None,
    };
    let training = args.folds.is_some() || args.parallel != 1 || args.refit || !args.params.is_empty();
    let training = training || [&args.experiment, &args.calibrate].iter().any(|text| !text.is_empty());
    if split.is_none() && training {
        let text = "--folds, --parallel, --param, --refit, --experiment and --calibrate go with --dataset or --split";
        return Err(Error::usage(text));
    }
    let mut new = NewStudy::new(args.name)
        .description(args.description)
        .tags(map(args.tags))
        .sampler(args.sampler)
        .seed(args.seed)
        .lease_seconds(args.lease_seconds)
        .budget(Budget {
            max_trials: args.trials,
            max_seconds: args.max_seconds.unwrap_or(0),
            patience: args.patience.unwrap_or(0),
        });
    let mut kind = String::new();
    match (&args.space, args.kinds.as_slice()) {
        (None, []) => return Err(Error::usage("say where to search: --kind KIND or --space FILE")),
        (None, kinds) => new = new.kinds(kinds),
        (Some(file), kinds) => {
            let text = std::fs::read_to_string(file).map_err(|error| Error::file("read", file, &error))?;
            let space: Value = serde_json::from_str(&text)
                .map_err(|error| Error::usage(format!("{} is not JSON: {error}", file.display())))?;
            new = new.space(&space);
            match kinds {
                [] => {}
                [only] => kind.clone_from(only),
                _ => {
                    return Err(Error::usage(
                        "with --space, a search over kinds has the parameter `kind` in the space",
                    ));
                }
            }
        }
    }
    if args.skip_defaults {
        new = new.skip_defaults();
    }
    let mut objectives = args.objectives;
    if objectives.is_empty() {
        if split.is_none() {
            return Err(Error::usage("say what for: --objective METRIC or --objective METRIC:min"));
        }
        objectives.push(OBJECTIVE.to_owned());
    }
    for text in &objectives {
        let (metric, direction) = directed(text)?;
        new = new.objective(metric, direction);
    }
    for (metric, max) in args.at_most {
        new = new.at_most(metric, max);
    }
    for (metric, min) in args.at_least {
        new = new.at_least(metric, min);
    }
    let options: Map<String, Value> = args.pruner_options.into_iter().map(|(key, it)| (key, typed(&it))).collect();
    new = new.pruner(args.pruner, &if options.is_empty() { Value::Null } else { Value::Object(options) });
    for text in &args.prune_by {
        let (metric, direction) = directed(text)?;
        new = new.prune_by(metric, direction);
    }
    for text in args.initial {
        let pairs = text.split(',').map(pair).collect::<std::result::Result<_, _>>().map_err(Error::usage)?;
        new = new.initial(params(pairs));
    }
    for study in args.warm_start {
        new = new.warm_start_from(study);
    }
    if let Some(policy) = args.policy.policy()? {
        new = new.policy(policy);
    }
    if let Some(split_id) = split {
        let fixed: Map<String, Value> = args.params.into_iter().map(|(key, value)| (key, typed(&value))).collect();
        new = new.training(StudyTraining {
            split_id,
            kind,
            params_json: if fixed.is_empty() { String::new() } else { Value::Object(fixed).to_string() },
            folds: args.folds.unwrap_or(0),
            parallel: args.parallel,
            refit: args.refit,
            experiment: args.experiment,
            calibration: args.calibrate,
            register_model: args.register,
            aliases: args.aliases,
        });
    }
    if let Some(id) = args.request_id {
        new = new.request_id(id);
    }
    Ok(if args.validate_only { new.validate_only() } else { new })
}

/// Metrics of trainings that nobody wants to be large.
const SMALL: [&str; 12] = [
    "log_loss",
    "brier",
    "ece",
    "mae",
    "train/loss",
    "val/loss",
    "latency_us",
    "latency_us_p95",
    "latency_us_mad",
    "model_bytes",
    "nonzero_params",
    "fit_seconds",
];

/// `log_loss:min` as a metric and a direction; larger is better unless said.
fn directed(text: &str) -> Result<(&str, Direction)> {
    match text.rsplit_once(':') {
        Some((metric, "min")) => Ok((metric, Direction::Minimize)),
        Some((metric, "max")) => Ok((metric, Direction::Maximize)),
        Some((metric, end)) => {
            let text = format!("after the last `:` comes min or max, got `{end}`; write {metric}:min or {text}:max");
            Err(Error::usage(text))
        }
        None if SMALL.contains(&text) => Err(Error::usage(format!(
            "write {text}:min, or {text}:max if you mean it: without an end, larger is better"
        ))),
        None => Ok((text, Direction::Maximize)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_is_better_unless_said() {
        assert_eq!(directed("macro_f1").unwrap(), ("macro_f1", Direction::Maximize));
        assert_eq!(directed("f1/a:b:max").unwrap(), ("f1/a:b", Direction::Maximize));
        assert_eq!(directed("log_loss:min").unwrap(), ("log_loss", Direction::Minimize));
        for wrong in ["log_loss", "latency_us_p95", "macro_f1:mni", "f1/a:b"] {
            let error = directed(wrong).unwrap_err().to_string();
            assert!(error.contains(":min") && error.contains(":max"), "{error}");
        }
    }
}
