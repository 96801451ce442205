//! Attempts that fail: gaps, errors that no attempt can mend, used-up attempts, panics.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tenor_domain::{JobId, JobState};

use super::*;
use crate::{Error, backoff_ms};

#[tokio::test]
async fn a_job_that_fails_twice_succeeds_in_the_third_attempt_after_growing_gaps() {
    on_each(|queue, _| async move {
        let starts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&starts);
        let running = worker(&queue, move |context, _| {
            seen.lock().unwrap().push(Instant::now());
            async move {
                match context.job.attempt {
                    3 => Ok(json!("third time")),
                    attempt => Err(JobError::retry(format!("attempt {attempt} failed"))),
                }
            }
        });
        let id = queue.enqueue(probe("flaky").max_attempts(5)).await.unwrap().id;
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.error), (JobState::Succeeded, 3, None));
        let starts = starts.lock().unwrap().clone();
        let gaps: Vec<u64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis() as u64).collect();
        let expected = [1, 2].map(|attempt| backoff_ms(&fast(), id, attempt));
        assert!(expected[1] > expected[0] && gaps[0] >= expected[0] && gaps[1] >= expected[1], "{gaps:?} {expected:?}");
        running.stop().await;
    })
    .await;
}

#[test]
fn gaps_between_attempts_grow_to_the_cap_and_can_be_foretold() {
    let options = QueueOptions::default();
    for id in 1..200 {
        let gaps: Vec<u64> = (1..=12).map(|attempt| backoff_ms(&options, JobId(id), attempt)).collect();
        assert_eq!(gaps, (1..=12).map(|attempt| backoff_ms(&options, JobId(id), attempt)).collect::<Vec<_>>());
        assert!(gaps[..8].windows(2).all(|pair| pair[0] < pair[1]), "{gaps:?}");
        assert!(gaps.iter().all(|gap| (800..360_000).contains(gap)), "{gaps:?}");
    }
    for (attempt, id) in [(i32::MAX, i64::MAX), (0, 0), (i32::MIN, i64::MIN)] {
        assert!(backoff_ms(&options, JobId(id), attempt) < 360_000);
    }
    let spread: std::collections::HashSet<u64> = (0..100).map(|id| backoff_ms(&options, JobId(id), 1)).collect();
    assert!(spread.len() > 70, "jobs that fail together come back apart");
}

#[tokio::test]
async fn an_error_that_no_attempt_can_mend_is_not_tried_again() {
    on_each(|queue, _| async move {
        let calls = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&calls);
        let running = worker(&queue, move |_, probe| {
            seen.fetch_add(1, Ordering::SeqCst);
            async move {
                Err(match probe.tag.as_str() {
                    "fail" => JobError::fail("the column `stars` is missing"),
                    _ => tenor_domain::Error::invalid("stars", "must be 1 to 5").into(),
                })
            }
        });
        for tag in ["fail", "invalid"] {
            let id = queue.enqueue(probe(tag)).await.unwrap().id;
            let job = ended(&queue, id).await;
            assert_eq!((job.state, job.attempt), (JobState::Failed, 1));
            assert!(job.error.unwrap().contains("stars"));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn used_up_attempts_end_as_failed_and_requeue_gives_new_ones() {
    on_each(|queue, _| async move {
        let healed = Arc::new(AtomicU32::new(0));
        let flag = Arc::clone(&healed);
        let running = worker(&queue, move |_, _| {
            let ok = flag.load(Ordering::SeqCst) == 1;
            async move { if ok { Ok(json!("healed")) } else { Err(JobError::retry("disk full")) } }
        });
        let id = queue.enqueue(probe("x").max_attempts(2).unique_key("k")).await.unwrap().id;
        assert!(matches!(queue.requeue(id).await, Err(Error::NotRequeueable { .. })));
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.error.as_deref()), (JobState::Failed, 2, Some("disk full")));

        // Its key went to another job meanwhile.
        let other = queue.enqueue(probe("y").unique_key("k").delay_ms(60_000)).await.unwrap();
        assert!(!other.existing);
        assert!(matches!(queue.requeue(id).await, Err(Error::KeyTaken { key }) if key == "k"));
        assert_eq!(queue.cancel(other.id).await.unwrap().state, JobState::Cancelled);

        healed.store(1, Ordering::SeqCst);
        let again = queue.requeue(id).await.unwrap();
        assert_eq!(again.error, None);
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt, job.result), (JobState::Succeeded, 1, Some(json!("healed"))));
        assert!(matches!(queue.requeue(id).await, Err(Error::NotRequeueable { state: JobState::Succeeded, .. })));
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_fails_the_attempt_without_its_text_and_the_worker_goes_on() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, probe| async move {
            assert!(probe.tag != "bad" || context.job.attempt == 3, "secret path /etc/shadow");
            Ok(json!("fine"))
        });
        let bad = queue.enqueue(probe("bad")).await.unwrap().id;
        let good = queue.enqueue(probe("good")).await.unwrap().id;
        assert_eq!(ended(&queue, good).await.state, JobState::Succeeded);
        assert_eq!(ended(&queue, bad).await.attempt, 3);
        let once = queue.enqueue(probe("bad").max_attempts(1)).await.unwrap().id;
        let job = ended(&queue, once).await;
        assert_eq!(job.state, JobState::Failed);
        assert_eq!(job.error.unwrap(), "the job's code crashed; see the server's log");
        running.stop().await;
    })
    .await;
}
