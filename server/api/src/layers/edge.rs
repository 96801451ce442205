//! The steps that every rpc passes.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tenor_domain::Error;
use tokio::sync::Semaphore;
use tonic::Code;
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, error, info_span};

use crate::layers::Methods;
use crate::layers::body::{Books, WatchedBody, deadline_passed};
use crate::layers::methods::Method;
use crate::status::{complete, status};
use crate::{Limits, Metrics};

/// Wraps the gRPC routes.
#[derive(Clone)]
pub(crate) struct EdgeLayer(Arc<Shared>);

struct Shared {
    methods: Methods,
    metrics: Arc<Metrics>,
    default_deadline: Duration,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl EdgeLayer {
    pub(crate) fn new(methods: Methods, metrics: Arc<Metrics>, limits: &Limits) -> Self {
        Self(Arc::new(Shared {
            methods,
            metrics,
            default_deadline: limits.default_deadline,
            calls: Arc::new(Semaphore::new(limits.max_concurrent_calls)),
            streams: Arc::new(Semaphore::new(limits.max_concurrent_streams)),
        }))
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { shared: Arc::clone(&self.0), inner }
    }
}

/// One route behind the steps.
#[derive(Clone)]
pub(crate) struct Edge<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Edge<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = Arc::clone(self.shared.methods.of(request.uri().path()));
        // 1. Trace: everything below, also a refusal, belongs to the caller's trace.
        let span = span(&method, request.headers());
        // 2. Metrics: counted when the answer's body has ended, or was dropped.
        let mut books = self.shared.books(Arc::clone(&method), span.clone());
        // 3. Concurrency: before any work, and at once: a queue in front of a full server only makes answers late.
        let places = if method.long { &self.shared.streams } else { &self.shared.calls };
        match Arc::clone(places).try_acquire_owned() {
            Ok(permit) => books.permit = Some(permit),
            Err(_) => return std::future::ready(Ok(span.in_scope(|| refused(busy(), books)))).boxed(),
        }
        // 4. Deadline: what the client asked for; without a wish the default, except for what is meant to take long.
        let asked = requested_deadline(request.headers());
        let limit = asked.or((!method.long).then_some(self.shared.default_deadline));
        if limit.is_some_and(|limit| limit.is_zero()) {
            return std::future::ready(Ok(span.in_scope(|| refused(deadline_passed(), books)))).boxed();
        }
        // 5. Panics: inside of everything above, so that a panic is counted and traced as an internal error.
        let answer = span.in_scope(|| self.inner.call(request));
        let answer = AssertUnwindSafe(answer).catch_unwind();
        let finish = async move {
            let answered = match limit {
                Some(limit) => tokio::time::timeout(limit, answer).await,
                None => Ok(answer.await),
            };
            match answered {
                Ok(Ok(Ok(response))) => finished(response, books, asked.filter(|_| method.long)),
                Ok(Ok(Err(never))) => match never {},
                Ok(Err(panic)) => {
                    let text = panic_text(panic.as_ref());
                    error!(rpc.method = %method.name, panic.message = text, "an rpc panicked");
                    refused(Error::internal("panic"), books)
                }
                Err(_) => refused(deadline_passed(), books),
            }
        };
        finish.map(Ok).instrument(span).boxed()
    }
}

impl Shared {
    fn books(&self, method: Arc<Method>, span: Span) -> Books {
        self.metrics.running.inc();
        let metrics = Arc::clone(&self.metrics);
        Books { method, metrics, span, started: Instant::now(), code: Code::Cancelled, permit: None }
    }
}

/// 6. Details: a status that the gRPC library made gets its `ErrorInfo`; one in the trailers gets it in the body.
fn finished(mut response: Response<Body>, mut books: Books, deadline: Option<Duration>) -> Response<WatchedBody> {
    if response.headers().contains_key("grpc-status") {
        books.code = complete(response.headers_mut());
        // An answer of headers only: the books close here.
        drop(books);
        return response.map(|inner| WatchedBody::new(inner, None, None));
    }
    let deadline = deadline.map(|limit| {
        let left = limit.saturating_sub(books.started.elapsed());
        Box::pin(tokio::time::sleep(left))
    });
    response.map(|inner| WatchedBody::new(inner, Some(books), deadline))
}

fn refused(error: Error, mut books: Books) -> Response<WatchedBody> {
    let status = status(error);
    books.code = status.code();
    drop(books);
    status.into_http::<Body>().map(|_| WatchedBody::new(Body::empty(), None, None))
}

fn busy() -> Error {
    let mut error = Error::unavailable("the server has as many requests as it may run at a time; try again", 250);
    error.reason = "SERVER_BUSY";
    error
}

fn span(method: &Method, headers: &HeaderMap) -> Span {
    let span = info_span!(
        "rpc",
        otel.name = method.name.as_str(),
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method.name.as_str(),
        rpc.response.status_code = Empty,
        error.type = Empty,
    );
    if let Some(parent) = headers.get("traceparent").and_then(|value| value.to_str().ok()) {
        tenor_telemetry::traces::set_parent(&span, parent);
    }
    span
}

/// `grpc-timeout`: up to eight digits and a unit. What is malformed is as if it were absent.
fn requested_deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_header_is_read_in_every_unit_and_a_malformed_one_ignored() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            requested_deadline(&headers)
        };
        assert_eq!(of("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(of("3M"), Some(Duration::from_secs(180)));
        assert_eq!(of("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(of("5m"), Some(Duration::from_millis(5)));
        assert_eq!(of("7u"), Some(Duration::from_micros(7)));
        assert_eq!(of("9n"), Some(Duration::from_nanos(9)));
        for wrong in ["", "S", "1", "-1S", "1s", "999999999S", "1.5S"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
