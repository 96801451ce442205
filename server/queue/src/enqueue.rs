//! Putting jobs into the queue, alone or with what they depend on.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::Row as _;
use tenor_domain::{self as domain, JobId, JobState};
use tenor_store::{Tx, on};
use tenor_telemetry::traces;

use crate::error::Error;
use crate::events::{Note, note};
use crate::options::ms;
use crate::row::json;
use crate::{Job, sql};

const MOST_PAYLOAD_BYTES: usize = 1 << 20;
const MOST_DEPENDENCIES: usize = 10_000;
/// Ten years.
const MOST_DELAY_MS: i64 = 10 * 366 * 24 * 3_600_000;

/// What the end of a dependency means for the job that waits for it. A job with several dependencies starts when all
/// of them have ended and every policy is satisfied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyPolicy {
    /// This one must succeed. If it does not, the waiting job fails at once; if it is cancelled, so is the waiting job.
    #[default]
    AllSuccess,
    /// At least one of the dependencies with this policy must succeed.
    AnySuccess,
    /// However it ends.
    AllDone,
}

/// A job to be. See the builder methods for limits; [`NewJob::new`] fills in the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub kind: String,
    pub queue: String,
    /// At most 1 MiB of JSON.
    pub payload: Value,
    /// Higher first, within the queue.
    pub priority: i32,
    /// Unique among waiting, ready and running jobs; 1 to 500 characters.
    pub unique_key: Option<String>,
    /// 0 to ten years.
    pub delay_ms: i64,
    /// 1 to 100.
    pub max_attempts: i32,
    /// The time limit of one attempt, 1 to ten years; then it is told to stop, and has failed in a way that another may mend.
    pub timeout_ms: Option<i64>,
    /// At most 10,000.
    pub depends_on: Vec<(JobId, DependencyPolicy)>,
    /// `None`: that of the current span.
    pub traceparent: Option<String>,
}

impl NewJob {
    pub fn new(kind: impl Into<String>, payload: Value) -> Self {
        Self {
            kind: kind.into(),
            queue: "default".to_owned(),
            payload,
            priority: 0,
            unique_key: None,
            delay_ms: 0,
            max_attempts: 3,
            timeout_ms: None,
            depends_on: Vec::new(),
            traceparent: None,
        }
    }

    /// A job of a typed kind, with that kind's queue, number of attempts and time limit.
    pub fn of<K: Job>(job: &K) -> Result<Self, Error> {
        let payload = serde_json::to_value(job)
            .map_err(|error| invalid("payload", format!("cannot be written as JSON: {error}")))?;
        Ok(Self {
            queue: K::QUEUE.to_owned(),
            max_attempts: K::MAX_ATTEMPTS,
            timeout_ms: K::TIMEOUT.map(ms),
            ..Self::new(K::KIND, payload)
        })
    }

    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }
    #[must_use]
    pub fn delay_ms(mut self, delay_ms: i64) -> Self {
        self.delay_ms = delay_ms;
        self
    }
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: i32) -> Self {
        self.max_attempts = max_attempts;
        self
    }
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: i64) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }
    #[must_use]
    pub fn depends_on(mut self, job: JobId, policy: DependencyPolicy) -> Self {
        self.depends_on.push((job, policy));
        self
    }
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    fn validate(&self) -> Result<String, Error> {
        check_name("kind", &self.kind)?;
        check_name("queue", &self.queue)?;
        if let Some(key) = &self.unique_key
            && (key.is_empty() || key.chars().count() > 500 || key.chars().any(char::is_control))
        {
            return Err(invalid("unique_key", "must be 1 to 500 characters without control characters".to_owned()));
        }
        if !(0..=MOST_DELAY_MS).contains(&self.delay_ms) {
            return Err(invalid("delay_ms", format!("must be 0 to {MOST_DELAY_MS}, got {}", self.delay_ms)));
        }
        if !(1..=100).contains(&self.max_attempts) {
            return Err(invalid("max_attempts", format!("must be 1 to 100, got {}", self.max_attempts)));
        }
        if let Some(timeout_ms) = self.timeout_ms
            && !(1..=MOST_DELAY_MS).contains(&timeout_ms)
        {
            return Err(invalid("timeout_ms", format!("must be 1 to {MOST_DELAY_MS}, got {timeout_ms}")));
        }
        if self.depends_on.len() > MOST_DEPENDENCIES {
            let got = self.depends_on.len();
            return Err(invalid("depends_on", format!("must be at most {MOST_DEPENDENCIES} jobs, got {got}")));
        }
        let payload = self.payload.to_string();
        if payload.len() > MOST_PAYLOAD_BYTES {
            let got = payload.len();
            return Err(invalid(
                "payload",
                format!("must be at most {MOST_PAYLOAD_BYTES} bytes of JSON, got {got}; store it and pass its id"),
            ));
        }
        Ok(payload)
    }
}

