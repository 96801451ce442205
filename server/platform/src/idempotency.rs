//! Creates that may be sent twice: the same key with the same request gives the first answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;
use tenor_domain::{Caller, Digest, Error, ErrorKind, RequestId, Timestamp};
use tenor_store::{Tx, request};

use crate::canonical::request_digest;

/// A create with its key, if it has one.
pub(crate) struct Request<'a> {
    key: Option<(&'a str, &'a RequestId, Digest)>,
    method: &'static str,
    /// What the client calls the key.
    field: &'static str,
}

impl<'a> Request<'a> {
    /// `request` is everything that the client asked for.
    pub fn new(
        caller: &'a Caller,
        id: Option<&'a RequestId>,
        method: &'static str,
        request: &impl Serialize,
    ) -> Result<Self, Error> {
        let key = match id {
            Some(id) => Some((caller.principal.as_str(), id, request_digest(method, request)?)),
            None => None,
        };
        Ok(Self { key, method, field: "request_id" })
    }

    /// The key has another name in this request.
    pub fn named(mut self, field: &'static str) -> Self {
        self.field = field;
        self
    }

    /// The id of what the first call made, if this is not the first.
    pub async fn earlier(&self, tx: &mut Tx) -> Result<Option<String>, Error> {
        let Some((principal, id, digest)) = &self.key else { return Ok(None) };
        request::find(tx, principal, id).await?.map(|earlier| self.same(earlier, digest)).transpose()
    }

    /// Notes that this call makes `resource`. When another call with the key came first, returns what that one made:
    /// the caller then rolls back. A roll-back also frees the key.
    pub async fn claim(&self, tx: &mut Tx, resource: &str, now: Timestamp) -> Result<Option<String>, Error> {
        let Some((principal, id, digest)) = &self.key else { return Ok(None) };
        request::claim(tx, principal, id, self.method, digest, resource, now)
            .await?
            .map(|earlier| self.same(earlier, digest))
            .transpose()
    }

    /// [`claim`](Self::claim) for many requests of one method, each with the resource that it makes. Of several with one
    /// key the first counts.
    pub async fn claim_many(
        tx: &mut Tx,
        method: &'static str,
        requests: &[(Self, &str)],
        now: Timestamp,
    ) -> Result<Vec<Result<Option<String>, Error>>, Error> {
        let mut first: HashMap<(&str, &str), usize> = HashMap::new();
        let mut claims = Vec::new();
        for (index, (request, resource)) in requests.iter().enumerate() {
            let Some((principal, key, digest)) = &request.key else { continue };
            if let Entry::Vacant(place) = first.entry((principal, key.as_str())) {
                place.insert(index);
                claims.push((index, request::Claim { principal, key, digest, resource }));
            }
        }
        let keys: Vec<request::Claim<'_>> = claims.iter().map(|(_, claim)| *claim).collect();
        let found = request::claim_many(tx, method, &keys, now).await?;
        let mut earlier: HashMap<usize, request::Earlier> =
            claims.iter().zip(found).filter_map(|((index, _), found)| Some((*index, found?))).collect();
        let mut outcomes = Vec::with_capacity(requests.len());
        for (index, (request, _)) in requests.iter().enumerate() {
            let Some((principal, key, digest)) = &request.key else {
                outcomes.push(Ok(None));
                continue;
            };
            let before = match first.get(&(*principal, key.as_str())) {
                // The same key again in this transaction: a repetition, or a mistake.
                Some(&owner) if owner != index => {
                    requests[owner].0.key.as_ref().map(|(_, _, digest)| request::Earlier {
                        method: method.to_owned(),
                        digest: *digest,
                        resource: requests[owner].1.to_owned(),
                    })
                }
                _ => earlier.remove(&index),
            };
            outcomes.push(before.map(|before| request.same(before, digest)).transpose());
        }
        Ok(outcomes)
    }

    fn same(&self, earlier: request::Earlier, digest: &Digest) -> Result<String, Error> {
        if earlier.method == self.method && earlier.digest == *digest {
            return Ok(earlier.resource);
        }
        let mut error = Error::invalid(
            self.field,
            "was used for another request; make a new UUID for each request, and repeat it only with the same one",
        );
        error.kind = ErrorKind::InvalidArgument;
        error.reason = "REQUEST_ID_REUSED";
        Err(error)
    }
}

/// What a first call made, and what has been deleted since.
pub(crate) fn deleted_since(noun: &str) -> Error {
    Error::not_found(format!("the {noun} that this request_id made has been deleted; use a new request_id"))
}
