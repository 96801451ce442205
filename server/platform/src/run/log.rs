//! What is logged to a run: parameters, metrics, tags, artifacts, and the facts of the model it made.
//!
//! A job passes its fence: the write is refused once another attempt owns the job.

use std::collections::BTreeMap;

use tenor_domain::{Artifact, Caller, Digest, Error, Metric, ParamValue, RequestId, RunId, Tags};
use tenor_queue::Fence;
use tenor_store::{Tx, run};

use super::{Runs, by_id, check_params, missing};
use crate::find::texts;
use crate::metric::MetricBatch;
use crate::{ModelFacts, check};

/// A blob to be named as an artifact of a run.
#[derive(Debug, Clone)]
pub struct NewArtifact {
    /// A slash-separated relative label, e.g. `plots/confusion.svg`.
    pub name: String,
    pub media_type: String,
    pub digest: Digest,
}

impl Runs<'_> {
    pub(super) async fn begin(&self, fence: Option<&Fence>) -> Result<Tx, Error> {
        let mut tx = self.0.write().await?;
        if let Some(fence) = fence {
            tenor_queue::check_fence(&mut tx, fence).await?;
        }
        Ok(tx)
    }

    /// Logs parameters. Each is written once: the same value again changes nothing.
    ///
    /// # Errors
    /// `PARAM_REWRITTEN` when one has another value already; then none is written.
    pub async fn log_params(
        &self,
        id: &RunId,
        params: BTreeMap<String, ParamValue>,
        fence: Option<&Fence>,
    ) -> Result<(), Error> {
        check_params(&params)?;
        let mut tx = self.begin(fence).await?;
        if run::existing(&mut tx, &[id.as_str()]).await?.is_empty() {
            return Err(missing(id));
        }
        run::insert_params(&mut tx, id, &params).await?;
        let stored = run::params(&mut tx, id).await?;
        for (key, value) in &params {
            if let Some(there) = stored.get(key)
                && !same(there, value)
            {
                return Err(Error::precondition(
                    "PARAM_REWRITTEN",
                    format!(
                        "parameter `{key}` of run `{id}` is `{there}` and cannot become `{value}`; log another key"
                    ),
                ));
            }
        }
        Ok(tx.commit().await?)
    }

    /// Logs a batch of metrics, at most 10,000 points. A point with the key and step of an earlier one replaces it; NaN
    /// and the infinities are kept. A batch with an id that was logged before is not logged again.
    pub async fn log_metrics(
        &self,
        caller: &Caller,
        id: &RunId,
        metrics: Vec<Metric>,
        batch_id: Option<RequestId>,
        fence: Option<&Fence>,
    ) -> Result<(), Error> {
        let batch = MetricBatch { run: id.clone(), metrics, id: batch_id };
        self.0.write_metrics(caller, batch, fence).await
    }

    /// Logs batches in their order, in one transaction: one result a batch. Nothing after the first batch that breaks a
    /// limit is logged; a batch whose run is gone, or whose id was used for another, keeps no other from being logged.
    pub async fn log_metric_batches(
        &self,
        caller: &Caller,
        batches: Vec<MetricBatch>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.0.write_batches(caller, batches).await
    }

    /// Sets tags; others stay.
    pub async fn set_tags(&self, id: &RunId, tags: &Tags, fence: Option<&Fence>) -> Result<(), Error> {
        check::tags(tags)?;
        let mut tx = self.begin(fence).await?;
        if !run::update(&mut tx, id, None, None, None).await? {
            return Err(missing(id));
        }
        run::put_tags(&mut tx, id, tags).await?;
        check::tags(&run::tags(&mut tx, id).await?)?;
        Ok(tx.commit().await?)
    }

    /// Whether an artifact may be called so: worth asking before its bytes are sent.
    pub fn check_artifact(name: &str, media_type: &str) -> Result<(), Error> {
        check::artifact_name(name)?;
        check::label("media_type", media_type)
    }

    /// Names a blob as an artifact of the run. The same name again means the new blob from then on.
    pub async fn add_artifact(&self, id: &RunId, new: NewArtifact, fence: Option<&Fence>) -> Result<Artifact, Error> {
        Self::check_artifact(&new.name, &new.media_type)?;
        let size_bytes = self.0.blobs.size(&new.digest).await?.ok_or_else(|| {
            Error::precondition("BLOB_UNKNOWN", format!("no blob has the digest {}; send its bytes first", new.digest))
        })?;
        let artifact = Artifact {
            run_id: id.clone(),
            name: new.name,
            digest: new.digest,
            size_bytes: i64::try_from(size_bytes).unwrap_or(i64::MAX),
            media_type: new.media_type,
            created_at: self.0.now(),
        };
        let mut tx = self.begin(fence).await?;
        match run::put_artifact(&mut tx, &artifact).await {
            Ok(()) => {}
            Err(error) if error.is_foreign_key_violation() => return Err(missing(id)),
            Err(error) => return Err(error.into()),
        }
        tx.commit().await?;
        Ok(artifact)
    }

    pub async fn get_artifact(&self, id: &RunId, name: &str) -> Result<Artifact, Error> {
        check::artifact_name(name)?;
        let mut tx = self.0.read().await?;
        if let Some(artifact) = run::artifact(&mut tx, id, name).await? {
            return Ok(artifact);
        }
        by_id(&mut tx, id).await?;
        Err(Error::not_found(format!("run `{id}` has no artifact `{name}`; list its artifacts")))
    }

    /// All artifacts of a run by name.
    pub async fn list_artifacts(&self, id: &RunId) -> Result<Vec<Artifact>, Error> {
        let mut tx = self.0.read().await?;
        let artifacts = run::artifacts(&mut tx, id).await?;
        if artifacts.is_empty() {
            by_id(&mut tx, id).await?;
        }
        Ok(artifacts)
    }

    /// All artifacts of these runs; those of one run stand together by name.
    pub async fn artifacts_of(&self, runs: &[RunId]) -> Result<Vec<Artifact>, Error> {
        Ok(run::artifacts_of(&mut self.0.read().await?, &texts!(runs)).await?)
    }

    /// The model that the run made, from which `models().register_run` makes a version.
    pub async fn model(&self, id: &RunId) -> Result<Option<ModelFacts>, Error> {
        let facts = run::model(&mut self.0.read().await?, id).await?;
        facts.map(|facts| serde_json::from_value(facts).map_err(Error::internal)).transpose()
    }
}

/// Equal to the bit: NaN is the same as NaN.
pub(super) fn same(one: &ParamValue, other: &ParamValue) -> bool {
    match (one, other) {
        (ParamValue::Float(one), ParamValue::Float(other)) => one == other || (one.is_nan() && other.is_nan()),
        _ => one == other,
    }
}
