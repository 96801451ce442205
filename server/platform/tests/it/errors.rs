//! What a caller is told when something below the use cases goes wrong, and what only the log is.

use serde_json::Value;
use tenor_domain::{Digest, Error, ErrorKind, JobId, JobState, PageRequest, UploadId};
use tenor_platform::SearchRuns;
use tenor_store::testing::execute;

use crate::support::*;

/// Every error of the store, and what becomes of it.
fn of_the_store() -> Vec<(tenor_store::Error, ErrorKind, &'static str)> {
    use tenor_store::Error as Store;
    let secret = || "password=hunter2 at /srv/secret".to_owned();
    let digest = Digest::of(b"x");
    vec![
        (Store::Config(secret()), ErrorKind::Internal, "INTERNAL"),
        (Store::NewerSchema { found: 9, known: 1 }, ErrorKind::Internal, "INTERNAL"),
        (Store::Migrate(secret()), ErrorKind::Internal, "INTERNAL"),
        (Store::Unavailable(secret()), ErrorKind::Unavailable, "UNAVAILABLE"),
        (Store::Serialization(secret()), ErrorKind::Conflict, "TRANSACTION_CONFLICT"),
        (Store::Unique(secret()), ErrorKind::Internal, "INTERNAL"),
        (Store::ForeignKey(secret()), ErrorKind::Internal, "INTERNAL"),
        (
            Store::Corrupt { table: "runs", column: "state", id: "1".into(), detail: secret() },
            ErrorKind::Internal,
            "INTERNAL",
        ),
        (Store::Io(secret()), ErrorKind::Internal, "INTERNAL"),
        (Store::BlobMissing(digest), ErrorKind::Internal, "BLOB_MISSING"),
        (Store::BlobCorrupt { expected: digest, found: "?".into() }, ErrorKind::Internal, "BLOB_CORRUPT"),
        (Store::BlobTooLarge { digest, size_bytes: 2, limit_bytes: 1 }, ErrorKind::ResourceExhausted, "BLOB_TOO_LARGE"),
        (Store::BlobRange { digest, start: 2, end: 1, size_bytes: 1 }, ErrorKind::InvalidArgument, "INVALID_FIELD"),
        (Store::TooLarge { limit_bytes: 1 }, ErrorKind::ResourceExhausted, "TOO_LARGE"),
        (Store::UploadBusy, ErrorKind::Conflict, "UPLOAD_BUSY"),
        (Store::Stream("gone".into()), ErrorKind::Cancelled, "STREAM_BROKEN"),
        (Store::UploadOffset { expected: 5, got: 4 }, ErrorKind::Conflict, "UPLOAD_OFFSET"),
    ]
}

#[test]
fn an_error_of_the_store_tells_the_caller_what_helps_and_the_log_the_rest() {
    for (error, kind, reason) in of_the_store() {
        let shown = format!("{error:?}");
        let inner = error.to_string();
        let error = Error::from(error);
        assert_eq!((error.kind, error.reason), (kind, reason), "{shown}");
        assert!(!error.message.contains("hunter2"), "{shown} leaks: {}", error.message);
        if inner.contains("hunter2") {
            assert!(error.cause.as_ref().is_some_and(|cause| cause.contains("hunter2")), "{shown} is lost for the log");
        }
        assert_eq!(error.retry_after_ms.is_some(), kind == ErrorKind::Unavailable, "{shown}");
        assert_eq!(!error.violations.is_empty(), kind == ErrorKind::InvalidArgument, "{shown}");
    }
}

