//! Registered models, their versions and aliases.

use std::sync::Arc;

use futures::StreamExt as _;
use tenor_domain::{AliasName, Error, Etag, ModelName, RequestId, RunId};
use tenor_platform::{AliasMove, ModelPatch, NewModel, Platform};
use tenor_proto::v1 as pb;
use tenor_proto::v1::model_registry_service_server::ModelRegistryService;
use tonic::{Request, Response, Status};

use crate::services::bytes::{BytesStream, chunks};
use crate::status::status;
use crate::{decode, encode};

pub(crate) struct Models {
    pub(crate) platform: Arc<Platform>,
}

#[tonic::async_trait]
impl ModelRegistryService for Models {
    async fn create_registered_model(
        &self,
        request: Request<pb::CreateRegisteredModelRequest>,
    ) -> Result<Response<pb::RegisteredModel>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let name = ModelName::parse(&request.name).map_err(status)?;
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let new = NewModel { name, description: request.description, tags: request.tags };
        let model = self.platform.models().create(&caller, new, request_id).await;
        model.map(encode::model).map(Response::new).map_err(status)
    }

    async fn get_registered_model(
        &self,
        request: Request<pb::GetRegisteredModelRequest>,
    ) -> Result<Response<pb::RegisteredModel>, Status> {
        let model = self.platform.models().get(&request.into_inner().model).await;
        model.map(encode::model).map(Response::new).map_err(status)
    }

    async fn list_registered_models(
        &self,
        request: Request<pb::ListRegisteredModelsRequest>,
    ) -> Result<Response<pb::ListRegisteredModelsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let prefix = decode::given(&request.name_prefix);
        let page = self.platform.models().list(page, prefix).await.map_err(status)?.map(encode::model);
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListRegisteredModelsResponse { models: page.items, next_page_token }))
    }

    async fn update_registered_model(
        &self,
        request: Request<pb::UpdateRegisteredModelRequest>,
    ) -> Result<Response<pb::RegisteredModel>, Status> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        let tags = decode::tags_patch(request.tags, request.replace_tags).map_err(status)?;
        let patch = ModelPatch { description: request.description, tags };
        let model = self.platform.models().update(&request.model, patch, etag).await;
        model.map(encode::model).map(Response::new).map_err(status)
    }

    async fn delete_registered_model(
        &self,
        request: Request<pb::DeleteRegisteredModelRequest>,
    ) -> Result<Response<pb::DeleteRegisteredModelResponse>, Status> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        self.platform.models().delete(&request.model, etag).await.map_err(status)?;
        Ok(Response::new(pb::DeleteRegisteredModelResponse {}))
    }

    async fn register_model_version(
        &self,
        request: Request<pb::RegisterModelVersionRequest>,
    ) -> Result<Response<pb::ModelVersion>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let name = ModelName::parse(&request.model).map_err(status)?;
        let run = RunId::parse(&request.run_id).map_err(status)?;
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let models = self.platform.models();
        let version = models.register_run(&caller, &name, &run, &request.description, request_id).await;
        version.map(encode::model_version).map(Response::new).map_err(status)
    }

    async fn get_model_version(
        &self,
        request: Request<pb::GetModelVersionRequest>,
    ) -> Result<Response<pb::ModelVersion>, Status> {
        let request = request.into_inner();
        let version = self.platform.models().get_version(&request.model, &request.version).await;
        version.map(encode::model_version).map(Response::new).map_err(status)
    }

    async fn list_model_versions(
        &self,
        request: Request<pb::ListModelVersionsRequest>,
    ) -> Result<Response<pb::ListModelVersionsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let page = self.platform.models().list_versions(&request.model, page).await.map_err(status)?;
        let page = page.map(encode::model_version);
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListModelVersionsResponse { versions: page.items, next_page_token }))
    }

    type DownloadModelVersionStream = BytesStream<pb::DownloadModelVersionResponse>;

    async fn download_model_version(
        &self,
        request: Request<pb::DownloadModelVersionRequest>,
    ) -> Result<Response<Self::DownloadModelVersionStream>, Status> {
        let request = request.into_inner();
        let version = self.platform.models().get_version(&request.model, &request.version).await.map_err(status)?;
        let found = self.platform.blobs().get_stream(&version.digest, None).await;
        let bytes = found.map_err(|error| status(error.into()))?.map(|piece| piece.map_err(Error::from));
        let answers = chunks(bytes).map(|data| data.map(|data| pb::DownloadModelVersionResponse { data: data.into() }));
        Ok(Response::new(answers.boxed()))
    }

    async fn set_model_alias(
        &self,
        request: Request<pb::SetModelAliasRequest>,
    ) -> Result<Response<pb::AliasEvent>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let alias = AliasName::parse(&request.alias).map_err(status)?;
        let etag = Etag::parse(&request.etag).map_err(status)?;
        if request.version < 1 {
            return Err(status(Error::invalid("version", format!("must be at least 1, got {}", request.version))));
        }
        let models = self.platform.models();
        let to = AliasMove {
            version: request.version,
            etag,
            why: &request.why,
            allow_breaking_contract: request.allow_breaking_contract,
        };
        let event = models.set_alias(&caller, &request.model, &alias, to).await;
        event.map(|event| Response::new(encode::alias_event(event, &request.model))).map_err(status)
    }

    async fn delete_model_alias(
        &self,
        request: Request<pb::DeleteModelAliasRequest>,
    ) -> Result<Response<pb::AliasEvent>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let alias = AliasName::parse(&request.alias).map_err(status)?;
        let etag = Etag::parse(&request.etag).map_err(status)?;
        let event = self.platform.models().delete_alias(&caller, &request.model, &alias, etag, &request.why).await;
        event.map(|event| Response::new(encode::alias_event(event, &request.model))).map_err(status)
    }

    async fn get_model_alias(
        &self,
        request: Request<pb::GetModelAliasRequest>,
    ) -> Result<Response<pb::AliasEvent>, Status> {
        let request = request.into_inner();
        let alias = AliasName::parse(&request.alias).map_err(status)?;
        let as_of = request.as_of.map(|time| decode::timestamp("as_of", time)).transpose().map_err(status)?;
        let event = self.platform.models().get_alias(&request.model, &alias, as_of).await;
        event.map(|event| Response::new(encode::alias_event(event, &request.model))).map_err(status)
    }

    async fn list_alias_history(
        &self,
        request: Request<pb::ListAliasHistoryRequest>,
    ) -> Result<Response<pb::ListAliasHistoryResponse>, Status> {
        let request = request.into_inner();
        let alias = AliasName::parse(&request.alias).map_err(status)?;
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let page = self.platform.models().alias_history(&request.model, &alias, page).await.map_err(status)?;
        let page = page.map(|event| encode::alias_event(event, &request.model));
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListAliasHistoryResponse { events: page.items, next_page_token }))
    }
}
