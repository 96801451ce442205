use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tenor_domain::{
    DatasetVersion, Error, ErrorKind, Job, JobId, JobState, Metric, ParamValue, Run, Split, State, Tags, Timestamp,
};
use tenor_platform::NewArtifact;
use tenor_queue::{Fence, JobError, Queue, QueueOptions};

use crate::support::*;
use crate::worker::LONG;

const HOUR_MS: i64 = 3_600_000;

/// An import, a split that waits for it and a run that waits for that.
async fn chain(bench: &Bench) -> (DatasetVersion, Split, Run) {
    let version = bench.import("kindle", "x", Value::Null).await;
    let split = bench.split("kindle").await;
    let run = bench.runs().train(&anyone(), train_spec(&split), None).await.unwrap();
    (version, split, run)
}

/// The states and errors of the three rows.
async fn rows(bench: &Bench, (version, split, run): &(DatasetVersion, Split, Run)) -> [(State, Option<String>); 3] {
    let version = bench.datasets().get_version_by_id(&version.id).await.unwrap();
    let split = bench.splits().get(&split.id).await.unwrap();
    let run = bench.runs().get(&run.id).await.unwrap();
    for (state, finished_at) in
        [(version.state, version.finished_at), (split.state, split.finished_at), (run.state, run.finished_at)]
    {
        assert_eq!(state.is_final(), finished_at.is_some());
    }
    [(version.state, version.error), (split.state, split.error), (run.state, run.error)]
}

#[tokio::test]
async fn a_failed_import_fails_its_version_and_all_that_waited_for_it() {
    for bench in benches().await {
        let chain = chain(&bench).await;
        let mut hands = bench.work();
        let held = hands.next().await;
        bench.datasets().start_import(&held.fence(), &chain.0.id).await.unwrap();
        bench.clock.advance_ms(7);
        held.end(Err(JobError::fail("the file has no column `text`")));
        let mut kinds = Vec::new();
        for _ in 0..3 {
            kinds.push(hands.settled().await.kind);
        }
        kinds.sort_unstable();
        assert_eq!(kinds, ["import_dataset", "process_dataset", "train_run"]);
        let [version, split, run] = rows(&bench, &chain).await;
        assert_eq!(version, (State::Failed, Some("the file has no column `text`".to_owned())));
        for (state, error) in [split, run] {
            assert_eq!(state, State::Failed);
            assert!(error.as_ref().unwrap().contains("which it depends on, did not succeed"), "{error:?}");
        }
        let again = bench.import("kindle", "x", Value::Null).await;
        assert_eq!((again.number, again.state), (2, State::Pending), "a failed version is not the file's last word");
        let error = bench.splits().create(&anyone(), "kindle", Some(1), Value::Null, None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "DATASET_VERSION_NOT_READY", "import the file again");
        let error = bench.runs().train(&anyone(), train_spec(&chain.1), None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "SPLIT_NOT_READY", "create it again");
        hands.stop().await;
    }
}

#[tokio::test]
async fn a_cancelled_job_cancels_its_row_and_those_of_the_jobs_that_needed_it() {
    for bench in benches().await {
        let chain = chain(&bench).await;
        let mut hands = bench.work();
        let held = hands.next().await;
        bench.datasets().start_import(&held.fence(), &chain.0.id).await.unwrap();
        bench.jobs().cancel(chain.0.job_id.unwrap()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(hands.settled().await.state, JobState::Cancelled);
        }
        for (state, error) in rows(&bench, &chain).await {
            assert_eq!(state, State::Cancelled);
            assert!(error.is_some(), "it says why");
        }
        drop(held);
        hands.stop().await;
    }
}

#[tokio::test]
async fn settling_twice_too_late_or_without_a_row_changes_nothing() {
    for bench in benches().await {
        let chain = chain(&bench).await;
        let id = chain.2.job_id.unwrap();
        bench.job_ended(&bench.jobs().get(id).await.unwrap()).await.unwrap();
        assert_eq!(rows(&bench, &chain).await[2], (State::Pending, None), "it has not ended");
        let mut job = bench.jobs().cancel(id).await.unwrap();
        bench.job_ended(&job).await.unwrap();
        let settled = rows(&bench, &chain).await;
        assert_eq!(settled[2], (State::Cancelled, Some("cancelled on request".to_owned())));
        assert_eq!(settled[1], (State::Pending, None));
        let etag = bench.runs().get(&chain.2.id).await.unwrap().etag;
        bench.clock.advance_ms(5);
        job.error = Some("late".into());
        bench.job_ended(&job).await.unwrap();
        assert_eq!(rows(&bench, &chain).await, settled, "a final row stays as it is");
        assert_eq!(bench.runs().get(&chain.2.id).await.unwrap().etag, etag);
        for payload in [Value::Null, json!({}), json!({ "run_id": 7 }), json!({ "run_id": "nobody" }), json!("x")] {
            job.payload = payload;
            bench.job_ended(&job).await.unwrap();
        }
        job.kind = "unheard_of".into();
        bench.job_ended(&job).await.unwrap();
    }
}

