//! What calls that may take long do when the server is told to stop.

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, stream};
use tenor_domain::Error;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::status::status;

/// Messages that are still read after the drain has begun: what has arrived, but not all that a client without a pause has to say.
const LAST_MESSAGES: usize = 256;

/// The messages of a client until the drain begins. Those that have arrived by then still come, and after them
/// `SERVER_DRAINING`: a silent client does not hold up the drain, and one that was heard is not cut off.
pub(crate) fn until_draining<T, S>(
    messages: S,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<T, Status>> + Send + Unpin
where
    T: Send,
    S: Stream<Item = Result<T, Status>> + Send + Unpin,
{
    let state = Some((messages, shutdown, LAST_MESSAGES));
    let read = stream::unfold(state, async |state| {
        let (mut messages, shutdown, left) = state?;
        tokio::select! {
            biased;
            message = messages.next(), if left > 0 => {
                let left = left - usize::from(shutdown.is_cancelled());
                message.map(|message| (message, Some((messages, shutdown, left))))
            }
            () = shutdown.cancelled() => Some((Err(status(draining())), None)),
        }
    });
    Box::pin(read.fuse())
}

/// Answers that go on until the drain begins; then the client is told to come again, and resumes after the last that it saw.
pub(crate) fn while_serving<T: Send + 'static>(
    answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    shutdown: CancellationToken,
) -> BoxStream<'static, Result<T, Status>> {
    let stop = shutdown.clone().cancelled_owned();
    let stopped = stream::once(async move { shutdown.is_cancelled().then(|| Err(status(draining()))) });
    answers.take_until(stop).chain(stopped.filter_map(std::future::ready)).boxed()
}

/// The server is shutting down.
pub(crate) fn draining() -> Error {
    let mut error = Error::unavailable("the server is shutting down; ask again in a moment", 1_000);
    error.reason = "SERVER_DRAINING";
    error
}
