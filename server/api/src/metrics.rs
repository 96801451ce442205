//! The series of the gRPC edge. Methods come from the descriptors, codes from an enum: nothing a client sends is a label.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// Every series that this crate emits.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) duration: HistogramVec,
    pub(crate) running: IntGauge,
    pub(crate) connections: IntGauge,
}

impl Metrics {
    /// Registers the series with `registry`; a name that is already there is an error.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let bounds = vec![1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 2.5, 10.0];
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("tenor_rpc_requests_total", "Finished rpcs, by method and gRPC status."),
                &["method", "code"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new("tenor_rpc_duration_seconds", "Time from request to the end of the answer.")
                    .buckets(bounds),
                &["method"],
            )?,
            running: IntGauge::new("tenor_rpc_running", "Rpcs that have begun and not ended.")?,
            connections: IntGauge::new("tenor_connections", "Open connections.")?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        Ok(metrics)
    }

    /// Open connections, for [`crate::ListenOptions`].
    pub fn connections(&self) -> IntGauge {
        self.connections.clone()
    }
}

/// The name of a gRPC status, as in the specification.
pub(crate) fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