#[tokio::test]
async fn a_late_word_that_a_job_ended_waits_for_whoever_puts_it_back_in_the_queue() {
    for bench in benches().await {
        let chain = chain(&bench).await;
        let job = bench.jobs().cancel(chain.2.job_id.unwrap()).await.unwrap();
        let queue = Queue::new(bench.database.db(), QueueOptions::default());
        let requeue = queue.begin_requeue(job.id).await.unwrap();
        let platform = Arc::clone(&bench.platform);
        let word = tokio::spawn(async move { platform.job_ended(&job).await });
        // Time for it to look before the commit, if it can.
        tokio::time::sleep(Duration::from_millis(100)).await;
        requeue.commit().await.unwrap();
        word.await.unwrap().unwrap();
        assert_eq!(rows(&bench, &chain).await[2], (State::Pending, None));
    }
}

#[tokio::test]
async fn a_split_that_is_made_while_its_import_ends_waits_for_it() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let mut hands = bench.work();
        let held = hands.next().await;
        let mut tx = bench.database.begin_write().await.unwrap();
        tenor_queue::check_fence(&mut tx, &held.fence()).await.unwrap();
        let platform = Arc::clone(&bench.platform);
        let split =
            tokio::spawn(async move { platform.splits().create(&anyone(), "kindle", None, Value::Null, None).await });
        // Time for it to take locks, if it takes any before the job's.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = Timestamp(1);
        tenor_store::dataset::move_version(&mut tx, version.id.as_str(), State::Running, None, None, now)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(split.await.unwrap().unwrap().dataset_version_id, version.id);
        drop(held);
        hands.stop().await;
    }
}

#[tokio::test]
async fn a_job_moves_its_row_along_and_only_once_to_an_end() {
    for bench in benches().await {
        let chain = chain(&bench).await;
        let mut hands = bench.work();
        let held = hands.next().await;
        let datasets = bench.datasets();
        let started = datasets.start_import(&held.fence(), &chain.0.id).await.unwrap();
        assert_eq!((started.state, started.finished_at), (State::Running, None));
        bench.clock.advance_ms(3);
        let done = datasets.finish_import(&held.fence(), &chain.0.id, Ok(import_outcome())).await.unwrap();
        assert_eq!((done.state, done.outcome), (State::Succeeded, Some(import_outcome())));
        let error = datasets.finish_import(&held.fence(), &chain.0.id, Err("no".into())).await.unwrap_err();
        check_error(
            &error,
            ErrorKind::FailedPrecondition,
            "ILLEGAL_TRANSITION",
            "is succeeded and cannot become failed",
        );
        held.end(Ok(Value::Null));

        let held = hands.next().await;
        bench.splits().start(&held.fence(), &chain.1.id).await.unwrap();
        // What failed may hold anything that a file held.
        let failed = bench.splits().finish(&held.fence(), &chain.1.id, Err("column `a\0b`".into())).await.unwrap();
        assert_eq!((failed.state, failed.error.as_deref()), (State::Failed, Some("column `a\u{fffd}b`")));
        let error = bench.splits().start(&held.fence(), &chain.1.id).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "ILLEGAL_TRANSITION", "the split is failed");
        held.end(Ok(Value::Null));

        let held = hands.next().await;
        let started = bench.runs().start(&held.fence(), &chain.2.id).await.unwrap();
        assert_eq!((started.state, started.started_at.unwrap().0), (State::Running, START.0 + 3));
        bench.clock.advance_ms(4);
        assert_eq!(bench.runs().start(&held.fence(), &chain.2.id).await.unwrap(), started, "a second start is none");
        let ending = Job { state: JobState::Failed, error: Some("a\0b".into()), ..(*held.context.job).clone() };
        bench.platform.job_ending(&held.fence(), &ending).await.unwrap();
        let failed = bench.runs().get(&chain.2.id).await.unwrap();
        assert_eq!((failed.state, failed.error.as_deref()), (State::Failed, Some("a\u{fffd}b")));
        assert_eq!(failed.finished_at.unwrap().0, START.0 + 7);
        held.end(Ok(Value::Null));
        bench.jobs().wait(chain.2.job_id.unwrap(), LONG).await.unwrap();
        hands.stop().await;
    }
}

