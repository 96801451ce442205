//! Datasets and their versions.

use serde::Serialize;
use serde_json::{Value, json};
use tenor_domain::{
    Caller, Dataset, DatasetId, DatasetName, DatasetVersion, DatasetVersionId, Error, Etag, ImportOutcome, Page,
    PageRequest, RequestId, State, Tags, UploadId,
};
use tenor_queue::Fence;
use tenor_store::{Tx, dataset, upload};

use crate::canonical::options;
use crate::find::{self, check_etag, illegal_transition, stale, texts};
use crate::idempotency::{Request, deleted_since};
use crate::job::{IMPORT_DATASET, enqueue};
use crate::page::Paging;
use crate::{Platform, check};

/// A dataset to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewDataset {
    pub name: DatasetName,
    pub description: String,
    pub tags: Tags,
}

/// What to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct DatasetPatch {
    pub description: Option<String>,
    /// Replaces all tags.
    pub tags: Option<Tags>,
}

/// A completed upload to import.
#[derive(Debug, Clone, Serialize)]
pub struct ImportRequest {
    /// Name or id; a name when it may have to be created.
    pub dataset: String,
    pub create_dataset: bool,
    pub upload_id: UploadId,
    /// `data::ImportOptions` as JSON; null for the defaults.
    pub options: Value,
}

/// The use cases of datasets.
#[derive(Clone, Copy)]
pub struct Datasets<'a>(pub(crate) &'a Platform);

