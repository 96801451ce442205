//! What a running job is given.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;
use tenor_domain::{Job, JobEventLevel};
use tenor_store::Tx;
use tokio_util::sync::CancellationToken;

use crate::enqueue::insert;
use crate::fence::cancel_requested;
use crate::finish::{Completion, Outcome, finish, result_text};
use crate::hints::Effects;
use crate::lines::PLENTY;
use crate::running::CancelReason;
use crate::worker::Shared;
use crate::{Enqueued, Error, Fence, JobError, NewJob, Queue};

/// One attempt of one job. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// As it was when it was claimed.
    pub job: Arc<Job>,
    pub(crate) fence: Fence,
    pub(crate) token: CancellationToken,
    pub(crate) shared: Arc<Shared>,
}

impl JobContext {
    /// The right to write; pass it to [`crate::check_fence`] in every transaction of this job.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Cancelled when the job shall stop: somebody cancelled it, the lease is lost, the time limit of the attempt is over,
    /// or the worker ends. Return an error soon; which one does not matter then.
    pub fn cancelled(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Why the job shall stop, once it shall. `None` when only its time is over: that attempt has failed like another.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.shared.running.reason(&self.fence)
    }

    /// Whether the time limit of the attempt is over. It has failed then, in a way that another may mend, whatever the handler
    /// returns.
    pub fn is_timed_out(&self) -> bool {
        self.shared.running.is_timed_out(&self.fence)
    }

    pub fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// Says how far the attempt is, 0 to 1 (others are clamped; NaN is 0), and what it does. A line of the history;
    /// while the message stays the same, only the newest of a moment is kept.
    pub async fn progress(&self, share: f64, message: impl AsRef<str>) {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self.say(JobEventLevel::Progress, message.as_ref(), Some(share), None).await;
    }

    /// Adds a line to the history.
    pub async fn info(&self, message: impl AsRef<str>) {
        self.say(JobEventLevel::Info, message.as_ref(), None, None).await;
    }

    /// Adds a warning to the history.
    pub async fn warn(&self, message: impl AsRef<str>) {
        self.say(JobEventLevel::Warn, message.as_ref(), None, None).await;
    }

    /// Adds a line with data, at most 64 KiB of JSON.
    pub async fn event(&self, level: JobEventLevel, message: impl AsRef<str>, data: &Value) {
        self.say(level, message.as_ref(), None, Some(data)).await;
    }

    /// Lines are written in batches; a job that says very much waits here until there is room.
    async fn say(&self, level: JobEventLevel, message: &str, progress: Option<f64>, data: Option<&Value>) {
        let shared = &self.shared;
        // Before the look at the length, so that no flush falls in between.
        let flushed = shared.flushed.notified();
        if !shared.lines.push(self.fence, level, message, progress, data) {
            shared.queue.metrics().lines_dropped(1);
        }
        let kept = shared.lines.len();
        if kept >= PLENTY {
            shared.flush_soon.notify_one();
        }
        if kept >= 4 * PLENTY {
            let _ = tokio::time::timeout(Duration::from_secs(1), flushed).await;
        }
    }

    /// Opens a transaction under this job's fence, to enqueue children (and a job that depends on them) and to write
    /// what belongs with them. Refused once somebody asked for the job to stop. The attempt may be run again, so give
    /// children unique keys, or keep in your own rows what was enqueued.
    pub async fn begin_spawn(&self) -> Result<Spawn, Error> {
        let mut tx = self.queue().db().begin_write().await?;
        if cancel_requested(&mut tx, &self.fence).await? {
            return Err(Error::CancelRequested(self.fence.job));
        }
        Ok(Spawn { tx, parent: self.fence, queue: self.queue().clone(), kinds: Vec::new() })
    }

    /// Makes the last write of a job and its completion one transaction. `write` returns the job's result; return the
    /// same value from the handler. When this fails, nothing of it happened.
    ///
    /// Without it, the completion is a transaction of its own after the handler returned; a crash between the two runs
    /// the job again, so the write must be idempotent (by the rows that it finds already made).
    pub async fn finish_with<F>(&self, write: F) -> Result<Value, JobError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<Value, JobError>> + Send,
    {
        // Lines said so far belong before the final one.
        self.shared.flush().await.map_err(JobError::from)?;
        let mut tx = self.queue().db().begin_write().await?;
        if cancel_requested(&mut tx, &self.fence).await? {
            return Err(Error::CancelRequested(self.fence.job).into());
        }
        let value = write(&mut tx).await?;
        let completion = Completion {
            fence: self.fence,
            outcome: Outcome::Succeeded,
            result: Some(result_text(self.fence.job, &value).map_err(JobError::fail)?),
            error: None,
            delay_ms: 0,
        };
        let mut effects = Effects::default();
        if finish(&mut tx, &[completion], &mut effects).await?.is_empty() {
            return Err(Error::LeaseLost(self.fence.job).into());
        }
        effects.announce(&mut tx).await?;
        self.shared.running.mark_finished(&self.fence, true);
        if let Err(error) = tx.commit().await {
            self.shared.running.mark_finished(&self.fence, false);
            return Err(error.into());
        }
        self.queue().hints().apply(&effects);
        Ok(value)
    }
}

/// An open transaction in which a running job enqueues others. Dropping it takes everything back.
#[derive(Debug)]
pub struct Spawn {
    tx: Tx,
    parent: Fence,
    queue: Queue,
    kinds: Vec<String>,
}

impl Spawn {
    /// Enqueues a child. Cancelling the parent cancels it too.
    pub async fn enqueue(&mut self, job: NewJob) -> Result<Enqueued, Error> {
        let enqueued = insert(&mut self.tx, &job, Some(self.parent.job)).await?;
        if !enqueued.existing {
            self.kinds.push(job.kind);
        }
        Ok(enqueued)
    }

    /// For rows that belong to the children.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    pub async fn commit(self) -> Result<(), Error> {
        self.tx.commit().await?;
        self.kinds.iter().for_each(|kind| self.queue.metrics().enqueued(kind));
        self.queue.wake();
        Ok(())
    }
}
