//! Leases: kept by heartbeats, lost by silence, and what a worker that lost one may still do: nothing.

use std::sync::{Arc, Mutex};

use tenor_domain::{JobState, PageRequest};
use tenor_store::{Db, Tx, on};
use tenor_telemetry::metrics::Registry;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::steps::{claim, claim_only, complete, end, history, moves, take_away};
use super::*;
use crate::finish::Outcome;
use crate::{CancelReason, Error, JobFilter, Metrics, check_fence};

/// So seldom a heartbeat that nobody is told of a lost lease within a test.
fn seldom() -> QueueOptions {
    QueueOptions { lease_ms: 120_000, heartbeat_ms: 40_000, ..fast() }
}

#[tokio::test]
async fn a_job_whose_worker_vanished_goes_to_another_when_its_lease_ends_and_not_before() {
    let options = QueueOptions { lease_ms: 700, heartbeat_ms: 200, ..fast() };
    on_each_with(options, |queue, _| async move {
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        // Claimed by hand, so nobody beats.
        let vanished = claim_only(&queue, id).await;
        let running = worker(&another(&queue), |context, _| async move { Ok(json!(context.fence().token)) });
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.result), (JobState::Succeeded, 2, Some(json!(2))));
        let lines = history(&queue, id).await;
        assert_eq!(moves(&lines), ["running", "ready", "running", "succeeded"]);
        assert!(lines[1].at.0 >= lines[0].at.0 + 700, "{lines:?}");
        assert_eq!(lines[1].data.as_ref().unwrap()["error"], "worker hand stopped or lost contact in attempt 1");
        assert!(!complete(&queue, vanished, Outcome::Succeeded).await.unwrap());
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn heartbeats_keep_a_job_through_more_than_two_leases() {
    // A pause of a busy machine is shorter than what a heartbeat leaves of the lease.
    let options = QueueOptions { lease_ms: 3_000, heartbeat_ms: 100, ..fast() };
    on_each_with(options, |queue, _| async move {
        let gate = Arc::new(Notify::new());
        let open = Arc::clone(&gate);
        let running = worker(&queue, move |context, _| {
            let open = Arc::clone(&open);
            async move {
                open.notified().await;
                assert!(!context.cancelled().is_cancelled());
                Ok(json!(null))
            }
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        let began = until_state(&queue, id, JobState::Running).await.started_at.unwrap().0;
        let thief = echo(&another(&queue));
        eventually(async || (queue.db().now_ms().await.unwrap() > began + 5 * 3_000 / 2).then_some(())).await;
        gate.notify_one();
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt), (JobState::Succeeded, 1));
        running.stop().await;
        thief.stop().await;
    })
    .await;
}

#[tokio::test]
async fn whoever_lost_its_lease_is_told_and_can_write_nothing() {
    let options = QueueOptions { lease_ms: 60_000, heartbeat_ms: 100, abandon_ms: 60_000, ..fast() };
    on_each_with(options, |queue, _| async move {
        let (told, mut tells) = mpsc::unbounded_channel();
        let gate = Arc::new(Notify::new());
        let open = Arc::clone(&gate);
        let running = start(
            Worker::builder(queue.clone()).slots(1).register(move |context: JobContext, _: Probe| {
                let (told, open) = (told.clone(), Arc::clone(&open));
                async move {
                    context.cancelled().cancelled().await;
                    open.notified().await;
                    let queue = context.queue().clone();
                    let mut tx = queue.db().begin_write().await.unwrap();
                    let write = check_fence(&mut tx, &context.fence()).await;
                    drop(tx);
                    let refused = [
                        matches!(write, Err(Error::LeaseLost(_))),
                        matches!(context.begin_spawn().await, Err(Error::LeaseLost(_))),
                        context.finish_with(|_| Box::pin(async { Ok(json!("late")) })).await.is_err(),
                        queue.beat(&[context.fence()]).await.unwrap().is_empty(),
                    ];
                    context.info("late").await;
                    context.shared.flush().await.unwrap();
                    told.send((context.cancel_reason(), refused)).unwrap();
                    Ok(json!("late"))
                }
            }),
            LONG,
        );
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        take_away(&queue, id).await;
        // The only slot is still taken, so this is another worker.
        let owner = claim_only(&queue, id).await;
        gate.notify_one();
        assert_eq!(tells.recv().await, Some((Some(CancelReason::LeaseLost), [true; 4])));
        assert_eq!(running.stop().await.ended, 1);
        let job = queue.get(id).await.unwrap();
        assert_eq!((job.state, job.attempt, job.worker.as_deref()), (JobState::Running, 2, Some("hand")));
        end(&queue, owner, Outcome::Succeeded).await;
        assert_eq!(queue.get(id).await.unwrap().result, Some(json!(2)));
        assert_eq!(moves(&history(&queue, id).await), ["running", "ready", "running", "succeeded"]);
        assert!(history(&queue, id).await.iter().all(|event| event.message != "late"));
    })
    .await;
}

#[tokio::test]
async fn a_late_completion_is_refused_by_the_fence_even_if_nobody_told_the_worker() {
    on_each_with(seldom(), |queue, _| async move {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let queue = Queue::with_metrics(queue.db().clone(), queue.options().clone(), metrics);
        let gate = Arc::new(Semaphore::new(0));
        let open = Arc::clone(&gate);
        let handler = move |_: JobContext, _: Probe| {
            let open = Arc::clone(&open);
            async move {
                open.acquire().await.unwrap().forget();
                Ok(json!("late"))
            }
        };
        let running = start(Worker::builder(queue.clone()).slots(1).register(handler), LONG);
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        take_away(&queue, id).await;
        let owner = claim_only(&queue, id).await;
        gate.add_permits(1);
        running.stop().await;
        assert_eq!(queue.get(id).await.unwrap().state, JobState::Running);
        let lost = "tenor_queue_attempts_total{kind=\"probe\",outcome=\"lost\"} 1";
        assert!(registry.encode().contains(lost), "{}", registry.encode());
        end(&queue, owner, Outcome::Succeeded).await;
    })
    .await;
}

#[tokio::test]
async fn an_older_attempt_is_told_at_once_when_its_own_worker_claims_the_job_again() {
    on_each_with(seldom(), |queue, _| async move {
        let reasons: Arc<Mutex<Vec<Option<CancelReason>>>> = Arc::default();
        let seen = Arc::clone(&reasons);
        let told = Arc::new(Notify::new());
        let tell = Arc::clone(&told);
        let running = worker(&queue, move |context, _| {
            let (seen, tell) = (Arc::clone(&seen), Arc::clone(&tell));
            async move {
                if context.job.attempt == 1 {
                    context.cancelled().cancelled().await;
                    seen.lock().unwrap().push(context.cancel_reason());
                    tell.notify_one();
                    return Ok(json!("late"));
                }
                tell.notified().await;
                Ok(json!("second"))
            }
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        take_away(&queue, id).await;
        let job = ended(&queue, id).await;
        assert_eq!((job.attempt, job.result), (2, Some(json!("second"))));
        assert_eq!(*reasons.lock().unwrap(), [Some(CancelReason::LeaseLost)]);
        assert_eq!(running.stop().await.ended, 2);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_dies_in_the_last_attempt_leaves_a_dead_letter_that_can_be_requeued() {
    on_each(|queue, _| async move {
        let id = queue.enqueue(probe("x").max_attempts(2)).await.unwrap().id;
        for _ in 0..2 {
            claim_only(&queue, id).await;
            take_away(&queue, id).await;
        }
        let letters = async || {
            let filter = JobFilter { states: vec![JobState::Failed], kind: None };
            queue.list(&filter, &PageRequest::first(10)).await.unwrap().items
        };
        let dead = letters().await;
        assert_eq!(dead.iter().map(|job| (job.id, job.attempt)).collect::<Vec<_>>(), [(id, 2)]);
        assert_eq!(dead[0].error.as_deref(), Some("worker hand stopped or lost contact in attempt 2"));
        assert!(claim(&queue, 10).await.is_empty());
        let job = queue.requeue(id).await.unwrap();
        assert_eq!((job.state, job.attempt, job.error), (JobState::Ready, 0, None));
        assert!(letters().await.is_empty());
        let running = worker(&queue, |context, _| async move { Ok(json!(context.fence().token)) });
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.result), (JobState::Succeeded, 1, Some(json!(3))));
        running.stop().await;
    })
    .await;
}

/// Holds what a renewal of any lease needs.
async fn block(db: &Db) -> Tx {
    let mut tx = db.begin_write().await.unwrap();
    on!(&mut tx, connection => {
        sqlx::query("UPDATE jobs SET priority = priority").execute(connection).await.map(|_| ()).unwrap();
    });
    tx
}

#[tokio::test]
async fn a_database_that_does_not_answer_costs_the_lease_by_the_workers_own_clock() {
    for test_db in databases().await {
        let options = QueueOptions { lease_ms: 900, heartbeat_ms: 150, ..fast() };
        let queue = queue_on(&test_db, &options);
        let (told, mut tells) = mpsc::unbounded_channel();
        let running = worker(&queue, move |context, _| {
            let told = told.clone();
            async move {
                if context.job.attempt > 1 {
                    return Ok(json!("again"));
                }
                context.cancelled().cancelled().await;
                told.send(context.cancel_reason()).unwrap();
                Ok(json!("late"))
            }
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        let other = Db::connect(&test_db.url, &tenor_store::Options::default()).await.unwrap();
        let blocked = block(&other).await;
        assert_eq!(tells.recv().await, Some(Some(CancelReason::LeaseLost)), "{}", test_db.name);
        drop(blocked);
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.result), (JobState::Succeeded, 2, Some(json!("again"))));
        running.stop().await;
    }
}
