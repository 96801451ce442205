//! The queue under no-op jobs: one process enqueues, others work, another counts.

mod count;
mod enqueue;
mod work;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenor_queue::{Job, Queue, QueueOptions};
use tenor_store::{Db, on};

/// The queue of every job here.
pub const QUEUE: &str = "bench";

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Brings the database to the server's schema, with a table for the effects of jobs
    Prepare {
        #[command(flatten)]
        at: At,
    },
    /// Enqueues many jobs in few transactions
    Enqueue(enqueue::Enqueue),
    /// Enqueues one job at a time, with gaps
    Trickle(enqueue::Trickle),
    /// Works until the queue is empty, for some seconds, or until SIGTERM
    Work(work::Work),
    /// Counts jobs and their completions
    Verify {
        #[command(flatten)]
        at: At,
    },
}

/// Where the queue is.
#[derive(Debug, clap::Args)]
pub struct At {
    /// sqlite:///path/file.db or postgres://user@host/database
    #[arg(long)]
    database: String,
}

impl At {
    async fn connect(&self) -> anyhow::Result<Db> {
        let options = tenor_store::Options { application_name: "tenor-bench".to_owned(), ..Default::default() };
        Ok(Db::connect(&self.database, &options).await?)
    }
    async fn queue(&self) -> anyhow::Result<Queue> {
        Ok(Queue::new(self.connect().await?, QueueOptions::default()))
    }
}

/// Does nothing, or nothing for a while and then one write.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ping {
    /// When the enqueue call began, microseconds since 1970; 0 when nobody asks.
    pub sent_us: u64,
    /// How long to hold the job before its write; 0 for a job without a write.
    pub hold_ms: u64,
}

impl Job for Ping {
    const KIND: &'static str = "bench_ping";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: i32 = 10;
}

/// Microseconds since 1970; all processes of a bench are on one machine.
#[expect(clippy::disallowed_methods, reason = "what is measured begins in one process and ends in another")]
fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

impl Command {
    pub async fn run(self) -> anyhow::Result<Value> {
        match self {
            Self::Prepare { at } => prepare(&at.connect().await?).await,
            Self::Enqueue(enqueue) => enqueue.run().await,
            Self::Trickle(trickle) => trickle.run().await,
            Self::Work(work) => work.run().await,
            Self::Verify { at } => count::count(&at.connect().await?).await,
        }
    }
}

async fn prepare(db: &Db) -> anyhow::Result<Value> {
    const TABLE: &str =
        "CREATE TABLE bench_effects (job_id BIGINT NOT NULL, fence BIGINT NOT NULL, worker TEXT NOT NULL)";
    db.migrate().await?;
    let mut tx = db.begin_write().await?;
    on!(&mut tx, connection => sqlx::query(TABLE).execute(connection).await.map(|_| ()))?;
    tx.commit().await?;
    Ok(json!({}))
}
