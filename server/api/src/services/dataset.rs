//! Datasets, uploads, versions and splits.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tenor_domain::{DatasetName, Digest, Error, Etag, RequestId, SplitId, UploadId};
use tenor_platform::{DatasetPatch, ImportRequest, NewDataset, Platform};
use tenor_proto::v1 as pb;
use tenor_proto::v1::dataset_service_server::DatasetService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::services::RowReader;
use crate::services::bytes::Pieces;
use crate::services::drain::until_draining;
use crate::status::status;
use crate::{decode, encode};

pub(crate) struct Datasets {
    pub(crate) platform: Arc<Platform>,
    pub(crate) rows: RowReader,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl DatasetService for Datasets {
    async fn create_dataset(
        &self,
        request: Request<pb::CreateDatasetRequest>,
    ) -> Result<Response<pb::Dataset>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let name = DatasetName::parse(&request.name).map_err(status)?;
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let new = NewDataset { name, description: request.description, tags: request.tags };
        let dataset = self.platform.datasets().create(&caller, new, request_id, request.validate_only).await;
        dataset.map(encode::dataset).map(Response::new).map_err(status)
    }

    async fn get_dataset(&self, request: Request<pb::GetDatasetRequest>) -> Result<Response<pb::Dataset>, Status> {
        let dataset = self.platform.datasets().get(&request.into_inner().dataset).await;
        dataset.map(encode::dataset).map(Response::new).map_err(status)
    }

