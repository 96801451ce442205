#![doc = include_str!("../README.md")]

mod cancel;
mod claim;
mod context;
mod enqueue;
mod error;
mod events;
mod fence;
mod finish;
mod heartbeat;
mod hints;
mod job;
mod lines;
mod maintenance;
mod metrics;
mod options;
mod queue;
mod retry;
mod row;
mod running;
mod sql;
mod worker;

#[cfg(test)]
mod tests;

pub use context::{JobContext, Spawn};
pub use enqueue::{DependencyPolicy, Enqueued, NewJob};
pub use error::{Error, JobError};
pub use fence::{Fence, check_fence, lock_state};
pub use job::Job;
pub use metrics::Metrics;
pub use options::QueueOptions;
pub use queue::{JobFilter, Queue, Requeue};
pub use retry::backoff_ms;
pub use running::CancelReason;
pub use sql::{STATEMENTS, statements};
pub use worker::{Worker, WorkerBuilder, WorkerReport};
