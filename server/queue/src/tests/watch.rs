//! Following the history of a job: nothing is lost or repeated, whenever the reader comes and goes.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::join;
use tenor_domain::{JobEvent, JobId, JobState};
use tokio::sync::Semaphore;

use super::steps::{claim_only, end, history, take_away};
use super::*;
use crate::Error;
use crate::finish::Outcome;

/// Everything from there to the end.
async fn rest(queue: &Queue, job: JobId, after_seq: i64) -> Vec<JobEvent> {
    let all = queue.watch(job, after_seq).map(|event| event.unwrap()).collect();
    tokio::time::timeout(LONG, all).await.expect("the watch does not end")
}

/// Reads to the end, leaving after 1, 2, 3, .. lines each time and coming back with the last number seen.
async fn restless(queue: &Queue, job: JobId) -> Vec<JobEvent> {
    let mut all: Vec<JobEvent> = Vec::new();
    for patience in (1..12).cycle() {
        let last = all.last().map_or(0, |event| event.seq);
        let some = queue.watch(job, last).take(patience).map(|event| event.unwrap()).collect();
        let some: Vec<JobEvent> = tokio::time::timeout(LONG, some).await.expect("the watch stands still");
        let over = some.len() < patience;
        all.extend(some);
        if over {
            break;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_reconnects_after_any_line_loses_and_repeats_nothing() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            for n in 0..400 {
                match n % 4 {
                    0 => context.progress(f64::from(n) / 400.0, format!("step {n}")).await,
                    _ => context.info(n.to_string()).await,
                }
                if n % 10 == 0 {
                    // Written while the readers come and go.
                    context.shared.flush().await.unwrap();
                }
            }
            if context.job.attempt < 3 { Err(JobError::retry("again")) } else { Ok(json!(null)) }
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        let far = another(&queue);
        let (near, (far, steady)) = join(restless(&queue, id), join(restless(&far, id), rest(&queue, id, 0))).await;
        let all = history(&queue, id).await;
        assert_eq!(all.len(), 3 * 402);
        assert!(all.iter().zip(1..).all(|(event, seq)| event.seq == seq));
        assert!(near == all && far == all && steady == all);
        assert_eq!(all.last().unwrap().message, "succeeded");
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_from_any_number_gives_what_is_left_and_ends() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            for n in 0..20 {
                context.info(n.to_string()).await;
            }
            Ok(json!(null))
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        ended(&queue, id).await;
        let all = history(&queue, id).await;
        for after_seq in -1..=23 {
            let left = all.iter().filter(|event| event.seq > after_seq).cloned().collect::<Vec<_>>();
            assert_eq!(rest(&queue, id, after_seq).await, left, "after {after_seq}");
        }
        assert_eq!(rest(&queue, id, i64::MAX).await, []);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_watch_of_a_missing_job_says_so_once() {
    on_each(|queue, _| async move {
        let mut watch = queue.watch(JobId(77), 0);
        assert!(matches!(watch.next().await, Some(Err(Error::NotFound(JobId(77))))));
        assert!(watch.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_watch_goes_on_through_lost_leases_and_retries_and_ends_with_each_final_state() {
    on_each(|queue, _| async move {
        let id = queue.enqueue(probe("x").max_attempts(3)).await.unwrap().id;
        let mut watch = queue.watch(id, 0);
        let mut next = async || {
            let event = tokio::time::timeout(LONG, watch.next()).await.expect("no line came");
            event.map(|event| event.unwrap().message)
        };
        claim_only(&queue, id).await;
        assert_eq!(next().await.as_deref(), Some("running"));
        take_away(&queue, id).await;
        assert_eq!(next().await.as_deref(), Some("ready"));
        let fence = claim_only(&queue, id).await;
        end(&queue, fence, Outcome::Retry).await;
        assert_eq!(next().await.as_deref(), Some("running"));
        assert_eq!(next().await.as_deref(), Some("ready"));
        let fence = claim_only(&queue, id).await;
        end(&queue, fence, Outcome::Retry).await;
        assert_eq!(next().await.as_deref(), Some("running"));
        assert_eq!(next().await.as_deref(), Some("failed"));
        assert_eq!(next().await, None);

        queue.requeue(id).await.unwrap();
        let seen = history(&queue, id).await.len() as i64 - 1;
        queue.cancel(id).await.unwrap();
        let after: Vec<_> = rest(&queue, id, seen).await.into_iter().map(|event| event.message).collect();
        assert_eq!(after, ["ready", "cancelled"]);
    })
    .await;
}

#[tokio::test]
async fn a_line_reaches_a_waiting_reader_of_another_process_without_a_poll() {
    // Polls would take minutes; on SQLite processes have nothing but polls, so only the own process is watched there.
    let options = QueueOptions { poll_ms: 300_000, sqlite_poll_ms: 300_000, ..fast() };
    on_each_with(options, |queue, name| async move {
        let gate = Arc::new(Semaphore::new(0));
        let open = Arc::clone(&gate);
        let reader = if name == "postgres" { another(&queue) } else { queue.clone() };
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        let mut watch = reader.watch(id, 0);
        let running = worker(&queue, move |context, _| {
            let open = Arc::clone(&open);
            async move {
                context.info("started").await;
                open.acquire().await.unwrap().forget();
                context.info("let go").await;
                Ok(json!(null))
            }
        });
        for expected in ["running", "started", "let go", "succeeded"] {
            let event = tokio::time::timeout(LONG, watch.next()).await.expect("no line came").unwrap().unwrap();
            assert_eq!(event.message, expected);
            if expected == "started" {
                gate.add_permits(1);
            }
        }
        assert_eq!(queue.get(id).await.unwrap().state, JobState::Succeeded);
        running.stop().await;
    })
    .await;
}
