//! One suite for both databases.

mod cancels;
mod dependencies;
mod fences;
mod history;
mod hooks;
mod interleavings;
mod jobs;
mod keys;
mod leases;
mod model;
mod plans;
mod processes;
mod races;
mod retries;
mod shutdown;
mod spawn;
mod steps;
mod timeouts;
mod watch;
mod workers;

use std::time::Duration;

use serde_json::{Value, json};
use tenor_domain::{Job, JobId, JobState};
use tenor_store::testing::{TestDb, databases};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{JobContext, JobError, NewJob, Queue, QueueOptions, Worker, WorkerBuilder, WorkerReport};

/// Seconds in production are milliseconds here, but not so few that a busy machine loses leases.
pub(crate) fn fast() -> QueueOptions {
    QueueOptions {
        lease_ms: 2_000,
        heartbeat_ms: 400,
        poll_ms: 100,
        sqlite_poll_ms: 20,
        flush_ms: 20,
        retry_base_ms: 40,
        retry_cap_ms: 2_000,
        abandon_ms: 500,
        ..QueueOptions::default()
    }
}

/// Runs `case` on each database.
async fn on_each<F: Future<Output = ()>>(case: impl Fn(Queue, &'static str) -> F) {
    on_each_with(fast(), case).await;
}

async fn on_each_with<F: Future<Output = ()>>(options: QueueOptions, case: impl Fn(Queue, &'static str) -> F) {
    for test_db in databases().await {
        eprintln!("on {}", test_db.name);
        case(queue_on(&test_db, &options), test_db.name).await;
    }
}

fn queue_on(test_db: &TestDb, options: &QueueOptions) -> Queue {
    Queue::new(test_db.db(), options.clone())
}

/// Another handle, which shares the database and nothing else, as in another process.
fn another(queue: &Queue) -> Queue {
    Queue::new(queue.db().clone(), queue.options().clone())
}

/// A payload for any handler of the tests.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Probe {
    tag: String,
}

impl crate::Job for Probe {
    const KIND: &'static str = "probe";
}

fn probe(tag: &str) -> NewJob {
    NewJob::of(&Probe { tag: tag.to_owned() }).unwrap()
}

struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<WorkerReport>,
}

impl Running {
    async fn stop(self) -> WorkerReport {
        self.shutdown.cancel();
        self.task.await.unwrap()
    }
}

fn start(builder: WorkerBuilder, grace: Duration) -> Running {
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(builder.build().unwrap().run(shutdown.clone(), grace));
    Running { shutdown, task }
}

/// A worker whose handler is `handler`.
fn worker<F>(queue: &Queue, handler: impl Fn(JobContext, Probe) -> F + Send + Sync + 'static) -> Running
where
    F: Future<Output = Result<Value, JobError>> + Send + 'static,
{
    start(Worker::builder(queue.clone()).register(handler).slots(8), Duration::from_secs(5))
}

fn echo(queue: &Queue) -> Running {
    worker(queue, |_, probe| async move { Ok(json!(probe.tag)) })
}

const LONG: Duration = Duration::from_secs(30);

async fn ended(queue: &Queue, job: JobId) -> Job {
    queue.wait(job, LONG).await.unwrap()
}

async fn until_state(queue: &Queue, job: JobId, state: JobState) -> Job {
    eventually(async || queue.get(job).await.ok().filter(|job| job.state == state)).await
}

/// Asks until there is an answer.
async fn eventually<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    tokio::time::timeout(LONG, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it did not happen in time")
}
