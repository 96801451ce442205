//! `tenor run train`.

use clap::Args;
use tenor_sdk::TrainRun;
use tenor_sdk::types::{Run, State};

use super::report;
use crate::commands::dataset::split_to_train_on;
use crate::context::{Context, map, pair, typed};
use crate::error::{Error, Result};
use crate::output::clip;

#[derive(Debug, Args)]
pub struct Train {
    /// Train on the newest split of NAME, or NAME@NUMBER.
    #[arg(long, required_unless_present = "split", conflicts_with = "split")]
    pub dataset: Option<String>,
    /// Train on the split with this id.
    #[arg(long)]
    pub split: Option<String>,
    /// The kind of model: logreg, nbsvm, complement_nb, random_forest, hist_gb or mlp.
    #[arg(long, default_value = "logreg")]
    pub kind: String,
    /// Created when it does not exist.
    #[arg(long)]
    pub experiment: String,
    #[arg(long, default_value = "")]
    pub name: String,
    /// A parameter of the kind, e.g. C=0.5; may be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
    /// Same data, parameters and seed give the same model file.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Correct the probabilities on the validation rows: temperature, platt or isotonic.
    #[arg(long, value_name = "METHOD")]
    pub calibrate: Option<String>,
    /// Cross-validate on the training rows besides, with so many folds; adds cv/ metrics and a report of suspicious labels.
    #[arg(long, value_parser = clap::value_parser!(i32).range(2..=20))]
    pub folds: Option<i32>,
    /// Judge a slice of the test rows besides the usual ones, e.g. 'year >= 2012 and text contains "refund"'; may be repeated.
    #[arg(long = "slice", value_name = "FILTER")]
    pub slices: Vec<String>,
    /// May be repeated.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// Register the model under this name.
    #[arg(long, value_name = "MODEL")]
    pub register: Option<String>,
    /// Point this alias at the new version; may be repeated.
    #[arg(long = "alias", requires = "register")]
    pub aliases: Vec<String>,
    /// Return once the training is queued.
    #[arg(long)]
    pub no_wait: bool,
    /// Only say what would be made.
    #[arg(long)]
    pub validate_only: bool,
    /// A UUID; the same command with the same id is done once.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
}

/// Waits for the training of `started`, which must be a success.
pub(crate) async fn succeeded(started: Run, what: &str, hint: &str, context: &mut Context<'_>) -> Result<Run> {
    context.finish_job(started.job_id, what).await?;
    let run = context.client.experiments().run(started.id).await?;
    if run.state() == State::Succeeded {
        return Ok(run);
    }
    let message = format!("run {} did not succeed: {}", run.id, clip(&run.error, 1000));
    Err(Error::Job { message, hint: hint.to_owned() })
}

pub(crate) async fn run(args: Train, context: &mut Context<'_>) -> Result {
    let split = match (args.split, args.dataset) {
        (Some(split), _) => split,
        (None, Some(dataset)) => split_to_train_on(&dataset, context).await?,
        (None, None) => return Err(Error::usage("say what to train on: --dataset NAME or --split ID")),
    };
    let mut train =
        TrainRun::new(args.experiment, split, args.kind).seed(args.seed).name(args.name).tags(map(args.tags));
    for (key, value) in args.params {
        train = train.param(key, typed(&value));
    }
    if let Some(method) = args.calibrate {
        train = train.calibration(method);
    }
    for filter in args.slices {
        train = train.slice(filter);
    }
    if let Some(folds) = args.folds {
        train = train.folds(folds);
    }
    if let Some(model) = &args.register {
        train = train.register(model.clone());
    }
    for alias in args.aliases {
        train = train.alias(alias);
    }
    if let Some(id) = args.request_id {
        train = train.request_id(id);
    }
    if args.validate_only {
        train = train.validate_only();
    }
    let experiments = context.client.experiments();
    let started = experiments.train(train).await?;
    if args.no_wait || args.validate_only {
        return context.item(&started);
    }
    let hint = "the same request id gives the same run; leave it out to train again";
    let run = succeeded(started, "train", hint, context).await?;
    report::show(context, &run).await?;
    if let Some(model) = args.register {
        // Somebody else may have registered the next one meanwhile; only this run's version is reported.
        let version = context.client.models().version(model.clone(), "latest").await?;
        if version.run_id == run.id {
            context.note(&format!("registered as version {} of model {model}", version.number))?;
        }
    }
    Ok(())
}
