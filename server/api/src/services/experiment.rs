//! Experiments and their runs.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tenor_domain::{
    AliasName, CalibrationMethod, Clock, Error, Etag, ExperimentName, ModelName, RequestId, RunId, SplitId,
};
use tenor_platform::{
    CompareRuns, ExperimentPatch, NewArtifact, NewExperiment, NewRun, Platform, RunPatch, Runs, SearchRuns, TrainRows,
    TrainSpec,
};
use tenor_proto::v1 as pb;
use tenor_proto::v1::experiment_service_server::ExperimentService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::services::bytes::{BytesStream, Pieces, chunks};
use crate::services::drain::until_draining;
use crate::services::metric;
use crate::status::status;
use crate::{decode, encode};

/// Largest artifact.
const MAX_ARTIFACT_BYTES: u64 = 16 << 30;

pub(crate) struct Experiments {
    pub(crate) platform: Arc<Platform>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl ExperimentService for Experiments {
    async fn create_experiment(
        &self,
        request: Request<pb::CreateExperimentRequest>,
    ) -> Result<Response<pb::Experiment>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let name = ExperimentName::parse(&request.name).map_err(status)?;
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let new = NewExperiment { name, description: request.description, tags: request.tags };
        let experiment = self.platform.experiments().create(&caller, new, request_id).await;
        experiment.map(encode::experiment).map(Response::new).map_err(status)
    }

    async fn get_experiment(
        &self,
        request: Request<pb::GetExperimentRequest>,
    ) -> Result<Response<pb::Experiment>, Status> {
        let experiment = self.platform.experiments().get(&request.into_inner().experiment).await;
        experiment.map(encode::experiment).map(Response::new).map_err(status)
    }

