//! Metrics: batches that are acknowledged are kept, and none is stored twice.

use prost_types::Timestamp;
use tenor_domain::RunId;
use tenor_proto::v1 as pb;
use tenor_proto::v1::experiment_service_client::ExperimentServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::checked::Checked;
use crate::fixture::{Fixture, fixture};
use crate::support::{check, check_field, eventually};

type Client = ExperimentServiceClient<Checked>;

async fn client() -> (Fixture, Client) {
    let fixture = fixture().await;
    let client = ExperimentServiceClient::new(fixture.channel.clone());
    (fixture, client)
}

fn point(key: &str, step: i64, value: f64) -> pb::Metric {
    pb::Metric { key: key.into(), value, step, time: None }
}

fn batch(run_id: &str, batch_id: &str, metrics: Vec<pb::Metric>) -> pb::LogMetricsRequest {
    pb::LogMetricsRequest { run_id: run_id.into(), metrics, batch_id: batch_id.into() }
}

fn key() -> String {
    RunId::new().to_string()
}

async fn send(client: &mut Client, batches: Vec<pb::LogMetricsRequest>) -> Result<pb::LogMetricsResponse, Status> {
    client.log_metrics(tokio_stream::iter(batches)).await.map(tonic::Response::into_inner)
}

async fn history(client: &Client, run: &RunId, key: &str) -> Vec<(i64, f64)> {
    let request = pb::ListMetricHistoryRequest {
        run_id: run.to_string(),
        key: key.into(),
        page_size: 1_000,
        page_token: String::new(),
    };
    let found = client.clone().list_metric_history(request).await.unwrap().into_inner().metrics;
    found.into_iter().map(|metric| (metric.step, metric.value)).collect()
}

#[tokio::test]
async fn batches_of_a_broken_stream_are_kept_and_sent_again_they_are_not_stored_twice() {
    let (fixture, mut client) = client().await;
    let run = &fixture.runs[1];
    let batches: Vec<_> =
        (0..6).map(|n| batch(&run.to_string(), &key(), vec![point("a", n, n as f64), point("b", n, -1.0)])).collect();
    let (sender, receiver) = mpsc::channel(1);
    let mut other = client.clone();
    let broken = tokio::spawn(async move { other.log_metrics(ReceiverStream::new(receiver)).await });
    for batch in &batches[..3] {
        sender.send(batch.clone()).await.unwrap();
    }
    eventually(async || (history(&client, run, "a").await.len() == 3).then_some(())).await;
    broken.abort();
    fixture.server.idle().await;
    assert_eq!(history(&client, run, "a").await, [(0, 0.0), (1, 1.0), (2, 2.0)]);

    // Somebody corrects a point meanwhile; the old batch, sent again, must not undo that.
    send(&mut client, vec![batch(&run.to_string(), "", vec![point("a", 1, 99.0)])]).await.unwrap();
    let done = send(&mut client, batches).await.unwrap();
    assert_eq!((done.batches, done.metrics), (6, 12));
    let expected = [(0, 0.0), (1, 99.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0)];
    assert_eq!(history(&client, run, "a").await, expected);
    assert_eq!(history(&client, run, "b").await.len(), 6);
}

#[tokio::test]
async fn a_wrong_batch_ends_the_stream_and_those_before_it_are_stored() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[1].to_string();
    let good = |step| batch(&run, "", vec![point("a", step, 1.0)]);
    let used = key();
    send(&mut client, vec![batch(&run, &used, vec![point("used", 0, 1.0)])]).await.unwrap();
    let long = Timestamp { seconds: i64::MAX, nanos: 0 };
    let late = pb::Metric { time: Some(long), ..point("a", 0, 0.0) };
    let cases = [
        (batch(&run, "", vec![point("", 0, 0.0)]), "metrics"),
        (batch(&run, "", vec![point("a\0", 0, 0.0)]), "metrics"),
        (batch(&run, "", vec![point("a", 0, 0.0); 10_001]), "metrics"),
        (batch(&run, "1", vec![point("a", 0, 0.0)]), "batch_id"),
        (batch("x", "", vec![point("a", 0, 0.0)]), "run_id"),
        (batch(&run, "", vec![point("a", 0, 0.0), late]), "metrics[1].time"),
    ];
    let count = i64::try_from(cases.len()).unwrap();
    for (step, (wrong, field)) in (0..).zip(cases) {
        let status = send(&mut client, vec![good(step), wrong, good(1_000)]).await.unwrap_err();
        check_field(&status, field);
    }
    let nobody = batch(&key(), "", vec![point("a", 0, 0.0)]);
    check(&send(&mut client, vec![good(count), nobody, good(1_000)]).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    let other = batch(&run, &used, vec![point("used", 0, 2.0)]);
    let status = send(&mut client, vec![good(count + 1), other]).await.unwrap_err();
    check(&status, Code::InvalidArgument, "REQUEST_ID_REUSED");
    // The batch after a wrong one may have been stored as well.
    let mut steps: Vec<_> = history(&client, &fixture.runs[1], "a").await.into_iter().map(|(step, _)| step).collect();
    steps.retain(|step| *step != 1_000);
    assert_eq!(steps, (0..count + 2).collect::<Vec<_>>());
    assert_eq!(history(&client, &fixture.runs[1], "used").await, [(0, 1.0)]);
}

