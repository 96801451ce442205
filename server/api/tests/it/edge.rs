//! Whatever goes wrong carries an `ErrorInfo`, leaks nothing and is counted under a bounded label.

use tenor_api::{Limits, ListenOptions};
use tenor_proto::v1::prediction_service_client::PredictionServiceClient;
use tenor_proto::v1::{Instance, PredictRequest, PredictResponse};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Server, reason, start, start_with};
use crate::wire::call;

async fn predict(server: &Server, text: &str) -> Result<PredictResponse, Status> {
    let mut client = PredictionServiceClient::new(server.channel().await);
    let instance = Some(Instance { text: text.to_owned(), ..Instance::default() });
    let request = PredictRequest { deployment: "champion".to_owned(), instance, options: None };
    client.predict(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_panic_is_a_neutral_internal_error_and_the_server_lives() {
    let server = start().await;
    let status = predict(&server, "panic").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    assert!(!status.message().contains("secret"), "{status:?}");
    predict(&server, "x").await.unwrap();
}

#[tokio::test]
async fn an_internal_cause_stays_in_the_log() {
    let server = start().await;
    let status = predict(&server, "broken").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!format!("{status:?}").contains("secret"), "{status:?}");
    let reference = status.get_details_request_info().unwrap().request_id;
    assert!(status.message().contains(&reference));
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let server = start().await;
    let status = predict(&server, "bad").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "instance.text");
}

#[tokio::test]
async fn unknown_methods_and_services_are_unimplemented_with_a_reason() {
    let server = start().await;
    let status = call(&server.channel().await, "/tenor.v1.PredictionService/Nope", Vec::new()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "METHOD_NOT_FOUND"));
    let status = call(&server.channel().await, "/tenor.v1.NopeService/Nope", Vec::new()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "SERVICE_NOT_FOUND"));
}

#[tokio::test]
async fn a_message_that_is_no_message_is_an_invalid_argument() {
    let server = start().await;
    let status =
        call(&server.channel().await, "/tenor.v1.PredictionService/Predict", vec![0xff; 20]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "MALFORMED_MESSAGE"));
}

#[tokio::test]
async fn a_message_over_the_limit_is_resource_exhausted_and_names_the_limit() {
    let limits = Limits { max_decode_bytes: 1_000, ..Limits::default() };
    let server = start_with(limits, ListenOptions::default()).await;
    let status = predict(&server, &"x".repeat(2_000)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    assert!(status.message().contains("1000"), "{status:?}");
}

#[tokio::test]
async fn a_deadline_of_zero_has_passed() {
    let server = start().await;
    // As bytes, because a client that knows its deadline gives up by itself.
    let request = "POST /tenor.v1.PredictionService/Predict HTTP/1.1\r\nhost: localhost\r\ngrpc-timeout: 0m\r\n\
                   content-type: application/grpc-web+proto\r\ncontent-length: 5\r\nconnection: close\r\n\r\n\0\0\0\0\0";
    let answer = server.raw(request.as_bytes()).await;
    assert!(answer.contains("grpc-status: 4") && answer.contains("deadline%20passed"), "{answer}");
}

#[tokio::test]
async fn a_full_server_is_unavailable_and_says_when_to_retry() {
    let limits = Limits { max_concurrent_calls: 0, ..Limits::default() };
    let server = start_with(limits, ListenOptions::default()).await;
    let status = predict(&server, "x").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SERVER_BUSY"));
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn a_thousand_bogus_methods_add_one_series() {
    let server = start().await;
    let channel = server.channel().await;
    for n in 0..1_000 {
        let path = format!("/tenor.v1.PredictionService/Bogus{n}");
        assert!(call(&channel, &path, Vec::new()).await.is_err());
    }
    predict(&server, "x").await.unwrap();
    let text = server.get("/metrics", "").await;
    assert!(!text.contains("Bogus"));
    assert!(text.contains(r#"tenor_rpc_requests_total{code="UNIMPLEMENTED",method="_OTHER"} 1000"#), "{text}");
    assert!(text.contains(r#"tenor_rpc_requests_total{code="OK",method="tenor.v1.PredictionService/Predict"} 1"#));
    assert!(text.contains("tenor_rpc_running 0"), "{text}");
    assert_eq!(server.registry.gather().len(), 4);
}
