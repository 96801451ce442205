//! The times that govern leases, polls and retries.

use std::time::Duration;

/// The `[queue]` section. All times in milliseconds; tests use a fraction of a second.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueOptions {
    /// How long a worker owns a job without a sign of life.
    pub lease_ms: u64,
    /// How often a worker renews its leases. A third of the lease at most; a larger value is lowered to that.
    pub heartbeat_ms: u64,
    /// How often an idle worker looks for jobs when no notice came. PostgreSQL only: notices are the rule there.
    pub poll_ms: u64,
    /// The same on SQLite, where other processes cannot send notices.
    pub sqlite_poll_ms: u64,
    /// How often lines of running jobs are written.
    pub flush_ms: u64,
    /// The first gap between attempts; each further one is twice as long.
    pub retry_base_ms: u64,
    /// The longest gap between attempts.
    pub retry_cap_ms: u64,
    /// How long a job may go on after it was told to stop. Then it is dropped, and its writes are refused.
    pub abandon_ms: u64,
    /// How long finished jobs are kept.
    pub retention_ms: u64,
    /// How often finished jobs are swept.
    pub sweep_ms: u64,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            lease_ms: 30_000,
            heartbeat_ms: 10_000,
            poll_ms: 1_000,
            sqlite_poll_ms: 100,
            flush_ms: 200,
            retry_base_ms: 1_000,
            retry_cap_ms: 300_000,
            abandon_ms: 10_000,
            retention_ms: 30 * 24 * 3_600_000,
            sweep_ms: 60_000,
        }
    }
}

impl QueueOptions {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms.max(1))
    }
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.min(self.lease_ms / 3).max(1))
    }
    pub(crate) fn poll(&self, postgres: bool) -> Duration {
        Duration::from_millis(if postgres { self.poll_ms } else { self.sqlite_poll_ms }.max(1))
    }
    pub(crate) fn flush(&self) -> Duration {
        Duration::from_millis(self.flush_ms.max(1))
    }
    pub(crate) fn abandon(&self) -> Duration {
        Duration::from_millis(self.abandon_ms)
    }
    pub(crate) fn sweep(&self) -> Duration {
        Duration::from_millis(self.sweep_ms.max(1))
    }
    /// How often expired leases are looked for.
    pub(crate) fn reap(&self) -> Duration {
        Duration::from_millis((self.lease_ms / 6).clamp(20, 5_000))
    }
    /// How often the cancel flags of running jobs are read, should a notice be lost.
    pub(crate) fn cancel_poll(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.clamp(20, 1_000))
    }
}

/// Milliseconds as the database counts them.
pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}
