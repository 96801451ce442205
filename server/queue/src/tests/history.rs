//! The history of a job: numbers, order, limits.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tenor_domain::{JobEvent, JobEventLevel, JobId, JobState};

use super::steps::{history, messages, moves};
use super::*;
use crate::DependencyPolicy;

fn check_numbers(events: &[JobEvent]) {
    let numbers: Vec<i64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=events.len() as i64).collect::<Vec<_>>());
}

fn of_level(events: &[JobEvent], level: JobEventLevel) -> Vec<&JobEvent> {
    events.iter().filter(|event| event.level == level).collect()
}

#[tokio::test]
async fn lines_of_many_jobs_are_numbered_without_a_gap_in_the_order_they_were_said() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            for n in 0..60 {
                match n % 3 {
                    0 => context.info(format!("{} {n}", context.job.attempt)).await,
                    1 => context.warn(format!("{} {n}", context.job.attempt)).await,
                    _ => context.progress(f64::from(n) / 60.0, format!("{} {n}", context.job.attempt)).await,
                }
                tokio::task::yield_now().await;
            }
            if context.job.attempt < 3 { Err(JobError::retry("again")) } else { Ok(json!(null)) }
        });
        let ids = join_all((0..8).map(|_| queue.enqueue(probe("x")))).await;
        for id in ids {
            let id = id.unwrap().id;
            ended(&queue, id).await;
            let lines = history(&queue, id).await;
            check_numbers(&lines);
            let said = |attempt: i32| (0..60).map(move |n| format!("{attempt} {n}"));
            let mut expected = Vec::new();
            for (attempt, end) in [(1, "ready"), (2, "ready"), (3, "succeeded")] {
                expected.push("running".to_owned());
                expected.extend(said(attempt));
                expected.push(end.to_owned());
            }
            assert_eq!(messages(&queue, id).await, expected);
        }
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn whatever_a_job_said_stands_before_the_line_of_its_end() {
    // Nothing is flushed before the end.
    let options = QueueOptions { flush_ms: 60_000, ..fast() };
    on_each_with(options, |queue, _| async move {
        let handler = |context: JobContext, probe: Probe| async move {
            for n in 0..5 {
                context.info(n.to_string()).await;
            }
            match probe.tag.as_str() {
                "succeeded" => Ok(json!(null)),
                "failed" => Err(JobError::fail("no")),
                "in one" => context.finish_with(|_| Box::pin(async { Ok(json!(null)) })).await,
                _ => {
                    context.cancelled().cancelled().await;
                    context.info("told").await;
                    Err(JobError::retry("stopped"))
                }
            }
        };
        let running = start(Worker::builder(queue.clone()).register(handler), Duration::ZERO);
        let said = ["running", "0", "1", "2", "3", "4"];
        for (tag, end) in [("succeeded", "succeeded"), ("failed", "failed"), ("in one", "succeeded")] {
            let id = queue.enqueue(probe(tag)).await.unwrap().id;
            ended(&queue, id).await;
            assert_eq!(messages(&queue, id).await, [&said[..], &[end]].concat());
        }
        let cancelled = queue.enqueue(probe("cancelled")).await.unwrap().id;
        until_state(&queue, cancelled, JobState::Running).await;
        queue.cancel(cancelled).await.unwrap();
        ended(&queue, cancelled).await;
        let lines = messages(&queue, cancelled).await;
        assert_eq!(lines.iter().filter(|line| *line == "cancel requested").count(), 1);
        assert_eq!(lines[lines.len() - 2..], ["told", "cancelled"]);

        let released = queue.enqueue(probe("released")).await.unwrap().id;
        until_state(&queue, released, JobState::Running).await;
        assert_eq!(running.stop().await.released, 1);
        assert_eq!(messages(&queue, released).await, [&said[..], &["told", "ready"]].concat());
    })
    .await;
}

#[tokio::test]
async fn lines_said_after_the_end_are_refused_and_those_of_others_are_not() {
    on_each(|queue, _| async move {
        let kept: Arc<Mutex<Option<JobContext>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let running = worker(&queue, move |context, probe| {
            let keep = Arc::clone(&keep);
            async move {
                if probe.tag == "first" {
                    keep.lock().unwrap().replace(context);
                    return Ok(json!(null));
                }
                let ghost = keep.lock().unwrap().clone().unwrap();
                context.info("mine").await;
                ghost.info("from beyond").await;
                context.info("mine too").await;
                Ok(json!(null))
            }
        });
        let first = queue.enqueue(probe("first")).await.unwrap().id;
        ended(&queue, first).await;
        let second = queue.enqueue(probe("second")).await.unwrap().id;
        ended(&queue, second).await;
        running.stop().await;
        assert_eq!(messages(&queue, first).await, ["running", "succeeded"]);
        assert_eq!(messages(&queue, second).await, ["running", "mine", "mine too", "succeeded"]);
    })
    .await;
}

