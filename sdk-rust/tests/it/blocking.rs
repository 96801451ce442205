//! A blocking client where it does not belong.

use tenor_sdk::{ClientBuilder, Error, Kind, blocking};

const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn within_a_runtime_a_blocking_client_is_an_error_and_may_be_dropped() {
    let client = blocking::Client::connect(NOBODY).unwrap();
    let nested = client.run(async |_| client.run(async |_| Ok(())));
    refused(nested.unwrap_err());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async move {
        refused(blocking::Client::connect(NOBODY).unwrap_err());
        refused(client.list(|tenor| tenor.datasets().list("")).unwrap_err());
        assert_eq!(client.iter(|tenor| tenor.datasets().list("")).count(), 1, "the error ends the items");
        drop(client);
    });
}

#[test]
fn a_client_that_is_dropped_by_its_own_thread_ends() {
    let client = blocking::Client::connect(NOBODY).unwrap();
    let (send, dropped) = std::sync::mpsc::channel();
    let (give, take) = tokio::sync::oneshot::channel();
    let task = client.run(async |_| {
        Ok(tokio::spawn(async move {
            drop(take.await);
            send.send(()).unwrap();
        }))
    });
    assert!(!task.unwrap().is_finished());
    give.send(client).unwrap();
    dropped.recv().unwrap();
}

#[test]
fn a_blocking_client_says_that_nobody_answers_and_what_is_no_address() {
    let client = blocking::Client::new(ClientBuilder::new(NOBODY).attempts(1)).unwrap();
    let error = client.run(async |tenor| tenor.jobs().get(1).await).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(blocking::Client::connect("ftp://host").unwrap_err().kind(), Kind::InvalidArgument);
}

fn refused(error: Error) {
    assert_eq!((error.kind(), error.reason()), (Kind::FailedPrecondition, "WITHIN_A_RUNTIME"), "{error}");
}
