//! Studies in memory: each with its trials, brought up to date by the revisions that changed since.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tenor_domain::{Error, Study, StudyId, Trial, TrialReport, TrialState};
use tenor_store::{Tx, study};
use tenor_tune::pareto::dominates;
use tenor_tune::{Direction, History, Report, Space};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::spec::StudySpec;

/// Studies that stay in memory; the longest unused goes first.
const MAX_STUDIES: usize = 32;

type Entry = Arc<AsyncMutex<Option<Arc<Loaded>>>>;

/// The studies that were used last.
#[derive(Default)]
pub(crate) struct StudyCache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// Counts the uses.
    clock: u64,
    /// With the last use of each.
    studies: HashMap<StudyId, (u64, Entry)>,
}

/// A study in memory, which nobody else changes until this is dropped. Whoever reads it takes an `Arc` and lets go: what is changed
/// meanwhile is a copy.
pub(crate) type LoadedGuard = OwnedMutexGuard<Option<Arc<Loaded>>>;

impl StudyCache {
    /// The study as it is in the database. Take the connection first, then the study: whoever holds it needs no other connection.
    pub async fn load(&self, tx: &mut Tx, study: &Study) -> Result<LoadedGuard, Error> {
        let mut guard = self.entry(&study.id).lock_owned().await;
        let known = match guard.take() {
            Some(known) => known,
            None => Arc::new(Loaded::new(study)?),
        };
        *guard = Some(known.refreshed(tx, &study.id).await?);
        Ok(guard)
    }

    fn entry(&self, id: &StudyId) -> Entry {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Entries { clock, studies } = &mut *cache;
        *clock += 1;
        if !studies.contains_key(id) && studies.len() >= MAX_STUDIES {
            let oldest = studies.iter().min_by_key(|(_, (used, _))| *used).map(|(id, _)| id.clone());
            oldest.map(|oldest| studies.remove(&oldest));
        }
        let (used, entry) = studies.entry(id.clone()).or_default();
        *used = *clock;
        Arc::clone(entry)
    }
}

/// A study with its trials.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub spec: Arc<StudySpec>,
    pub space: Space,
    directions: Vec<Direction>,
    /// By number, which is their place.
    pub trials: Vec<Trial>,
    /// Those that have begun, as the search knows them, by number.
    begun: Vec<tenor_tune::Trial>,
    /// Numbers of those that wait or run.
    live: BTreeSet<i64>,
    trials_revision: i64,
    reports_revision: i64,
}

impl Loaded {
    fn new(study: &Study) -> Result<Self, Error> {
        let broken = |error| Error::internal(format!("study {}: its specification cannot be read: {error}", study.id));
        let spec: StudySpec = serde_json::from_value(study.spec.clone()).map_err(broken)?;
        Ok(Self {
            space: Space::new(spec.space.clone())?,
            directions: spec.directions(),
            spec: Arc::new(spec),
            trials: Vec::new(),
            begun: Vec::new(),
            live: BTreeSet::new(),
            trials_revision: 0,
            reports_revision: 0,
        })
    }

    /// With what changed in the database since.
    async fn refreshed(mut self: Arc<Self>, tx: &mut Tx, id: &StudyId) -> Result<Arc<Self>, Error> {
        // Reports first: whatever comes between the two statements, the trial of each report is there then.
        let reports = study::reports_since(tx, id, self.reports_revision).await?;
        let trials = study::trials_since(tx, id, self.trials_revision).await?;
        if !(reports.is_empty() && trials.is_empty()) {
            let own = Arc::make_mut(&mut self);
            trials.into_iter().try_for_each(|trial| own.put(trial))?;
            for (number, revision, report) in reports {
                own.reports_revision = own.reports_revision.max(revision);
                own.put_report(number, report);
            }
        }
        Ok(self)
    }

    /// Adds a trial, or takes its new state; its reports stay.
    pub fn put(&mut self, trial: Trial) -> Result<(), Error> {
        self.trials_revision = self.trials_revision.max(trial.revision);
        if matches!(trial.state, TrialState::Waiting | TrialState::Running) {
            self.live.insert(trial.number);
        } else {
            self.live.remove(&trial.number);
        }
        if trial.state != TrialState::Waiting {
            let number = trial.number.unsigned_abs();
            let (state, values) = searched(&self.spec, &trial);
            match self.begun.binary_search_by_key(&number, |begun| begun.number) {
                Ok(at) => {
                    let begun = &mut self.begun[at];
                    (begun.state, begun.values, begun.violation) = (state, values, trial.violation);
                }
                Err(at) => {
                    let point = self.space.point(&trial.params)?;
                    let violation = trial.violation;
                    let begun = tenor_tune::Trial { number, state, point, values, violation, reports: Vec::new() };
                    self.begun.insert(at, begun);
                }
            }
        }
        let at = usize::try_from(trial.number).unwrap_or(usize::MAX);
        if at > self.trials.len() {
            return Err(Error::internal(format!("trial {} of study {} is missing", self.trials.len(), trial.study_id)));
        }
        let reports = self.trials.get_mut(at).map(|known| std::mem::take(&mut known.reports)).unwrap_or_default();
        let trial = Trial { reports, ..trial };
        match self.trials.get_mut(at) {
            Some(known) => *known = trial,
            None => self.trials.push(trial),
        }
        Ok(())
    }

