//! A job that failed or was cancelled goes back to the queue, and what it was about is pending again.

use serde_json::{Value, json};
use tenor_domain::{ErrorKind, JobState, State};
use tenor_queue::{Fence, JobError};

use crate::support::*;
use crate::worker::LONG;

#[tokio::test]
async fn a_failed_chain_is_put_back_job_by_job_and_succeeds() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        let run = bench.runs().train(&anyone(), train_spec(&split), None).await.unwrap();
        let jobs = [version.job_id.unwrap(), split.job_id.unwrap(), run.job_id.unwrap()];
        let mut hands = bench.work();
        let held = hands.next().await;
        bench.datasets().start_import(&held.fence(), &version.id).await.unwrap();
        held.end(Err(JobError::fail("the disk is full")));
        for _ in 0..3 {
            hands.settled().await;
        }
        bench.clock.advance_ms(5);

        assert!(!bench.jobs().requeue(jobs[0]).await.unwrap().state.is_final());
        let again = bench.datasets().get_version_by_id(&version.id).await.unwrap();
        assert!(!again.state.is_final() && again.error.is_none() && again.finished_at.is_none(), "{again:?}");
        assert_eq!(bench.splits().get(&split.id).await.unwrap().state, State::Failed, "one by one");
        let held = hands.next().await;
        assert_eq!(held.context.job.attempt, 1, "with all its attempts");
        bench.datasets().finish_import(&held.fence(), &version.id, Ok(import_outcome())).await.unwrap();
        held.end(Ok(Value::Null));
        bench.jobs().wait(jobs[0], LONG).await.unwrap();

        bench.jobs().requeue(jobs[1]).await.unwrap();
        let held = hands.next().await;
        let done = bench.splits().finish(&held.fence(), &split.id, Ok(split_outcome())).await.unwrap();
        assert_eq!((done.state, done.error), (State::Succeeded, None));
        held.end(Ok(Value::Null));

        let before = bench.runs().get(&run.id).await.unwrap();
        bench.jobs().requeue(jobs[2]).await.unwrap();
        let held = hands.next().await;
        let started = bench.runs().start(&held.fence(), &run.id).await.unwrap();
        assert_eq!((started.state, started.error, started.finished_at), (State::Running, None, None));
        assert!(started.etag.0 > before.etag.0, "it was changed");
        bench.runs().finish_training(&held.fence(), &anyone(), &run.id, made("file", None)).await.unwrap();
        assert_eq!(bench.runs().get(&run.id).await.unwrap().state, State::Succeeded);
        held.end(Ok(Value::Null));
        bench.jobs().wait(jobs[2], LONG).await.unwrap();
        for job in jobs {
            let error = bench.jobs().requeue(job).await.unwrap_err();
            check_error(&error, ErrorKind::FailedPrecondition, "JOB_STATE", "only a failed or cancelled job");
        }
        hands.stop().await;
    }
}

#[tokio::test]
async fn what_was_asked_for_again_is_not_put_back() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        for job in [split.job_id, version.job_id].map(Option::unwrap) {
            let job = bench.jobs().cancel(job).await.unwrap();
            bench.job_ended(&job).await.unwrap();
        }
        let again = bench.import("kindle", "x", Value::Null).await;
        assert_ne!(again.id, version.id);
        let error = bench.jobs().requeue(version.job_id.unwrap()).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "JOB_SUPERSEDED", "was started again");
        assert_eq!(bench.datasets().get_version_by_id(&version.id).await.unwrap().state, State::Cancelled);
        let job = bench.jobs().get(version.job_id.unwrap()).await.unwrap();
        assert_eq!(job.state, JobState::Cancelled, "nothing half-done stays");
    }
}

#[tokio::test]
async fn a_late_word_of_the_earlier_end_does_not_end_the_row_again() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let cancelled = bench.jobs().cancel(version.job_id.unwrap()).await.unwrap();
        bench.job_ended(&cancelled).await.unwrap();
        bench.jobs().requeue(cancelled.id).await.unwrap();
        bench.job_ended(&cancelled).await.unwrap();
        let row = bench.datasets().get_version_by_id(&version.id).await.unwrap();
        assert_eq!((row.state, row.error), (State::Pending, None), "{}", bench.database.name);
    }
}

#[tokio::test]
async fn a_job_ends_its_row_before_itself_and_only_under_its_fence() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let mut hands = bench.work();
        let held = hands.next().await;
        let mut job = (*held.context.job).clone();
        (job.state, job.error) = (JobState::Failed, Some("no".into()));
        let void = Fence { token: held.fence().token + 1, ..held.fence() };
        let error = bench.job_ending(&void, &job).await.unwrap_err();
        check_error(&error, ErrorKind::Conflict, "LEASE_LOST", "leave its rows alone");
        let state = async || bench.datasets().get_version_by_id(&version.id).await.unwrap().state;
        assert_eq!(state().await, State::Pending);
        bench.job_ending(&held.fence(), &job).await.unwrap();
        assert_eq!(state().await, State::Failed);
        assert_eq!(bench.jobs().get(job.id).await.unwrap().state, JobState::Running);
        held.end(Err(JobError::fail("no")));
        hands.settled().await;
        hands.stop().await;
    }
}

#[tokio::test]
async fn a_job_without_a_row_is_put_back_alone() {
    for bench in benches().await {
        for (kind, payload) in
            [("unheard_of", Value::Null), ("train_run", json!({})), ("train_run", json!({ "run_id": "x" }))]
        {
            let id = bench.queue().enqueue(tenor_queue::NewJob::new(kind, payload)).await.unwrap().id;
            bench.jobs().cancel(id).await.unwrap();
            assert_eq!(bench.jobs().requeue(id).await.unwrap().state, JobState::Ready);
        }
        let error = bench.jobs().requeue(tenor_domain::JobId(i64::MAX)).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "does not exist");
    }
}
