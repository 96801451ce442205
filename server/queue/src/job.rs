//! The contract of a kind of job.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of job: its payload and how it is queued. Payloads hold ids; the rows they name are the truth.
///
/// Delivery is at least once. A handler is idempotent, and says by what key.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Unique among all kinds, never reused for another meaning: 1 to 63 of `a-z 0-9 _ . -`.
    const KIND: &'static str;
    /// Attempts before the job is failed for good; 1 to 100.
    const MAX_ATTEMPTS: i32 = 3;
    /// The time limit of one attempt, stored with the job; see [`crate::NewJob::timeout_ms`].
    const TIMEOUT: Option<Duration> = None;
    /// Workers choose queues; priorities rank within one.
    const QUEUE: &'static str = "default";
}
