//! Uploads: streams that break off, and what their messages may say.

use tenor_proto::v1::dataset_service_client::DatasetServiceClient;
use tenor_proto::v1::{
    CompleteUploadRequest, GetUploadRequest, ImportDatasetVersionRequest, StartUploadRequest, Upload, UploadDataRequest,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::checked::Checked;
use crate::support::{Server, check, check_field, eventually, reason, start};

type Client = DatasetServiceClient<Checked>;

async fn client() -> (Server, Client) {
    let server = start().await;
    let client = DatasetServiceClient::new(server.channel().await);
    (server, client)
}

async fn begin(client: &mut Client, size_bytes: i64) -> String {
    let request = StartUploadRequest { file_name: "reviews.csv".into(), size_bytes, request_id: String::new() };
    client.start_upload(request).await.unwrap().into_inner().id
}

fn first(upload_id: &str, offset: i64, data: &[u8]) -> UploadDataRequest {
    UploadDataRequest { upload_id: upload_id.into(), offset, data: data.to_vec() }
}

fn later(data: &[u8]) -> UploadDataRequest {
    first("", 0, data)
}

async fn send(client: &mut Client, messages: Vec<UploadDataRequest>) -> Result<Upload, Status> {
    client.upload_data(tokio_stream::iter(messages)).await.map(tonic::Response::into_inner)
}

async fn received(client: &mut Client, id: &str) -> i64 {
    client.get_upload(GetUploadRequest { upload_id: id.into() }).await.unwrap().into_inner().received_bytes
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_what_arrived_and_the_upload_goes_on_there() {
    let (server, mut client) = client().await;
    let id = begin(&mut client, 10).await;
    let (sender, receiver) = mpsc::channel(1);
    let mut other = client.clone();
    let broken = tokio::spawn(async move { other.upload_data(ReceiverStream::new(receiver)).await });
    sender.send(first(&id, 0, b"he")).await.unwrap();
    sender.send(later(b"llo")).await.unwrap();
    let arrived = async || (received(&mut client.clone(), &id).await == 5).then_some(());
    eventually(arrived).await;
    broken.abort();
    assert!(broken.await.unwrap_err().is_cancelled());
    server.idle().await;
    assert_eq!(received(&mut client, &id).await, 5);

    let complete = |digest: &str| CompleteUploadRequest { upload_id: id.clone(), digest: digest.into() };
    let status = client.complete_upload(complete("")).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "UPLOAD_INCOMPLETE");
    // The old stream lets go of the upload a moment after its client has left.
    let goes_on = async || {
        let messages = vec![first(&id, 5, b"wo"), later(b""), later(b"rld")];
        match send(&mut client.clone(), messages).await {
            Err(status) if reason(&status) == "UPLOAD_BUSY" => None,
            done => Some(done.unwrap()),
        }
    };
    let done = eventually(goes_on).await;
    assert_eq!((done.received_bytes, done.size_bytes, done.digest.as_str()), (10, 10, ""));
    let digest = tenor_domain::Digest::of(b"helloworld").to_string();
    let done = client.complete_upload(complete(&digest)).await.unwrap().into_inner();
    assert_eq!(done.digest, digest);
    assert_eq!(std::fs::read(server.blob(&digest)).unwrap(), b"helloworld");
    let status = send(&mut client, vec![first(&id, 10, b"x")]).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "UPLOAD_COMPLETE");
}

#[tokio::test]
async fn a_wrong_offset_is_aborted_and_names_the_right_one() {
    let (_server, mut client) = client().await;
    let id = begin(&mut client, 0).await;
    send(&mut client, vec![first(&id, 0, b"hello")]).await.unwrap();
    for offset in [0, 4, 6, i64::MAX] {
        let status = send(&mut client, vec![first(&id, offset, b"x"), later(b"y")]).await.unwrap_err();
        check(&status, Code::Aborted, "UPLOAD_OFFSET");
        assert!(status.message().contains("continue at offset 5"), "{}", status.message());
    }
    check_field(&send(&mut client, vec![first(&id, -1, b"x")]).await.unwrap_err(), "offset");
    assert_eq!(received(&mut client, &id).await, 5);
}