    /// Adds a report, unless it is there.
    pub fn put_report(&mut self, number: i64, report: TrialReport) {
        let Some(trial) = usize::try_from(number).ok().and_then(|at| self.trials.get_mut(at)) else { return };
        if trial.reports.last().is_some_and(|last| last.step >= report.step) {
            return;
        }
        if let Ok(at) = self.begun.binary_search_by_key(&number.unsigned_abs(), |begun| begun.number) {
            self.begun[at].reports.push(Report { step: report.step.unsigned_abs(), values: report.values.clone() });
        }
        trial.reports.push(report);
    }

    /// Takes what was decided at a trial's last report.
    pub fn decided(&mut self, number: i64, report: &TrialReport) {
        let trial = usize::try_from(number).ok().and_then(|at| self.trials.get_mut(at));
        if let Some(last) = trial.and_then(|trial| trial.reports.last_mut()) {
            last.clone_from(report);
        }
    }

    pub fn history(&self) -> History<'_> {
        History { directions: &self.directions, trials: &self.begun }
    }

    /// A trial as the search knows it; `None` while it waits.
    pub fn begun(&self, number: i64) -> Option<&tenor_tune::Trial> {
        let at = self.begun.binary_search_by_key(&number.unsigned_abs(), |begun| begun.number).ok()?;
        Some(&self.begun[at])
    }

    pub fn trial(&self, number: i64) -> Option<&Trial> {
        self.trials.get(usize::try_from(number).ok()?)
    }

    /// Trials whose points come from there.
    pub fn of_origin(&self, origin: &str) -> u64 {
        self.trials.iter().filter(|trial| trial.origin == origin).count() as u64
    }

    /// The trials that wait or run, by number.
    pub fn live(&self) -> impl Iterator<Item = &Trial> {
        self.live.iter().filter_map(|number| self.trial(*number))
    }
}

fn searched(spec: &StudySpec, trial: &Trial) -> (tenor_tune::TrialState, Vec<f64>) {
    match trial.state {
        TrialState::Waiting | TrialState::Running => (tenor_tune::TrialState::Running, Vec::new()),
        TrialState::Pruned => (tenor_tune::TrialState::Pruned, Vec::new()),
        TrialState::Failed => (tenor_tune::TrialState::Failed, Vec::new()),
        TrialState::Complete => {
            let value = |metric: &String| trial.metrics.get(metric).copied().unwrap_or(f64::NAN);
            let values = spec.objectives.iter().map(|objective| value(&objective.metric)).collect();
            (tenor_tune::TrialState::Complete, values)
        }
    }
}

impl Loaded {
    /// Complete trials since the last that kept the constraints and was better than all before it; with several objectives: that none
    /// before dominated or equalled.
    pub fn since_improvement(&self) -> usize {
        let history = self.history();
        let complete = history.trials.iter().filter(|trial| trial.state == tenor_tune::TrialState::Complete);
        let mut ended: Vec<(i64, Option<Vec<f64>>)> = complete
            .filter_map(|begun| {
                let finish = self.trial(i64::try_from(begun.number).ok()?)?.finish_revision?;
                Some((finish, (begun.violation <= 0.0).then(|| history.losses(begun))))
            })
            .collect();
        ended.sort_by_key(|(finish, _)| *finish);
        let (mut best, mut since): (Vec<Vec<f64>>, usize) = (Vec::new(), 0);
        for (_, losses) in ended {
            let known = |losses: &[f64]| best.iter().any(|known| known.iter().zip(losses).all(|(a, b)| a <= b));
            match losses.filter(|losses| !known(losses)) {
                None => since += 1,
                Some(losses) => {
                    best.retain(|known| !dominates(&losses, known));
                    best.push(losses);
                    since = 0;
                }
            }
        }
        since
    }

    /// What the last of the failed trials failed of.
    pub fn last_error(&self) -> &str {
        self.trials.iter().rev().find_map(|trial| trial.error.as_deref()).unwrap_or_default()
    }

    /// Failed trials since the last that did not fail.
    pub fn failures_in_a_row(&self) -> usize {
        let mut ended: Vec<&Trial> = self.trials.iter().rev().filter(|trial| trial.state.is_final()).take(64).collect();
        ended.sort_by_key(|trial| std::cmp::Reverse(trial.finish_revision));
        ended.iter().take_while(|trial| trial.state == TrialState::Failed).count()
    }
}
