//! Studies: searches for good hyper-parameters.

use std::collections::BTreeMap;

use futures::stream::BoxStream;
use futures::{FutureExt as _, TryStreamExt as _};
use tenor_proto::v1::{
    Budget, CompleteTrialRequest, Constraint, CreateStudyRequest, DeleteStudyRequest, Direction, EnqueueTrialsRequest,
    FailTrialRequest, GetStudyReportRequest, GetStudyRequest, GetTrialRequest, HeartbeatTrialRequest,
    ImportanceRequest, ImportanceResponse, ListStudiesRequest, ListTrialsRequest, Objective, ParamValue,
    ParetoFrontRequest, PauseStudyRequest, Policy, PruneTrialRequest, Pruner, ReportIntermediateRequest,
    ReportIntermediateResponse, ResumeStudyRequest, SelectBestRequest, SelectBestResponse, ShouldPruneRequest,
    ShouldPruneResponse, StopStudyRequest, Study, StudyChange, StudyState, StudyTraining, SuggestRequest,
    SuggestResponse, Trial, TrialPoint, TrialState, UpdateStudyRequest, WatchStudyRequest,
};

use crate::client::unary;
use crate::page::items;
use crate::request::request_id;
use crate::resume::resumed;
use crate::{Change, Client, Items, Result};

/// A study to create.
#[derive(Debug, Clone)]
pub struct NewStudy(CreateStudyRequest);

impl NewStudy {
    /// Of 100 trials, seed 42. Say where to search ([`space`](Self::space) or [`kinds`](Self::kinds)) and for what.
    pub fn new(name: impl Into<String>) -> Self {
        Self(CreateStudyRequest { name: name.into(), seed: 42, request_id: request_id(), ..Default::default() })
    }
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.0.description = text.into();
        self
    }
    #[must_use]
    pub fn tags(mut self, tags: BTreeMap<String, String>) -> Self {
        self.0.tags = tags;
        self
    }
    /// A JSON list of parameters, e.g. `{"name": "C", "type": "float", "low": 1e-4, "high": 100, "log": true}`.
    #[must_use]
    pub fn space(mut self, params: &serde_json::Value) -> Self {
        self.0.space_json = params.to_string();
        self
    }
    /// Model kinds, each in its usual space, their defaults first.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.0.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }
    /// The defaults of the kinds are not tried first.
    #[must_use]
    pub fn skip_defaults(mut self) -> Self {
        self.0.skip_defaults = true;
        self
    }
    /// The first objective is the most important.
    #[must_use]
    pub fn maximize(self, metric: impl Into<String>) -> Self {
        self.objective(metric, Direction::Maximize)
    }
    /// Another objective, after those before.
    #[must_use]
    pub fn minimize(self, metric: impl Into<String>) -> Self {
        self.objective(metric, Direction::Minimize)
    }
    /// Another objective, after those before; 1 to 6 in all.
    #[must_use]
    pub fn objective(mut self, metric: impl Into<String>, direction: Direction) -> Self {
        self.0.objectives.push(objective(metric, direction));
        self
    }
    /// A trial above this is never on the front and never wins.
    #[must_use]
    pub fn at_most(mut self, metric: impl Into<String>, max: f64) -> Self {
        self.0.constraints.push(Constraint { metric: metric.into(), min: None, max: Some(max) });
        self
    }
    /// A trial below this is never on the front and never wins.
    #[must_use]
    pub fn at_least(mut self, metric: impl Into<String>, min: f64) -> Self {
        self.0.constraints.push(Constraint { metric: metric.into(), min: Some(min), max: None });
        self
    }
    /// `tpe` unless given, `gp`, `random`, `quasi_random`, `grid` or `nsga2`.
    #[must_use]
    pub fn sampler(mut self, sampler: impl Into<String>) -> Self {
        self.0.sampler = sampler.into();
        self
    }
    /// `none` unless given, `median`, `halving`, `hyperband` or `wilcoxon`, with its options as a JSON object or null.
    #[must_use]
    pub fn pruner(mut self, kind: impl Into<String>, options: &serde_json::Value) -> Self {
        let pruner = self.0.pruner.get_or_insert_default();
        pruner.kind = kind.into();
        pruner.options_json = if options.is_null() { String::new() } else { options.to_string() };
        self
    }
    /// Prune by this metric instead of the objectives; may be repeated.
    #[must_use]
    pub fn prune_by(mut self, metric: impl Into<String>, direction: Direction) -> Self {
        self.0.pruner.get_or_insert_with(Pruner::default).metrics.push(objective(metric, direction));
        self
    }
    /// The same seed and the same order of results give the same points.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }
    /// When it ends; after 100 trials unless given.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.0.budget = Some(budget);
        self
    }
    /// For so long a client may be silent before another takes its trial over, 1 to 604,800; 600 unless given.
    #[must_use]
    pub fn lease_seconds(mut self, seconds: i32) -> Self {
        self.0.lease_seconds = seconds;
        self
    }
    /// How the winner is chosen; the best by the first objective unless given.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.0.policy = Some(policy);
        self
    }
    /// Jobs run the trials, each of which is a training.
    #[must_use]
    pub fn training(mut self, training: StudyTraining) -> Self {
        self.0.training = Some(training);
        self
    }
    /// A point to be tried first; may be repeated.
    #[must_use]
    pub fn initial(mut self, params: BTreeMap<String, ParamValue>) -> Self {
        self.0.initial.push(TrialPoint { params });
        self
    }
    /// Try the best points of an earlier study first; may be repeated.
    #[must_use]
    pub fn warm_start_from(mut self, study: impl Into<String>) -> Self {
        self.0.warm_start_from.push(study.into());
        self
    }
    /// A UUID of your own, to repeat the request after a crash of the caller.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
    /// Check only, create nothing.
    #[must_use]
    pub fn validate_only(mut self) -> Self {
        self.0.validate_only = true;
        self
    }
}

