//! Studies and their trials.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use tenor_domain as domain;
use tenor_domain::Error;
use tenor_platform::{Objective as PlatformObjective, SearchTrials, StudyOutcome, StudySpec};

use crate::connection::{Paged, Window, list_cost, many_cost, page_cost};
use crate::error::Result;
use crate::global_id;
use crate::run::{Param, Run, params};
use crate::scalar::{DateTime, Double, Json, Long};
use crate::schema::{MetricValue, Tag, metrics, tags};
use crate::scope::scope;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::StudyState")]
pub(crate) enum StudyState {
    Active,
    /// Nothing is suggested; trials that run may end.
    Paused,
    /// Somebody ended it.
    Stopped,
    /// Its budget is spent.
    Completed,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::TrialState")]
pub(crate) enum TrialState {
    Waiting,
    Running,
    Complete,
    Pruned,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "tenor_platform::Direction")]
pub(crate) enum Direction {
    Minimize,
    Maximize,
}

/// A metric, and what is wanted of it.
#[derive(SimpleObject)]
pub(crate) struct Objective {
    metric: String,
    direction: Direction,
}

impl From<PlatformObjective> for Objective {
    fn from(objective: PlatformObjective) -> Self {
        Self { metric: objective.metric, direction: objective.direction.into() }
    }
}

/// A parameter and its share of what decides between good and not; all of a study add up to 1, or are 0 when none matters.
#[derive(SimpleObject)]
pub(crate) struct ParamImportance {
    name: String,
    share: Double,
    /// Complete trials that have the parameter.
    trials: Long,
}

pub(crate) struct Study(pub(crate) Arc<domain::Study>);

impl From<domain::Study> for Study {
    fn from(study: domain::Study) -> Self {
        Self(Arc::new(study))
    }
}

impl Study {
    fn spec(&self) -> Result<StudySpec> {
        Ok(serde_json::from_value(self.0.spec.clone()).map_err(Error::internal)?)
    }
    fn outcome(&self) -> Result<Option<StudyOutcome>> {
        Ok(self.0.outcome.clone().map(serde_json::from_value).transpose().map_err(Error::internal)?)
    }
}

/// A search for good hyper-parameters.
#[Object]
impl Study {
    pub(crate) async fn id(&self) -> ID {
        global_id::of(&self.0.id)
    }
    /// The id in gRPC and on the command line.
    async fn raw_id(&self) -> &str {
        self.0.id.as_str()
    }
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }
    async fn description(&self) -> &str {
        &self.0.description
    }
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn tags(&self) -> Vec<Tag> {
        tags(&self.0.tags)
    }
    async fn state(&self) -> StudyState {
        self.0.state.into()
    }
    /// Space, sampler, pruner, budget, policy and training.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn spec_json(&self) -> Json {
        Json(self.0.spec.clone())
    }
    /// The most important first.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn objectives(&self) -> Result<Vec<Objective>> {
        Ok(self.spec()?.objectives.into_iter().map(Objective::from).collect())
    }
    /// Trials so far.
    async fn trial_count(&self) -> Long {
        Long(self.0.trial_count)
    }
    /// Trials that there may be in all.
    async fn max_trials(&self) -> Result<Long> {
        Ok(Long(i64::from(self.spec()?.budget.max_trials)))
    }
    /// The number of the winner, once the study is completed and has one.
    async fn best_trial(&self) -> Result<Option<Long>> {
        Ok(self.outcome()?.and_then(|outcome| outcome.trial).map(Long))
    }
    /// Why it won, or why there is none.
    async fn best_reason(&self) -> Result<Option<String>> {
        Ok(self.outcome()?.map(|outcome| outcome.reason))
    }
    /// The run of the winner's refit.
    async fn best_run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        let Some(run) = self.outcome()?.and_then(|outcome| outcome.run_id) else { return Ok(None) };
        Ok(scope(context).load(run).await?.map(Run))
    }
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }
    /// Grows with each change of the study or its trials.
    async fn revision(&self) -> Long {
        Long(self.0.revision)
    }
    async fn create_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
    async fn update_time(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
    async fn finish_time(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }
    async fn etag(&self) -> String {
        self.0.etag.to_string()
    }
    /// Its trials by number, or as `orderBy` says; `filter` over `metrics.*` and `params.*`.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn trials(
        &self,
        context: &Context<'_>,
        states: Option<Vec<TrialState>>,
        filter: Option<String>,
        order_by: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<Trial>>> {
        let window = Window::new(first, after)?;
        let search = SearchTrials {
            states: states.unwrap_or_default().into_iter().map(Into::into).collect(),
            filter: filter.unwrap_or_default(),
            order_by: order_by.unwrap_or_default(),
        };
        let read = scope(context).read().await;
        let page = read.studies().list_trials(self.0.id.as_str(), search, window.request()).await;
        window.connect(page)
    }
    /// The complete trials that keep the constraints and that no other dominates, by number.
    #[graphql(complexity = "many_cost(10, child_complexity)")]
    async fn pareto_front(&self, context: &Context<'_>) -> Result<Option<Vec<Trial>>> {
        let front = scope(context).read().await.studies().pareto_front(self.0.id.as_str()).await?;
        Ok(Some(front.into_iter().map(Trial).collect()))
    }
    /// Which parameters matter for an objective; without one, for the only one or for being on an early front.
    #[graphql(complexity = "many_cost(10, child_complexity)")]
    async fn importance(
        &self,
        context: &Context<'_>,
        objective: Option<String>,
    ) -> Result<Option<Vec<ParamImportance>>> {
        let read = scope(context).read().await;
        let found = read.studies().importance(self.0.id.as_str(), objective.as_deref()).await?;
        let params = found.params.into_iter().map(|param| ParamImportance {
            name: param.name,
            share: Double(param.share),
            trials: Long(i64::try_from(param.trials).unwrap_or(i64::MAX)),
        });
        Ok(Some(params.collect()))
    }
}

