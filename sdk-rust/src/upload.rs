//! Files on their way to the server: resumable, checked by SHA-256.

use std::path::Path;
use std::time::Duration;

use futures::SinkExt as _;
use futures::channel::mpsc;
use sha2::{Digest as _, Sha256};
use tenor_proto::v1::{CompleteUploadRequest, GetUploadRequest, StartUploadRequest, Upload, UploadDataRequest};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::client::{Repeat, backoff, unary};
use crate::error::broken;
use crate::request::request_id;
use crate::{Datasets, Error, Kind, Result};

const CHUNK: usize = 256 << 10;
/// The server hashes and stores the whole file before it answers.
const STORING: Duration = Duration::from_secs(6 * 3_600);
/// Tries in a row in which no byte arrived.
const FRUITLESS: u32 = 6;

impl Datasets {
    /// Uploads a file and completes the upload. `progress` gets the bytes sent and the size, and may see the first go back when
    /// a broken stream is resumed.
    ///
    /// # Errors
    /// [`Kind::Io`] for the file, [`Kind::InvalidArgument`] when the server received other bytes.
    pub async fn upload_file(&self, path: impl AsRef<Path>, progress: impl FnMut(u64, u64) + Send) -> Result<Upload> {
        let path = path.as_ref();
        let mut source = Source::open(path).await?;
        let name = path.file_name().map_or_else(|| "upload".into(), |name| name.to_string_lossy());
        let upload = self.start_upload(name, source.size).await?;
        self.send(&mut source, upload, progress).await
    }
    /// Goes on with an upload that was begun before, perhaps by another process, and completes it.
    ///
    /// # Errors
    /// As [`Datasets::upload_file`].
    pub async fn resume_upload(
        &self,
        upload_id: impl Into<String>,
        path: impl AsRef<Path>,
        progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Upload> {
        let mut source = Source::open(path.as_ref()).await?;
        let upload = self.upload(upload_id).await?;
        self.send(&mut source, upload, progress).await
    }
    /// Begins an upload of `size` bytes (0 when unknown). `file_name` is a label.
    pub async fn start_upload(&self, file_name: impl Into<String>, size: u64) -> Result<Upload> {
        let size_bytes = i64::try_from(size).unwrap_or(i64::MAX);
        let message = StartUploadRequest { file_name: file_name.into(), size_bytes, request_id: request_id() };
        unary!(self.client, dataset_api.start_upload, Safe, message)
    }
    /// How far an upload is.
    pub async fn upload(&self, upload_id: impl Into<String>) -> Result<Upload> {
        unary!(self.client, dataset_api.get_upload, Safe, GetUploadRequest { upload_id: upload_id.into() })
    }
    /// Ends an upload; the server checks the SHA-256 in hexadecimal unless it is empty.
    pub async fn complete_upload(&self, upload_id: impl Into<String>, digest: impl Into<String>) -> Result<Upload> {
        let message = CompleteUploadRequest { upload_id: upload_id.into(), digest: digest.into() };
        self.client
            .call_within(STORING, Repeat::Safe, message, |request| {
                let mut api = self.client.dataset_api();
                async move { api.complete_upload(request).await }
            })
            .await
    }

    async fn send(
        &self,
        source: &mut Source,
        mut upload: Upload,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Upload> {
        let mut fruitless = 0;
        loop {
            let offset = u64::try_from(upload.received_bytes).unwrap_or(0);
            if offset > source.size {
                let text =
                    format!("the server has {offset} bytes, but the file has {}; start the upload again", source.size);
                return Err(Error::new(Kind::FailedPrecondition, "UPLOAD_AHEAD_OF_FILE", text));
            }
            if offset == source.size {
                source.seek(offset).await?;
                progress(offset, source.size);
                return self.complete_upload(upload.id, source.digest()).await;
            }
            source.seek(offset).await?;
            let error = match self.append(source, &upload.id, offset, &mut progress).await? {
                Ok(received) => {
                    if received.received_bytes > upload.received_bytes {
                        fruitless = 0;
                        upload = received;
                        continue;
                    }
                    Error::new(
                        Kind::Unavailable,
                        "UNAVAILABLE",
                        "the server takes no bytes of the upload; try again later",
                    )
                }
                Err(status) if broken(&status) || status.code() == tonic::Code::Aborted => self.client.explain(status),
                Err(status) => return Err(self.client.explain(status)),
            };
            fruitless += 1;
            tracing::debug!(%error, fruitless, "the upload broke, asking how far it is");
            tokio::time::sleep(error.retry_after().unwrap_or_else(|| backoff(fruitless))).await;
            let now = self.upload(upload.id.clone()).await?;
            if now.received_bytes > upload.received_bytes {
                fruitless = 0;
            } else if fruitless >= FRUITLESS {
                return Err(error);
            }
            upload = now;
        }
    }

    /// Sends from `offset` to the end of the file, reading while the call runs. The outer error is the file's.
    async fn append(
        &self,
        source: &mut Source,
        upload_id: &str,
        offset: u64,
        progress: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<std::result::Result<Upload, tonic::Status>> {
        let (mut to_call, messages) = mpsc::channel(4);
        let mut api = self.client.dataset_api();
        let request = self.client.request(messages);
        let call = api.upload_data(request);
        let read = async move {
            let mut first = Some((upload_id.to_owned(), i64::try_from(offset).unwrap_or(i64::MAX)));
            let mut sent = offset;
            while let Some(data) = source.next().await? {
                sent += data.len() as u64;
                let (upload_id, offset) = first.take().unwrap_or_default();
                if to_call.send(UploadDataRequest { upload_id, offset, data }).await.is_err() {
                    break; // the call has ended and says why
                }
                progress(sent, source.size);
            }
            Ok::<(), Error>(())
        };
        let (answer, read) = futures::future::join(call, read).await;
        read?;
        Ok(answer.map(tonic::Response::into_inner))
    }
}

/// A file that is hashed while it is read, each byte once, however often parts of it are sent again.
struct Source {
    file: File,
    name: String,
    size: u64,
    position: u64,
    hashed: u64,
    hash: Sha256,
}

impl Source {
    async fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).await.map_err(|error| Error::io(format!("cannot open `{name}`"), error))?;
        let meta = file.metadata().await.map_err(|error| Error::io(format!("cannot read `{name}`"), error))?;
        if !meta.is_file() {
            let text = format!("`{name}` is not a file; upload one file at a time");
            return Err(Error::new(Kind::Io, "NOT_A_FILE", text));
        }
        Ok(Self { file, name, size: meta.len(), position: 0, hashed: 0, hash: Sha256::new() })
    }
    /// The next bytes; `None` at the end of the size that the file had when it was opened.
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let left = self.size - self.position;
        if left == 0 {
            return Ok(None);
        }
        let mut data = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        let name = &self.name;
        self.file
            .read_exact(&mut data)
            .await
            .map_err(|error| Error::io(format!("cannot read `{name}` (did it shrink?)"), error))?;
        let end = self.position + data.len() as u64;
        if end > self.hashed {
            let known = usize::try_from(self.hashed - self.position).unwrap_or(0);
            self.hash.update(&data[known..]);
            self.hashed = end;
        }
        self.position = end;
        Ok(Some(data))
    }
    /// Goes to `offset`, hashing what was not hashed yet.
    async fn seek(&mut self, offset: u64) -> Result<()> {
        if self.position != offset.min(self.hashed) {
            self.rewind(offset.min(self.hashed)).await?;
        }
        while self.position < offset {
            self.next().await?;
        }
        if self.position > offset {
            self.rewind(offset).await?;
        }
        Ok(())
    }
    async fn rewind(&mut self, offset: u64) -> Result<()> {
        let name = &self.name;
        self.file
            .seek(std::io::SeekFrom::Start(offset))
            .await
            .map_err(|error| Error::io(format!("cannot read `{name}`"), error))?;
        self.position = offset;
        Ok(())
    }
    /// SHA-256 in hexadecimal of the bytes read so far.
    fn digest(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in self.hash.clone().finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_digest_counts_each_byte_once_however_the_reading_jumps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut straight = Source::open(&path).await.unwrap();
        while straight.next().await.unwrap().is_some() {}
        let mut jumping = Source::open(&path).await.unwrap();
        jumping.seek(300_000).await.unwrap();
        assert_eq!(jumping.position, 300_000);
        jumping.next().await.unwrap();
        jumping.seek(10).await.unwrap();
        assert_eq!(jumping.next().await.unwrap().unwrap()[..4], bytes[10..14]);
        while jumping.next().await.unwrap().is_some() {}
        assert_eq!(straight.digest(), jumping.digest());
        let mut resumed = Source::open(&path).await.unwrap();
        resumed.seek(700_000).await.unwrap();
        assert_eq!(straight.digest(), resumed.digest());
    }

    #[tokio::test]
    async fn a_folder_or_a_missing_file_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = Source::open(dir.path()).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Io);
        let error = Source::open(&dir.path().join("none")).await.err().unwrap();
        assert!(error.message().contains("none"), "{error}");
    }
}
