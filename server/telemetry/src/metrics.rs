//! Metrics: one registry passed as an argument, families with bounded labels, text exposition.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, TextEncoder};

pub use prometheus::{Error, Gauge, GaugeVec, Histogram, IntCounter, IntGauge};

/// The content type of [`Registry::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The label value that stands for all unknown ones.
pub const OTHER: &str = "_other";

/// Upper bounds, in seconds, for work of microseconds to seconds: a request, a query.
pub const FAST_SECONDS: &[f64] =
    &[1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Upper bounds, in seconds, for work of milliseconds to hours: a job.
pub const SLOW_SECONDS: &[f64] =
    &[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];

/// Every series of a process. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Registry(prometheus::Registry);

impl Registry {
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry of the client library, for code that registers with it directly.
    pub fn inner(&self) -> &prometheus::Registry {
        &self.0
    }

    /// Counters that differ by `labels`. A name may be registered once.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<Counters, Error> {
        Ok(Counters(self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)?))
    }

    /// Gauges that differ by `labels`.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<Gauges, Error> {
        Ok(Gauges(self.registered(IntGaugeVec::new(Opts::new(name, help), labels)?)?))
    }

    /// Histograms that differ by `labels`; `bounds` ascend, see [`FAST_SECONDS`] and [`SLOW_SECONDS`].
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], bounds: &[f64]) -> Result<Histograms, Error> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        Ok(Histograms(self.registered(HistogramVec::new(options, labels)?)?))
    }

    /// CPU time, memory, open files, threads and start time of this process, under their usual `process_` names.
    pub fn add_process(&self) -> Result<(), Error> {
        #[cfg(target_os = "linux")]
        self.0.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(())
    }

    /// `tenor_build_info{version, revision} 1`.
    pub fn add_build_info(&self, version: &str, revision: &str) -> Result<(), Error> {
        let info =
            self.gauges("tenor_build_info", "Version and source revision of this build.", &["version", "revision"])?;
        info.with(&[version, revision]).set(1);
        Ok(())
    }

    /// All series in the Prometheus text format; see [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; a series that cannot be encoded is left out rather than failing the scrape.
        for family in self.0.gather() {
            let before = text.len();
            if TextEncoder::new().encode_utf8(std::slice::from_ref(&family), &mut text).is_err() {
                text.truncate(before);
            }
        }
        text
    }

    fn registered<C: Collector + Clone + 'static>(&self, family: C) -> Result<C, Error> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}

macro_rules! families {
    ($($(#[$doc:meta])* $name:ident($vec:ty) -> $member:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name($vec);

        impl $name {
            /// The member with these label values, in the order of registration. Keep it where the path is hot.
            ///
            /// # Panics
            /// When the number of values is not that of the labels: a mistake in the calling line.
            pub fn with(&self, values: &[&str]) -> $member {
                self.0.with_label_values(values)
            }
            /// Forgets a member, e.g. of a deployment that is gone.
            pub fn remove(&self, values: &[&str]) {
                let _ = self.0.remove_label_values(values);
            }
        }
    )*};
}

families! {
    /// Counters that differ by their labels.
    Counters(IntCounterVec) -> IntCounter;
    /// Gauges that differ by their labels.
    Gauges(IntGaugeVec) -> IntGauge;
    /// Histograms that differ by their labels.
    Histograms(HistogramVec) -> Histogram;
}

/// Keeps label values bounded: a value that is not admitted becomes [`OTHER`].
#[derive(Debug)]
pub struct Labels {
    known: RwLock<HashSet<String>>,
    /// How many values may be admitted in all.
    limit: usize,
}

impl Labels {
    /// Admits these values and no other.
    pub fn known<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let known: HashSet<String> = values.into_iter().map(str::to_owned).collect();
        let limit = known.len();
        Self { known: RwLock::new(known), limit }
    }

    /// Admits the first `limit` different values that it sees: for names that operators choose, never for input.
    pub fn first(limit: usize) -> Self {
        Self { known: RwLock::new(HashSet::new()), limit }
    }

    /// `value` if it is admitted, else [`OTHER`].
    pub fn of<'a>(&self, value: &'a str) -> &'a str {
        // The set is valid after a panic elsewhere: insertion is its only change.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(value) {
            return value;
        }
        if known.len() >= self.limit {
            return OTHER;
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < self.limit || known.contains(value) {
            known.insert(value.to_owned());
            return value;
        }
        OTHER
    }
}
