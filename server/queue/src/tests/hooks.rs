//! What is owed after the end of a job: the hook, then the sweep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tenor_domain::{JobId, JobState};

use super::steps::{claim_only, end};
use super::*;
use crate::finish::Outcome;
use crate::{DependencyPolicy, Error};

#[tokio::test]
async fn the_sweep_removes_old_finished_jobs_and_nothing_else() {
    let options = QueueOptions { retention_ms: 0, ..fast() };
    on_each_with(options, |queue, _| async move {
        let running = echo(&queue);
        let mut done = Vec::new();
        for n in 0..20 {
            done.push(queue.enqueue(probe(&n.to_string())).await.unwrap().id);
        }
        let last = queue.enqueue(probe("last").depends_on(done[0], DependencyPolicy::AllSuccess)).await.unwrap().id;
        ended(&queue, last).await;
        for id in &done {
            ended(&queue, *id).await;
        }
        running.stop().await;
        let waiting = queue.enqueue(probe("ready")).await.unwrap().id;
        // Failed, and its hook has not been called: it stays.
        let owed = queue.enqueue(probe("owed")).await.unwrap().id;
        queue.cancel(owed).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(queue.sweep().await.unwrap(), 21);
        assert!(matches!(queue.get(done[0]).await, Err(Error::NotFound(_))));
        assert!(queue.events(done[0], 0, 10).await.unwrap().is_empty());
        assert_eq!(queue.get(waiting).await.unwrap().state, JobState::Ready);
        assert_eq!(queue.get(owed).await.unwrap().state, JobState::Cancelled);
        assert_eq!(queue.sweep().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn the_hook_is_called_for_every_end_without_success_until_it_returns_ok() {
    on_each(|queue, _| async move {
        let told: Arc<Mutex<Vec<(JobId, JobState)>>> = Arc::default();
        let calls = Arc::clone(&told);
        let refused = Arc::new(AtomicU32::new(0));
        let options = QueueOptions { lease_ms: 300, heartbeat_ms: 100, ..fast() };
        let queue = Queue::new(queue.db().clone(), options);
        // Ended before any worker is there.
        let never = queue.enqueue(probe("never").delay_ms(60_000)).await.unwrap().id;
        queue.cancel(never).await.unwrap();
        let running = start(
            Worker::builder(queue.clone())
                .register(|_, probe: Probe| async move {
                    if probe.tag == "ok" { Ok(json!(null)) } else { Err(JobError::fail("no")) }
                })
                .on_ended(move |job: Job| {
                    calls.lock().unwrap().push((job.id, job.state));
                    let first = refused.fetch_add(1, Ordering::SeqCst) == 0;
                    async move { if first { Err("database away") } else { Ok(()) } }
                }),
            LONG,
        );
        let fails = queue.enqueue(probe("fails")).await.unwrap().id;
        let child = queue.enqueue(probe("child").depends_on(fails, DependencyPolicy::AllSuccess)).await.unwrap().id;
        let good = queue.enqueue(probe("ok")).await.unwrap().id;
        ended(&queue, good).await;
        let expected = [(never, JobState::Cancelled), (fails, JobState::Failed), (child, JobState::Failed)];
        // One of them twice: the refused call.
        eventually(async || {
            let told = told.lock().unwrap();
            (told.len() == 4 && expected.iter().all(|end| told.contains(end))).then_some(())
        })
        .await;
        // Owed to nobody now: another worker has nothing to tell.
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(told.lock().unwrap().len(), 4);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_call_that_its_worker_did_not_live_to_finish_is_made_again_by_another() {
    let options = QueueOptions { lease_ms: 500, heartbeat_ms: 100, ..fast() };
    on_each_with(options, |queue, _| async move {
        let calls = Arc::new(AtomicU32::new(0));
        let handler = |_: JobContext, _: Probe| async { Ok(json!(null)) };
        let counted = |calls: &Arc<AtomicU32>| {
            let calls = Arc::clone(calls);
            move |job: Job| {
                assert_eq!(job.state, JobState::Failed);
                calls.fetch_add(1, Ordering::SeqCst)
            }
        };
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        let fence = claim_only(&queue, id).await;
        end(&queue, fence, Outcome::Failed).await;
        let count = counted(&calls);
        let hangs = Worker::builder(another(&queue)).register(handler).on_ended(move |job| {
            count(job);
            std::future::pending::<Result<(), String>>()
        });
        let hangs = start(hangs, LONG);
        eventually(async || (calls.load(Ordering::SeqCst) == 1).then_some(())).await;
        hangs.task.abort();

        // Then one that panics, and at last one that answers.
        let count = counted(&calls);
        let panics = Worker::builder(another(&queue)).register(handler).on_ended(move |job| {
            let call = count(job);
            async move { if call == 1 { panic!("in the hook") } else { Ok::<_, String>(()) } }
        });
        let panics = start(panics, LONG);
        eventually(async || (calls.load(Ordering::SeqCst) == 3).then_some(())).await;
        let owed = "SELECT CAST(COUNT(*) AS BIGINT) FROM jobs WHERE settle_at IS NOT NULL";
        eventually(async || {
            let mut tx = queue.db().begin_read().await.unwrap();
            let owed: i64 = tenor_store::on!(&mut tx, connection => {
                sqlx::query_scalar(owed).fetch_one(connection).await.unwrap()
            });
            (owed == 0).then_some(())
        })
        .await;
        panics.stop().await;
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_fails_again_after_a_requeue_is_told_again_and_a_success_never() {
    on_each(|queue, _| async move {
        let told: Arc<Mutex<Vec<JobId>>> = Arc::default();
        let calls = Arc::clone(&told);
        let handler = |_: JobContext, probe: Probe| async move {
            if probe.tag == "good" { Ok(json!(null)) } else { Err(JobError::fail("no")) }
        };
        let running = start(
            Worker::builder(queue.clone()).register(handler).on_ended(move |job: Job| {
                calls.lock().unwrap().push(job.id);
                async { Ok::<_, String>(()) }
            }),
            LONG,
        );
        let good = queue.enqueue(probe("good")).await.unwrap().id;
        let bad = queue.enqueue(probe("bad")).await.unwrap().id;
        ended(&queue, good).await;
        for times in 1..4 {
            ended(&queue, bad).await;
            eventually(async || (told.lock().unwrap().len() == times).then_some(())).await;
            queue.requeue(bad).await.unwrap();
        }
        eventually(async || (told.lock().unwrap().len() == 4).then_some(())).await;
        assert_eq!(*told.lock().unwrap(), [bad; 4]);
        running.stop().await;
    })
    .await;
}
