//! Aliases and their history.

use async_graphql::{Context, Object};
use tenor_domain as domain;
use tenor_domain::RegisteredModelId;

use crate::error::Result;
use crate::loader::ModelVersionNumber;
use crate::model::ModelVersion;
use crate::scalar::{DateTime, Long};
use crate::scope::scope;

pub(crate) struct Alias {
    name: String,
    model: RegisteredModelId,
    number: i64,
}

impl Alias {
    pub(crate) fn new(name: String, model: RegisteredModelId, number: i64) -> Self {
        Self { name, model, number }
    }
}

/// What an alias means now.
#[Object]
impl Alias {
    async fn name(&self) -> &str {
        &self.name
    }
    async fn version_number(&self) -> Long {
        Long(self.number)
    }
    /// Null when it was deleted meanwhile.
    async fn version(&self, context: &Context<'_>) -> Result<Option<ModelVersion>> {
        version(context, &self.model, Some(self.number)).await
    }
}

pub(crate) struct AliasEvent(domain::AliasEvent);

impl From<domain::AliasEvent> for AliasEvent {
    fn from(event: domain::AliasEvent) -> Self {
        Self(event)
    }
}

/// One line of an alias's history: from `time` on, it meant `version`.
#[Object]
impl AliasEvent {
    async fn alias(&self) -> &str {
        self.0.alias.as_str()
    }
    /// Null when the alias was removed.
    async fn version_number(&self) -> Option<Long> {
        self.0.version.map(Long)
    }
    /// Null when the alias was removed.
    async fn version(&self, context: &Context<'_>) -> Result<Option<ModelVersion>> {
        version(context, &self.0.model_id, self.0.version).await
    }
    /// Null when it meant nothing before.
    async fn previous_number(&self) -> Option<Long> {
        self.0.previous.map(Long)
    }
    /// Null when it meant nothing before.
    async fn previous(&self, context: &Context<'_>) -> Result<Option<ModelVersion>> {
        version(context, &self.0.model_id, self.0.previous).await
    }
    /// Who changed it.
    async fn actor(&self) -> &str {
        &self.0.actor
    }
    async fn why(&self) -> &str {
        &self.0.why
    }
    async fn time(&self) -> DateTime {
        DateTime(self.0.at)
    }
    /// Grows with each change of the alias.
    async fn etag(&self) -> String {
        self.0.etag.to_string()
    }
}

async fn version(
    context: &Context<'_>,
    model: &RegisteredModelId,
    number: Option<i64>,
) -> Result<Option<ModelVersion>> {
    let Some(number) = number else { return Ok(None) };
    let key = ModelVersionNumber(model.clone(), number);
    Ok(scope(context).load(key).await?.map(ModelVersion))
}
