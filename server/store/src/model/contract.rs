//! The feature contract of a version: that of the split which its run was trained on.

use serde_json::Value;
use tenor_domain::{RegisteredModelId, SplitOutcome};

use crate::row::{Place, optional};
use crate::{Error, Tx};

crate::statements! {
    /// A run keeps its split, and a version its run, so the row is there as long as the version is.
    Both CONTRACT = "-- model.contract
SELECT s.id, s.outcome
FROM model_versions v
JOIN runs r ON r.id = v.run_id
JOIN splits s ON s.id = r.split_id
WHERE v.model_id = $1 AND v.number = $2 AND s.outcome IS NOT NULL";
}

/// The contract of version `number`; `None` when its run was trained on no split.
pub async fn contract(tx: &mut Tx, model: &RegisteredModelId, number: i64) -> Result<Option<Value>, Error> {
    let Some((id, outcome)) = optional!(tx, (String, String), CONTRACT, model.as_str(), number)? else {
        return Ok(None);
    };
    let outcome: SplitOutcome = Place { table: "splits", id: &id }.json("outcome", &outcome)?;
    Ok(Some(outcome.contract))
}
