//! New studies.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tenor_domain::{
    Caller, Error, ErrorKind, Etag, ParamValue, RequestId, Study, StudyId, StudyName, StudyState, Tags, Trial,
    TrialState,
};
use tenor_store::study;
use tenor_tune::history::random_of;
use tenor_tune::{Assignment, History, Space};

use super::Studies;
use super::ask::{MAX_ENQUEUED, within};
use super::locked::Locked;
use super::spec::{StudySpec, StudyTraining};
use crate::check;
use crate::idempotency::{Request, deleted_since};
use crate::split;

/// Most points of a space that are checked beforehand, besides those that are known and `SAMPLED` others.
const MAX_CHECKED: usize = 5_000;
const SAMPLED: u64 = 20;
/// Trials that are taken over from each earlier study.
const WARM_TRIALS: usize = 5;
/// Most earlier studies.
const MAX_EARLIER: usize = 20;

/// A study to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewStudy {
    pub name: StudyName,
    pub description: String,
    pub tags: Tags,
    /// With an empty space, that in which `kinds` are usually searched.
    pub spec: StudySpec,
    /// Model kinds, for the usual space; empty when the space is given.
    pub kinds: Vec<String>,
    /// Whether the defaults of the kinds are not tried first.
    pub skip_defaults: bool,
    /// Points to be tried first.
    pub initial: Vec<BTreeMap<String, ParamValue>>,
    /// Earlier studies, whose best points are tried first where they lie in the space.
    pub warm_start_from: Vec<String>,
}

