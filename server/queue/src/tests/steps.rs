//! What a worker does, step by step and by hand.

use tenor_domain::{JobEvent, JobEventLevel, JobId, JobState};
use tenor_store::on;

use super::{another, model};
use crate::claim::Claim;
use crate::finish::{Completion, Outcome, finish};
use crate::hints::Effects;
use crate::row::JobRow;
use crate::{Error, Fence, Queue};

/// Leases up to `limit` ready probes of the queue `default`.
pub(super) async fn claim(queue: &Queue, limit: usize) -> Vec<JobRow> {
    let claim = Claim { queue: "default", kinds: "[\"probe\"]", worker: "hand", limit };
    queue.claim(&claim).await.unwrap()
}

/// Leases the one ready probe that must be `job`.
pub(super) async fn claim_only(queue: &Queue, job: JobId) -> Fence {
    let rows = claim(queue, 10).await;
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [job.0]);
    rows[0].fence()
}

/// Ends an attempt. Returns whether that was accepted.
pub(super) async fn complete(queue: &Queue, fence: Fence, outcome: Outcome) -> Result<bool, Error> {
    let succeeded = outcome == Outcome::Succeeded;
    let completion = Completion {
        fence,
        outcome,
        result: succeeded.then(|| fence.token.to_string()),
        error: (!succeeded).then(|| "it did not work".to_owned()),
        delay_ms: 0,
    };
    queue
        .retrying(|| async {
            let mut tx = queue.db().begin_write().await?;
            let mut effects = Effects::default();
            let moved = finish(&mut tx, std::slice::from_ref(&completion), &mut effects).await?;
            effects.announce(&mut tx).await?;
            tx.commit().await?;
            queue.hints().apply(&effects);
            Ok(!moved.is_empty())
        })
        .await
}

/// Ends an attempt that must be accepted.
pub(super) async fn end(queue: &Queue, fence: Fence, outcome: Outcome) {
    assert!(complete(queue, fence, outcome).await.unwrap(), "{fence:?} {outcome:?}");
}

/// Takes a running job away from its worker, as when its lease ran out.
pub(super) async fn take_away(queue: &Queue, job: JobId) {
    // Another handle, so that no hint within the process tells the worker.
    let other = another(queue);
    let before = queue.row(job).await.unwrap().fence;
    loop {
        model::expire(&other, job).await.unwrap();
        other.reap().await.unwrap();
        let row = queue.row(job).await.unwrap();
        // A heartbeat in between renews the lease; and whoever reaps, it is taken away.
        if row.state != "running" || row.fence != before {
            return;
        }
    }
}

pub(super) async fn states<const N: usize>(queue: &Queue, jobs: [JobId; N]) -> [JobState; N] {
    let mut states = [JobState::Waiting; N];
    for (at, job) in jobs.into_iter().enumerate() {
        states[at] = queue.get(job).await.unwrap().state;
    }
    states
}

/// The whole history, page by page.
pub(super) async fn history(queue: &Queue, job: JobId) -> Vec<JobEvent> {
    let mut all: Vec<JobEvent> = Vec::new();
    loop {
        let page = queue.events(job, all.last().map_or(0, |event| event.seq), 1_000).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) async fn messages(queue: &Queue, job: JobId) -> Vec<String> {
    history(queue, job).await.into_iter().map(|event| event.message).collect()
}

/// The states that a job went through.
pub(super) fn moves(history: &[JobEvent]) -> Vec<&str> {
    let lines = history.iter().filter(|event| event.level == JobEventLevel::State);
    lines.map(|event| event.message.as_str()).collect()
}

/// How many jobs the table says are running.
pub(super) async fn running_rows(queue: &Queue) -> i64 {
    let mut tx = queue.db().begin_read().await.unwrap();
    on!(&mut tx, connection => {
        sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM jobs WHERE state = 'running'")
            .fetch_one(connection)
            .await
            .unwrap()
    })
}

/// What every history must show: numbers without a gap, legal moves only, and one claim for each fence.
pub(super) async fn check_history(queue: &Queue, job: JobId) -> Vec<JobEvent> {
    let lines = history(queue, job).await;
    let row = queue.row(job).await.unwrap();
    assert!(lines.iter().zip(1..).all(|(event, seq)| event.seq == seq), "{lines:?}");
    let moves = moves(&lines);
    // Born waiting, ready or failed; only the last of these has a line.
    assert!(moves.first().is_none_or(|first| *first != "succeeded"), "{moves:?}");
    for pair in moves.windows(2) {
        let legal = match (pair[0], pair[1]) {
            ("ready", to) => matches!(to, "running" | "cancelled"),
            ("running", to) => matches!(to, "ready" | "succeeded" | "failed" | "cancelled"),
            ("failed" | "cancelled", to) => to == "ready",
            _ => false,
        };
        assert!(legal, "job {job}: {moves:?}");
    }
    assert_eq!(moves.iter().filter(|to| **to == "running").count() as i64, row.fence, "{moves:?}");
    if let Some(last) = moves.last() {
        assert_eq!(*last, row.state);
    }
    lines
}
