//! The end of attempts, many in one transaction, and what it means for the jobs that depend on them.

use std::collections::HashSet;

use sqlx::Row as _;
use tenor_domain::{JobId, JobState};
use tenor_store::{Tx, on};

use crate::events::{note, state_note};
use crate::hints::Effects;
use crate::row::{Moved, json};
use crate::{Error, Fence, Queue, sql};

/// How an attempt ended, as the statement reads it.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Completion {
    #[serde(flatten)]
    pub fence: Fence,
    pub outcome: Outcome,
    /// JSON text, with `Succeeded` only.
    pub result: Option<String>,
    pub error: Option<String>,
    /// Before the next attempt.
    pub delay_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Succeeded,
    /// Again, if attempts are left.
    Retry,
    Failed,
    /// Stopped as somebody asked.
    Cancelled,
    /// Cut short by a shutdown: again, and the attempt does not count.
    Released,
}

/// Ends the attempts whose fence still holds; the others are not among the rows returned, and change nothing.
pub(crate) async fn finish(
    tx: &mut Tx,
    completions: &[Completion],
    effects: &mut Effects,
) -> Result<Vec<Moved>, Error> {
    let statement = sql::pick(tx, sql::PG_FINISH, sql::LITE_FINISH);
    let rows = json(&completions);
    let moved: Vec<Moved> = on!(tx, connection => sqlx::query_as(statement).bind(rows).fetch_all(connection).await)?;
    let delay = |moved: &Moved| {
        let completion = completions.iter().find(|completion| completion.fence == moved.fence())?;
        (completion.outcome == Outcome::Retry && moved.state == "ready").then_some(completion.delay_ms)
    };
    let notes: Vec<_> = moved.iter().map(|moved| state_note(moved, delay(moved))).collect();
    note(tx, &notes).await?;
    after_move(tx, &moved, effects).await?;
    Ok(moved)
}

/// Ends the lives of jobs whose lease ran out: ready again, or failed when attempts are used up. Up to `limit` a call.
pub(crate) async fn reap(tx: &mut Tx, limit: i64, effects: &mut Effects) -> Result<Vec<Moved>, Error> {
    let statement = sql::pick(tx, sql::PG_REAP, sql::LITE_REAP);
    let moved: Vec<Moved> = on!(tx, connection => sqlx::query_as(statement).bind(limit).fetch_all(connection).await)?;
    let notes: Vec<_> = moved.iter().map(|moved| state_note(moved, None)).collect();
    note(tx, &notes).await?;
    after_move(tx, &moved, effects).await?;
    Ok(moved)
}

#[derive(serde::Serialize)]
struct Ended {
    id: i64,
    /// 1 when it succeeded.
    ok: u8,
}

/// Records what the moves mean for others, and carries ended jobs over to their dependents, and those that fail by it
/// to theirs, until nothing changes.
pub(crate) async fn after_move(tx: &mut Tx, moved: &[Moved], effects: &mut Effects) -> Result<(), Error> {
    let mut ended = record(moved, effects)?;
    while !ended.is_empty() {
        if !lock_dependents(tx, &ended.iter().map(|ended| ended.id).collect::<Vec<_>>()).await? {
            return Ok(());
        }
        let release = sql::pick(tx, sql::PG_RELEASE_DEPENDENTS, sql::LITE_RELEASE_DEPENDENTS);
        let rows = json(&ended);
        let mut moved: Vec<Moved> =
            on!(tx, connection => sqlx::query_as(release).bind(rows).fetch_all(connection).await)?;
        moved.retain(|moved| moved.state != "waiting");
        let notes: Vec<_> = moved.iter().map(|moved| state_note(moved, None)).collect();
        note(tx, &notes).await?;
        ended = record(&moved, effects)?;
    }
    Ok(())
}

/// Locks the jobs that wait for these. Returns whether there are any.
async fn lock_dependents(tx: &mut Tx, ids: &[i64]) -> Result<bool, Error> {
    let statement = sql::pick(tx, sql::PG_LOCK_DEPENDENTS, sql::LITE_LOCK_DEPENDENTS);
    let ids = json(&ids);
    Ok(on!(tx, connection => {
        sqlx::query(statement).bind(ids).fetch_all(connection).await.map(|rows| !rows.is_empty())
    })?)
}

/// Makes the jobs that wait for `job` and counted its end wait for its next end.
pub(crate) async fn wait_again(tx: &mut Tx, job: JobId) -> Result<(), Error> {
    if lock_dependents(tx, &[job.0]).await? {
        on!(tx, connection => sqlx::query(sql::WAIT_AGAIN).bind(job.0).execute(connection).await.map(|_| ()))?;
    }
    Ok(())
}

fn record(moved: &[Moved], effects: &mut Effects) -> Result<Vec<Ended>, Error> {
    let mut ended = Vec::new();
    for job in moved {
        effects.changed.push(job.id);
        match job.state()? {
            JobState::Ready => effects.ready(&job.queue),
            JobState::Succeeded => ended.push(Ended { id: job.id, ok: 1 }),
            JobState::Failed | JobState::Cancelled => {
                effects.unsettled = true;
                ended.push(Ended { id: job.id, ok: 0 });
            }
            JobState::Waiting | JobState::Running => {}
        }
    }
    Ok(ended)
}

impl Queue {
    /// One step down the tree of `ids`: jobs that they enqueued, and jobs that cannot run without them.
    pub(crate) async fn children(tx: &mut Tx, ids: &[i64]) -> Result<HashSet<i64>, Error> {
        let statement = sql::pick(tx, sql::PG_CHILDREN, sql::LITE_CHILDREN);
        let ids = json(&ids);
        Ok(on!(tx, connection => {
            let rows = sqlx::query(statement).bind(ids).fetch_all(connection).await?;
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, sqlx::Error>>()?
        }))
    }

    /// Takes jobs with expired leases away from their workers.
    pub(crate) async fn reap(&self) -> Result<Vec<Moved>, Error> {
        let mut tx = self.db().begin_write().await?;
        let mut effects = Effects::default();
        let moved = reap(&mut tx, 100, &mut effects).await?;
        if moved.is_empty() {
            return Ok(moved);
        }
        effects.announce(&mut tx).await?;
        tx.commit().await?;
        self.hints().apply(&effects);
        for job in &moved {
            tracing::warn!(job.id = job.id, job.attempt = job.attempt, job.state = %job.state, "a lease expired");
        }
        Ok(moved)
    }
}

/// The JSON of the result, or why it cannot be stored.
pub(crate) fn result_text(job: JobId, result: &serde_json::Value) -> Result<String, String> {
    const MOST_BYTES: usize = 1 << 20;
    let text = result.to_string();
    if text.len() > MOST_BYTES {
        tracing::warn!(job.id = job.0, bytes = text.len(), "a job result is too large");
        return Err(format!(
            "the result has {} bytes of JSON, the limit is {MOST_BYTES}; store it and return its id",
            text.len()
        ));
    }
    Ok(text)
}
