//! Streams that break are resumed.

use std::sync::Mutex;

use futures::TryStreamExt as _;

use crate::fake::{State, start};

fn file(bytes: usize) -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reviews.csv");
    let content: Vec<u8> = (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    (dir, path, content)
}

#[tokio::test]
async fn an_upload_that_breaks_again_and_again_arrives_whole() {
    let (client, state) = start(State { break_after: 600_000, ..State::default() }).await;
    let (_dir, path, content) = file(3_000_001);
    let mut last = (0, 0);
    let upload = client.datasets().upload_file(&path, |sent, size| last = (sent, size)).await.unwrap();
    assert_eq!(upload.received_bytes, 3_000_001);
    assert_eq!(last, (3_000_001, 3_000_001));
    assert!(*state.received.lock().unwrap() == content, "the bytes are those of the file");
    assert!(state.offsets.lock().unwrap().len() > 3, "it broke");
}

#[tokio::test]
async fn an_upload_goes_on_where_another_process_stopped() {
    let (_dir, path, content) = file(700_000);
    let received = Mutex::new(content[..123_456].to_vec());
    let (client, state) = start(State { received, ..State::default() }).await;
    client.datasets().resume_upload("u", &path, |_, _| ()).await.unwrap();
    assert_eq!(*state.offsets.lock().unwrap(), [123_456]);
    assert!(*state.received.lock().unwrap() == content);
}

#[tokio::test]
async fn other_bytes_at_the_server_are_found_by_the_digest() {
    let (_dir, path, _) = file(700_000);
    let (client, _) = start(State { received: Mutex::new(vec![7; 1000]), ..State::default() }).await;
    let error = client.datasets().resume_upload("u", &path, |_, _| ()).await.unwrap_err();
    assert_eq!(error.kind(), tenor_sdk::Kind::InvalidArgument, "{error}");
}

#[tokio::test]
async fn an_empty_file_is_completed_without_a_stream() {
    let (_dir, path, _) = file(0);
    let (client, state) = start(State::default()).await;
    client.datasets().upload_file(&path, |_, _| ()).await.unwrap();
    assert!(state.offsets.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_watch_that_breaks_loses_and_repeats_no_event() {
    let (client, state) = start(State::default()).await;
    let events: Vec<_> = client.jobs().watch(1, 0).try_collect().await.unwrap();
    let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    assert!(state.watched_after.lock().unwrap().len() > 2, "it broke");
}

#[tokio::test]
async fn following_a_job_ends_with_its_final_state() {
    let (client, _) = start(State::default()).await;
    let mut count = 0;
    let job = client.jobs().follow(1, |_| count += 1).await.unwrap();
    assert_eq!((job.state(), count), (tenor_sdk::types::JobState::Succeeded, 10));
}