impl Datasets<'_> {
    /// Creates a dataset; with `validate_only` only says whether it could.
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewDataset,
        request_id: Option<RequestId>,
        validate_only: bool,
    ) -> Result<Dataset, Error> {
        check::description(&new.description)?;
        check::tags(&new.tags)?;
        let now = self.0.now();
        let id = DatasetId::new();
        let request = Request::new(caller, request_id.as_ref(), "CreateDataset", &new)?;
        let mut tx = if validate_only { self.0.read().await? } else { self.0.write().await? };
        if validate_only {
            if dataset::by_name(&mut tx, new.name.as_str()).await?.is_some() {
                return Err(taken(&new.name));
            }
            return Ok(Dataset {
                id,
                name: new.name,
                description: new.description,
                tags: new.tags,
                created_at: now,
                updated_at: now,
                etag: Etag(1),
                latest_version: 0,
            });
        }
        if let Some(earlier) = request.claim(&mut tx, id.as_str(), now).await? {
            return dataset::by_id(&mut tx, &earlier).await?.ok_or_else(|| deleted_since("dataset"));
        }
        if !dataset::insert(&mut tx, &id, &new.name, &new.description, &new.tags, now).await? {
            return Err(taken(&new.name));
        }
        let created = dataset::by_id(&mut tx, id.as_str()).await?.ok_or_else(|| deleted_since("dataset"))?;
        tx.commit().await?;
        Ok(created)
    }

    /// By name or id.
    pub async fn get(&self, dataset: &str) -> Result<Dataset, Error> {
        find::dataset(&mut self.0.read().await?, dataset).await
    }

    /// Those of these datasets that exist, in any order; in one statement, as all `by_ids` are.
    pub async fn by_ids(&self, ids: &[DatasetId]) -> Result<Vec<Dataset>, Error> {
        Ok(dataset::by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// By name; only names that begin with `name_prefix`, if given.
    pub async fn list(&self, page: PageRequest, name_prefix: Option<&str>) -> Result<Page<Dataset>, Error> {
        let prefix = name_prefix.unwrap_or_default();
        check::label("name_prefix", prefix)?;
        let paging: Paging<String> = Paging::start("ListDatasets", &prefix, &page)?;
        let after = paging.after.as_deref().unwrap_or_default();
        let rows = dataset::list(&mut self.0.read().await?, prefix, after, paging.limit()).await?;
        paging.finish(rows, |dataset| dataset.name.as_str().to_owned())
    }

    pub async fn update(&self, dataset: &str, patch: DatasetPatch, etag: Option<Etag>) -> Result<Dataset, Error> {
        patch.description.as_deref().map_or(Ok(()), check::description)?;
        patch.tags.as_ref().map_or(Ok(()), check::tags)?;
        let mut tx = self.0.write().await?;
        let found = find::dataset(&mut tx, dataset).await?;
        let (description, tags) = (patch.description.as_deref(), patch.tags.as_ref());
        let updated = dataset::update(&mut tx, &found.id, description, tags, etag, self.0.now()).await?;
        let updated = updated.ok_or_else(|| stale("dataset"))?;
        tx.commit().await?;
        Ok(updated)
    }

    /// Deletes a dataset with its versions and splits. Refused while a run uses one of the splits.
    pub async fn delete(&self, dataset: &str, etag: Option<Etag>) -> Result<(), Error> {
        let mut tx = self.0.write().await?;
        let found = find::dataset(&mut tx, dataset).await?;
        check_etag("dataset", etag, found.etag)?;
        let in_use = |runs: &str| {
            Error::precondition(
                "DATASET_IN_USE",
                format!("dataset `{}` is used by {runs}; delete those first", found.name),
            )
        };
        let runs = dataset::runs_using(&mut tx, &found.id).await?;
        if runs > 0 {
            return Err(in_use(&format!("{runs} run{}", if runs == 1 { "" } else { "s" })));
        }
        match dataset::delete(&mut tx, &found.id, etag).await {
            Ok(true) => Ok(tx.commit().await?),
            Ok(false) => Err(stale("dataset")),
            // A run came in between.
            Err(error) if error.is_foreign_key_violation() => Err(in_use("a new run")),
            Err(error) => Err(error.into()),
        }
    }

    /// Imports a completed upload as the next version and enqueues the job that reads it. The same bytes with the same
    /// options are the version that is there already.
    pub async fn import(
        &self,
        caller: &Caller,
        import: ImportRequest,
        request_id: Option<RequestId>,
    ) -> Result<DatasetVersion, Error> {
        self.import_or_check(caller, import, request_id, false).await
    }

    /// The version that [`import`](Self::import) would make or find; nothing is made.
    pub async fn check_import(&self, caller: &Caller, import: ImportRequest) -> Result<DatasetVersion, Error> {
        self.import_or_check(caller, import, None, true).await
    }

    async fn import_or_check(
        &self,
        caller: &Caller,
        import: ImportRequest,
        request_id: Option<RequestId>,
        check_only: bool,
    ) -> Result<DatasetVersion, Error> {
        let (stored_options, options_digest) = options("options", &import.options)?;
        self.0.acceptance.as_ref().map_or(Ok(()), |acceptance| acceptance.import_options(&stored_options))?;
        let now = self.0.now();
        let mut tx = self.0.write().await?;
        let upload = upload::by_id(&mut tx, &import.upload_id).await?.ok_or_else(|| {
            Error::not_found(format!("upload `{}` does not exist; start a new one", import.upload_id))
        })?;
        let Some(source_digest) = upload.digest else {
            return Err(Error::precondition(
                "UPLOAD_INCOMPLETE",
                format!("upload `{}` is not complete; send the rest and complete it", upload.id),
            ));
        };
        // The same command again sends the same bytes by another upload: what they are makes the request.
        let asked = (&import.dataset, import.create_dataset, source_digest, options_digest);
        let request = Request::new(caller, request_id.as_ref(), "ImportDatasetVersion", &asked)?;
        if let Some(earlier) = request.earlier(&mut tx).await? {
            return version_by_id(&mut tx, &earlier).await;
        }
        let dataset = self.dataset_for_import(&mut tx, &import).await?;
        dataset::lock(&mut tx, &dataset.id).await?;
        let same = dataset::same_version(&mut tx, &dataset.id, &source_digest, &options_digest).await?;
        let version = match same {
            Some(version) => version,
            None => {
                let number = dataset::next_version(&mut tx, &dataset.id, now)
                    .await?
                    .ok_or_else(|| Error::not_found(format!("dataset `{}` was deleted meanwhile", dataset.name)))?;
                let mut version = DatasetVersion {
                    id: DatasetVersionId::new(),
                    dataset_id: dataset.id,
                    number,
                    state: State::Pending,
                    source_digest,
                    source_bytes: upload.received_bytes,
                    file_name: upload.file_name,
                    options: stored_options,
                    options_digest,
                    job_id: None,
                    error: None,
                    created_at: now,
                    finished_at: None,
                    outcome: None,
                };
                if check_only {
                    return Ok(version);
                }
                dataset::insert_version(&mut tx, &version).await?;
                let payload = json!({ "dataset_version_id": version.id });
                let job = enqueue(self.0, &mut tx, caller, IMPORT_DATASET, payload, None).await?;
                dataset::set_version_job(&mut tx, &version.id, job).await?;
                version.job_id = Some(job);
                version
            }
        };
        if let Some(earlier) = request.claim(&mut tx, version.id.as_str(), now).await? {
            tx.rollback().await?;
            return version_by_id(&mut self.0.read().await?, &earlier).await;
        }
        tx.commit().await?;
        self.0.queue.wake();
        Ok(version)
    }

    async fn dataset_for_import(&self, tx: &mut Tx, import: &ImportRequest) -> Result<Dataset, Error> {
        match find::dataset(tx, &import.dataset).await {
            Err(error) if import.create_dataset && error.kind == tenor_domain::ErrorKind::NotFound => {
                let name = DatasetName::parse(&import.dataset)?;
                // `false`: somebody else has just created it, which serves as well.
                dataset::insert(tx, &DatasetId::new(), &name, "", &Tags::new(), self.0.now()).await?;
                find::dataset(tx, name.as_str()).await
            }
            found => found,
        }
    }

    /// Version `number` of a dataset, or the newest for `None`.
    pub async fn get_version(&self, dataset: &str, number: Option<i64>) -> Result<DatasetVersion, Error> {
        let mut tx = self.0.read().await?;
        let found = find::dataset(&mut tx, dataset).await?;
        version(&mut tx, &found, number).await
    }

    pub async fn get_version_by_id(&self, id: &DatasetVersionId) -> Result<DatasetVersion, Error> {
        version_by_id(&mut self.0.read().await?, id.as_str()).await
    }

    /// Those of these versions that exist, in any order.
    pub async fn versions_by_ids(&self, ids: &[DatasetVersionId]) -> Result<Vec<DatasetVersion>, Error> {
        Ok(dataset::versions_by_ids(&mut self.0.read().await?, &texts!(ids)).await?)
    }

    /// Those of these versions, each a dataset and a number, that exist, in any order.
    pub async fn versions_by_numbers(&self, versions: &[(DatasetId, i64)]) -> Result<Vec<DatasetVersion>, Error> {
        let pairs: Vec<_> = versions.iter().map(|(id, number)| (id.as_str(), *number)).collect();
        Ok(dataset::versions_by_numbers(&mut self.0.read().await?, &pairs).await?)
    }

    /// Newest first.
    pub async fn list_versions(&self, dataset: &str, page: PageRequest) -> Result<Page<DatasetVersion>, Error> {
        let mut tx = self.0.read().await?;
        let found = find::dataset(&mut tx, dataset).await?;
        let paging: Paging<i64> = Paging::start("ListDatasetVersions", &found.id, &page)?;
        let before = paging.after.unwrap_or(i64::MAX);
        let rows = dataset::list_versions(&mut tx, &found.id, before, paging.limit()).await?;
        paging.finish(rows, |version| version.number)
    }

    /// The import job has begun.
    pub async fn start_import(&self, fence: &Fence, id: &DatasetVersionId) -> Result<DatasetVersion, Error> {
        self.settle_import(fence, id, State::Running, None, None).await
    }

    /// The import job has ended: with what it made, or with why not.
    pub async fn finish_import(
        &self,
        fence: &Fence,
        id: &DatasetVersionId,
        result: Result<ImportOutcome, String>,
    ) -> Result<DatasetVersion, Error> {
        match &result {
            Ok(outcome) => self.settle_import(fence, id, State::Succeeded, None, Some(outcome)).await,
            Err(why) => self.settle_import(fence, id, State::Failed, Some(&check::failure(why)), None).await,
        }
    }

    async fn settle_import(
        &self,
        fence: &Fence,
        id: &DatasetVersionId,
        state: State,
        error: Option<&str>,
        outcome: Option<&ImportOutcome>,
    ) -> Result<DatasetVersion, Error> {
        let mut tx = self.0.write().await?;
        tenor_queue::check_fence(&mut tx, fence).await?;
        let moved = dataset::move_version(&mut tx, id.as_str(), state, error, outcome, self.0.now()).await?;
        let Some(version) = moved else {
            let found = version_by_id(&mut tx, id.as_str()).await?;
            return Err(illegal_transition("dataset version", found.state, state));
        };
        tx.commit().await?;
        Ok(version)
    }
}

fn taken(name: &DatasetName) -> Error {
    Error::already_exists(format!("dataset `{name}` exists already; choose another name"))
}

async fn version_by_id(tx: &mut Tx, id: &str) -> Result<DatasetVersion, Error> {
    dataset::version_by_id(tx, id)
        .await?
        .ok_or_else(|| Error::not_found(format!("dataset version `{id}` does not exist; it may have been deleted")))
}

pub(crate) async fn version(tx: &mut Tx, found: &Dataset, number: Option<i64>) -> Result<DatasetVersion, Error> {
    let (name, latest) = (&found.name, found.latest_version);
    if latest == 0 {
        return Err(Error::not_found(format!("dataset `{name}` has no version yet; import a file first")));
    }
    let number = number.unwrap_or(latest);
    dataset::version_by_number(tx, &found.id, number)
        .await?
        .ok_or_else(|| Error::not_found(format!("dataset `{name}` has no version {number}; latest is {latest}")))
}
