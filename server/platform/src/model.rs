//! Registered models, their gapless versions, and aliases with a history.

mod alias;
pub(crate) mod contract;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenor_domain::{
    AliasName, Caller, Digest, Error, Etag, ModelName, ModelVersion, ModelVersionId, Page, PageRequest,
    RegisteredModel, RegisteredModelId, RequestId, RunId, State, Tags,
};
use tenor_store::{Tx, model, run};

pub use alias::AliasMove;

use crate::find::{self, check_etag, stale, texts};
use crate::idempotency::{Request, deleted_since};
use crate::page::Paging;
use crate::{Platform, check};

/// A model to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewModel {
    pub name: ModelName,
    pub description: String,
    pub tags: Tags,
}

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ModelPatch {
    pub description: Option<String>,
    /// Replaces all tags.
    pub tags: Option<Tags>,
}

/// What is known of a model file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Of the model file, which is a blob.
    pub digest: Digest,
    pub size_bytes: i64,
    pub kind: String,
    pub classes: Vec<String>,
    pub contract_hash: Digest,
    /// Test metrics.
    #[serde(with = "numbers")]
    pub metrics: BTreeMap<String, f64>,
}

/// Metrics in JSON, which has no word for NaN and the infinities.
mod numbers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use tenor_store::model::Number;

    pub fn serialize<S: Serializer>(metrics: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(metrics.iter().map(|(key, value)| (key, Number::from(*value))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let metrics = BTreeMap::<String, Number>::deserialize(deserializer)?;
        Ok(metrics.into_iter().map(|(key, value)| (key, value.into())).collect())
    }
}

/// Which version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRef {
    Number(i64),
    Alias(AliasName),
    Latest,
}

impl VersionRef {
    /// Parses `3`, `v3`, `latest`, `champion` or `@champion`; the empty text means the newest.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() || text == "latest" {
            return Ok(Self::Latest);
        }
        let digits = text.strip_prefix('v').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match digits.parse() {
                Ok(number) if number > 0 => Ok(Self::Number(number)),
                _ => Err(Error::invalid("version", "must be a number from 1 on, an alias, or `latest`")),
            };
        }
        Ok(Self::Alias(AliasName::parse(text.strip_prefix('@').unwrap_or(text))?))
    }
}

/// The use cases of models.
#[derive(Clone, Copy)]
pub struct Models<'a>(pub(crate) &'a Platform);

