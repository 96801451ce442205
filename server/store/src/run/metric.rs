//! Metrics: a series for each key of a run, with its last point for searches, and its points in chunks.
//!
//! The chunks of a series never overlap. Points behind the last one, which is the usual case, become chunks of their own; those
//! that come late are merged with the chunks that they touch, one after another. The upsert of the series' row holds off other
//! writers of the series until the end of the transaction.

use std::collections::BTreeMap;

use tenor_domain::{Metric, RunId, Timestamp};

use super::chunk::{self, MAX_POINTS, Point};
use crate::row::{all, optional};
use crate::{Error, Tx};

crate::statements! {
    /// `prior`: the last step before this write, NULL for a new series.
    Pg PG_SERIES = "-- metric.series
INSERT INTO run_series (run_id, key, step, value)
SELECT t.run_id, t.key, t.step, t.value
FROM UNNEST(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]), CAST($4 AS DOUBLE PRECISION[]))
    AS t (run_id, key, step, value)
ON CONFLICT (run_id, key) DO UPDATE
SET prior = run_series.step, step = GREATEST(run_series.step, excluded.step),
    value = CASE WHEN excluded.step >= run_series.step THEN excluded.value ELSE run_series.value END
RETURNING id, run_id, key, prior";
    Lite LITE_SERIES = "-- metric.series
INSERT INTO run_series (run_id, key, step, value)
VALUES ($1, $2, $3, $4)
ON CONFLICT (run_id, key) DO UPDATE
SET prior = run_series.step, step = MAX(run_series.step, excluded.step),
    value = CASE WHEN excluded.step >= run_series.step THEN excluded.value ELSE run_series.value END
RETURNING id, run_id, key, prior";
    Pg PG_CHUNKS = "-- metric.chunks
INSERT INTO run_chunks (series_id, last_step, points)
SELECT * FROM UNNEST(CAST($1 AS BIGINT[]), CAST($2 AS BIGINT[]), CAST($3 AS BYTEA[]))";
    Lite LITE_CHUNK = "-- metric.chunk
INSERT INTO run_chunks (series_id, last_step, points) VALUES ($1, $2, $3)";
    /// Takes out the chunk that a step lies in, or the next one.
    Both TAKE = "-- metric.take
DELETE FROM run_chunks
WHERE series_id = $1 AND last_step = (
    SELECT last_step FROM run_chunks WHERE series_id = $1 AND last_step >= $2 ORDER BY last_step LIMIT 1)
RETURNING last_step, points";
    /// `$3` NULL: from the beginning. Not a number below the lowest step, because there is none.
    Both HISTORY = "-- metric.history
SELECT c.last_step, c.points
FROM run_series s JOIN run_chunks c ON c.series_id = s.id
WHERE s.run_id = $1 AND s.key = $2 AND (CAST($3 AS BIGINT) IS NULL OR c.last_step > $3)
ORDER BY c.last_step
LIMIT $4";
}

/// A point of a run.
#[derive(Debug, Clone, Copy)]
pub struct MetricPoint<'a> {
    pub run: &'a RunId,
    pub metric: &'a Metric,
}

/// The points of a series that are written, by step: of several with one step the last counts.
type Points = BTreeMap<i64, (f64, Timestamp)>;

/// A series as the upsert of its row found it.
#[derive(sqlx::FromRow)]
struct Series {
    id: i64,
    run_id: String,
    key: String,
    prior: Option<i64>,
}

/// Non-overlapping points of a series as a row.
struct Chunk {
    series: i64,
    last_step: i64,
    points: Vec<u8>,
}