    async fn list_experiments(
        &self,
        request: Request<pb::ListExperimentsRequest>,
    ) -> Result<Response<pb::ListExperimentsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let prefix = decode::given(&request.name_prefix);
        let page = self.platform.experiments().list(page, prefix).await.map_err(status)?.map(encode::experiment);
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListExperimentsResponse { experiments: page.items, next_page_token }))
    }

    async fn update_experiment(
        &self,
        request: Request<pb::UpdateExperimentRequest>,
    ) -> Result<Response<pb::Experiment>, Status> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        let tags = decode::tags_patch(request.tags, request.replace_tags).map_err(status)?;
        let patch = ExperimentPatch { description: request.description, tags };
        let experiment = self.platform.experiments().update(&request.experiment, patch, etag).await;
        experiment.map(encode::experiment).map(Response::new).map_err(status)
    }

    async fn delete_experiment(
        &self,
        request: Request<pb::DeleteExperimentRequest>,
    ) -> Result<Response<pb::DeleteExperimentResponse>, Status> {
        let request = request.into_inner();
        let etag = Etag::parse(&request.etag).map_err(status)?;
        self.platform.experiments().delete(&request.experiment, etag).await.map_err(status)?;
        Ok(Response::new(pb::DeleteExperimentResponse {}))
    }

    async fn create_run(&self, request: Request<pb::CreateRunRequest>) -> Result<Response<pb::Run>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let parent = decode::given(&request.parent_run_id).map(RunId::parse).transpose();
        let new = NewRun {
            experiment: request.experiment,
            parent_run_id: parent.map_err(|_| status(Error::invalid("parent_run_id", "must be the id of a run")))?,
            name: request.name,
            note: String::new(),
            params: decode::params(request.params).map_err(status)?,
            tags: request.tags,
        };
        let run = self.platform.runs().create(&caller, new, request_id).await;
        run.map(encode::run).map(Response::new).map_err(status)
    }

    async fn train_run(&self, request: Request<pb::TrainRunRequest>) -> Result<Response<pb::Run>, Status> {
        let caller = decode::caller(request.metadata());
        let request = request.into_inner();
        let request_id = RequestId::parse(&request.request_id).map_err(status)?;
        let aliases = request.aliases.iter().map(|alias| AliasName::parse(alias)).collect::<Result<_, _>>();
        let spec = TrainSpec {
            experiment: ExperimentName::parse(&request.experiment).map_err(status)?,
            split_id: SplitId::parse(&request.split_id).map_err(status)?,
            kind: request.kind,
            params: decode::json("params_json", &request.params_json).map_err(status)?,
            rows: if request.with_validation { TrainRows::TrainAndValidation } else { TrainRows::Train },
            seed: request.seed,
            name: request.name,
            tags: request.tags,
            calibration: decode::given(&request.calibration)
                .map(CalibrationMethod::parse)
                .transpose()
                .map_err(status)?,
            slices: request.slices,
            folds: (request.folds != 0).then(|| count("folds", request.folds)).transpose().map_err(status)?,
            register_model: decode::given(&request.register_model).map(ModelName::parse).transpose().map_err(status)?,
            aliases: aliases.map_err(status)?,
        };
        let runs = self.platform.runs();
        let run = match request.validate_only {
            true => runs.check_train(&caller, spec).await,
            false => runs.train(&caller, spec, request_id).await,
        };
        run.map(encode::run).map(Response::new).map_err(status)
    }

    async fn get_run(&self, request: Request<pb::GetRunRequest>) -> Result<Response<pb::Run>, Status> {
        let id = RunId::parse(&request.into_inner().run_id).map_err(status)?;
        self.platform.runs().get(&id).await.map(encode::run).map(Response::new).map_err(status)
    }

    async fn list_runs(&self, request: Request<pb::ListRunsRequest>) -> Result<Response<pb::ListRunsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let search =
            SearchRuns { experiments: request.experiments, filter: request.filter, order_by: request.order_by };
        let page = self.platform.runs().list(search, page).await.map_err(status)?.map(encode::run);
        Ok(Response::new(pb::ListRunsResponse { runs: page.items, next_page_token: page.next.unwrap_or_default() }))
    }

    async fn update_run(&self, request: Request<pb::UpdateRunRequest>) -> Result<Response<pb::Run>, Status> {
        let request = request.into_inner();
        let id = RunId::parse(&request.run_id).map_err(status)?;
        let etag = Etag::parse(&request.etag).map_err(status)?;
        let patch = RunPatch {
            name: request.name,
            note: request.note,
            tags: decode::tags_patch(request.tags, request.replace_tags).map_err(status)?,
            state: decode::state("state", request.state).map_err(status)?,
            error: decode::given(&request.error).map(str::to_owned),
        };
        let run = self.platform.runs().update(&id, patch, etag).await;
        run.map(encode::run).map(Response::new).map_err(status)
    }

    async fn delete_run(
        &self,
        request: Request<pb::DeleteRunRequest>,
    ) -> Result<Response<pb::DeleteRunResponse>, Status> {
        let request = request.into_inner();
        let id = RunId::parse(&request.run_id).map_err(status)?;
        let etag = Etag::parse(&request.etag).map_err(status)?;
        self.platform.runs().delete(&id, etag).await.map_err(status)?;
        Ok(Response::new(pb::DeleteRunResponse {}))
    }

    async fn compare_runs(
        &self,
        request: Request<pb::CompareRunsRequest>,
    ) -> Result<Response<pb::CompareRunsResponse>, Status> {
        let request = request.into_inner();
        let first = RunId::parse(&request.run_id).map_err(status)?;
        let second = RunId::parse(&request.other_run_id);
        let second = second.map_err(|_| status(Error::invalid("other_run_id", "must be the id of a run")))?;
        let resamples = request.resamples.map(|number| count("resamples", number)).transpose().map_err(status)?;
        let max_flips = request.max_flips.map_or(Ok(20), |number| count("max_flips", number)).map_err(status)?;
        let options = CompareRuns { resamples, seed: request.seed, max_flips };
        let compared = self.platform.runs().compare(&first, &second, options).await;
        compared.map(encode::runs_compared).map(Response::new).map_err(status)
    }

    async fn log_params(
        &self,
        request: Request<pb::LogParamsRequest>,
    ) -> Result<Response<pb::LogParamsResponse>, Status> {
        let request = request.into_inner();
        let id = RunId::parse(&request.run_id).map_err(status)?;
        let params = decode::params(request.params).map_err(status)?;
        self.platform.runs().log_params(&id, params, None).await.map_err(status)?;
        Ok(Response::new(pb::LogParamsResponse {}))
    }

    async fn log_metrics(
        &self,
        request: Request<Streaming<pb::LogMetricsRequest>>,
    ) -> Result<Response<pb::LogMetricsResponse>, Status> {
        let caller = decode::caller(request.metadata());
        let messages = until_draining(request.into_inner(), self.shutdown.clone());
        let done = metric::log_stream(self.platform.runs(), self.clock.as_ref(), &caller, messages).await?;
        Ok(Response::new(done))
    }

    async fn log_metric_batch(
        &self,
        request: Request<pb::LogMetricBatchRequest>,
    ) -> Result<Response<pb::LogMetricBatchResponse>, Status> {
        let caller = decode::caller(request.metadata());
        let pb::LogMetricBatchRequest { run_id, metrics, batch_id } = request.into_inner();
        let batch = pb::LogMetricsRequest { run_id: String::new(), metrics, batch_id };
        let batch = metric::batch(batch, &mut run_id.clone(), self.clock.as_ref()).map_err(status)?;
        let metrics = i64::try_from(batch.metrics.len()).unwrap_or(i64::MAX);
        self.platform.runs().log_metrics(&caller, &batch.run, batch.metrics, batch.id, None).await.map_err(status)?;
        Ok(Response::new(pb::LogMetricBatchResponse { metrics }))
    }

    async fn list_metric_history(
        &self,
        request: Request<pb::ListMetricHistoryRequest>,
    ) -> Result<Response<pb::ListMetricHistoryResponse>, Status> {
        let request = request.into_inner();
        let id = RunId::parse(&request.run_id).map_err(status)?;
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let page = self.platform.runs().metric_history(&id, &request.key, page).await.map_err(status)?;
        let page = page.map(encode::metric);
        let next_page_token = page.next.unwrap_or_default();
        Ok(Response::new(pb::ListMetricHistoryResponse { metrics: page.items, next_page_token }))
    }

    async fn list_artifacts(
        &self,
        request: Request<pb::ListArtifactsRequest>,
    ) -> Result<Response<pb::ListArtifactsResponse>, Status> {
        let id = RunId::parse(&request.into_inner().run_id).map_err(status)?;
        let artifacts = self.platform.runs().list_artifacts(&id).await.map_err(status)?;
        let artifacts = artifacts.into_iter().map(encode::artifact).collect();
        Ok(Response::new(pb::ListArtifactsResponse { artifacts }))
    }

    async fn upload_artifact(
        &self,
        request: Request<Streaming<pb::UploadArtifactRequest>>,
    ) -> Result<Response<pb::Artifact>, Status> {
        let mut messages = until_draining(request.into_inner(), self.shutdown.clone());
        let Some(first) = messages.try_next().await? else {
            return Err(status(Error::invalid("run_id", "is required in the first message")));
        };
        let id = RunId::parse(&first.run_id).map_err(status)?;
        // Before the bytes: a wrong name or a run that is not there should not cost an upload.
        Runs::check_artifact(&first.name, &first.media_type).map_err(status)?;
        self.platform.runs().get(&id).await.map_err(status)?;
        let (name, media_type) = (first.name, first.media_type);
        let pieces = Pieces::default();
        let later = messages.map(|message| {
            let message = message?;
            if !message.run_id.is_empty() || !message.name.is_empty() || !message.media_type.is_empty() {
                return Err(status(Error::invalid("name", "belongs in the first message only")));
            }
            Ok(Bytes::from(message.data))
        });
        let all = stream::once(std::future::ready(Ok(Bytes::from(first.data)))).chain(later);
        let stored = self
            .platform
            .blobs()
            .put_stream(pieces.until_failed(all).map(|piece| piece.map_err(From::from)), MAX_ARTIFACT_BYTES)
            .await;
        pieces.check()?;
        let (digest, _) = stored.map_err(|error| status(error.into()))?;
        let artifact = self.platform.runs().add_artifact(&id, NewArtifact { name, media_type, digest }, None).await;
        artifact.map(encode::artifact).map(Response::new).map_err(status)
    }

    type DownloadArtifactStream = BytesStream<pb::DownloadArtifactResponse>;

    async fn download_artifact(
        &self,
        request: Request<pb::DownloadArtifactRequest>,
    ) -> Result<Response<Self::DownloadArtifactStream>, Status> {
        let request = request.into_inner();
        let id = RunId::parse(&request.run_id).map_err(status)?;
        let artifact = self.platform.runs().get_artifact(&id, &request.name).await.map_err(status)?;
        let range = range(request.offset, request.length, artifact.size_bytes).map_err(status)?;
        let found = self.platform.blobs().get_stream(&artifact.digest, range).await;
        let bytes = found.map_err(|error| status(error.into()))?.map(|piece| piece.map_err(Error::from));
        Ok(Response::new(answers(bytes)))
    }
}

