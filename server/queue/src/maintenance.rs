//! What any worker does for all: expired leases, owed hooks, old jobs, gauges.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use sqlx::Row as _;
use tenor_domain::{Job, JobId};
use tenor_store::on;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::hints::Hint;
use crate::options::ms;
use crate::row::{JobRow, json};
use crate::running::{CancelReason, Running};
use crate::worker::Hook;
use crate::{Error, Queue, retry, sql};

/// Jobs whose hook is called in one round, and jobs deleted in one transaction.
const HOOKS: i64 = 50;
const SWEPT: i64 = 500;

/// Calls `work` every `gap`, jittered, until `stop`.
pub(crate) async fn every<F: Future<Output = Result<(), Error>>>(
    gap: Duration,
    stop: &CancellationToken,
    what: &'static str,
    work: impl Fn() -> F,
) {
    let mut round = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(retry::jittered(gap, round)) => {}
        }
        round += 1;
        if let Err(error) = work().await {
            tracing::warn!(error = %error, work = what, "queue maintenance failed; trying again");
        }
    }
}

impl Queue {
    /// Takes expired leases away, as many as there are.
    pub(crate) async fn reap_all(&self) -> Result<(), Error> {
        while self.reap().await?.len() >= 100 {}
        Ok(())
    }

    /// Deletes finished jobs after their retention, with their histories. Jobs that owe a hook call stay.
    pub(crate) async fn sweep(&self) -> Result<u64, Error> {
        let retention_ms = i64::try_from(self.options().retention_ms).unwrap_or(i64::MAX / 4);
        let mut all = 0;
        loop {
            let mut tx = self.db().begin_write().await?;
            let statement = sql::pick(&tx, sql::PG_SWEEP, sql::LITE_SWEEP);
            let swept = on!(&mut tx, connection => {
                sqlx::query(statement).bind(retention_ms).bind(SWEPT).execute(connection).await?.rows_affected()
            });
            tx.commit().await?;
            all += swept;
            if swept < SWEPT.cast_unsigned() {
                return Ok(all);
            }
            // Let others write in between.
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn count_live(&self) -> Result<(), Error> {
        let mut tx = self.db().begin_read().await?;
        let rows: Vec<(String, i64)> = on!(&mut tx, connection => {
            let rows = sqlx::query(sql::COUNT_LIVE).fetch_all(connection).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?
        });
        for (state, jobs) in rows {
            self.metrics().live(&state, jobs);
        }
        Ok(())
    }

    /// Calls the hook for jobs that ended without success and whose call is due. A job is marked only after its call
    /// succeeded, so a crash in between leads to another call, by whichever worker.
    pub(crate) async fn settle(&self, kinds: &str, hook: Option<&Hook>) -> Result<(), Error> {
        loop {
            let due = self.due_to_settle(kinds).await?;
            let all = (due.len() as i64) < HOOKS;
            for row in due {
                let fence = row.fence();
                match row.into_job() {
                    Ok(job) => {
                        if !called(hook, job).await {
                            continue;
                        }
                    }
                    Err(error) => tracing::error!(error = %error, "a job's end cannot be told"),
                }
                let mut tx = self.db().begin_write().await?;
                on!(&mut tx, connection => {
                    sqlx::query(sql::SETTLED).bind(fence.job.0).bind(fence.token).execute(connection).await.map(|_| ())
                })?;
                tx.commit().await?;
            }
            if all {
                return Ok(());
            }
        }
    }

    /// Takes over due calls; for the length of a lease nobody else does.
    async fn due_to_settle(&self, kinds: &str) -> Result<Vec<JobRow>, Error> {
        let hold_ms = ms(self.options().lease());
        let mut tx = self.db().begin_write().await?;
        let statement = sql::pick(&tx, sql::PG_DUE_TO_SETTLE, sql::LITE_DUE_TO_SETTLE);
        let rows = on!(&mut tx, connection => {
            sqlx::query_as(statement).bind(kinds).bind(HOOKS).bind(hold_ms).fetch_all(connection).await
        })?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Which of these running jobs somebody asked to stop.
    async fn cancelled_among(&self, jobs: &[i64]) -> Result<Vec<i64>, Error> {
        let mut tx = self.db().begin_read().await?;
        let statement = sql::pick(&tx, sql::PG_CANCELLED_AMONG, sql::LITE_CANCELLED_AMONG);
        let jobs = json(&jobs);
        Ok(on!(&mut tx, connection => {
            let rows = sqlx::query(statement).bind(jobs).fetch_all(connection).await?;
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, sqlx::Error>>()?
        }))
    }
}

/// Whether the call is done with.
async fn called(hook: Option<&Hook>, job: Job) -> bool {
    let Some(hook) = hook else { return true };
    let id = job.id.0;
    match AssertUnwindSafe(async { hook(job).await }).catch_unwind().await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(job.id = id, error, "the hook of an ended job failed; it will be called again");
            false
        }
        Err(_) => {
            tracing::error!(job.id = id, "the hook of an ended job panicked; it will be called again");
            false
        }
    }
}

/// Stops running jobs that somebody cancelled: at once by a hint, else at the next look at their rows.
pub(crate) async fn watch_cancels(queue: &Queue, running: &Running, stop: &CancellationToken) {
    let mut hints = queue.hints().jobs.subscribe();
    let gap = queue.options().cancel_poll();
    let mut round = 0;
    loop {
        let look = tokio::time::sleep(retry::jittered(gap, round));
        tokio::pin!(look);
        round += 1;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = &mut look => break,
                hint = hints.recv() => match hint {
                    Ok(Hint::Cancel(Some(jobs))) => {
                        for job in jobs.iter() {
                            running.cancel(JobId(*job), CancelReason::Requested);
                        }
                    }
                    Ok(Hint::Changed(_)) => {}
                    Ok(Hint::Cancel(None)) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return,
                },
            }
        }
        let jobs: Vec<i64> = running.fences().iter().map(|fence| fence.job.0).collect();
        if jobs.is_empty() {
            continue;
        }
        match queue.cancelled_among(&jobs).await {
            Ok(cancelled) => cancelled.iter().for_each(|job| running.cancel(JobId(*job), CancelReason::Requested)),
            Err(error) => tracing::warn!(error = %error, "cancel flags could not be read; trying again"),
        }
    }
}