/// Writes points, of several runs if need be. Of points with the same run, key and step the last one stays.
///
/// # Errors
/// [`Error::ForeignKey`] when a run is gone.
pub async fn write_metrics(tx: &mut Tx, points: &[MetricPoint<'_>]) -> Result<(), Error> {
    // The order of the map is also the order in which series are locked: two transactions that take them in the same order
    // cannot wait for each other in a circle.
    let mut by_series: BTreeMap<(&str, &str), Points> = BTreeMap::new();
    for MetricPoint { run, metric } in points {
        let series = by_series.entry((run.as_str(), metric.key.as_str())).or_default();
        series.insert(metric.step, (metric.value, metric.at));
    }
    if by_series.is_empty() {
        return Ok(());
    }
    let mut chunks = Vec::new();
    for series in upsert(tx, &by_series).await? {
        let Some(points) = by_series.get(&(series.run_id.as_str(), series.key.as_str())) else { continue };
        let is_late = |step: i64| series.prior.is_some_and(|prior| step <= prior);
        let late: Points =
            points.iter().take_while(|(step, _)| is_late(**step)).map(|(&step, &at)| (step, at)).collect();
        chunks.extend(cut(series.id, points.iter().skip(late.len())));
        merge(tx, &series, late, &mut chunks).await?;
    }
    insert(tx, &chunks).await
}

/// Makes or moves on the row of each series.
async fn upsert(tx: &mut Tx, by_series: &BTreeMap<(&str, &str), Points>) -> Result<Vec<Series>, Error> {
    let last = by_series.iter().filter_map(|((run, key), points)| {
        let (step, (value, _)) = points.last_key_value()?;
        // NULL stands for NaN: it is in no comparison.
        Some((*run, *key, *step, Some(*value).filter(|value| !value.is_nan())))
    });
    match tx {
        Tx::Pg(held) => {
            let (mut runs, mut keys, mut steps, mut values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for (run, key, step, value) in last {
                runs.push(run);
                keys.push(key);
                steps.push(step);
                values.push(value);
            }
            let query = sqlx::query_as(PG_SERIES).bind(runs).bind(keys).bind(steps).bind(values);
            Ok(query.fetch_all(&mut **held).await?)
        }
        Tx::Lite(held) => {
            let mut rows = Vec::with_capacity(by_series.len());
            for (run, key, step, value) in last {
                let query = sqlx::query_as(LITE_SERIES).bind(run).bind(key).bind(step).bind(value);
                rows.push(query.fetch_one(&mut **held).await?);
            }
            Ok(rows)
        }
    }
}

/// Takes out each chunk that late points touch, and adds what takes its place to `chunks`. In memory is one chunk at a time.
async fn merge(tx: &mut Tx, series: &Series, mut late: Points, chunks: &mut Vec<Chunk>) -> Result<(), Error> {
    while let Some((&first, _)) = late.first_key_value() {
        let Some((last_step, bytes)) = optional!(tx, (i64, Vec<u8>), TAKE, series.id, first)? else {
            chunks.extend(cut(series.id, late.iter()));
            return Ok(());
        };
        let later = last_step.checked_add(1).map_or_else(Points::new, |next| late.split_off(&next));
        let stored = decode(&series.run_id, &series.key, last_step, &bytes)?;
        let mut merged: Points = stored.into_iter().map(|point| (point.step, (point.value, point.at))).collect();
        merged.append(&mut late);
        chunks.extend(cut(series.id, merged.iter()));
        late = later;
    }
    Ok(())
}

/// Cuts points into chunks.
fn cut<'a>(series: i64, points: impl Iterator<Item = (&'a i64, &'a (f64, Timestamp))>) -> Vec<Chunk> {
    let points: Vec<Point> = points.map(|(&step, &(value, at))| Point { step, value, at }).collect();
    let chunk = |points: &[Point]| {
        let last_step = points.last()?.step;
        Some(Chunk { series, last_step, points: chunk::encode(points) })
    };
    points.chunks(MAX_POINTS).filter_map(chunk).collect()
}

async fn insert(tx: &mut Tx, chunks: &[Chunk]) -> Result<(), Error> {
    match tx {
        Tx::Pg(held) => {
            sqlx::query(PG_CHUNKS)
                .bind(chunks.iter().map(|chunk| chunk.series).collect::<Vec<_>>())
                .bind(chunks.iter().map(|chunk| chunk.last_step).collect::<Vec<_>>())
                .bind(chunks.iter().map(|chunk| chunk.points.as_slice()).collect::<Vec<_>>())
                .execute(&mut **held)
                .await?;
        }
        Tx::Lite(held) => {
            for chunk in chunks {
                sqlx::query(LITE_CHUNK)
                    .bind(chunk.series)
                    .bind(chunk.last_step)
                    .bind(chunk.points.as_slice())
                    .execute(&mut **held)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Points of one series in step order, after step `after`.
pub async fn history(
    tx: &mut Tx,
    run: &RunId,
    key: &str,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<Metric>, Error> {
    let wanted = usize::try_from(limit).unwrap_or(0);
    let (mut metrics, mut read_to, mut rows) = (Vec::new(), after, 4);
    while metrics.len() < wanted {
        // A chunk has one point at least that was not read.
        let most = rows.min(wanted - metrics.len());
        let chunks = all!(tx, (i64, Vec<u8>), HISTORY, run.as_str(), key, read_to, most as i64)?;
        let ended = chunks.len() < most;
        for (last_step, bytes) in chunks {
            // Late points may have merged chunks since the statement before: what was read is left out.
            let points = decode(run.as_str(), key, last_step, &bytes)?.into_iter();
            let points = points.filter(|point| read_to.is_none_or(|read_to| point.step > read_to));
            metrics.extend(points.map(|point| Metric {
                key: key.to_owned(),
                value: point.value,
                step: point.step,
                at: point.at,
            }));
            read_to = Some(last_step);
            if metrics.len() >= wanted {
                break;
            }
        }
        if ended {
            break;
        }
        // A series that was logged point by point has a chunk for each.
        rows = (rows * 4).min(1_024);
    }
    metrics.truncate(wanted);
    Ok(metrics)
}

fn decode(run: &str, key: &str, last_step: i64, bytes: &[u8]) -> Result<Vec<Point>, Error> {
    chunk::decode(bytes).ok_or_else(|| Error::Corrupt {
        table: "run_chunks",
        column: "points",
        id: format!("{run} {key} {last_step}"),
        detail: "is not a chunk of points".to_owned(),
    })
}
