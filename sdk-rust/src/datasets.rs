//! Datasets, their versions and splits.

use tenor_proto::v1::{
    CreateDatasetRequest, CreateSplitRequest, Dataset, DatasetVersion, DeleteDatasetRequest, GetDatasetRequest,
    GetDatasetVersionRequest, GetSplitRequest, ImportDatasetVersionRequest, ListDatasetVersionsRequest,
    ListDatasetsRequest, ListSplitsRequest, PreviewRowsRequest, Split, UpdateDatasetRequest,
};

use crate::client::unary;
use crate::page::items;
use crate::request::request_id;
use crate::{Change, Client, Items, NewNamed, Result};

/// Calls of `DatasetService`. Uploads are in [`Datasets::upload_file`] and its neighbours.
#[derive(Debug, Clone)]
pub struct Datasets {
    pub(crate) client: Client,
}

/// An import of a completed upload into a dataset, which is created when it does not exist.
#[derive(Debug, Clone)]
pub struct NewImport(ImportDatasetVersionRequest);

impl NewImport {
    pub fn new(dataset: impl Into<String>, upload_id: impl Into<String>) -> Self {
        Self(ImportDatasetVersionRequest {
            dataset: dataset.into(),
            create_dataset: true,
            upload_id: upload_id.into(),
            options_json: String::new(),
            request_id: request_id(),
            validate_only: false,
        })
    }
    /// Fail when the dataset does not exist.
    #[must_use]
    pub fn existing_dataset(mut self) -> Self {
        self.0.create_dataset = false;
        self
    }
    /// Column mapping, format, rules.
    #[must_use]
    pub fn options(mut self, options: &serde_json::Value) -> Self {
        self.0.options_json = options.to_string();
        self
    }
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
    /// Only say what would be made.
    #[must_use]
    pub fn validate_only(mut self) -> Self {
        self.0.validate_only = true;
        self
    }
}

/// Train, validation and test rows from a dataset version.
#[derive(Debug, Clone)]
pub struct NewSplit(CreateSplitRequest);

impl NewSplit {
    /// Of the newest version, with the default options.
    pub fn new(dataset: impl Into<String>) -> Self {
        Self(CreateSplitRequest { dataset: dataset.into(), request_id: request_id(), ..Default::default() })
    }
    /// Of this version; 0 means the newest.
    #[must_use]
    pub fn version(mut self, number: i64) -> Self {
        self.0.number = number;
        self
    }
    /// Task, cleaning, fractions, balance, seed.
    #[must_use]
    pub fn options(mut self, options: &serde_json::Value) -> Self {
        self.0.options_json = options.to_string();
        self
    }
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
    /// Only say what would be made.
    #[must_use]
    pub fn validate_only(mut self) -> Self {
        self.0.validate_only = true;
        self
    }
}

impl Datasets {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
    /// Creates a dataset.
    pub async fn create(&self, dataset: impl Into<NewNamed>) -> Result<Dataset> {
        let NewNamed { name, description, tags, request_id, validate_only } = dataset.into();
        let message = CreateDatasetRequest { name, description, tags, request_id, validate_only };
        unary!(self.client, dataset_api.create_dataset, Safe, message)
    }
    /// The dataset of that name or id.
    pub async fn get(&self, dataset: impl Into<String>) -> Result<Dataset> {
        unary!(self.client, dataset_api.get_dataset, Safe, GetDatasetRequest { dataset: dataset.into() })
    }
    /// The datasets whose names begin with `prefix`.
    pub fn list(&self, prefix: impl Into<String>) -> Items<Dataset> {
        let (client, name_prefix) = (self.client.clone(), prefix.into());
        items(move |page_token| {
            let message = ListDatasetsRequest { page_size: 0, page_token, name_prefix: name_prefix.clone() };
            let client = client.clone();
            async move {
                let page = unary!(client, dataset_api.list_datasets, Safe, message)?;
                Ok((page.datasets, page.next_page_token))
            }
        })
    }
    /// Changes description or tags.
    pub async fn update(&self, dataset: impl Into<String>, change: Change) -> Result<Dataset> {
        let (description, tags, replace_tags, etag) = change.split();
        let message = UpdateDatasetRequest { dataset: dataset.into(), description, tags, replace_tags, etag };
        unary!(self.client, dataset_api.update_dataset, Never, message)
    }
    /// Deletes a dataset with its versions and splits. An empty `etag` means "whatever is there".
    pub async fn delete(&self, dataset: impl Into<String>, etag: impl Into<String>) -> Result<()> {
        let message = DeleteDatasetRequest { dataset: dataset.into(), etag: etag.into() };
        unary!(self.client, dataset_api.delete_dataset, Never, message).map(drop)
    }
    /// Starts an import. Returns at once; follow `job_id` with [`Jobs::follow`](crate::Jobs::follow).
    pub async fn import(&self, import: NewImport) -> Result<DatasetVersion> {
        unary!(self.client, dataset_api.import_dataset_version, Safe, import.0)
    }
    /// A version; 0 means the newest.
    pub async fn version(&self, dataset: impl Into<String>, number: i64) -> Result<DatasetVersion> {
        let message = GetDatasetVersionRequest { dataset: dataset.into(), number };
        unary!(self.client, dataset_api.get_dataset_version, Safe, message)
    }
    /// The versions of a dataset.
    pub fn versions(&self, dataset: impl Into<String>) -> Items<DatasetVersion> {
        let (client, dataset) = (self.client.clone(), dataset.into());
        items(move |page_token| {
            let message = ListDatasetVersionsRequest { dataset: dataset.clone(), page_size: 0, page_token };
            let client = client.clone();
            async move {
                let page = unary!(client, dataset_api.list_dataset_versions, Safe, message)?;
                Ok((page.versions, page.next_page_token))
            }
        })
    }
    /// Rows of a version, one JSON object each: accepted ones, or the quarantined ones with the reason. `limit` 0 means 20, at
    /// most 1,000.
    pub async fn preview(
        &self,
        dataset: impl Into<String>,
        number: i64,
        quarantined: bool,
        offset: i64,
        limit: i32,
    ) -> Result<Vec<String>> {
        let message = PreviewRowsRequest { dataset: dataset.into(), number, quarantined, offset, limit };
        Ok(unary!(self.client, dataset_api.preview_rows, Safe, message)?.rows_json)
    }
    /// Starts a split. Returns at once; follow `job_id` with [`Jobs::follow`](crate::Jobs::follow).
    pub async fn create_split(&self, split: NewSplit) -> Result<Split> {
        unary!(self.client, dataset_api.create_split, Safe, split.0)
    }
    pub async fn split(&self, split_id: impl Into<String>) -> Result<Split> {
        unary!(self.client, dataset_api.get_split, Safe, GetSplitRequest { split_id: split_id.into() })
    }
    /// The splits of a version; 0 means of every version.
    pub fn splits(&self, dataset: impl Into<String>, number: i64) -> Items<Split> {
        let (client, dataset) = (self.client.clone(), dataset.into());
        items(move |page_token| {
            let message = ListSplitsRequest { dataset: dataset.clone(), number, page_size: 0, page_token };
            let client = client.clone();
            async move {
                let page = unary!(client, dataset_api.list_splits, Safe, message)?;
                Ok((page.splits, page.next_page_token))
            }
        })
    }
}