/// Names of kinds, queues and workers: 1 to 63 of `a-z 0-9 _ . -`.
pub(crate) fn check_name(field: &'static str, name: &str) -> Result<(), Error> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-');
    if (1..=63).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    Err(invalid(field, format!("must be 1 to 63 of `a-z`, `0-9`, `_`, `.`, `-`, got `{shown}`")))
}

fn invalid(field: &'static str, description: String) -> Error {
    Error::Invalid(domain::Error::invalid(field, description))
}

/// The job that now stands for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    pub id: JobId,
    /// Whether it was there already: a live job with the same unique key.
    pub existing: bool,
}

/// Inserts the job in the caller's transaction. `parent` is the job that does so, if one does.
pub(crate) async fn insert(tx: &mut Tx, job: &NewJob, parent: Option<JobId>) -> Result<Enqueued, Error> {
    let payload = job.validate()?;
    let start = dependencies(tx, job).await?;
    let traceparent = match &job.traceparent {
        Some(text) => traces::parse_traceparent(text).map(|_| text.clone()),
        None => traces::current_traceparent(),
    };
    let statement = sql::pick(tx, sql::PG_ENQUEUE, sql::LITE_ENQUEUE);
    // A row that is born failed conflicts with no key, so the key is asked for first.
    if start.state == JobState::Failed
        && let Some(holder) = live_by_key(tx, job).await?
    {
        return Ok(Enqueued { id: holder, existing: true });
    }
    // Not for ever: the holder of the key may end between the two statements, but hardly each time.
    for _ in 0..100 {
        let inserted: Option<i64> = on!(tx, connection => {
            let row = sqlx::query(statement)
                .bind(&job.queue)
                .bind(&job.kind)
                .bind(&payload)
                .bind(start.state.as_str())
                .bind(job.priority)
                .bind(job.max_attempts)
                .bind(&job.unique_key)
                .bind(parent.map(|parent| parent.0))
                .bind(start.waits_for)
                .bind(start.wants_any)
                .bind(start.any_succeeded)
                .bind(&traceparent)
                .bind(&start.error)
                .bind(job.delay_ms)
                .bind(job.timeout_ms)
                .fetch_optional(connection)
                .await?;
            row.map(|row| row.try_get(0)).transpose()?
        });
        if let Some(id) = inserted {
            add_dependencies(tx, id, &start.open).await?;
            if let Some(error) = start.error {
                note(tx, &[failed_at_birth(id, &error)]).await?;
            }
            return Ok(Enqueued { id: JobId(id), existing: false });
        }
        if let Some(id) = live_by_key(tx, job).await? {
            return Ok(Enqueued { id, existing: true });
        }
    }
    Err(Error::KeyTaken { key: job.unique_key.clone().unwrap_or_default() })
}

