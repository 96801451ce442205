//! Blobs in a local folder: written beside, then renamed into place, so that a reader never sees half of one.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tenor_domain::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::{ByteStream, CHUNK_BYTES, digest_of, key};
use crate::Error;
use crate::spool::untouched;

#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
    /// On the same file system, so that a rename is one step.
    incoming: PathBuf,
}

impl Folder {
    pub fn open(root: PathBuf) -> Result<Self, Error> {
        let incoming = root.join("incoming");
        fs::create_dir_all(&incoming)
            .map_err(|error| Error::Config(format!("cannot make the blob folder `{}`: {error}", root.display())))?;
        Ok(Self { root, incoming })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(key(digest))
    }

    /// Moves a finished file into place, unless the blob is there in full.
    fn publish(&self, file: NamedTempFile, digest: &Digest, size_bytes: u64) -> Result<(), Error> {
        let target = self.path(digest);
        if fs::metadata(&target).is_ok_and(|found| found.len() == size_bytes) {
            return Ok(());
        }
        // Once it has its name it must survive a power failure: the database will point at it.
        file.as_file().sync_all()?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        file.persist(&target).map_err(|error| Error::Io(error.error.to_string()))?;
        if let Some(parent) = target.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    pub async fn put_bytes(&self, bytes: Bytes) -> Result<Digest, Error> {
        let folder = self.clone();
        blocking(move || {
            let digest = Digest::of(&bytes);
            let size_bytes = bytes.len() as u64;
            if fs::metadata(folder.path(&digest)).is_ok_and(|found| found.len() == size_bytes) {
                return Ok(digest);
            }
            let mut file = NamedTempFile::new_in(&folder.incoming)?;
            file.write_all(&bytes)?;
            folder.publish(file, &digest, size_bytes)?;
            Ok(digest)
        })
        .await
    }

    pub async fn put_file(&self, path: &Path) -> Result<(Digest, u64), Error> {
        let (folder, path) = (self.clone(), path.to_owned());
        blocking(move || {
            let mut source = File::open(&path)?;
            let mut file = NamedTempFile::new_in(&folder.incoming)?;
            let (digest, size_bytes) = copy(&mut source, &mut file)?;
            folder.publish(file, &digest, size_bytes)?;
            Ok((digest, size_bytes))
        })
        .await
    }

    pub async fn put_stream(
        &self,
        stream: impl Stream<Item = Result<Bytes, Error>> + Send,
        limit_bytes: u64,
    ) -> Result<(Digest, u64), Error> {
        let file = NamedTempFile::new_in(&self.incoming)?;
        let (digest, size_bytes) = receive(stream, &file, limit_bytes).await?;
        let folder = self.clone();
        blocking(move || folder.publish(file, &digest, size_bytes)).await?;
        Ok((digest, size_bytes))
    }

    pub async fn tidy(&self, age: Duration) -> Result<u64, Error> {
        let incoming = self.incoming.clone();
        blocking(move || {
            let mut removed = 0;
            for path in untouched(&incoming, age)? {
                // Another server may do the same at the same time.
                removed += u64::from(fs::remove_file(path).is_ok());
            }
            Ok(removed)
        })
        .await
    }

    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match tokio::fs::metadata(self.path(digest)).await {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn read(&self, digest: &Digest, range: Range<u64>) -> Result<ByteStream, Error> {
        let mut file = File::open(self.path(digest)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::BlobMissing(*digest),
            _ => error.into(),
        })?;
        file.seek(SeekFrom::Start(range.start))?;
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(CHUNK_BYTES);
        let part = file.take(range.end - range.start);
        Ok(ReaderStream::with_capacity(part, CHUNK_BYTES).map(|chunk| chunk.map_err(Error::from)).boxed())
    }
}

/// Runs `work` where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::Io(error.to_string())))
}

/// Copies everything; digest and size.
pub(super) fn copy(source: &mut impl Read, target: &mut impl io::Write) -> Result<(Digest, u64), Error> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut size_bytes = 0;
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read])?;
        size_bytes += read as u64;
    }
    Ok((digest_of(hasher), size_bytes))
}

/// Writes a stream to a file; digest and size.
pub(super) async fn receive(
    stream: impl Stream<Item = Result<Bytes, Error>> + Send,
    file: &NamedTempFile,
    limit_bytes: u64,
) -> Result<(Digest, u64), Error> {
    let mut target = tokio::fs::File::from_std(file.as_file().try_clone()?);
    let mut hasher = Sha256::new();
    let mut size_bytes = 0u64;
    let mut stream = std::pin::pin!(stream);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        size_bytes += chunk.len() as u64;
        if size_bytes > limit_bytes {
            return Err(Error::TooLarge { limit_bytes });
        }
        hasher.update(&chunk);
        target.write_all(&chunk).await?;
    }
    target.flush().await?;
    Ok((digest_of(hasher), size_bytes))
}
