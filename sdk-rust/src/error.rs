//! What went wrong, read from the status and its google.rpc details.

use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The named thing does not exist.
    NotFound,
    /// A thing with that name exists already.
    AlreadyExists,
    /// The request is wrong; see [`Error::violations`].
    InvalidArgument,
    /// The state of the system forbids it.
    FailedPrecondition,
    /// Somebody else changed it first; read again and retry.
    Conflict,
    /// A limit was reached.
    ResourceExhausted,
    /// No answer, or the server asks to come back; see [`Error::retry_after`].
    Unavailable,
    /// The deadline passed.
    DeadlineExceeded,
    /// The call was cancelled.
    Cancelled,
    /// The caller is not allowed, or not known.
    PermissionDenied,
    /// The server does not have this call: it is older than this SDK.
    Unimplemented,
    /// A local file could not be read or written.
    Io,
    /// The server's fault.
    Internal,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    reason: String,
    message: String,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// An error of a call.
#[derive(Debug)]
pub struct Error(Box<Inner>);

impl Error {
    pub(crate) fn new(kind: Kind, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            violations: Vec::new(),
            retry_after: None,
            source: None,
        }))
    }
    pub(crate) fn io(doing: impl fmt::Display, error: std::io::Error) -> Self {
        let mut new = Self::new(Kind::Io, "IO", format!("{doing}: {error}"));
        new.0.source = Some(Box::new(error));
        new
    }
    /// What the caller can do about it.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
    /// A constant in UPPER_SNAKE_CASE for programs.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }
    /// For people.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The wrong fields of the request.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }
    /// How long to wait before trying again, when the server said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let (kind, fallback) = match status.code() {
            Code::NotFound => (Kind::NotFound, "NOT_FOUND"),
            Code::AlreadyExists => (Kind::AlreadyExists, "ALREADY_EXISTS"),
            Code::InvalidArgument | Code::OutOfRange => (Kind::InvalidArgument, "INVALID_ARGUMENT"),
            Code::FailedPrecondition => (Kind::FailedPrecondition, "FAILED_PRECONDITION"),
            Code::Aborted => (Kind::Conflict, "ABORTED"),
            Code::ResourceExhausted => (Kind::ResourceExhausted, "RESOURCE_EXHAUSTED"),
            Code::Unavailable => (Kind::Unavailable, "UNAVAILABLE"),
            Code::DeadlineExceeded => (Kind::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            Code::Cancelled => (Kind::Cancelled, "CANCELLED"),
            Code::PermissionDenied | Code::Unauthenticated => (Kind::PermissionDenied, "PERMISSION_DENIED"),
            Code::Unimplemented => (Kind::Unimplemented, "UNIMPLEMENTED"),
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => (Kind::Internal, "INTERNAL"),
        };
        // A connection that broke is not the server's fault, whatever code the transport gives it.
        let kind = if broken(&status) { Kind::Unavailable } else { kind };
        let reason = match details.error_info() {
            Some(info) if !info.reason.is_empty() => info.reason.clone(),
            _ if kind == Kind::Unavailable => "UNAVAILABLE".to_owned(),
            _ => fallback.to_owned(),
        };
        let violations = details.bad_request().map_or_else(Vec::new, |bad| {
            bad.field_violations
                .iter()
                .map(|v| Violation { field: v.field.clone(), description: v.description.clone() })
                .collect()
        });
        let message = match status.message() {
            "" => format!("the server answered {} without a message", status.code()),
            text => text.to_owned(),
        };
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        Self(Box::new(Inner { kind, reason, message, violations, retry_after, source: Some(Box::new(status)) }))
    }
}

/// Whether the connection failed, as opposed to the server answering with an error.
pub(crate) fn broken(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        Code::Unknown | Code::Internal | Code::Cancelled => std::error::Error::source(status).is_some(),
        _ => false,
    }
}
