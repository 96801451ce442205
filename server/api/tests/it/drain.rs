//! Streams of a client when the server is told to stop.

use std::sync::atomic::Ordering;

use tenor_domain::UploadId;
use tenor_proto::v1::dataset_service_client::DatasetServiceClient;
use tenor_proto::v1::experiment_service_client::ExperimentServiceClient;
use tenor_proto::v1::prediction_service_client::PredictionServiceClient;
use tenor_proto::v1::{Instance, StartUploadRequest, StreamPredictRequest, UploadArtifactRequest, UploadDataRequest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::fixture::fixture;
use crate::support::{check, eventually, start};

fn message(text: &str) -> StreamPredictRequest {
    let instance = Some(Instance { text: text.to_owned(), ..Instance::default() });
    StreamPredictRequest { deployment: "champion".to_owned(), instance, options: None }
}

#[track_caller]
fn check_draining(status: &Status) {
    check(status, Code::Unavailable, "SERVER_DRAINING");
}

#[tokio::test]
async fn an_idle_stream_of_predictions_is_told_to_come_again() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let (sender, receiver) = mpsc::channel(1);
    sender.send(message("x")).await.unwrap();
    let mut stream = client.stream_predict(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    server.shutdown.cancel();
    check_draining(&stream.next().await.unwrap().unwrap_err());
    assert!(stream.next().await.is_none());
    server.drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_has_arrived_when_the_drain_begins_is_answered() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let (sender, receiver) = mpsc::channel(3);
    for text in ["held", "x", "x"] {
        sender.send(message(text)).await.unwrap();
    }
    let call = tokio::spawn(async move { client.stream_predict(ReceiverStream::new(receiver)).await });
    // The three were there before the call and travel in one frame: with the first, the others have arrived.
    eventually(async || server.predictor.begun.load(Ordering::Relaxed).then_some(())).await;
    server.shutdown.cancel();
    server.predictor.go.store(true, Ordering::Relaxed);
    let mut stream = call.await.unwrap().unwrap().into_inner();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    check_draining(&stream.next().await.unwrap().unwrap_err());
    server.drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_never_pauses_does_not_take_the_whole_drain() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let messages = tokio_stream::iter(std::iter::repeat_with(|| message("x")));
    let mut stream = client.stream_predict(messages).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    server.shutdown.cancel();
    let status = loop {
        if let Err(status) = stream.next().await.unwrap() {
            break status;
        }
    };
    check_draining(&status);
    server.drained().await;
}

#[tokio::test]
async fn an_idle_upload_is_told_to_come_again_and_keeps_what_arrived() {
    let server = start().await;
    let mut client = DatasetServiceClient::new(server.channel().await);
    let started = client.start_upload(StartUploadRequest { file_name: "r.csv".into(), ..Default::default() }).await;
    let id = started.unwrap().into_inner().id;
    let (sender, receiver) = mpsc::channel(1);
    let (mut one, mut other) = (client.clone(), client);
    let upload: JoinHandle<_> = tokio::spawn(async move { one.upload_data(ReceiverStream::new(receiver)).await });
    sender.send(UploadDataRequest { upload_id: id.clone(), offset: 0, data: b"half".to_vec() }).await.unwrap();
    let (silent, nothing) = mpsc::channel(1);
    let waiting = tokio::spawn(async move { other.upload_data(ReceiverStream::new(nothing)).await });
    let id = UploadId::parse(&id).unwrap();
    let received = async || server.platform.uploads().get(&id).await.unwrap().received_bytes;
    eventually(async || (received().await == 4).then_some(())).await;
    server.running(2).await;
    server.shutdown.cancel();
    check_draining(&upload.await.unwrap().unwrap_err());
    check_draining(&waiting.await.unwrap().unwrap_err());
    assert_eq!(received().await, 4);
    drop((sender, silent));
    server.drained().await;
}

#[tokio::test]
async fn an_idle_upload_of_an_artifact_is_told_to_come_again_and_leaves_nothing() {
    let fixture = fixture().await;
    let mut client = ExperimentServiceClient::new(fixture.channel.clone());
    let (sender, receiver) = mpsc::channel(1);
    let upload = tokio::spawn(async move { client.upload_artifact(ReceiverStream::new(receiver)).await });
    let (run_id, name, media_type) = (fixture.runs[0].to_string(), "a".to_owned(), "text/plain".to_owned());
    sender.send(UploadArtifactRequest { run_id, name, media_type, data: b"half".to_vec() }).await.unwrap();
    let incoming = fixture.server.folder.path().join("blobs/incoming");
    let files = || std::fs::read_dir(&incoming).unwrap().count();
    eventually(async || (files() == 1).then_some(())).await;
    fixture.server.shutdown.cancel();
    check_draining(&upload.await.unwrap().unwrap_err());
    eventually(async || (files() == 0).then_some(())).await;
    fixture.server.drained().await;
}
