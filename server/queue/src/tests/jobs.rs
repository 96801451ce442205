//! One job: keys, delays, priorities, kinds, bad input, lists, wake-ups.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::json;
use tenor_domain::{JobId, JobState, PageRequest};
use tokio::sync::Notify;

use super::*;
use crate::{DependencyPolicy, Error, JobFilter};

#[tokio::test]
async fn a_job_runs_and_keeps_its_result() {
    on_each(|queue, _| async move {
        let running = echo(&queue);
        let enqueued = queue.enqueue(probe("hello")).await.unwrap();
        assert!(!enqueued.existing);
        let job = ended(&queue, enqueued.id).await;
        assert_eq!((job.state, job.result, job.attempt), (JobState::Succeeded, Some(json!("hello")), 1));
        assert_eq!((job.progress, job.error), (1.0, None));
        assert!(job.started_at >= Some(job.created_at) && job.finished_at >= job.started_at);
        assert_eq!(running.stop().await.ended, 1);
    })
    .await;
}

#[tokio::test]
async fn a_unique_key_holds_while_its_job_lives() {
    on_each(|queue, _| async move {
        let first = queue.enqueue(probe("a").unique_key("train/kindle")).await.unwrap();
        let second = queue.enqueue(probe("b").unique_key("train/kindle")).await.unwrap();
        assert_eq!((second.id, second.existing), (first.id, true));
        let running = echo(&queue);
        assert_eq!(ended(&queue, first.id).await.result, Some(json!("a")));
        let third = queue.enqueue(probe("c").unique_key("train/kindle")).await.unwrap();
        assert!(!third.existing && third.id > first.id);
        ended(&queue, third.id).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn of_many_who_enqueue_the_same_key_at_once_one_wins() {
    on_each(|queue, _| async move {
        let tries = (0..16).map(|_| queue.enqueue(probe("x").unique_key("one")));
        let all: Vec<_> = futures::future::try_join_all(tries).await.unwrap();
        assert_eq!(all.iter().filter(|enqueued| !enqueued.existing).count(), 1);
        assert!(all.iter().all(|enqueued| enqueued.id == all[0].id));
    })
    .await;
}

#[tokio::test]
async fn higher_priority_first_then_earlier_then_not_before_the_delay() {
    on_each(|queue, _| async move {
        let mut ids = Vec::new();
        for (tag, priority, delay_ms) in
            [("low", -5, 0), ("first", 0, 0), ("second", 0, 0), ("high", 9, 0), ("late", 99, 400)]
        {
            ids.push(queue.enqueue(probe(tag).priority(priority).delay_ms(delay_ms)).await.unwrap().id);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        let handler = move |_: JobContext, probe: Probe| {
            seen.lock().unwrap().push(probe.tag);
            async { Ok(json!(null)) }
        };
        let running = start(Worker::builder(queue.clone()).register(handler).slots(1), LONG);
        let late = ended(&queue, ids[4]).await;
        assert!(late.started_at.unwrap().0 >= late.created_at.0 + 400);
        for id in ids {
            ended(&queue, id).await;
        }
        assert_eq!(*order.lock().unwrap(), ["high", "first", "second", "low", "late"]);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn jobs_of_unknown_kinds_wait_for_a_worker_that_knows_them() {
    on_each(|queue, _| async move {
        let unknown = queue.enqueue(NewJob::new("tomorrow", json!({})).priority(100)).await.unwrap().id;
        let running = echo(&queue);
        let known = queue.enqueue(probe("x")).await.unwrap().id;
        ended(&queue, known).await;
        assert_eq!(queue.get(unknown).await.unwrap().state, JobState::Ready);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_payload_that_the_handler_cannot_read_fails_at_once() {
    on_each(|queue, _| async move {
        let running = echo(&queue);
        let id = queue.enqueue(NewJob::new("probe", json!({ "tag": 7 }))).await.unwrap().id;
        let job = ended(&queue, id).await;
        assert_eq!((job.state, job.attempt), (JobState::Failed, 1));
        assert!(job.error.unwrap().contains("cannot be read by this version"));
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn hostile_values_are_refused_with_the_field_or_kept_as_they_are() {
    on_each(|queue, _| async move {
        let refuse = async |job: NewJob, field: &str| match queue.enqueue(job).await {
            Err(Error::Invalid(error)) => assert_eq!(error.violations[0].field, field),
            other => panic!("{field}: {other:?}"),
        };
        refuse(NewJob::new("", json!({})), "kind").await;
        refuse(NewJob::new("a\0b", json!({})), "kind").await;
        refuse(NewJob::new("Upper", json!({})), "kind").await;
        refuse(probe("x").queue("a,b'; DROP TABLE jobs"), "queue").await;
        refuse(probe("x").unique_key(""), "unique_key").await;
        refuse(probe("x").unique_key("a\nb"), "unique_key").await;
        refuse(probe("x").unique_key("k".repeat(501)), "unique_key").await;
        refuse(probe("x").delay_ms(-1), "delay_ms").await;
        refuse(probe("x").delay_ms(i64::MAX), "delay_ms").await;
        refuse(probe("x").max_attempts(0), "max_attempts").await;
        refuse(probe("x").max_attempts(101), "max_attempts").await;
        refuse(probe(&"x".repeat(1 << 20)), "payload").await;
        refuse(probe("x").depends_on(JobId(999_999), DependencyPolicy::AllDone), "depends_on").await;
        refuse(probe("x").depends_on(JobId(-1), DependencyPolicy::AllDone), "depends_on").await;
        assert!(matches!(queue.get(JobId(i64::MIN)).await, Err(Error::NotFound(_))));
        assert!(matches!(queue.cancel(JobId(0)).await, Err(Error::NotFound(_))));
        assert!(matches!(queue.requeue(JobId(12_345)).await, Err(Error::NotFound(_))));
        assert!(matches!(queue.wait(JobId(12_345), LONG).await, Err(Error::NotFound(_))));

        const NASTY: &str = "nul \0 quote ' \" back \\ \u{2028} 💥 \u{1b}[31m";
        let running = worker(&queue, |context, probe| async move {
            context.progress(f64::NAN, NASTY).await;
            context.progress(7.0, NASTY).await;
            context.warn(NASTY.repeat(1_000)).await;
            context.event(tenor_domain::JobEventLevel::Info, NASTY, &json!({ "text": NASTY })).await;
            match probe.tag.starts_with("fail") {
                true => Err(JobError::fail(NASTY)),
                false => Ok(json!({ "tag": probe.tag })),
            }
        });
        let id = queue.enqueue(probe(NASTY).traceparent("nonsense")).await.unwrap().id;
        let job = ended(&queue, id).await;
        assert_eq!((job.result, job.traceparent), (Some(json!({ "tag": NASTY })), None));
        let events = queue.events(id, 0, 100).await.unwrap();
        assert!(events.iter().any(|event| event.data == Some(json!({ "text": NASTY }))), "{events:?}");
        let id = queue.enqueue(probe("fail")).await.unwrap().id;
        assert_eq!(ended(&queue, id).await.error, Some(NASTY.replace('\0', "\u{fffd}")));

        // A result that is too large fails the job, and does not hold up the worker.
        let large = worker(&queue, |_, probe| async move {
            Ok(json!(if probe.tag == "large" { "x".repeat(2 << 20) } else { probe.tag }))
        });
        running.stop().await;
        let id = queue.enqueue(probe("large")).await.unwrap().id;
        let job = ended(&queue, id).await;
        assert_eq!(job.state, JobState::Failed);
        assert!(job.error.unwrap().contains("limit"));
        let id = queue.enqueue(probe("small")).await.unwrap().id;
        assert_eq!(ended(&queue, id).await.state, JobState::Succeeded);
        large.stop().await;
    })
    .await;
}

#[tokio::test]
async fn lists_come_newest_first_in_pages_by_state_and_kind() {
    on_each(|queue, _| async move {
        let mut ids = Vec::new();
        for n in 0..7 {
            let kind = if n % 2 == 0 { "even" } else { "odd" };
            ids.push(queue.enqueue(NewJob::new(kind, json!(n))).await.unwrap().id);
        }
        queue.cancel(ids[0]).await.unwrap();
        ids.reverse();
        let list = async |states: &[JobState], kind: Option<&str>, cursor: Option<String>| {
            let filter = JobFilter { states: states.to_vec(), kind: kind.map(str::to_owned) };
            let page = queue.list(&filter, &PageRequest { size: 3, cursor }).await.unwrap();
            (page.items.iter().map(|job| job.id).collect::<Vec<_>>(), page.next)
        };
        let (first, next) = list(&[], None, None).await;
        assert_eq!(first, ids[..3]);
        let (second, next) = list(&[], None, next).await;
        assert_eq!(second, ids[3..6]);
        let (third, next) = list(&[], None, next).await;
        assert_eq!((third.as_slice(), next), (&ids[6..], None));
        assert_eq!(list(&[JobState::Cancelled], None, None).await.0, [ids[6]]);
        assert_eq!(list(&[JobState::Ready, JobState::Cancelled], Some("odd"), None).await.0, [ids[1], ids[3], ids[5]]);
        assert_eq!(list(&[], Some("%"), None).await.0, []);
        let wrong = PageRequest { size: 3, cursor: Some("1; DROP".to_owned()) };
        assert!(matches!(queue.list(&JobFilter::default(), &wrong).await, Err(Error::Invalid(_))));
    })
    .await;
}

#[tokio::test]
async fn a_worker_with_nothing_to_do_wakes_at_once_for_a_job_of_the_same_process() {
    let options = QueueOptions { poll_ms: 60_000, sqlite_poll_ms: 60_000, ..fast() };
    on_each_with(options, |queue, name| async move {
        let started = Arc::new(Notify::new());
        let signal = Arc::clone(&started);
        let running = worker(&queue, move |_, _| {
            signal.notify_one();
            async { Ok(json!(null)) }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut gaps = Vec::new();
        for _ in 0..20 {
            let asked = Instant::now();
            queue.enqueue(probe("x")).await.unwrap();
            started.notified().await;
            gaps.push(asked.elapsed());
        }
        gaps.sort();
        eprintln!("{name}: enqueue to start p50 {:?}, max {:?}", gaps[10], gaps[19]);
        assert!(gaps[19] < Duration::from_secs(5), "{gaps:?}");
        running.stop().await;
    })
    .await;
}
