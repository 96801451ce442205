use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tenor_domain::{ErrorKind, Job, JobEvent, JobEventLevel, JobId, JobState, PageRequest};
use tenor_platform::JobFilter;
use tenor_queue::JobError;

use crate::support::*;
use crate::worker::LONG;

fn filter(states: &[JobState], kind: Option<&str>) -> JobFilter {
    JobFilter { states: states.to_vec(), kind: kind.map(str::to_owned) }
}

async fn all(bench: &Bench, filter: &JobFilter, size: u32) -> Vec<JobId> {
    let mut page = PageRequest::first(size);
    let mut ids = Vec::new();
    loop {
        let found = bench.jobs().list(filter.clone(), page.clone()).await.unwrap();
        assert!(found.items.len() <= size as usize);
        ids.extend(found.items.into_iter().map(|job| job.id));
        let Some(next) = found.next else { return ids };
        page.cursor = Some(next);
    }
}

#[tokio::test]
async fn jobs_are_listed_newest_first_by_state_and_kind() {
    for bench in benches().await {
        let mut imports = Vec::new();
        let mut splits = Vec::new();
        for n in 0..5 {
            let dataset = format!("d{n}");
            imports.push(bench.import(&dataset, "x", Value::Null).await.job_id.unwrap());
            splits.push(bench.split(&dataset).await.job_id.unwrap());
        }
        let sorted = |ids: &[JobId]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable_by(|one, other| other.cmp(one));
            ids
        };
        let both = [imports.clone(), splits.clone()].concat();
        for size in [1, 2, 3, 10, 1_000] {
            assert_eq!(all(&bench, &filter(&[], None), size).await, sorted(&both));
            assert_eq!(all(&bench, &filter(&[], Some("import_dataset")), size).await, sorted(&imports));
            assert_eq!(all(&bench, &filter(&[JobState::Waiting], None), size).await, sorted(&splits));
        }
        let ends = [JobState::Failed, JobState::Cancelled];
        assert!(all(&bench, &filter(&ends, None), 10).await.is_empty());
        bench.jobs().cancel(splits[0]).await.unwrap();
        assert_eq!(all(&bench, &filter(&ends, Some("process_dataset")), 10).await, [splits[0]]);
        assert!(all(&bench, &filter(&[], Some("' OR 1 = 1; --")), 10).await.is_empty());

        let first = bench.jobs().list(filter(&[], None), PageRequest::first(2)).await.unwrap();
        let page = PageRequest { size: 2, cursor: first.next };
        for other in [filter(&[JobState::Waiting], None), filter(&[], Some("train_run"))] {
            let error = bench.jobs().list(other, page.clone()).await.unwrap_err();
            check_error(&error, ErrorKind::InvalidArgument, "INVALID_FIELD", "other arguments");
        }
        let error = bench.jobs().list(filter(&[], Some("a\0b")), PageRequest::first(2)).await.unwrap_err();
        assert_eq!(error.violations[0].field, "kind", "{}", bench.database.name);
    }
}

#[tokio::test]
async fn cancelling_a_job_cancels_the_tree_that_needs_it_and_nothing_else() {
    for bench in benches().await {
        let import = bench.import("kindle", "x", Value::Null).await.job_id.unwrap();
        let other = bench.import("other", "x", Value::Null).await.job_id.unwrap();
        let one = bench.split("kindle").await;
        let two = bench.splits().create(&anyone(), "kindle", None, json!({ "seed": 7 }), None).await.unwrap();
        let mut below = Vec::new();
        for split in [&one, &one, &two] {
            below.push(bench.runs().train(&anyone(), train_spec(split), None).await.unwrap().job_id.unwrap());
        }
        let states = async |ids: &[JobId]| {
            let mut states = Vec::new();
            for id in ids {
                states.push(bench.jobs().get(*id).await.unwrap().state);
            }
            states
        };
        let (one, two) = (one.job_id.unwrap(), two.job_id.unwrap());
        assert_eq!(bench.jobs().cancel(one).await.unwrap().state, JobState::Cancelled);
        assert_eq!(states(&[one, below[0], below[1]]).await, [JobState::Cancelled; 3]);
        assert_eq!(states(&[two, below[2]]).await, [JobState::Waiting; 2]);
        assert_eq!(states(&[import, other]).await, [JobState::Ready; 2]);
        let before = bench.jobs().get(one).await.unwrap();
        assert_eq!(bench.jobs().cancel(one).await.unwrap(), before, "a finished job is left as it is");
        bench.jobs().cancel(import).await.unwrap();
        assert_eq!(states(&[import, two, below[2]]).await, [JobState::Cancelled; 3]);
        assert_eq!(states(&[other]).await, [JobState::Ready]);
        for unknown in [JobId(i64::MAX), JobId(0), JobId(-1)] {
            let error = bench.jobs().cancel(unknown).await.unwrap_err();
            check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "does not exist");
        }
    }
}

