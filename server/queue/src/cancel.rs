//! Stopping a job and all that hangs on it.

use std::collections::HashSet;

use tenor_domain::{Job, JobId};
use tenor_store::{Tx, on};

use crate::events::{Note, note, state_note};
use crate::finish::after_move;
use crate::hints::Effects;
use crate::row::{Moved, json};
use crate::{Error, Queue, sql};

impl Queue {
    /// Cancels `job` and its descendants: the jobs that it enqueued while it ran, and those that need its success.
    /// (A job that waits for it with another policy goes on by that policy.) What waits is cancelled at once; what runs
    /// is told to, and ends as cancelled when its handler returns with an error, or after `abandon_ms`. A handler that
    /// returns success nevertheless has succeeded. A job that has ended stays as it is, and so do those that needed it;
    /// what it enqueued is cancelled all the same.
    pub async fn cancel(&self, job: JobId) -> Result<Job, Error> {
        self.retrying(|| async {
            let mut tx = self.db().begin_write().await?;
            let mut effects = Effects::default();
            cancel_tree(&mut tx, job, &mut effects).await?;
            effects.announce(&mut tx).await?;
            tx.commit().await?;
            self.hints().apply(&effects);
            Ok(())
        })
        .await?;
        self.get(job).await
    }
}

pub(crate) async fn cancel_tree(tx: &mut Tx, root: JobId, effects: &mut Effects) -> Result<(), Error> {
    // Again until nothing is new: a running job may have enqueued children after they were read and before its row was
    // marked. Once it is marked it cannot, see `JobContext::begin_spawn`.
    loop {
        let ids = tree(tx, root).await?;
        let moved = cancel_ids(tx, &ids).await?;
        if moved.is_empty() {
            return Ok(());
        }
        effects.cancelled.extend(moved.iter().filter(|job| job.state == "running").map(|job| job.id));
        after_move(tx, &moved, effects).await?;
    }
}

/// `root` and its descendants, level by level. A recursive CTE over the two kinds of edge would be one statement, but
/// SQLite reads both tables whole for it.
async fn tree(tx: &mut Tx, root: JobId) -> Result<Vec<i64>, Error> {
    let mut seen = HashSet::from([root.0]);
    let mut level = vec![root.0];
    while !level.is_empty() {
        level = Queue::children(tx, &level).await?.into_iter().filter(|id| seen.insert(*id)).collect();
    }
    let mut all: Vec<i64> = seen.into_iter().collect();
    all.sort_unstable();
    Ok(all)
}

async fn cancel_ids(tx: &mut Tx, ids: &[i64]) -> Result<Vec<Moved>, Error> {
    let statement = sql::pick(tx, sql::PG_CANCEL, sql::LITE_CANCEL);
    let ids = json(&ids);
    let moved: Vec<Moved> = on!(tx, connection => sqlx::query_as(statement).bind(ids).fetch_all(connection).await)?;
    let notes: Vec<Note> = moved
        .iter()
        .map(|job| match job.state.as_str() {
            "running" => Note { level: "info", message: "cancel requested".to_owned(), ..state_note(job, None) },
            _ => state_note(job, None),
        })
        .collect();
    note(tx, &notes).await?;
    Ok(moved)
}
