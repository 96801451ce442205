//! Carries the caller's trace to the server.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Adds a W3C `traceparent` of the current `tracing` span, or else of the current OpenTelemetry context, when there is one.
pub(crate) fn inject(metadata: &mut MetadataMap) {
    let context = tracing::Span::current().context();
    let found = context.span().span_context().clone();
    let span = if found.is_valid() { found } else { Context::current().span().span_context().clone() };
    if let Some(value) = traceparent(&span) {
        metadata.insert("traceparent", value);
    }
}

fn traceparent(span: &SpanContext) -> Option<AsciiMetadataValue> {
    if !span.is_valid() {
        return None;
    }
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()).parse().ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn a_valid_span_becomes_a_w3c_traceparent() {
        let span = SpanContext::new(
            TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128),
            SpanId::from(0x00f0_67aa_0ba9_02b7_u64),
            TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        let value = traceparent(&span).unwrap();
        assert_eq!(value.to_str().unwrap(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    }

    #[test]
    fn without_a_span_nothing_is_sent() {
        let mut metadata = MetadataMap::new();
        inject(&mut metadata);
        assert!(metadata.is_empty());
    }
}
