//! gRPC, gRPC-Web and plain HTTP on one port.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tenor_proto::v1::prediction_service_client::PredictionServiceClient;
use tenor_proto::v1::{Instance, PredictRequest};
use tokio_stream::StreamExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::start;

fn request(text: &str) -> PredictRequest {
    let instance = Some(Instance { text: text.to_owned(), ..Instance::default() });
    PredictRequest { deployment: "champion".to_owned(), instance, options: None }
}

#[tokio::test]
async fn grpc_over_http2_answers() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let answer = client.predict(request("x")).await.unwrap().into_inner();
    assert_eq!(answer.prediction.unwrap().label, "positive");
    assert_eq!((answer.model.as_str(), answer.model_version), ("sentiment", 3));
}

#[tokio::test]
async fn gzip_is_answered_with_gzip() {
    let server = start().await;
    let gzip = tonic::codec::CompressionEncoding::Gzip;
    let mut client = PredictionServiceClient::new(server.channel().await).send_compressed(gzip).accept_compressed(gzip);
    let answer = client.predict(request(&"x".repeat(500))).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
}

#[tokio::test]
async fn grpc_web_over_http1_answers() {
    let server = start().await;
    let message = prost::Message::encode_to_vec(&request("x"));
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(&message);
    let mut bytes = format!(
        "POST /tenor.v1.PredictionService/Predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc-web+proto\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    let answer = server.raw(&bytes).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("application/grpc-web") && answer.contains("positive"), "{answer}");
    assert!(answer.contains("grpc-status:0"), "{answer}");
}

#[tokio::test]
async fn plain_http_answers_and_unknown_paths_are_404_json() {
    let server = start().await;
    assert!(server.get("/healthz", "").await.starts_with("HTTP/1.1 200"));
    let ready = server.get("/readyz", "").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("no model yet"), "{ready}");
    assert!(server.get("/metrics", "").await.contains("tenor_connections 1"));
    for path in ["/nope", "/", "/tenor.v1.Nope/X", "/..%2f..%2fetc/passwd"] {
        let answer = server.get(path, "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("PATH_NOT_FOUND"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_foreign_host_or_origin_reaches_nothing() {
    let server = start().await;
    for headers in ["host: evil.example\r\n", "host: 127.0.0.1\r\norigin: https://evil.example\r\n"] {
        let answer = server.get("/healthz", headers).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("HOST_NOT_ALLOWED"), "{answer}");
        assert!(!answer.contains("access-control"), "{answer}");
    }
}

#[tokio::test]
async fn reflection_lists_every_service() {
    let server = start().await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("no list");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for noun in ["Dataset", "Experiment", "ModelRegistry", "Deployment", "Prediction", "Job"] {
        assert!(names.contains(&format!("tenor.v1.{noun}Service")), "{names:?}");
    }
    for name in
        ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
    {
        assert!(names.iter().any(|found| found == name), "{name} not in {names:?}");
    }
}

#[tokio::test]
async fn health_is_serving_from_readiness_to_the_drain_and_running_calls_finish() {
    let server = start().await;
    let channel = server.channel().await;
    let health = HealthClient::new(channel.clone());
    let asked = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let check = async |service| health.clone().check(asked(service)).await.unwrap().into_inner().status();
    let (predictions, datasets) = ("tenor.v1.PredictionService", "tenor.v1.DatasetService");
    let mut watch = health.clone().watch(asked(predictions)).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    for (service, status) in
        [("", ServingStatus::NotServing), (predictions, ServingStatus::NotServing), (datasets, ServingStatus::Serving)]
    {
        assert_eq!(check(service).await, status, "{service}");
    }
    server.ready.store(true, Ordering::Relaxed);
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    for service in ["", predictions, datasets] {
        assert_eq!(check(service).await, ServingStatus::Serving, "{service}");
    }
    let mut unknown = health.clone().watch(asked("no.such.Service")).await.unwrap().into_inner();
    assert_eq!(unknown.next().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);

    let mut client = PredictionServiceClient::new(channel);
    let slow = tokio::spawn(async move { client.predict(request("slow")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.cancel();
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watch.next().await.is_none() && unknown.next().await.is_none());
    slow.await.unwrap().unwrap();
    server.drained().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_drain() {
    let server = start().await;
    let silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let channel = server.channel().await;
    server.shutdown.cancel();
    server.drained().await;
    drop((silent, channel));
}