fn objective(metric: impl Into<String>, direction: Direction) -> Objective {
    Objective { metric: metric.into(), direction: direction.into() }
}

/// A search over the trials of a study.
#[derive(Debug, Clone, Default)]
pub struct TrialQuery {
    states: Vec<i32>,
    filter: String,
    order_by: String,
}

impl TrialQuery {
    pub fn new() -> Self {
        Self::default()
    }
    /// May be repeated; without, all states.
    #[must_use]
    pub fn state(mut self, state: TrialState) -> Self {
        self.states.push(state.into());
        self
    }
    /// `metrics.macro_f1 > 0.8 AND params.C <= 1`.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = filter.into();
        self
    }
    /// `metrics.macro_f1 DESC`; without, by number.
    #[must_use]
    pub fn order_by(mut self, order: impl Into<String>) -> Self {
        self.order_by = order.into();
        self
    }
}

/// Whether a study has ended.
pub fn is_over(state: StudyState) -> bool {
    matches!(state, StudyState::Stopped | StudyState::Completed | StudyState::Failed)
}

/// Calls of `StudyService`.
#[derive(Debug, Clone)]
pub struct Studies {
    client: Client,
}

impl Studies {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
    pub async fn create(&self, new: NewStudy) -> Result<Study> {
        unary!(self.client, study_api.create_study, Safe, new.0)
    }
    /// By name or id.
    pub async fn get(&self, study: impl Into<String>) -> Result<Study> {
        unary!(self.client, study_api.get_study, Safe, GetStudyRequest { study: study.into() })
    }
    pub fn list(&self, name_prefix: impl Into<String>) -> Items<Study> {
        let (client, name_prefix) = (self.client.clone(), name_prefix.into());
        items(move |page_token| {
            let message = ListStudiesRequest { page_size: 0, page_token, name_prefix: name_prefix.clone() };
            let client = client.clone();
            async move {
                let page = unary!(client, study_api.list_studies, Safe, message)?;
                Ok((page.studies, page.next_page_token))
            }
        })
    }
    pub async fn update(&self, study: impl Into<String>, change: Change) -> Result<Study> {
        let (description, tags, replace_tags, etag) = change.split();
        let message = UpdateStudyRequest { study: study.into(), description, tags, replace_tags, etag };
        unary!(self.client, study_api.update_study, Never, message)
    }
    /// Deletes a study with its trials.
    pub async fn delete(&self, study: impl Into<String>, etag: impl Into<String>) -> Result<()> {
        let message = DeleteStudyRequest { study: study.into(), etag: etag.into() };
        unary!(self.client, study_api.delete_study, Never, message).map(drop)
    }
    /// Lets no more trials begin.
    pub async fn pause(&self, study: impl Into<String>) -> Result<Study> {
        unary!(self.client, study_api.pause_study, Safe, PauseStudyRequest { study: study.into() })
    }
    pub async fn resume(&self, study: impl Into<String>) -> Result<Study> {
        unary!(self.client, study_api.resume_study, Safe, ResumeStudyRequest { study: study.into() })
    }
    /// Ends a study for good.
    pub async fn stop(&self, study: impl Into<String>) -> Result<Study> {
        unary!(self.client, study_api.stop_study, Safe, StopStudyRequest { study: study.into() })
    }

