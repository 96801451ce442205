//! A study that nobody else changes, and what every change of it has in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tenor_domain::{
    Caller, Error, JobId, Metric, ParamValue, Study, StudyId, StudyState, Timestamp, Trial, TrialReport, TrialState,
};
use tenor_queue::Fence;
use tenor_store::{Tx, study};
use tenor_tune::SamplerKind;

use super::ask::NewReport;
use super::cache::{Loaded, LoadedGuard};
use super::missing;
use super::spec::{STANDARD_ERROR, StudySpec};
use crate::job::{RUN_TRIAL, enqueue};
use crate::{Platform, check};

/// So many failed trials in a row end a study: what fails them all does not pass by itself.
const MAX_FAILURES: usize = 10;
/// Most metrics of a trial.
const MAX_METRICS: usize = 10_000;
/// Most reports of a trial.
const MAX_REPORTS: usize = 10_000;

/// How a trial ends.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialEnd {
    /// At least the objectives and what is constrained; finite numbers.
    Complete(BTreeMap<String, f64>),
    /// With what was measured so far.
    Pruned(BTreeMap<String, f64>),
    Failed(String),
}

/// A study under its lock. What was written is undone unless [`commit`](Self::commit) is called.
pub(super) struct Locked<'a> {
    pub platform: &'a Platform,
    pub tx: Tx,
    pub study: Study,
    memory: Memory,
    pub now: Timestamp,
    /// Whether jobs were enqueued.
    wake: bool,
    /// Whether the sampler has no more points.
    pub exhausted: bool,
}

/// The study in memory. Dropped while it is ahead of the database, it is forgotten.
struct Memory {
    guard: LoadedGuard,
    ahead: bool,
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.ahead {
            *self.guard = None;
        }
    }
}

fn forgotten() -> Error {
    Error::internal("a study under its lock is not in memory")
}

/// Runs `work`, which may take a while, where it holds up nobody.
pub(super) async fn on_thread<T: Send + 'static>(
    loaded: Arc<Loaded>,
    work: impl FnOnce(&Loaded) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(move || work(&loaded)).await;
    done.map_err(|_| Error::internal("what was computed of a study panicked"))?
}

impl<'a> Locked<'a> {
    /// Under the fence of a job, if one writes.
    pub async fn begin(platform: &'a Platform, fence: Option<&Fence>, id: &StudyId) -> Result<Self, Error> {
        let mut tx = platform.write().await?;
        if let Some(fence) = fence {
            tenor_queue::check_fence(&mut tx, fence).await?;
        }
        Self::lock(platform, tx, id).await
    }

    pub async fn lock(platform: &'a Platform, mut tx: Tx, id: &StudyId) -> Result<Self, Error> {
        let study = study::lock(&mut tx, id).await?.ok_or_else(|| missing(id.as_str()))?;
        let guard = platform.studies.load(&mut tx, &study).await?;
        Ok(Self {
            platform,
            tx,
            study,
            memory: Memory { guard, ahead: false },
            now: platform.now(),
            wake: false,
            exhausted: false,
        })
    }

    pub async fn commit(mut self) -> Result<Study, Error> {
        self.study.updated_at = self.now;
        study::save(&mut self.tx, &self.study).await?;
        self.tx.commit().await?;
        self.memory.ahead = false;
        if self.wake {
            self.platform.queue.wake();
        }
        self.platform.studies_changed.send_replace(());
        Ok(self.study)
    }

    pub fn loaded(&self) -> Result<&Loaded, Error> {
        self.memory.guard.as_deref().ok_or_else(forgotten)
    }

    /// To be changed as the database is.
    fn loaded_mut(&mut self) -> Result<&mut Loaded, Error> {
        self.memory.ahead = true;
        self.memory.guard.as_mut().map(Arc::make_mut).ok_or_else(forgotten)
    }

    pub fn spec(&self) -> Result<Arc<StudySpec>, Error> {
        Ok(Arc::clone(&self.loaded()?.spec))
    }