#[tokio::test]
async fn under_a_void_fence_nothing_is_written() {
    for bench in benches().await {
        let (version, split, run) = chain(&bench).await;
        let digest = bench.blobs().put_bytes(Bytes::from("file")).await.unwrap();
        let mut hands = bench.work();
        let held = hands.next().await;
        let before = bench.runs().get(&run.id).await.unwrap();
        let runs = bench.runs();
        for void in [
            Fence { token: held.fence().token + 1, ..held.fence() },
            Fence { job: JobId(i64::MAX), ..held.fence() },
            // A job that does not run yet.
            Fence { job: run.job_id.unwrap(), token: 0 },
        ] {
            let artifact = NewArtifact { name: "a".into(), media_type: String::new(), digest };
            let point = Metric { key: "a".into(), value: 1.0, step: 1, at: START };
            let params = BTreeMap::from([("p".to_owned(), ParamValue::Int(1))]);
            let refused: Vec<Option<Error>> = vec![
                bench.datasets().start_import(&void, &version.id).await.err(),
                bench.datasets().finish_import(&void, &version.id, Ok(import_outcome())).await.err(),
                bench.splits().start(&void, &split.id).await.err(),
                bench.splits().finish(&void, &split.id, Ok(split_outcome())).await.err(),
                runs.start(&void, &run.id).await.err(),
                runs.finish_training(&void, &anyone(), &run.id, made("x", Some("stars"))).await.err(),
                runs.log_params(&run.id, params, Some(&void)).await.err(),
                runs.log_metrics(&anyone(), &run.id, vec![point], key(), Some(&void)).await.err(),
                runs.set_tags(&run.id, &tags(&[("t", "v")]), Some(&void)).await.err(),
                runs.add_artifact(&run.id, artifact, Some(&void)).await.err(),
            ];
            for (index, error) in refused.into_iter().enumerate() {
                let error = error.unwrap_or_else(|| panic!("call {index} was let through"));
                check_error(&error, ErrorKind::Conflict, "LEASE_LOST", "leave its rows alone");
            }
        }
        assert_eq!(runs.get(&run.id).await.unwrap(), before);
        assert_eq!(runs.model(&run.id).await.unwrap(), None);
        assert!(runs.list_artifacts(&run.id).await.unwrap().is_empty());
        assert_eq!(bench.models().get("stars").await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(bench.datasets().get_version("kindle", None).await.unwrap(), version);
        assert_eq!(bench.splits().get(&split.id).await.unwrap(), split);

        let fence = held.fence();
        held.end(Ok(Value::Null));
        bench.jobs().wait(version.job_id.unwrap(), LONG).await.unwrap();
        let error = bench.datasets().start_import(&fence, &version.id).await.unwrap_err();
        check_error(&error, ErrorKind::Conflict, "LEASE_LOST", "was lost");
        drop(hands.next().await);
        hands.stop().await;
    }
}

#[tokio::test]
async fn old_request_ids_are_forgotten_and_old_uploads_cleared_away() {
    for bench in benches().await {
        let id = key();
        let create = async || {
            let name = tenor_domain::ExperimentName::parse("e").unwrap();
            let new = tenor_platform::NewExperiment { name, description: String::new(), tags: Tags::new() };
            bench.experiments().create(&anyone(), new, id.clone()).await
        };
        let first = create().await.unwrap();
        let version = bench.import("kindle", "x", Value::Null).await;
        let open = bench.uploads().start(&anyone(), "half.csv", None, None).await.unwrap().id;
        bench.uploads().append_bytes(&open, 0, Bytes::from("half")).await.unwrap();
        bench.clock.advance_ms(24 * HOUR_MS);
        bench.tidy().await.unwrap();
        assert_eq!(create().await.unwrap(), first, "a day is not over");
        bench.clock.advance_ms(1);
        bench.tidy().await.unwrap();
        check_error(&create().await.unwrap_err(), ErrorKind::AlreadyExists, "ALREADY_EXISTS", "choose another name");

        assert_eq!(bench.uploads().get(&open).await.unwrap().received_bytes, 4);
        bench.clock.advance_ms(6 * 24 * HOUR_MS);
        bench.tidy().await.unwrap();
        assert_eq!(bench.uploads().get(&open).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(std::fs::read_dir(bench.folder.path().join("uploads")).unwrap().count(), 0);
        assert_eq!(bench.datasets().get_version("kindle", Some(1)).await.unwrap(), version);
        assert_eq!(bench.blobs().get_bytes(&version.source_digest, 10).await.unwrap(), "x");
    }
}
