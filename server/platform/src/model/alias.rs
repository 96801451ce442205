//! Aliases: what a name means now, and meant at any time before.

use tenor_domain::{AliasEvent, AliasName, Caller, Error, Etag, Page, PageRequest, RegisteredModel, Timestamp};
use tenor_store::{Tx, deployment, model};

use super::contract::check_replacement;
use super::{Models, version_by_number};
use crate::check::{self, MAX_NOTE_CHARS};
use crate::find;
use crate::page::Paging;

/// What an etag of 0 expects: an alias that was never set.
const NEVER_SET: i64 = 0;

/// Where an alias is to point.
#[derive(Debug, Clone, Copy)]
pub struct AliasMove<'a> {
    pub version: i64,
    /// Expects that the alias was not changed since; 0 expects one that was never set.
    pub etag: Option<Etag>,
    /// The reason, for the history.
    pub why: &'a str,
    /// Move it even when a deployment follows the alias and the version's contract breaks the one it serves.
    pub allow_breaking_contract: bool,
}

impl AliasMove<'_> {
    /// To `version`, whatever the alias means now, unless a contract breaks.
    pub fn to(version: i64) -> Self {
        Self { version, etag: None, why: "", allow_breaking_contract: false }
    }
}

impl Models<'_> {
    /// Points an alias at a version. With an `etag` it is a compare-and-set: of several callers that read the same etag
    /// one wins, the others get a conflict. An alias that means the version already stays as it is.
    ///
    /// # Errors
    /// `CONTRACT_BREAKING` when a deployment follows the alias and rows that it accepts now might be refused, or mean
    /// something else, with the new version.
    pub async fn set_alias(
        &self,
        caller: &Caller,
        model: &str,
        alias: &AliasName,
        to: AliasMove<'_>,
    ) -> Result<AliasEvent, Error> {
        self.change_alias(caller, model, alias, Some(to), (to.etag, to.why)).await
    }

    /// Removes an alias; its history stays.
    pub async fn delete_alias(
        &self,
        caller: &Caller,
        model: &str,
        alias: &AliasName,
        etag: Option<Etag>,
        why: &str,
    ) -> Result<AliasEvent, Error> {
        self.change_alias(caller, model, alias, None, (etag, why)).await
    }

    async fn change_alias(
        &self,
        caller: &Caller,
        model: &str,
        alias: &AliasName,
        to: Option<AliasMove<'_>>,
        (etag, why): (Option<Etag>, &str),
    ) -> Result<AliasEvent, Error> {
        check::text("why", why, MAX_NOTE_CHARS)?;
        let mut tx = self.0.write().await?;
        let found = find::model(&mut tx, model).await?;
        model::lock(&mut tx, &found.id).await?;
        let event = self.move_alias(&mut tx, caller, found, alias, to, (etag, why)).await?;
        tx.commit().await?;
        self.0.deployments_changed.send_replace(());
        Ok(event)
    }

    /// The move itself, in a transaction that holds the model's lock.
    pub(crate) async fn move_alias(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        found: RegisteredModel,
        alias: &AliasName,
        to: Option<AliasMove<'_>>,
        (etag, why): (Option<Etag>, &str),
    ) -> Result<AliasEvent, Error> {
        let new = match to {
            Some(to) => Some(version_by_number(tx, &found, to.version).await?),
            None => None,
        };
        let now = model::alias(tx, &found.id, alias).await?;
        let current_etag = now.map_or(NEVER_SET, |now| now.etag);
        if let Some(expected) = etag
            && expected.0 != current_etag
        {
            return Err(Error::conflict(
                "STALE_ETAG",
                format!("alias `{alias}` of model `{}` was changed in between; read it again", found.name),
            ));
        }
        let previous = now.and_then(|now| now.version);
        let version = new.as_ref().map(|new| new.number);
        if version.is_none() && previous.is_none() {
            return Err(missing(found.name.as_str(), alias));
        }
        if version == previous {
            // Nothing changes, so the last line of the history is the answer.
            return last(tx, &found, alias, Timestamp(i64::MAX)).await;
        }
        if let (Some(new), Some(served)) = (&new, previous)
            && !to.is_some_and(|to| to.allow_breaking_contract)
        {
            // Under the model's lock: a deployment that begins to follow the alias meanwhile waits for it.
            let followers = deployment::followers(tx, &found.id, alias).await?;
            check_replacement(tx, &found, served, new, &followers).await?;
        }
        let event = AliasEvent {
            model_id: found.id,
            alias: alias.clone(),
            version,
            previous,
            actor: caller.principal.clone(),
            why: why.to_owned(),
            // A clock that was set back must not reorder the history.
            at: Timestamp(self.0.now().0.max(now.map_or(i64::MIN, |now| now.at))),
            etag: Etag(current_etag + 1),
        };
        model::put_alias(tx, &event).await?;
        Ok(event)
    }

    /// What an alias means, or meant at `as_of`: its last change until then.
    pub async fn get_alias(
        &self,
        model: &str,
        alias: &AliasName,
        as_of: Option<Timestamp>,
    ) -> Result<AliasEvent, Error> {
        let mut tx = self.0.read().await?;
        let found = find::model(&mut tx, model).await?;
        last(&mut tx, &found, alias, as_of.unwrap_or(Timestamp(i64::MAX))).await
    }

    /// Changes of an alias, newest first.
    pub async fn alias_history(
        &self,
        model: &str,
        alias: &AliasName,
        page: PageRequest,
    ) -> Result<Page<AliasEvent>, Error> {
        let mut tx = self.0.read().await?;
        let found = find::model(&mut tx, model).await?;
        let paging: Paging<i64> = Paging::start("ListAliasHistory", &(&found.id, alias), &page)?;
        let before = paging.after.unwrap_or(i64::MAX);
        let rows = model::history(&mut tx, &found.id, alias, before, paging.limit()).await?;
        paging.finish(rows, |event| event.etag.0)
    }
}

async fn last(
    tx: &mut Tx,
    found: &tenor_domain::RegisteredModel,
    alias: &AliasName,
    at: Timestamp,
) -> Result<AliasEvent, Error> {
    model::event_at(tx, &found.id, alias, at).await?.ok_or_else(|| missing(found.name.as_str(), alias))
}

fn missing(model: &str, alias: &AliasName) -> Error {
    Error::not_found(format!("model `{model}` had no alias `{alias}` then; set it to a version first"))
}
