//! Streams of bytes, in and out.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ::bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, stream};
use tenor_domain::Error;
use tonic::Status;

use crate::status::status;

/// Largest piece, in and out: well below the default limit of a message.
pub(crate) const MAX_PIECE_BYTES: usize = 1 << 20;

/// The answers of a download.
pub(crate) type BytesStream<T> = BoxStream<'static, Result<T, Status>>;

/// The pieces of an upload. A message that is wrong, or did not arrive, ends the bytes; the reason is kept here, because whoever
/// consumes the bytes knows nothing of gRPC.
#[derive(Default)]
pub(crate) struct Pieces(Arc<Mutex<Option<Status>>>);

impl Pieces {
    /// The bytes until the first error, which ends them as a broken stream.
    pub(crate) fn until_failed<S>(&self, pieces: S) -> impl Stream<Item = io::Result<Bytes>> + Send + use<S>
    where
        S: Stream<Item = Result<Bytes, Status>> + Send,
    {
        let failed = Arc::clone(&self.0);
        pieces.map(move |piece| {
            checked(piece).map_err(|why| {
                // Nothing panics while the lock is held.
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                io::Error::other("the client's stream broke off")
            })
        })
    }

    /// The error that ended the bytes, if one did.
    pub(crate) fn check(&self) -> Result<(), Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

fn checked(piece: Result<Bytes, Status>) -> Result<Bytes, Status> {
    let piece = piece?;
    let found = piece.len();
    if found > MAX_PIECE_BYTES {
        let description =
            format!("must be at most {MAX_PIECE_BYTES} bytes a message, got {found}; send smaller pieces");
        return Err(status(Error::invalid("data", description)));
    }
    Ok(piece)
}

/// Cuts what a blob store gives into pieces that fit a message.
pub(crate) fn chunks<S>(bytes: S) -> impl Stream<Item = Result<Bytes, Status>> + Send
where
    S: Stream<Item = Result<Bytes, Error>> + Send,
{
    bytes.flat_map(|piece| match piece {
        Err(error) => stream::iter(vec![Err(status(error))]),
        Ok(mut piece) => {
            let mut cut = Vec::with_capacity(piece.len() / MAX_PIECE_BYTES + 1);
            while piece.len() > MAX_PIECE_BYTES {
                cut.push(Ok(piece.split_to(MAX_PIECE_BYTES)));
            }
            cut.push(Ok(piece));
            stream::iter(cut)
        }
    })
}
