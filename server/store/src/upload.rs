//! Uploads: the rows. The bytes are in [`crate::Spool`].

use tenor_domain::{Digest, Timestamp, Upload, UploadId};

use crate::row::{Place, all, execute, optional};
use crate::{Error, Tx};

macro_rules! columns {
    () => {
        "id, file_name, size_bytes, received_bytes, digest, created_at"
    };
}

crate::statements! {
    Both INSERT = concat!("-- upload.insert
INSERT INTO uploads (", columns!(), ")
VALUES ($1, $2, $3, 0, NULL, $4)");
    Both BY_ID = concat!("-- upload.by_id
SELECT ", columns!(), " FROM uploads WHERE id = $1");
    Both RECEIVED = "-- upload.received
UPDATE uploads SET received_bytes = $2 WHERE id = $1 AND digest IS NULL";
    Both COMPLETE = concat!("-- upload.complete
UPDATE uploads SET received_bytes = $2, digest = $3 WHERE id = $1 AND digest IS NULL RETURNING ", columns!());
    Both DELETE = "-- upload.delete
DELETE FROM uploads WHERE id = $1";
    Both OLDER = concat!("-- upload.older
SELECT ", columns!(), " FROM uploads WHERE created_at < $1 ORDER BY created_at LIMIT $2");
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    file_name: String,
    size_bytes: Option<i64>,
    received_bytes: i64,
    digest: Option<String>,
    created_at: i64,
}

impl TryFrom<Row> for Upload {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "uploads", id: &row.id };
        Ok(Self {
            digest: row.digest.map(|digest| place.digest("digest", &digest)).transpose()?,
            id: UploadId::trusted(row.id),
            file_name: row.file_name,
            received_bytes: row.received_bytes,
            size_bytes: row.size_bytes,
            created_at: Timestamp(row.created_at),
        })
    }
}

pub async fn insert(tx: &mut Tx, upload: &Upload) -> Result<(), Error> {
    execute!(tx, INSERT, upload.id.as_str(), &upload.file_name, upload.size_bytes, upload.created_at.0)?;
    Ok(())
}

pub async fn by_id(tx: &mut Tx, id: &UploadId) -> Result<Option<Upload>, Error> {
    optional!(tx, Row, BY_ID, id.as_str())?.map(Upload::try_from).transpose()
}

/// Notes how many bytes have arrived, unless the upload is complete.
pub async fn received(tx: &mut Tx, id: &UploadId, received_bytes: i64) -> Result<bool, Error> {
    Ok(execute!(tx, RECEIVED, id.as_str(), received_bytes)? == 1)
}

/// Marks the upload complete; `None` when it is gone or complete already.
pub async fn complete(
    tx: &mut Tx,
    id: &UploadId,
    received_bytes: i64,
    digest: &Digest,
) -> Result<Option<Upload>, Error> {
    optional!(tx, Row, COMPLETE, id.as_str(), received_bytes, digest.to_string())?.map(Upload::try_from).transpose()
}

pub async fn delete(tx: &mut Tx, id: &UploadId) -> Result<bool, Error> {
    Ok(execute!(tx, DELETE, id.as_str())? == 1)
}

/// Uploads that were started before `before`, oldest first, for clearing away.
pub async fn older(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<Vec<Upload>, Error> {
    all!(tx, Row, OLDER, before.0, limit)?.into_iter().map(Upload::try_from).collect()
}
