//! The three shapes of a prediction.

use std::time::Duration;

use tenor_proto::v1::prediction_service_client::PredictionServiceClient;
use tenor_proto::v1::stream_predict_response::Result as Outcome;
use tenor_proto::v1::{
    BatchPredictRequest, ContractMode, ExplainRequest, ExplanationMethod, FeatureKind, Instance, PredictOptions,
    PredictRequest, StreamPredictRequest,
};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{reason, start};

fn instance(text: &str) -> Instance {
    Instance { text: text.to_owned(), ..Instance::default() }
}

fn message(deployment: &str, text: &str) -> StreamPredictRequest {
    StreamPredictRequest { deployment: deployment.to_owned(), instance: Some(instance(text)), options: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unary_batch_and_stream_give_the_same_answers() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let texts: Vec<String> = (1..200).map(|n| "x".repeat(n)).collect();
    let instances = texts.iter().map(|text| instance(text)).collect();
    let batch = BatchPredictRequest { deployment: "champion".to_owned(), instances, options: None };
    let batch = client.batch_predict(batch).await.unwrap().into_inner();
    let messages: Vec<_> =
        texts.iter().enumerate().map(|(n, text)| message(if n == 0 { "champion" } else { "" }, text)).collect();
    let mut stream = client.stream_predict(tokio_stream::iter(messages)).await.unwrap().into_inner();
    for (text, batched) in texts.iter().zip(batch.predictions) {
        let request =
            PredictRequest { deployment: "champion".to_owned(), instance: Some(instance(text)), options: None };
        let single = client.predict(request).await.unwrap().into_inner();
        assert_eq!(single.prediction.as_ref(), Some(&batched));
        let Some(Outcome::Response(streamed)) = stream.next().await.unwrap().unwrap().result else {
            panic!("no answer")
        };
        assert_eq!(streamed, single);
    }
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_bad_text_refuses_a_batch_and_is_named_by_its_index() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let instances = vec![instance("x"), instance("bad"), instance("x"), instance("bad")];
    let request = BatchPredictRequest { deployment: "champion".to_owned(), instances, options: None };
    let status = client.batch_predict(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields: Vec<_> =
        status.get_details_bad_request().unwrap().field_violations.into_iter().map(|v| v.field).collect();
    assert_eq!(fields, ["instances[1].text", "instances[3].text"]);
    assert!(status.message().starts_with("instances[1]: "), "{status:?}");
}

#[tokio::test]
async fn a_bad_text_does_not_end_a_stream() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let messages = [message("champion", "x"), message("", "bad"), StreamPredictRequest::default(), message("", "x")];
    let stream = client.stream_predict(tokio_stream::iter(messages)).await.unwrap().into_inner();
    let answers: Vec<_> = stream.collect::<Result<Vec<_>, _>>().await.unwrap();
    let bad =
        |at: usize| matches!(&answers[at].result, Some(Outcome::Error(e)) if e.code == Code::InvalidArgument as i32);
    assert_eq!((bad(0), bad(1), bad(2), bad(3), answers.len()), (false, true, true, false, 4));
}

#[tokio::test]
async fn a_stream_without_a_deployment_or_with_an_unknown_one_is_refused() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    for (deployment, code) in [("", Code::InvalidArgument), ("nope", Code::NotFound)] {
        let messages = [message(deployment, "x"), message("champion", "x")];
        let mut stream = client.stream_predict(tokio_stream::iter(messages)).await.unwrap().into_inner();
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), code);
        reason(&status);
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_message_is_answered_before_the_next_is_sent() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.send(message("champion", "x")).await.unwrap();
    let messages = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut stream = client.stream_predict(messages).await.unwrap().into_inner();
    for _ in 0..3 {
        let answer = tokio::time::timeout(Duration::from_secs(2), stream.next()).await.expect("an answer");
        assert!(answer.unwrap().is_ok());
        sender.send(message("", "x")).await.unwrap();
    }
    drop((stream, sender));
    // The client went away in the middle: the server must notice.
    tokio::time::timeout(Duration::from_secs(2), async {
        while !server.get("/metrics", "").await.contains("tenor_rpc_running 0") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the server sees the client leave");
}

#[tokio::test]
async fn a_missing_instance_and_an_unknown_mode_are_refused() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let mut request = PredictRequest { deployment: "champion".to_owned(), ..PredictRequest::default() };
    let field = |status: tonic::Status| status.get_details_bad_request().unwrap().field_violations[0].field.clone();
    assert_eq!(field(client.predict(request.clone()).await.unwrap_err()), "instance");
    request.instance = Some(instance("x"));
    request.options = Some(PredictOptions { contract_mode: 99, ..PredictOptions::default() });
    assert_eq!(field(client.predict(request.clone()).await.unwrap_err()), "options.contract_mode");
    request.options = Some(PredictOptions { explain_top_k: -1, ..PredictOptions::default() });
    assert_eq!(field(client.predict(request).await.unwrap_err()), "options.explain_top_k");
}

