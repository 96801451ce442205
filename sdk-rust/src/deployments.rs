//! Models under stable names.

use std::time::Duration;

use tenor_proto::v1::{
    ContractMode, CreateDeploymentRequest, DeleteDeploymentRequest, Deployment, GetDeploymentRequest,
    ListDeploymentsRequest, UpdateDeploymentRequest, create_deployment_request, update_deployment_request,
};

use crate::client::unary;
use crate::page::items;
use crate::request::request_id;
use crate::{Client, Items, Result};

/// Calls of `DeploymentService`.
#[derive(Debug, Clone)]
pub struct Deployments {
    client: Client,
}

/// What a deployment serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Whatever the alias points at.
    Alias(String),
    Version(i64),
}

/// A new deployment.
#[derive(Debug, Clone)]
pub struct NewDeployment(CreateDeploymentRequest);

impl NewDeployment {
    pub fn new(name: impl Into<String>, model: impl Into<String>, target: Target) -> Self {
        use create_deployment_request::Target as Wire;
        let target = match target {
            Target::Alias(alias) => Wire::Alias(alias),
            Target::Version(number) => Wire::Version(number),
        };
        Self(CreateDeploymentRequest {
            name: name.into(),
            model: model.into(),
            target: Some(target),
            contract_mode: ContractMode::Unspecified.into(),
            request_id: request_id(),
        })
    }
    /// What to do with input that breaks the feature contract; WARN when not set.
    #[must_use]
    pub fn mode(mut self, mode: ContractMode) -> Self {
        self.0.contract_mode = mode.into();
        self
    }
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

/// A change of a deployment; what is not named stays as it is.
#[derive(Debug, Clone, Default)]
pub struct DeploymentChange(UpdateDeploymentRequest);

impl DeploymentChange {
    pub fn new() -> Self {
        Self::default()
    }
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        use update_deployment_request::Target as Wire;
        self.0.target = Some(match target {
            Target::Alias(alias) => Wire::Alias(alias),
            Target::Version(number) => Wire::Version(number),
        });
        self
    }
    /// What to do with input that breaks the feature contract.
    #[must_use]
    pub fn mode(mut self, mode: ContractMode) -> Self {
        self.0.contract_mode = mode.into();
        self
    }
    /// Fails with [`Kind::Conflict`](crate::Kind::Conflict) when the deployment has changed since.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.0.etag = etag.into();
        self
    }
    /// Serve the target although its feature contract breaks the served one: the callers are ready.
    #[must_use]
    pub fn allow_breaking_contract(mut self) -> Self {
        self.0.allow_breaking_contract = true;
        self
    }
}

impl Deployments {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
    pub async fn create(&self, deployment: NewDeployment) -> Result<Deployment> {
        unary!(self.client, deployment_api.create_deployment, Safe, deployment.0)
    }
    /// The deployment of that name or id.
    pub async fn get(&self, deployment: impl Into<String>) -> Result<Deployment> {
        unary!(self.client, deployment_api.get_deployment, Safe, GetDeploymentRequest { deployment: deployment.into() })
    }
    /// The deployment once the server that answers has loaded what it means, refused it (`load_error`), or `timeout` is over.
    pub async fn wait_loaded(&self, deployment: impl Into<String>, timeout: Duration) -> Result<Deployment> {
        let deployment = deployment.into();
        let begun = tokio::time::Instant::now();
        loop {
            let now = self.get(deployment.clone()).await?;
            let settled = now.loaded_version == now.current_version || !now.load_error.is_empty();
            if settled || begun.elapsed() >= timeout {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    pub fn list(&self) -> Items<Deployment> {
        let client = self.client.clone();
        items(move |page_token| {
            let client = client.clone();
            async move {
                let message = ListDeploymentsRequest { page_size: 0, page_token };
                let page = unary!(client, deployment_api.list_deployments, Safe, message)?;
                Ok((page.deployments, page.next_page_token))
            }
        })
    }
    /// Changes target or mode.
    ///
    /// # Errors
    /// Reason `CONTRACT_BREAKING` when the new target's feature contract breaks the served one; see
    /// [`DeploymentChange::allow_breaking_contract`].
    pub async fn update(&self, deployment: impl Into<String>, change: DeploymentChange) -> Result<Deployment> {
        let message = UpdateDeploymentRequest { deployment: deployment.into(), ..change.0 };
        unary!(self.client, deployment_api.update_deployment, Never, message)
    }
    pub async fn delete(&self, deployment: impl Into<String>, etag: impl Into<String>) -> Result<()> {
        let message = DeleteDeploymentRequest { deployment: deployment.into(), etag: etag.into() };
        unary!(self.client, deployment_api.delete_deployment, Never, message).map(drop)
    }
}
