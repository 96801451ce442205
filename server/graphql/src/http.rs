//! The routes: `POST /graphql` for queries, `/graphql/ws` for all operations over a WebSocket.

use std::sync::Arc;

use async_graphql::{Request, Response as Answer};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use tenor_domain::{Error, ErrorKind};
use tenor_platform::Platform;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, deadline_passed};
use crate::error::Failure;
use crate::socket;
use crate::{Limits, Metrics};

/// What the GraphQL API is made of.
pub struct Options {
    pub platform: Arc<Platform>,
    pub limits: Limits,
    pub metrics: Metrics,
    /// Cancelled when the drain begins: subscriptions end with `SERVER_DRAINING`, then their WebSockets close.
    pub shutdown: CancellationToken,
}

/// The routes, without a fallback. Whoever mounts them checks `Host` and `Origin`, also of WebSockets.
pub fn router(options: Options) -> Router {
    let Options { platform, limits, metrics, shutdown } = options;
    let sockets = Arc::new(Semaphore::new(limits.max_sockets));
    let engine = Arc::new(Engine::new(platform, limits, metrics, shutdown));
    Router::new()
        .route("/graphql", post(query).fallback(only_post))
        .route("/graphql/ws", any(socket::upgrade))
        .with_state(Shared { engine, sockets })
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    /// Places for WebSockets.
    pub(crate) sockets: Arc<Semaphore>,
}

async fn query(State(shared): State<Shared>, headers: HeaderMap, body: Body) -> Response {
    let engine = &shared.engine;
    match read(engine, &headers, body).await {
        Ok(request) => answer(StatusCode::OK, &engine.query(request, traceparent(&headers)).await),
        Err((status, failure)) => refused(engine, status, failure),
    }
}

async fn only_post(State(shared): State<Shared>) -> Response {
    let message = "send queries by POST; subscriptions are at `/graphql/ws`";
    let error = Error::new(ErrorKind::InvalidArgument, "METHOD_NOT_ALLOWED", message);
    let mut response = refused(&shared.engine, StatusCode::METHOD_NOT_ALLOWED, error.into());
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}

async fn read(engine: &Engine, headers: &HeaderMap, body: Body) -> Result<Request, (StatusCode, Failure)> {
    // A form of another site can send other types without asking first, but not this one.
    if !is_json(headers) {
        let message = "the content type must be `application/json`";
        let error = Error::new(ErrorKind::InvalidArgument, "MEDIA_TYPE_UNSUPPORTED", message);
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, error.into()));
    }
    let limit = engine.limits.max_body_bytes;
    let bytes = match tokio::time::timeout(engine.limits.deadline, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        // Most often too large; else the client is gone and reads no answer.
        Ok(Err(_)) => {
            let message = format!("the request must be at most {limit} bytes");
            let error = Error::new(ErrorKind::ResourceExhausted, "QUERY_TOO_LARGE", message);
            return Err((StatusCode::PAYLOAD_TOO_LARGE, error.into()));
        }
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, deadline_passed())),
    };
    let malformed = |why: &dyn std::fmt::Display| {
        let message = format!("the body must be one JSON object with `query`: {why}");
        let error = Error::new(ErrorKind::InvalidArgument, "QUERY_INVALID", message);
        (StatusCode::BAD_REQUEST, error.into())
    };
    // The library would take a list for an object.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed(&"it does not begin with `{`"));
    }
    serde_json::from_slice(&bytes).map_err(|error| malformed(&error))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The caller's trace.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get("traceparent").and_then(|value| value.to_str().ok())
}

/// An answer to what did not become an operation.
pub(crate) fn refused(engine: &Engine, status: StatusCode, failure: Failure) -> Response {
    engine.count(&failure);
    answer(status, &failure.into_response())
}

fn answer(status: StatusCode, answer: &Answer) -> Response {
    let mut response = (status, axum::Json(answer)).into_response();
    // What is true of a state is not true later.
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
