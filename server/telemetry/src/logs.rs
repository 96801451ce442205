//! Log lines: one event, one line, whatever its values hold.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal as _, Write as _};

use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tenor_domain::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt as _};

use crate::Error;

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `Text` with colours when stderr is a terminal, else `Json`.
    #[default]
    Auto,
    /// One JSON object a line: `timestamp`, `level`, `target`, `message`, `trace_id`, `span_id`, `span`, then the fields.
    Json,
    /// For people at a terminal.
    Text,
}

/// The `[telemetry.logs]` section.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    pub format: LogFormat,
    /// Directives of tracing-subscriber: `info,tenor_queue=debug`.
    pub filter: String,
    /// Colours the level in text lines.
    pub ansi: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info,sqlx=warn".to_owned(), ansi: false }
    }
}

impl LogConfig {
    /// The same with `Auto` decided.
    pub(crate) fn decided(&self, terminal: bool) -> Self {
        match (self.format, terminal) {
            (LogFormat::Auto, true) => Self { format: LogFormat::Text, ansi: true, ..self.clone() },
            (LogFormat::Auto, false) => Self { format: LogFormat::Json, ..self.clone() },
            (LogFormat::Json | LogFormat::Text, _) => self.clone(),
        }
    }
}

/// Installs logs only, to stderr: for commands that make no traces.
pub fn init(config: &LogConfig) -> Result<(), Error> {
    let config = &config.decided(std::io::stderr().is_terminal());
    crate::install(tracing_subscriber::registry().with(filter(config)?).with(layer(config, std::io::stderr)))
}

/// Runs `body` with logs to `writer`, on this thread only: for tests of what is logged.
pub fn capture<T>(
    config: &LogConfig,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    body: impl FnOnce() -> T,
) -> Result<T, Error> {
    let subscriber = tracing_subscriber::registry().with(filter(config)?).with(layer(config, writer));
    let _default = subscriber.set_default();
    Ok(body())
}

pub(crate) fn filter(config: &LogConfig) -> Result<EnvFilter, Error> {
    EnvFilter::builder()
        .parse(&config.filter)
        .map_err(|error| Error::Filter { filter: config.filter.escape_debug().to_string(), detail: error.to_string() })
}

pub(crate) fn layer<W>(config: &LogConfig, writer: W) -> LogLayer<W> {
    LogLayer { format: config.format, ansi: config.ansi, writer }
}

/// Writes events; keeps the fields of spans for the events inside them.
pub(crate) struct LogLayer<W> {
    format: LogFormat,
    ansi: bool,
    writer: W,
}

/// The fields of a span; of several with one name the last counts. A list, because most spans are never logged from.
struct SpanFields(Vec<(&'static str, Value)>);

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.values));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(kept) = span.extensions_mut().get_mut::<SpanFields>() {
            kept.0.extend(fields.values);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut fields = Map::new();
        let mut span_name = None;
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                span_name = Some(span.name());
                if let Some(kept) = span.extensions().get::<SpanFields>() {
                    fields.extend(kept.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
                }
            }
        }
        fields.extend(own.values.into_iter().map(|(name, value)| (name.to_owned(), value)));

        let mut line = match self.format {
            LogFormat::Json | LogFormat::Auto => json_line(event, own.message, span_name, fields),
            LogFormat::Text => text_line(event, &own.message, span_name, &fields, self.ansi),
        };
        line.push('\n');
        // One write a line, so that lines of several threads do not mix. There is nowhere to report a failure to.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(line.as_bytes());
    }
}

fn json_line(event: &Event<'_>, message: String, span: Option<&str>, fields: Map<String, Value>) -> String {
    let metadata = event.metadata();
    let mut line = Map::new();
    line.insert("timestamp".to_owned(), SystemClock.now().to_rfc3339().into());
    line.insert("level".to_owned(), metadata.level().as_str().into());
    line.insert("target".to_owned(), metadata.target().into());
    line.insert("message".to_owned(), message.into());
    let active = opentelemetry::Context::current();
    let trace = active.span().span_context().clone();
    if trace.is_valid() {
        line.insert("trace_id".to_owned(), trace.trace_id().to_string().into());
        line.insert("span_id".to_owned(), trace.span_id().to_string().into());
    }
    if let Some(span) = span {
        line.insert("span".to_owned(), span.into());
    }
    for (name, value) in fields {
        // A field must not be able to replace what the reader trusts.
        let name = if line.contains_key(&name) { format!("field.{name}") } else { name };
        line.insert(name, value);
    }
    Value::Object(line).to_string()
}

fn text_line(event: &Event<'_>, message: &str, span: Option<&str>, fields: &Map<String, Value>, ansi: bool) -> String {
    let metadata = event.metadata();
    let (on, off) = match (ansi, *metadata.level()) {
        (false, _) => ("", ""),
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
        (true, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
        (true, _) => ("\x1b[2m", "\x1b[0m"),
    };
    let time = SystemClock.now().to_rfc3339();
    let mut line =
        format!("{time} {on}{:>5}{off} {}: {}", metadata.level().as_str(), metadata.target(), escaped(message));
    for (name, value) in fields {
        let value = match value {
            Value::String(text) if text.chars().all(|c| c.is_alphanumeric() || "-_./:".contains(c)) => text.clone(),
            // JSON text escapes C0 only; C1 begins control sequences too.
            other => escaped(&other.to_string()),
        };
        let _ = write!(line, " {name}={value}");
    }
    if let Some(span) = span {
        let _ = write!(line, " span={span}");
    }
    line
}

fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { Escaped::Code(c.escape_default()) } else { Escaped::As(Some(c)) })
        .collect()
}

enum Escaped {
    As(Option<char>),
    Code(std::char::EscapeDefault),
}

impl Iterator for Escaped {
    type Item = char;
    fn next(&mut self) -> Option<char> {
        match self {
            Self::As(c) => c.take(),
            Self::Code(code) => code.next(),
        }
    }
}

/// The fields of an event or a span as JSON.
#[derive(Default)]
struct Fields {
    message: String,
    values: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.values.push((field.name(), value));
    }
    fn put_text(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, Value::String(text));
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // NaN and the infinities have no JSON number.
        let number =
            serde_json::Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number);
        self.put(field, number);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put_text(field, value.to_string());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }
}