#[test]
fn an_error_of_the_queue_keeps_its_kind() {
    use tenor_queue::Error as Queue;
    let job = JobId(7);
    for (error, kind, reason) in [
        (Queue::Store(tenor_store::Error::UploadBusy), ErrorKind::Conflict, "UPLOAD_BUSY"),
        (Queue::LeaseLost(job), ErrorKind::Conflict, "LEASE_LOST"),
        (Queue::CancelRequested(job), ErrorKind::Cancelled, "JOB_CANCELLED"),
        (Queue::NotFound(job), ErrorKind::NotFound, "NOT_FOUND"),
        (Queue::NotRequeueable { job, state: JobState::Running }, ErrorKind::FailedPrecondition, "JOB_STATE"),
        (Queue::KeyTaken { key: "k".into() }, ErrorKind::FailedPrecondition, "JOB_KEY_TAKEN"),
        (Queue::Invalid(Error::invalid("f", "is wrong")), ErrorKind::InvalidArgument, "INVALID_FIELD"),
        (Queue::Timeout(job), ErrorKind::DeadlineExceeded, "JOB_WAIT_TIMEOUT"),
    ] {
        let shown = format!("{error:?}");
        let error = Error::from(error);
        assert_eq!((error.kind, error.reason), (kind, reason), "{shown}");
        assert!(!error.message.is_empty() && !error.message.ends_with('.'), "{shown}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_unavailable_and_says_when_to_retry() {
    for bench in benches().await {
        bench.run("r").await;
        bench.database.close().await;
        for error in [
            bench.ping().await.unwrap_err(),
            bench.experiments().get("e").await.unwrap_err(),
            bench.runs().create(&anyone(), new_run("r"), key()).await.unwrap_err(),
            bench.jobs().get(JobId(1)).await.unwrap_err(),
            bench.jobs().list(tenor_platform::JobFilter::default(), PageRequest::first(0)).await.unwrap_err(),
        ] {
            check_error(&error, ErrorKind::Unavailable, "UNAVAILABLE", "try again shortly");
            assert!(error.retry_after_ms.is_some_and(|ms| ms > 0));
            assert!(error.cause.is_some(), "the log learns more");
        }
    }
}

/// Breaks a column of all rows of a table, then calls what reads it.
async fn broken<T>(
    bench: &Bench,
    table: &str,
    column: &str,
    value: &str,
    call: impl Future<Output = Result<T, Error>>,
) {
    let sql = format!("UPDATE {table} SET {column} = '{value}'");
    assert!(execute(&bench.database, &sql).await.unwrap() > 0, "{sql}");
    let Err(error) = call.await else { panic!("read after {sql}") };
    check_error(&error, ErrorKind::Internal, "INTERNAL", "internal error");
    assert_eq!(error.message, "internal error", "{sql}");
    let cause = error.cause.unwrap();
    assert!(cause.contains(&format!("`{table}`")) && cause.contains(&format!("`{column}`")), "{sql}: {cause}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_our_fault_and_the_log_says_where_it_is() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        let run = bench.run("r").await;
        bench.runs().log_params(&run.id, [("p".into(), tenor_domain::ParamValue::Int(1))].into(), None).await.unwrap();
        bench.version("stars", "1").await;
        bench.deploy("front", "stars", "champion").await;
        let job = version.job_id.unwrap();
        let upload: UploadId = bench.upload("y").await;
        broken(&bench, "uploads", "digest", "zz", bench.uploads().get(&upload)).await;
        broken(&bench, "splits", "state", "lost", bench.splits().get(&split.id)).await;
        // A column that is read first goes last.
        broken(&bench, "dataset_versions", "options", "{", bench.datasets().get_version_by_id(&version.id)).await;
        broken(&bench, "dataset_versions", "source_digest", "ABC", bench.datasets().get_version_by_id(&version.id))
            .await;
        broken(&bench, "datasets", "tags", "[1]", bench.datasets().get("kindle")).await;
        broken(&bench, "run_params", "value", "one", bench.runs().get(&run.id)).await;
        broken(&bench, "run_params", "kind", "odd", bench.runs().get(&run.id)).await;
        broken(&bench, "runs", "state", "lost", bench.runs().list(SearchRuns::default(), PageRequest::first(0))).await;
        broken(&bench, "experiments", "tags", "", bench.experiments().get("e")).await;
        broken(&bench, "model_versions", "classes", "{}", bench.models().get_version("stars", "1")).await;
        broken(&bench, "deployments", "contract_mode", "odd", bench.deployments().list_with_current()).await;
        broken(&bench, "registered_models", "tags", "x", bench.models().get("stars")).await;
        broken(&bench, "jobs", "payload", "{", bench.jobs().get(job)).await;
    }
}

#[tokio::test]
async fn a_blob_that_is_gone_or_was_changed_is_noticed_before_it_is_used() {
    for bench in benches().await {
        let digest = bench.blobs().put_bytes(bytes::Bytes::from("the bytes")).await.unwrap();
        let hex = digest.to_string();
        let path = bench.folder.path().join("blobs/sha256").join(&hex[..2]).join(&hex[2..]);
        let read = async || bench.blobs().get_bytes(&digest, 100).await.map_err(Error::from);
        let error = Error::from(bench.blobs().get_bytes(&digest, 8).await.unwrap_err());
        check_error(&error, ErrorKind::ResourceExhausted, "BLOB_TOO_LARGE", "the limit here is 8");
        let error = Error::from(bench.blobs().get_stream(&digest, Some(5..99)).await.err().unwrap());
        check_error(&error, ErrorKind::InvalidArgument, "INVALID_FIELD", "is outside of blob");
        std::fs::write(&path, "the bytez").unwrap();
        check_error(&read().await.unwrap_err(), ErrorKind::Internal, "BLOB_CORRUPT", "restore it from a backup");
        std::fs::write(&path, "the").unwrap();
        check_error(&read().await.unwrap_err(), ErrorKind::Internal, "BLOB_CORRUPT", "restore it from a backup");
        std::fs::remove_file(&path).unwrap();
        check_error(&read().await.unwrap_err(), ErrorKind::Internal, "BLOB_MISSING", &hex);
    }
}
