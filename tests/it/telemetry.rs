//! What operators see: traces, logs, metrics, health.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tenor_sdk::{Health, Kind};
use tenor_store::testing::databases;
use tokio_stream::wrappers::TcpListenerStream;

use crate::support::*;

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let mut spans = self.0.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let service = attributes.iter().find(|attribute| attribute.key == "service.name");
            let service = format!("{:?}", service.and_then(|attribute| attribute.value.clone()));
            for scope in resource.scope_spans {
                spans.extend(scope.spans.into_iter().map(|span| (service.clone(), span)));
            }
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens; returns its address.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        url
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_command_through_the_server_and_the_queue_to_the_worker() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 300, 0.0);
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let collector = Collector::default();
        let endpoint = collector.start().await;
        let variables = [("TENOR_TELEMETRY__TRACES__ENDPOINT", endpoint.as_str())];
        let mut server = ServerProcess::start(folder.path(), &database.url, &variables).await;
        let (url, file, otlp) = (server.url.clone(), file.clone(), endpoint.clone());
        let done = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(binary("tenor"));
            command.args(["--server", &url, "dataset", "import"]).arg(file).args(["--dataset", "reviews"]);
            run(command.env("OTEL_EXPORTER_OTLP_ENDPOINT", otlp))
        })
        .await
        .unwrap();
        assert_eq!(done.code, 0, "{}", done.stderr);
        server.signal("-TERM");
        assert!(server.ended().await.success());

        let spans = collector.0.lock().unwrap().clone();
        let root = spans.iter().find(|(service, _)| service.contains("tenor-cli")).expect("the command's span");
        let trace: Vec<&Span> =
            spans.iter().map(|(_, span)| span).filter(|span| span.trace_id == root.1.trace_id).collect();
        let names: BTreeSet<&str> = trace.iter().map(|span| span.name.as_str()).collect();
        for wanted in ["tenor.v1.DatasetService/ImportDatasetVersion", "queue.job.run"] {
            assert!(names.iter().any(|name| name.contains(wanted)), "{wanted} is not in {names:?}");
        }
        // Each hangs on another of the trace, up to the command.
        let ids: BTreeSet<&[u8]> = trace.iter().map(|span| span.span_id.as_slice()).collect();
        for span in &trace {
            assert!(span.parent_span_id.is_empty() || ids.contains(span.parent_span_id.as_slice()), "{}", span.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_line_is_json_and_a_request_can_be_found_by_its_trace() {
    let database = databases().await.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let filter = [("TENOR_TELEMETRY__LOGS__FILTER", "debug,sqlx=info,h2=info,hyper=info")];
    let mut server = ServerProcess::start(folder.path(), &database.url, &filter).await;
    let hostile = "x\u{1b}[31m\n{\"level\":\"ERROR\"}";
    server.client.datasets().get(hostile).await.unwrap_err();
    server.client.predictions().predict(hostile, hostile).await.unwrap_err();
    server.signal("-TERM");
    assert!(server.ended().await.success());
    let log = server.log();
    assert!(!log.contains('\u{1b}'), "{log}");
    let mut traced = 0;
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
        if line["span"] == "rpc" {
            assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
            traced += 1;
        }
    }
    assert!(traced > 0, "{log}");
}

/// Series by name, without their values.
fn series(text: &str) -> BTreeSet<String> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_invented_names_add_no_series() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    let database = databases().await.remove(0);
    let server = Server::start(database, |_| {}).await;
    server.serve_reviews(&file, "binary").await;
    let ask = |name: String| {
        let (predictions, datasets) = (server.client.predictions(), server.client.datasets());
        async move {
            assert_eq!(predictions.predict(name.clone(), "text").await.unwrap_err().kind(), Kind::NotFound);
            assert_eq!(datasets.get(name).await.unwrap_err().kind(), Kind::NotFound);
        }
    };
    ask("first".to_owned()).await;
    server.client.predictions().predict("reviews", "text").await.unwrap();
    let before = series(&get(&server.url, "/metrics").await.1);
    for number in 0..500 {
        ask(format!("invented-{number}")).await;
        let path = format!("/invented/{number}");
        assert_eq!(get(&server.url, &path).await.0, 404);
    }
    let after = series(&get(&server.url, "/metrics").await.1);
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_series_follow_the_conventions_and_have_the_set_of_the_old_system() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    let database = databases().await.remove(0);
    let server = Server::start(database, |_| {}).await;
    server.serve_reviews(&file, "binary").await;
    server.client.predictions().predict("reviews", "text").await.unwrap();
    let (status, text) = get(&server.url, "/metrics").await;
    assert_eq!(status, 200);
    let mut kinds = BTreeMap::new();
    let mut helped = BTreeSet::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name.to_owned(), kind.to_owned());
        }
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(!help.is_empty(), "{name}");
            helped.insert(name.to_owned());
        }
    }
    for (name, kind) in &kinds {
        assert!(helped.contains(name), "{name} has no help");
        assert!(name.starts_with("tenor_") || name.starts_with("process_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        if kind == "histogram" {
            assert!(["_seconds", "_ratio", "_bytes"].iter().any(|unit| name.ends_with(unit)), "{name} has no unit");
        }
    }
    // Requests, their time, predictions by model, their time, confidence, labels, errors.
    for name in [
        "tenor_rpc_requests_total",
        "tenor_rpc_duration_seconds",
        "tenor_predictions_total",
        "tenor_inference_compute_seconds",
        "tenor_prediction_confidence_ratio",
        "tenor_prediction_labels_total",
        "tenor_contract_violations_total",
        "tenor_queue_attempts_total",
        "tenor_build_info",
        "process_resident_memory_bytes",
    ] {
        assert!(kinds.contains_key(name), "{name} is missing from {:?}", kinds.keys());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_turn_when_the_drain_begins() {
    for server in servers().await {
        assert_eq!(get(&server.url, "/healthz").await, (200, "ok\n".to_owned()));
        let mut ready = 0;
        while get(&server.url, "/readyz").await.0 != 200 {
            ready += 1;
            assert!(ready < 500, "never ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for service in ["", "tenor.v1.PredictionService", "tenor.v1.DatasetService"] {
            assert_eq!(server.client.health(service).await.unwrap(), Health::Serving, "{service}");
        }
        assert_eq!(server.client.health("no.such.Service").await.unwrap_err().kind(), Kind::NotFound);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_the_operators_pages_where_the_configuration_puts_them() {
    let database = databases().await.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&database.url, folder.path());
    // Somebody else has the address for calls, as the API on the same machine does.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.server.listen = taken.local_addr().unwrap();
    config.server.operations_listen = "127.0.0.1:0".into();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let worker = tenor_server::start(config, tenor_server::Role::Worker, shutdown.clone()).await.unwrap();
    let url = format!("http://{}", worker.operations_address());
    assert_eq!(get(&url, "/healthz").await.0, 200);
    let (status, _) = http(&url, "GET /metrics", "origin: http://evil.example\r\n", "").await;
    assert_eq!(status, 403, "a page of another name may not read them");
    shutdown.cancel();
    worker.finished().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_pages_can_have_a_port_of_their_own() {
    let database = databases().await.remove(0);
    let server = Server::start(database, |config| config.server.operations_listen = "127.0.0.1:0".into()).await;
    for page in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(&server.url, page).await.0, 404, "{page}");
        let (status, _) = get(&server.operations_url(), page).await;
        assert!(status == 200 || (page == "/readyz" && status == 503), "{page}: {status}");
    }
}
