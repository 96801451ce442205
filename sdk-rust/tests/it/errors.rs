//! What errors carry, and which calls are tried again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tenor_sdk::{Client, ClientBuilder, Kind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::fake::{State, start};

#[tokio::test]
async fn the_details_of_a_status_become_fields_of_the_error() {
    let mut details = ErrorDetails::new();
    details
        .set_error_info("QUEUE_FULL", "tenor", std::collections::HashMap::new())
        .add_bad_request_violation("job_id", "must be positive")
        .set_retry_info(Some(Duration::from_millis(1500)));
    let status = Status::with_error_details(Code::InvalidArgument, "`job_id` must be positive", details);
    let (client, _) = start(State { cancel_error: Mutex::new(Some(status)), ..State::default() }).await;
    let error = client.jobs().cancel(1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(error.reason(), "QUEUE_FULL");
    assert_eq!(error.message(), "`job_id` must be positive");
    assert_eq!(error.violations()[0].field, "job_id");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
}

#[tokio::test]
async fn a_read_is_tried_again_while_the_server_is_unavailable() {
    let (client, state) = start(State { busy: AtomicU32::new(2), ..State::default() }).await;
    assert_eq!(client.jobs().get(7).await.unwrap().id, 7);
    assert_eq!(state.get_job_calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_call_that_must_not_be_repeated_is_sent_once() {
    let (client, state) = start(State::default()).await;
    assert_eq!(client.jobs().requeue(1).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(state.requeue_calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn other_errors_are_not_tried_again_and_absent_calls_say_so() {
    let (client, _) = start(State::default()).await;
    assert_eq!(client.datasets().get("d").await.unwrap_err().kind(), Kind::Unimplemented);
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable_and_names_it() {
    let client = ClientBuilder::new("http://127.0.0.1:1").attempts(2).build().unwrap();
    let error = client.jobs().get(1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("http://127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn the_deadline_ends_a_call_that_hangs() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = ClientBuilder::new(url).timeout(Duration::from_millis(200)).build().unwrap();
    let error = client.jobs().get(1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded, "{error}");
}

#[tokio::test]
async fn addresses_that_are_none_are_refused_at_once() {
    for url in ["", "127.0.0.1:8470", "ftp://host", "http://", "not a url"] {
        assert_eq!(Client::connect(url).unwrap_err().kind(), Kind::InvalidArgument, "{url}");
    }
}

#[tokio::test]
async fn the_callers_trace_goes_along() {
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
    let (client, state) = start(State::default()).await;
    client.jobs().get(1).await.unwrap();
    let span =
        SpanContext::new(TraceId::from(1_u128), SpanId::from(2_u64), TraceFlags::SAMPLED, true, TraceState::NONE);
    let context = opentelemetry::Context::new().with_remote_span_context(span);
    {
        let _guard = context.attach();
        client.jobs().get(1).await.unwrap();
    }
    let traces = state.traces.lock().unwrap().clone();
    assert_eq!(traces, [None, Some("00-00000000000000000000000000000001-0000000000000002-01".to_owned())]);
}