fn count(field: &str, number: i32) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::invalid(field, format!("must not be negative, got {number}")))
}

fn answers(
    bytes: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
) -> BytesStream<pb::DownloadArtifactResponse> {
    chunks(bytes).map(|data| data.map(|data| pb::DownloadArtifactResponse { data: data.into() })).boxed()
}

/// The bytes that were asked for; `None` means all, which are checked against the digest.
fn range(offset: i64, length: i64, size: i64) -> Result<Option<std::ops::Range<u64>>, Error> {
    if offset < 0 || offset > size {
        return Err(Error::invalid("offset", format!("must be 0 to {size}, the size of the artifact, got {offset}")));
    }
    if length < 0 {
        return Err(Error::invalid("length", "must not be negative; 0 means to the end"));
    }
    let end = if length == 0 { size } else { offset.saturating_add(length).min(size) };
    if offset == 0 && end == size {
        return Ok(None);
    }
    // Both are between 0 and the size.
    Ok(Some(offset.unsigned_abs()..end.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_stays_within_the_artifact() {
        assert_eq!(range(0, 0, 10).unwrap(), None);
        assert_eq!(range(0, i64::MAX, 10).unwrap(), None);
        assert_eq!(range(3, 4, 10).unwrap(), Some(3..7));
        assert_eq!(range(3, i64::MAX, 10).unwrap(), Some(3..10));
        assert_eq!(range(10, 0, 10).unwrap(), Some(10..10));
        for (offset, length) in [(11, 0), (-1, 0), (0, -1), (i64::MIN, 1)] {
            assert!(range(offset, length, 10).is_err(), "{offset} {length}");
        }
    }
}
