//! The history of a job as it grows.

use std::time::Duration;

use serde_json::{Value, json};
use tenor_domain::JobId;

use crate::socket::{Client, serve};
use crate::support::*;

fn watch(job: JobId, arguments: &str) -> String {
    format!("subscription {{ jobEvents(jobId: {job}{arguments}) {{ seq level message jobId time progress data }} }}")
}

/// A job that was cancelled and made ready again: two lines of history, and not over.
async fn eventful(bench: &Bench) -> JobId {
    let job = bench.import("kindle", "x").await.job_id.unwrap();
    bench.jobs().cancel(job).await.unwrap();
    bench.queue().requeue(job).await.unwrap();
    job
}

/// Waits until as many subscriptions run.
async fn running(bench: &Bench, count: usize) {
    let series = format!("tenor_graphql_subscriptions {count}");
    let reached = async {
        while !bench.registry.encode().contains(&series) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap();
}

#[track_caller]
fn event(message: &Value) -> &Value {
    assert_eq!(message["type"], "next", "{message}");
    assert_eq!(message["payload"]["errors"], Value::Null, "{message}");
    &message["payload"]["data"]["jobEvents"]
}

#[tokio::test]
async fn events_arrive_as_they_happen_and_end_with_the_job() {
    for bench in benches().await {
        let job = eventful(&bench).await;
        let mut client = Client::open(serve(&bench).await).await;
        client.ask("a", &watch(job, "")).await;
        let first = client.hear().await;
        let first = event(&first);
        assert_eq!(
            (&first["level"], &first["message"], &first["seq"]),
            (&json!("STATE"), &json!("cancelled"), &json!(1))
        );
        assert_eq!((&first["progress"], &first["data"]["attempt"]), (&Value::Null, &json!(0)));
        let node = bench.data(&format!("{{ node(id: {}) {{ __typename }} }}", first["jobId"])).await;
        assert_eq!(node["node"]["__typename"], "Job");
        let second = client.hear().await;
        assert_eq!((&event(&second)["message"], &event(&second)["seq"]), (&json!("ready"), &json!(2)));
        // Nothing more until something happens.
        running(&bench, 1).await;
        bench.jobs().cancel(job).await.unwrap();
        let last = client.hear().await;
        assert_eq!((&event(&last)["message"], &event(&last)["seq"]), (&json!("cancelled"), &json!(3)));
        assert_eq!(client.hear().await, json!({ "type": "complete", "id": "a" }));
        // Whoever comes back goes on after the last line seen.
        client.ask("b", &watch(job, ", afterSeq: 2")).await;
        assert_eq!(event(&client.hear().await)["seq"], 3);
        assert_eq!(client.hear().await["type"], "complete");
        client.ask("c", &watch(job, &format!(", afterSeq: \"{}\"", i64::MAX))).await;
        assert_eq!(client.hear().await, json!({ "type": "complete", "id": "c" }));
        running(&bench, 0).await;
        assert!(bench.registry.encode().contains("tenor_graphql_requests_total{outcome=\"OK\"} 4"));
    }
}

#[tokio::test]
async fn wrong_subscriptions_are_errors_that_end() {
    for bench in benches().await {
        let job = bench.import("kindle", "x").await.job_id.unwrap();
        let mut client = Client::open(serve(&bench).await).await;
        for (query, refused) in [
            (watch(JobId(99_999), ""), ("NOT_FOUND", "NOT_FOUND")),
            (watch(job, ", afterSeq: -1"), ("INVALID_ARGUMENT", "INVALID_FIELD")),
            (watch(job, ", afterSeq: 1.5"), ("INVALID_ARGUMENT", "QUERY_INVALID")),
            ("subscription { jobEvents(jobId: \"x\") { seq } }".to_owned(), ("INVALID_ARGUMENT", "INVALID_FIELD")),
            ("subscription { nothing }".to_owned(), ("INVALID_ARGUMENT", "QUERY_INVALID")),
            (format!("subscription {}", "{ a ".repeat(1_000)), ("RESOURCE_EXHAUSTED", "QUERY_TOO_DEEP")),
        ] {
            client.ask("x", &query).await;
            let message = client.hear().await;
            assert_eq!(refusal(&message["payload"]), refused, "{message}");
            assert_eq!(client.hear().await, json!({ "type": "complete", "id": "x" }), "{query:.80}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_subscriptions() {
    for bench in benches().await {
        let job = bench.import("kindle", "x").await.job_id.unwrap();
        let mut client = Client::open(serve(&bench).await).await;
        for id in ["a", "b", "c"] {
            client.ask(id, &watch(job, ", afterSeq: 1000")).await;
        }
        running(&bench, 3).await;
        client.say(json!({ "type": "complete", "id": "a" })).await;
        running(&bench, 2).await;
        drop(client);
        running(&bench, 0).await;
        assert!(bench.registry.encode().contains("tenor_graphql_requests_total{outcome=\"CANCELLED\"} 3"));
    }
}

#[tokio::test]
async fn a_drain_ends_subscriptions_and_then_their_socket() {
    for bench in benches().await {
        let job = bench.import("kindle", "x").await.job_id.unwrap();
        let address = serve(&bench).await;
        let mut idle = Client::open(address).await;
        let mut client = Client::open(address).await;
        client.ask("a", &watch(job, ", afterSeq: 1000")).await;
        running(&bench, 1).await;
        bench.shutdown.cancel();
        let message = client.hear().await;
        assert_eq!(refusal(&message["payload"]), ("UNAVAILABLE", "SERVER_DRAINING"), "{message}");
        assert_eq!(message["payload"]["errors"][0]["extensions"]["retryAfterMs"], 1_000);
        assert_eq!(client.hear().await, json!({ "type": "complete", "id": "a" }));
        assert_eq!((client.closed().await, idle.closed().await), (Some(1001), Some(1001)));
        assert!(Client::connect(address, Some("graphql-transport-ws")).await.is_err());
    }
}

#[tokio::test]
async fn an_error_while_it_runs_hides_its_cause() {
    for bench in benches().await {
        let job = eventful(&bench).await;
        bench.sql("UPDATE job_events SET data = 'secret nonsense'").await;
        let mut client = Client::open(serve(&bench).await).await;
        client.ask("a", &watch(job, "")).await;
        let message = client.hear().await;
        assert_eq!(refusal(&message["payload"]), ("INTERNAL", "INTERNAL"), "{message}");
        assert!(!message.to_string().contains("secret"), "{message}");
        assert_eq!(client.hear().await["type"], "complete");
    }
}
