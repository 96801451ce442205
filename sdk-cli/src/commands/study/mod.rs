//! `tenor study`.

mod create;
mod show;
mod tell;
mod watch;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tenor_sdk::types::{Policy, Study, TrialState};
use tenor_sdk::{Change, TrialQuery};

use super::named::{Delete, Limit, List, Update};
use crate::context::Context;
use crate::error::{Error, Result};
use create::Create;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create a study, and return. One with trainings begins at once.
    Create(Box<Create>),
    /// Create a study of trainings, or take the one of this name, and show it until it ends.
    Run(Box<Create>),
    /// List studies by name.
    List(List),
    /// Show a study with its progress.
    Describe { study: String },
    /// Change description or tags.
    Update(Update),
    /// Delete a study with its trials.
    Delete(Delete),
    /// Let no more trials begin; those that run may end.
    Pause { study: String },
    /// Go on with a paused study.
    Resume { study: String },
    /// End a study; what was found stays.
    Stop { study: String },
    /// Show a study until it ends.
    Watch { study: String },
    /// List trials.
    Trials(Trials),
    /// Show one trial with its reports.
    Trial { study: String, number: i64 },
    /// Show the trials that no other dominates, and a plot of two objectives.
    Pareto {
        study: String,
        /// The objectives of the plot; the first two unless given twice.
        #[arg(long = "axis", value_name = "METRIC")]
        axes: Vec<String>,
    },
    /// Show which parameters matter.
    Importance {
        study: String,
        /// For this objective; else for the only one, or for being on an early front.
        #[arg(long, default_value = "")]
        objective: String,
    },
    /// Show the winner and why it wins.
    Best {
        study: String,
        #[command(flatten)]
        policy: PolicyArgs,
        /// Also fit it again on training and validation rows, and judge it by the test rows.
        #[arg(long)]
        refit: bool,
    },
    /// Write an HTML page: history, front, importance, slices, trials.
    Report {
        study: String,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Add a point to be tried before any that the sampler chooses.
    Enqueue(tell::Enqueue),
    /// Ask for a trial to run; the same client gets its own again.
    Suggest {
        study: String,
        /// Names who runs it, e.g. host and process.
        #[arg(long)]
        client: String,
    },
    /// Say that the trial still runs.
    Heartbeat(tell::Of),
    /// Say how a trial looks at a step; the answer says whether to end it.
    ReportStep(tell::ReportStep),
    /// Show what was decided at the last report.
    ShouldPrune { study: String, number: i64 },
    /// Say what came of a trial.
    Complete(tell::Measured),
    /// Say that a trial was ended early.
    Prune(tell::Measured),
    /// Say that a trial failed.
    Fail {
        #[command(flatten)]
        of: tell::Of,
        #[arg(long)]
        error: String,
    },
}

#[derive(Debug, Args)]
pub struct Trials {
    pub study: String,
    /// Only trials in this state; may be repeated.
    #[arg(long, value_enum)]
    pub state: Vec<StateArg>,
    /// E.g. 'metrics.macro_f1 > 0.8 AND params.C <= 1'.
    #[arg(long, default_value = "")]
    pub filter: String,
    /// E.g. 'metrics.macro_f1 DESC'; else by number.
    #[arg(long, default_value = "")]
    pub order_by: String,
    #[command(flatten)]
    pub limit: Limit,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StateArg {
    Waiting,
    Running,
    Complete,
    Pruned,
    Failed,
}

impl From<StateArg> for TrialState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Waiting => Self::Waiting,
            StateArg::Running => Self::Running,
            StateArg::Complete => Self::Complete,
            StateArg::Pruned => Self::Pruned,
            StateArg::Failed => Self::Failed,
        }
    }
}

