//! What became of the jobs, told by their rows, their history and the rows that they wrote.

use serde_json::{Value, json};
use sqlx::Row as _;
use tenor_store::{Db, on};

use super::QUEUE;

const JOBS: &str = "
SELECT CAST(COUNT(*) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END), 0) AS BIGINT),
    CAST(COALESCE(SUM(CASE WHEN state = 'running' THEN 1 ELSE 0 END), 0) AS BIGINT),
    CAST(COALESCE(MAX(finished_at) - MIN(started_at), 0) AS BIGINT),
    CAST(COALESCE(SUM(CASE WHEN attempt > 1 THEN 1 ELSE 0 END), 0) AS BIGINT),
    CAST(COALESCE(MAX(CASE WHEN attempt > 1 THEN started_at END), 0) AS BIGINT)
FROM jobs WHERE queue = $1";

const COMPLETIONS: &str = "
SELECT CAST(COUNT(*) AS BIGINT), CAST(COUNT(DISTINCT job_id) AS BIGINT) FROM job_events
WHERE level = 'state' AND message = 'succeeded' AND job_id IN (SELECT id FROM jobs WHERE queue = $1)";

const EFFECTS: &str = "
SELECT CAST(COUNT(*) AS BIGINT), CAST(COUNT(DISTINCT job_id) AS BIGINT), CAST(COALESCE(MAX(fence), 0) AS BIGINT)
FROM bench_effects";

pub async fn count(db: &Db) -> anyhow::Result<Value> {
    let jobs = numbers(db, JOBS, true, 6).await?;
    let completions = numbers(db, COMPLETIONS, true, 2).await?;
    let effects = numbers(db, EFFECTS, false, 3).await?;
    Ok(json!({
        "jobs": jobs[0],
        "succeeded": jobs[1],
        "running": jobs[2],
        "span_s": jobs[3] as f64 / 1e3,
        "restarted": jobs[4],
        "last_restart_ms": jobs[5],
        "completions": completions[0],
        "distinct": completions[1],
        "effects": effects[0],
        "distinct_effects": effects[1],
        "highest_fence": effects[2],
    }))
}

/// The one row of a statement, all of whose columns are numbers.
async fn numbers(db: &Db, statement: &'static str, of_queue: bool, columns: usize) -> anyhow::Result<Vec<i64>> {
    let mut tx = db.begin_read().await?;
    Ok(on!(&mut tx, connection => {
        let query = sqlx::query(statement);
        let query = if of_queue { query.bind(QUEUE) } else { query };
        let row = query.fetch_one(connection).await?;
        (0..columns).map(|column| row.try_get(column)).collect::<Result<Vec<i64>, _>>()?
    }))
}
