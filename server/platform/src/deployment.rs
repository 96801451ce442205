//! Deployments: models under stable names.

use serde::Serialize;
use tenor_domain::{
    Caller, ContractMode, Deployment, DeploymentId, DeploymentName, DeploymentTarget, Error, Etag, ModelVersion, Page,
    PageRequest, RegisteredModel, RequestId,
};
use tenor_store::{Tx, deployment, model};
use tokio::sync::watch;

use crate::Platform;
use crate::find::{self, check_etag, stale, texts};
use crate::idempotency::{Request, deleted_since};
use crate::model::contract::check_replacement;
use crate::model::version_by_number;
use crate::page::Paging;

/// A deployment to create.
#[derive(Debug, Clone)]
pub struct NewDeployment {
    pub name: DeploymentName,
    /// Name or id.
    pub model: String,
    /// An alias may point nowhere yet; a version must exist.
    pub target: DeploymentTarget,
    pub contract_mode: ContractMode,
}

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct DeploymentPatch {
    pub target: Option<DeploymentTarget>,
    pub contract_mode: Option<ContractMode>,
    /// Serve the target even when its contract breaks the one that is served.
    pub allow_breaking_contract: bool,
}

#[derive(Serialize)]
struct Asked<'a> {
    name: &'a DeploymentName,
    model: &'a str,
    target: String,
    mode: ContractMode,
}

/// The use cases of deployments.
#[derive(Clone, Copy)]
pub struct Deployments<'a>(pub(crate) &'a Platform);

