//! Trace context in and out, and the exporter.

use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::Runtime;
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::Registry;

use crate::Error;

/// How long the last flush may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The `[telemetry.traces]` section.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// OTLP over gRPC, e.g. `http://127.0.0.1:4317`. Empty: nothing is exported.
    pub endpoint: String,
    /// Resource attribute `service.name`.
    pub service_name: String,
    /// Resource attribute `service.version`.
    pub service_version: String,
    /// 0 to 1: share of traces begun here that are exported. A caller's decision is followed.
    pub sample_ratio: f64,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            service_name: "tenor-server".to_owned(),
            service_version: String::new(),
            sample_ratio: 1.0,
        }
    }
}

/// The provider, and the runtime that its exporter lives on. A runtime of its own, because the last flush happens
/// when the server's runtime is shutting down or gone.
#[derive(Debug)]
pub(crate) struct Exporting {
    provider: SdkTracerProvider,
    runtime: Option<Runtime>,
}

impl Exporting {
    pub(crate) fn flush(&self) {
        if self.runtime.is_none() {
            return;
        }
        if let Err(error) = self.provider.force_flush() {
            tracing::warn!(error = %error, "traces could not be flushed");
        }
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(error = %error, "traces could not be flushed");
        }
        if let Some(runtime) = self.runtime.take() {
            // Not a plain drop: that panics on an async thread.
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn layer(config: &TraceConfig) -> Result<(OpenTelemetryLayer<Registry, SdkTracer>, Exporting), Error> {
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(Error::SampleRatio(config.sample_ratio));
    }
    let mut resource = Resource::builder().with_service_name(config.service_name.clone());
    if !config.service_version.is_empty() {
        let version = opentelemetry::KeyValue::new("service.version", config.service_version.clone());
        resource = resource.with_attribute(version);
    }
    // Without an exporter nobody would see the spans: their ids are for the log and for whoever continues the trace.
    let root = match config.endpoint.as_str() {
        "" => Sampler::AlwaysOff,
        _ => Sampler::TraceIdRatioBased(config.sample_ratio),
    };
    let sampler = Sampler::ParentBased(Box::new(root));
    let mut provider = SdkTracerProvider::builder().with_resource(resource.build()).with_sampler(sampler);
    let mut runtime = None;
    if !config.endpoint.is_empty() {
        let bad = |detail: String| Error::Endpoint { endpoint: config.endpoint.escape_debug().to_string(), detail };
        if !config.endpoint.starts_with("http://") {
            return Err(
                bad("only plain `http://` is supported, put a collector beside the server for more".to_owned()),
            );
        }
        let own = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tenor-otlp")
            .enable_all()
            .build()
            .map_err(Error::Exporter)?;
        let exporter = {
            let _inside = own.enter();
            SpanExporter::builder()
                .with_tonic()
                .with_endpoint(&config.endpoint)
                .with_timeout(Duration::from_secs(3))
                .build()
                .map_err(|error| bad(error.to_string()))?
        };
        provider = provider.with_batch_exporter(exporter);
        runtime = Some(own);
    }
    let provider = provider.build();
    let tracer = provider.tracer("tenor");
    // Source positions, thread names and idle times cost an allocation or a look at the clock each and help nobody here.
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    Ok((layer, Exporting { provider, runtime }))
}

/// Reads W3C trace context, version 00: `00-<32 hex>-<16 hex>-<2 hex>`. `None` for anything that is not valid.
pub fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let bytes = text.as_bytes();
    let lower_hex = |part: &[u8]| part.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    let shape = bytes.len() == 55
        && bytes.starts_with(b"00-")
        && bytes[35] == b'-'
        && bytes[52] == b'-'
        && lower_hex(&bytes[3..35])
        && lower_hex(&bytes[36..52])
        && lower_hex(&bytes[53..55]);
    if !shape {
        return None;
    }
    let trace_id = TraceId::from_hex(&text[3..35]).ok()?;
    let span_id = SpanId::from_hex(&text[36..52]).ok()?;
    let flags = u8::from_str_radix(&text[53..55], 16).ok()?;
    let context = SpanContext::new(trace_id, span_id, TraceFlags::new(flags & 1), true, TraceState::default());
    context.is_valid().then_some(context)
}

/// The trace context of `span` as `traceparent` text; `None` outside of any trace.
pub fn traceparent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let trace = span.span_context();
    trace
        .is_valid()
        .then(|| format!("00-{}-{}-{:02x}", trace.trace_id(), trace.span_id(), trace.trace_flags().to_u8() & 1))
}

/// The trace context of the current span as `traceparent` text, to pass on to whoever continues the work.
pub fn current_traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

/// Makes `span` a child of the remote span that `traceparent` names. Call it before the span is first entered.
/// Returns whether it was done: text that is not valid changes nothing.
pub fn set_parent(span: &Span, traceparent: &str) -> bool {
    parse_traceparent(traceparent)
        .is_some_and(|parent| span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent)).is_ok())
}

/// Links `span` to the span that `traceparent` names: related, but not its child. Text that is not valid changes nothing.
pub fn link(span: &Span, traceparent: &str) {
    if let Some(context) = parse_traceparent(traceparent) {
        span.add_link(context);
    }
}
