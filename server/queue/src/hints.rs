//! Wake-ups: within the process by channels, between processes by NOTIFY. Hints only: whoever waits also polls, because
//! a lost notice must not stop work.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tenor_store::Tx;
use tokio::sync::{Notify, broadcast, watch};

use crate::row::json;
use crate::{Error, sql};

/// A NOTIFY carries at most 8,000 bytes.
const MOST_BYTES: usize = 7_500;

/// What became known about jobs. `None` means: look at all of yours.
#[derive(Debug, Clone)]
pub(crate) enum Hint {
    /// History lines or states.
    Changed(Option<Arc<[i64]>>),
    /// Running jobs that shall stop.
    Cancel(Option<Arc<[i64]>>),
}

#[derive(Debug)]
pub(crate) struct Hints {
    /// Counts up when a job may have become ready.
    pub ready: watch::Sender<u64>,
    pub jobs: broadcast::Sender<Hint>,
    /// A job ended for good without success: its hook is due.
    pub settle: Notify,
}

impl Default for Hints {
    fn default() -> Self {
        Self { ready: watch::Sender::new(0), jobs: broadcast::Sender::new(1_024), settle: Notify::new() }
    }
}

impl Hints {
    pub(crate) fn wake(&self) {
        self.ready.send_modify(|count| *count += 1);
    }

    fn send(&self, hint: Hint) {
        // Nobody listening is no error.
        let _ = self.jobs.send(hint);
    }

    /// Tells this process what a committed transaction did.
    pub(crate) fn apply(&self, effects: &Effects) {
        if !effects.ready.is_empty() {
            self.wake();
        }
        if !effects.changed.is_empty() {
            self.send(Hint::Changed(Some(effects.changed.as_slice().into())));
        }
        if !effects.cancelled.is_empty() {
            self.send(Hint::Cancel(Some(effects.cancelled.as_slice().into())));
        }
        if effects.unsettled {
            self.settle.notify_one();
        }
    }

    fn apply_notice(&self, payload: &str) {
        let ids = |list: &str| list.split(',').map(|id| id.parse().ok()).collect::<Option<Vec<i64>>>();
        match payload.split_at_checked(2) {
            Some(("r:", _)) => self.wake(),
            Some(("e:", list)) => self.send(Hint::Changed(ids(list).map(Into::into))),
            Some(("c:", list)) => self.send(Hint::Cancel(ids(list).map(Into::into))),
            Some(("s:", _)) => self.settle.notify_one(),
            _ => self.everything(),
        }
    }

    /// After a gap in which notices may have been lost.
    fn everything(&self) {
        self.wake();
        self.send(Hint::Changed(None));
        self.send(Hint::Cancel(None));
        self.settle.notify_one();
    }
}

/// What a transaction did that others wait for.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Queues that have a new ready job.
    pub ready: Vec<String>,
    /// Jobs with new history lines.
    pub changed: Vec<i64>,
    /// Running jobs that shall stop.
    pub cancelled: Vec<i64>,
    /// Whether a job failed or was cancelled for good.
    pub unsettled: bool,
}

impl Effects {
    pub(crate) fn ready(&mut self, queue: &str) {
        if !self.ready.iter().any(|known| known == queue) {
            self.ready.push(queue.to_owned());
        }
    }

    /// Adds the notices to the transaction: one NOTIFY a queue, one for all lines, one for all cancellations, because
    /// each committing transaction with a NOTIFY takes one lock of the whole instance. Nothing to do on SQLite.
    pub(crate) async fn announce(&self, tx: &mut Tx) -> Result<(), Error> {
        let Tx::Pg(held) = tx else { return Ok(()) };
        let mut notices: Vec<String> = self.ready.iter().map(|queue| format!("r:{queue}")).collect();
        for (tag, ids) in [("e:", &self.changed), ("c:", &self.cancelled)] {
            if !ids.is_empty() {
                let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
                notices.push(format!("{tag}{}", if list.len() > MOST_BYTES { "*" } else { &list }));
            }
        }
        if self.unsettled {
            notices.push("s:".to_owned());
        }
        if !notices.is_empty() {
            sqlx::query(sql::PG_NOTIFY).bind(json(&notices)).execute(&mut **held).await?;
        }
        Ok(())
    }
}

/// Turns the notices of other processes into hints, until the pool is closed. Holds one connection of it.
pub(crate) async fn listen(pool: PgPool, hints: Arc<Hints>) {
    loop {
        if let Err(error) = hear(&pool, &hints).await {
            if pool.is_closed() {
                return;
            }
            tracing::warn!(error = %error, "queue notices are interrupted; polling goes on");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn hear(pool: &PgPool, hints: &Hints) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("tenor_queue").await?;
    hints.everything();
    loop {
        match listener.try_recv().await? {
            Some(notice) => hints.apply_notice(notice.payload()),
            // The connection was lost and made anew.
            None => hints.everything(),
        }
    }
}