    async fn list_datasets(
        &self,
        request: Request<pb::ListDatasetsRequest>,
    ) -> Result<Response<pb::ListDatasetsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let prefix = decode::given(&request.name_prefix);
        let page = self.platform.datasets().list(page, prefix).await.map_err(status)?.map(encode::dataset);
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListDatasetsResponse { datasets: page.items, next_page_token }))
    }

    async fn update_dataset(
        &self,
        request: Request<pb::UpdateDatasetRequest>,
    ) -> Result<Response<pb::Dataset>, Status> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        let tags = decode::tags_patch(request.tags, request.replace_tags).map_err(status)?;
        let patch = DatasetPatch { description: request.description, tags };
        let dataset = self.platform.datasets().update(&request.dataset, patch, etag).await;
        dataset.map(encode::dataset).map(Response::new).map_err(status)
    }

    async fn delete_dataset(
        &self,
        request: Request<pb::DeleteDatasetRequest>,
    ) -> Result<Response<pb::DeleteDatasetResponse>, Status> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        self.platform.datasets().delete(&request.dataset, etag).await.map_err(status)?;
        Ok(Response::new(pb::DeleteDatasetResponse {}))
    }

    async fn start_upload(&self, request: Request<pb::StartUploadRequest>) -> Result<Response<pb::Upload>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let size = decode::number("size_bytes", request.size_bytes).map_err(status)?;
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let upload = self.platform.uploads().start(&caller, &request.file_name, size, request_id).await;
        upload.map(encode::upload).map(Response::new).map_err(status)
    }

    /// What has arrived stays, also when the stream breaks off: the client asks where to resume.
    async fn upload_data(
        &self,
        request: Request<Streaming<pb::UploadDataRequest>>,
    ) -> Result<Response<pb::Upload>, Status> {
        let mut messages = until_draining(request.into_inner(), self.shutdown.clone());
        let Some(first) = messages.try_next().await? else {
            return Err(status(Error::invalid("upload_id", "is required in the first message")));
        };
        let id = UploadId::parse(&first.upload_id).map_err(status)?;
        let pieces = Pieces::default();
        let later = messages.map(|message| {
            let message = message?;
            if !message.upload_id.is_empty() || message.offset != 0 {
                return Err(status(Error::invalid("upload_id", "and `offset` belong in the first message only")));
            }
            Ok(Bytes::from(message.data))
        });
        let all = stream::once(std::future::ready(Ok(Bytes::from(first.data)))).chain(later);
        let appended = self
            .platform
            .uploads()
            .append(&id, first.offset, pieces.until_failed(all).map(|piece| piece.map_err(From::from)))
            .await;
        pieces.check()?;
        appended.map(encode::upload).map(Response::new).map_err(status)
    }

    async fn get_upload(&self, request: Request<pb::GetUploadRequest>) -> Result<Response<pb::Upload>, Status> {
        let id = UploadId::parse(&request.into_inner().upload_id).map_err(status)?;
        self.platform.uploads().get(&id).await.map(encode::upload).map(Response::new).map_err(status)
    }

    async fn complete_upload(
        &self,
        request: Request<pb::CompleteUploadRequest>,
    ) -> Result<Response<pb::Upload>, Status> {
        let request = request.into_inner();
        let id = UploadId::parse(&request.upload_id).map_err(status)?;
        let expected = decode::given(&request.digest).map(Digest::parse).transpose().map_err(status)?;
        let upload = self.platform.uploads().complete(&id, expected).await;
        upload.map(encode::upload).map(Response::new).map_err(status)
    }

    async fn import_dataset_version(
        &self,
        request: Request<pb::ImportDatasetVersionRequest>,
    ) -> Result<Response<pb::DatasetVersion>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let import = ImportRequest {
            dataset: request.dataset,
            create_dataset: request.create_dataset,
            upload_id: UploadId::parse(&request.upload_id).map_err(status)?,
            options: decode::json("options_json", &request.options_json).map_err(status)?,
        };
        let datasets = self.platform.datasets();
        let version = match request.validate_only {
            true => datasets.check_import(&caller, import).await,
            false => datasets.import(&caller, import, request_id).await,
        };
        version.map(encode::dataset_version).map(Response::new).map_err(status)
    }

    async fn get_dataset_version(
        &self,
        request: Request<pb::GetDatasetVersionRequest>,
    ) -> Result<Response<pb::DatasetVersion>, Status> {
        let request = request.into_inner();
        let number = decode::number("number", request.number).map_err(status)?;
        let version = self.platform.datasets().get_version(&request.dataset, number).await;
        version.map(encode::dataset_version).map(Response::new).map_err(status)
    }

    async fn list_dataset_versions(
        &self,
        request: Request<pb::ListDatasetVersionsRequest>,
    ) -> Result<Response<pb::ListDatasetVersionsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let page = self.platform.datasets().list_versions(&request.dataset, page).await.map_err(status)?;
        let page = page.map(encode::dataset_version);
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListDatasetVersionsResponse { versions: page.items, next_page_token }))
    }

    async fn preview_rows(
        &self,
        request: Request<pb::PreviewRowsRequest>,
    ) -> Result<Response<pb::PreviewRowsResponse>, Status> {
        let request = request.into_inner();
        let number = decode::number("number", request.number).map_err(status)?;
        let (offset, limit) = window(request.offset, request.limit).map_err(status)?;
        let version = self.platform.datasets().get_version(&request.dataset, number).await.map_err(status)?;
        let outcome = version.outcome.ok_or_else(|| {
            let why = format!("version {} is {}; wait until its import has succeeded", version.number, version.state);
            status(Error::precondition("DATASET_VERSION_NOT_READY", why))
        })?;
        let digest = if request.quarantined { outcome.quarantine_digest } else { Some(outcome.data_digest) };
        let rows_json = match digest {
            Some(digest) => (self.rows)(digest, offset, limit).await.map_err(status)?,
            None => Vec::new(),
        };
        Ok(Response::new(pb::PreviewRowsResponse { rows_json }))
    }

    async fn create_split(&self, request: Request<pb::CreateSplitRequest>) -> Result<Response<pb::Split>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let number = decode::number("number", request.number).map_err(status)?;
        let options = decode::json("options_json", &request.options_json).map_err(status)?;
        let (splits, dataset) = (self.platform.splits(), request.dataset.as_str());
        let split = match request.validate_only {
            true => splits.check(&caller, dataset, number, options).await,
            false => splits.create(&caller, dataset, number, options, request_id).await,
        };
        split.map(encode::split).map(Response::new).map_err(status)
    }

    async fn get_split(&self, request: Request<pb::GetSplitRequest>) -> Result<Response<pb::Split>, Status> {
        let id = SplitId::parse(&request.into_inner().split_id).map_err(status)?;
        self.platform.splits().get(&id).await.map(encode::split).map(Response::new).map_err(status)
    }

    async fn list_splits(
        &self,
        request: Request<pb::ListSplitsRequest>,
    ) -> Result<Response<pb::ListSplitsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let number = decode::number("number", request.number).map_err(status)?;
        let page = self.platform.splits().list(&request.dataset, number, page).await.map_err(status)?;
        let page = page.map(encode::split);
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListSplitsResponse { splits: page.items, next_page_token }))
    }
}

fn window(offset: i64, limit: i32) -> Result<(u64, usize), Error> {
    let offset = u64::try_from(offset).map_err(|_| Error::invalid("offset", "must not be negative"))?;
    match limit {
        0 => Ok((offset, 20)),
        1..=1_000 => Ok((offset, usize::try_from(limit).unwrap_or(1_000))),
        _ => Err(Error::invalid("limit", format!("must be 1 to 1000, got {limit}; 0 means 20"))),
    }
}
