//! Taking ready jobs: one statement, by the clock of the database, without waiting for other workers.

use sqlx::Row as _;
use tenor_store::{Db, on};

use crate::options::ms;
use crate::row::{JobRow, json};
use crate::{Error, Queue, sql};

/// Who claims what.
#[derive(Debug, Clone)]
pub(crate) struct Claim<'a> {
    pub queue: &'a str,
    /// JSON list of the kinds that this worker knows. Others stay, for a worker of another version.
    pub kinds: &'a str,
    pub worker: &'a str,
    pub limit: usize,
}

impl Queue {
    /// Leases up to `limit` ready jobs, best first: higher priority, then earlier `run_at`, then lower id.
    pub(crate) async fn claim(&self, claim: &Claim<'_>) -> Result<Vec<JobRow>, Error> {
        let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
        let lease_ms = ms(self.options().lease());
        if let Db::Pg(pool) = self.db() {
            return Ok(sqlx::query_as(sql::PG_CLAIM)
                .bind(claim.kinds)
                .bind(claim.queue)
                .bind(limit)
                .bind(claim.worker)
                .bind(lease_ms)
                .fetch_all(pool)
                .await?);
        }
        if !self.any_ready(claim).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.db().begin_write().await?;
        let mut rows: Vec<JobRow> = on!(&mut tx, connection => {
            sqlx::query_as(sql::LITE_CLAIM)
                .bind(claim.kinds)
                .bind(claim.queue)
                .bind(limit)
                .bind(claim.worker)
                .bind(lease_ms)
                .fetch_all(connection)
                .await
        })?;
        if !rows.is_empty() {
            let ids = json(&rows.iter().map(|row| row.id).collect::<Vec<_>>());
            on!(&mut tx, connection => {
                sqlx::query(sql::LITE_NOTE_CLAIMED).bind(ids).execute(connection).await.map(|_| ())
            })?;
        }
        tx.commit().await?;
        rows.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.run_at, row.id));
        Ok(rows)
    }

    async fn any_ready(&self, claim: &Claim<'_>) -> Result<bool, Error> {
        let mut tx = self.db().begin_read().await?;
        let any: bool = on!(&mut tx, connection => {
            sqlx::query(sql::LITE_ANY_READY)
                .bind(claim.kinds)
                .bind(claim.queue)
                .bind(1_i64)
                .fetch_one(connection)
                .await?
                .try_get(0)?
        });
        Ok(any)
    }
}
