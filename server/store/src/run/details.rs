//! Parameters, tags and last metrics of many runs, in one statement whatever their number.

use tenor_domain::Run;

use super::param;
use crate::row::by_ids;
use crate::{Error, Tx};

crate::statements! {
    Pg PG_EXISTING = "-- run.existing
SELECT id FROM runs WHERE id = ANY($1) FOR KEY SHARE";
    Lite LITE_EXISTING = "-- run.existing
SELECT id FROM runs WHERE id IN (SELECT value FROM json_each($1))";
    /// By place in the list. A look into an index for each run, whatever PostgreSQL believes about the sizes of the tables when it
    /// makes the plan that it then keeps: `OFFSET 0` leaves it no other way.
    Pg PG_DETAILS = "-- run.details
SELECT 1 AS part, ids.place, d.key, d.kind, d.value, CAST(NULL AS DOUBLE PRECISION) AS number
FROM UNNEST(CAST($1 AS TEXT[])) WITH ORDINALITY AS ids (id, place)
CROSS JOIN LATERAL (SELECT key, kind, value FROM run_params WHERE run_id = ids.id COLLATE \"C\" OFFSET 0) d
UNION ALL SELECT 2, ids.place, d.key, '', d.value, NULL
FROM UNNEST(CAST($1 AS TEXT[])) WITH ORDINALITY AS ids (id, place)
CROSS JOIN LATERAL (SELECT key, value FROM run_tags WHERE run_id = ids.id COLLATE \"C\" OFFSET 0) d
UNION ALL SELECT 3, ids.place, d.key, '', '', d.value
FROM UNNEST(CAST($1 AS TEXT[])) WITH ORDINALITY AS ids (id, place)
CROSS JOIN LATERAL (SELECT key, value FROM run_series WHERE run_id = ids.id COLLATE \"C\" OFFSET 0) d";
    Lite LITE_DETAILS = "-- run.details
SELECT 1 AS part, ids.key + 1 AS place, d.key, d.kind, d.value, NULL AS number
FROM json_each($1) ids JOIN run_params d ON d.run_id = ids.value
UNION ALL SELECT 2, ids.key + 1, d.key, '', d.value, NULL FROM json_each($1) ids JOIN run_tags d ON d.run_id = ids.value
UNION ALL SELECT 3, ids.key + 1, d.key, '', '', d.value FROM json_each($1) ids JOIN run_series d ON d.run_id = ids.value";
}

/// Which of these runs exist. On PostgreSQL they cannot be deleted until the transaction ends.
pub(super) async fn existing(tx: &mut Tx, ids: &[&str]) -> Result<Vec<String>, Error> {
    let rows = by_ids!(tx, (String,), PG_EXISTING, LITE_EXISTING, ids);
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// A parameter (1), a tag (2) or a last metric (3) of the run at a place, from 1: key, kind, value and number.
type Detail = (i32, i64, String, String, String, Option<f64>);

/// Fills `params`, `tags` and `metrics`.
pub(super) async fn fill(tx: &mut Tx, runs: &mut [Run]) -> Result<(), Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = runs.iter().map(|run| run.id.as_str().to_owned()).collect();
    let rows = by_ids!(tx, Detail, PG_DETAILS, LITE_DETAILS, &ids);
    for (part, place, key, kind, value, number) in rows {
        let Some(run) = usize::try_from(place - 1).ok().and_then(|place| runs.get_mut(place)) else { continue };
        match part {
            1 => drop(run.params.insert(key, param::decode(run.id.as_str(), &kind, value)?)),
            2 => drop(run.tags.insert(key, value)),
            _ => drop(run.metrics.insert(key, number.unwrap_or(f64::NAN))),
        }
    }
    Ok(())
}
