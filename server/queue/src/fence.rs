//! The fencing token.

use sqlx::Row as _;
use tenor_domain::{JobId, JobState};
use tenor_store::{Tx, on};

use crate::{Error, sql};

/// The right to write for one attempt of one job. A later claim of the job makes it void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Fence {
    pub job: JobId,
    /// Grows with each claim of the job.
    pub token: i64,
}

/// Refuses the transaction of a worker that no longer owns the job, with [`Error::LeaseLost`]. Call it first in every
/// transaction that a job writes in: until that transaction ends, the lease cannot be taken away.
pub async fn check_fence(tx: &mut Tx, fence: &Fence) -> Result<(), Error> {
    cancel_requested(tx, fence).await.map(|_| ())
}

/// As [`check_fence`]; tells whether somebody asked for the job to stop.
pub(crate) async fn cancel_requested(tx: &mut Tx, fence: &Fence) -> Result<bool, Error> {
    let statement = sql::pick(tx, sql::PG_CHECK_FENCE, sql::LITE_CHECK_FENCE);
    let held: Option<bool> = on!(tx, connection => {
        let row = sqlx::query(statement).bind(fence.job.0).bind(fence.token).fetch_optional(connection).await?;
        row.map(|row| row.try_get(0)).transpose()?
    });
    held.ok_or(Error::LeaseLost(fence.job))
}

/// The state of a job, which nobody changes until the transaction ends; `None` when there is no such job. For writes that are only
/// right while the job is in a state.
pub async fn lock_state(tx: &mut Tx, job: JobId) -> Result<Option<JobState>, Error> {
    let statement = sql::pick(tx, sql::PG_LOCK_STATE, sql::LITE_LOCK_STATE);
    let state: Option<String> = on!(tx, connection => {
        sqlx::query_scalar(statement).bind(job.0).fetch_optional(connection).await
    })?;
    Ok(state.and_then(|state| JobState::parse(&state)))
}
