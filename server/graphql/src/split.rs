//! Splits of dataset versions.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use tenor_domain as domain;

use crate::connection::{Paged, Window, list_cost, many_cost, page_cost};
use crate::dataset::DatasetVersion;
use crate::error::Result;
use crate::global_id;
use crate::scalar::{DateTime, Digest, Json, Long};
use crate::schema::State;
use crate::scope::scope;

pub(crate) struct Split(pub(crate) Arc<domain::Split>);

impl From<domain::Split> for Split {
    fn from(split: domain::Split) -> Self {
        Self(Arc::new(split))
    }
}

/// Train, validation and test rows made from one dataset version.
#[Object]
impl Split {
    pub(crate) async fn id(&self) -> ID {
        global_id::of(&self.0.id)
    }
    /// The id in gRPC and on the command line.
    async fn raw_id(&self) -> &str {
        self.0.id.as_str()
    }
    /// Null when it was deleted meanwhile.
    async fn dataset_version(&self, context: &Context<'_>) -> Result<Option<DatasetVersion>> {
        Ok(scope(context).load(self.0.dataset_version_id.clone()).await?.map(DatasetVersion))
    }
    async fn state(&self) -> State {
        self.0.state.into()
    }
    /// How the rows were processed.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn options(&self) -> Json {
        Json(self.0.options.clone())
    }
    /// The job that makes it.
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
    /// What processing made; null until it has succeeded.
    async fn outcome(&self) -> Option<SplitOutcome<'_>> {
        self.0.outcome.as_ref().map(SplitOutcome)
    }
}

pub(crate) struct SplitOutcome<'a>(&'a domain::SplitOutcome);

/// What processing made.
#[Object]
impl SplitOutcome<'_> {
    async fn train(&self) -> SplitPart {
        part(&self.0.train)
    }
    async fn validation(&self) -> SplitPart {
        part(&self.0.validation)
    }
    async fn test(&self) -> SplitPart {
        part(&self.0.test)
    }
    /// The feature contract: columns, types, ranges, defaults.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn contract(&self) -> Json {
        Json(self.0.contract.clone())
    }
    async fn contract_hash(&self) -> Digest {
        Digest(self.0.contract_hash)
    }
    /// Rows dropped by reason, class counts before and after, feature statistics.
    #[graphql(complexity = "list_cost(child_complexity)")]
    async fn report(&self) -> Json {
        Json(self.0.report.clone())
    }
}

/// One part of a split: a Parquet file.
#[derive(SimpleObject)]
pub(crate) struct SplitPart {
    digest: Digest,
    rows: Long,
    size_bytes: Long,
}

fn part(part: &domain::SplitPart) -> SplitPart {
    SplitPart { digest: Digest(part.digest), rows: Long(part.rows), size_bytes: Long(part.size_bytes) }
}

/// The queries of splits.
#[derive(Default)]
pub(crate) struct SplitQuery;

#[Object]
impl SplitQuery {
    /// By global or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn split(&self, context: &Context<'_>, id: ID) -> Result<Option<Split>> {
        let id = global_id::split(&id)?;
        Ok(Some(scope(context).read().await.splits().get(&id).await?.into()))
    }
    /// Splits of a dataset, or of one version of it, newest first.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn splits(
        &self,
        context: &Context<'_>,
        dataset: String,
        version: Option<Long>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<Split>>> {
        let window = Window::new(first, after)?;
        let version = version.map(|version| version.0);
        let page = scope(context).read().await.splits().list(&dataset, version, window.request()).await;
        window.connect(page)
    }
}
