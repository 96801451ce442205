//! Uploads: bytes on their way in, resumable at any offset that was acknowledged.

use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tenor_domain::{Caller, Digest, Error, ErrorKind, RequestId, Timestamp, Upload, UploadId};
use tenor_store::upload;

use crate::idempotency::{Request, deleted_since};
use crate::{Platform, check};

/// The largest upload: what a file system and an object store take without special care.
const MAX_UPLOAD_BYTES: u64 = 1 << 40;

/// The use cases of uploads.
#[derive(Clone, Copy)]
pub struct Uploads<'a>(pub(crate) &'a Platform);

impl Uploads<'_> {
    /// Begins an upload. `file_name` is a label; `size_bytes` is checked at the end, if given.
    pub async fn start(
        &self,
        caller: &Caller,
        file_name: &str,
        size_bytes: Option<i64>,
        request_id: Option<RequestId>,
    ) -> Result<Upload, Error> {
        check::label("file_name", file_name)?;
        if size_bytes.is_some_and(|size| size < 0 || size.unsigned_abs() > MAX_UPLOAD_BYTES) {
            return Err(Error::invalid("size_bytes", format!("must be 0 to {MAX_UPLOAD_BYTES}")));
        }
        let upload = Upload {
            id: UploadId::new(),
            file_name: file_name.to_owned(),
            received_bytes: 0,
            size_bytes,
            digest: None,
            created_at: self.0.now(),
        };
        let request = Request::new(caller, request_id.as_ref(), "StartUpload", &(file_name, size_bytes))?;
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.claim(&mut tx, upload.id.as_str(), upload.created_at).await? {
            tx.rollback().await?;
            let earlier = UploadId::trusted(earlier);
            return self.get(&earlier).await.map_err(|error| match error.kind {
                ErrorKind::NotFound => deleted_since("upload"),
                _ => error,
            });
        }
        upload::insert(&mut tx, &upload).await?;
        tx.commit().await?;
        Ok(upload)
    }

    /// How far an upload is.
    pub async fn get(&self, id: &UploadId) -> Result<Upload, Error> {
        let mut upload = self.row(id).await?;
        if upload.digest.is_none() {
            upload.received_bytes = signed(self.0.spool.received(id)?);
        }
        Ok(upload)
    }

    async fn row(&self, id: &UploadId) -> Result<Upload, Error> {
        upload::by_id(&mut self.0.read().await?, id)
            .await?
            .ok_or_else(|| Error::not_found(format!("upload `{id}` does not exist; start a new one")))
    }

    /// Appends a stream at `offset`. When the stream breaks off, what had arrived stays: ask `get` where to go on.
    ///
    /// # Errors
    /// Conflict `UPLOAD_OFFSET`, naming the right offset, when `offset` is not the number of bytes that have arrived.
    pub async fn append<S>(&self, id: &UploadId, offset: i64, bytes: S) -> Result<Upload, Error>
    where
        S: Stream<Item = Result<Bytes, tenor_store::Error>> + Send,
    {
        let offset = u64::try_from(offset).map_err(|_| Error::invalid("offset", "must not be negative"))?;
        let mut upload = self.row(id).await?;
        if upload.digest.is_some() {
            return Err(Error::precondition("UPLOAD_COMPLETE", format!("upload `{id}` is complete; start a new one")));
        }
        let limit = upload.size_bytes.map_or(MAX_UPLOAD_BYTES, i64::unsigned_abs);
        let received = self.0.spool.append(id, offset, bytes, limit).await?;
        upload.received_bytes = signed(received);
        let mut tx = self.0.write().await?;
        upload::received(&mut tx, id, upload.received_bytes).await?;
        tx.commit().await?;
        Ok(upload)
    }

    /// Appends bytes at `offset`.
    pub async fn append_bytes(&self, id: &UploadId, offset: i64, bytes: Bytes) -> Result<Upload, Error> {
        self.append(id, offset, futures::stream::iter([Ok(bytes)])).await
    }

    /// Ends an upload: its bytes become a blob. Again with the same digest, or none, gives the same answer.
    ///
    /// # Errors
    /// `UPLOAD_INCOMPLETE` when fewer bytes than announced have arrived, `DIGEST_MISMATCH` when they are others than the
    /// client sent; then the upload must be started anew.
    pub async fn complete(&self, id: &UploadId, expected: Option<Digest>) -> Result<Upload, Error> {
        let upload = self.row(id).await?;
        if let Some(digest) = upload.digest {
            check_digest(id, expected, digest)?;
            return Ok(upload);
        }
        let received = signed(self.0.spool.received(id)?);
        if let Some(announced) = upload.size_bytes
            && received != announced
        {
            if let Some(completed) = self.completed_meanwhile(id, expected).await? {
                return Ok(completed);
            }
            return Err(Error::precondition(
                "UPLOAD_INCOMPLETE",
                format!("upload `{id}` has {received} of {announced} bytes; send the rest from offset {received}"),
            ));
        }
        let (digest, size_bytes) = self.0.spool.store(id, &self.0.blobs).await?;
        if let Some(completed) = self.completed_meanwhile(id, expected).await? {
            self.0.spool.remove(id)?;
            return Ok(completed);
        }
        check_digest(id, expected, digest)?;
        let mut tx = self.0.write().await?;
        let completed = match upload::complete(&mut tx, id, signed(size_bytes), &digest).await? {
            Some(completed) => completed,
            // Another call completed it, or it was aborted, in between.
            None => upload::by_id(&mut tx, id)
                .await?
                .ok_or_else(|| Error::not_found(format!("upload `{id}` was aborted meanwhile; start a new one")))?,
        };
        tx.commit().await?;
        self.0.spool.remove(id)?;
        Ok(completed)
    }

    /// The upload if another call has completed it by now: its bytes are a blob then, and no longer where they arrived.
    async fn completed_meanwhile(&self, id: &UploadId, expected: Option<Digest>) -> Result<Option<Upload>, Error> {
        let upload = self.row(id).await?;
        let Some(digest) = upload.digest else { return Ok(None) };
        check_digest(id, expected, digest)?;
        Ok(Some(upload))
    }

    /// Gives an upload up. Bytes that are a blob already stay.
    pub async fn abort(&self, id: &UploadId) -> Result<(), Error> {
        let mut tx = self.0.write().await?;
        if !upload::delete(&mut tx, id).await? {
            return Err(Error::not_found(format!("upload `{id}` does not exist")));
        }
        tx.commit().await?;
        Ok(self.0.spool.remove(id)?)
    }

    /// Removes bytes that belong to no upload, which a process left behind that was killed on its way, once nobody has added to
    /// them for `age`; how many.
    pub async fn clear_strays(&self, age: Duration) -> Result<u64, Error> {
        let mut cleared = 0;
        for id in self.0.spool.untouched(age)? {
            if upload::by_id(&mut self.0.read().await?, &id).await?.is_none() {
                self.0.spool.remove(&id)?;
                cleared += 1;
            }
        }
        Ok(cleared)
    }

    /// Clears uploads away that were started before `before`; how many. Imported versions do not need them any more.
    pub async fn clear(&self, before: Timestamp) -> Result<u64, Error> {
        let mut cleared = 0;
        loop {
            let old = upload::older(&mut self.0.read().await?, before, 100).await?;
            if old.is_empty() {
                return Ok(cleared);
            }
            for upload in old {
                match self.abort(&upload.id).await {
                    Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
                    _ => cleared += 1,
                }
            }
        }
    }
}

fn check_digest(id: &UploadId, expected: Option<Digest>, found: Digest) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != found => Err(Error::precondition(
            "DIGEST_MISMATCH",
            format!("upload `{id}` arrived with digest {found}, expected {expected}; start a new upload"),
        )),
        _ => Ok(()),
    }
}

/// Sizes fit: no file has 2^63 bytes.
fn signed(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}
