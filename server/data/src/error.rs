//! What can go wrong with a file, in variants that callers act on.

/// Why data could not be read, checked or processed. Messages name the line or byte and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing in the file, or nothing but a header.
    #[error("{0}")]
    Empty(String),
    /// The bytes are not a table that we read.
    #[error("{0}")]
    UnknownFormat(String),
    /// The compressed stream ends before its end, or is damaged.
    #[error("the file is damaged at byte {byte} (decompressed): {message}")]
    Damaged { byte: u64, message: String },
    /// A small compressed file grows without end.
    #[error(
        "the file grows from {compressed} to more than {decompressed} bytes; it looks like a gzip bomb, decompress it yourself if it is not"
    )]
    GzipBomb { compressed: u64, decompressed: u64 },
    /// One record is larger than [`crate::MAX_RECORD_BYTES`].
    #[error("the record that begins at line {line} is longer than {limit} bytes; {hint}")]
    RecordTooLong { line: u64, limit: usize, hint: &'static str },
    /// A column that is needed is not there.
    #[error("{message}")]
    MissingColumn { role: &'static str, columns: Vec<String>, message: String },
    /// Most records do not have the shape of a table.
    #[error(
        "{bad} of the first {read} records are malformed, e.g. line {line}: {reason}; check delimiter, quoting and format"
    )]
    TooManyMalformed { bad: u64, read: u64, line: u64, reason: String },
    /// A rule with policy `reject` was broken.
    #[error("rule `{rule}` rejects the file at line {line}: {reason}")]
    Rejected { rule: String, line: u64, reason: String },
    /// An option is wrong.
    #[error("`{field}` {message}")]
    InvalidOption { field: String, message: String },
    /// Nothing is left to work on.
    #[error("{0}")]
    NoRows(String),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be read or written.
    #[error("cannot {action}: {source}")]
    Io { action: String, source: std::io::Error },
    /// The data frame library failed on our own data.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn option(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidOption { field: field.into(), message: message.into() }
    }

    /// The catalogue reason of this error.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty(_) => "DATA_EMPTY",
            Self::UnknownFormat(_) => "DATA_UNKNOWN_FORMAT",
            Self::Damaged { .. } => "DATA_DAMAGED",
            Self::GzipBomb { .. } => "DATA_GZIP_BOMB",
            Self::RecordTooLong { .. } => "DATA_RECORD_TOO_LONG",
            Self::MissingColumn { .. } => "DATA_MISSING_COLUMN",
            Self::TooManyMalformed { .. } => "DATA_MALFORMED",
            Self::Rejected { .. } => "DATA_REJECTED",
            Self::InvalidOption { .. } => "DATA_INVALID_OPTION",
            Self::NoRows(_) => "DATA_NO_ROWS",
            Self::Cancelled => "CANCELLED",
            Self::Io { .. } | Self::Internal(_) => "INTERNAL",
        }
    }
}

impl From<polars::error::PolarsError> for Error {
    fn from(error: polars::error::PolarsError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<Error> for tenor_domain::Error {
    fn from(error: Error) -> Self {
        use tenor_domain::ErrorKind;
        match &error {
            Error::Io { .. } | Error::Internal(_) => Self::internal(error),
            Error::Cancelled => Self::new(ErrorKind::Cancelled, error.reason(), "cancelled"),
            Error::InvalidOption { field, message } => {
                let mut invalid = Self::invalid(field.clone(), message.clone());
                invalid.reason = error.reason();
                invalid
            }
            _ => Self::new(ErrorKind::InvalidArgument, error.reason(), error.to_string()),
        }
    }
}

/// Adds what was attempted to an I/O error.
pub(crate) trait Attempt<T> {
    fn attempt(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Attempt<T> for std::io::Result<T> {
    fn attempt(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { action: action(), source })
    }
}
