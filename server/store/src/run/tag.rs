//! Tags of runs, one row each, because the search looks into them.

use tenor_domain::{RunId, Tags};

use crate::lite::insert_rows;
use crate::row::{all, execute};
use crate::{Error, Tx};

const HEAD: &str = "INSERT INTO run_tags (run_id, key, value) ";
const TAIL: &str = " ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value";

crate::statements! {
    Pg PUT = "-- tag.put
INSERT INTO run_tags (run_id, key, value)
SELECT $1, t.key, t.value
FROM UNNEST(CAST($2 AS TEXT[]), CAST($3 AS TEXT[])) AS t (key, value)
ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value";
    Both CLEAR = "-- tag.clear
DELETE FROM run_tags WHERE run_id = $1";
    Both LIST = "-- tag.list
SELECT key, value FROM run_tags WHERE run_id = $1";
}

/// Sets tags; others stay.
pub async fn put_tags(tx: &mut Tx, run: &RunId, tags: &Tags) -> Result<(), Error> {
    if tags.is_empty() {
        return Ok(());
    }
    match tx {
        Tx::Pg(held) => {
            let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
            let values: Vec<&str> = tags.values().map(String::as_str).collect();
            sqlx::query(PUT).bind(run.as_str()).bind(keys).bind(values).execute(&mut **held).await?;
        }
        Tx::Lite(held) => {
            let rows: Vec<_> = tags.iter().collect();
            insert_rows(held, HEAD, TAIL, &rows, |row, (key, value)| {
                row.push_bind(run.as_str().to_owned()).push_bind((*key).clone()).push_bind((*value).clone());
            })
            .await?;
        }
    }
    Ok(())
}

/// Makes `tags` the only ones.
pub async fn replace_tags(tx: &mut Tx, run: &RunId, tags: &Tags) -> Result<(), Error> {
    execute!(tx, CLEAR, run.as_str())?;
    put_tags(tx, run, tags).await
}

pub async fn tags(tx: &mut Tx, run: &RunId) -> Result<Tags, Error> {
    Ok(all!(tx, (String, String), LIST, run.as_str())?.into_iter().collect())
}
