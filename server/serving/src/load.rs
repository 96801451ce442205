//! From a version in the registry to a model in memory.

use std::sync::Arc;

use tenor_domain::{Deployment, Error};
use tenor_learn::{Model, ModelFile, Registry};
use tenor_platform::Platform;
use tokio::sync::OwnedSemaphorePermit;

/// Reads, checks and warms up a version; the model, and the size of its file in bytes. `place` is free again when the work has
/// ended, which may be after the caller has gone: a thread cannot be stopped.
pub(crate) async fn load(
    platform: &Platform,
    registry: &Arc<Registry>,
    deployment: &Deployment,
    version: i64,
    place: Option<OwnedSemaphorePermit>,
) -> Result<(Box<dyn Model>, usize), LoadError> {
    let model_name = deployment.model_name.as_str();
    let found = platform.models().get_version(model_name, &version.to_string()).await.map_err(LoadError::Away)?;
    let bytes = platform.blobs().get_bytes(&found.digest, ModelFile::MAX_BYTES as u64).await;
    let bytes = bytes.map_err(LoadError::of_blob)?;
    let registry = Arc::clone(registry);
    let size_bytes = bytes.len();
    let model = tokio::task::spawn_blocking(move || {
        // Loading ends with the self-test on the file's golden examples, which also warms the model up.
        let loaded = registry.load(&bytes).map(|(model, _)| model);
        drop(place);
        loaded
    })
    .await
    .map_err(|_| LoadError::Broken("the model file made the loader panic".to_owned()))?
    .map_err(|error| LoadError::Broken(error.to_string()))?;
    Ok((model, size_bytes))
}

/// Why a version is not served.
pub(crate) enum LoadError {
    /// The database or the blob store did not answer.
    Away(Error),
    /// The file itself.
    Broken(String),
}

impl LoadError {
    fn of_blob(error: tenor_store::Error) -> Self {
        use tenor_store::Error::{BlobCorrupt, BlobMissing, BlobTooLarge};
        match error {
            BlobMissing(_) => Self::Broken("the model file is missing from the blob store".to_owned()),
            BlobCorrupt { .. } => {
                Self::Broken("the model file is damaged: its bytes do not match its digest".to_owned())
            }
            BlobTooLarge { size_bytes, limit_bytes, .. } => {
                Self::Broken(format!("the model file has {size_bytes} bytes; this server loads at most {limit_bytes}"))
            }
            other => Self::Away(other.into()),
        }
    }
}
