//! What the fields of many nodes refer to, in one statement a type.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tenor_domain::{
    Artifact, Dataset, DatasetId, DatasetVersion, DatasetVersionId, Deployment, DeploymentId, Experiment, ExperimentId,
    ModelVersion, ModelVersionId, RegisteredModel, RegisteredModelId, Run, RunId, Split, SplitId, Study, StudyId,
};

use crate::batch::Table;
use crate::error::Result;
use crate::scope::Scope;

/// What a row can be loaded by.
pub(crate) trait Key: Clone + Eq + Hash {
    type Row: Clone;
    fn table(tables: &Tables) -> &Table<Self, Self::Row>;
}

/// A version of a dataset by number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DatasetVersionNumber(pub DatasetId, pub i64);

/// A version of a model by number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ModelVersionNumber(pub RegisteredModelId, pub i64);

/// All artifacts of a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ArtifactsOf(pub RunId);

/// The model versions that came from a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct VersionsFrom(pub RunId);

macro_rules! tables {
    ($($table:ident: $key:ty => $row:ty, |$read:ident, $keys:ident| $found:expr;)*) => {
        /// The tables of an operation.
        #[derive(Default)]
        pub(crate) struct Tables { $($table: Table<$key, $row>,)* }

        $(
            impl Key for $key {
                type Row = $row;
                fn table(tables: &Tables) -> &Table<Self, $row> {
                    &tables.$table
                }
            }
        )*

        /// A batch for each type of which something is wanted.
        pub(crate) fn batches(scope: &Arc<Scope>) -> Vec<BoxFuture<'static, ()>> {
            let mut batches = Vec::new();
            $({
                let $keys: Vec<$key> = scope.tables.$table.take();
                if !$keys.is_empty() {
                    let scope = Arc::clone(scope);
                    let batch = async move {
                        let found: Result<HashMap<$key, $row>> = async {
                            let $read = scope.read().await;
                            Ok($found)
                        }
                        .await;
                        scope.tables.$table.put($keys, found);
                    };
                    batches.push(batch.boxed());
                }
            })*
            batches
        }
    };
}

tables! {
    datasets: DatasetId => Arc<Dataset>,
        |read, ids| keyed(read.datasets().by_ids(&ids).await?, |row| row.id.clone());
    dataset_versions: DatasetVersionId => Arc<DatasetVersion>,
        |read, ids| keyed(read.datasets().versions_by_ids(&ids).await?, |row| row.id.clone());
    numbered_dataset_versions: DatasetVersionNumber => Arc<DatasetVersion>,
        |read, numbers| {
            let pairs: Vec<_> = numbers.iter().map(|key| (key.0.clone(), key.1)).collect();
            let rows = read.datasets().versions_by_numbers(&pairs).await?;
            keyed(rows, |row| DatasetVersionNumber(row.dataset_id.clone(), row.number))
        };
    splits: SplitId => Arc<Split>,
        |read, ids| keyed(read.splits().by_ids(&ids).await?, |row| row.id.clone());
    experiments: ExperimentId => Arc<Experiment>,
        |read, ids| keyed(read.experiments().by_ids(&ids).await?, |row| row.id.clone());
    runs: RunId => Arc<Run>,
        |read, ids| keyed(read.runs().by_ids(&ids).await?, |row| row.id.clone());
    studies: StudyId => Arc<Study>,
        |read, ids| keyed(read.studies().by_ids(&ids).await?, |row| row.id.clone());
    artifacts: ArtifactsOf => Arc<Vec<Artifact>>,
        |read, runs| {
            let ids: Vec<_> = runs.iter().map(|key| key.0.clone()).collect();
            grouped(read.runs().artifacts_of(&ids).await?, |row| ArtifactsOf(row.run_id.clone()))
        };
    models: RegisteredModelId => Arc<RegisteredModel>,
        |read, ids| keyed(read.models().by_ids(&ids).await?, |row| row.id.clone());
    model_versions: ModelVersionId => Arc<ModelVersion>,
        |read, ids| keyed(read.models().versions_by_ids(&ids).await?, |row| row.id.clone());
    numbered_model_versions: ModelVersionNumber => Arc<ModelVersion>,
        |read, numbers| {
            let pairs: Vec<_> = numbers.iter().map(|key| (key.0.clone(), key.1)).collect();
            let rows = read.models().versions_by_numbers(&pairs).await?;
            keyed(rows, |row| ModelVersionNumber(row.model_id.clone(), row.number))
        };
    versions_of_runs: VersionsFrom => Arc<Vec<Arc<ModelVersion>>>,
        |read, runs| {
            let ids: Vec<_> = runs.iter().map(|key| key.0.clone()).collect();
            let rows = read.models().versions_by_runs(&ids).await?;
            grouped(rows.into_iter().map(Arc::new).collect(), |row| VersionsFrom(row.run_id.clone()))
        };
    deployments: DeploymentId => Arc<Deployment>,
        |read, ids| keyed(read.deployments().by_ids(&ids).await?, |row| row.id.clone());
}

/// Rows by key.
fn keyed<K: Eq + Hash, T>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Arc<T>> {
    rows.into_iter().map(|row| (key(&row), Arc::new(row))).collect()
}

/// Rows by a key that many have, in their order.
fn grouped<K: Eq + Hash, T>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Arc<Vec<T>>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect()
}
