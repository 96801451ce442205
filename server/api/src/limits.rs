//! Bounds of the gRPC edge.

use std::time::Duration;

/// What one call and one server may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest message that is read, in bytes. A larger one is RESOURCE_EXHAUSTED and names this number.
    pub max_decode_bytes: usize,
    /// Largest message that is written, in bytes.
    pub max_encode_bytes: usize,
    /// Deadline of a unary call whose client gave none. Streams, health watches and the calls that are made
    /// to take long (`WaitJob`, `CompleteUpload`, `CompareRuns`) have no default.
    pub default_deadline: Duration,
    /// Calls without a stream at a time; the next is UNAVAILABLE with a delay after which to retry.
    pub max_concurrent_calls: usize,
    /// Streams and waiting calls at a time.
    pub max_concurrent_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_decode_bytes: 4 << 20,
            max_encode_bytes: 64 << 20,
            default_deadline: Duration::from_secs(30),
            max_concurrent_calls: 4_096,
            max_concurrent_streams: 1_024,
        }
    }
}
