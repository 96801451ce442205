//! Every series of the queue. Kinds and queues are names in code, so their number is small; it is bounded all the same.

use std::sync::Arc;
use std::time::Duration;

use tenor_telemetry::metrics::{self, Counters, Gauges, Histograms, Labels, Registry};

/// The series, or nothing when they are not registered. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Option<Arc<Series>>);

#[derive(Debug)]
struct Series {
    kinds: Labels,
    queues: Labels,
    enqueued: Counters,
    attempts: Counters,
    attempt_seconds: Histograms,
    pickup_seconds: Histograms,
    live: Gauges,
    running: Gauges,
    leases_lost: Counters,
    heartbeat_failures: Counters,
    lines_dropped: Counters,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, metrics::Error> {
        Ok(Self(Some(Arc::new(Series {
            kinds: Labels::first(64),
            queues: Labels::first(32),
            enqueued: registry.counters(
                "tenor_queue_jobs_enqueued_total",
                "Jobs enqueued by this process.",
                &["kind"],
            )?,
            attempts: registry.counters(
                "tenor_queue_attempts_total",
                "Attempts ended by this process: succeeded, retry, failed, cancelled, released, lost.",
                &["kind", "outcome"],
            )?,
            attempt_seconds: registry.histograms(
                "tenor_queue_attempt_duration_seconds",
                "Time in the handler.",
                &["kind"],
                metrics::SLOW_SECONDS,
            )?,
            pickup_seconds: registry.histograms(
                "tenor_queue_pickup_seconds",
                "Time from ready to claimed, by the clock of the database.",
                &["queue"],
                metrics::SLOW_SECONDS,
            )?,
            live: registry.gauges("tenor_queue_jobs", "Jobs ready and running in the whole queue.", &["state"])?,
            running: registry.gauges("tenor_queue_worker_running_jobs", "Jobs that this process runs.", &[])?,
            leases_lost: registry.counters("tenor_queue_leases_lost_total", "Leases that this process lost.", &[])?,
            heartbeat_failures: registry.counters(
                "tenor_queue_heartbeat_failures_total",
                "Heartbeats that the database did not answer.",
                &[],
            )?,
            lines_dropped: registry.counters(
                "tenor_queue_lines_dropped_total",
                "History lines dropped because the database could not take them.",
                &[],
            )?,
        }))))
    }

    pub(crate) fn enqueued(&self, kind: &str) {
        if let Some(series) = &self.0 {
            series.enqueued.with(&[series.kinds.of(kind)]).inc();
        }
    }
    pub(crate) fn picked_up(&self, queue: &str, waited_ms: i64) {
        if let Some(series) = &self.0 {
            let seconds = Duration::from_millis(u64::try_from(waited_ms).unwrap_or(0)).as_secs_f64();
            series.pickup_seconds.with(&[series.queues.of(queue)]).observe(seconds);
        }
    }
    pub(crate) fn attempt(&self, kind: &str, outcome: &'static str, took: Duration) {
        if let Some(series) = &self.0 {
            let kind = series.kinds.of(kind);
            series.attempts.with(&[kind, outcome]).inc();
            series.attempt_seconds.with(&[kind]).observe(took.as_secs_f64());
        }
    }
    pub(crate) fn live(&self, state: &str, jobs: i64) {
        if let Some(series) = &self.0 {
            series.live.with(&[state]).set(jobs);
        }
    }
    pub(crate) fn running(&self, jobs: usize) {
        if let Some(series) = &self.0 {
            series.running.with(&[]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
        }
    }
    pub(crate) fn lease_lost(&self) {
        if let Some(series) = &self.0 {
            series.leases_lost.with(&[]).inc();
        }
    }
    pub(crate) fn heartbeat_failed(&self) {
        if let Some(series) = &self.0 {
            series.heartbeat_failures.with(&[]).inc();
        }
    }
    pub(crate) fn lines_dropped(&self, lines: usize) {
        if let Some(series) = &self.0 {
            series.lines_dropped.with(&[]).inc_by(lines as u64);
        }
    }
}
