//! Small validated values that several nouns share.

use crate::{Error, Timestamp};

/// Who asks, and under which trace. Filled at the edge, stored with jobs so that a trace spans the queue.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// W3C `traceparent` of the request, if any.
    pub traceparent: Option<String>,
    /// Name of the principal; `anonymous` on a loopback server without authentication.
    pub principal: String,
}

impl Caller {
    pub fn anonymous() -> Self {
        Self { traceparent: None, principal: "anonymous".to_owned() }
    }
}

/// The caller's idempotency key (AIP-155): a UUID. The same key with the same request returns the first answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// Parses a UUID; the empty string means that no key was given.
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        if text.is_empty() {
            return Ok(None);
        }
        match uuid::Uuid::try_parse(text) {
            Ok(id) if text.len() == 36 => Ok(Some(Self(id.to_string()))),
            _ => Err(Error::invalid(
                "request_id",
                "must be a UUID like `4b9d1c4e-5d3e-4f8c-9d56-0a4f6c1b2a11`, or empty",
            )),
        }
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The version tag of a row (AIP-154). Equal etags mean that nothing changed in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Etag(pub i64);

impl Etag {
    /// Parses what `Display` printed; the empty string means "whatever is there".
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        number
            .parse()
            .map(|n| Some(Self(n)))
            .map_err(|_| Error::invalid("etag", "is not an etag of this server; read the resource again"))
    }
}

impl std::fmt::Display for Etag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// A typed parameter of a run or a trial. In JSON it is the plain value: `true`, `3`, `3.0` or `"text"`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum ParamValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl std::fmt::Display for ParamValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// One point of a metric's series. `value` may be NaN or infinite. A second point with the same key and step replaces the first.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Metric {
    pub key: String,
    pub value: f64,
    pub step: i64,
    pub at: Timestamp,
}

impl Metric {
    /// Checks a metric's or parameter's key: 1 to 250 characters, no control characters.
    pub fn check_key(field: &str, key: &str) -> Result<(), Error> {
        // Bytes bound characters from above, and are free to count.
        let long = key.len() > 250 && key.chars().count() > 250;
        if key.is_empty() || long || key.chars().any(char::is_control) {
            return Err(Error::invalid(field, "must be 1 to 250 characters without control characters"));
        }
        Ok(())
    }
}
