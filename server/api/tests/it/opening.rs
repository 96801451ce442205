//! How long a connection may take until it is clear what it speaks.

use std::time::Duration;

use tenor_api::{Limits, ListenOptions};
use tenor_proto::v1::prediction_service_client::PredictionServiceClient;
use tenor_proto::v1::{Instance, PredictRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{LONG, Server, start_with};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long an opening may take where it is too slow. A server waits for the others longer than a busy machine pauses.
const SHORT: Duration = Duration::from_millis(500);

/// One place, for one connection after another.
async fn start(header_timeout: Duration) -> Server {
    let options = ListenOptions { max_connections: 1, header_timeout, ..ListenOptions::default() };
    start_with(Limits::default(), options).await
}

/// Returns when the server has closed the connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.expect("the server closes it");
}

#[tokio::test]
async fn a_part_of_the_http2_preface_does_not_keep_its_place() {
    let server = start(SHORT).await;
    for length in [0, 1, 4, 23] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&PREFACE[..length]).await.unwrap();
        closed(&mut stream).await;
        assert!(server.get("/healthz", "").await.starts_with("HTTP/1.1 200"), "{length}");
    }
}

#[tokio::test]
async fn the_time_is_that_of_the_whole_opening_and_not_of_each_byte() {
    let server = start(SHORT).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let drip = tokio::spawn(async move {
        for byte in PREFACE {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the whole preface went through");
    });
    let mut rest = Vec::new();
    let _ = timeout(LONG, read.read_to_end(&mut rest)).await.expect("the server closes it");
    drip.await.unwrap();
}

#[tokio::test]
async fn an_opening_in_two_parts_is_understood() {
    let server = start(LONG).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"P").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    stream.write_all(b"OST /nope HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&PREFACE[..10]).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    stream.write_all(&PREFACE[10..]).await.unwrap();
    let mut settings = [0; 9];
    stream.read_exact(&mut settings).await.unwrap();
    assert_eq!(settings[3], 4, "the server's SETTINGS");
}

#[tokio::test]
async fn a_client_that_has_said_what_it_speaks_may_be_silent_before_its_first_request() {
    let server = start(SHORT).await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    sleep(2 * SHORT).await;
    let instance = Some(Instance { text: "x".to_owned(), ..Instance::default() });
    client.predict(PredictRequest { deployment: "champion".into(), instance, options: None }).await.unwrap();
}
