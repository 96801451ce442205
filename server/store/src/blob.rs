//! Bytes by their SHA-256. The key of a blob is made of its digest and nothing else, so no client can name a path.

mod folder;
mod remote;

use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tenor_domain::Digest;

use crate::Error;
use folder::Folder;
use remote::Remote;

/// Bytes in order.
pub type ByteStream = BoxStream<'static, Result<Bytes, Error>>;

/// Bytes read or written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The blob store. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Blobs {
    backend: Backend,
}

#[derive(Debug, Clone)]
enum Backend {
    /// Its own code and not `object_store`'s: that reads 8 KiB at a time and cannot rename a finished file into place.
    Folder(Folder),
    Remote(Remote),
}

impl Blobs {
    /// Opens `file:///folder` (made when missing), `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    /// Credentials come from `options` by `object_store`'s names, e.g. `aws_access_key_id`. A stream on its way to an object
    /// store is in `scratch` meanwhile.
    pub fn open(url: &str, options: &[(String, String)], scratch: &Path) -> Result<Self, Error> {
        let parsed = url::Url::parse(url).map_err(|error| {
            Error::Config(format!("blob store URL must be like `file:///folder` or `s3://bucket/prefix`: {error}"))
        })?;
        let backend = if parsed.scheme() == "file" {
            let path = parsed
                .to_file_path()
                .map_err(|()| Error::Config("blob store URL must name a local folder: `file:///folder`".to_owned()))?;
            Backend::Folder(Folder::open(path)?)
        } else {
            Backend::Remote(Remote::open(&parsed, options, scratch)?)
        };
        Ok(Self { backend })
    }

    /// A store in a local folder.
    pub fn folder(path: &Path) -> Result<Self, Error> {
        Ok(Self { backend: Backend::Folder(Folder::open(path.to_owned())?) })
    }

    /// Stores bytes. Bytes that are there already are not written again.
    pub async fn put_bytes(&self, bytes: Bytes) -> Result<Digest, Error> {
        match &self.backend {
            Backend::Folder(folder) => folder.put_bytes(bytes).await,
            Backend::Remote(remote) => remote.put_bytes(bytes).await,
        }
    }

    /// Stores a file's bytes; digest and size.
    pub async fn put_file(&self, path: &Path) -> Result<(Digest, u64), Error> {
        match &self.backend {
            Backend::Folder(folder) => folder.put_file(path).await,
            Backend::Remote(remote) => remote.put_file(path).await,
        }
    }

    /// Stores a stream without holding it in memory; digest and size. A stream of more than `limit_bytes`, or one that
    /// breaks off, leaves nothing behind.
    pub async fn put_stream<S>(&self, stream: S, limit_bytes: u64) -> Result<(Digest, u64), Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send,
    {
        match &self.backend {
            Backend::Folder(folder) => folder.put_stream(stream, limit_bytes).await,
            Backend::Remote(remote) => remote.put_stream(stream, limit_bytes).await,
        }
    }

    /// Removes what streams left behind whose process was killed: files that nobody has written to for `age`. How many.
    pub async fn tidy(&self, age: Duration) -> Result<u64, Error> {
        match &self.backend {
            Backend::Folder(folder) => folder.tidy(age).await,
            // Its files are in the scratch folder, which goes with the process.
            Backend::Remote(_) => Ok(0),
        }
    }

    /// Size in bytes; `None` when there is no such blob.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match &self.backend {
            Backend::Folder(folder) => folder.size(digest).await,
            Backend::Remote(remote) => remote.size(digest).await,
        }
    }

    /// The whole blob, checked against its digest.
    ///
    /// # Errors
    /// [`Error::BlobTooLarge`] before anything is read, [`Error::BlobMissing`], [`Error::BlobCorrupt`].
    pub async fn get_bytes(&self, digest: &Digest, limit_bytes: u64) -> Result<Bytes, Error> {
        let size_bytes = self.size(digest).await?.ok_or(Error::BlobMissing(*digest))?;
        if size_bytes > limit_bytes {
            return Err(Error::BlobTooLarge { digest: *digest, size_bytes, limit_bytes });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
        let mut stream = self.get_stream(digest, None).await?;
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes.into())
    }

    /// Writes the whole blob to a new file, checked against its digest; a wrong one leaves no file. The size.
    pub async fn get_to_file(&self, digest: &Digest, path: &Path) -> Result<u64, Error> {
        let mut stream = self.get_stream(digest, None).await?;
        let mut file = tokio::fs::File::create(path).await?;
        let mut size_bytes = 0;
        while let Some(chunk) = stream.next().await {
            let written = match chunk {
                Ok(chunk) => {
                    size_bytes += chunk.len() as u64;
                    tokio::io::AsyncWriteExt::write_all(&mut file, &chunk).await.map_err(Error::from)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                drop(file);
                // The error that led here matters more than one about the clean-up.
                let _ = tokio::fs::remove_file(path).await;
                return Err(error);
            }
        }
        tokio::io::AsyncWriteExt::flush(&mut file).await?;
        Ok(size_bytes)
    }

    /// The blob, or a range of it, in chunks. A whole read ends with [`Error::BlobCorrupt`] when the bytes were not those
    /// of the digest; a range cannot be checked.
    pub async fn get_stream(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, Error> {
        let size_bytes = self.size(digest).await?.ok_or(Error::BlobMissing(*digest))?;
        let whole = range.as_ref().is_none_or(|range| *range == (0..size_bytes));
        let range = range.unwrap_or(0..size_bytes);
        if range.start > range.end || range.end > size_bytes {
            return Err(Error::BlobRange { digest: *digest, start: range.start, end: range.end, size_bytes });
        }
        let stream = match &self.backend {
            Backend::Folder(folder) => folder.read(digest, range).await?,
            Backend::Remote(remote) => remote.read(digest, range).await?,
        };
        if !whole {
            return Ok(stream);
        }
        Ok(Checked { stream, hasher: Some(Sha256::new()), expected: *digest }.boxed())
    }
}

/// Where a blob lives below the root of the store.
fn key(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("sha256/{}/{}", &hex[..2], &hex[2..])
}

fn digest_of(hasher: Sha256) -> Digest {
    Digest::from_bytes(hasher.finalize().into())
}

/// Ends with an error when the bytes that went through have another digest.
struct Checked {
    stream: ByteStream,
    /// `None` once it has ended.
    hasher: Option<Sha256>,
    expected: Digest,
}

impl Stream for Checked {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.stream.as_mut().poll_next(context));
        Poll::Ready(match next {
            Some(Ok(chunk)) => {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&chunk);
                }
                Some(Ok(chunk))
            }
            Some(Err(error)) => {
                self.hasher = None;
                Some(Err(error))
            }
            None => {
                let found = self.hasher.take().map(digest_of);
                found
                    .filter(|found| *found != self.expected)
                    .map(|found| Err(Error::BlobCorrupt { expected: self.expected, found: found.to_string() }))
            }
        })
    }
}
