//! Jobs and their histories.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Subscription};
use futures::{Stream, StreamExt as _};
use tenor_domain as domain;
use tenor_domain::Error;
use tenor_platform::JobFilter;

use crate::connection::{Paged, Window, list_cost, many_cost, page_cost};
use crate::error::{Failure, Result};
use crate::global_id;
use crate::scalar::{DateTime, Json, Long};
use crate::scope::scope;

pub(crate) struct Job(Arc<domain::Job>);

impl From<domain::Job> for Job {
    fn from(job: domain::Job) -> Self {
        Self(Arc::new(job))
    }
}

/// The life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::JobState")]
pub(crate) enum JobState {
    /// Has unfinished dependencies.
    Waiting,
    /// May be claimed once `runTime` is past.
    Ready,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// Background work in the queue.
#[Object]
impl Job {
    pub(crate) async fn id(&self) -> ID {
        global_id::of(&self.0.id)
    }
    /// The id in gRPC and on the command line.
    async fn raw_id(&self) -> String {
        self.0.id.to_string()
    }
    /// What it does, e.g. `train_run`.
    async fn kind(&self) -> &str {
        &self.0.kind
    }
    async fn queue(&self) -> &str {
        &self.0.queue
    }
    async fn state(&self) -> JobState {
        self.0.state.into()
    }
    async fn priority(&self) -> i32 {
        self.0.priority
    }
    async fn attempt(&self) -> i32 {
        self.0.attempt
    }
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn payload(&self) -> Json {
        Json(self.0.payload.clone())
    }
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn result(&self) -> Option<Json> {
        self.0.result.clone().map(Json)
    }
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }
    async fn cancel_requested(&self) -> bool {
        self.0.cancel_requested
    }
    /// The worker that runs it, or ran it last.
    async fn worker(&self) -> Option<&str> {
        self.0.worker.as_deref()
    }
    /// 0 to 1, of the running attempt.
    async fn progress(&self) -> f64 {
        self.0.progress
    }
    async fn create_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
    /// Not claimed before.
    async fn run_time(&self) -> DateTime {
        DateTime(self.0.run_at)
    }
    async fn start_time(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }
    async fn finish_time(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }
    /// Its history so far, from the start.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn events(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<JobEvent>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.jobs().list_events(self.0.id, window.request()).await;
        window.connect(page)
    }
}

pub(crate) struct JobEvent(domain::JobEvent);

impl From<domain::JobEvent> for JobEvent {
    fn from(event: domain::JobEvent) -> Self {
        Self(event)
    }
}

/// What a line of a job's history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::JobEventLevel")]
pub(crate) enum JobEventLevel {
    /// The job's state changed.
    State,
    Progress,
    Info,
    Warn,
    Error,
}

/// One line of a job's history.
#[Object]
impl JobEvent {
    async fn job_id(&self) -> ID {
        global_id::of(&self.0.job_id)
    }
    /// Grows by one within the job; `jobEvents` goes on after it.
    async fn seq(&self) -> Long {
        Long(self.0.seq)
    }
    async fn time(&self) -> DateTime {
        DateTime(self.0.at)
    }
    async fn level(&self) -> JobEventLevel {
        self.0.level.into()
    }
    async fn message(&self) -> &str {
        &self.0.message
    }
    /// 0 to 1, for lines of level `PROGRESS`.
    async fn progress(&self) -> Option<f64> {
        self.0.progress
    }
    async fn data(&self) -> Option<Json> {
        self.0.data.clone().map(Json)
    }
}

/// The queries of jobs.
#[derive(Default)]
pub(crate) struct JobQuery;

#[Object]
impl JobQuery {
    /// By global or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn job(&self, context: &Context<'_>, id: ID) -> Result<Option<Job>> {
        let id = global_id::job(&id)?;
        Ok(Some(scope(context).read().await.jobs().get(id).await?.into()))
    }
    /// Newest first; only these states and this kind, if given.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn jobs(
        &self,
        context: &Context<'_>,
        states: Option<Vec<JobState>>,
        kind: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<Job>>> {
        let window = Window::new(first, after)?;
        let mut asked: Vec<domain::JobState> = states.unwrap_or_default().into_iter().map(Into::into).collect();
        // In one order, so that a cursor fits the same states however they were written.
        asked.sort_unstable_by_key(|state| state.as_str());
        asked.dedup();
        let filter = JobFilter { states: asked, kind };
        let page = scope(context).read().await.jobs().list(filter, window.request()).await;
        window.connect(page)
    }
}

/// The subscriptions of jobs.
pub(crate) struct JobSubscription;

#[Subscription(name = "Subscription")]
impl JobSubscription {
    /// The history of a job (global or raw id) after the line `afterSeq`, as it grows. Ends after the line of the final
    /// state; when it ends with an error, subscribe again with the last `seq` that was seen.
    async fn job_events(
        &self,
        context: &Context<'_>,
        job_id: ID,
        #[graphql(default_with = "Long(0)")] after_seq: Long,
    ) -> Result<impl Stream<Item = Result<JobEvent>>> {
        let id = global_id::job(&job_id)?;
        if after_seq.0 < 0 {
            let description = "must not be negative; 0 means from the start";
            return Err(Error::invalid("afterSeq", description).into());
        }
        let read = scope(context).read().await;
        // A job that is not there is an error now.
        read.jobs().get(id).await?;
        let events = read.jobs().watch(id, after_seq.0);
        Ok(events.map(|event| event.map(JobEvent::from).map_err(Failure::from)))
    }
}
