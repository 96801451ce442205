//! `tenor job`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use futures::TryStreamExt as _;
use tenor_sdk::is_final;
use tenor_sdk::types::JobState;

use super::named::Limit;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::json::ToJson as _;
use crate::output::{Format, cell};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List jobs.
    List {
        /// Only jobs in this state; may be repeated.
        #[arg(long, value_enum)]
        state: Vec<StateArg>,
        /// Only jobs of this kind: import_dataset, process_dataset, train_run, run_trial.
        #[arg(long, default_value = "")]
        kind: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a job.
    Describe { job: i64 },
    /// Cancel a job and every job that waits for it.
    Cancel { job: i64 },
    /// Put a failed or cancelled job back in the queue.
    Requeue { job: i64 },
    /// Wait for the end of a job; exit code 1 when it did not succeed.
    Wait { job: i64 },
    /// Show the events of a job while they happen.
    Watch {
        job: i64,
        /// Only events after this one.
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StateArg {
    Waiting,
    Ready,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl From<StateArg> for JobState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Waiting => Self::Waiting,
            StateArg::Ready => Self::Ready,
            StateArg::Running => Self::Running,
            StateArg::Succeeded => Self::Succeeded,
            StateArg::Failed => Self::Failed,
            StateArg::Cancelled => Self::Cancelled,
        }
    }
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let jobs = context.client.jobs();
    match verb {
        Verb::List { state, kind, limit } => {
            let states: Vec<JobState> = state.into_iter().map(Into::into).collect();
            let columns = ["id", "kind", "state", "progress", "attempt", "create_time", "error"];
            context.list(jobs.list(&states, kind), limit.limit, &columns).await
        }
        Verb::Describe { job } => context.item(&jobs.get(job).await?),
        Verb::Cancel { job } => {
            context.confirm(&format!("cancel job {job} and every job that waits for it")).await?;
            context.item(&jobs.cancel(job).await?)
        }
        Verb::Requeue { job } => context.item(&jobs.requeue(job).await?),
        Verb::Wait { job: id } => {
            let job = loop {
                let job = jobs.wait(id, Duration::from_secs(30)).await?;
                if is_final(job.state()) {
                    break job;
                }
            };
            context.item(&job)?;
            match job.state() {
                JobState::Succeeded => Ok(()),
                state => Err(Error::Job {
                    message: format!(
                        "job {id} ended {}",
                        state.as_str_name().trim_start_matches("JOB_STATE_").to_lowercase()
                    ),
                    hint: format!("`tenor job watch {id}` shows what happened"),
                }),
            }
        }
        Verb::Watch { job, after } => {
            let mut events = jobs.watch(job, after);
            let mut all = Vec::new();
            while let Some(event) = events.try_next().await? {
                let value = event.to_json();
                match context.format {
                    Format::Table => {
                        let share =
                            event.progress.map_or_else(String::new, |share| format!("{:>3.0} % ", share * 100.0));
                        let (time, level, text) =
                            (cell(&value, "time"), cell(&value, "level"), cell(&value, "message"));
                        writeln!(context.out, "{time}  {level:8}  {share}{text}")?;
                        context.out.flush()?;
                    }
                    Format::Ndjson => {
                        writeln!(context.out, "{value}")?;
                        context.out.flush()?;
                    }
                    Format::Json => all.push(value),
                }
            }
            if context.format == Format::Json { context.values(all, &[]) } else { Ok(()) }
        }
    }
}
