//! Runs operations: limits, trace, deadline, panics, metrics and the form of errors, for HTTP and WebSockets alike.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{Request, Response, ServerError};
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use tenor_domain::{Error, ErrorKind};
use tenor_platform::Platform;
use tenor_telemetry::metrics::Histogram;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info_span};

use crate::document;
use crate::error::{Failure, OK, code, complete};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::schema::{Schema, schema};
use crate::scope::Scope;

/// What runs operations.
pub(crate) struct Engine {
    schema: Schema,
    platform: Arc<Platform>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    duration: Histogram,
    pub(crate) shutdown: CancellationToken,
}

impl Engine {
    pub(crate) fn new(platform: Arc<Platform>, limits: Limits, metrics: Metrics, shutdown: CancellationToken) -> Self {
        let (schema, duration) = (schema(&limits), metrics.duration.with(&[]));
        Self { schema, platform, limits, metrics, duration, shutdown }
    }

    /// Runs a query to its end.
    pub(crate) async fn query(self: &Arc<Self>, request: Request, traceparent: Option<&str>) -> Response {
        match self.admit(request) {
            Ok(admitted) => self.run(admitted, traceparent).await,
            Err(error) => self.refused(error),
        }
    }

    async fn run(self: &Arc<Self>, admitted: Admitted, traceparent: Option<&str>) -> Response {
        let Admitted { request, kind, scope } = admitted;
        let span = span(kind, &request, traceparent);
        let mut books = Books::open(self, kind);
        let answer = async {
            let executed = AssertUnwindSafe(scope.drive(self.schema.execute(request))).catch_unwind();
            match tokio::time::timeout(self.limits.deadline, executed).await {
                Ok(Ok(response)) => response,
                Ok(Err(panic)) => panicked(panic.as_ref()).into_response(),
                Err(_) => deadline_passed().into_response(),
            }
        };
        let mut response = answer.instrument(span).await;
        books.outcome = complete(&mut response);
        response
    }

    /// The answers of an operation: one of a query, many of a subscription. The latter ends with an error when the drain
    /// begins.
    pub(crate) fn answers(
        self: Arc<Self>,
        request: Request,
        traceparent: Option<&str>,
    ) -> BoxStream<'static, Response> {
        let admitted = match self.admit(request) {
            Ok(admitted) => admitted,
            Err(error) => return one(self.refused(error)),
        };
        if admitted.kind != OperationType::Subscription {
            let traceparent = traceparent.map(str::to_owned);
            return stream::once(async move { self.run(admitted, traceparent.as_deref()).await }).boxed();
        }
        let Admitted { request, kind, scope } = admitted;
        let span = span(kind, &request, traceparent);
        let events = span.in_scope(|| self.schema.execute_stream(request));
        let books = Books::open(&self, kind);
        let watched = Watched { events, scope, span, seen: OK, books, shutdown: self.shutdown.clone() };
        stream::unfold(Some(watched), |watched| async move {
            let mut watched = watched?;
            let (response, last) = watched.next().await?;
            Some((response, (!last).then_some(watched)))
        })
        .boxed()
    }

    /// Checks an operation and gives it what its resolvers need.
    fn admit(&self, mut request: Request) -> Result<Admitted, ServerError> {
        let document = document::parse(&request.query, &self.limits)?;
        let kind = kind(&document, request.operation_name.as_deref());
        request.set_parsed_query(document);
        let scope = Scope::new(Arc::clone(&self.platform));
        Ok(Admitted { request: request.data(Arc::clone(&scope)), kind, scope })
    }

    fn refused(&self, error: ServerError) -> Response {
        let mut response = Response::from_errors(vec![error]);
        let outcome = complete(&mut response);
        self.metrics.requests.with(&[outcome]).inc();
        response
    }

    /// Counts what did not become an operation.
    pub(crate) fn count(&self, failure: &Failure) {
        self.metrics.requests.with(&[failure.code()]).inc();
    }
}

/// An operation within the limits.
struct Admitted {
    request: Request,
    kind: OperationType,
    scope: Arc<Scope>,
}

/// The kind of the operation that will run. One that is not found is the library's to refuse.
fn kind(document: &ExecutableDocument, name: Option<&str>) -> OperationType {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) => operations.values().next(),
    };
    operation.map_or(OperationType::Query, |operation| operation.node.ty)
}

fn span(kind: OperationType, request: &Request, traceparent: Option<&str>) -> Span {
    let name: String = request.operation_name.as_deref().unwrap_or_default().chars().take(100).collect();
    let span = info_span!(
        "graphql",
        otel.kind = "server",
        graphql.operation.type = %kind,
        graphql.operation.name = name,
    );
    if let Some(parent) = traceparent {
        tenor_telemetry::traces::set_parent(&span, parent);
    }
    span
}

/// A running subscription.
struct Watched {
    events: BoxStream<'static, Response>,
    scope: Arc<Scope>,
    span: Span,
    /// The outcome if it ends now.
    seen: &'static str,
    books: Books,
    shutdown: CancellationToken,
}

impl Watched {
    /// The next answer, and whether it is the last one.
    async fn next(&mut self) -> Option<(Response, bool)> {
        let next = AssertUnwindSafe(self.scope.drive(self.events.next())).catch_unwind();
        let next = next.instrument(self.span.clone());
        let (mut response, last) = tokio::select! {
            next = next => match next {
                Ok(Some(response)) => (response, false),
                Ok(None) => {
                    self.books.outcome = self.seen;
                    return None;
                }
                Err(panic) => (self.span.in_scope(|| panicked(panic.as_ref())).into_response(), true),
            },
            () = self.shutdown.cancelled() => (draining().into_response(), true),
        };
        let outcome = complete(&mut response);
        if outcome != OK {
            self.seen = outcome;
        }
        if last {
            self.books.outcome = outcome;
        }
        Some((response, last))
    }
}

/// Counts an operation when it ends, however it ends.
struct Books {
    engine: Arc<Engine>,
    kind: OperationType,
    started: Instant,
    /// `CANCELLED` until it is known: a client that goes away leaves it so.
    outcome: &'static str,
}

impl Books {
    fn open(engine: &Arc<Engine>, kind: OperationType) -> Self {
        if kind == OperationType::Subscription {
            engine.metrics.subscriptions.with(&[]).inc();
        }
        let outcome = code(ErrorKind::Cancelled);
        Self { engine: Arc::clone(engine), kind, started: Instant::now(), outcome }
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        self.engine.metrics.requests.with(&[self.outcome]).inc();
        if self.kind == OperationType::Subscription {
            self.engine.metrics.subscriptions.with(&[]).dec();
        } else {
            self.engine.duration.observe(self.started.elapsed().as_secs_f64());
        }
    }
}

pub(crate) fn one(response: Response) -> BoxStream<'static, Response> {
    stream::once(std::future::ready(response)).boxed()
}

pub(crate) fn draining() -> Failure {
    let mut error = Error::unavailable("the server is shutting down; ask again in a moment", 1_000);
    error.reason = "SERVER_DRAINING";
    error.into()
}

pub(crate) fn deadline_passed() -> Failure {
    let message = "the query took too long; ask for smaller pages or fewer fields";
    Error::new(ErrorKind::DeadlineExceeded, "DEADLINE_EXCEEDED", message).into()
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format_args!("panic: {}", text.unwrap_or("?"))).into()
}
