//! Blobs in an object store: S3, Google Cloud Storage, Azure.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, WriteMultipart};
use tempfile::NamedTempFile;
use tenor_domain::Digest;
use tokio::io::AsyncReadExt as _;

use super::folder::{blocking, copy, receive};
use super::{ByteStream, CHUNK_BYTES, key};
use crate::Error;

/// Larger files go up in parts; all stores want parts of at least 5 MiB.
const PART_BYTES: usize = 8 << 20;

#[derive(Debug, Clone)]
pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Where a stream is until its digest is known.
    scratch: PathBuf,
}

impl Remote {
    pub fn open(url: &url::Url, options: &[(String, String)], scratch: &Path) -> Result<Self, Error> {
        let options = options.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone()));
        let (store, prefix) = object_store::parse_url_opts(url, options)
            .map_err(|error| Error::Config(format!("cannot open the blob store `{}://`: {error}", url.scheme())))?;
        Ok(Self { store: Arc::from(store), prefix, scratch: scratch.to_owned() })
    }

    fn key(&self, digest: &Digest) -> Key {
        self.prefix.parts().chain(Key::from(key(digest)).parts()).collect()
    }

    pub async fn put_bytes(&self, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        self.put_small(&digest, bytes).await?;
        Ok(digest)
    }

    async fn put_small(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.key(digest), bytes.into(), options).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn put_file(&self, path: &Path) -> Result<(Digest, u64), Error> {
        let source = path.to_owned();
        let (digest, size_bytes) = blocking(move || copy(&mut File::open(source)?, &mut std::io::sink())).await?;
        self.upload(path.to_owned(), &digest, size_bytes).await?;
        Ok((digest, size_bytes))
    }

    pub async fn put_stream(
        &self,
        stream: impl Stream<Item = Result<Bytes, Error>> + Send,
        limit_bytes: u64,
    ) -> Result<(Digest, u64), Error> {
        // The digest is the key, so nothing can go up before the last byte is known.
        let file = NamedTempFile::new_in(&self.scratch)?;
        let (digest, size_bytes) = receive(stream, &file, limit_bytes).await?;
        self.upload(file.path().to_owned(), &digest, size_bytes).await?;
        Ok((digest, size_bytes))
    }

    async fn upload(&self, path: PathBuf, digest: &Digest, size_bytes: u64) -> Result<(), Error> {
        if self.size(digest).await? == Some(size_bytes) {
            return Ok(());
        }
        if size_bytes <= PART_BYTES as u64 {
            return self.put_small(digest, tokio::fs::read(&path).await?.into()).await;
        }
        let upload = self.store.put_multipart(&self.key(digest)).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        match write_parts(&mut writer, &path).await {
            // Gives the parts up itself when it fails.
            Ok(()) => writer.finish().await.map(drop).map_err(Error::from),
            Err(error) => {
                // The error that led here matters more than one about the clean-up.
                let _ = writer.abort().await;
                Err(error)
            }
        }
    }

    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match self.store.head(&self.key(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn read(&self, digest: &Digest, range: Range<u64>) -> Result<ByteStream, Error> {
        if range.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let digest = *digest;
        match self.store.get_opts(&self.key(&digest), options).await {
            Ok(found) => Ok(found.into_stream().map(|chunk| chunk.map_err(Error::from)).boxed()),
            Err(object_store::Error::NotFound { .. }) => Err(Error::BlobMissing(digest)),
            Err(error) => Err(error.into()),
        }
    }
}

async fn write_parts(writer: &mut WriteMultipart, path: &Path) -> Result<(), Error> {
    let mut file = tokio::fs::File::open(path).await?;
    file.set_max_buf_size(CHUNK_BYTES);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        writer.wait_for_capacity(4).await?;
        writer.write(&buffer[..read]);
    }
}
