//! Bytes of uploads that are not complete yet: one growing file an upload, in a local folder.
//!
//! The length of the file says where to resume, so a restart of the server loses nothing that was acknowledged. The
//! folder belongs to one server; several servers either share it or see to it that an upload stays with one of them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tenor_domain::{Digest, UploadId};
use tokio::io::AsyncWriteExt as _;

use crate::{Blobs, Error};

/// The folder of unfinished uploads.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// Opens the folder, which is made when missing.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder)
            .map_err(|error| Error::Config(format!("cannot make the upload folder `{}`: {error}", folder.display())))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// An id is a UUID, so it is a safe file name.
    fn path(&self, id: &UploadId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    /// How many bytes have arrived; 0 when none has.
    pub fn received(&self, id: &UploadId) -> Result<u64, Error> {
        match fs::metadata(self.path(id)) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The uploads whose bytes nobody has added to for `age`, whether they have a row or not.
    pub fn untouched(&self, age: Duration) -> Result<Vec<UploadId>, Error> {
        let paths = untouched(&self.folder, age)?;
        let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
        Ok(names.filter_map(|name| UploadId::parse(name).ok()).collect())
    }

    fn lock(&self, id: &UploadId) -> Result<File, Error> {
        let file = OpenOptions::new().append(true).create(true).open(self.path(id))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::UploadBusy),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Appends a stream at `offset`, which must be the number of bytes that have arrived; the new number. When the
    /// stream breaks off, what had arrived stays.
    ///
    /// # Errors
    /// [`Error::UploadOffset`] naming the right offset, [`Error::UploadBusy`] while another append runs,
    /// [`Error::TooLarge`] past `limit_bytes`.
    pub async fn append<S>(&self, id: &UploadId, offset: u64, stream: S, limit_bytes: u64) -> Result<u64, Error>
    where
        S: Stream<Item = Result<Bytes, Error>> + Send,
    {
        let file = self.lock(id)?;
        let mut received = file.metadata()?.len();
        if received != offset {
            return Err(Error::UploadOffset { expected: received, got: offset });
        }
        let mut file = tokio::fs::File::from_std(file);
        let mut stream = std::pin::pin!(stream);
        let mut broken = None;
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) if received + chunk.len() as u64 > limit_bytes => {
                    broken = Some(Error::TooLarge { limit_bytes });
                    break;
                }
                Ok(chunk) => chunk,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            };
            file.write_all(&chunk).await?;
            received += chunk.len() as u64;
        }
        // An acknowledged offset must survive a power failure.
        file.flush().await?;
        file.sync_data().await?;
        match broken {
            Some(error) => Err(error),
            None => Ok(received),
        }
    }

    /// Stores what has arrived as a blob; digest and size. The file stays until [`Spool::remove`].
    pub async fn store(&self, id: &UploadId, blobs: &Blobs) -> Result<(Digest, u64), Error> {
        let _lock = self.lock(id)?;
        blobs.put_file(&self.path(id)).await
    }

    /// Removes the bytes of an upload; nothing happens when there are none.
    pub fn remove(&self, id: &UploadId) -> Result<(), Error> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// The files of a folder that nobody has written to for `age`, by the clock that wrote their times. A file that goes meanwhile is
/// none.
pub(crate) fn untouched(folder: &Path, age: Duration) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        let old = metadata.modified().and_then(|time| time.elapsed().map_err(io::Error::other));
        if metadata.is_file() && old.is_ok_and(|old| old >= age) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
