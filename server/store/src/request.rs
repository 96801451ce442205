//! Answers by idempotency key.

use std::collections::HashSet;

use tenor_domain::{Digest, RequestId, Timestamp};

use crate::row::{Place, execute, optional};
use crate::{Db, Error, Tx};

/// Keys that one transaction forgets: a few milliseconds of the one writer that SQLite has.
const PRUNE_BATCH: i64 = 1_000;

crate::statements! {
    /// A second transaction with the same key waits here until the first has committed or rolled back.
    Both CLAIM = "-- request.claim
INSERT INTO requests (principal, key, method, digest, resource, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (principal, key) DO NOTHING";
    /// Like CLAIM for many keys; the keys that were free come back.
    Pg CLAIM_MANY = "-- request.claim_many
INSERT INTO requests (principal, key, method, digest, resource, created_at)
SELECT t.principal, t.key, $5, t.digest, t.resource, $6
FROM UNNEST(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS TEXT[]), CAST($4 AS TEXT[])) AS t (principal, key, digest, resource)
ON CONFLICT (principal, key) DO NOTHING
RETURNING principal, key";
    Both FIND = "-- request.find
SELECT method, digest, resource FROM requests WHERE principal = $1 AND key = $2";
    Both PRUNE = "-- request.prune
DELETE FROM requests WHERE (principal, key) IN (
    SELECT principal, key FROM requests WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
}

/// What a key was used for.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    pub method: String,
    pub digest: Digest,
    pub resource: String,
}

/// Takes a key for this transaction, which is about to make `resource`. Returns what the key was used for before, if it was.
pub async fn claim(
    tx: &mut Tx,
    principal: &str,
    key: &RequestId,
    method: &str,
    digest: &Digest,
    resource: &str,
    now: Timestamp,
) -> Result<Option<Earlier>, Error> {
    if execute!(tx, CLAIM, principal, key.as_str(), method, digest.to_string(), resource, now.0)? == 1 {
        return Ok(None);
    }
    find(tx, principal, key).await
}

/// A key to take.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub principal: &'a str,
    pub key: &'a RequestId,
    pub digest: &'a Digest,
    pub resource: &'a str,
}

/// Like [`claim`] for many keys of one method, each a different one: in one statement on PostgreSQL, where a round trip
/// costs more than the insert. Returns what each was used for before, if it was.
pub async fn claim_many(
    tx: &mut Tx,
    method: &str,
    claims: &[Claim<'_>],
    now: Timestamp,
) -> Result<Vec<Option<Earlier>>, Error> {
    let mut outcomes = Vec::with_capacity(claims.len());
    let Tx::Pg(held) = tx else {
        for Claim { principal, key, digest, resource } in claims {
            outcomes.push(claim(tx, principal, key, method, digest, resource, now).await?);
        }
        return Ok(outcomes);
    };
    // In the order of the keys, so that two transactions cannot wait for each other in a circle.
    let mut sorted: Vec<&Claim<'_>> = claims.iter().collect();
    sorted.sort_unstable_by_key(|claim| (claim.principal, claim.key.as_str()));
    let free: HashSet<(String, String)> = sqlx::query_as(CLAIM_MANY)
        .bind(sorted.iter().map(|claim| claim.principal).collect::<Vec<_>>())
        .bind(sorted.iter().map(|claim| claim.key.as_str()).collect::<Vec<_>>())
        .bind(sorted.iter().map(|claim| claim.digest.to_string()).collect::<Vec<_>>())
        .bind(sorted.iter().map(|claim| claim.resource).collect::<Vec<_>>())
        .bind(method)
        .bind(now.0)
        .fetch_all(&mut **held)
        .await?
        .into_iter()
        .collect();
    for claim in claims {
        let taken = (claim.principal.to_owned(), claim.key.as_str().to_owned());
        outcomes.push(if free.contains(&taken) { None } else { find(tx, claim.principal, claim.key).await? });
    }
    Ok(outcomes)
}

/// What a key was used for.
pub async fn find(tx: &mut Tx, principal: &str, key: &RequestId) -> Result<Option<Earlier>, Error> {
    let Some((method, digest, resource)) = optional!(tx, (String, String, String), FIND, principal, key.as_str())?
    else {
        return Ok(None);
    };
    let digest = Place { table: "requests", id: key.as_str() }.digest("digest", &digest)?;
    Ok(Some(Earlier { method, digest, resource }))
}

/// Forgets keys that were used before `before`; how many. In many short transactions, between which others have their turn.
pub async fn prune(db: &Db, before: Timestamp) -> Result<u64, Error> {
    let mut pruned = 0;
    loop {
        let mut tx = db.begin_write().await?;
        let batch = prune_batch(&mut tx, before).await?;
        tx.commit().await?;
        pruned += batch;
        if batch < PRUNE_BATCH.unsigned_abs() {
            return Ok(pruned);
        }
    }
}

/// Forgets the oldest of those keys, at most [`PRUNE_BATCH`].
async fn prune_batch(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    Ok(execute!(tx, PRUNE, before.0, PRUNE_BATCH)?)
}
