//! Experiments.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use tenor_domain as domain;
use tenor_platform::SearchRuns;

use crate::connection::{Paged, Window, list_cost, many_cost, page_cost};
use crate::error::Result;
use crate::global_id;
use crate::run::Run;
use crate::scalar::DateTime;
use crate::schema::{Tag, tags};
use crate::scope::scope;

pub(crate) struct Experiment(pub(crate) Arc<domain::Experiment>);

impl From<domain::Experiment> for Experiment {
    fn from(experiment: domain::Experiment) -> Self {
        Self(Arc::new(experiment))
    }
}

/// A group of runs.
#[Object]
impl Experiment {
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
    /// Its runs; `filter` and `orderBy` as in the query `runs`.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn runs(
        &self,
        context: &Context<'_>,
        filter: Option<String>,
        order_by: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<Run>>> {
        let window = Window::new(first, after)?;
        let search = SearchRuns {
            experiments: vec![self.0.id.as_str().to_owned()],
            filter: filter.unwrap_or_default(),
            order_by: order_by.unwrap_or_default(),
        };
        let page = scope(context).read().await.runs().list(search, window.request()).await;
        window.connect(page)
    }
}

/// The queries of experiments.
#[derive(Default)]
pub(crate) struct ExperimentQuery;

#[Object]
impl ExperimentQuery {
    /// By name or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn experiment(&self, context: &Context<'_>, name: String) -> Result<Option<Experiment>> {
        Ok(Some(scope(context).read().await.experiments().get(&name).await?.into()))
    }
    /// By name; only names that begin with `namePrefix`, if given.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn experiments(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        name_prefix: Option<String>,
    ) -> Result<Option<Paged<Experiment>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.experiments().list(window.request(), name_prefix.as_deref()).await;
        window.connect(page)
    }
}
