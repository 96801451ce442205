//! Runs and what is logged to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use tenor_domain as domain;
use tenor_platform::SearchRuns;

use crate::connection::{Paged, Window, list_cost, many_cost, page_cost};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::global_id;
use crate::loader::{ArtifactsOf, VersionsFrom};
use crate::model::ModelVersion;
use crate::scalar::{DateTime, Digest, Double, Json, Long, ParamValue};
use crate::schema::{MetricValue, State, Tag, metrics, tags};
use crate::scope::scope;
use crate::split::Split;

pub(crate) struct Run(pub(crate) Arc<domain::Run>);

impl From<domain::Run> for Run {
    fn from(run: domain::Run) -> Self {
        Self(Arc::new(run))
    }
}

/// One training, or one piece of work logged from outside.
#[Object]
impl Run {
    pub(crate) async fn id(&self) -> ID {
        global_id::of(&self.0.id)
    }
    /// The id in gRPC and on the command line.
    async fn raw_id(&self) -> &str {
        self.0.id.as_str()
    }
    /// Null when it was deleted meanwhile.
    async fn experiment(&self, context: &Context<'_>) -> Result<Option<Experiment>> {
        Ok(scope(context).load(self.0.experiment_id.clone()).await?.map(Experiment))
    }
    /// The run that this one is a part of.
    async fn parent(&self, context: &Context<'_>) -> Result<Option<Run>> {
        let Some(parent) = &self.0.parent_run_id else { return Ok(None) };
        Ok(scope(context).load(parent.clone()).await?.map(Run))
    }
    async fn name(&self) -> &str {
        &self.0.name
    }
    /// Model kind, e.g. `logreg`; empty for a run that was logged from outside.
    async fn kind(&self) -> &str {
        &self.0.kind
    }
    async fn state(&self) -> State {
        self.0.state.into()
    }
    /// By key.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn params(&self) -> Vec<Param> {
        params(&self.0.params)
    }
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn tags(&self) -> Vec<Tag> {
        tags(&self.0.tags)
    }
    async fn note(&self) -> &str {
        &self.0.note
    }
    /// What it was trained on; null for a run that was logged from outside.
    async fn split(&self, context: &Context<'_>) -> Result<Option<Split>> {
        let Some(split) = &self.0.split_id else { return Ok(None) };
        Ok(scope(context).load(split.clone()).await?.map(Split))
    }
    /// The job that trains it.
    async fn job_id(&self) -> Option<ID> {
        self.0.job_id.as_ref().map(global_id::of)
    }
    /// What was asked for, for a training run.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn spec(&self) -> Option<Json> {
        self.0.spec.clone().map(Json)
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
    async fn etag(&self) -> String {
        self.0.etag.to_string()
    }
    /// The last value of each metric, by key.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn metrics(&self) -> Vec<MetricValue> {
        metrics(&self.0.metrics)
    }
    /// The points of one metric in step order.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn metric_history(
        &self,
        context: &Context<'_>,
        key: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<MetricPoint>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.runs().metric_history(&self.0.id, &key, window.request()).await;
        window.connect(page)
    }
    /// The files that it left behind, by name.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn artifacts(&self, context: &Context<'_>) -> Result<Option<Vec<Artifact>>> {
        let found = scope(context).load(ArtifactsOf(self.0.id.clone())).await?;
        Ok(Some(found.map(|artifacts| artifacts.iter().map(Artifact::from).collect()).unwrap_or_default()))
    }
    /// The model versions that came from it, oldest first.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn model_versions(&self, context: &Context<'_>) -> Result<Option<Vec<ModelVersion>>> {
        let found = scope(context).load(VersionsFrom(self.0.id.clone())).await?;
        Ok(Some(found.map(|versions| versions.iter().cloned().map(ModelVersion).collect()).unwrap_or_default()))
    }
}

/// Parameters by key.
pub(crate) fn params(params: &BTreeMap<String, domain::ParamValue>) -> Vec<Param> {
    let param = |(key, value): (&String, &domain::ParamValue)| Param {
        key: key.clone(),
        kind: value.into(),
        value: ParamValue(value.clone()),
    };
    params.iter().map(param).collect()
}

/// A parameter of a run or a trial.
#[derive(SimpleObject)]
pub(crate) struct Param {
    key: String,
    kind: ParamKind,
    value: ParamValue,
}

/// What a parameter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum ParamKind {
    Bool,
    /// A `Long`.
    Int,
    /// A `Double`.
    Float,
    Text,
}

impl From<&domain::ParamValue> for ParamKind {
    fn from(value: &domain::ParamValue) -> Self {
        match value {
            domain::ParamValue::Bool(_) => Self::Bool,
            domain::ParamValue::Int(_) => Self::Int,
            domain::ParamValue::Float(_) => Self::Float,
            domain::ParamValue::Text(_) => Self::Text,
        }
    }
}

/// A point of a metric's series.
#[derive(SimpleObject)]
pub(crate) struct MetricPoint {
    step: Long,
    value: Double,
    time: DateTime,
}

impl From<domain::Metric> for MetricPoint {
    fn from(metric: domain::Metric) -> Self {
        Self { step: Long(metric.step), value: Double(metric.value), time: DateTime(metric.at) }
    }
}

/// A file that a run left behind. Its bytes come by gRPC.
#[derive(SimpleObject)]
pub(crate) struct Artifact {
    /// A relative label, e.g. `plots/confusion.svg`.
    name: String,
    digest: Digest,
    size_bytes: Long,
    media_type: String,
    create_time: DateTime,
}

impl From<&domain::Artifact> for Artifact {
    fn from(artifact: &domain::Artifact) -> Self {
        Self {
            name: artifact.name.clone(),
            digest: Digest(artifact.digest),
            size_bytes: Long(artifact.size_bytes),
            media_type: artifact.media_type.clone(),
            create_time: DateTime(artifact.created_at),
        }
    }
}

/// The queries of runs.
#[derive(Default)]
pub(crate) struct RunQuery;

#[Object]
impl RunQuery {
    /// By global or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn run(&self, context: &Context<'_>, id: ID) -> Result<Option<Run>> {
        let id = global_id::run(&id)?;
        Ok(Some(scope(context).read().await.runs().get(&id).await?.into()))
    }
    /// The runs of these experiments (names or raw ids; none means all) that match `filter`, e.g.
    /// `metrics.f1 > 0.8 AND params.C <= 1 AND state = 'succeeded'`, in the order `orderBy`, e.g.
    /// `metrics.f1 DESC, create_time`; newest first without one.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn runs(
        &self,
        context: &Context<'_>,
        experiments: Option<Vec<String>>,
        filter: Option<String>,
        order_by: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<Run>>> {
        let window = Window::new(first, after)?;
        let search = SearchRuns {
            experiments: experiments.unwrap_or_default(),
            filter: filter.unwrap_or_default(),
            order_by: order_by.unwrap_or_default(),
        };
        let page = scope(context).read().await.runs().list(search, window.request()).await;
        window.connect(page)
    }
}
