//! The time limit of an attempt.

use std::sync::{Arc, Mutex};

use tenor_domain::JobState;

use super::steps::{history, moves};
use super::*;
use crate::{CancelReason, Error};

/// Has a limit of its own.
#[derive(serde::Serialize, serde::Deserialize)]
struct Brief;

impl crate::Job for Brief {
    const KIND: &'static str = "brief";
    const TIMEOUT: Option<Duration> = Some(Duration::from_millis(150));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_told_to_stop_and_tried_again() {
    on_each(|queue, _| async move {
        let reasons: Arc<Mutex<Vec<Option<CancelReason>>>> = Arc::default();
        let seen = Arc::clone(&reasons);
        let running = start(
            Worker::builder(queue.clone()).register(move |context: JobContext, _: Brief| {
                let seen = Arc::clone(&seen);
                async move {
                    if context.job.attempt == 2 {
                        return Ok(json!("in time"));
                    }
                    context.cancelled().cancelled().await;
                    seen.lock().unwrap().push(context.cancel_reason());
                    Err(JobError::fail("told to stop"))
                }
            }),
            LONG,
        );
        let id = queue.enqueue(NewJob::of(&Brief).unwrap()).await.unwrap().id;
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.error), (JobState::Succeeded, 2, None));
        assert_eq!(*reasons.lock().unwrap(), [None]);
        let lines = history(&queue, id).await;
        assert_eq!(moves(&lines), ["running", "ready", "running", "succeeded"]);
        let took = lines[1].at.0 - lines[0].at.0;
        assert!((140..5_000).contains(&took), "{took} ms");
        let error = lines[1].data.as_ref().unwrap()["error"].clone();
        assert_eq!(error, "attempt 1 took longer than its time limit of 150 ms");
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn attempts_that_all_take_too_long_end_as_failed_even_if_they_are_deaf() {
    let options = QueueOptions { abandon_ms: 50, ..fast() };
    on_each_with(options, |queue, _| async move {
        let running = worker(&queue, |_, _| std::future::pending());
        let id = queue.enqueue(probe("deaf").timeout_ms(80).max_attempts(2)).await.unwrap().id;
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt), (JobState::Failed, 2));
        assert_eq!(job.error.as_deref(), Some("attempt 2 took longer than its time limit of 80 ms"));
        assert_eq!(running.stop().await.ended, 2);
    })
    .await;
}

#[tokio::test]
async fn success_after_the_time_is_success_and_a_cancel_outranks_the_time() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, probe| async move {
            context.cancelled().cancelled().await;
            if probe.tag == "nearly done" {
                return Ok(json!("done"));
            }
            context.queue().cancel(context.job.id).await?;
            Err(JobError::retry("stopped"))
        });
        let done = queue.enqueue(probe("nearly done").timeout_ms(50)).await.unwrap().id;
        let cancelled = queue.enqueue(probe("unwanted").timeout_ms(50)).await.unwrap().id;
        let done = ended(&queue, done).await;
        assert_eq!((done.state, done.attempt), (JobState::Succeeded, 1));
        let cancelled = ended(&queue, cancelled).await;
        assert_eq!((cancelled.state, cancelled.attempt), (JobState::Cancelled, 1));
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_limit_of_the_kind_is_stored_with_the_job_and_an_option_replaces_it() {
    on_each(|queue, _| async move {
        let stored = async |job: NewJob| {
            let id = queue.enqueue(job).await.unwrap().id;
            queue.row(id).await.unwrap().timeout_ms
        };
        assert_eq!(stored(NewJob::of(&Brief).unwrap()).await, Some(150));
        assert_eq!(stored(NewJob::of(&Brief).unwrap().timeout_ms(7)).await, Some(7));
        assert_eq!(stored(probe("unlimited")).await, None);
        for wrong in [0, -1, i64::MAX] {
            match queue.enqueue(probe("x").timeout_ms(wrong)).await {
                Err(Error::Invalid(error)) => assert_eq!(error.violations[0].field, "timeout_ms"),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}
