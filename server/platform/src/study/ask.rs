//! Ask and tell: a client is given a point, reports how it goes, and tells what came of it.

use std::collections::BTreeMap;

use tenor_domain::{Caller, Error, ParamValue, Study, StudyState, Trial, TrialReport, TrialState};

use super::Studies;
use super::locked::{Locked, TrialEnd};
use crate::check;

/// Most points that are enqueued at once.
pub(super) const MAX_ENQUEUED: usize = 1_000;

/// A trial for a client to run.
#[derive(Debug, Clone)]
pub struct Suggested {
    pub trial: Trial,
    /// Whether the client, or another whose lease has run out, had it before.
    pub again: bool,
}

/// What a trial looks like at a step.
#[derive(Debug, Clone)]
pub struct NewReport {
    pub step: i64,
    /// Every metric that trials are pruned by, and no other; finite.
    pub metrics: BTreeMap<String, f64>,
}

impl Studies<'_> {
    /// A trial for `client_id` to run: the one that it has already; else one whose client has been silent for too long; else one
    /// that waits; else a new one.
    ///
    /// # Errors
    /// `STUDY_NOT_ACTIVE`, `STUDY_HAS_JOBS`, or `BUDGET_SPENT` when no more trials may begin.
    pub async fn suggest(&self, caller: &Caller, study: &str, client_id: &str) -> Result<Suggested, Error> {
        check_client(client_id)?;
        let mut locked = self.locked(study, None).await?;
        let spec = locked.spec()?;
        check_asked(&locked)?;
        check_active(&locked.study)?;
        let now = locked.now;
        let running = || locked.loaded().map(|it| it.live().filter(|trial| trial.state == TrialState::Running));
        let own = running()?.find(|trial| trial.client_id == client_id);
        let silent = |trial: &&Trial| trial.lease_until.is_some_and(|until| until < now);
        let again = own.or(running()?.find(silent)).cloned();
        if let Some(mut trial) = again {
            locked.lease(&mut trial, client_id, &spec);
            locked.put(&mut trial).await?;
            locked.commit().await?;
            return Ok(Suggested { trial, again: true });
        }
        let trial = if locked.may_begin()? { locked.next_trial(client_id, None).await? } else { None };
        let name = locked.study.name.clone();
        match trial {
            Some(trial) => {
                locked.commit().await?;
                Ok(Suggested { trial, again: false })
            }
            None => {
                let exhausted = locked.exhausted;
                locked.complete_if_done(caller).await?;
                locked.commit().await?;
                Err(match exhausted {
                    true => {
                        Error::precondition("SPACE_EXHAUSTED", format!("every point of study `{name}` was suggested"))
                    }
                    false => {
                        let text = format!("no more trials of study `{name}` may begin: its budget is spent");
                        Error::precondition("BUDGET_SPENT", text)
                    }
                })
            }
        }
    }

    /// Says that the client still runs its trial.
    pub async fn heartbeat(&self, study: &str, number: i64, client_id: &str) -> Result<Trial, Error> {
        let (mut locked, mut trial) = self.running(study, number, client_id).await?;
        let spec = locked.spec()?;
        locked.lease(&mut trial, client_id, &spec);
        locked.put(&mut trial).await?;
        locked.commit().await?;
        Ok(trial)
    }

    /// Adds a report of a running trial; the answer says whether to end it. A step that was reported before keeps its values and
    /// its decision.
    pub async fn report(
        &self,
        study: &str,
        number: i64,
        client_id: &str,
        report: NewReport,
    ) -> Result<TrialReport, Error> {
        let (mut locked, mut trial) = self.running(study, number, client_id).await?;
        let spec = locked.spec()?;
        let decided = locked.report(&mut trial, report).await?;
        locked.lease(&mut trial, client_id, &spec);
        locked.put(&mut trial).await?;
        locked.commit().await?;
        Ok(decided)
    }

    /// The decision of the last report; `None` when there is none.
    pub async fn should_prune(&self, study: &str, number: i64) -> Result<Option<TrialReport>, Error> {
        Ok(self.trial(study, number).await?.reports.last().cloned())
    }

    /// Ends a running trial. The same end again changes nothing.
    pub async fn tell(
        &self,
        caller: &Caller,
        study: &str,
        number: i64,
        client_id: &str,
        end: TrialEnd,
    ) -> Result<Trial, Error> {
        check_client(client_id)?;
        let found = self.trial(study, number).await?;
        if found.state.is_final() && found.client_id == client_id && is_same(&found, &end) {
            return Ok(found);
        }
        let (mut locked, mut trial) = self.running(study, number, client_id).await?;
        locked.end(&mut trial, end).await?;
        locked.go_on(caller, None).await?;
        locked.commit().await?;
        Ok(trial)
    }

    /// Adds points to be tried before any that a sampler chooses. They count towards the budget.
    pub async fn enqueue(
        &self,
        caller: &Caller,
        study: &str,
        points: Vec<BTreeMap<String, ParamValue>>,
    ) -> Result<Vec<Trial>, Error> {
        if points.is_empty() || points.len() > MAX_ENQUEUED {
            let text = format!("must be 1 to {MAX_ENQUEUED}, got {}", points.len());
            return Err(Error::invalid("points", text));
        }
        let mut locked = self.locked(study, None).await?;
        if locked.study.state != StudyState::Paused {
            check_active(&locked.study)?;
        }
        let loaded = locked.loaded()?;
        for (at, point) in points.iter().enumerate() {
            loaded.space.point(point).map_err(|error| within(error, &format!("points[{at}]")))?;
        }
        let left = i64::from(loaded.spec.budget.max_trials) - locked.study.trial_count;
        if i64::try_from(points.len()).unwrap_or(i64::MAX) > left {
            let text = format!("{} points are more than the {left} trials that the budget leaves", points.len());
            return Err(Error::precondition("BUDGET_SPENT", text));
        }
        let trials = locked.add_waiting(points, "enqueued").await?;
        locked.fill(caller, None).await?;
        locked.commit().await?;
        Ok(trials)
    }

    /// A running trial of the client under the study's lock.
    async fn running(&self, study: &str, number: i64, client_id: &str) -> Result<(Locked<'_>, Trial), Error> {
        check_client(client_id)?;
        let locked = self.locked(study, None).await?;
        check_asked(&locked)?;
        let trial = locked.loaded()?.trial(number).cloned().ok_or_else(|| no_trial(&locked.study, number))?;
        if trial.state != TrialState::Running {
            let text = format!("trial {number} is {}; only a running one can be told of", trial.state);
            return Err(Error::precondition("TRIAL_NOT_RUNNING", text));
        }
        if trial.client_id != client_id {
            let text = format!(
                "trial {number} belongs to client `{}`: it was taken over, or never given to you; ask for another",
                trial.client_id
            );
            return Err(Error::precondition("TRIAL_TAKEN", text));
        }
        Ok((locked, trial))
    }

    /// One trial.
    pub async fn trial(&self, study: &str, number: i64) -> Result<Trial, Error> {
        let (found, loaded) = self.load(study).await?;
        loaded.trial(number).cloned().ok_or_else(|| no_trial(&found, number))
    }
}

