//! Long work: watching it, waiting for it, stopping it.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, TryStreamExt as _};
use tenor_proto::v1::{
    CancelJobRequest, GetJobRequest, Job, JobEvent, JobState, ListJobsRequest, RequeueJobRequest, WaitJobRequest,
    WatchJobRequest,
};

use crate::client::{Repeat, unary};
use crate::page::items;
use crate::resume::resumed;
use crate::{Client, Error, Items, Kind, Result};

/// Calls of `JobService`.
#[derive(Debug, Clone)]
pub struct Jobs {
    client: Client,
}

/// Whether a job has ended, well or not.
pub fn is_final(state: JobState) -> bool {
    matches!(state, JobState::Succeeded | JobState::Failed | JobState::Cancelled)
}

impl Jobs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
    pub async fn get(&self, job_id: i64) -> Result<Job> {
        unary!(self.client, job_api.get_job, Safe, GetJobRequest { job_id })
    }
    /// Jobs in one of `states` (empty: all) of one `kind` (empty: all).
    pub fn list(&self, states: &[JobState], kind: impl Into<String>) -> Items<Job> {
        let states: Vec<i32> = states.iter().map(|state| (*state).into()).collect();
        let (client, kind) = (self.client.clone(), kind.into());
        items(move |page_token| {
            let message = ListJobsRequest { states: states.clone(), kind: kind.clone(), page_size: 0, page_token };
            let client = client.clone();
            async move {
                let page = unary!(client, job_api.list_jobs, Safe, message)?;
                Ok((page.jobs, page.next_page_token))
            }
        })
    }
    /// Cancels a job and every job that waits for it.
    pub async fn cancel(&self, job_id: i64) -> Result<Job> {
        unary!(self.client, job_api.cancel_job, Safe, CancelJobRequest { job_id })
    }
    /// Puts a failed or cancelled job back in the queue.
    pub async fn requeue(&self, job_id: i64) -> Result<Job> {
        unary!(self.client, job_api.requeue_job, Never, RequeueJobRequest { job_id })
    }
    /// The job when it is finished, or as it is after `timeout` (at most 10 minutes).
    pub async fn wait(&self, job_id: i64, timeout: Duration) -> Result<Job> {
        let timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(600));
        let message = WaitJobRequest { job_id, timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(600_000) };
        self.client
            .call_within(timeout + Duration::from_secs(15), Repeat::Safe, message, |request| {
                let mut api = self.client.job_api();
                async move { api.wait_job(request).await }
            })
            .await
    }
    /// The events of a job, live. A broken stream is resumed after the last event: nothing is lost or repeated.
    pub fn watch(&self, job_id: i64, after_seq: i64) -> BoxStream<'static, Result<JobEvent>> {
        resumed(
            self.client.clone(),
            after_seq,
            |event: &JobEvent| event.seq,
            move |client, after_seq| {
                let (mut api, request) = (client.job_api(), client.request(WatchJobRequest { job_id, after_seq }));
                async move { api.watch_job(request).await }.boxed()
            },
        )
    }
    /// Waits for the end of a job, however long it takes, and shows its events meanwhile.
    pub async fn follow(&self, job_id: i64, mut on_event: impl FnMut(&JobEvent)) -> Result<Job> {
        let mut after_seq = 0;
        loop {
            let mut events = self.watch(job_id, after_seq);
            while let Some(event) = events.try_next().await? {
                after_seq = event.seq;
                on_event(&event);
            }
            // A server that shuts down ends the stream before the job has ended.
            let job = self.wait(job_id, Duration::from_secs(5)).await?;
            if is_final(job.state()) {
                return Ok(job);
            }
        }
    }
    /// As [`Jobs::follow`], and an error unless the job succeeded: `JOB_FAILED` with the job's own words, or `JOB_CANCELLED`. A
    /// job that is not there any more ended long ago, and its row says how.
    pub async fn succeed(&self, job_id: i64, on_event: impl FnMut(&JobEvent)) -> Result<()> {
        let job = match self.follow(job_id, on_event).await {
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            followed => followed?,
        };
        let what = format!("job {job_id} ({})", job.kind);
        match job.state() {
            JobState::Succeeded => Ok(()),
            JobState::Cancelled => Err(Error::new(Kind::Cancelled, "JOB_CANCELLED", format!("{what} was cancelled"))),
            _ => Err(Error::new(Kind::FailedPrecondition, "JOB_FAILED", format!("{what} failed: {}", job.error))),
        }
    }
}
