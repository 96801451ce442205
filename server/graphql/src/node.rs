//! Every kind of node by its global id.

use async_graphql::{Context, ID, Interface, Object};
use futures::future::try_join_all;
use tenor_domain::{Error, ErrorKind, JobId};

use crate::connection::many_cost;
use crate::dataset::{Dataset, DatasetVersion};
use crate::deployment::Deployment;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::global_id::GlobalId;
use crate::job::Job;
use crate::model::{Model, ModelVersion};
use crate::run::Run;
use crate::scope::{Scope, scope};
use crate::split::Split;
use crate::study::Study;

/// The most ids of one `nodes`.
const MAX_NODES: usize = 100;

/// Anything with a global id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The same for ever; opaque."))]
pub(crate) enum Node {
    Dataset(Dataset),
    DatasetVersion(DatasetVersion),
    Split(Split),
    Experiment(Experiment),
    Run(Run),
    Study(Study),
    Model(Model),
    ModelVersion(ModelVersion),
    Deployment(Deployment),
    Job(Job),
}

async fn find(scope: &Scope, id: GlobalId) -> Result<Option<Node>> {
    Ok(match id {
        GlobalId::Dataset(id) => scope.load(id).await?.map(|row| Dataset(row).into()),
        GlobalId::DatasetVersion(id) => scope.load(id).await?.map(|row| DatasetVersion(row).into()),
        GlobalId::Split(id) => scope.load(id).await?.map(|row| Split(row).into()),
        GlobalId::Experiment(id) => scope.load(id).await?.map(|row| Experiment(row).into()),
        GlobalId::Run(id) => scope.load(id).await?.map(|row| Run(row).into()),
        GlobalId::Study(id) => scope.load(id).await?.map(|row| Study(row).into()),
        GlobalId::Model(id) => scope.load(id).await?.map(|row| Model(row).into()),
        GlobalId::ModelVersion(id) => scope.load(id).await?.map(|row| ModelVersion(row).into()),
        GlobalId::Deployment(id) => scope.load(id).await?.map(|row| Deployment(row).into()),
        GlobalId::Job(id) => job(scope, id).await?.map(|job| Job::from(job).into()),
    })
}

/// The queue reads jobs one by one.
async fn job(scope: &Scope, id: JobId) -> Result<Option<tenor_domain::Job>> {
    match scope.read().await.jobs().get(id).await {
        Ok(job) => Ok(Some(job)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The queries of nodes.
#[derive(Default)]
pub(crate) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// The node with this global id; null when there is none.
    #[graphql(complexity = "many_cost(1, child_complexity)")]
    async fn node(&self, context: &Context<'_>, id: ID) -> Result<Option<Node>> {
        find(scope(context), GlobalId::parse(&id)?).await
    }
    /// The nodes with these global ids, at most 100, in their order; null where there is none.
    #[graphql(complexity = "many_cost(ids.len(), child_complexity)")]
    async fn nodes(&self, context: &Context<'_>, ids: Vec<ID>) -> Result<Option<Vec<Option<Node>>>> {
        if ids.len() > MAX_NODES {
            let description = format!("must be at most {MAX_NODES}, got {}; ask for them in parts", ids.len());
            return Err(Error::invalid("ids", description).into());
        }
        let ids = ids.iter().map(GlobalId::parse).collect::<Result<Vec<_>>>()?;
        Ok(Some(try_join_all(ids.into_iter().map(|id| find(scope(context), id))).await?))
    }
}
