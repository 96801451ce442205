//! One attempt of one job, from claim to the word that it ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use serde_json::Value;
use tenor_telemetry::traces;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Shared;
use crate::finish::{Completion, Outcome, result_text};
use crate::row::JobRow;
use crate::running::CancelReason;
use crate::{JobContext, JobError, retry};

/// How an attempt ended, to be recorded.
#[derive(Debug)]
pub(crate) struct Ended {
    pub completion: Completion,
    pub kind: String,
    pub took: Duration,
    /// Recorded already, by `finish_with`.
    recorded: bool,
}

impl Ended {
    /// The outcome as a metric label. `state` is what the job became; `None` when the lease was lost.
    pub(super) fn outcome(&self, state: Option<&str>) -> &'static str {
        match (self.completion.outcome, state) {
            _ if self.recorded => "succeeded",
            (_, None) => "lost",
            (Outcome::Released, Some("ready")) => "released",
            (_, Some("ready")) => "retry",
            (_, Some("succeeded")) => "succeeded",
            (_, Some("cancelled")) => "cancelled",
            _ => "failed",
        }
    }
}

pub(super) async fn run(
    shared: Arc<Shared>,
    row: JobRow,
    token: CancellationToken,
    permit: OwnedSemaphorePermit,
    completions: mpsc::Sender<Ended>,
) {
    let (fence, kind, attempt) = (row.fence(), row.kind.clone(), row.attempt);
    let timeout_ms = row.timeout_ms;
    shared.queue.metrics().picked_up(&row.queue, row.started_at.unwrap_or(row.run_at) - row.run_at);
    let span = tracing::info_span!("queue.job.run", job.id = row.id, job.kind = %row.kind, job.attempt = row.attempt);
    if let Some(traceparent) = &row.traceparent {
        traces::set_parent(&span, traceparent);
    }
    let began = Instant::now();
    let handled = handle(&shared, row, &token).instrument(span.clone()).await;
    let took = began.elapsed();
    let reason = shared.running.reason(&fence);
    let timed_out = shared.running.is_timed_out(&fence);
    // The slot is free before the end is recorded, so that claiming and recording overlap.
    drop(permit);

    let recorded = handled.is_ok() && shared.running.is_finished(&fence);
    let completion = span.in_scope(|| {
        let (outcome, result, error) = match handled {
            Ok(value) => match result_text(fence.job, &value) {
                Ok(text) => (Outcome::Succeeded, Some(text), None),
                Err(error) => (Outcome::Failed, None, Some(error)),
            },
            Err(error) => {
                let error = match timeout_ms {
                    Some(timeout_ms) if timed_out => over(attempt, timeout_ms).with_cause(error),
                    _ => error,
                };
                let outcome = match reason {
                    Some(CancelReason::Requested) => Outcome::Cancelled,
                    _ if timed_out => Outcome::Retry,
                    Some(CancelReason::ShuttingDown) => Outcome::Released,
                    Some(CancelReason::LeaseLost) | None if error.retryable => Outcome::Retry,
                    Some(CancelReason::LeaseLost) | None => Outcome::Failed,
                };
                let cause = error.cause.unwrap_or_default();
                if reason.is_none() {
                    tracing::warn!(error = error.message, cause, retryable = error.retryable, "an attempt failed");
                } else {
                    tracing::info!(error = error.message, cause, ?reason, "an attempt was stopped");
                }
                (outcome, None, Some(error.message))
            }
        };
        let delay_ms = match outcome {
            Outcome::Retry => retry::backoff_ms(shared.queue.options(), fence.job, attempt).cast_signed(),
            _ => 0,
        };
        Completion { fence, outcome, result, error, delay_ms }
    });
    let ended = Ended { completion, kind, took, recorded };
    if recorded || reason == Some(CancelReason::LeaseLost) {
        // Nothing to write: it is done, or another owns the job.
        shared.close(&ended, None);
    } else if completions.send(ended).await.is_err() {
        tracing::error!(job.id = fence.job.0, "the recorder is gone; the lease of the job will run out");
    }
}

/// Runs the handler: until it returns or panics, or until it was told to stop and did not in time.
async fn handle(shared: &Arc<Shared>, row: JobRow, token: &CancellationToken) -> Result<Value, JobError> {
    let (fence, timeout_ms) = (row.fence(), row.timeout_ms);
    let job = row.into_job().map_err(|error| {
        JobError::fail("the row of this job cannot be read; see the server's log").with_cause(error)
    })?;
    let handler = shared
        .handlers
        .get(&job.kind)
        .ok_or_else(|| JobError::retry(format!("this worker has no handler for kind `{}`", job.kind)))?;
    let context = JobContext { job: Arc::new(job), fence, token: token.clone(), shared: Arc::clone(shared) };
    let running = AssertUnwindSafe(async { handler(context).await }).catch_unwind();
    let overdue = async {
        tokio::select! {
            () = token.cancelled() => {}
            () = time_limit(timeout_ms) => shared.running.time_out(&fence),
        }
        tokio::time::sleep(shared.queue.options().abandon()).await;
    };
    tokio::select! {
        outcome = running => outcome.unwrap_or_else(|panic| {
            // Its text may hold anything, so clients get none of it.
            let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(panic = text.unwrap_or("not text"), "a job handler panicked");
            Err(JobError::retry("the job's code crashed; see the server's log"))
        }),
        () = overdue => {
            tracing::warn!("a job did not stop in time; it is abandoned");
            Err(JobError::retry("the job did not stop in time"))
        }
    }
}

/// Returns when the time of an attempt is over, if it has a limit.
async fn time_limit(timeout_ms: Option<i64>) {
    match timeout_ms {
        Some(timeout_ms) => tokio::time::sleep(Duration::from_millis(timeout_ms.max(1).cast_unsigned())).await,
        None => std::future::pending().await,
    }
}

fn over(attempt: i32, timeout_ms: i64) -> JobError {
    JobError::retry(format!("attempt {attempt} took longer than its time limit of {timeout_ms} ms"))
}
