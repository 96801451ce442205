//! Experiments.

use serde::Serialize;
use tenor_domain::{Caller, Error, Etag, Experiment, ExperimentId, ExperimentName, Page, PageRequest, RequestId, Tags};
use tenor_store::experiment;

use crate::find::{self, check_etag, stale, texts};
use crate::idempotency::{Request, deleted_since};
use crate::page::Paging;
use crate::{Platform, check};

/// An experiment to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewExperiment {
    pub name: ExperimentName,
    pub description: String,
    pub tags: Tags,
}

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ExperimentPatch {
    pub description: Option<String>,
    /// Replaces all tags.
    pub tags: Option<Tags>,
}

/// The use cases of experiments.
#[derive(Clone, Copy)]
pub struct Experiments<'a>(pub(crate) &'a Platform);

impl Experiments<'_> {
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewExperiment,
        request_id: Option<RequestId>,
    ) -> Result<Experiment, Error> {
        check::description(&new.description)?;
        check::tags(&new.tags)?;
        let now = self.0.now();
        let id = ExperimentId::new();
        let request = Request::new(caller, request_id.as_ref(), "CreateExperiment", &new)?;
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.claim(&mut tx, id.as_str(), now).await? {
            return experiment::by_id(&mut tx, &earlier).await?.ok_or_else(|| deleted_since("experiment"));
        }
        if !experiment::insert(&mut tx, &id, &new.name, &new.description, &new.tags, now).await? {
            return Err(Error::already_exists(format!(
                "experiment `{}` exists already; choose another name",
                new.name
            )));
        }
        let created = experiment::by_id(&mut tx, id.as_str()).await?.ok_or_else(|| deleted_since("experiment"))?;
        tx.commit().await?;
        Ok(created)
    }

    /// By name or id.
    pub async fn get(&self, experiment: &str) -> Result<Experiment, Error> {
        find::experiment(&mut self.0.read().await?, experiment).await
    }

    /// Those of these experiments that exist, in any order.
    pub async fn by_ids(&self, ids: &[ExperimentId]) -> Result<Vec<Experiment>, Error> {
        Ok(experiment::by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// By name; only names that begin with `name_prefix`, if given.
    pub async fn list(&self, page: PageRequest, name_prefix: Option<&str>) -> Result<Page<Experiment>, Error> {
        let prefix = name_prefix.unwrap_or_default();
        check::label("name_prefix", prefix)?;
        let paging: Paging<String> = Paging::start("ListExperiments", &prefix, &page)?;
        let after = paging.after.as_deref().unwrap_or_default();
        let rows = experiment::list(&mut self.0.read().await?, prefix, after, paging.limit()).await?;
        paging.finish(rows, |experiment| experiment.name.as_str().to_owned())
    }

    pub async fn update(
        &self,
        experiment: &str,
        patch: ExperimentPatch,
        etag: Option<Etag>,
    ) -> Result<Experiment, Error> {
        patch.description.as_deref().map_or(Ok(()), check::description)?;
        patch.tags.as_ref().map_or(Ok(()), check::tags)?;
        let mut tx = self.0.write().await?;
        let found = find::experiment(&mut tx, experiment).await?;
        let (description, tags) = (patch.description.as_deref(), patch.tags.as_ref());
        let updated = experiment::update(&mut tx, &found.id, description, tags, etag, self.0.now()).await?;
        let updated = updated.ok_or_else(|| stale("experiment"))?;
        tx.commit().await?;
        Ok(updated)
    }

    /// Deletes an experiment without runs.
    pub async fn delete(&self, experiment: &str, etag: Option<Etag>) -> Result<(), Error> {
        let mut tx = self.0.write().await?;
        let found = find::experiment(&mut tx, experiment).await?;
        check_etag("experiment", etag, found.etag)?;
        let not_empty = || {
            Error::precondition(
                "EXPERIMENT_NOT_EMPTY",
                format!("experiment `{}` has runs; delete them first", found.name),
            )
        };
        if experiment::count_runs(&mut tx, &found.id).await? > 0 {
            return Err(not_empty());
        }
        match experiment::delete(&mut tx, &found.id, etag).await {
            Ok(true) => Ok(tx.commit().await?),
            Ok(false) => Err(stale("experiment")),
            Err(error) if error.is_foreign_key_violation() => Err(not_empty()),
            Err(error) => Err(error.into()),
        }
    }
}