#[tokio::test]
async fn progress_with_the_same_words_is_one_line_with_the_newest_share() {
    let options = QueueOptions { flush_ms: 60_000, ..fast() };
    on_each_with(options, |queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            for n in 0..10_000 {
                context.progress(f64::from(n) / 20_000.0, "fitting").await;
            }
            context.info("half").await;
            context.progress(0.6, "fitting").await;
            context.progress(0.7, "fitting").await;
            context.progress(0.8, "scoring").await;
            context.progress(0.75, "fitting").await;
            Err(JobError::fail("no"))
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        assert_eq!(ended(&queue, id).await.progress, 0.75);
        let lines = history(&queue, id).await;
        let lines: Vec<_> = lines.iter().map(|event| (event.message.as_str(), event.progress)).collect();
        assert_eq!(
            lines,
            [
                ("running", None),
                ("fitting", Some(9_999.0 / 20_000.0)),
                ("half", None),
                ("fitting", Some(0.7)),
                ("scoring", Some(0.8)),
                ("fitting", Some(0.75)),
                ("failed", None)
            ]
        );
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn texts_are_cut_and_cleaned_and_data_has_a_limit() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            context.info("ä".repeat(4_000)).await;
            context.info("💥".repeat(1 << 18)).await;
            context.warn("a\0b\0").await;
            // Two quotation marks make the largest one.
            context.event(JobEventLevel::Info, "fits", &json!("x".repeat((64 << 10) - 2))).await;
            context.event(JobEventLevel::Error, "too large", &json!("x".repeat((64 << 10) - 1))).await;
            context.event(JobEventLevel::Warn, "nul", &json!({ "a\0": "\0\u{7}" })).await;
            for share in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1.1] {
                context.progress(share, share.to_string()).await;
            }
            Ok(json!(null))
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        ended(&queue, id).await;
        let lines = history(&queue, id).await;
        check_numbers(&lines);
        assert_eq!(lines[1].message, "ä".repeat(4_000));
        assert_eq!(lines[2].message, format!("{}…", "💥".repeat(4_000)));
        assert_eq!(lines[3].message, "a\u{fffd}b\u{fffd}");
        assert_eq!(lines[4].data, Some(json!("x".repeat((64 << 10) - 2))));
        let error = of_level(&lines, JobEventLevel::Error)[0];
        assert_eq!((error.message.as_str(), &error.data), ("too large", &Some(json!({ "omitted_bytes": 65_537 }))));
        assert_eq!(lines[6].data, Some(json!({ "a\0": "\0\u{7}" })));
        let shares: Vec<_> = of_level(&lines, JobEventLevel::Progress).iter().map(|line| line.progress).collect();
        assert_eq!(shares, [Some(0.0), Some(1.0), Some(0.0), Some(0.0), Some(1.0)]);
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_say_very_much_are_slowed_down_and_lose_no_line() {
    const LINES: usize = 6_000;
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            for n in 0..LINES {
                context.info(n.to_string()).await;
            }
            Ok(json!(null))
        });
        let ids = join_all((0..3).map(|_| queue.enqueue(probe("talker")))).await;
        for id in ids {
            let id = id.unwrap().id;
            ended(&queue, id).await;
            let lines = history(&queue, id).await;
            check_numbers(&lines);
            assert_eq!(lines.len(), LINES + 2);
            assert!(lines[1..=LINES].iter().enumerate().all(|(n, line)| line.message == n.to_string()));
        }
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn pages_are_between_one_and_a_thousand_lines() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            for n in 0..1_200 {
                context.info(n.to_string()).await;
            }
            Ok(json!(null))
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        ended(&queue, id).await;
        let count = async |after, limit| queue.events(id, after, limit).await.unwrap().len();
        assert_eq!(count(0, 0).await, 1);
        assert_eq!(count(0, 999).await, 999);
        assert_eq!(count(0, u32::MAX).await, 1_000);
        assert_eq!(count(1_000, 1_000).await, 202);
        assert_eq!(count(-5, 7).await, 7);
        assert_eq!((count(1_202, 9).await, count(i64::MAX, 9).await), (0, 0));
        assert_eq!(queue.events(JobId(id.0 + 1), 0, 9).await.unwrap(), []);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn every_end_has_its_line_also_of_jobs_that_never_ran() {
    on_each(|queue, _| async move {
        let bad = queue.enqueue(probe("bad").max_attempts(1)).await.unwrap().id;
        let child = |parent| probe("child").depends_on(parent, DependencyPolicy::AllSuccess);
        let waiting = queue.enqueue(child(bad)).await.unwrap().id;
        let unwanted = queue.enqueue(probe("unwanted").delay_ms(60_000)).await.unwrap().id;
        queue.cancel(unwanted).await.unwrap();
        let fence = steps::claim_only(&queue, bad).await;
        steps::end(&queue, fence, crate::finish::Outcome::Failed).await;
        let born_failed = queue.enqueue(child(bad)).await.unwrap().id;
        for (job, expected) in [(waiting, "failed"), (unwanted, "cancelled"), (born_failed, "failed")] {
            let lines = history(&queue, job).await;
            check_numbers(&lines);
            assert_eq!(moves(&lines), [expected]);
            let error = lines[0].data.as_ref().unwrap()["error"].as_str().map(str::to_owned);
            assert_eq!(error, queue.get(job).await.unwrap().error);
        }
    })
    .await;
}
