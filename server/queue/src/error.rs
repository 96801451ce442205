//! What can go wrong in the queue, and what a job says when it fails.

use std::fmt;

use tenor_domain::{self as domain, ErrorKind, JobId, JobState};

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] tenor_store::Error),
    /// Another worker may have the job by now: this one must change nothing more.
    #[error("the lease of job {0} was lost; leave its rows alone, another attempt owns them")]
    LeaseLost(JobId),
    /// Somebody asked for the job to stop.
    #[error("job {0} was cancelled; stop and return")]
    CancelRequested(JobId),
    /// There is no such job, or it was swept after its retention.
    #[error("job {0} does not exist; finished jobs are removed after a while")]
    NotFound(JobId),
    /// The job is not in a state that allows this.
    #[error("job {job} is {state}; only a failed or cancelled job can be requeued")]
    NotRequeueable { job: JobId, state: JobState },
    /// Another live job holds the unique key.
    #[error("another job with the unique key `{key}` is live; wait for it or cancel it")]
    KeyTaken { key: String },
    /// The new job or the filter is not valid.
    #[error("{0}")]
    Invalid(domain::Error),
    /// The job did not end in time.
    #[error("job {0} had not ended when the wait was over")]
    Timeout(JobId),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    /// Whether the same call may succeed when repeated.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Store(error) => error.into(),
            Error::LeaseLost(_) => Self::conflict("LEASE_LOST", message),
            Error::CancelRequested(_) => Self::new(ErrorKind::Cancelled, "JOB_CANCELLED", message),
            Error::NotFound(_) => Self::not_found(message),
            Error::NotRequeueable { .. } => Self::precondition("JOB_STATE", message),
            Error::KeyTaken { .. } => Self::precondition("JOB_KEY_TAKEN", message),
            Error::Invalid(error) => error,
            Error::Timeout(_) => Self::new(ErrorKind::DeadlineExceeded, "JOB_WAIT_TIMEOUT", message),
        }
    }
}

/// Why an attempt failed, and whether another can help. The text is stored in the job and shown to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    pub(crate) retryable: bool,
    pub(crate) message: String,
    /// For the log only.
    pub(crate) cause: Option<String>,
}

impl JobError {
    /// Another attempt may succeed: the database was away, the disk was full.
    pub fn retry(error: impl fmt::Display) -> Self {
        Self { retryable: true, message: shown(&format!("{error:#}")), cause: None }
    }
    /// No attempt can succeed: the input is wrong, the row is gone.
    pub fn fail(error: impl fmt::Display) -> Self {
        Self { retryable: false, message: shown(&format!("{error:#}")), cause: None }
    }
    /// Adds what only the log may say.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<domain::Error> for JobError {
    /// What the caller can do nothing about is tried again, what is wrong by itself is not.
    fn from(error: domain::Error) -> Self {
        let retryable = match error.kind {
            ErrorKind::Unavailable
            | ErrorKind::Internal
            | ErrorKind::ResourceExhausted
            | ErrorKind::Conflict
            | ErrorKind::DeadlineExceeded
            | ErrorKind::Cancelled => true,
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidArgument
            | ErrorKind::FailedPrecondition
            | ErrorKind::PermissionDenied => false,
        };
        Self { retryable, message: shown(&error.message), cause: error.cause }
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        domain::Error::from(error).into()
    }
}

impl From<tenor_store::Error> for JobError {
    fn from(error: tenor_store::Error) -> Self {
        domain::Error::from(error).into()
    }
}

/// At most 4,000 characters without NUL, which PostgreSQL cannot store.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 4_000;
    let mut shown: String = text.chars().take(MOST).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