#[tokio::test]
async fn the_first_message_names_the_upload_and_no_later_one_does() {
    let (_server, mut client) = client().await;
    let id = begin(&mut client, 0).await;
    check_field(&send(&mut client, Vec::new()).await.unwrap_err(), "upload_id");
    check_field(&send(&mut client, vec![later(b"x")]).await.unwrap_err(), "upload_id");
    check_field(&send(&mut client, vec![first("../etc/passwd", 0, b"x")]).await.unwrap_err(), "upload_id");
    let nobody = tenor_domain::UploadId::new().to_string();
    check(&send(&mut client, vec![first(&nobody, 0, b"x")]).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    for wrong in [first(&id, 0, b"y"), first("", 1, b"y"), first("other", 0, b"")] {
        let offset = received(&mut client, &id).await;
        let status = send(&mut client, vec![first(&id, offset, b"x"), wrong, later(b"z")]).await.unwrap_err();
        check_field(&status, "upload_id");
        assert_eq!(received(&mut client, &id).await, offset + 1, "what came before the wrong message stays");
    }
}

#[tokio::test]
async fn a_piece_that_is_too_large_is_refused_and_so_are_more_bytes_than_announced() {
    let (_server, mut client) = client().await;
    let id = begin(&mut client, 0).await;
    let piece = vec![7; 1 << 20];
    assert_eq!(send(&mut client, vec![first(&id, 0, &piece)]).await.unwrap().received_bytes, 1 << 20);
    let larger = vec![7; (1 << 20) + 1];
    check_field(&send(&mut client, vec![first(&id, 1 << 20, &larger)]).await.unwrap_err(), "data");
    let status = send(&mut client, vec![first(&id, 1 << 20, b"x"), later(&vec![7; 5 << 20])]).await.unwrap_err();
    check(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert_eq!(received(&mut client, &id).await, (1 << 20) + 1);

    let id = begin(&mut client, 3).await;
    let status = send(&mut client, vec![first(&id, 0, b"ab"), later(b"cd")]).await.unwrap_err();
    check(&status, Code::ResourceExhausted, "TOO_LARGE");
    assert_eq!(received(&mut client, &id).await, 2);
    let mut start = async |size_bytes| {
        client
            .start_upload(StartUploadRequest { file_name: "x".into(), size_bytes, request_id: String::new() })
            .await
            .unwrap_err()
    };
    for size in [-1, i64::MIN, i64::MAX, (1 << 40) + 1] {
        check_field(&start(size).await, "size_bytes");
    }
}

#[tokio::test]
async fn a_second_stream_for_an_upload_must_wait() {
    let (_server, mut client) = client().await;
    let id = begin(&mut client, 0).await;
    let (sender, receiver) = mpsc::channel(1);
    let mut other = client.clone();
    let slow = tokio::spawn(async move { other.upload_data(ReceiverStream::new(receiver)).await });
    sender.send(first(&id, 0, b"a")).await.unwrap();
    eventually(async || (received(&mut client.clone(), &id).await == 1).then_some(())).await;
    check(&send(&mut client, vec![first(&id, 1, b"b")]).await.unwrap_err(), Code::Aborted, "UPLOAD_BUSY");
    drop(sender);
    assert_eq!(slow.await.unwrap().unwrap().into_inner().received_bytes, 1);
}

#[tokio::test]
async fn a_wrong_digest_is_noticed_and_a_label_is_one_line() {
    let (_server, mut client) = client().await;
    for label in ["a\nb", "a\0b", &"x".repeat(251)] {
        let request = StartUploadRequest { file_name: label.into(), size_bytes: 0, request_id: String::new() };
        check_field(&client.start_upload(request).await.unwrap_err(), "file_name");
    }
    let id = begin(&mut client, 0).await;
    send(&mut client, vec![first(&id, 0, b"abc")]).await.unwrap();
    for digest in ["x", "ABC", "\0", &"0".repeat(63), &"g".repeat(64)] {
        let request = CompleteUploadRequest { upload_id: id.clone(), digest: digest.into() };
        check_field(&client.complete_upload(request).await.unwrap_err(), "digest");
    }
    let request = CompleteUploadRequest { upload_id: id.clone(), digest: "0".repeat(64) };
    let status = client.complete_upload(request).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "DIGEST_MISMATCH");
    let import = ImportDatasetVersionRequest {
        dataset: "kindle".into(),
        create_dataset: true,
        upload_id: id,
        ..ImportDatasetVersionRequest::default()
    };
    let status = client.import_dataset_version(import).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "UPLOAD_INCOMPLETE");
}
