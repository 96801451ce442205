#![doc = include_str!("../README.md")]

pub mod logs;
pub mod metrics;
pub mod traces;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt;

pub use logs::{LogConfig, LogFormat};
pub use traces::TraceConfig;

/// What goes wrong before the first line is logged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `logs.filter` is not a list of directives.
    #[error("log filter `{filter}` is not valid ({detail}); use directives like `info,tenor_queue=debug`")]
    Filter { filter: String, detail: String },
    /// `traces.endpoint` cannot be used.
    #[error("trace endpoint `{endpoint}` cannot be used: {detail}; use an address like `http://127.0.0.1:4317`")]
    Endpoint { endpoint: String, detail: String },
    /// `traces.sample_ratio` is not between 0 and 1.
    #[error("trace sample ratio must be between 0 and 1, got {0}")]
    SampleRatio(f64),
    /// The exporter's thread could not be started.
    #[error("cannot start the trace exporter: {0}")]
    Exporter(#[source] io::Error),
    /// Telemetry is set up once a process.
    #[error("a log subscriber is installed already; call `init` once, in `main`")]
    AlreadyInstalled,
}

/// Everything that a process says about itself.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub logs: LogConfig,
    pub traces: TraceConfig,
}

/// Installs logs and traces for the whole process. Keep the guard until `main` returns.
pub fn init(config: &Config) -> Result<TelemetryGuard, Error> {
    let (spans, traces) = traces::layer(&config.traces)?;
    // A filter each: a quiet log must not cut the trace that callers and workers continue.
    let logs = config.logs.decided(io::stderr().is_terminal());
    let lines = logs::layer(&logs, io::stderr).with_filter(logs::filter(&logs)?);
    install(tracing_subscriber::registry().with(spans.with_filter(LevelFilter::INFO)).with(lines))?;
    Ok(TelemetryGuard { traces })
}

fn install(subscriber: impl SubscriberInitExt) -> Result<(), Error> {
    subscriber.try_init().map_err(|_| Error::AlreadyInstalled)
}

/// Flushes the trace exporter when dropped, also on an early return or a panic that unwinds out of `main`.
#[derive(Debug)]
#[must_use = "dropping the guard stops the export of traces"]
pub struct TelemetryGuard {
    traces: traces::Exporting,
}

impl TelemetryGuard {
    /// Sends what is buffered, waiting at most five seconds. Call it before `std::process::exit`, which runs no
    /// destructor. May block, so not on an async thread that others wait for.
    pub fn flush(&self) {
        self.traces.flush();
    }
}