impl Deployments<'_> {
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewDeployment,
        request_id: Option<RequestId>,
    ) -> Result<Deployment, Error> {
        let now = self.0.now();
        let id = DeploymentId::new();
        let asked = Asked {
            name: &new.name,
            model: &new.model,
            target: match &new.target {
                DeploymentTarget::Alias(alias) => format!("@{alias}"),
                DeploymentTarget::Version(version) => version.to_string(),
            },
            mode: new.contract_mode,
        };
        let request = Request::new(caller, request_id.as_ref(), "CreateDeployment", &asked)?;
        let mut tx = self.0.write().await?;
        if let Some(earlier) = request.claim(&mut tx, id.as_str(), now).await? {
            return deployment::by_id(&mut tx, &earlier).await?.ok_or_else(|| deleted_since("deployment"));
        }
        let model = find::model(&mut tx, &new.model).await?;
        resolve_target(&mut tx, &model, &new.target).await?;
        let inserted =
            match deployment::insert(&mut tx, &id, &new.name, &model.id, &new.target, new.contract_mode, now).await {
                Ok(inserted) => inserted,
                // The model went in between.
                Err(error) if error.is_foreign_key_violation() => {
                    tx.rollback().await?;
                    return self.0.models().get(&new.model).await.and(Err(error.into()));
                }
                Err(error) => return Err(error.into()),
            };
        if !inserted {
            return Err(Error::already_exists(format!(
                "deployment `{}` exists already; choose another name, or update it",
                new.name
            )));
        }
        let created = deployment::by_id(&mut tx, id.as_str()).await?.ok_or_else(|| deleted_since("deployment"))?;
        tx.commit().await?;
        self.0.deployments_changed.send_replace(());
        Ok(created)
    }

    /// By name or id.
    pub async fn get(&self, deployment: &str) -> Result<Deployment, Error> {
        find::deployment(&mut self.0.read().await?, deployment).await
    }

    /// Those of these deployments that exist, in any order.
    pub async fn by_ids(&self, ids: &[DeploymentId]) -> Result<Vec<Deployment>, Error> {
        Ok(deployment::by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// By name.
    pub async fn list(&self, page: PageRequest) -> Result<Page<Deployment>, Error> {
        let paging: Paging<String> = Paging::start("ListDeployments", &(), &page)?;
        let after = paging.after.as_deref().unwrap_or_default();
        let rows = deployment::list(&mut self.0.read().await?, after, paging.limit()).await?;
        paging.finish(rows, |deployment| deployment.name.as_str().to_owned())
    }

    /// All deployments, each with the version that its target means now: what a server has to have loaded.
    pub async fn list_with_current(&self) -> Result<Vec<Deployment>, Error> {
        Ok(deployment::list(&mut self.0.read().await?, "", i64::MAX).await?)
    }

    /// Changes target or mode.
    ///
    /// # Errors
    /// `CONTRACT_BREAKING` when rows that are accepted now might be refused, or mean something else, with the new target.
    pub async fn update(
        &self,
        deployment: &str,
        patch: DeploymentPatch,
        etag: Option<Etag>,
    ) -> Result<Deployment, Error> {
        let mut tx = self.0.write().await?;
        let mut found = find::deployment(&mut tx, deployment).await?;
        if patch.target.is_some() {
            // Under the model's lock aliases stay where they are between looking and changing.
            model::lock(&mut tx, &found.model_id).await?;
            found = find::deployment(&mut tx, found.id.as_str()).await?;
        }
        check_etag("deployment", etag, found.etag)?;
        if let Some(target) = &patch.target {
            let model = find::model(&mut tx, found.model_id.as_str()).await?;
            let new = resolve_target(&mut tx, &model, target).await?;
            if let (Some(served), Some(new), false) = (found.current_version, &new, patch.allow_breaking_contract) {
                let name = [found.name.as_str().to_owned()];
                check_replacement(&mut tx, &model, served, new, &name).await?;
            }
        }
        let (target, mode) = (patch.target.as_ref(), patch.contract_mode);
        if !deployment::update(&mut tx, &found.id, target, mode, etag, self.0.now()).await? {
            return Err(stale("deployment"));
        }
        let updated = find::deployment(&mut tx, found.id.as_str()).await?;
        tx.commit().await?;
        self.0.deployments_changed.send_replace(());
        Ok(updated)
    }

    pub async fn delete(&self, deployment: &str, etag: Option<Etag>) -> Result<(), Error> {
        let mut tx = self.0.write().await?;
        let found = find::deployment(&mut tx, deployment).await?;
        check_etag("deployment", etag, found.etag)?;
        if !deployment::delete(&mut tx, &found.id, etag).await? {
            return Err(stale("deployment"));
        }
        tx.commit().await?;
        self.0.deployments_changed.send_replace(());
        Ok(())
    }

    /// Changes whenever this process may have changed what a deployment means. Other processes are not seen: look now and then.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.0.deployments_changed.subscribe()
    }

    /// The version that a deployment means now.
    ///
    /// # Errors
    /// `DEPLOYMENT_UNRESOLVED` while its alias points nowhere.
    pub async fn resolve(&self, deployment: &str) -> Result<ModelVersion, Error> {
        let mut tx = self.0.read().await?;
        let found = find::deployment(&mut tx, deployment).await?;
        let model = find::model(&mut tx, found.model_id.as_str()).await?;
        let Some(number) = found.current_version else {
            let target = match &found.target {
                DeploymentTarget::Alias(alias) => format!("alias `{alias}`"),
                DeploymentTarget::Version(version) => format!("version {version}"),
            };
            return Err(Error::precondition(
                "DEPLOYMENT_UNRESOLVED",
                format!(
                    "deployment `{}` has no version: {target} of model `{}` points nowhere; set it",
                    found.name, model.name
                ),
            ));
        };
        version_by_number(&mut tx, &model, number).await
    }
}

/// The version that a target means; `None` while its alias points nowhere.
async fn resolve_target(
    tx: &mut Tx,
    model: &RegisteredModel,
    target: &DeploymentTarget,
) -> Result<Option<ModelVersion>, Error> {
    let number = match target {
        DeploymentTarget::Version(number) => *number,
        DeploymentTarget::Alias(alias) => match model.aliases.get(alias.as_str()) {
            Some(number) => *number,
            None => return Ok(None),
        },
    };
    version_by_number(tx, model, number).await.map(Some)
}