    /// A trial for `client_id` to run; a client that comes back gets its own trial again.
    pub async fn suggest(&self, study: impl Into<String>, client_id: impl Into<String>) -> Result<SuggestResponse> {
        let message = SuggestRequest { study: study.into(), client_id: client_id.into() };
        unary!(self.client, study_api.suggest, Safe, message)
    }
    /// Adds points to be tried before any that a sampler chooses.
    pub async fn enqueue(
        &self,
        study: impl Into<String>,
        points: Vec<BTreeMap<String, ParamValue>>,
    ) -> Result<Vec<Trial>> {
        let points = points.into_iter().map(|params| TrialPoint { params }).collect();
        let message = EnqueueTrialsRequest { study: study.into(), points };
        Ok(unary!(self.client, study_api.enqueue_trials, Never, message)?.trials)
    }
    /// Says that the client still runs the trial.
    pub async fn heartbeat(
        &self,
        study: impl Into<String>,
        number: i64,
        client_id: impl Into<String>,
    ) -> Result<Trial> {
        let message = HeartbeatTrialRequest { study: study.into(), number, client_id: client_id.into() };
        unary!(self.client, study_api.heartbeat_trial, Safe, message)
    }
    /// Tells how a trial looks at a step; the answer says whether to end it.
    pub async fn report(
        &self,
        study: impl Into<String>,
        number: i64,
        client_id: impl Into<String>,
        step: i64,
        metrics: BTreeMap<String, f64>,
    ) -> Result<ReportIntermediateResponse> {
        let (study, client_id) = (study.into(), client_id.into());
        let message = ReportIntermediateRequest { study, number, client_id, step, metrics };
        unary!(self.client, study_api.report_intermediate, Safe, message)
    }
    /// The decision of the last report.
    pub async fn should_prune(&self, study: impl Into<String>, number: i64) -> Result<ShouldPruneResponse> {
        unary!(self.client, study_api.should_prune, Safe, ShouldPruneRequest { study: study.into(), number })
    }
    /// Tells the results of a trial; the same again changes nothing.
    pub async fn complete(
        &self,
        study: impl Into<String>,
        number: i64,
        client_id: impl Into<String>,
        metrics: BTreeMap<String, f64>,
    ) -> Result<Trial> {
        let message = CompleteTrialRequest { study: study.into(), number, client_id: client_id.into(), metrics };
        unary!(self.client, study_api.complete_trial, Safe, message)
    }
    /// Tells that a trial was ended early, with what was measured until then.
    pub async fn prune(
        &self,
        study: impl Into<String>,
        number: i64,
        client_id: impl Into<String>,
        metrics: BTreeMap<String, f64>,
    ) -> Result<Trial> {
        let message = PruneTrialRequest { study: study.into(), number, client_id: client_id.into(), metrics };
        unary!(self.client, study_api.prune_trial, Safe, message)
    }
    pub async fn fail(
        &self,
        study: impl Into<String>,
        number: i64,
        client_id: impl Into<String>,
        error: impl Into<String>,
    ) -> Result<Trial> {
        let (study, client_id, error) = (study.into(), client_id.into(), error.into());
        unary!(self.client, study_api.fail_trial, Safe, FailTrialRequest { study, number, client_id, error })
    }

