//! Files of runs and models: up, down, in ranges, and checked.

use tenor_domain::{Digest, RunId};
use tenor_proto::v1 as pb;
use tenor_proto::v1::experiment_service_client::ExperimentServiceClient;
use tenor_proto::v1::model_registry_service_client::ModelRegistryServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::checked::Checked;
use crate::fixture::{Fixture, fixture};
use crate::support::{check, check_field, eventually};

type Client = ExperimentServiceClient<Checked>;

async fn client() -> (Fixture, Client) {
    let fixture = fixture().await;
    let client = ExperimentServiceClient::new(fixture.channel.clone());
    (fixture, client)
}

fn first(run_id: &str, name: &str, data: &[u8]) -> pb::UploadArtifactRequest {
    let media_type = "text/plain".to_owned();
    pb::UploadArtifactRequest { run_id: run_id.into(), name: name.into(), media_type, data: data.to_vec() }
}

fn later(data: &[u8]) -> pb::UploadArtifactRequest {
    pb::UploadArtifactRequest { data: data.to_vec(), ..pb::UploadArtifactRequest::default() }
}

async fn send(client: &mut Client, messages: Vec<pb::UploadArtifactRequest>) -> Result<pb::Artifact, Status> {
    client.upload_artifact(tokio_stream::iter(messages)).await.map(tonic::Response::into_inner)
}

async fn names(client: &Client, run: &RunId) -> Vec<String> {
    let request = pb::ListArtifactsRequest { run_id: run.to_string() };
    let found = client.clone().list_artifacts(request).await.unwrap().into_inner().artifacts;
    found.into_iter().map(|artifact| artifact.name).collect()
}

/// The bytes of a download, and how it ended.
async fn read(mut stream: Streaming<pb::DownloadArtifactResponse>) -> (Vec<u8>, Result<(), Status>) {
    let mut bytes = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(piece)) => {
                assert!(piece.data.len() <= 1 << 20, "a piece fits any message");
                bytes.extend(piece.data);
            }
            Ok(None) => return (bytes, Ok(())),
            Err(status) => return (bytes, Err(status)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_up_in_pieces_and_comes_down_whole_or_in_ranges() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[0].to_string();
    let all: Vec<u8> = (0..3_500_000u32).map(|n| (n % 251) as u8).collect();
    let mut messages = vec![first(&run, "plots/a.bin", b"")];
    messages.extend(all.chunks(1 << 20).map(later));
    let artifact = send(&mut client, messages).await.unwrap();
    assert_eq!((artifact.size_bytes, artifact.media_type.as_str()), (3_500_000, "text/plain"));
    assert_eq!(artifact.digest, Digest::of(&all).to_string());
    let download = |offset, length| pb::DownloadArtifactRequest {
        run_id: run.clone(),
        name: "plots/a.bin".into(),
        offset,
        length,
    };
    for (offset, length, expected) in [
        (0, 0, &all[..]),
        (0, 3_500_000, &all[..]),
        (0, i64::MAX, &all[..]),
        (7, 0, &all[7..]),
        (1_000_000, 2_000_000, &all[1_000_000..3_000_000]),
        (3_499_999, 5, &all[3_499_999..]),
        (3_500_000, 0, &[][..]),
        (0, 1, &all[..1]),
    ] {
        let stream = client.download_artifact(download(offset, length)).await.unwrap().into_inner();
        let (bytes, end) = read(stream).await;
        end.unwrap();
        assert!(bytes == expected, "{offset} {length}: {} bytes", bytes.len());
    }
    for (offset, length, field) in [
        (-1, 0, "offset"),
        (3_500_001, 0, "offset"),
        (i64::MAX, 1, "offset"),
        (0, -1, "length"),
        (0, i64::MIN, "length"),
    ] {
        check_field(&client.download_artifact(download(offset, length)).await.unwrap_err(), field);
    }
}

#[tokio::test]
async fn a_changed_blob_is_noticed_at_the_end_of_a_whole_read() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[0].to_string();
    let artifact = send(&mut client, vec![first(&run, "a", b"the bytes")]).await.unwrap();
    let path = fixture.server.blob(&artifact.digest);
    let whole = || pb::DownloadArtifactRequest {
        run_id: run.clone(),
        name: "a".into(),
        ..pb::DownloadArtifactRequest::default()
    };
    for changed in [&b"the bytez"[..], b"the", b""] {
        std::fs::write(&path, changed).unwrap();
        let (_, end) = match client.download_artifact(whole()).await {
            Ok(stream) => read(stream.into_inner()).await,
            Err(status) => (Vec::new(), Err(status)),
        };
        let status = end.unwrap_err();
        check(&status, Code::Internal, "BLOB_CORRUPT");
        assert!(!status.message().contains(fixture.server.folder.path().to_str().unwrap()), "{}", status.message());
    }
    std::fs::remove_file(&path).unwrap();
    check(&client.download_artifact(whole()).await.unwrap_err(), Code::Internal, "BLOB_MISSING");
}

