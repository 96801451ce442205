//! Registered models, versions and aliases.

use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use prost_types::Timestamp;
use tenor_proto::v1::{
    AliasEvent, CreateRegisteredModelRequest, DeleteModelAliasRequest, DeleteRegisteredModelRequest,
    DownloadModelVersionRequest, GetModelAliasRequest, GetModelVersionRequest, GetRegisteredModelRequest,
    ListAliasHistoryRequest, ListModelVersionsRequest, ListRegisteredModelsRequest, ModelVersion,
    RegisterModelVersionRequest, RegisteredModel, SetModelAliasRequest, UpdateRegisteredModelRequest,
};

use crate::client::unary;
use crate::page::items;
use crate::request::request_id;
use crate::{Change, Client, Error, Items, NewNamed, Result};

/// Calls of `ModelRegistryService`.
#[derive(Debug, Clone)]
pub struct Models {
    client: Client,
}

/// Where an alias is to point.
#[derive(Debug, Clone)]
pub struct AliasMove(SetModelAliasRequest);

impl AliasMove {
    /// At version `version`, whatever the alias means now.
    pub fn new(model: impl Into<String>, alias: impl Into<String>, version: i64) -> Self {
        Self(SetModelAliasRequest { model: model.into(), alias: alias.into(), version, ..Default::default() })
    }
    /// Fails with [`Kind::Conflict`](crate::Kind::Conflict) when the alias has changed since.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.0.etag = etag.into();
        self
    }
    /// The reason, for the history.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.0.why = why.into();
        self
    }
    /// Move it although the feature contract that a deployment serves breaks: its callers are ready.
    #[must_use]
    pub fn allow_breaking_contract(mut self) -> Self {
        self.0.allow_breaking_contract = true;
        self
    }
}

impl Models {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
    /// Creates a model without versions.
    pub async fn create(&self, model: impl Into<NewNamed>) -> Result<RegisteredModel> {
        let NewNamed { name, description, tags, request_id, .. } = model.into();
        let message = CreateRegisteredModelRequest { name, description, tags, request_id };
        unary!(self.client, model_api.create_registered_model, Safe, message)
    }
    /// The model of that name or id.
    pub async fn get(&self, model: impl Into<String>) -> Result<RegisteredModel> {
        unary!(self.client, model_api.get_registered_model, Safe, GetRegisteredModelRequest { model: model.into() })
    }
    /// The models whose names begin with `prefix`.
    pub fn list(&self, prefix: impl Into<String>) -> Items<RegisteredModel> {
        let (client, name_prefix) = (self.client.clone(), prefix.into());
        items(move |page_token| {
            let message = ListRegisteredModelsRequest { page_size: 0, page_token, name_prefix: name_prefix.clone() };
            let client = client.clone();
            async move {
                let page = unary!(client, model_api.list_registered_models, Safe, message)?;
                Ok((page.models, page.next_page_token))
            }
        })
    }
    /// Changes description or tags.
    pub async fn update(&self, model: impl Into<String>, change: Change) -> Result<RegisteredModel> {
        let (description, tags, replace_tags, etag) = change.split();
        let message = UpdateRegisteredModelRequest { model: model.into(), description, tags, replace_tags, etag };
        unary!(self.client, model_api.update_registered_model, Never, message)
    }
    /// Deletes a model that no deployment serves. An empty `etag` means "whatever is there".
    pub async fn delete(&self, model: impl Into<String>, etag: impl Into<String>) -> Result<()> {
        let message = DeleteRegisteredModelRequest { model: model.into(), etag: etag.into() };
        unary!(self.client, model_api.delete_registered_model, Never, message).map(drop)
    }
    /// Registers the model of a succeeded run as the next version of `model`, which is created when it does not exist.
    pub async fn register(
        &self,
        model: impl Into<String>,
        run_id: impl Into<String>,
        description: impl Into<String>,
    ) -> Result<ModelVersion> {
        let message = RegisterModelVersionRequest {
            model: model.into(),
            run_id: run_id.into(),
            description: description.into(),
            request_id: request_id(),
        };
        unary!(self.client, model_api.register_model_version, Safe, message)
    }
    /// A version: a number, an alias, or `latest`.
    pub async fn version(&self, model: impl Into<String>, version: impl Into<String>) -> Result<ModelVersion> {
        let message = GetModelVersionRequest { model: model.into(), version: version.into() };
        unary!(self.client, model_api.get_model_version, Safe, message)
    }
    pub fn versions(&self, model: impl Into<String>) -> Items<ModelVersion> {
        let (client, model) = (self.client.clone(), model.into());
        items(move |page_token| {
            let message = ListModelVersionsRequest { model: model.clone(), page_size: 0, page_token };
            let client = client.clone();
            async move {
                let page = unary!(client, model_api.list_model_versions, Safe, message)?;
                Ok((page.versions, page.next_page_token))
            }
        })
    }
    /// The bytes of the model file.
    pub async fn download(
        &self,
        model: impl Into<String>,
        version: impl Into<String>,
    ) -> Result<BoxStream<'static, Result<Vec<u8>>>> {
        let message = DownloadModelVersionRequest { model: model.into(), version: version.into() };
        let mut api = self.client.model_api();
        let stream = api.download_model_version(self.client.request(message)).await;
        let stream = stream.map_err(|status| self.client.explain(status))?.into_inner();
        Ok(Box::pin(stream.map_ok(|part| part.data).map_err(Error::from)))
    }
    /// Points an alias at a version.
    ///
    /// # Errors
    /// Reason `CONTRACT_BREAKING` when a deployment follows the alias and the version's feature contract breaks the served one;
    /// see [`AliasMove::allow_breaking_contract`].
    pub async fn set_alias(&self, to: AliasMove) -> Result<AliasEvent> {
        unary!(self.client, model_api.set_model_alias, Never, to.0)
    }
    pub async fn delete_alias(
        &self,
        model: impl Into<String>,
        alias: impl Into<String>,
        etag: impl Into<String>,
        why: impl Into<String>,
    ) -> Result<AliasEvent> {
        let message =
            DeleteModelAliasRequest { model: model.into(), alias: alias.into(), etag: etag.into(), why: why.into() };
        unary!(self.client, model_api.delete_model_alias, Never, message)
    }
    /// What an alias means, or meant at `as_of`.
    pub async fn alias(
        &self,
        model: impl Into<String>,
        alias: impl Into<String>,
        as_of: Option<Timestamp>,
    ) -> Result<AliasEvent> {
        let message = GetModelAliasRequest { model: model.into(), alias: alias.into(), as_of };
        unary!(self.client, model_api.get_model_alias, Safe, message)
    }
    pub fn alias_history(&self, model: impl Into<String>, alias: impl Into<String>) -> Items<AliasEvent> {
        let (client, model, alias) = (self.client.clone(), model.into(), alias.into());
        items(move |page_token| {
            let message =
                ListAliasHistoryRequest { model: model.clone(), alias: alias.clone(), page_size: 0, page_token };
            let client = client.clone();
            async move {
                let page = unary!(client, model_api.list_alias_history, Safe, message)?;
                Ok((page.events, page.next_page_token))
            }
        })
    }
}
