//! A domain error as a gRPC status with `google.rpc` details. This is the one place where it happens.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderMap;
use tenor_domain::{Error, ErrorKind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use tracing::error;

use crate::metrics::code_name;

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "tenor";
/// A status travels in headers, of which clients read 16 KiB by default: as base64 the most below stay under that.
const MAX_VIOLATIONS: usize = 20;
const MAX_FIELD_BYTES: usize = 80;
const MAX_DESCRIPTION_BYTES: usize = 240;
const MAX_MESSAGE_BYTES: usize = 1_024;

/// Turns an error into what the client sees. An internal cause is logged here, once; the client gets a reference to it.
pub fn status(error: Error) -> Status {
    let code = code(error.kind);
    let reference = reference();
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason, DOMAIN, HashMap::new());
    details.set_request_info(&reference, "");
    if error.kind == ErrorKind::Internal {
        let cause = error.cause.as_deref().unwrap_or(&error.message);
        error!(error.reference = %reference, error.reason = error.reason, error.cause = cause, "request failed");
        return Status::with_error_details(code, internal_message(&reference), details);
    }
    if let Some(cause) = &error.cause {
        tracing::debug!(error.reference = %reference, error.reason = error.reason, error.cause = cause, "request refused");
    }
    let message = clipped(error.message, MAX_MESSAGE_BYTES);
    if !error.violations.is_empty() {
        let violations = error.violations.into_iter().take(MAX_VIOLATIONS).map(|violation| {
            let field = clipped(violation.field, MAX_FIELD_BYTES);
            FieldViolation::new(field, clipped(violation.description, MAX_DESCRIPTION_BYTES))
        });
        details.set_bad_request(violations.collect::<Vec<_>>());
    }
    if let Some(ms) = error.retry_after_ms {
        details.set_retry_info(Some(Duration::from_millis(ms)));
    }
    Status::with_error_details(code, message, details)
}

/// At most `bytes` of `text`, whole characters.
fn clipped(mut text: String, bytes: usize) -> String {
    const MORE: &str = "...";
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes - MORE.len()));
        text.push_str(MORE);
    }
    text
}

/// The gRPC code of a kind.
pub(crate) fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::Internal => Code::Internal,
    }
}

/// Gives the status in `headers` an `ErrorInfo` when it has none: those that the gRPC library made itself. Returns the code.
pub(crate) fn complete(headers: &mut HeaderMap) -> Code {
    let Some(found) = Status::from_header_map(headers) else { return Code::Ok };
    if found.code() == Code::Ok || found.get_details_error_info().is_some() {
        return found.code();
    }
    let completed = completed(&found);
    // `add_header` fails on metadata that is no header, and there is none; then the old status simply stays.
    let _ = completed.add_header(headers);
    completed.code()
}

/// The status that replaces a bare one.
fn completed(bare: &Status) -> Status {
    let message = bare.message();
    let (code, reason, message) = match bare.code() {
        Code::Unimplemented if message.is_empty() => (
            Code::Unimplemented,
            "METHOD_NOT_FOUND",
            "this server has no such method; list what there is by reflection".to_owned(),
        ),
        Code::OutOfRange if message.contains("message length too large") => (
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
            format!("{}; split the request or use a streaming method", tidy(message)),
        ),
        Code::Internal if message.contains("failed to decode Protobuf message") => {
            (Code::InvalidArgument, "MALFORMED_MESSAGE", tidy(message))
        }
        Code::Internal | Code::Unknown | Code::DataLoss => {
            let reference = reference();
            error!(error.reference = %reference, error.cause = message, "request failed");
            let mut details = ErrorDetails::with_error_info("INTERNAL", DOMAIN, HashMap::new());
            details.set_request_info(&reference, "");
            return Status::with_error_details(bare.code(), internal_message(&reference), details);
        }
        code => (code, code_name(code), tidy(message)),
    };
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_request_info(reference(), "");
    Status::with_error_details(code, message, details)
}

/// The library's messages in our way of writing.
fn tidy(message: &str) -> String {
    message.strip_prefix("Error, ").unwrap_or(message).trim_end_matches('.').to_owned()
}

fn internal_message(reference: &str) -> String {
    format!("internal error; the server's log tells more under reference `{reference}`")
}

/// What finds the request in the log: the trace id, or outside of a trace an id of its own.
fn reference() -> String {
    tenor_telemetry::traces::current_traceparent()
        .and_then(|parent| parent.split('-').nth(1).map(str::to_owned))
        .unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string())
}
