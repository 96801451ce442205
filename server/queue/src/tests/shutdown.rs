//! Workers that end: politely, in haste, or in the middle of everything.

use std::sync::Arc;

use futures::future::join_all;
use tenor_domain::{JobId, JobState};
use tokio::sync::{Notify, mpsc};

use super::steps::{claim, history, moves};
use super::*;
use crate::CancelReason;

#[tokio::test]
async fn a_job_cut_short_by_a_shutdown_goes_back_without_losing_an_attempt() {
    on_each(|queue, _| async move {
        let (told, mut tells) = mpsc::unbounded_channel();
        let handler = move |context: JobContext, _: Probe| {
            let told = told.clone();
            async move {
                context.cancelled().cancelled().await;
                told.send(context.cancel_reason()).unwrap();
                Err(JobError::fail("told to stop"))
            }
        };
        let running = start(Worker::builder(queue.clone()).register(handler), Duration::ZERO);
        let id = queue.enqueue(probe("x").max_attempts(1)).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        let report = running.stop().await;
        assert_eq!((report.released, report.ended, report.left_behind), (1, 0, 0));
        assert_eq!(tells.recv().await, Some(Some(CancelReason::ShuttingDown)));
        let job = queue.get(id).await.unwrap();
        assert_eq!((job.state, job.attempt), (JobState::Ready, 0));

        // The only attempt is still there for the next worker.
        let next = worker(&queue, |context, _| async move { Ok(json!(context.fence().token)) });
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.result), (JobState::Succeeded, 1, Some(json!(2))));
        assert_eq!(moves(&history(&queue, id).await), ["running", "ready", "running", "succeeded"]);
        next.stop().await;
    })
    .await;
}

#[tokio::test]
async fn within_the_grace_jobs_end_as_they_would_and_nothing_new_begins() {
    on_each(|queue, _| async move {
        let gate = Arc::new(Notify::new());
        let open = Arc::clone(&gate);
        let handler = move |context: JobContext, _: Probe| {
            let open = Arc::clone(&open);
            async move {
                open.notified().await;
                Ok(json!(context.cancelled().is_cancelled()))
            }
        };
        let running = start(Worker::builder(queue.clone()).register(handler).slots(2), LONG);
        let first = queue.enqueue(probe("first")).await.unwrap().id;
        until_state(&queue, first, JobState::Running).await;
        running.shutdown.cancel();
        let second = queue.enqueue(probe("second")).await.unwrap().id;
        gate.notify_one();
        let report = running.stop().await;
        // A claim that was on its way when the signal came may have taken the second job, which is then given back untouched.
        assert!(report.ended == 1 && report.released <= 1, "{report:?}");
        assert_eq!(queue.get(first).await.unwrap().result, Some(json!(false)));
        let second = queue.get(second).await.unwrap();
        assert_eq!((second.state, second.attempt, second.result), (JobState::Ready, 0, None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_under_load_loses_no_job_and_no_attempt() {
    on_each(|queue, _| async move {
        let ids: Vec<JobId> = join_all((0..200).map(|_| queue.enqueue(probe("x").max_attempts(1))))
            .await
            .into_iter()
            .map(|job| job.unwrap().id)
            .collect();
        let handler = |context: JobContext, _: Probe| async move {
            if context.job.id.0 % 3 == 0 && context.fence().token == 1 {
                context.cancelled().cancelled().await;
                return Err(JobError::retry("stopped"));
            }
            Ok(json!(null))
        };
        let first = start(Worker::builder(queue.clone()).register(handler).slots(16), Duration::ZERO);
        // Once it is full of jobs that would go on for ever.
        eventually(async || (steps::running_rows(&queue).await >= 16).then_some(())).await;
        let report = first.stop().await;
        assert!(report.released > 0 && report.left_behind == 0, "{report:?}");
        let second = worker(&queue, |_, _| async { Ok(json!(null)) });
        for id in ids {
            let job = ended(&queue, id).await;
            assert_eq!((job.state, job.attempt), (JobState::Succeeded, 1));
        }
        second.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_deaf_job_does_not_hold_up_the_shutdown_and_goes_back_too() {
    let options = QueueOptions { abandon_ms: 100, ..fast() };
    on_each_with(options, |queue, _| async move {
        let handler = |_: JobContext, _: Probe| std::future::pending::<Result<Value, JobError>>();
        let running = start(Worker::builder(queue.clone()).register(handler), Duration::ZERO);
        let id = queue.enqueue(probe("deaf")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        assert_eq!(running.stop().await.released, 1);
        let job = queue.get(id).await.unwrap();
        assert_eq!((job.state, job.attempt), (JobState::Ready, 0));
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_job_is_not_given_back_by_a_shutdown() {
    // The worker does not hear of the request before it ends.
    let options = QueueOptions { lease_ms: 120_000, heartbeat_ms: 40_000, ..fast() };
    on_each_with(options, |queue, _| async move {
        let (began, mut begins) = mpsc::unbounded_channel();
        let gate = Arc::new(Notify::new());
        let open = Arc::clone(&gate);
        let handler = move |context: JobContext, _: Probe| {
            let (began, open) = (began.clone(), Arc::clone(&open));
            async move {
                began.send(()).unwrap();
                open.notified().await;
                context.cancelled().cancelled().await;
                Err(JobError::retry("stopped"))
            }
        };
        let running = start(Worker::builder(queue.clone()).register(handler), Duration::ZERO);
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        begins.recv().await.unwrap();
        running.shutdown.cancel();
        queue.cancel(id).await.unwrap();
        gate.notify_one();
        running.stop().await;
        assert_eq!(queue.get(id).await.unwrap().state, JobState::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_dropped_leaves_its_job_to_the_lease() {
    let options = QueueOptions { lease_ms: 700, heartbeat_ms: 100, ..fast() };
    on_each_with(options, |queue, _| async move {
        let handler = |_: JobContext, _: Probe| std::future::pending::<Result<Value, JobError>>();
        let running = start(Worker::builder(another(&queue)).register(handler), LONG);
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        running.task.abort();
        assert!(running.task.await.unwrap_err().is_cancelled());
        let rows = eventually(async || {
            queue.reap().await.unwrap();
            Some(claim(&queue, 1).await).filter(|rows| !rows.is_empty())
        })
        .await;
        assert_eq!((rows[0].id, rows[0].attempt, rows[0].fence), (id.0, 2, 2));
    })
    .await;
}