/// How the winner is chosen.
#[derive(Debug, Args)]
#[group(skip)]
pub struct PolicyArgs {
    /// How the winner is chosen: lexicographic (the best by the first objective, then by the next), knee, or one_standard_error
    /// (of those within one standard error of the best by the first objective, the best by the second).
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// For lexicographic: this objective comes next; METRIC=TOLERANCE lets trials within it count as equal; may be repeated.
    #[arg(long = "prefer", value_name = "METRIC[=TOLERANCE]")]
    pub prefer: Vec<String>,
}

impl PolicyArgs {
    /// `None`: that of the study.
    fn policy(self) -> Result<Option<Policy>> {
        if self.policy.is_none() && self.prefer.is_empty() {
            return Ok(None);
        }
        let mut policy = Policy { kind: self.policy.unwrap_or_default(), ..Policy::default() };
        for text in self.prefer {
            let (metric, tolerance) = match text.split_once('=') {
                None => (text.as_str(), 0.0),
                Some((metric, tolerance)) => match tolerance.trim().parse() {
                    Ok(number) => (metric, number),
                    Err(_) => return Err(Error::usage(format!("`{tolerance}` in `{text}` is not a number"))),
                },
            };
            policy.order.push(metric.to_owned());
            policy.tolerances.push(tolerance);
        }
        Ok(Some(policy))
    }
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let studies = context.client.studies();
    match verb {
        Verb::Create(args) => create::create(*args, context).await,
        Verb::Run(args) => create::run(*args, context).await,
        Verb::List(list) => {
            let columns = ["name", "state", "trial_count", "best_trial", "create_time", "error"];
            context.list(studies.list(list.prefix), list.limit.limit, &columns).await
        }
        Verb::Describe { study } => show::study(&studies.get(study).await?, context).await,
        Verb::Update(update) => {
            let (name, change): (String, Change) = update.request()?;
            context.item(&studies.update(name, change).await?)
        }
        Verb::Delete(delete) => {
            context.confirm(&format!("delete study {} with its trials", delete.name)).await?;
            studies.delete(delete.name, delete.etag).await?;
            context.note("deleted")
        }
        Verb::Pause { study } => context.item(&studies.pause(study).await?),
        Verb::Resume { study } => context.item(&studies.resume(study).await?),
        Verb::Stop { study } => {
            context.confirm(&format!("end study {study}")).await?;
            context.item(&studies.stop(study).await?)
        }
        Verb::Watch { study } => {
            let found: Study = studies.get(study).await?;
            watch::until_over(&found, context).await
        }
        Verb::Trials(trials) => {
            let mut query = TrialQuery::new().filter(trials.filter).order_by(trials.order_by);
            for state in trials.state {
                query = query.state(state.into());
            }
            show::trials(trials.study, query, trials.limit.limit, context).await
        }
        Verb::Trial { study, number } => context.item(&studies.trial(study, number).await?),
        Verb::Pareto { study, axes } => show::pareto(study, axes, context).await,
        Verb::Importance { study, objective } => show::importance(study, objective, context).await,
        Verb::Best { study, policy, refit } => show::best(study, policy.policy()?, refit, context).await,
        Verb::Report { study, to } => {
            let page = studies.report_page(study).await?;
            std::fs::write(&to, &page).map_err(|error| Error::file("write", &to, &error))?;
            context.note(&format!("{} bytes written to {}", page.len(), to.display()))
        }
        Verb::Enqueue(args) => tell::enqueue(args, context).await,
        Verb::Suggest { study, client } => context.item(&studies.suggest(study, client).await?),
        Verb::Heartbeat(of) => context.item(&studies.heartbeat(of.study, of.number, of.client).await?),
        Verb::ReportStep(args) => tell::report_step(args, context).await,
        Verb::ShouldPrune { study, number } => context.item(&studies.should_prune(study, number).await?),
        Verb::Complete(args) => tell::complete(args, context).await,
        Verb::Prune(args) => tell::prune(args, context).await,
        Verb::Fail { of, error } => context.item(&studies.fail(of.study, of.number, of.client, error).await?),
    }
}
