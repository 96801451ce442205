//! Rows as the statements return them.

use sqlx::FromRow;
use tenor_domain::{Job, JobEvent, JobEventLevel, JobId, JobState, Timestamp};

use crate::{Error, Fence};

/// All that is known of a job.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct JobRow {
    pub id: i64,
    pub kind: String,
    pub queue: String,
    pub state: String,
    pub priority: i32,
    pub attempt: i32,
    pub max_attempts: i32,
    pub timeout_ms: Option<i64>,
    pub payload: String,
    pub result: Option<String>,
    pub error: Option<String>,
    pub cancel_requested: bool,
    pub unique_key: Option<String>,
    pub worker: Option<String>,
    pub traceparent: Option<String>,
    pub progress: f64,
    pub created_at: i64,
    pub run_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub fence: i64,
}

impl JobRow {
    pub(crate) fn fence(&self) -> Fence {
        Fence { job: JobId(self.id), token: self.fence }
    }

    pub(crate) fn into_job(self) -> Result<Job, Error> {
        let corrupt = |column, detail: &dyn std::fmt::Display| corrupt("jobs", column, self.id, detail);
        let state = state(&self.state).ok_or_else(|| corrupt("state", &self.state))?;
        let payload = serde_json::from_str(&self.payload).map_err(|error| corrupt("payload", &error))?;
        let result = self.result.as_deref().map(serde_json::from_str).transpose();
        let result = result.map_err(|error| corrupt("result", &error))?;
        Ok(Job {
            id: JobId(self.id),
            kind: self.kind,
            queue: self.queue,
            state,
            priority: self.priority,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            payload,
            result,
            error: self.error,
            cancel_requested: self.cancel_requested,
            unique_key: self.unique_key,
            worker: self.worker,
            traceparent: self.traceparent,
            progress: self.progress,
            created_at: Timestamp(self.created_at),
            run_at: Timestamp(self.run_at),
            started_at: self.started_at.map(Timestamp),
            finished_at: self.finished_at.map(Timestamp),
        })
    }
}

/// A job after a change of its state.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Moved {
    pub id: i64,
    pub fence: i64,
    pub queue: String,
    pub state: String,
    pub attempt: i32,
    pub event_seq: i64,
    pub error: Option<String>,
}

impl Moved {
    pub(crate) fn fence(&self) -> Fence {
        Fence { job: JobId(self.id), token: self.fence }
    }

    pub(crate) fn state(&self) -> Result<JobState, Error> {
        state(&self.state).ok_or_else(|| corrupt("jobs", "state", self.id, &self.state))
    }
}

#[derive(Debug, FromRow)]
pub(crate) struct EventRow {
    seq: i64,
    at: i64,
    level: String,
    message: String,
    progress: Option<f64>,
    data: Option<String>,
}

impl EventRow {
    pub(crate) fn into_event(self, job: JobId) -> Result<JobEvent, Error> {
        let corrupt = |column, detail: &dyn std::fmt::Display| corrupt("job_events", column, job.0, detail);
        let level = JobEventLevel::parse(&self.level).ok_or_else(|| corrupt("level", &self.level))?;
        let data = self.data.as_deref().map(serde_json::from_str).transpose();
        Ok(JobEvent {
            job_id: job,
            seq: self.seq,
            at: Timestamp(self.at),
            level,
            message: self.message,
            progress: self.progress,
            data: data.map_err(|error| corrupt("data", &error))?,
        })
    }
}

fn state(text: &str) -> Option<JobState> {
    JobState::parse(text)
}

pub(crate) fn corrupt(table: &'static str, column: &'static str, id: i64, detail: &dyn std::fmt::Display) -> Error {
    Error::Store(tenor_store::Error::Corrupt { table, column, id: id.to_string(), detail: detail.to_string() })
}

/// Ids, fences and the like as the JSON text that statements read. Plain data: it cannot fail to serialize.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "[]".to_owned())
}
