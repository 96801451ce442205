//! The end of a training run: its model, its version and its aliases are one transaction.

use tenor_domain::{AliasName, Caller, Error, ModelName, ModelVersion, RunId, State};
use tenor_queue::Fence;
use tenor_store::run;

use super::{Runs, by_id, missing};
use crate::model::{AliasMove, ModelFacts};

/// What a training made, and what is to become of it.
#[derive(Debug, Clone)]
pub struct TrainedModel {
    pub facts: ModelFacts,
    /// Register the model under this name.
    pub register_model: Option<ModelName>,
    /// Point these aliases at the new version.
    pub aliases: Vec<AliasName>,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct FinishedTraining {
    pub version: Option<ModelVersion>,
    /// Aliases that stay where they are, because a deployment follows them and its contract would break.
    pub refused: Vec<(AliasName, Error)>,
}

impl Runs<'_> {
    /// Ends a training run well, under its job's fence: all of it or nothing. A worker that lost its lease moves no alias, and no
    /// version of a run that failed is ever served.
    pub async fn finish_training(
        &self,
        fence: &Fence,
        caller: &Caller,
        id: &RunId,
        trained: TrainedModel,
    ) -> Result<FinishedTraining, Error> {
        let mut tx = self.begin(Some(fence)).await?;
        let facts = serde_json::to_value(&trained.facts).map_err(Error::internal)?;
        if !run::set_model(&mut tx, id, &facts).await? {
            return Err(missing(id));
        }
        let mut finished = FinishedTraining { version: None, refused: Vec::new() };
        if let Some(name) = &trained.register_model {
            let models = self.0.models();
            let (model, version) = models.next_version(&mut tx, name, id, trained.facts, "").await?;
            let why = format!("run {id} succeeded");
            for alias in trained.aliases {
                let to = AliasMove { why: &why, ..AliasMove::to(version.number) };
                match models.move_alias(&mut tx, caller, model.clone(), &alias, Some(to), (None, &why)).await {
                    Ok(_) => {}
                    Err(error) if error.reason == "CONTRACT_BREAKING" => finished.refused.push((alias, error)),
                    Err(error) => return Err(error),
                }
            }
            finished.version = Some(version);
        }
        let found = by_id(&mut tx, id).await?;
        self.change_state(&mut tx, &found, State::Succeeded, None).await?;
        tx.commit().await?;
        self.0.deployments_changed.send_replace(());
        Ok(finished)
    }
}
