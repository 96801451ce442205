//! Logs and traces of the command itself; both are off unless asked for.
//!
//! `TENOR_LOG=debug` writes logs to stderr. `OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4317` sends the command's span, to which the
//! server's spans attach.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

/// Sends what is left when dropped.
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // A collector that is away must not fail a command that worked.
            let _ = provider.shutdown_with_timeout(std::time::Duration::from_secs(2));
        }
    }
}

/// `None` when neither is asked for.
pub(crate) fn start() -> Option<Telemetry> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let log = set("TENOR_LOG");
    let provider = set("OTEL_EXPORTER_OTLP_ENDPOINT").and_then(|_| {
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build().ok()?;
        let resource = Resource::builder().with_service_name("tenor-cli").build();
        Some(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
    });
    if log.is_none() && provider.is_none() {
        return None;
    }
    let logs = log.map(|log| fmt::layer().with_writer(std::io::stderr).with_filter(EnvFilter::new(log)));
    let spans = provider.as_ref().map(|provider| {
        // The exporter's own connection is no part of the trace.
        let ours = EnvFilter::new("tenor=info,tenor_cli=info,tenor_sdk=info");
        tracing_opentelemetry::layer().with_tracer(provider.tracer("tenor-cli")).with_filter(ours)
    });
    let subscriber = Registry::default().with(spans).with(logs);
    Some(Telemetry { provider, _subscriber: tracing::subscriber::set_default(subscriber) })
}
