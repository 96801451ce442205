//! A worker process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};
use sqlx::Row as _;
use tenor_benches::measure::Percentiles;
use tenor_queue::{JobContext, JobError, Queue, QueueOptions, Worker};
use tenor_store::{Db, on};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{At, Ping, QUEUE, now_us};

#[derive(Debug, clap::Args)]
pub struct Work {
    #[command(flatten)]
    at: At,
    /// Jobs at a time
    #[arg(long, default_value_t = 32)]
    slots: usize,
    #[arg(long, default_value_t = 30_000)]
    lease_ms: u64,
    #[arg(long, default_value = "worker")]
    name: String,
    /// End after so many seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// End when no job is ready or running
    #[arg(long)]
    until_idle: bool,
}

/// What the jobs of this process saw.
#[derive(Debug, Default)]
struct Seen {
    started: AtomicUsize,
    refused: AtomicUsize,
    pickups_ms: Mutex<Vec<f64>>,
}

impl Work {
    pub async fn run(self) -> anyhow::Result<Value> {
        let db = self.at.connect().await?;
        let options = QueueOptions { lease_ms: self.lease_ms, ..QueueOptions::default() };
        let seen = Arc::new(Seen::default());
        let handler = {
            let seen = Arc::clone(&seen);
            move |context: JobContext, ping: Ping| job(Arc::clone(&seen), context, ping)
        };
        let queue = Queue::new(db.clone(), options);
        let worker = Worker::builder(queue).register(handler).slots(self.slots).name(self.name.clone()).build()?;
        let shutdown = CancellationToken::new();
        let working = tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(30)));
        self.over(&db).await?;
        shutdown.cancel();
        let report = working.await?;
        let pickups = std::mem::take(&mut *seen.pickups_ms.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(json!({
            "started": seen.started.load(Ordering::Relaxed),
            "ended": report.ended,
            "refused": seen.refused.load(Ordering::Relaxed),
            "pickup_ms": Percentiles::of(pickups),
        }))
    }

    /// Returns when it is time to stop.
    async fn over(&self, db: &Db) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let seconds = Duration::from_secs_f64(self.seconds.unwrap_or(1e6));
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            () = tokio::time::sleep(seconds) => Ok(()),
            idle = idle(db), if self.until_idle => idle,
        }
    }
}

/// Returns when no job is ready or running.
async fn idle(db: &Db) -> anyhow::Result<()> {
    const LIVE: &str = "SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'ready' AND queue = $1)
        OR EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND queue = $1)";
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut tx = db.begin_read().await?;
        let live: bool = on!(&mut tx, connection => {
            sqlx::query(LIVE).bind(QUEUE).fetch_one(connection).await?.try_get(0)?
        });
        if !live {
            return Ok(());
        }
    }
}

async fn job(seen: Arc<Seen>, context: JobContext, ping: Ping) -> Result<Value, JobError> {
    seen.started.fetch_add(1, Ordering::Relaxed);
    if ping.sent_us > 0 {
        let pickup_ms = now_us().saturating_sub(ping.sent_us) as f64 / 1e3;
        seen.pickups_ms.lock().unwrap_or_else(PoisonError::into_inner).push(pickup_ms);
    }
    if ping.hold_ms == 0 {
        return Ok(Value::Null);
    }
    // Deaf to the word that the lease is gone: what stops its write must be the fence.
    tokio::time::sleep(Duration::from_millis(ping.hold_ms)).await;
    let (fence, worker) = (context.fence(), context.job.worker.clone());
    let written = context
        .finish_with(move |tx| {
            async move {
                on!(tx, connection => {
                    sqlx::query("INSERT INTO bench_effects (job_id, fence, worker) VALUES ($1, $2, $3)")
                        .bind(fence.job.0)
                        .bind(fence.token)
                        .bind(worker.unwrap_or_default())
                        .execute(connection)
                        .await
                        .map(|_| ())
                })
                .map_err(JobError::retry)?;
                Ok(Value::Null)
            }
            .boxed()
        })
        .await;
    if written.is_err() {
        seen.refused.fetch_add(1, Ordering::Relaxed);
    }
    written
}