impl Models<'_> {
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewModel,
        request_id: Option<RequestId>,
    ) -> Result<RegisteredModel, Error> {
        check::description(&new.description)?;
        check::tags(&new.tags)?;
        let now = self.0.now();
        let id = RegisteredModelId::new();
        let request = Request::new(caller, request_id.as_ref(), "CreateRegisteredModel", &new)?;
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.claim(&mut tx, id.as_str(), now).await? {
            return model::by_id(&mut tx, &earlier).await?.ok_or_else(|| deleted_since("model"));
        }
        if !model::insert(&mut tx, &id, &new.name, &new.description, &new.tags, now).await? {
            return Err(Error::already_exists(format!("model `{}` exists already; choose another name", new.name)));
        }
        let created = model::by_id(&mut tx, id.as_str()).await?.ok_or_else(|| deleted_since("model"))?;
        tx.commit().await?;
        Ok(created)
    }

    /// By name or id.
    pub async fn get(&self, model: &str) -> Result<RegisteredModel, Error> {
        find::model(&mut self.0.read().await?, model).await
    }

    /// Those of these models that exist, in any order.
    pub async fn by_ids(&self, ids: &[RegisteredModelId]) -> Result<Vec<RegisteredModel>, Error> {
        Ok(model::by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// By name; only names that begin with `name_prefix`, if given.
    pub async fn list(&self, page: PageRequest, name_prefix: Option<&str>) -> Result<Page<RegisteredModel>, Error> {
        let prefix = name_prefix.unwrap_or_default();
        check::label("name_prefix", prefix)?;
        let paging: Paging<String> = Paging::start("ListRegisteredModels", &prefix, &page)?;
        let after = paging.after.as_deref().unwrap_or_default();
        let rows = model::list(&mut self.0.read().await?, prefix, after, paging.limit()).await?;
        paging.finish(rows, |model| model.name.as_str().to_owned())
    }

    pub async fn update(&self, model: &str, patch: ModelPatch, etag: Option<Etag>) -> Result<RegisteredModel, Error> {
        patch.description.as_deref().map_or(Ok(()), check::description)?;
        patch.tags.as_ref().map_or(Ok(()), check::tags)?;
        let mut tx = self.0.write().await?;
        let found = find::model(&mut tx, model).await?;
        let (description, tags) = (patch.description.as_deref(), patch.tags.as_ref());
        let updated = model::update(&mut tx, &found.id, description, tags, etag, self.0.now()).await?;
        let updated = updated.ok_or_else(|| stale("model"))?;
        tx.commit().await?;
        Ok(updated)
    }

    /// Deletes a model with its versions and aliases. Refused while a deployment serves it.
    pub async fn delete(&self, model: &str, etag: Option<Etag>) -> Result<(), Error> {
        let mut tx = self.0.write().await?;
        let found = find::model(&mut tx, model).await?;
        check_etag("model", etag, found.etag)?;
        let in_use = || {
            Error::precondition(
                "MODEL_IN_USE",
                format!("model `{}` is served by a deployment; delete that first", found.name),
            )
        };
        if model::count_deployments(&mut tx, &found.id).await? > 0 {
            return Err(in_use());
        }
        match model::delete(&mut tx, &found.id, etag).await {
            Ok(true) => Ok(tx.commit().await?),
            Ok(false) => Err(stale("model")),
            Err(error) if error.is_foreign_key_violation() => Err(in_use()),
            Err(error) => Err(error.into()),
        }
    }

    /// Registers a model file as the next version of `model`, which is created when it does not exist. The same file
    /// from the same run is the version that is there already.
    pub async fn register_version(
        &self,
        caller: &Caller,
        name: &ModelName,
        run_id: &RunId,
        facts: ModelFacts,
    ) -> Result<ModelVersion, Error> {
        let request = Request::new(caller, None, "RegisterModelVersion", &())?;
        self.register(name, run_id, facts, "", &request).await
    }

    /// Registers the model of a succeeded training run.
    ///
    /// # Errors
    /// `RUN_NOT_SUCCEEDED`, or `RUN_WITHOUT_MODEL` for a run that was logged from outside.
    pub async fn register_run(
        &self,
        caller: &Caller,
        name: &ModelName,
        run_id: &RunId,
        description: &str,
        request_id: Option<RequestId>,
    ) -> Result<ModelVersion, Error> {
        check::description(description)?;
        let request = Request::new(caller, request_id.as_ref(), "RegisterModelVersion", &(name, run_id, description))?;
        let found = self.0.runs().get(run_id).await?;
        if found.state != State::Succeeded {
            return Err(Error::precondition(
                "RUN_NOT_SUCCEEDED",
                format!("run `{run_id}` is {}; only a succeeded run can be registered", found.state),
            ));
        }
        let Some(facts) = self.0.runs().model(run_id).await? else {
            return Err(Error::precondition("RUN_WITHOUT_MODEL", format!("run `{run_id}` made no model file")));
        };
        self.register(name, run_id, facts, description, &request).await
    }

    async fn register(
        &self,
        name: &ModelName,
        run_id: &RunId,
        facts: ModelFacts,
        description: &str,
        request: &Request<'_>,
    ) -> Result<ModelVersion, Error> {
        let now = self.0.now();
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.earlier(&mut tx).await? {
            return version_by_id(&mut tx, &earlier).await;
        }
        let (_, version) = self.next_version(&mut tx, name, run_id, facts, description).await?;
        if let Some(earlier) = request.claim(&mut tx, version.id.as_str(), now).await? {
            tx.rollback().await?;
            return version_by_id(&mut self.0.read().await?, &earlier).await;
        }
        tx.commit().await?;
        Ok(version)
    }

    /// Makes the next version of `name`, which is created when it does not exist, or finds the one that this file from this
    /// run is already. Leaves the model locked.
    pub(crate) async fn next_version(
        &self,
        tx: &mut Tx,
        name: &ModelName,
        run_id: &RunId,
        facts: ModelFacts,
        description: &str,
    ) -> Result<(RegisteredModel, ModelVersion), Error> {
        let now = self.0.now();
        if run::existing(tx, &[run_id.as_str()]).await?.is_empty() {
            return Err(crate::run::missing(run_id));
        }
        // `false`: it is there, which serves as well.
        model::insert(tx, &RegisteredModelId::new(), name, "", &Tags::new(), now).await?;
        let found = find::model(tx, name.as_str()).await?;
        // Those that register at the same time wait for one another here, so that numbers have no gap.
        model::lock(tx, &found.id).await?;
        if let Some(version) = model::same_version(tx, &found.id, run_id, &facts.digest).await? {
            return Ok((found, version));
        }
        let number = model::next_version(tx, &found.id, now)
            .await?
            .ok_or_else(|| Error::not_found(format!("model `{name}` was deleted meanwhile")))?;
        let version = ModelVersion {
            id: ModelVersionId::new(),
            model_id: found.id.clone(),
            model_name: found.name.clone(),
            number,
            run_id: run_id.clone(),
            digest: facts.digest,
            size_bytes: facts.size_bytes,
            kind: facts.kind,
            classes: facts.classes,
            contract_hash: facts.contract_hash,
            metrics: facts.metrics,
            description: description.to_owned(),
            created_at: now,
        };
        model::insert_version(tx, &version).await?;
        Ok((found, version))
    }

    /// A version by number (`3`), alias (`champion`) or `latest`.
    pub async fn get_version(&self, model: &str, version: &str) -> Result<ModelVersion, Error> {
        let version = VersionRef::parse(version)?;
        let mut tx = self.0.read().await?;
        let found = find::model(&mut tx, model).await?;
        let name = &found.name;
        let number = match version {
            VersionRef::Number(number) => number,
            VersionRef::Latest if found.latest_version == 0 => {
                return Err(Error::not_found(format!("model `{name}` has no version yet; register a run")));
            }
            VersionRef::Latest => found.latest_version,
            VersionRef::Alias(alias) => *found.aliases.get(alias.as_str()).ok_or_else(|| {
                Error::not_found(format!("model `{name}` has no alias `{alias}`; set it to a version first"))
            })?,
        };
        version_by_number(&mut tx, &found, number).await
    }

    /// Those of these versions that exist, in any order.
    pub async fn versions_by_ids(&self, ids: &[ModelVersionId]) -> Result<Vec<ModelVersion>, Error> {
        Ok(model::versions_by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// Those of these versions, each a model and a number, that exist, in any order.
    pub async fn versions_by_numbers(&self, versions: &[(RegisteredModelId, i64)]) -> Result<Vec<ModelVersion>, Error> {
        let pairs: Vec<_> = versions.iter().map(|(id, number)| (id.as_str(), *number)).collect();
        Ok(model::versions_by_numbers(&mut self.0.read().await?, &pairs).await?)
    }

    /// The versions that came from these runs, oldest first.
    pub async fn versions_by_runs(&self, runs: &[RunId]) -> Result<Vec<ModelVersion>, Error> {
        Ok(model::versions_by_runs(&mut self.0.read().await?, &texts!(runs)).await?)
    }

    /// Newest first.
    pub async fn list_versions(&self, model: &str, page: PageRequest) -> Result<Page<ModelVersion>, Error> {
        let mut tx = self.0.read().await?;
        let found = find::model(&mut tx, model).await?;
        let paging: Paging<i64> = Paging::start("ListModelVersions", &found.id, &page)?;
        let before = paging.after.unwrap_or(i64::MAX);
        let rows = model::list_versions(&mut tx, &found.id, before, paging.limit()).await?;
        paging.finish(rows, |version| version.number)
    }
}

async fn version_by_id(tx: &mut Tx, id: &str) -> Result<ModelVersion, Error> {
    model::version_by_id(tx, id).await?.ok_or_else(|| deleted_since("model version"))
}

pub(crate) async fn version_by_number(
    tx: &mut Tx,
    found: &RegisteredModel,
    number: i64,
) -> Result<ModelVersion, Error> {
    model::version_by_number(tx, &found.id, number).await?.ok_or_else(|| {
        Error::not_found(format!("model `{}` has no version {number}; latest is {}", found.name, found.latest_version))
    })
}
