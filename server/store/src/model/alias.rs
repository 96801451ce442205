//! Aliases: what each means now, and every change.

use tenor_domain::{AliasEvent, AliasName, Etag, RegisteredModelId, Timestamp};

use crate::row::{all, execute, optional};
use crate::{Error, Tx};

macro_rules! event_columns {
    () => {
        "model_id, alias, etag, version, previous, actor, why, at"
    };
}

crate::statements! {
    Both ALIAS = "-- model.alias
SELECT version, etag, at FROM model_aliases WHERE model_id = $1 AND alias = $2";
    Both PUT_ALIAS = "-- model.put_alias
INSERT INTO model_aliases (model_id, alias, version, etag, at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (model_id, alias) DO UPDATE SET version = excluded.version, etag = excluded.etag, at = excluded.at";
    Both INSERT_EVENT = concat!("-- model.insert_event
INSERT INTO model_alias_events (", event_columns!(), ")
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    Both EVENT_AT = concat!("-- model.event_at
SELECT ", event_columns!(), "
FROM model_alias_events
WHERE model_id = $1 AND alias = $2 AND at <= $3
ORDER BY etag DESC
LIMIT 1");
    Both HISTORY = concat!("-- model.history
SELECT ", event_columns!(), "
FROM model_alias_events
WHERE model_id = $1 AND alias = $2 AND etag < $3
ORDER BY etag DESC
LIMIT $4");
}

#[derive(sqlx::FromRow)]
struct EventRow {
    model_id: String,
    alias: String,
    etag: i64,
    version: Option<i64>,
    previous: Option<i64>,
    actor: String,
    why: String,
    at: i64,
}

impl From<EventRow> for AliasEvent {
    fn from(row: EventRow) -> Self {
        Self {
            model_id: RegisteredModelId::trusted(row.model_id),
            alias: AliasName::trusted(row.alias),
            version: row.version,
            previous: row.previous,
            actor: row.actor,
            why: row.why,
            at: Timestamp(row.at),
            etag: Etag(row.etag),
        }
    }
}

/// What an alias means now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct AliasNow {
    /// `None`: removed.
    pub version: Option<i64>,
    pub etag: i64,
    pub at: i64,
}

/// What an alias means now; `None` when it was never set.
pub async fn alias(tx: &mut Tx, id: &RegisteredModelId, alias: &AliasName) -> Result<Option<AliasNow>, Error> {
    Ok(optional!(tx, AliasNow, ALIAS, id.as_str(), alias.as_str())?)
}

/// Makes `event` what its alias means and a line of the history. The caller holds the model's lock.
pub async fn put_alias(tx: &mut Tx, event: &AliasEvent) -> Result<(), Error> {
    let (id, alias) = (event.model_id.as_str(), event.alias.as_str());
    execute!(tx, PUT_ALIAS, id, alias, event.version, event.etag.0, event.at.0)?;
    execute!(
        tx,
        INSERT_EVENT,
        id,
        alias,
        event.etag.0,
        event.version,
        event.previous,
        &event.actor,
        &event.why,
        event.at.0,
    )?;
    Ok(())
}

/// The last change of an alias at or before `at`.
pub async fn event_at(
    tx: &mut Tx,
    id: &RegisteredModelId,
    alias: &AliasName,
    at: Timestamp,
) -> Result<Option<AliasEvent>, Error> {
    Ok(optional!(tx, EventRow, EVENT_AT, id.as_str(), alias.as_str(), at.0)?.map(AliasEvent::from))
}

/// Changes of an alias with an etag below `before`, newest first.
pub async fn history(
    tx: &mut Tx,
    id: &RegisteredModelId,
    alias: &AliasName,
    before: i64,
    limit: i64,
) -> Result<Vec<AliasEvent>, Error> {
    let rows = all!(tx, EventRow, HISTORY, id.as_str(), alias.as_str(), before, limit)?;
    Ok(rows.into_iter().map(AliasEvent::from).collect())
}
