//! Workers in processes of their own: killed, and stopped for longer than their lease.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use futures::future::join_all;
use tenor_domain::JobState;
use tenor_store::Options;

use super::steps::{check_history, moves};
use super::*;

const URL: &str = "TENOR_TEST_WORKER_URL";
const FOLDER: &str = "TENOR_TEST_WORKER_FOLDER";
const LEASE: &str = "TENOR_TEST_WORKER_LEASE_MS";

/// What [`work`] does with a job, by the beginning of its tag.
const NAP: &str = "nap";
/// The first attempt says `held`, and goes on when there is a file `go`, whatever became of its lease meanwhile.
const HOLD: &str = "hold";

/// The life of a worker process: it works until it is killed.
async fn work(url: &str) {
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let lease_ms = std::env::var(LEASE).unwrap().parse().unwrap();
    let db = tenor_store::Db::connect(url, &Options { max_connections: 4, ..Options::default() }).await.unwrap();
    let handler = move |context: JobContext, probe: Probe| {
        let folder = folder.clone();
        async move {
            if probe.tag.starts_with(NAP) {
                tokio::time::sleep(Duration::from_millis(30)).await;
                return Ok(json!(context.fence().token));
            }
            fs::write(folder.join("held"), "").unwrap();
            while !folder.join("go").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let spawned = match context.begin_spawn().await {
                Ok(mut spawn) => spawn.enqueue(probe_named("child of a zombie")).await.map(|_| ()),
                Err(error) => Err(error),
            };
            fs::write(folder.join("refused"), spawned.unwrap_err().to_string()).unwrap();
            Ok(json!("zombie"))
        }
    };
    let running = start(Worker::builder(Queue::new(db, options(lease_ms))).register(handler).slots(8), LONG);
    running.task.await.unwrap();
}

/// Of a worker that is to lose its jobs, but not because the machine is busy.
const LEASE_MS: u64 = 5_000;

fn options(lease_ms: u64) -> QueueOptions {
    QueueOptions { lease_ms, ..fast() }
}

fn probe_named(tag: &str) -> NewJob {
    probe(tag).unique_key(tag)
}

/// A worker process; killed when dropped.
struct WorkerProcess(Child);

impl WorkerProcess {
    fn start(test_db: &TestDb, folder: &Path, lease_ms: u64) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::processes::a_process_of_its_own_does_what_was_enqueued_here"])
            .env(URL, &test_db.url)
            .env(FOLDER, folder)
            .env(LEASE, lease_ms.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill {signal}");
    }

    /// Stops it outside of any write: SQLite has one writer, and nobody could write while that one is stopped.
    async fn stop(&self, db: &tenor_store::Db) {
        loop {
            self.signal("-STOP");
            let begin = tokio::time::timeout(Duration::from_secs(1), db.begin_write()).await;
            if let Ok(Ok(tx)) = begin {
                drop(tx);
                return;
            }
            self.signal("-CONT");
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Also what [`WorkerProcess`] runs: told of a database, this test is the worker.
#[tokio::test]
async fn a_process_of_its_own_does_what_was_enqueued_here() {
    if let Ok(url) = std::env::var(URL) {
        return work(&url).await;
    }
    for test_db in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue_on(&test_db, &fast());
        let before = queue.enqueue(probe(NAP)).await.unwrap().id;
        let _process = WorkerProcess::start(&test_db, folder.path(), 60_000);
        assert_eq!(ended(&queue, before).await.state, JobState::Succeeded);
        let after = queue.enqueue(probe(NAP)).await.unwrap().id;
        assert_eq!(ended(&queue, after).await.state, JobState::Succeeded);
    }
}

#[tokio::test]
async fn what_a_killed_process_had_begun_is_done_by_another_and_nothing_twice() {
    for test_db in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue_on(&test_db, &options(LEASE_MS));
        let mut jobs = Vec::new();
        for number in 0..200 {
            jobs.push(queue.enqueue(probe(&format!("{NAP} {number}"))).await.unwrap().id);
        }
        let victim = WorkerProcess::start(&test_db, folder.path(), LEASE_MS);
        eventually(async || (queue.get(jobs[20]).await.unwrap().state == JobState::Succeeded).then_some(())).await;
        victim.signal("-KILL");
        let _other = WorkerProcess::start(&test_db, folder.path(), 60_000);
        let ended = join_all(jobs.iter().map(|job| ended(&queue, *job))).await;
        let mut lost = BTreeSet::new();
        for (job, id) in ended.iter().zip(&jobs) {
            assert_eq!(job.state, JobState::Succeeded, "{job:?}");
            let history = check_history(&queue, *id).await;
            let moves = moves(&history);
            assert_eq!(moves.iter().filter(|state| **state == "succeeded").count(), 1, "{moves:?}");
            assert_eq!(job.result, Some(json!(job.attempt)), "the result of the last attempt");
            let given_back = history.iter().filter(|event| event.message == "ready");
            lost.extend(given_back.map(|event| event.data.as_ref().unwrap()["error"].to_string()));
        }
        // More than it has slots, because a slot is free before the end of its job is recorded.
        assert!(lost.len() <= 1, "only the killed process lost jobs, each once: {lost:?}");
    }
}

#[tokio::test]
async fn a_process_that_was_stopped_for_longer_than_its_lease_can_write_nothing() {
    for test_db in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue_on(&test_db, &options(LEASE_MS));
        let job = queue.enqueue(probe(HOLD)).await.unwrap().id;
        let zombie = WorkerProcess::start(&test_db, folder.path(), LEASE_MS);
        eventually(async || folder.path().join("held").exists().then_some(())).await;
        zombie.stop(queue.db()).await;

        let other = worker(&queue, |context, _| async move { Ok(json!(context.fence().token)) });
        let job = ended(&queue, job).await;
        assert_eq!((job.state, job.attempt, job.result.clone()), (JobState::Succeeded, 2, Some(json!(2))));
        other.stop().await;

        fs::write(folder.path().join("go"), "").unwrap();
        zombie.signal("-CONT");
        let refused = eventually(async || {
            // It is there before the text is.
            fs::read_to_string(folder.path().join("refused")).ok().filter(|text| !text.is_empty())
        })
        .await;
        assert!(refused.contains("lease"), "{refused}");
        // It lives, and is good for other jobs; what it had to say about the lost one is gone by then.
        let next = queue.enqueue(probe(NAP)).await.unwrap().id;
        assert_eq!(ended(&queue, next).await.state, JobState::Succeeded);
        let after = queue.get(job.id).await.unwrap();
        assert_eq!((after.state, after.attempt, after.result), (JobState::Succeeded, 2, Some(json!(2))));
        let lines = check_history(&queue, job.id).await;
        assert_eq!(moves(&lines), ["running", "ready", "running", "succeeded"]);
        assert!(lines[1].at.0 >= lines[0].at.0 + LEASE_MS.cast_signed(), "not before the lease was over: {lines:?}");
        let children = queue.enqueue(probe_named("child of a zombie")).await.unwrap();
        assert!(!children.existing, "the zombie enqueued nothing");
    }
}