pub(crate) struct Trial(domain::Trial);

impl From<domain::Trial> for Trial {
    fn from(trial: domain::Trial) -> Self {
        Self(trial)
    }
}

/// What a trial looked like at a step, and what was decided then.
#[derive(SimpleObject)]
pub(crate) struct TrialReport {
    step: Long,
    values: Vec<Double>,
    prune: bool,
    reason: String,
}

/// One point of a space, and what came of it.
#[Object]
impl Trial {
    /// Counts from 0 within the study.
    async fn number(&self) -> Long {
        Long(self.0.number)
    }
    async fn state(&self) -> TrialState {
        self.0.state.into()
    }
    /// By key.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn params(&self) -> Vec<Param> {
        params(&self.0.params)
    }
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn metrics(&self) -> Vec<MetricValue> {
        metrics(&self.0.metrics)
    }
    /// By how much the constraints are broken, all together; 0 when they are kept.
    async fn violation(&self) -> Double {
        Double(self.0.violation)
    }
    /// A sampler's name, `enqueued`, `default` or `warm_start`.
    async fn origin(&self) -> &str {
        &self.0.origin
    }
    async fn client_id(&self) -> &str {
        &self.0.client_id
    }
    /// The job that runs it.
    async fn job_id(&self) -> Option<ID> {
        self.0.job_id.as_ref().map(global_id::of)
    }
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }
    async fn create_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
    async fn start_time(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }
    async fn finish_time(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }
    /// By step.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn reports(&self) -> Vec<TrialReport> {
        let report = |report: &domain::TrialReport| TrialReport {
            step: Long(report.step),
            values: report.values.iter().copied().map(Double).collect(),
            prune: report.prune,
            reason: report.reason.clone(),
        };
        self.0.reports.iter().map(report).collect()
    }
}

/// The queries of studies.
#[derive(Default)]
pub(crate) struct StudyQuery;

#[Object]
impl StudyQuery {
    /// By name or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn study(&self, context: &Context<'_>, name: String) -> Result<Option<Study>> {
        Ok(Some(scope(context).read().await.studies().get(&name).await?.into()))
    }
    /// By name; only names that begin with `namePrefix`, if given.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn studies(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        name_prefix: Option<String>,
    ) -> Result<Option<Paged<Study>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.studies().list(window.request(), name_prefix.as_deref()).await;
        window.connect(page)
    }
}
