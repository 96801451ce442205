use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use serde_json::Value;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::metrics::{Labels, OTHER, Registry};
use crate::{Error, LogConfig, LogFormat, TraceConfig, logs, traces};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn captured(config: &LogConfig, body: impl FnOnce()) -> Buffer {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    logs::capture(config, move || writer.clone(), body).unwrap();
    buffer
}

const HOSTILE: &str = "a\nb\r{\"level\":\"ERROR\"} \x1b[31mred\x1b[0m \u{9b}31m \u{0} \u{2028}";

#[test]
fn a_hostile_value_cannot_forge_a_line_or_colour_a_terminal() {
    let config = LogConfig::default();
    let buffer = captured(&config, || {
        let span = tracing::info_span!("request", user.agent = HOSTILE);
        let _in = span.enter();
        tracing::info!(text = HOSTILE, debug = ?HOSTILE, "{}", HOSTILE);
        tracing::info!("second");
    });
    assert!(!buffer.text().contains('\x1b'), "{}", buffer.text());
    let lines = buffer.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["text"], HOSTILE);
    assert_eq!(lines[0]["message"], HOSTILE);
    assert_eq!(lines[0]["user.agent"], HOSTILE);
    assert_eq!(lines[0]["level"], "INFO");

    let text = LogConfig { format: LogFormat::Text, ..config };
    let buffer = captured(&text, || tracing::info!(text = HOSTILE, debug = ?HOSTILE, "{}", HOSTILE));
    let text = buffer.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.trim_end_matches('\n').chars().all(|c| !c.is_control()), "{text:?}");
}

#[test]
fn a_line_has_its_fields_flat_with_their_types_and_cannot_replace_the_level() {
    let buffer = captured(&LogConfig::default(), || {
        let span = tracing::info_span!("queue.job.run", job.id = 7, late = tracing::field::Empty);
        span.record("late", "known now");
        let _in = span.enter();
        tracing::warn!(rows = 12_u64, ratio = 0.5, nothing = f64::NAN, ok = true, level = "DEBUG", "fields");
    });
    let line = &buffer.lines()[0];
    assert_eq!(line["rows"], 12);
    assert_eq!(line["ratio"], 0.5);
    assert_eq!(line["nothing"], "NaN");
    assert_eq!(line["ok"], true);
    assert_eq!(line["job.id"], 7);
    assert_eq!(line["late"], "known now");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["field.level"], "DEBUG");
    assert_eq!(line["span"], "queue.job.run");
    assert!(tenor_domain::Timestamp::parse_rfc3339(line["timestamp"].as_str().unwrap()).is_some());
}