#[tokio::test]
async fn the_run_of_the_first_batch_stays_until_another_is_named() {
    let (fixture, mut client) = client().await;
    let (one, two) = (fixture.runs[1].to_string(), fixture.runs[2].to_string());
    let named = |run: &str, step| batch(run, "", vec![point("a", step, 1.0)]);
    let done = send(&mut client, vec![named(&one, 0), named("", 1), named(&two, 2), named("", 3)]).await.unwrap();
    assert_eq!((done.batches, done.metrics), (4, 4));
    assert_eq!(history(&client, &fixture.runs[1], "a").await, [(0, 1.0), (1, 1.0)]);
    assert_eq!(history(&client, &fixture.runs[2], "a").await, [(2, 1.0), (3, 1.0)]);
    check_field(&send(&mut client, vec![named("", 0)]).await.unwrap_err(), "run_id");
    assert_eq!(send(&mut client, Vec::new()).await.unwrap(), pb::LogMetricsResponse::default());
}

#[tokio::test]
async fn single_batches_follow_the_same_rules() {
    let (fixture, mut client) = client().await;
    let run_id = fixture.runs[1].to_string();
    let id = key();
    let one = |value| pb::LogMetricBatchRequest {
        run_id: run_id.clone(),
        metrics: vec![point("a", 0, value), point("a", 1, f64::NEG_INFINITY)],
        batch_id: id.clone(),
    };
    for _ in 0..2 {
        assert_eq!(client.log_metric_batch(one(f64::NAN)).await.unwrap().into_inner().metrics, 2);
    }
    let status = client.log_metric_batch(one(1.0)).await.unwrap_err();
    check(&status, Code::InvalidArgument, "REQUEST_ID_REUSED");
    let found = history(&client, &fixture.runs[1], "a").await;
    assert!(found[0].1.is_nan() && found[1].1 == f64::NEG_INFINITY, "{found:?}");
    let run = client.get_run(pb::GetRunRequest { run_id }).await.unwrap().into_inner();
    assert_eq!(run.metrics["a"], f64::NEG_INFINITY);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_stream_and_names_the_limit() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[1].to_string();
    let huge = batch(&run, "", vec![point(&"k".repeat(5 << 20), 0, 1.0)]);
    let status = send(&mut client, vec![batch(&run, "", vec![point("a", 0, 1.0)]), huge]).await.unwrap_err();
    check(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert!(status.message().contains("4194304"), "{}", status.message());
    assert_eq!(history(&client, &fixture.runs[1], "a").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_points_go_through_one_stream() {
    let (fixture, mut client) = client().await;
    let run = fixture.runs[1].to_string();
    let batches: Vec<_> = (0..20)
        .map(|n| batch(&run, &key(), (0..5_000).map(|step| point("loss", n * 5_000 + step, 0.5)).collect()))
        .collect();
    let done = send(&mut client, batches).await.unwrap();
    assert_eq!((done.batches, done.metrics), (20, 100_000));
    let run = client.get_run(pb::GetRunRequest { run_id: run }).await.unwrap().into_inner();
    assert_eq!(run.metrics["loss"], 0.5);
    assert_eq!(history(&client, &fixture.runs[1], "loss").await.len(), 1_000, "one page");
}

#[tokio::test]
async fn a_silent_stream_is_told_to_come_again_when_the_drain_begins_and_keeps_what_arrived() {
    let (fixture, client) = client().await;
    let run = &fixture.runs[1];
    let (sender, receiver) = mpsc::channel(1);
    let mut other = client.clone();
    let silent = tokio::spawn(async move { other.log_metrics(ReceiverStream::new(receiver)).await });
    sender.send(batch(&run.to_string(), &key(), vec![point("a", 1, 0.5)])).await.unwrap();
    eventually(async || (history(&client, run, "a").await == [(1, 0.5)]).then_some(())).await;
    fixture.server.shutdown.cancel();
    check(&silent.await.unwrap().unwrap_err(), Code::Unavailable, "SERVER_DRAINING");
    drop((sender, client));
    fixture.server.drained().await;
}
