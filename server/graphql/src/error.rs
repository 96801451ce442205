//! A domain error as a GraphQL error. This is the one place where it happens.

use std::sync::Arc;

use async_graphql::indexmap::IndexMap;
use async_graphql::{ErrorExtensionValues, Name, PathSegment, Response, ServerError, Value};
use tenor_domain::{Error, ErrorKind, FieldViolation};
use tracing::error;

/// The outcome of an operation without errors.
pub(crate) const OK: &str = "OK";
/// The most errors of one answer; a list of a thousand rows may have as many.
const MAX_ERRORS: usize = 100;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// What a client sees of an error. Making one logs an internal cause, so that it is logged once however many fields show it.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    code: &'static str,
    reason: &'static str,
    message: String,
    fields: Vec<FieldViolation>,
    retry_after_ms: Option<u64>,
    reference: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = code(error.kind);
        if error.kind == ErrorKind::Internal {
            let reference = reference();
            let cause = error.cause.as_deref().unwrap_or(&error.message);
            error!(error.reference = %reference, error.reason = error.reason, error.cause = cause, "query failed");
            let message = format!("internal error; the server's log tells more under reference `{reference}`");
            let reference = Some(reference);
            let seen =
                Seen { code, reason: error.reason, message, fields: Vec::new(), retry_after_ms: None, reference };
            return Self(Arc::new(seen));
        }
        if let Some(cause) = &error.cause {
            tracing::debug!(error.reason = error.reason, error.cause = cause, "query refused");
        }
        let mut message = error.message;
        let mut fields = error.violations;
        for field in &mut fields {
            let name = camel_case(&field.field);
            // The message repeats its violation.
            if let Some(rest) = message.strip_prefix(&format!("`{}`", field.field)) {
                message = format!("`{name}`{rest}");
            }
            field.field = name;
        }
        let (reason, retry_after_ms) = (error.reason, error.retry_after_ms);
        Self(Arc::new(Seen { code, reason, message, fields, retry_after_ms, reference: None }))
    }
}

/// For resolvers. There is no `Display`: a failure reaches a client by this alone, with its extensions.
impl From<Failure> for async_graphql::Error {
    fn from(failure: Failure) -> Self {
        let mut error = Self::new(failure.0.message.clone());
        error.extensions = Some(failure.extensions());
        error
    }
}

impl Failure {
    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    fn extensions(&self) -> ErrorExtensionValues {
        let seen = &*self.0;
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", seen.code);
        extensions.set("reason", seen.reason);
        if !seen.fields.is_empty() {
            let fields = seen.fields.iter().map(|violation| {
                async_graphql::value!({ "field": violation.field.as_str(), "description": violation.description.as_str() })
            });
            extensions.set("fields", Value::List(fields.collect()));
        }
        if let Some(ms) = seen.retry_after_ms {
            extensions.set("retryAfterMs", ms);
        }
        if let Some(reference) = &seen.reference {
            extensions.set("reference", reference.as_str());
        }
        extensions
    }

    pub(crate) fn into_server_error(self) -> ServerError {
        let mut error = ServerError::new(self.0.message.clone(), None);
        error.extensions = Some(self.extensions());
        error
    }

    /// An answer with nothing but this error.
    pub(crate) fn into_response(self) -> Response {
        Response::from_errors(vec![self.into_server_error()])
    }
}

/// Gives errors that the GraphQL library made itself, all about the query, a code and a reason, and failed fields their
/// null. Returns the outcome.
pub(crate) fn complete(response: &mut Response) -> &'static str {
    for error in &response.errors {
        put_null(&mut response.data, &error.path);
    }
    response.errors.truncate(MAX_ERRORS);
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", code(ErrorKind::InvalidArgument));
            extensions.set("reason", "QUERY_INVALID");
            error.message = tidy(&error.message);
        }
    }
    response.errors.first().map_or(OK, |error| {
        let found = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        KINDS
            .iter()
            .map(|kind| code(*kind))
            .find(|code| matches!(found, Some(Value::String(found)) if found == code))
            .unwrap_or("INVALID_ARGUMENT")
    })
}

/// The library leaves failed fields out, where the specification wants null; every field that can fail is nullable. An
/// object whose fields have all failed it makes null.
fn put_null(data: &mut Value, path: &[PathSegment]) {
    match (data, path) {
        (Value::List(values), [PathSegment::Index(index), rest @ ..]) => {
            if let Some(value) = values.get_mut(*index) {
                put_null(value, rest);
            }
        }
        (data @ (Value::Object(_) | Value::Null), [PathSegment::Field(name), rest @ ..]) => {
            if *data == Value::Null {
                *data = Value::Object(IndexMap::new());
            }
            if let Value::Object(fields) = data {
                put_null(fields.entry(Name::new(name)).or_insert(Value::Null), rest);
            }
        }
        _ => {}
    }
}