impl Studies<'_> {
    /// Creates a study. One with trainings begins at once, after its split if that has not finished.
    pub async fn create(&self, caller: &Caller, new: NewStudy, request_id: Option<RequestId>) -> Result<Study, Error> {
        self.create_or_check(caller, new, request_id, false).await
    }

    /// The study that [`create`](Self::create) would make; nothing is made.
    pub async fn check(&self, caller: &Caller, new: NewStudy) -> Result<Study, Error> {
        self.create_or_check(caller, new, None, true).await
    }

    async fn create_or_check(
        &self,
        caller: &Caller,
        mut new: NewStudy,
        request_id: Option<RequestId>,
        check_only: bool,
    ) -> Result<Study, Error> {
        check::description(&new.description)?;
        check::tags(&new.tags)?;
        let request = Request::new(caller, request_id.as_ref(), "CreateStudy", &new)?;
        let defaults = self.usual_space(&mut new)?;
        new.spec.check()?;
        let space = Space::new(new.spec.space.clone())?;
        let contract = self.contract(&new.spec).await?;
        self.check_measurable(&new.spec, contract.as_ref())?;
        if new.initial.len() > MAX_ENQUEUED {
            let text = format!("must be at most {MAX_ENQUEUED}, got {}; enqueue more later", new.initial.len());
            return Err(Error::invalid("initial", text));
        }
        let mut first: Vec<(&str, BTreeMap<String, ParamValue>)> = Vec::new();
        for (at, point) in new.initial.iter().enumerate() {
            space.point(point).map_err(|error| within(error, &format!("initial[{at}]")))?;
            first.push(("enqueued", point.clone()));
        }
        // Defaults may lie outside of a space that is narrower.
        first.extend(defaults.into_iter().filter(|point| space.point(point).is_ok()).map(|point| ("default", point)));
        first.extend(self.warm(&new.warm_start_from, &space).await?.into_iter().map(|point| ("warm_start", point)));
        let mut seen: Vec<BTreeMap<String, ParamValue>> = Vec::new();
        first.retain(|(_, point)| {
            let new = !seen.contains(point);
            seen.push(point.clone());
            new
        });
        if let Some(training) = &new.spec.training {
            let known = first.iter().map(|(_, point)| point.clone());
            let corners = space.corners(MAX_CHECKED).into_iter();
            let random = (0..SAMPLED).map(|at| space.random(&mut random_of(new.spec.seed, at)));
            let points: Vec<_> = known.chain(corners.chain(random).map(|point| space.assignment(&point))).collect();
            points.iter().try_for_each(|point| self.check_trial(training, point))?;
            self.check_pruning(&new.spec, training, &points, contract.as_ref())?;
        }
        let most = new.spec.budget.max_trials as usize;
        if new.initial.len() > most {
            let text = format!("must be at most the {most} trials of the budget, got {}", new.initial.len());
            return Err(Error::invalid("initial", text));
        }
        first.truncate(most);

        let now = self.0.now();
        let id = StudyId::new();
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.claim(&mut tx, id.as_str(), now).await? {
            return study::by_id(&mut tx, &earlier).await?.ok_or_else(|| deleted_since("study"));
        }
        let after = match &new.spec.training {
            Some(training) => split::hold(&mut tx, &training.split_id).await?.1,
            None => None,
        };
        let created = Study {
            id,
            name: new.name,
            description: new.description,
            tags: new.tags,
            state: StudyState::Active,
            spec: serde_json::to_value(&new.spec).map_err(Error::internal)?,
            revision: 1,
            trial_count: 0,
            jobs: Vec::new(),
            spent_ms: 0,
            resumed_at: Some(now),
            outcome: None,
            error: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
            etag: Etag(1),
        };
        if check_only && study::by_name(&mut tx, created.name.as_str()).await?.is_none() {
            return Ok(created);
        }
        if !study::insert(&mut tx, &created).await? {
            let text = format!("study `{}` exists already; choose another name", created.name);
            return Err(Error::already_exists(text));
        }
        let mut locked = Locked::lock(self.0, tx, &created.id).await?;
        for (origin, point) in first {
            locked.add_waiting(vec![point], origin).await?;
        }
        locked.fill(caller, after).await?;
        locked.commit().await
    }

    /// Fills an empty space with that in which the kinds are usually searched; returns their defaults as points. What the trainings give for
    /// all trials is not searched.
    fn usual_space(&self, new: &mut NewStudy) -> Result<Vec<BTreeMap<String, ParamValue>>, Error> {
        if new.kinds.is_empty() {
            return Ok(Vec::new());
        }
        if !new.spec.space.is_empty() {
            return Err(Error::invalid("kinds", "bring a space of their own; leave out `space_json` or the kinds"));
        }
        let Some(acceptance) = &self.0.acceptance else {
            return Err(Error::invalid("kinds", "are not known to this server; give a space"));
        };
        let usual = acceptance.search_space(&new.kinds)?;
        let given = new.spec.training.as_ref().and_then(|training| training.params.as_object()).cloned();
        let is_searched = |name: &str| {
            let own = name.split_once('.').map_or(name, |(_, own)| own);
            given.as_ref().is_none_or(|given| !given.contains_key(own))
        };
        new.spec.space = serde_json::from_value(usual.space).map_err(Error::internal)?;
        new.spec.space.retain(|param| is_searched(&param.name));
        if let (Some(training), [kind]) = (&mut new.spec.training, new.kinds.as_slice()) {
            training.kind.clone_from(kind);
        }
        if new.skip_defaults {
            return Ok(Vec::new());
        }
        let of_point = |point| {
            let mut point: BTreeMap<String, ParamValue> = serde_json::from_value(point).map_err(Error::internal)?;
            point.retain(|name, _| is_searched(name));
            Ok(point)
        };
        usual.initial.into_iter().map(of_point).collect()
    }

    /// The feature contract of the rows, once they are there.
    async fn contract(&self, spec: &StudySpec) -> Result<Option<Value>, Error> {
        let Some(training) = &spec.training else { return Ok(None) };
        match self.0.splits().get(&training.split_id).await {
            Ok(split) => Ok(split.outcome.map(|outcome| outcome.contract)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None), // said when the study is made
            Err(error) => Err(error),
        }
    }

    /// Whether the jobs will measure what the study looks at.
    fn check_measurable(&self, spec: &StudySpec, contract: Option<&Value>) -> Result<(), Error> {
        let (Some(acceptance), Some(_)) = (&self.0.acceptance, &spec.training) else { return Ok(()) };
        let objectives = spec.objectives.iter().map(|it| &it.metric).enumerate();
        let constraints = spec.constraints.iter().map(|it| &it.metric).enumerate();
        let objectives = objectives.map(|(at, metric)| (format!("objectives[{at}]"), metric));
        let mut all = objectives.chain(constraints.map(|(at, metric)| (format!("constraints[{at}]"), metric)));
        all.try_for_each(|(field, metric)| {
            acceptance.trial_metric(metric, contract).map_err(|error| within(error, &field))
        })
    }

    fn check_trial(&self, training: &StudyTraining, point: &Assignment) -> Result<(), Error> {
        let Some(acceptance) = &self.0.acceptance else { return Ok(()) };
        let (kind, params) = training.of(point);
        acceptance.train_params(&kind, &params).map(drop).map_err(|error| within(error, "space"))
    }

    /// Whether trials at these points of the space will report what they are pruned by.
    fn check_pruning(
        &self,
        spec: &StudySpec,
        training: &StudyTraining,
        points: &[Assignment],
        contract: Option<&Value>,
    ) -> Result<(), Error> {
        let Some(acceptance) = self.0.acceptance.as_ref().filter(|_| !spec.prune_metrics.is_empty()) else {
            return Ok(());
        };
        let curves = points.iter().map(|point| {
            let (kind, params) = training.of(point);
            acceptance.curves(&kind, &params)
        });
        let curves = curves.collect::<Result<Vec<_>, _>>()?;
        for (at, metric) in spec.prune_metrics.iter().map(|it| it.metric.as_str()).enumerate() {
            let tells = |curves: &&[&str]| curves.contains(&metric);
            let (is_there, who) = match training.folds {
                // Trials that do not tell it are never ended early.
                None => (curves.iter().any(tells), "is told by no fit of this space while it goes on"),
                Some(_) => {
                    let is_there = acceptance.trial_metric(metric, contract).is_ok() || curves.iter().all(tells);
                    (is_there, "is no score, and not told by every fit of this space")
                }
            };
            if !is_there {
                let mut told: Vec<&str> = curves.iter().flat_map(|curves| curves.iter().copied()).collect();
                told.sort_unstable();
                told.dedup();
                let told = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
                let text = format!("is `{metric}`, which {who}; fits tell {told}");
                return Err(Error::invalid(format!("pruner.metrics[{at}]"), text));
            }
        }
        Ok(())
    }

    /// The best points of earlier studies that lie in the space: those of the front, then the best by the first objective.
    async fn warm(&self, earlier: &[String], space: &Space) -> Result<Vec<BTreeMap<String, ParamValue>>, Error> {
        if earlier.len() > MAX_EARLIER {
            return Err(Error::invalid("warm_start_from", format!("must be at most {MAX_EARLIER} studies")));
        }
        let mut points = Vec::new();
        for name in earlier {
            let (_, loaded) = self.load(name).await?;
            points.extend(best_of(loaded.history(), &loaded.trials, space).into_iter().take(WARM_TRIALS));
        }
        Ok(points)
    }
}

fn best_of(history: History<'_>, trials: &[Trial], space: &Space) -> Vec<BTreeMap<String, ParamValue>> {
    let mut order: Vec<&tenor_tune::Trial> = history.pareto_front();
    let mut others: Vec<&tenor_tune::Trial> =
        history.feasible().filter(|trial| !order.iter().any(|front| front.number == trial.number)).collect();
    let first = |trial: &tenor_tune::Trial| history.losses(trial).first().copied().unwrap_or(f64::INFINITY);
    others.sort_by(|a, b| first(a).total_cmp(&first(b)).then(a.number.cmp(&b.number)));
    order.append(&mut others);
    let place = |trial: &tenor_tune::Trial| trials.get(usize::try_from(trial.number).ok()?);
    let complete = order.into_iter().filter_map(place).filter(|trial| trial.state == TrialState::Complete);
    complete.map(|trial| trial.params.clone()).filter(|point| space.point(point).is_ok()).collect()
}