    /// Computes on a thread where that may take a while.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Loaded) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        on_thread(self.memory.guard.clone().ok_or_else(forgotten)?, work).await
    }

    /// The revision of a change that is being made.
    pub fn next_revision(&mut self) -> i64 {
        self.study.revision += 1;
        self.study.revision
    }

    /// Adds trials that wait.
    pub async fn add_waiting(
        &mut self,
        points: Vec<BTreeMap<String, ParamValue>>,
        origin: &str,
    ) -> Result<Vec<Trial>, Error> {
        let mut trials = Vec::with_capacity(points.len());
        for params in points {
            let mut trial = self.new_trial(params, origin);
            trial.revision = self.next_revision();
            trials.push(trial);
        }
        study::insert_trials(&mut self.tx, &trials).await?;
        for trial in &trials {
            self.remember(trial)?;
        }
        Ok(trials)
    }

    fn new_trial(&mut self, params: BTreeMap<String, ParamValue>, origin: &str) -> Trial {
        let number = self.study.trial_count;
        self.study.trial_count += 1;
        Trial {
            study_id: self.study.id.clone(),
            number,
            state: TrialState::Waiting,
            params,
            metrics: BTreeMap::new(),
            violation: 0.0,
            origin: origin.to_owned(),
            client_id: String::new(),
            job_id: None,
            lease_until: None,
            error: None,
            created_at: self.now,
            started_at: None,
            finished_at: None,
            revision: 0,
            start_revision: None,
            finish_revision: None,
            reports: Vec::new(),
        }
    }

    fn remember(&mut self, trial: &Trial) -> Result<(), Error> {
        self.loaded_mut()?.put(trial.clone())
    }

    /// Writes a trial that was changed.
    pub async fn put(&mut self, trial: &mut Trial) -> Result<(), Error> {
        trial.revision = self.next_revision();
        study::update_trial(&mut self.tx, trial).await?;
        self.remember(trial)
    }

    /// The next trial for `client`: one that waits, or a new one of the sampler. `None` when the budget is spent.
    pub async fn next_trial(&mut self, client: &str, job: Option<JobId>) -> Result<Option<Trial>, Error> {
        let waiting = self.loaded()?.live().find(|trial| trial.state == TrialState::Waiting).cloned();
        let spec = self.spec()?;
        let (mut trial, new) = match waiting {
            Some(trial) => (trial, false),
            None if self.study.trial_count >= i64::from(spec.budget.max_trials) => return Ok(None),
            None => {
                let (number, sampler) = (self.study.trial_count.unsigned_abs(), spec.sampler);
                let number =
                    if sampler == SamplerKind::Grid { self.loaded()?.of_origin(sampler.as_str()) } else { number };
                let (seed, objectives) = (spec.seed, spec.objectives.len());
                let suggested = self.compute(move |loaded| {
                    let sampler = sampler.sampler(&loaded.space, objectives);
                    let point = sampler.suggest(&loaded.space, loaded.history(), seed, number)?;
                    Ok(loaded.space.assignment(&point))
                });
                let params = match suggested.await {
                    Err(error) if error.reason == "SPACE_EXHAUSTED" => {
                        self.exhausted = true;
                        return Ok(None);
                    }
                    suggested => suggested?,
                };
                (self.new_trial(params, sampler.as_str()), true)
            }
        };
        trial.state = TrialState::Running;
        trial.started_at = Some(self.now);
        trial.job_id = job;
        trial.revision = self.next_revision();
        trial.start_revision = Some(trial.revision);
        self.lease(&mut trial, client, &spec);
        if new {
            study::insert_trials(&mut self.tx, std::slice::from_ref(&trial)).await?;
        } else {
            study::update_trial(&mut self.tx, &trial).await?;
        }
        self.remember(&trial)?;
        Ok(Some(trial))
    }

    /// Gives a trial to a client from now on.
    pub fn lease(&self, trial: &mut Trial, client: &str, spec: &StudySpec) {
        client.clone_into(&mut trial.client_id);
        let lease = i64::from(spec.lease_seconds) * 1_000;
        trial.lease_until = trial.job_id.is_none().then(|| Timestamp(self.now.0 + lease));
    }

    /// Adds a report of a running trial with what is decided. A report that is there already stays, and so does its decision: whoever takes a
    /// trial over begins it anew, and what it measures may differ.
    pub async fn report(&mut self, trial: &mut Trial, report: NewReport) -> Result<TrialReport, Error> {
        let NewReport { step, metrics } = report;
        if !(0..=1 << 53).contains(&step) {
            return Err(Error::invalid("step", format!("must be 0 to 2^53, got {step}")));
        }
        let spec = self.spec()?;
        let values = spec.reported(&metrics)?;
        if let Some(known) = trial.reports.iter().find(|report| report.step == step) {
            let mut known = known.clone();
            if known.values != values {
                known.reason.push_str("; reported before, with other values, which stay");
            }
            return Ok(known);
        }
        if let Some(last) = trial.reports.last().filter(|last| last.step > step) {
            return Err(Error::invalid("step", format!("must be above {}, the last that was reported", last.step)));
        }
        if trial.reports.len() >= MAX_REPORTS {
            return Err(Error::invalid("step", format!("must be of a trial with less than {MAX_REPORTS} reports")));
        }
        let mut report = TrialReport { step, values, prune: false, reason: String::new(), at: self.now };
        let number = trial.number;
        self.loaded_mut()?.put_report(number, report.clone());
        let decision = self.compute(move |loaded| {
            let directions: Vec<_> = spec.prune_metrics().iter().map(|metric| metric.direction).collect();
            let own = loaded.begun(number).ok_or_else(forgotten)?;
            Ok(spec.pruner.pruner().decide(loaded.history(), &directions, own))
        });
        let decision = decision.await?;
        (report.prune, report.reason) = (decision.prune, decision.reason);
        self.loaded_mut()?.decided(number, &report);
        let revision = self.next_revision();
        study::insert_report(&mut self.tx, &self.study.id, number, &report, revision).await?;
        trial.reports.push(report.clone());
        Ok(report)
    }

    /// Ends a running trial.
    pub async fn end(&mut self, trial: &mut Trial, end: TrialEnd) -> Result<(), Error> {
        let spec = self.spec()?;
        match end {
            TrialEnd::Complete(metrics) => {
                check_metrics(&metrics)?;
                let mut errors =
                    spec.objectives.iter().map(|objective| format!("{}{STANDARD_ERROR}", objective.metric));
                if let Some(negative) = errors.find(|key| metrics.get(key).is_some_and(|error| *error < 0.0)) {
                    let text = "must be 0 or more: it is the standard error of an objective";
                    return Err(Error::invalid(format!("metrics.{negative}"), text));
                }
                if let Some(lacking) = spec.metrics().into_iter().find(|name| !metrics.contains_key(*name)) {
                    let text = "is missing: a complete trial has every objective and everything that is constrained; a trial \
                                without them has failed";
                    return Err(Error::invalid(format!("metrics.{lacking}"), text));
                }
                trial.violation = spec.violation(&metrics);
                (trial.state, trial.metrics) = (TrialState::Complete, metrics);
            }
            TrialEnd::Pruned(metrics) => {
                check_metrics(&metrics)?;
                (trial.state, trial.metrics) = (TrialState::Pruned, metrics);
            }
            TrialEnd::Failed(why) => {
                trial.state = TrialState::Failed;
                trial.error = Some(check::failure(&why));
            }
        }
        trial.finished_at = Some(self.now);
        trial.lease_until = None;
        trial.finish_revision = Some(self.study.revision + 1);
        self.put(trial).await
    }

    /// Whether more trials may begin.
    pub fn may_begin(&self) -> Result<bool, Error> {
        let loaded = self.loaded()?;
        let waits = loaded.live().any(|trial| trial.state == TrialState::Waiting);
        let Some(budget) = self.open_budget()? else { return Ok(false) };
        Ok(waits || self.study.trial_count < budget && !self.exhausted)
    }

    /// The number of trials in all, if time and patience are left and the study is active.
    fn open_budget(&self) -> Result<Option<i64>, Error> {
        let loaded = self.loaded()?;
        let budget = &loaded.spec.budget;
        let spent = self.study.spent_ms + self.study.resumed_at.map_or(0, |since| self.now.0 - since.0);
        let over = budget.max_seconds.is_some_and(|most| spent >= i64::from(most) * 1_000)
            || budget.patience.is_some_and(|most| loaded.since_improvement() >= most as usize);
        Ok((self.study.state == StudyState::Active && !over).then_some(i64::from(budget.max_trials)))
    }

    /// Enqueues one job that runs a trial, `after` another if given.
    pub async fn enqueue(&mut self, caller: &Caller, after: Option<JobId>) -> Result<(), Error> {
        let payload = json!({ "study_id": self.study.id });
        let job = enqueue(self.platform, &mut self.tx, caller, RUN_TRIAL, payload, after).await?;
        self.study.jobs.push(job);
        self.wake_queue();
        Ok(())
    }

    /// Has as many jobs run trials as the study wants, `after` another job if given.
    pub async fn fill(&mut self, caller: &Caller, after: Option<JobId>) -> Result<(), Error> {
        let Some(parallel) = self.spec()?.training.as_ref().map(|training| training.parallel as usize) else {
            return Ok(());
        };
        let Some(budget) = self.open_budget()? else { return Ok(()) };
        let waiting = self.loaded()?.live().filter(|trial| trial.state == TrialState::Waiting).count();
        let new = if self.exhausted { 0 } else { usize::try_from(budget - self.study.trial_count).unwrap_or(0) };
        // Some jobs have not begun yet, and will take trials that are left.
        let begun = self.loaded()?.live().filter(|trial| trial.job_id.is_some()).count();
        let left = (new + waiting).saturating_sub(self.study.jobs.len().saturating_sub(begun));
        for _ in 0..parallel.saturating_sub(self.study.jobs.len()).min(left) {
            self.enqueue(caller, after).await?;
        }
        Ok(())
    }

    /// After a trial has ended, or a job had none to run: has another job go on, or ends the study when nothing is left to do.
    /// `own` is the job that the trial was run by.
    pub async fn go_on(&mut self, caller: &Caller, own: Option<JobId>) -> Result<(), Error> {
        self.study.jobs.retain(|job| Some(*job) != own);
        if self.study.state == StudyState::Active && self.loaded()?.failures_in_a_row() >= MAX_FAILURES {
            let last = self.loaded()?.last_error().to_owned();
            self.drop_waiting("the study failed before it began").await?;
            self.finish(StudyState::Failed, Some(format!("{MAX_FAILURES} trials failed in a row, the last: {last}")));
        }
        self.fill(caller, None).await?;
        self.complete_if_done(caller).await
    }

    /// Completes an active study that has nothing left to do.
    pub async fn complete_if_done(&mut self, caller: &Caller) -> Result<(), Error> {
        let running = self.loaded()?.live().any(|trial| trial.state == TrialState::Running);
        if self.study.state != StudyState::Active || running || !self.study.jobs.is_empty() || self.may_begin()? {
            return Ok(());
        }
        self.drop_waiting("the study's time or patience was over before it began").await?;
        let loaded = self.loaded()?;
        if !loaded.trials.is_empty() && loaded.trials.iter().all(|trial| trial.state == TrialState::Failed) {
            let text = format!("all {} trials failed, the last: {}", loaded.trials.len(), loaded.last_error());
            self.finish(StudyState::Failed, Some(text));
            return Ok(());
        }
        self.finish(StudyState::Completed, None);
        let outcome = self.conclude(caller).await?;
        self.study.outcome = Some(serde_json::to_value(&outcome).map_err(Error::internal)?);
        Ok(())
    }

    /// Ends the trials that wait.
    pub async fn drop_waiting(&mut self, why: &str) -> Result<(), Error> {
        let waiting: Vec<Trial> =
            self.loaded()?.live().filter(|trial| trial.state == TrialState::Waiting).cloned().collect();
        for mut trial in waiting {
            self.end(&mut trial, TrialEnd::Failed(why.to_owned())).await?;
        }
        Ok(())
    }

    /// Tells workers after the commit that there is something to do.
    pub fn wake_queue(&mut self) {
        self.wake = true;
    }

    /// Ends the study.
    pub fn finish(&mut self, state: StudyState, error: Option<String>) {
        self.rest();
        self.study.etag.0 += 1;
        self.next_revision();
        self.study.state = state;
        self.study.error = error.map(|error| check::failure(&error));
        self.study.finished_at = Some(self.now);
    }

    /// Stops its clock.
    pub fn rest(&mut self) {
        if let Some(since) = self.study.resumed_at.take() {
            self.study.spent_ms += (self.now.0 - since.0).max(0);
        }
    }
}

fn check_metrics(metrics: &BTreeMap<String, f64>) -> Result<(), Error> {
    if metrics.len() > MAX_METRICS {
        return Err(Error::invalid("metrics", format!("must be at most {MAX_METRICS}, got {}", metrics.len())));
    }
    for (key, value) in metrics {
        Metric::check_key("metrics", key)?;
        if !value.is_finite() {
            let text = format!("must be finite, got {value}; a trial without a result has failed");
            return Err(Error::invalid(format!("metrics.{key}"), text));
        }
    }
    Ok(())
}