fn explain(text: &str) -> ExplainRequest {
    ExplainRequest { deployment: "champion".to_owned(), instance: Some(instance(text)), ..ExplainRequest::default() }
}

#[tokio::test]
async fn an_explanation_says_how_it_came_about_and_where_its_tokens_are() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let answer = client.explain(explain("schön")).await.unwrap().into_inner();
    let request = PredictRequest {
        deployment: "champion".to_owned(),
        instance: Some(instance("schön")),
        options: Some(PredictOptions { contract_mode: ContractMode::Warn.into(), ..PredictOptions::default() }),
    };
    let predicted = client.predict(request).await.unwrap().into_inner();
    assert_eq!(answer.prediction, predicted.prediction);
    assert_eq!(answer.class, answer.prediction.as_ref().unwrap().label);
    assert_eq!(answer.method(), ExplanationMethod::TreePaths);
    let [contribution] = answer.contributions.as_slice() else { panic!("{answer:?}") };
    assert_eq!((contribution.feature.as_str(), contribution.kind()), ("10 of schön", FeatureKind::Characters));
    assert_eq!(answer.bias + contribution.value + answer.rest, answer.score);
    let [token] = answer.tokens.as_slice() else { panic!("{answer:?}") };
    assert_eq!((token.start_byte, token.end_byte, token.text.as_str(), token.value), (0, 6, "schön", -1.5));
    let request = ExplainRequest { class: "positive".to_owned(), top_k: 3, ..explain("xx") };
    let other = client.explain(request).await.unwrap().into_inner();
    assert_eq!((other.class.as_str(), other.prediction.unwrap().label.as_str()), ("positive", "negative"));
    assert_eq!(other.contributions[0].feature, "3 of xx");
}

#[tokio::test]
async fn a_wrong_explanation_is_refused_with_its_field() {
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    for (request, field) in [
        (ExplainRequest { instance: None, ..explain("x") }, "instance"),
        (ExplainRequest { top_k: -1, ..explain("x") }, "top_k"),
        (ExplainRequest { contract_mode: 99, ..explain("x") }, "contract_mode"),
        (explain("bad"), "instance.text"),
    ] {
        let status = client.explain(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
    let status = client.explain(ExplainRequest { deployment: "none".to_owned(), ..explain("x") }).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "DEPLOYMENT_NOT_FOUND"));
    let status = client.explain(explain("panic")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("secret"), "{status:?}");
}

#[tokio::test]
async fn an_explanation_stops_when_its_client_leaves() {
    use std::sync::atomic::Ordering;
    let server = start().await;
    let mut client = PredictionServiceClient::new(server.channel().await);
    let until = async |flag: &std::sync::atomic::AtomicBool| {
        while !flag.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        answer = client.explain(explain("endless")) => panic!("{answer:?}"),
        () = until(&server.predictor.begun) => {}
    }
    tokio::time::timeout(Duration::from_secs(10), until(&server.predictor.go)).await.expect("the work has ended");
    assert!(client.explain(explain("x")).await.is_ok(), "its turn is free again");
}
