//! One error type that every use case returns, and the small list of kinds that clients act on.

use std::fmt;

/// What a caller can do about an error. Adding a kind is a design decision: each maps to one gRPC status and one GraphQL code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The named thing does not exist.
    NotFound,
    /// A thing with that name or key exists already.
    AlreadyExists,
    /// The request itself is wrong; sending it again cannot help. Carries field violations.
    InvalidArgument,
    /// The request is right but the state of the system forbids it.
    FailedPrecondition,
    /// Somebody else changed it first (stale etag, lost lease); read again and retry.
    Conflict,
    /// A limit was reached.
    ResourceExhausted,
    /// Try again later; `retry_after_ms` says when.
    Unavailable,
    /// The deadline of the caller passed.
    DeadlineExceeded,
    /// The caller cancelled.
    Cancelled,
    /// The address or the caller is not allowed.
    PermissionDenied,
    /// Our fault. The message is for the log; clients see a reference only.
    Internal,
}

/// One field of the request that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field as the client wrote it, e.g. `spec.max_features`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

/// An error that may cross the edge. `reason` is a constant in UPPER_SNAKE_CASE from the catalogue in `docs/errors.md`.
#[derive(Debug, Clone)]
pub struct Error {
    pub kind: ErrorKind,
    pub reason: &'static str,
    /// Lowercase, no final period, says what to do.
    pub message: String,
    pub violations: Vec<FieldViolation>,
    pub retry_after_ms: Option<u64>,
    /// Kept for the log, never sent to a client.
    pub cause: Option<String>,
}

impl Error {
    /// An error of `kind` with a catalogue `reason` and a message for people.
    pub fn new(kind: ErrorKind, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, reason, message: message.into(), violations: Vec::new(), retry_after_ms: None, cause: None }
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, "NOT_FOUND", message)
    }
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::AlreadyExists, "ALREADY_EXISTS", message)
    }
    /// A wrong field; the message repeats the violation.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        let mut error = Self::new(ErrorKind::InvalidArgument, "INVALID_FIELD", format!("`{field}` {description}"));
        error.violations.push(FieldViolation { field, description });
        error
    }
    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FailedPrecondition, reason, message)
    }
    /// A stale etag or a lost race.
    pub fn conflict(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, reason, message)
    }
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut error = Self::new(ErrorKind::Internal, "INTERNAL", "internal error");
        error.cause = Some(cause.to_string());
        error
    }
    pub fn unavailable(message: impl Into<String>, retry_after_ms: u64) -> Self {
        let mut error = Self::new(ErrorKind::Unavailable, "UNAVAILABLE", message);
        error.retry_after_ms = Some(retry_after_ms);
        error
    }
    /// Adds the internal cause, for the log only.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