#[test]
fn a_wrong_filter_endpoint_or_ratio_is_refused_with_advice() {
    let filter = LogConfig { filter: "tenor=nonsense=3".to_owned(), ..LogConfig::default() };
    assert!(matches!(logs::capture(&filter, io::sink, || ()), Err(Error::Filter { .. })));
    for endpoint in ["localhost:4317", "https://host:4317", "http://[::"] {
        let config = TraceConfig { endpoint: endpoint.to_owned(), ..TraceConfig::default() };
        assert!(matches!(traces::layer(&config), Err(Error::Endpoint { .. })), "{endpoint}");
    }
    for ratio in [f64::NAN, -0.1, 1.1] {
        let config = TraceConfig { sample_ratio: ratio, ..TraceConfig::default() };
        assert!(matches!(traces::layer(&config), Err(Error::SampleRatio(_))), "{ratio}");
    }
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn trace_context_passes_through_without_an_exporter_and_under_a_quiet_log() {
    let (layer, exporting) = traces::layer(&TraceConfig::default()).unwrap();
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let config = LogConfig { filter: "warn".to_owned(), ..LogConfig::default() };
    let subscriber = tracing_subscriber::registry()
        .with(layer.with_filter(LevelFilter::INFO))
        .with(logs::layer(&config, move || writer.clone()).with_filter(logs::filter(&config).unwrap()));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("request");
        assert!(traces::set_parent(&span, PARENT));
        let passed_on = span.in_scope(|| {
            tracing::warn!("inside");
            traces::current_traceparent().unwrap()
        });
        assert_eq!(passed_on[..36], PARENT[..36]);
        assert_ne!(passed_on[36..52], PARENT[36..52], "the span has an id of its own");
        assert_eq!(&passed_on[52..], "-01");

        let root = tracing::info_span!("root");
        traces::link(&root, PARENT);
        let own = root.in_scope(|| traces::current_traceparent().unwrap());
        assert_ne!(own[..36], PARENT[..36]);
        assert!(!traces::set_parent(&tracing::info_span!("other"), "nonsense"));
        tracing::warn!("outside");
    });
    let lines = buffer.lines();
    assert_eq!(lines[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(lines[1].get("trace_id"), None);
    drop(exporting);
}

#[test]
fn only_well_formed_trace_context_is_read() {
    let check =
        |text: &str, expected: bool| assert_eq!(traces::parse_traceparent(text).is_some(), expected, "{text:?}");
    check(PARENT, true);
    check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true);
    check("", false);
    check("00-00000000000000000000000000000000-b7ad6b7169203331-01", false);
    check("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false);
    check("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false);
    check("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false);
    check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false);
    check("00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01", false);
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[test]
fn spans_reach_the_collector_even_when_the_guard_goes_after_the_runtime() {
    let collector = Collector::default();
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = server.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(collector.clone());
    server.spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)),
    );

    let config = TraceConfig { endpoint, service_version: "1.2.3".to_owned(), ..TraceConfig::default() };
    let (layer, exporting) = traces::layer(&config).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(LevelFilter::INFO));
    let application = tokio::runtime::Builder::new_current_thread().build().unwrap();
    application.block_on(async {
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("job.run");
            traces::set_parent(&span, PARENT);
            traces::link(&span, "00-11111111111111111111111111111111-2222222222222222-01");
            span.in_scope(|| ());
        });
    });
    drop(application);
    drop(exporting);

    let received = collector.0.lock().unwrap();
    let resource = &received[0].resource_spans[0];
    let attributes = format!("{:?}", resource.resource.as_ref().unwrap().attributes);
    assert!(attributes.contains("tenor-server") && attributes.contains("1.2.3"), "{attributes}");
    let span = &resource.scope_spans[0].spans[0];
    assert_eq!(span.name, "job.run");
    assert_eq!(span.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(span.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    assert_eq!(span.links.len(), 1);
}

#[test]
fn a_collector_that_is_not_there_holds_nobody_up_for_long() {
    let config = TraceConfig { endpoint: "http://127.0.0.1:9".to_owned(), ..TraceConfig::default() };
    let (layer, exporting) = traces::layer(&config).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || tracing::info_span!("lost").in_scope(|| ()));
    let began = std::time::Instant::now();
    drop(exporting);
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn the_text_format_shows_every_family_and_the_process() {
    let registry = Registry::new();
    registry.add_process().unwrap();
    registry.add_build_info("1.2.3", "abc").unwrap();
    let counters = registry.counters("tenor_things_total", "Things.", &["kind"]).unwrap();
    counters.with(&["a\n\"b"]).inc();
    let seconds = registry.histograms("tenor_thing_seconds", "Time.", &[], crate::metrics::FAST_SECONDS).unwrap();
    seconds.with(&[]).observe(0.002);
    let gauges = registry.gauges("tenor_things", "Now.", &["kind"]).unwrap();
    gauges.with(&["gone"]).set(3);
    gauges.remove(&["gone"]);
    let text = registry.encode();
    assert!(text.contains("tenor_build_info{revision=\"abc\",version=\"1.2.3\"} 1"), "{text}");
    assert!(text.contains("tenor_things_total{kind=\"a\\n\\\"b\"} 1"), "{text}");
    assert!(text.contains("tenor_thing_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
    assert!(!text.contains("gone"), "{text}");
    if cfg!(target_os = "linux") {
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
    assert!(registry.counters("tenor_things_total", "Again.", &["kind"]).is_err());
}

#[test]
fn label_values_stay_bounded() {
    let known = Labels::known(["a", "b"]);
    assert_eq!([known.of("a"), known.of("c")], ["a", OTHER]);
    let first = Labels::first(2);
    assert_eq!([first.of("x"), first.of("y"), first.of("z"), first.of("x")], ["x", "y", OTHER, "x"]);
}