#[tokio::test]
async fn the_first_message_names_the_file_and_no_later_one_does() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[0].to_string();
    check_field(&send(&mut client, Vec::new()).await.unwrap_err(), "run_id");
    check_field(&send(&mut client, vec![later(b"x")]).await.unwrap_err(), "run_id");
    let nobody = RunId::new().to_string();
    check(&send(&mut client, vec![first(&nobody, "a", b"x")]).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    for wrong in [first(&run, "", b"y"), first("", "a", b"y"), first("", "", b"y")] {
        check_field(&send(&mut client, vec![first(&run, "a", b"x"), wrong]).await.unwrap_err(), "name");
    }
    for name in ["", "/etc/passwd", "../x", "a/../b", "a//b", "C:\\x", "a\0b", "a\nb", &"x".repeat(251)] {
        check_field(&send(&mut client, vec![first(&run, name, b"x")]).await.unwrap_err(), "name");
        let download = pb::DownloadArtifactRequest {
            run_id: run.clone(),
            name: name.into(),
            ..pb::DownloadArtifactRequest::default()
        };
        check_field(&client.download_artifact(download).await.unwrap_err(), "name");
    }
    let mut media = first(&run, "a", b"x");
    media.media_type = "text\0".into();
    check_field(&send(&mut client, vec![media]).await.unwrap_err(), "media_type");
    assert!(names(&client, &fixture.runs[0]).await.is_empty(), "nothing half-made stays");
    let empty = send(&mut client, vec![first(&run, "empty", b"")]).await.unwrap();
    assert_eq!((empty.size_bytes, empty.digest), (0, Digest::of(b"").to_string()));
    let none = pb::DownloadArtifactRequest { run_id: run, name: "b".into(), ..pb::DownloadArtifactRequest::default() };
    check(&client.download_artifact(none).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_is_too_large_leaves_no_file() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[0].to_string();
    let larger = vec![7; (1 << 20) + 1];
    check_field(&send(&mut client, vec![first(&run, "a", b"x"), later(&larger)]).await.unwrap_err(), "data");
    let status = send(&mut client, vec![first(&run, "a", b"x"), later(&vec![7; 5 << 20])]).await.unwrap_err();
    check(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");

    let (sender, receiver) = mpsc::channel(1);
    let mut other = client.clone();
    let broken = tokio::spawn(async move { other.upload_artifact(ReceiverStream::new(receiver)).await });
    sender.send(first(&run, "a", b"half")).await.unwrap();
    // The bytes are on their way to a file that has no name yet.
    let incoming = fixture.server.folder.path().join("blobs/incoming");
    let files = || std::fs::read_dir(&incoming).unwrap().count();
    eventually(async || (files() == 1).then_some(())).await;
    broken.abort();
    fixture.server.idle().await;
    eventually(async || (files() == 0).then_some(())).await;
    assert!(names(&client, &fixture.runs[0]).await.is_empty());
    assert!(!fixture.server.blob(&Digest::of(b"half").to_string()).exists());
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_download_is_noticed() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[0].to_string();
    let piece = vec![1; 1 << 20];
    let mut messages = vec![first(&run, "large", b"")];
    messages.extend((0..24).map(|_| later(&piece)));
    send(&mut client, messages).await.unwrap();
    let download =
        pb::DownloadArtifactRequest { run_id: run, name: "large".into(), ..pb::DownloadArtifactRequest::default() };
    let mut stream = client.download_artifact(download).await.unwrap().into_inner();
    assert!(!stream.message().await.unwrap().unwrap().data.is_empty());
    drop(stream);
    fixture.server.idle().await;
    let text = fixture.server.get("/metrics", "").await;
    let cancelled =
        r#"tenor_rpc_requests_total{code="CANCELLED",method="tenor.v1.ExperimentService/DownloadArtifact"} 1"#;
    assert!(text.contains(cancelled), "{text}");
}

#[tokio::test]
async fn a_model_file_is_downloaded_and_checked() {
    let (fixture, _) = client().await;
    let platform = &fixture.server.platform;
    let digest = platform.blobs().put_bytes(bytes::Bytes::from_static(b"the model")).await.unwrap();
    let run = crate::fixture::succeeded(platform, &crate::fixture::facts(digest)).await;
    let mut client = ModelRegistryServiceClient::new(fixture.channel.clone());
    let register =
        pb::RegisterModelVersionRequest { model: "file".into(), run_id: run.to_string(), ..Default::default() };
    client.register_model_version(register).await.unwrap();
    let download = |version: &str| pb::DownloadModelVersionRequest { model: "file".into(), version: version.into() };
    let mut whole = async |version: &str| {
        let mut stream = client.download_model_version(download(version)).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = stream.message().await? {
            bytes.extend(piece.data);
        }
        Ok::<_, Status>(bytes)
    };
    assert_eq!(whole("1").await.unwrap(), b"the model");
    assert_eq!(whole("latest").await.unwrap(), b"the model");
    check(&whole("2").await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    check_field(&whole("0").await.unwrap_err(), "version");
    std::fs::write(fixture.server.blob(&digest.to_string()), b"the modeL").unwrap();
    check(&whole("1").await.unwrap_err(), Code::Internal, "BLOB_CORRUPT");
}