fn is_same(trial: &Trial, end: &TrialEnd) -> bool {
    match end {
        TrialEnd::Complete(metrics) => trial.state == TrialState::Complete && trial.metrics == *metrics,
        TrialEnd::Pruned(metrics) => trial.state == TrialState::Pruned && trial.metrics == *metrics,
        TrialEnd::Failed(_) => trial.state == TrialState::Failed,
    }
}

fn check_client(client_id: &str) -> Result<(), Error> {
    if client_id.is_empty() {
        let text = "must name the client, e.g. its host and process: a client that comes back gets its own trial again";
        return Err(Error::invalid("client_id", text));
    }
    check::label("client_id", client_id)
}

/// Only studies without trainings have clients.
fn check_asked(locked: &Locked<'_>) -> Result<(), Error> {
    if locked.spec()?.training.is_none() {
        return Ok(());
    }
    let text = format!("study `{}` runs its trials by jobs; watch it instead", locked.study.name);
    Err(Error::precondition("STUDY_HAS_JOBS", text))
}

fn check_active(study: &Study) -> Result<(), Error> {
    let text = match study.state {
        StudyState::Active => return Ok(()),
        StudyState::Paused => format!("study `{}` is paused; resume it first", study.name),
        state => format!("study `{}` is {state}: no more trials begin", study.name),
    };
    Err(Error::precondition("STUDY_NOT_ACTIVE", text))
}

fn no_trial(study: &Study, number: i64) -> Error {
    let count = study.trial_count;
    Error::not_found(format!("study `{}` has no trial {number}; it has {count}, counted from 0", study.name))
}

/// The same error about a field within another.
pub(super) fn within(mut error: Error, outer: &str) -> Error {
    for violation in &mut error.violations {
        violation.field = format!("{outer}.{}", violation.field);
    }
    if let Some(first) = error.violations.first() {
        error.message = format!("`{}` {}", first.field, first.description);
    }
    error
}
