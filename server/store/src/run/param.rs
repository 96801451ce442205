//! Typed parameters. `value` holds the exact value as text, `number` the same for comparisons.

use std::collections::BTreeMap;

use tenor_domain::{ParamValue, RunId};

use crate::lite::insert_rows;
use crate::row::{Place, all};
use crate::{Error, Tx};

const HEAD: &str = "INSERT INTO run_params (run_id, key, kind, value, number) ";
const TAIL: &str = " ON CONFLICT (run_id, key) DO NOTHING";

crate::statements! {
    Pg INSERT = "-- param.insert
INSERT INTO run_params (run_id, key, kind, value, number)
SELECT $1, t.key, t.kind, t.value, t.number
FROM UNNEST(CAST($2 AS TEXT[]), CAST($3 AS TEXT[]), CAST($4 AS TEXT[]), CAST($5 AS DOUBLE PRECISION[])) AS t (key, kind, value, number)
ON CONFLICT (run_id, key) DO NOTHING";
    Both LIST = "-- param.list
SELECT key, kind, value FROM run_params WHERE run_id = $1";
}

/// The columns `kind`, `value` and `number` of a value.
fn encode(value: &ParamValue) -> (&'static str, String, Option<f64>) {
    match value {
        ParamValue::Bool(value) => ("bool", value.to_string(), None),
        // Beyond 2^53 neighbours compare as equal; `value` keeps them apart.
        ParamValue::Int(number) => ("int", number.to_string(), Some(*number as f64)),
        // NULL for NaN, on both databases: SQLite has no other way.
        ParamValue::Float(number) => ("float", number.to_string(), Some(*number).filter(|number| !number.is_nan())),
        ParamValue::Text(value) => ("text", value.clone(), None),
    }
}

/// The value of the columns `kind` and `value`.
pub(super) fn decode(run: &str, kind: &str, value: String) -> Result<ParamValue, Error> {
    let place = Place { table: "run_params", id: run };
    Ok(match kind {
        "bool" => ParamValue::Bool(place.parsed("value", &value, value.parse().ok())?),
        "int" => ParamValue::Int(place.parsed("value", &value, value.parse().ok())?),
        "float" => ParamValue::Float(place.parsed("value", &value, value.parse().ok())?),
        "text" => ParamValue::Text(value),
        other => return Err(Error::corrupt("run_params", "kind", run, format_args!("unknown kind `{other}`"))),
    })
}

/// Inserts parameters; those that are there already stay as they are.
pub async fn insert_params(tx: &mut Tx, run: &RunId, params: &BTreeMap<String, ParamValue>) -> Result<(), Error> {
    if params.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = params.iter().map(|(key, value)| (key, encode(value))).collect();
    match tx {
        Tx::Pg(held) => {
            let keys: Vec<&str> = rows.iter().map(|(key, _)| key.as_str()).collect();
            let kinds: Vec<&str> = rows.iter().map(|(_, (kind, ..))| *kind).collect();
            let values: Vec<&str> = rows.iter().map(|(_, (_, value, _))| value.as_str()).collect();
            let numbers: Vec<Option<f64>> = rows.iter().map(|(_, (.., number))| *number).collect();
            sqlx::query(INSERT)
                .bind(run.as_str())
                .bind(keys)
                .bind(kinds)
                .bind(values)
                .bind(numbers)
                .execute(&mut **held)
                .await?;
        }
        Tx::Lite(held) => {
            insert_rows(held, HEAD, TAIL, &rows, |row, (key, (kind, value, number))| {
                row.push_bind(run.as_str().to_owned())
                    .push_bind((*key).clone())
                    .push_bind(*kind)
                    .push_bind(value.clone())
                    .push_bind(*number);
            })
            .await?;
        }
    }
    Ok(())
}

/// All parameters of a run.
pub async fn params(tx: &mut Tx, run: &RunId) -> Result<BTreeMap<String, ParamValue>, Error> {
    all!(tx, (String, String, String), LIST, run.as_str())?
        .into_iter()
        .map(|(key, kind, value)| Ok((key, decode(run.as_str(), &kind, value)?)))
        .collect()
}
