//! Studies: searches for good hyper-parameters. Clients ask for points and tell what came of them, or jobs train on each.

mod ask;
mod cache;
mod choose;
mod create;
mod filter;
mod job;
mod locked;
mod read;
mod report;
mod spec;
mod watch;

use tenor_domain::{Error, Etag, Page, PageRequest, Study, StudyId, StudyState, Tags};
use tenor_store::study;

pub use ask::{NewReport, Suggested};
pub(crate) use cache::StudyCache;
pub use choose::Chosen;
pub use create::NewStudy;
pub use job::BegunTrial;
pub use locked::TrialEnd;
pub use read::{SearchTrials, StudyImportance};
pub use spec::{
    Budget, Constraint, KIND_PARAM, Objective, PolicySpec, PrunerSpec, STANDARD_ERROR, StudyOutcome, StudySpec,
    StudyTraining,
};
pub use watch::{StudyChange, StudyChanges};

use crate::find::{self, check_etag, texts};
use crate::page::Paging;
use crate::{Platform, check};
use locked::Locked;

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct StudyPatch {
    pub description: Option<String>,
    /// Replaces all tags.
    pub tags: Option<Tags>,
}

/// The use cases of studies.
#[derive(Clone, Copy)]
pub struct Studies<'a>(pub(crate) &'a Platform);

impl Studies<'_> {
    /// By name or id.
    pub async fn get(&self, study: &str) -> Result<Study, Error> {
        find::study(&mut self.0.read().await?, study).await
    }

    /// Those of these studies that exist, in any order.
    pub async fn by_ids(&self, ids: &[StudyId]) -> Result<Vec<Study>, Error> {
        Ok(study::by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// By name; only names that begin with `name_prefix`, if given.
    pub async fn list(&self, page: PageRequest, name_prefix: Option<&str>) -> Result<Page<Study>, Error> {
        let prefix = name_prefix.unwrap_or_default();
        check::label("name_prefix", prefix)?;
        let paging: Paging<String> = Paging::start("ListStudies", &prefix, &page)?;
        let after = paging.after.as_deref().unwrap_or_default();
        let rows = study::list(&mut self.0.read().await?, prefix, after, paging.limit()).await?;
        paging.finish(rows, |study| study.name.as_str().to_owned())
    }

    pub async fn update(&self, study: &str, patch: StudyPatch, etag: Option<Etag>) -> Result<Study, Error> {
        patch.description.as_deref().map_or(Ok(()), check::description)?;
        patch.tags.as_ref().map_or(Ok(()), check::tags)?;
        let mut locked = self.locked(study, etag).await?;
        locked.next_revision();
        locked.study.description = patch.description.unwrap_or(locked.study.description);
        locked.study.tags = patch.tags.unwrap_or(locked.study.tags);
        locked.study.etag.0 += 1;
        locked.commit().await
    }

    /// Deletes a study with its trials. Refused while jobs run some of them.
    pub async fn delete(&self, study: &str, etag: Option<Etag>) -> Result<(), Error> {
        let mut locked = self.locked(study, etag).await?;
        if !locked.study.jobs.is_empty() {
            let name = &locked.study.name;
            let text = format!("study `{name}` has jobs that run trials; stop it first");
            return Err(Error::precondition("STUDY_ACTIVE", text));
        }
        study::delete(&mut locked.tx, &locked.study.id).await?;
        Ok(locked.tx.commit().await?)
    }

    /// Lets no more trials begin; those that run may end.
    pub async fn pause(&self, study: &str) -> Result<Study, Error> {
        let mut locked = self.locked(study, None).await?;
        match locked.study.state {
            StudyState::Paused => return Ok(locked.study),
            StudyState::Active => {}
            state => return Err(find::illegal_transition("study", state, StudyState::Paused)),
        }
        locked.rest();
        locked.study.state = StudyState::Paused;
        locked.study.etag.0 += 1;
        locked.next_revision();
        locked.commit().await
    }

    /// Goes on with a paused study.
    pub async fn resume(&self, caller: &tenor_domain::Caller, study: &str) -> Result<Study, Error> {
        let mut locked = self.locked(study, None).await?;
        match locked.study.state {
            StudyState::Active => return Ok(locked.study),
            StudyState::Paused => {}
            state => return Err(find::illegal_transition("study", state, StudyState::Active)),
        }
        locked.study.state = StudyState::Active;
        locked.study.etag.0 += 1;
        locked.study.resumed_at = Some(locked.now);
        locked.next_revision();
        locked.fill(caller, None).await?;
        locked.complete_if_done(caller).await?;
        locked.commit().await
    }

    /// Ends a study: what was found stays, trials that wait are dropped, jobs that run trials are cancelled. Clients may still tell
    /// what came of theirs.
    pub async fn stop(&self, study: &str) -> Result<Study, Error> {
        let mut locked = self.locked(study, None).await?;
        match locked.study.state {
            // Again, in case that not all of its jobs were reached before.
            StudyState::Active | StudyState::Paused | StudyState::Stopped => {}
            state => return Err(find::illegal_transition("study", state, StudyState::Stopped)),
        }
        locked.drop_waiting("the study was stopped before it began").await?;
        if locked.study.state != StudyState::Stopped {
            locked.finish(StudyState::Stopped, None);
        }
        // The lock goes before jobs are cancelled.
        let stopped = locked.commit().await?;
        for job in stopped.jobs.iter().copied() {
            match self.0.queue.cancel(job).await {
                Ok(_) | Err(tenor_queue::Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(stopped)
    }

    /// A study by name or id under its lock.
    async fn locked(&self, study: &str, etag: Option<Etag>) -> Result<Locked<'_>, Error> {
        let found = find::study(&mut self.0.read().await?, study).await?;
        let locked = Locked::begin(self.0, None, &found.id).await?;
        check_etag("study", etag, locked.study.etag)?;
        Ok(locked)
    }
}

pub(crate) fn missing(study: &str) -> Error {
    Error::not_found(format!("study `{study}` does not exist; it may have been deleted"))
}
