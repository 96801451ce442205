//! The series of the GraphQL edge. Outcomes come from a list: nothing a client sends is a label.

use tenor_telemetry::metrics::{Counters, Error, FAST_SECONDS, Gauges, Histograms, Registry};

/// Every series that this crate emits.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) requests: Counters,
    pub(crate) duration: Histograms,
    pub(crate) sockets: Gauges,
    pub(crate) subscriptions: Gauges,
}

impl Metrics {
    /// Registers the series; a name that is already there is an error.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            requests: registry.counters(
                "tenor_graphql_requests_total",
                "Finished GraphQL operations, by the code of their first error, or OK.",
                &["outcome"],
            )?,
            duration: registry.histograms(
                "tenor_graphql_duration_seconds",
                "Time from a GraphQL query to its answer.",
                &[],
                FAST_SECONDS,
            )?,
            sockets: registry.gauges("tenor_graphql_sockets", "Open GraphQL WebSockets.", &[])?,
            subscriptions: registry.gauges("tenor_graphql_subscriptions", "Running subscriptions.", &[])?,
        })
    }
}
