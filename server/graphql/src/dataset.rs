//! Datasets and their versions.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use tenor_domain as domain;

use crate::connection::{Paged, Window, list_cost, many_cost, page_cost};
use crate::error::Result;
use crate::global_id;
use crate::loader::DatasetVersionNumber;
use crate::scalar::{DateTime, Digest, Json, Long};
use crate::schema::{State, Tag, tags};
use crate::scope::scope;
use crate::split::Split;

pub(crate) struct Dataset(pub(crate) Arc<domain::Dataset>);

impl From<domain::Dataset> for Dataset {
    fn from(dataset: domain::Dataset) -> Self {
        Self(Arc::new(dataset))
    }
}

/// A named dataset with versions.
#[Object]
impl Dataset {
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
    async fn latest_version(&self, context: &Context<'_>) -> Result<Option<DatasetVersion>> {
        if self.0.latest_version == 0 {
            return Ok(None);
        }
        let key = DatasetVersionNumber(self.0.id.clone(), self.0.latest_version);
        Ok(scope(context).load(key).await?.map(DatasetVersion))
    }
    /// Newest first.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn versions(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<DatasetVersion>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.datasets().list_versions(self.0.id.as_str(), window.request()).await;
        window.connect(page)
    }
}

pub(crate) struct DatasetVersion(pub(crate) Arc<domain::DatasetVersion>);

impl From<domain::DatasetVersion> for DatasetVersion {
    fn from(version: domain::DatasetVersion) -> Self {
        Self(Arc::new(version))
    }
}

/// An immutable version of a dataset.
#[Object]
impl DatasetVersion {
    pub(crate) async fn id(&self) -> ID {
        global_id::of(&self.0.id)
    }
    /// The id in gRPC and on the command line.
    async fn raw_id(&self) -> &str {
        self.0.id.as_str()
    }
    /// Null when it was deleted meanwhile.
    async fn dataset(&self, context: &Context<'_>) -> Result<Option<Dataset>> {
        Ok(scope(context).load(self.0.dataset_id.clone()).await?.map(Dataset))
    }
    /// 1, 2, 3, ... without a gap within the dataset.
    async fn number(&self) -> Long {
        Long(self.0.number)
    }
    async fn state(&self) -> State {
        self.0.state.into()
    }
    /// Of the uploaded file.
    async fn source_digest(&self) -> Digest {
        Digest(self.0.source_digest)
    }
    async fn source_bytes(&self) -> Long {
        Long(self.0.source_bytes)
    }
    async fn file_name(&self) -> &str {
        &self.0.file_name
    }
    /// How the file was read.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn options(&self) -> Json {
        Json(self.0.options.clone())
    }
    /// The job that imports it.
    async fn job_id(&self) -> Option<ID> {
        self.0.job_id.as_ref().map(global_id::of)
    }
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }
    async fn create_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
    async fn finish_time(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }
    /// What the import made; null until it has succeeded.
    async fn outcome(&self) -> Option<ImportOutcome<'_>> {
        self.0.outcome.as_ref().map(ImportOutcome)
    }
    /// Newest first.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn splits(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<Split>>> {
        let window = Window::new(first, after)?;
        let (dataset, number) = (self.0.dataset_id.as_str(), Some(self.0.number));
        let page = scope(context).read().await.splits().list(dataset, number, window.request()).await;
        window.connect(page)
    }
}

pub(crate) struct ImportOutcome<'a>(&'a domain::ImportOutcome);

/// What an import made: `rowsRead` is `rowsAccepted` and `rowsQuarantined` together.
#[Object]
impl ImportOutcome<'_> {
    async fn rows_read(&self) -> Long {
        Long(self.0.rows_read)
    }
    async fn rows_accepted(&self) -> Long {
        Long(self.0.rows_accepted)
    }
    /// Accepted after a repair, counted within `rowsAccepted`.
    async fn rows_repaired(&self) -> Long {
        Long(self.0.rows_repaired)
    }
    async fn rows_quarantined(&self) -> Long {
        Long(self.0.rows_quarantined)
    }
    /// Of the Parquet file of the accepted rows.
    async fn data_digest(&self) -> Digest {
        Digest(self.0.data_digest)
    }
    async fn data_bytes(&self) -> Long {
        Long(self.0.data_bytes)
    }
    /// Of the Parquet file of the quarantined rows; null when there are none.
    async fn quarantine_digest(&self) -> Option<Digest> {
        self.0.quarantine_digest.map(Digest)
    }
    /// Statistics of every column, label shares, languages.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn profile(&self) -> Json {
        Json(self.0.profile.clone())
    }
    /// The rules and what broke them.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn validation(&self) -> Json {
        Json(self.0.validation.clone())
    }
    /// Whether no rule of severity `error` failed.
    async fn valid(&self) -> bool {
        self.0.valid
    }
}

/// The queries of datasets.
#[derive(Default)]
pub(crate) struct DatasetQuery;

#[Object]
impl DatasetQuery {
    /// By name or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn dataset(&self, context: &Context<'_>, name: String) -> Result<Option<Dataset>> {
        Ok(Some(scope(context).read().await.datasets().get(&name).await?.into()))
    }
    /// By name; only names that begin with `namePrefix`, if given.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn datasets(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        name_prefix: Option<String>,
    ) -> Result<Option<Paged<Dataset>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.datasets().list(window.request(), name_prefix.as_deref()).await;
        window.connect(page)
    }
    /// Version `number` of a dataset, or the newest.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn dataset_version(
        &self,
        context: &Context<'_>,
        dataset: String,
        number: Option<Long>,
    ) -> Result<Option<DatasetVersion>> {
        let number = number.map(|number| number.0);
        Ok(Some(scope(context).read().await.datasets().get_version(&dataset, number).await?.into()))
    }
}
