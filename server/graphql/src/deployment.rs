//! Deployments.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use tenor_domain as domain;
use tenor_domain::DeploymentTarget;

use crate::connection::{Paged, Window, many_cost, page_cost};
use crate::error::Result;
use crate::global_id;
use crate::loader::ModelVersionNumber;
use crate::model::{Model, ModelVersion};
use crate::scalar::{DateTime, Long};
use crate::scope::scope;

pub(crate) struct Deployment(pub(crate) Arc<domain::Deployment>);

impl From<domain::Deployment> for Deployment {
    fn from(deployment: domain::Deployment) -> Self {
        Self(Arc::new(deployment))
    }
}

/// What a deployment does with input that breaks the feature contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::ContractMode")]
pub(crate) enum ContractMode {
    /// Refuses it.
    Strict,
    /// Answers with a warning.
    Warn,
    /// Answers with the contract's defaults in place of what is wrong.
    Impute,
}

/// A model under a stable name that answers predictions.
#[Object]
impl Deployment {
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
    /// Null when it was deleted meanwhile.
    async fn model(&self, context: &Context<'_>) -> Result<Option<Model>> {
        Ok(scope(context).load(self.0.model_id.clone()).await?.map(Model))
    }
    /// The alias that it follows; null when it stays on a version.
    async fn target_alias(&self) -> Option<&str> {
        match &self.0.target {
            DeploymentTarget::Alias(alias) => Some(alias.as_str()),
            DeploymentTarget::Version(_) => None,
        }
    }
    /// The version that it stays on; null when it follows an alias.
    async fn target_version(&self) -> Option<Long> {
        match &self.0.target {
            DeploymentTarget::Alias(_) => None,
            DeploymentTarget::Version(version) => Some(Long(*version)),
        }
    }
    async fn contract_mode(&self) -> ContractMode {
        self.0.contract_mode.into()
    }
    /// The version that its target means now; null while the alias points nowhere.
    async fn current_version(&self, context: &Context<'_>) -> Result<Option<ModelVersion>> {
        let Some(number) = self.0.current_version else { return Ok(None) };
        let key = ModelVersionNumber(self.0.model_id.clone(), number);
        Ok(scope(context).load(key).await?.map(ModelVersion))
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
}

/// The queries of deployments.
#[derive(Default)]
pub(crate) struct DeploymentQuery;

#[Object]
impl DeploymentQuery {
    /// By name or raw id.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn deployment(&self, context: &Context<'_>, name: String) -> Result<Option<Deployment>> {
        Ok(Some(scope(context).read().await.deployments().get(&name).await?.into()))
    }
    /// By name.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn deployments(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Paged<Deployment>>> {
        let window = Window::new(first, after)?;
        let page = scope(context).read().await.deployments().list(window.request()).await;
        window.connect(page)
    }
}