#[tokio::test]
async fn the_history_of_a_job_is_followed_and_resumed_without_a_loss() {
    for bench in benches().await {
        let id = bench.import("kindle", "x", Value::Null).await.job_id.unwrap();
        let jobs = bench.jobs();
        let mut early = jobs.watch(id, 0);
        let mut hands = bench.work();
        let held = hands.next().await;
        for n in 0..5 {
            held.context.info(format!("line {n}")).await;
        }
        held.context.progress(0.5, "half").await;
        let mut seen: Vec<JobEvent> = Vec::new();
        while seen.last().is_none_or(|event| event.message != "line 2") {
            seen.push(tokio::time::timeout(LONG, early.next()).await.unwrap().unwrap().unwrap());
        }
        drop(early);
        held.end(Ok(json!("done")));
        let rest: Vec<_> = jobs.watch(id, seen.last().unwrap().seq).map(Result::unwrap).collect().await;
        seen.extend(rest);
        assert_eq!(seen, jobs.events(id, 0, 1_000).await.unwrap());
        assert_eq!(seen, jobs.watch(id, 0).map(Result::unwrap).collect::<Vec<_>>().await);
        let numbers: Vec<_> = seen.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=i64::try_from(seen.len()).unwrap()).collect::<Vec<_>>());
        let messages: Vec<_> = seen.iter().map(|event| event.message.as_str()).collect();
        assert_eq!(messages, ["running", "line 0", "line 1", "line 2", "line 3", "line 4", "half", "succeeded"]);
        assert_eq!((seen[6].level, seen[6].progress), (JobEventLevel::Progress, Some(0.5)));
        assert_eq!(jobs.events(id, 2, 3).await.unwrap(), seen[2..5]);
        assert!(jobs.events(id, i64::MAX, 3).await.unwrap().is_empty());
        assert!(jobs.watch(id, i64::MAX).collect::<Vec<_>>().await.is_empty());
        let unknown: Vec<_> = jobs.watch(JobId(i64::MAX), 0).collect().await;
        assert_eq!((unknown.len(), unknown[0].as_ref().unwrap_err().kind), (1, ErrorKind::NotFound));
        hands.stop().await;
    }
}

#[tokio::test]
async fn a_wait_returns_at_the_end_of_the_job_or_with_the_job_as_it_is() {
    for bench in benches().await {
        let id = bench.import("kindle", "x", Value::Null).await.job_id.unwrap();
        let jobs = bench.jobs();
        let waited = jobs.wait(id, Duration::from_millis(1)).await.unwrap();
        assert_eq!(waited.state, JobState::Ready, "the time was over");
        let platform = bench.platform.clone();
        let waiting = tokio::spawn(async move { platform.jobs().wait(id, LONG).await });
        let mut hands = bench.work();
        hands.next().await.end(Ok(json!({ "rows": 3 })));
        let Job { state, result, .. } = waiting.await.unwrap().unwrap();
        assert_eq!((state, result), (JobState::Succeeded, Some(json!({ "rows": 3 }))));
        assert_eq!(jobs.wait(id, Duration::ZERO).await.unwrap().state, JobState::Succeeded);
        let error = jobs.wait(JobId(i64::MAX), LONG).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "does not exist");
        hands.stop().await;
    }
}

#[tokio::test]
async fn a_job_carries_the_trace_of_whoever_asked() {
    for bench in benches().await {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let caller = tenor_domain::Caller { traceparent: Some(traceparent.into()), ..anyone() };
        bench.import("kindle", "x", Value::Null).await;
        let split = bench.splits().create(&caller, "kindle", None, Value::Null, None).await.unwrap();
        let job = bench.jobs().get(split.job_id.unwrap()).await.unwrap();
        assert_eq!(job.traceparent.as_deref(), Some(traceparent));
    }
}

#[tokio::test]
async fn a_job_that_is_tried_again_finds_its_row_as_it_left_it() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let mut hands = bench.work();
        let first = hands.next().await;
        bench.datasets().start_import(&first.fence(), &version.id).await.unwrap();
        let void = first.fence();
        first.end(Err(JobError::retry("the disk is full")));
        let second = hands.next().await;
        assert_eq!((second.context.job.attempt, second.context.job.error.as_deref()), (2, Some("the disk is full")));
        let error = bench.datasets().start_import(&void, &version.id).await.unwrap_err();
        check_error(&error, ErrorKind::Conflict, "LEASE_LOST", "another attempt owns them");
        bench.datasets().start_import(&second.fence(), &version.id).await.unwrap();
        let done = bench.datasets().finish_import(&second.fence(), &version.id, Ok(import_outcome())).await.unwrap();
        assert_eq!(done.outcome, Some(import_outcome()));
        second.end(Ok(Value::Null));
        hands.stop().await;
    }
}