async fn live_by_key(tx: &mut Tx, job: &NewJob) -> Result<Option<JobId>, Error> {
    let holder: Option<i64> = on!(tx, connection => {
        sqlx::query_scalar(sql::LIVE_BY_KEY).bind(&job.unique_key).fetch_optional(connection).await
    })?;
    Ok(holder.map(JobId))
}

/// The one line in the history of a job that never ran. The statement that inserts the job counts it.
fn failed_at_birth(job: i64, error: &str) -> Note {
    Note {
        job,
        seq: 1,
        age_ms: 0,
        level: "state",
        message: JobState::Failed.as_str().to_owned(),
        progress: None,
        data: Some(serde_json::json!({ "attempt": 0, "error": error }).to_string()),
    }
}

/// How a new job starts, given how far its dependencies are.
struct Start {
    state: JobState,
    waits_for: i32,
    wants_any: bool,
    any_succeeded: bool,
    error: Option<String>,
    /// Dependencies that have not ended.
    open: Vec<Dependency>,
}

#[derive(serde::Serialize)]
struct Dependency {
    id: i64,
    policy: DependencyPolicy,
}

async fn dependencies(tx: &mut Tx, job: &NewJob) -> Result<Start, Error> {
    let mut start = Start {
        state: JobState::Ready,
        waits_for: 0,
        wants_any: false,
        any_succeeded: false,
        error: None,
        open: Vec::new(),
    };
    let mut wanted = BTreeMap::new();
    for &(id, policy) in &job.depends_on {
        if wanted.insert(id.0, policy).is_some_and(|other| other != policy) {
            return Err(invalid("depends_on", format!("names job {id} twice with different policies")));
        }
    }
    if wanted.is_empty() {
        return Ok(start);
    }
    let ids = json(&wanted.keys().collect::<Vec<_>>());
    let statement = sql::pick(tx, sql::PG_DEPENDENCIES, sql::LITE_DEPENDENCIES);
    let found: Vec<(i64, String)> = on!(tx, connection => {
        let rows = sqlx::query(statement).bind(ids).fetch_all(connection).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?
    });
    start.wants_any = wanted.values().any(|policy| *policy == DependencyPolicy::AnySuccess);
    for (id, state) in found {
        let Some(policy) = wanted.remove(&id) else { continue };
        let state = JobState::parse(&state).ok_or_else(|| crate::row::corrupt("jobs", "state", id, &state))?;
        match (state, policy) {
            (JobState::Succeeded, DependencyPolicy::AnySuccess) => start.any_succeeded = true,
            (JobState::Failed | JobState::Cancelled, DependencyPolicy::AllSuccess) => {
                start.error.get_or_insert(format!("job {id}, which it depends on, did not succeed"));
            }
            (state, _) if state.is_final() => {}
            _ => start.open.push(Dependency { id, policy }),
        }
    }
    if let Some((missing, _)) = wanted.first_key_value() {
        return Err(invalid("depends_on", format!("names job {missing}, which does not exist (any more)")));
    }
    start.waits_for = i32::try_from(start.open.len()).unwrap_or(i32::MAX);
    if start.error.is_none() && start.open.is_empty() && start.wants_any && !start.any_succeeded {
        start.error = Some("none of the jobs that it depends on succeeded".to_owned());
    }
    start.state = match (&start.error, start.open.is_empty()) {
        (Some(_), _) => JobState::Failed,
        (None, true) => JobState::Ready,
        (None, false) => JobState::Waiting,
    };
    Ok(start)
}

async fn add_dependencies(tx: &mut Tx, job: i64, open: &[Dependency]) -> Result<(), Error> {
    if open.is_empty() {
        return Ok(());
    }
    let statement = sql::pick(tx, sql::PG_ADD_DEPENDENCIES, sql::LITE_ADD_DEPENDENCIES);
    let rows = json(&open);
    on!(tx, connection => sqlx::query(statement).bind(rows).bind(job).execute(connection).await.map(|_| ()))?;
    Ok(())
}
