//! Deployments: what is wanted comes from the database, what is loaded from this process.

use std::sync::Arc;

use tenor_domain::predict::Predictor;
use tenor_domain::{ContractMode, Deployment, DeploymentName, Error, Etag, RequestId};
use tenor_platform::{DeploymentPatch, NewDeployment, Platform};
use tenor_proto::v1 as pb;
use tenor_proto::v1::deployment_service_server::DeploymentService;
use tonic::{Request, Response, Status};

use crate::status::status;
use crate::{decode, encode};

pub(crate) struct Deployments {
    pub(crate) platform: Arc<Platform>,
    pub(crate) predictor: Arc<dyn Predictor>,
}

impl Deployments {
    fn encode(&self, deployment: Deployment) -> pb::Deployment {
        let loaded = self.predictor.loaded(deployment.name.as_str());
        encode::deployment(deployment, loaded)
    }
}

#[tonic::async_trait]
impl DeploymentService for Deployments {
    async fn create_deployment(
        &self,
        request: Request<pb::CreateDeploymentRequest>,
    ) -> Result<Response<pb::Deployment>, Status> {
        use pb::create_deployment_request::Target;
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let target = match &request.target {
            Some(Target::Alias(alias)) => decode::target(Some(alias), None),
            Some(Target::Version(version)) => decode::target(None, Some(*version)),
            None => decode::target(None, None),
        };
        let missing = || status(Error::invalid("target", "is required: an alias to follow, or a version to stay on"));
        let mode = decode::contract_mode("contract_mode", request.contract_mode).map_err(status)?;
        let new = NewDeployment {
            name: DeploymentName::parse(&request.name).map_err(status)?,
            model: request.model,
            target: target.map_err(status)?.ok_or_else(missing)?,
            contract_mode: mode.unwrap_or(ContractMode::Warn),
        };
        let deployment = self.platform.deployments().create(&caller, new, request_id).await.map_err(status)?;
        Ok(Response::new(self.encode(deployment)))
    }

    async fn get_deployment(
        &self,
        request: Request<pb::GetDeploymentRequest>,
    ) -> Result<Response<pb::Deployment>, Status> {
        let deployment = self.platform.deployments().get(&request.into_inner().deployment).await.map_err(status)?;
        Ok(Response::new(self.encode(deployment)))
    }

    async fn list_deployments(
        &self,
        request: Request<pb::ListDeploymentsRequest>,
    ) -> Result<Response<pb::ListDeploymentsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let page = self.platform.deployments().list(page).await.map_err(status)?.map(|found| self.encode(found));
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListDeploymentsResponse { deployments: page.items, next_page_token }))
    }

    async fn update_deployment(
        &self,
        request: Request<pb::UpdateDeploymentRequest>,
    ) -> Result<Response<pb::Deployment>, Status> {
        use pb::update_deployment_request::Target;
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        let target = match &request.target {
            Some(Target::Alias(alias)) => decode::target(Some(alias), None),
            Some(Target::Version(version)) => decode::target(None, Some(*version)),
            None => decode::target(None, None),
        };
        let patch = DeploymentPatch {
            target: target.map_err(status)?,
            contract_mode: decode::contract_mode("contract_mode", request.contract_mode).map_err(status)?,
            allow_breaking_contract: request.allow_breaking_contract,
        };
        let deployment = self.platform.deployments().update(&request.deployment, patch, etag).await.map_err(status)?;
        Ok(Response::new(self.encode(deployment)))
    }

    async fn delete_deployment(
        &self,
        request: Request<pb::DeleteDeploymentRequest>,
    ) -> Result<Response<pb::DeleteDeploymentResponse>, Status> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        self.platform.deployments().delete(&request.deployment, etag).await.map_err(status)?;
        Ok(Response::new(pb::DeleteDeploymentResponse {}))
    }
}