const KINDS: [ErrorKind; 11] = [
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::InvalidArgument,
    ErrorKind::FailedPrecondition,
    ErrorKind::Conflict,
    ErrorKind::ResourceExhausted,
    ErrorKind::Unavailable,
    ErrorKind::DeadlineExceeded,
    ErrorKind::Cancelled,
    ErrorKind::PermissionDenied,
    ErrorKind::Internal,
];

/// The code of a kind: the name of its gRPC status, so that both APIs say the same.
pub(crate) fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::AlreadyExists => "ALREADY_EXISTS",
        ErrorKind::InvalidArgument => "INVALID_ARGUMENT",
        ErrorKind::FailedPrecondition => "FAILED_PRECONDITION",
        ErrorKind::Conflict => "ABORTED",
        ErrorKind::ResourceExhausted => "RESOURCE_EXHAUSTED",
        ErrorKind::Unavailable => "UNAVAILABLE",
        ErrorKind::DeadlineExceeded => "DEADLINE_EXCEEDED",
        ErrorKind::Cancelled => "CANCELLED",
        ErrorKind::PermissionDenied => "PERMISSION_DENIED",
        ErrorKind::Internal => "INTERNAL",
    }
}

/// `order_by` as the argument is called here.
fn camel_case(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut upper = false;
    for c in field.chars() {
        match c {
            '_' => upper = true,
            _ if upper => {
                name.push(c.to_ascii_uppercase());
                upper = false;
            }
            _ => name.push(c),
        }
    }
    name
}

/// The library's messages in our way of writing.
fn tidy(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// What finds the query in the log: the trace id, or outside of a trace an id of its own.
fn reference() -> String {
    tenor_telemetry::traces::current_traceparent()
        .and_then(|parent| parent.split('-').nth(1).map(str::to_owned))
        .unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(error: Error) -> (String, serde_json::Value) {
        let error = Failure::from(error).into_server_error();
        (error.message, serde_json::to_value(error.extensions).unwrap())
    }

    #[test]
    fn a_wrong_field_is_named_as_the_client_wrote_it() {
        let (message, extensions) = seen(Error::invalid("order_by", "is `order_by`"));
        assert_eq!(message, "`orderBy` is `order_by`");
        let fields = serde_json::json!([{ "field": "orderBy", "description": "is `order_by`" }]);
        assert_eq!((&extensions["code"], &extensions["fields"]), (&"INVALID_ARGUMENT".into(), &fields));
    }

    #[test]
    fn an_internal_cause_is_hidden_behind_a_reference() {
        let (message, extensions) = seen(Error::internal("password=hunter2"));
        let reference = extensions["reference"].as_str().unwrap();
        assert!(message.contains(reference) && !format!("{message}{extensions}").contains("hunter2"));
        assert_eq!((&extensions["code"], &extensions["reason"]), (&"INTERNAL".into(), &"INTERNAL".into()));
    }

    #[test]
    fn errors_of_the_library_get_a_code_and_are_not_many() {
        let errors = (0..500).map(|_| ServerError::new("Unknown field \"x\".", None)).collect();
        let mut response = Response::from_errors(errors);
        assert_eq!(complete(&mut response), "INVALID_ARGUMENT");
        assert_eq!((response.errors.len(), response.errors[0].message.as_str()), (100, "unknown field \"x\""));
        assert_eq!(response.data, Value::Null);
        let mut response = Failure::from(Error::unavailable("x", 7)).into_response();
        assert_eq!(complete(&mut response), "UNAVAILABLE");
        let extensions = serde_json::to_value(&response.errors[0].extensions).unwrap();
        assert_eq!(extensions["retryAfterMs"], 7);
    }
    #[test]
    fn failed_fields_are_null_and_not_missing() {
        let failed = |path: &[PathSegment]| ServerError::new("x", None).with_path(path.to_vec());
        let field = |name: &str| PathSegment::Field(name.to_owned());
        let mut response = Response::new(async_graphql::value!({ "a": [{ "b": 1 }, null], "d": 1 }));
        response.errors = vec![
            failed(&[field("a"), PathSegment::Index(0), field("c")]),
            failed(&[field("a"), PathSegment::Index(1), field("c"), field("e")]),
            failed(&[field("a"), PathSegment::Index(7), field("c")]),
            failed(&[field("d"), field("c")]),
            failed(&[field("f")]),
        ];
        complete(&mut response);
        let expected =
            async_graphql::value!({ "a": [{ "b": 1, "c": null }, { "c": { "e": null } }], "d": 1, "f": null });
        assert_eq!(response.data, expected);
    }
}
