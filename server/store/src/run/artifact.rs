//! Files that runs left behind: names for blobs.

use tenor_domain::{Artifact, RunId, Timestamp};

use crate::row::{Place, all, by_ids, execute, optional};
use crate::{Error, Tx};

macro_rules! columns {
    () => {
        "run_id, name, digest, size_bytes, media_type, created_at"
    };
}

crate::statements! {
    /// The same name again replaces what it meant, so that a job that is tried again can write its artifacts again.
    Both PUT = concat!("-- artifact.put
INSERT INTO artifacts (", columns!(), ")
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (run_id, name) DO UPDATE
SET digest = excluded.digest, size_bytes = excluded.size_bytes, media_type = excluded.media_type, created_at = excluded.created_at");
    Both ONE = concat!("-- artifact.one
SELECT ", columns!(), " FROM artifacts WHERE run_id = $1 AND name = $2");
    Both LIST = concat!("-- artifact.list
SELECT ", columns!(), " FROM artifacts WHERE run_id = $1 ORDER BY name");
    Pg PG_OF = concat!("-- artifact.of
SELECT ", columns!(), " FROM artifacts WHERE run_id = ANY($1) ORDER BY run_id, name");
    Lite LITE_OF = concat!("-- artifact.of
SELECT ", columns!(), " FROM artifacts WHERE run_id IN (SELECT value FROM json_each($1)) ORDER BY run_id, name");
}

#[derive(sqlx::FromRow)]
struct Row {
    run_id: String,
    name: String,
    digest: String,
    size_bytes: i64,
    media_type: String,
    created_at: i64,
}

impl TryFrom<Row> for Artifact {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            digest: Place { table: "artifacts", id: &row.name }.digest("digest", &row.digest)?,
            run_id: RunId::trusted(row.run_id),
            name: row.name,
            size_bytes: row.size_bytes,
            media_type: row.media_type,
            created_at: Timestamp(row.created_at),
        })
    }
}

/// Names a blob; a name that is there already means the new blob from now on.
///
/// # Errors
/// [`Error::ForeignKey`] when the run is gone.
pub async fn put_artifact(tx: &mut Tx, artifact: &Artifact) -> Result<(), Error> {
    execute!(
        tx,
        PUT,
        artifact.run_id.as_str(),
        &artifact.name,
        artifact.digest.to_string(),
        artifact.size_bytes,
        &artifact.media_type,
        artifact.created_at.0,
    )?;
    Ok(())
}

pub async fn artifact(tx: &mut Tx, run: &RunId, name: &str) -> Result<Option<Artifact>, Error> {
    optional!(tx, Row, ONE, run.as_str(), name)?.map(Artifact::try_from).transpose()
}

/// All artifacts of a run by name.
pub async fn artifacts(tx: &mut Tx, run: &RunId) -> Result<Vec<Artifact>, Error> {
    all!(tx, Row, LIST, run.as_str())?.into_iter().map(Artifact::try_from).collect()
}

/// All artifacts of these runs; those of one run stand together by name.
pub async fn artifacts_of(tx: &mut Tx, runs: &[&str]) -> Result<Vec<Artifact>, Error> {
    by_ids!(tx, Row, PG_OF, LITE_OF, runs).into_iter().map(Artifact::try_from).collect()
}
