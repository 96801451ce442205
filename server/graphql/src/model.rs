//! Registered models and their versions.

mod alias;

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use tenor_domain as domain;
use tenor_domain::AliasName;

pub(crate) use alias::{Alias, AliasEvent};

use crate::connection::{Paged, Window, list_cost, many_cost, page_cost};
use crate::error::Result;
use crate::global_id;
use crate::loader::ModelVersionNumber;
use crate::run::Run;
use crate::scalar::{DateTime, Digest, Long};
use crate::schema::{MetricValue, Tag, metrics, tags};
use crate::scope::scope;

pub(crate) struct Model(pub(crate) Arc<domain::RegisteredModel>);

impl From<domain::RegisteredModel> for Model {
    fn from(model: domain::RegisteredModel) -> Self {
        Self(Arc::new(model))
    }
}

/// A named model with versions and aliases.
#[Object]
impl Model {
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
    async fn create_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
    async fn update_time(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
    async fn etag(&self) -> String {
        self.0.etag.to_string()
    }
    /// The newest version; null when there is none.
    async fn latest_version(&self, context: &Context<'_>) -> Result<Option<ModelVersion>> {
        if self.0.latest_version == 0 {
            return Ok(None);
        }
        let key = ModelVersionNumber(self.0.id.clone(), self.0.latest_version);
        Ok(scope(context).load(key).await?.map(ModelVersion))
    }
    /// Newest first.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn versions(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<ModelVersion>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.models().list_versions(self.0.id.as_str(), window.request()).await;
        window.connect(page)
    }
    /// The aliases that point at a version, by name.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn aliases(&self) -> Vec<Alias> {
        let alias = |(name, version): (&String, &i64)| Alias::new(name.clone(), self.0.id.clone(), *version);
        self.0.aliases.iter().map(alias).collect()
    }
    /// What an alias means, or meant at `asOf`: its last change until then.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn alias(&self, context: &Context<'_>, name: String, as_of: Option<DateTime>) -> Result<Option<AliasEvent>> {
        let (alias, as_of) = (AliasName::parse(&name)?, as_of.map(|time| time.0));
        Ok(Some(scope(context).read().await.models().get_alias(self.0.id.as_str(), &alias, as_of).await?.into()))
    }
    /// The changes of an alias, newest first.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn alias_history(
        &self,
        context: &Context<'_>,
        alias: String,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<AliasEvent>>> {
        let alias = AliasName::parse(&alias)?;
        let window = Window::new(first, after)?;
        let (model, request) = (self.0.id.as_str(), window.request());
        let page = scope(context).read().await.models().alias_history(model, &alias, request).await;
        window.connect(page)
    }
}

pub(crate) struct ModelVersion(pub(crate) Arc<domain::ModelVersion>);

impl From<domain::ModelVersion> for ModelVersion {
    fn from(version: domain::ModelVersion) -> Self {
        Self(Arc::new(version))
    }
}

/// An immutable version of a model.
#[Object]
impl ModelVersion {
    pub(crate) async fn id(&self) -> ID {
        global_id::of(&self.0.id)
    }
    /// The id in gRPC and on the command line.
    async fn raw_id(&self) -> &str {
        self.0.id.as_str()
    }
    /// Null when it was deleted meanwhile.
    async fn model(&self, context: &Context<'_>) -> Result<Option<Model>> {
        Ok(scope(context).load(self.0.model_id.clone()).await?.map(Model))
    }
    /// 1, 2, 3, ... without a gap within the model.
    async fn number(&self) -> Long {
        Long(self.0.number)
    }
    /// The run that it came from.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        Ok(scope(context).load(self.0.run_id.clone()).await?.map(Run))
    }
    /// Of the model file. Its bytes come by gRPC.
    async fn digest(&self) -> Digest {
        Digest(self.0.digest)
    }
    async fn size_bytes(&self) -> Long {
        Long(self.0.size_bytes)
    }
    /// Model kind, e.g. `logreg`.
    async fn kind(&self) -> &str {
        &self.0.kind
    }
    async fn classes(&self) -> &[String] {
        &self.0.classes
    }
    async fn contract_hash(&self) -> Digest {
        Digest(self.0.contract_hash)
    }
    /// Test metrics at registration, by key.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn metrics(&self) -> Vec<MetricValue> {
        metrics(&self.0.metrics)
    }
    async fn description(&self) -> &str {
        &self.0.description
    }
    async fn create_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
}

/// The queries of models.
#[derive(Default)]
pub(crate) struct ModelQuery;

#[Object]
impl ModelQuery {
    /// By name or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn model(&self, context: &Context<'_>, name: String) -> Result<Option<Model>> {
        Ok(Some(scope(context).read().await.models().get(&name).await?.into()))
    }
    /// By name; only names that begin with `namePrefix`, if given.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn models(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        name_prefix: Option<String>,
    ) -> Result<Option<Paged<Model>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.models().list(window.request(), name_prefix.as_deref()).await;
        window.connect(page)
    }
    /// A version by number (`3`), alias (`champion`) or `latest`, which is the default.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn model_version(
        &self,
        context: &Context<'_>,
        model: String,
        version: Option<String>,
    ) -> Result<Option<ModelVersion>> {
        let version = version.unwrap_or_default();
        Ok(Some(scope(context).read().await.models().get_version(&model, &version).await?.into()))
    }
}
