//! One router for everything on the port: gRPC, operations, GraphQL, one fallback.

use std::sync::Arc;

use ::http::{HeaderMap, Method, StatusCode, header};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use tenor_domain::{Error, ErrorKind};

use crate::hosts::{HostPolicy, guard};

/// Says whether the server can do its work now; the text of an error is shown to whoever asks.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What operators ask for.
#[derive(Clone)]
pub struct Operations {
    pub readiness: Readiness,
    /// All series in the Prometheus text format.
    pub exposition: Arc<dyn Fn() -> String + Send + Sync>,
}

/// `/healthz`, `/readyz` and `/metrics`: part of [`merge`], or alone on a private port.
pub fn operations(operations: Operations) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .with_state(operations)
}

/// Puts the parts together. `graphql` and `grpc` must have no fallback of their own.
pub fn merge(grpc: Router, operations: Router, graphql: Option<Router>, hosts: HostPolicy) -> Router {
    guarded(grpc.merge(operations).merge(graphql.unwrap_or_default()).fallback(nothing_here), hosts)
}

/// `router` for those who came by a name that `hosts` allows. The outermost layer: nobody behind a foreign name reaches anything.
pub fn guarded(router: Router, hosts: HostPolicy) -> Router {
    router.layer(axum::middleware::from_fn_with_state(Arc::new(hosts), guard))
}

async fn ready(State(operations): State<Operations>) -> Response {
    match (operations.readiness)().await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

async fn exposition(State(operations): State<Operations>) -> Response {
    let text = (operations.exposition)();
    ([(header::CONTENT_TYPE, tenor_telemetry::metrics::CONTENT_TYPE)], text).into_response()
}

/// Whether a request speaks gRPC or gRPC-Web.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

async fn nothing_here(method: Method, headers: HeaderMap) -> Response {
    if method == Method::POST && is_grpc(&headers) {
        let message = "this server has no such service; list what there is by reflection";
        let status = crate::status(Error::new(ErrorKind::NotFound, "SERVICE_NOT_FOUND", message));
        let details = status.details().to_vec().into();
        let status = tonic::Status::with_details(tonic::Code::Unimplemented, message, details);
        return status.into_http::<tonic::body::Body>().map(Body::new);
    }
    let error =
        serde_json::json!({ "error": { "reason": "PATH_NOT_FOUND", "message": "there is nothing at this path" } });
    (StatusCode::NOT_FOUND, axum::Json(error)).into_response()
}
