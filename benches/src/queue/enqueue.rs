//! Jobs into the queue.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenor_benches::measure::Percentiles;
use tenor_queue::{NewJob, Queue, QueueOptions};
use tenor_store::{Db, on};

use super::{At, Ping, now_us};

/// Jobs a transaction.
const GROUP: usize = 1_000;

#[derive(Debug, clap::Args)]
pub struct Enqueue {
    #[command(flatten)]
    at: At,
    #[arg(long, default_value_t = 1_000)]
    jobs: usize,
    /// How long each job takes before it writes; 0 for jobs that do nothing
    #[arg(long, default_value_t = 0)]
    hold_ms: u64,
}

#[derive(Debug, clap::Args)]
pub struct Trickle {
    #[command(flatten)]
    at: At,
    #[arg(long, default_value_t = 1_000)]
    jobs: usize,
    /// Between two enqueue calls
    #[arg(long, default_value_t = 20.0)]
    gap_ms: f64,
}

impl Enqueue {
    pub async fn run(self) -> anyhow::Result<Value> {
        let db = self.at.connect().await?;
        let queue = Queue::new(db.clone(), QueueOptions::default());
        let job = NewJob::of(&Ping { hold_ms: self.hold_ms, ..Ping::default() })?;
        let began = Instant::now();
        for first in (0..self.jobs).step_by(GROUP) {
            let mut tx = db.begin_write().await?;
            for _ in first..self.jobs.min(first + GROUP) {
                queue.enqueue_in(&mut tx, job.clone()).await?;
            }
            tx.commit().await?;
        }
        let took = began.elapsed().as_secs_f64();
        analyze(&db).await?;
        Ok(json!({ "jobs": self.jobs, "per_s": self.jobs as f64 / took }))
    }
}

/// As a database does by itself within minutes: without statistics the plans of a filled table are those of an empty one.
async fn analyze(db: &Db) -> anyhow::Result<()> {
    let mut tx = db.begin_write().await?;
    on!(&mut tx, connection => sqlx::query("ANALYZE").execute(connection).await.map(|_| ()))?;
    Ok(tx.commit().await?)
}

impl Trickle {
    pub async fn run(self) -> anyhow::Result<Value> {
        let queue = self.at.queue().await?;
        let mut took_ms = Vec::with_capacity(self.jobs);
        for _ in 0..self.jobs {
            let began = Instant::now();
            queue.enqueue(NewJob::of(&Ping { sent_us: now_us(), ..Ping::default() })?).await?;
            took_ms.push(began.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_secs_f64(self.gap_ms / 1e3)).await;
        }
        Ok(json!({ "enqueue_ms": Percentiles::of(took_ms) }))
    }
}
