//! A connection that looks at every status: one that is not OK carries an `ErrorInfo` whose reason is in the catalogue.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::Service;

use crate::catalogue::{self, Entry};
use crate::support::reason;

static CATALOGUE: LazyLock<Vec<Entry>> = LazyLock::new(catalogue::documented);

fn check(headers: &http::HeaderMap) {
    let Some(status) = Status::from_header_map(headers) else { return };
    if status.code() == Code::Ok {
        return;
    }
    let reason = reason(&status);
    let code = format!("{:?}", status.code());
    let documented = CATALOGUE.iter().find(|entry| entry.reason == reason);
    let entry = documented.unwrap_or_else(|| panic!("docs/errors.md has no reason `{reason}`: {status:?}"));
    assert!(entry.codes.contains(&code), "docs/errors.md gives `{reason}` the codes {:?}: {status:?}", entry.codes);
    let message = status.message();
    assert!(!message.is_empty() && !message.ends_with('.') && !message.contains('\0'), "{status:?}");
}

#[derive(Clone)]
pub struct Checked(pub Channel);

impl Service<http::Request<tonic::body::Body>> for Checked {
    type Response = http::Response<CheckedBody>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let call = self.0.call(request);
        Box::pin(async move {
            let response = call.await?;
            check(response.headers());
            Ok(response.map(CheckedBody))
        })
    }
}

pub struct CheckedBody(tonic::body::Body);

impl Body for CheckedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            check(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
