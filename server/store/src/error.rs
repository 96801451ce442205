//! What can go wrong below the use cases.

use tenor_domain as domain;

/// An error of the database or the blob store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database URL or an option is wrong.
    #[error("{0}")]
    Config(String),
    /// The database was migrated by a newer server.
    #[error(
        "the database is at schema version {found}, this server knows versions up to {known}; start a server that is at least as new as the one that migrated it"
    )]
    NewerSchema { found: i64, known: i64 },
    /// A migration could not be applied.
    #[error("migration failed: {0}")]
    Migrate(String),
    /// No connection was free in time, or the database cannot be reached.
    #[error("the database is busy or cannot be reached: {0}")]
    Unavailable(String),
    /// Two transactions were in each other's way; the same call may succeed when repeated.
    #[error("the transaction lost against another one: {0}")]
    Serialization(String),
    /// A row that must be unique exists already.
    #[error("a unique constraint refused the row: {0}")]
    Unique(String),
    /// A row that is referred to is missing, or a row that is to go is still referred to.
    #[error("a foreign key refused the change: {0}")]
    ForeignKey(String),
    /// A row holds what this version cannot decode.
    #[error("row `{id}` of table `{table}`, column `{column}`, cannot be decoded: {detail}")]
    Corrupt { table: &'static str, column: &'static str, id: String, detail: String },
    /// Anything else that the database said.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    /// A blob that is not there.
    #[error("blob {0} is missing from the blob store")]
    BlobMissing(domain::Digest),
    /// A blob whose bytes are not what its name says.
    #[error("blob {expected} is corrupt: its bytes have the digest {found}; restore it from a backup")]
    BlobCorrupt { expected: domain::Digest, found: String },
    /// A blob larger than the reader allows.
    #[error("blob {digest} has {size_bytes} bytes, the limit here is {limit_bytes}")]
    BlobTooLarge { digest: domain::Digest, size_bytes: u64, limit_bytes: u64 },
    /// The caller asked for bytes that the blob does not have.
    #[error("range {start}..{end} is outside of blob {digest}, which has {size_bytes} bytes")]
    BlobRange { digest: domain::Digest, start: u64, end: u64, size_bytes: u64 },
    /// The object store or the local disk failed.
    #[error("blob store: {0}")]
    Io(String),
    /// A stream went on past its limit.
    #[error("more than the allowed {limit_bytes} bytes arrived")]
    TooLarge { limit_bytes: u64 },
    /// Another call is appending to the same upload.
    #[error("another call is sending bytes for this upload; wait for it, then ask where to resume")]
    UploadBusy,
    /// The sender of a stream broke off.
    #[error("the stream of bytes broke off: {0}")]
    Stream(String),
    /// Bytes of an upload arrived at the wrong place.
    #[error("the upload has {expected} bytes so far; continue at offset {expected}, not {got}")]
    UploadOffset { expected: u64, got: u64 },
}

impl Error {
    /// Whether the database refused a row because one with the same key exists.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Unique(_))
    }
    /// Whether a foreign key refused the change.
    pub fn is_foreign_key_violation(&self) -> bool {
        matches!(self, Self::ForeignKey(_))
    }
    /// Whether the same call may succeed when repeated.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Serialization(_))
    }
    pub(crate) fn corrupt(
        table: &'static str,
        column: &'static str,
        id: impl ToString,
        detail: impl std::fmt::Display,
    ) -> Self {
        Self::Corrupt { table, column, id: id.to_string(), detail: detail.to_string() }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => {
                Self::Unavailable(error.to_string())
            }
            sqlx::Error::Database(database) => match database.kind() {
                ErrorKind::UniqueViolation => Self::Unique(database.to_string()),
                ErrorKind::ForeignKeyViolation => Self::ForeignKey(database.to_string()),
                _ => match database.code().as_deref() {
                    // serialization failure, deadlock (PostgreSQL)
                    Some("40001" | "40P01") => Self::Serialization(database.to_string()),
                    // lock or idle time over, server shutting down or starting, too many connections, connection lost
                    // (PostgreSQL); SQLITE_BUSY and its kin
                    Some(
                        "55P03" | "25P03" | "57P01" | "57P02" | "57P03" | "53300" | "08000" | "08003" | "08006" | "5"
                        | "261" | "517",
                    ) => Self::Unavailable(database.to_string()),
                    _ => Self::Database(error),
                },
            },
            _ => Self::Database(error),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// How a store error crosses the edge: clients learn what they can act on, the rest stays in the log.
impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        match &error {
            Error::Unavailable(_) => {
                domain::Error::unavailable("the database is busy; try again shortly", 500).with_cause(&error)
            }
            Error::Serialization(_) => {
                domain::Error::conflict("TRANSACTION_CONFLICT", "another change came first; read again and retry")
                    .with_cause(&error)
            }
            Error::BlobMissing(digest) => domain::Error::new(
                domain::ErrorKind::Internal,
                "BLOB_MISSING",
                format!("blob {digest} is missing from the blob store"),
            ),
            Error::BlobCorrupt { expected, .. } => domain::Error::new(
                domain::ErrorKind::Internal,
                "BLOB_CORRUPT",
                format!("blob {expected} is corrupt; restore it from a backup"),
            )
            .with_cause(&error),
            Error::BlobTooLarge { .. } => {
                domain::Error::new(domain::ErrorKind::ResourceExhausted, "BLOB_TOO_LARGE", error.to_string())
            }
            Error::TooLarge { .. } => {
                domain::Error::new(domain::ErrorKind::ResourceExhausted, "TOO_LARGE", error.to_string())
            }
            Error::UploadBusy => domain::Error::conflict("UPLOAD_BUSY", error.to_string()),
            Error::Stream(_) => domain::Error::new(domain::ErrorKind::Cancelled, "STREAM_BROKEN", error.to_string()),
            Error::BlobRange { .. } => domain::Error::invalid("range", error.to_string()),
            Error::UploadOffset { .. } => domain::Error::conflict("UPLOAD_OFFSET", error.to_string()),
            _ => domain::Error::internal(&error),
        }
    }
}
