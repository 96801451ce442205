//! Trials that jobs run.

use std::collections::BTreeMap;

use tenor_domain::{
    Caller, Error, ErrorKind, JobId, State, Study, StudyId, StudyState, Trial, TrialReport, TrialState,
};
use tenor_queue::Fence;
use tenor_store::Tx;

use super::ask::NewReport;
use super::locked::{Locked, TrialEnd};
use super::spec::StudySpec;
use super::{Studies, missing};

/// A trial that a job has begun, or goes on with after a worker was lost.
#[derive(Debug, Clone)]
pub struct BegunTrial {
    pub study: Study,
    pub spec: StudySpec,
    pub trial: Trial,
}

impl Studies<'_> {
    /// The trial that the job is to run; `None` when there is none: it ended before, or the study wants no more.
    pub async fn begin_trial(&self, caller: &Caller, fence: &Fence, id: &StudyId) -> Result<Option<BegunTrial>, Error> {
        let mut locked = Locked::begin(self.0, Some(fence), id).await?;
        if !locked.study.jobs.contains(&fence.job) {
            return Ok(None);
        }
        let own = locked.loaded()?.live().find(|trial| trial.job_id == Some(fence.job)).cloned();
        let begun = match own {
            Some(trial) => Some(trial),
            None if locked.may_begin()? => locked.next_trial(&client(fence.job), Some(fence.job)).await?,
            None => None,
        };
        let spec = (*locked.spec()?).clone();
        if begun.is_none() {
            locked.go_on(caller, Some(fence.job)).await?;
        }
        let study = locked.commit().await?;
        Ok(begun.map(|trial| BegunTrial { study, spec, trial }))
    }

    /// Adds a report of the job's trial; the answer says whether to end it.
    pub async fn report_trial(
        &self,
        fence: &Fence,
        id: &StudyId,
        number: i64,
        step: i64,
        metrics: BTreeMap<String, f64>,
    ) -> Result<TrialReport, Error> {
        let (mut locked, mut trial) = self.trial_of(fence, id, number).await?;
        let decided = locked.report(&mut trial, NewReport { step, metrics }).await?;
        locked.put(&mut trial).await?;
        locked.commit().await?;
        Ok(decided)
    }

    /// Ends the job's trial; another job goes on with the study.
    pub async fn end_trial(
        &self,
        caller: &Caller,
        fence: &Fence,
        id: &StudyId,
        number: i64,
        end: TrialEnd,
    ) -> Result<Study, Error> {
        let (mut locked, mut trial) = self.trial_of(fence, id, number).await?;
        locked.end(&mut trial, end).await?;
        locked.go_on(caller, Some(fence.job)).await?;
        locked.commit().await
    }

    async fn trial_of(&self, fence: &Fence, id: &StudyId, number: i64) -> Result<(Locked<'_>, Trial), Error> {
        let locked = Locked::begin(self.0, Some(fence), id).await?;
        let found = locked.loaded()?.trial(number).filter(|trial| trial.job_id == Some(fence.job)).cloned();
        let trial = found.filter(|trial| trial.state == TrialState::Running).ok_or_else(|| missing(id.as_str()))?;
        Ok((locked, trial))
    }

    /// The job ended without success, and its trial with it. One that failed before its trial began fails the study: so would the
    /// next. Commits.
    pub(crate) async fn job_ended(
        &self,
        tx: Tx,
        job: JobId,
        id: &StudyId,
        state: State,
        why: &str,
    ) -> Result<(), Error> {
        let mut locked = match Locked::lock(self.0, tx, id).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            locked => locked?,
        };
        if !locked.study.jobs.contains(&job) {
            return Ok(());
        }
        let own = locked.loaded()?.live().find(|trial| trial.job_id == Some(job)).cloned();
        match own {
            Some(mut trial) => locked.end(&mut trial, TrialEnd::Failed(why.to_owned())).await?,
            None if locked.loaded()?.trials.iter().any(|trial| trial.job_id == Some(job)) => {}
            None if state == State::Failed && !locked.study.state.is_final() => {
                locked.drop_waiting("the study failed before it began").await?;
                locked.finish(StudyState::Failed, Some(format!("job {job} failed before its trial began: {why}")));
            }
            None => {}
        }
        locked.go_on(&Caller::anonymous(), Some(job)).await?;
        locked.commit().await.map(drop)
    }
}

fn client(job: JobId) -> String {
    format!("job-{job}")
}
