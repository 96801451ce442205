//! The answer's body: ends at the deadline, completes the status in the trailers, and closes the books of the rpc.

use std::future::Future as _;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::Body as Inner;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tenor_domain::{Error, ErrorKind};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tonic::{Code, Status};
use tracing::{Span, debug};

use crate::layers::methods::Method;
use crate::metrics::{Metrics, code_name};
use crate::status::{complete, status};

/// Counts an rpc when it ends, however it ends.
pub(crate) struct Books {
    pub(crate) method: Arc<Method>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) span: Span,
    pub(crate) started: Instant,
    /// `Cancelled` until it is known: a client that goes away leaves it so.
    pub(crate) code: Code,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Books {
    fn drop(&mut self) {
        self.metrics.running.dec();
        self.method.duration.observe(self.started.elapsed().as_secs_f64());
        if self.code == Code::Ok {
            self.method.ok.inc();
        } else {
            let code = code_name(self.code);
            self.metrics.requests.with_label_values(&[self.method.name.as_str(), code]).inc();
            self.span.record("error.type", code);
        }
        self.span.record("rpc.response.status_code", code_name(self.code));
        // What the access log of a web server is; the message is in the span's fields.
        let duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.span.in_scope(|| debug!(duration_us, "rpc ended"));
        drop(self.permit.take());
    }
}

/// The body of one answer.
pub(crate) struct WatchedBody {
    inner: Inner,
    books: Option<Books>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl WatchedBody {
    pub(crate) fn new(inner: Inner, books: Option<Books>, deadline: Option<Pin<Box<Sleep>>>) -> Self {
        Self { inner, books, deadline }
    }

    /// Ends the rpc with `status` in the trailers.
    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.inner = Inner::empty();
        self.close(status.code());
        let mut trailers = HeaderMap::new();
        // It fails on metadata that is no header; there is none.
        let _ = status.add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn close(&mut self, code: Code) {
        if let Some(mut books) = self.books.take() {
            books.code = code;
        }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.books.is_none() {
            return Poll::Ready(None);
        }
        let entered = self.books.as_ref().map(|books| books.span.clone().entered());
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return self.end(&status(deadline_passed()));
        }
        let inner = &mut self.inner;
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx)));
        let Ok(polled) = polled else {
            return self.end(&status(Error::internal("the answer's stream panicked")));
        };
        let frame = ready!(polled);
        drop(entered);
        match frame {
            Some(Ok(frame)) if frame.is_trailers() => {
                let mut trailers = frame.into_trailers().unwrap_or_default();
                let code = complete(&mut trailers);
                self.close(code);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Some(Err(error)) => {
                self.close(Code::Internal);
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.close(Code::Ok);
                Poll::Ready(None)
            }
            data => Poll::Ready(data),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.books.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

pub(crate) fn deadline_passed() -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline passed before the answer was ready; it may have been carried out, read before you retry",
    )
}