    pub async fn trial(&self, study: impl Into<String>, number: i64) -> Result<Trial> {
        unary!(self.client, study_api.get_trial, Safe, GetTrialRequest { study: study.into(), number })
    }
    pub fn trials(&self, study: impl Into<String>, query: TrialQuery) -> Items<Trial> {
        let (client, study) = (self.client.clone(), study.into());
        items(move |page_token| {
            let TrialQuery { states, filter, order_by } = query.clone();
            let study = study.clone();
            let message = ListTrialsRequest { study, states, filter, order_by, page_size: 1_000, page_token };
            let client = client.clone();
            async move {
                let page = unary!(client, study_api.list_trials, Safe, message)?;
                Ok((page.trials, page.next_page_token))
            }
        })
    }
    /// The complete trials that no other dominates, by number.
    pub async fn pareto_front(&self, study: impl Into<String>) -> Result<Vec<Trial>> {
        let message = ParetoFrontRequest { study: study.into() };
        Ok(unary!(self.client, study_api.pareto_front, Safe, message)?.trials)
    }
    /// Which parameters matter for `objective`; empty for the only one, or for being on an early front.
    pub async fn importance(
        &self,
        study: impl Into<String>,
        objective: impl Into<String>,
    ) -> Result<ImportanceResponse> {
        let message = ImportanceRequest { study: study.into(), objective: objective.into() };
        unary!(self.client, study_api.importance, Safe, message)
    }
    /// The winner by `policy`, or by the study's own.
    pub async fn best(&self, study: impl Into<String>, policy: Option<Policy>) -> Result<SelectBestResponse> {
        let message = SelectBestRequest { study: study.into(), policy, refit: false };
        unary!(self.client, study_api.select_best, Safe, message)
    }
    /// The same, fitted again in a run of its own.
    pub async fn refit_best(&self, study: impl Into<String>, policy: Option<Policy>) -> Result<SelectBestResponse> {
        let message = SelectBestRequest { study: study.into(), policy, refit: true };
        unary!(self.client, study_api.select_best, Never, message)
    }
    /// One HTML page that stands alone.
    pub async fn report_page(&self, study: impl Into<String>) -> Result<String> {
        let message = GetStudyReportRequest { study: study.into() };
        Ok(unary!(self.client, study_api.get_study_report, Safe, message)?.html)
    }
    /// The changes of a study, live, until it ends. A broken stream is resumed after the last change.
    pub fn watch(&self, study: impl Into<String>, after_revision: i64) -> BoxStream<'static, Result<StudyChange>> {
        let study = study.into();
        resumed(
            self.client.clone(),
            after_revision,
            |change: &StudyChange| change.revision,
            move |client, after_revision| {
                let message = WatchStudyRequest { study: study.clone(), after_revision };
                let (mut api, request) = (client.study_api(), client.request(message));
                async move { api.watch_study(request).await }.boxed()
            },
        )
    }
    /// Waits for the end of a study, however long it takes, and shows its changes meanwhile.
    pub async fn follow(&self, study: impl Into<String>, mut on_change: impl FnMut(&StudyChange)) -> Result<Study> {
        let study = study.into();
        let mut after_revision = 0;
        loop {
            let mut changes = self.watch(study.clone(), after_revision);
            while let Some(change) = changes.try_next().await? {
                after_revision = change.revision;
                on_change(&change);
            }
            let found = self.get(study.clone()).await?;
            if is_over(found.state()) && found.job_ids.is_empty() {
                return Ok(found);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}
