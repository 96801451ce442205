//! Jobs: a thin pass-through to the queue, and the one place where use cases enqueue.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;
use tenor_domain::{Caller, Error, Job, JobEvent, JobId, Page, PageRequest};
use tenor_queue::{DependencyPolicy, JobFilter, NewJob};
use tenor_store::Tx;

use crate::page::Paging;
use crate::{Platform, check};

/// Kinds that use cases enqueue. The payloads are `{dataset_version_id}`, `{split_id}`, `{run_id}`,
/// `{study_id}`.
pub(crate) const IMPORT_DATASET: &str = "import_dataset";
pub(crate) const PROCESS_DATASET: &str = "process_dataset";
pub(crate) const TRAIN_RUN: &str = "train_run";
pub(crate) const RUN_TRIAL: &str = "run_trial";

/// The history of a job as it grows.
pub type Watched = BoxStream<'static, Result<JobEvent, Error>>;

/// The use cases of jobs.
#[derive(Clone, Copy)]
pub struct Jobs<'a>(pub(crate) &'a Platform);

impl Jobs<'_> {
    pub async fn get(&self, id: JobId) -> Result<Job, Error> {
        Ok(self.0.queue.get(id).await?)
    }

    /// Newest first.
    pub async fn list(&self, filter: JobFilter, page: PageRequest) -> Result<Page<Job>, Error> {
        filter.kind.as_deref().map_or(Ok(()), |kind| check::label("kind", kind))?;
        let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
        let paging: Paging<String> = Paging::start("ListJobs", &(states, &filter.kind), &page)?;
        let inner = PageRequest { cursor: paging.after.clone(), ..PageRequest::first(page.size) };
        let Page { items, cursors, next } = self.0.queue.list(&filter, &inner).await?;
        let cursors = cursors.iter().map(|cursor| paging.seal(cursor)).collect::<Result<_, _>>()?;
        Ok(Page::new(items, cursors, next.is_some()))
    }

    /// The history of a job so far, from the start.
    pub async fn list_events(&self, id: JobId, page: PageRequest) -> Result<Page<JobEvent>, Error> {
        let paging: Paging<i64> = Paging::start("ListJobEvents", &id, &page)?;
        let limit = u32::try_from(paging.limit()).unwrap_or(u32::MAX);
        let mut last = paging.after.unwrap_or(0);
        let mut events = Vec::new();
        // The queue gives at most 1,000 lines at once, one less than the largest page needs.
        while let missing @ 1.. = limit.saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX)) {
            let more = self.0.queue.events(id, last, missing).await?;
            let Some(end) = more.last() else { break };
            last = end.seq;
            let ended = more.len() < missing.min(1_000) as usize;
            events.extend(more);
            if ended {
                break;
            }
        }
        paging.finish(events, |event| event.seq)
    }

    /// Up to `limit` lines of a job's history after number `after_seq`; 0 means from the start.
    pub async fn events(&self, id: JobId, after_seq: i64, limit: u32) -> Result<Vec<JobEvent>, Error> {
        Ok(self.0.queue.events(id, after_seq, limit).await?)
    }

    /// The history of a job after number `after_seq`, as it grows. Ends after the line of the final state.
    pub fn watch(&self, id: JobId, after_seq: i64) -> Watched {
        self.0.queue.watch(id, after_seq).map(|line| line.map_err(Error::from)).boxed()
    }

    /// Cancels a job, the jobs that it enqueued, and those that need its success.
    pub async fn cancel(&self, id: JobId) -> Result<Job, Error> {
        Ok(self.0.queue.cancel(id).await?)
    }

    /// Puts a failed or cancelled job back in the queue with all its attempts; what it was about is pending again.
    pub async fn requeue(&self, id: JobId) -> Result<Job, Error> {
        self.0.requeue(id).await
    }

    /// The job once it has ended, or as it is when `timeout` is over.
    pub async fn wait(&self, id: JobId, timeout: Duration) -> Result<Job, Error> {
        match self.0.queue.wait(id, timeout).await {
            Err(tenor_queue::Error::Timeout(id)) => self.get(id).await,
            waited => Ok(waited?),
        }
    }
}

/// Enqueues in the caller's transaction, `after` the success of another job if given. Wake the queue after the commit.
pub(crate) async fn enqueue(
    platform: &Platform,
    tx: &mut Tx,
    caller: &Caller,
    kind: &str,
    payload: Value,
    after: Option<JobId>,
) -> Result<JobId, Error> {
    let mut job = NewJob::new(kind, payload);
    job.traceparent.clone_from(&caller.traceparent);
    if let Some(after) = after {
        job = job.depends_on(after, DependencyPolicy::AllSuccess);
    }
    Ok(platform.queue.enqueue_in(tx, job).await?.id)
}
