//! The history of a job: lines numbered without a gap, in the order of commit, so that a reader who resumes after the
//! last number it saw misses nothing. The number is drawn under the row lock of the job.

use std::collections::VecDeque;

use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;
use sqlx::Row as _;
use tenor_domain::{JobEvent, JobId, JobState};
use tenor_store::{Tx, on};
use tokio::sync::broadcast;

use crate::hints::Hint;
use crate::row::{EventRow, Moved};
use crate::{Error, Queue, retry, sql};

/// Lines of a history that are read at once.
const PAGE: u32 = 500;

/// A line with its number, as the statement reads it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Note {
    pub job: i64,
    pub seq: i64,
    /// How long ago it was said; the time in the row is the database's.
    pub age_ms: i64,
    pub level: &'static str,
    pub message: String,
    pub progress: Option<f64>,
    /// JSON text.
    pub data: Option<String>,
}

/// Writes the lines.
pub(crate) async fn note(tx: &mut Tx, notes: &[Note]) -> Result<(), Error> {
    if notes.is_empty() {
        return Ok(());
    }
    let statement = sql::pick(tx, sql::PG_NOTE, sql::LITE_NOTE);
    let rows = crate::row::json(&notes);
    on!(tx, connection => sqlx::query(statement).bind(rows).execute(connection).await.map(|_| ()))?;
    Ok(())
}

/// The line for a change of state that `moved` reports.
pub(crate) fn state_note(moved: &Moved, delay_ms: Option<i64>) -> Note {
    let mut data = json!({ "attempt": moved.attempt });
    if let Some(error) = &moved.error {
        data["error"] = error.as_str().into();
    }
    if let Some(delay_ms) = delay_ms {
        data["delay_ms"] = delay_ms.into();
    }
    let state = JobState::parse(&moved.state).map_or("state", JobState::as_str);
    Note {
        job: moved.id,
        seq: moved.event_seq,
        age_ms: 0,
        level: "state",
        message: state.to_owned(),
        progress: None,
        data: Some(data.to_string()),
    }
}

impl Queue {
    /// Up to `limit` (at most 1,000) lines of the history of `job` after number `after_seq`; 0 means from the start.
    pub async fn events(&self, job: JobId, after_seq: i64, limit: u32) -> Result<Vec<JobEvent>, Error> {
        let limit = i64::from(limit.clamp(1, 1_000));
        let mut tx = self.db().begin_read().await?;
        let rows: Vec<EventRow> = on!(&mut tx, connection => {
            sqlx::query_as(sql::EVENTS).bind(job.0).bind(after_seq).bind(limit).fetch_all(connection).await
        })?;
        rows.into_iter().map(|row| row.into_event(job)).collect()
    }

    /// The history of `job` after number `after_seq`, as it grows. Ends after the line of the final state, and with an
    /// error when the job does not exist or the database fails; then call it again with the last number seen.
    pub fn watch(&self, job: JobId, after_seq: i64) -> BoxStream<'static, Result<JobEvent, Error>> {
        self.listen();
        let watcher = Watcher { queue: self.clone(), job, after_seq, page: VecDeque::new(), over: false };
        stream::unfold(watcher, |mut watcher| async move {
            match watcher.next().await {
                Ok(Some(event)) => Some((Ok(event), watcher)),
                Ok(None) => None,
                Err(error) => {
                    watcher.over = true;
                    Some((Err(error), watcher))
                }
            }
        })
        .boxed()
    }

    async fn history_end(&self, job: JobId) -> Result<(JobState, i64), Error> {
        let mut tx = self.db().begin_read().await?;
        let row: Option<(String, i64)> = on!(&mut tx, connection => {
            let row = sqlx::query(sql::HISTORY_END).bind(job.0).fetch_optional(connection).await?;
            row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?
        });
        let (state, seq) = row.ok_or(Error::NotFound(job))?;
        let state = JobState::parse(&state).ok_or_else(|| crate::row::corrupt("jobs", "state", job.0, &state))?;
        Ok((state, seq))
    }
}

struct Watcher {
    queue: Queue,
    job: JobId,
    after_seq: i64,
    page: VecDeque<JobEvent>,
    over: bool,
}

impl Watcher {
    async fn next(&mut self) -> Result<Option<JobEvent>, Error> {
        if self.over {
            return Ok(None);
        }
        loop {
            if let Some(event) = self.page.pop_front() {
                self.after_seq = event.seq;
                return Ok(Some(event));
            }
            // Subscribed before the look, so that nothing falls in between.
            let mut hints = self.queue.hints().jobs.subscribe();
            let (state, end) = self.queue.history_end(self.job).await?;
            if end > self.after_seq {
                self.page = self.queue.events(self.job, self.after_seq, PAGE).await?.into();
                if !self.page.is_empty() {
                    continue;
                }
            } else if state.is_final() {
                return Ok(None);
            }
            self.queue.changed(&mut hints, self.job).await;
        }
    }
}

impl Queue {
    /// Returns when a hint names `job`, or when it is time to look anyway.
    pub(crate) async fn changed(&self, hints: &mut broadcast::Receiver<Hint>, job: JobId) {
        let poll = self.options().poll(self.db().is_postgres());
        let look = tokio::time::sleep(retry::jittered(poll, job.0.cast_unsigned()));
        tokio::pin!(look);
        loop {
            let hint = tokio::select! {
                () = &mut look => return,
                hint = hints.recv() => hint,
            };
            match hint {
                Ok(Hint::Changed(Some(jobs))) if !jobs.contains(&job.0) => {}
                Ok(Hint::Cancel(_)) => {}
                Ok(Hint::Changed(_)) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The queue is going away; its other handle still polls.
                Err(broadcast::error::RecvError::Closed) => return look.await,
            }
        }
    }
}
