//! Renewing leases: all of a worker in one statement.

use std::time::{Duration, Instant};

use sqlx::Row as _;
use tenor_domain::JobId;
use tenor_store::{Db, on};
use tokio_util::sync::CancellationToken;

use crate::options::ms;
use crate::row::json;
use crate::running::Running;
use crate::{Error, Fence, Queue, sql};

impl Queue {
    /// Renews the leases that still hold, and tells of each whether somebody asked for the job to stop.
    pub(crate) async fn beat(&self, fences: &[Fence]) -> Result<Vec<(Fence, bool)>, Error> {
        let lease_ms = ms(self.options().lease());
        let list = json(&fences);
        // One statement is a transaction by itself.
        if let Db::Pg(pool) = self.db() {
            let rows = sqlx::query(sql::PG_BEAT).bind(list).bind(lease_ms).fetch_all(pool).await?;
            return rows
                .iter()
                .map(|row| Ok((Fence { job: JobId(row.try_get(0)?), token: row.try_get(1)? }, row.try_get(2)?)))
                .collect();
        }
        let mut tx = self.db().begin_write().await?;
        let renewed = on!(&mut tx, connection => {
            let rows = sqlx::query(sql::LITE_BEAT).bind(list).bind(lease_ms).fetch_all(connection).await?;
            rows.iter()
                .map(|row| Ok((Fence { job: JobId(row.try_get(0)?), token: row.try_get(1)? }, row.try_get(2)?)))
                .collect::<Result<Vec<_>, sqlx::Error>>()?
        });
        tx.commit().await?;
        Ok(renewed)
    }
}

/// Keeps the leases of `running` until `stop`. A lease that the database does not renew, or that could not be renewed
/// before it ran out by this machine's clock, stops its job.
pub(crate) async fn keep(queue: &Queue, running: &Running, stop: &CancellationToken) {
    let (lease, every) = (queue.options().lease(), queue.options().heartbeat());
    let mut next = every;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(next) => {}
        }
        next = every;
        // After a pause of the whole process the leases may be long gone; ask before deciding.
        let fences = running.fences();
        if !fences.is_empty() {
            let sent = Instant::now();
            // A database that does not answer must not keep this loop from noticing that time is up.
            match tokio::time::timeout((lease / 2).max(Duration::from_millis(20)), queue.beat(&fences)).await {
                Ok(Ok(renewed)) => report(queue, &running.renewed(&fences, &renewed, sent + lease)),
                Ok(Err(error)) => {
                    tracing::warn!(error = %error, "leases could not be renewed; trying again");
                    queue.metrics().heartbeat_failed();
                    next = every / 4;
                }
                Err(_) => {
                    tracing::warn!("leases could not be renewed in time; trying again");
                    queue.metrics().heartbeat_failed();
                    next = Duration::from_millis(1);
                }
            }
        }
        report(queue, &running.expire(Instant::now()));
    }
}

fn report(queue: &Queue, lost: &[Fence]) {
    for fence in lost {
        tracing::warn!(job.id = fence.job.0, fence = fence.token, "the lease of a running job was lost; it is stopped");
        queue.metrics().lease_lost();
    }
}
