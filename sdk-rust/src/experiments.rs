//! Experiments and runs.

use std::collections::BTreeMap;
use std::path::Path;

use futures::channel::mpsc;
use futures::stream::BoxStream;
use futures::{SinkExt as _, Stream, StreamExt as _, TryStreamExt as _};
use tenor_proto::v1::{
    Artifact, CompareRunsRequest, CompareRunsResponse, CreateExperimentRequest, CreateRunRequest,
    DeleteExperimentRequest, DeleteRunRequest, DownloadArtifactRequest, Experiment, GetExperimentRequest,
    GetRunRequest, ListArtifactsRequest, ListExperimentsRequest, ListMetricHistoryRequest, ListRunsRequest,
    LogMetricBatchRequest, LogMetricsRequest, LogMetricsResponse, LogParamsRequest, Metric, ParamValue, Run, State,
    TrainRunRequest, UpdateExperimentRequest, UpdateRunRequest, UploadArtifactRequest,
};
use tokio::io::AsyncReadExt as _;

use crate::client::unary;
use crate::page::items;
use crate::request::request_id;
use crate::{Change, Client, Error, Items, NewNamed, Result};

const CHUNK: usize = 256 << 10;

/// Calls of `ExperimentService`.
#[derive(Debug, Clone)]
pub struct Experiments {
    client: Client,
}

/// A run that is logged from outside.
#[derive(Debug, Clone)]
pub struct NewRun(CreateRunRequest);

impl NewRun {
    /// In an existing experiment, by name or id.
    pub fn new(experiment: impl Into<String>) -> Self {
        Self(CreateRunRequest { experiment: experiment.into(), request_id: request_id(), ..Default::default() })
    }
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }
    #[must_use]
    pub fn parent(mut self, run_id: impl Into<String>) -> Self {
        self.0.parent_run_id = run_id.into();
        self
    }
    #[must_use]
    pub fn params(mut self, params: BTreeMap<String, ParamValue>) -> Self {
        self.0.params = params;
        self
    }
    #[must_use]
    pub fn tags(mut self, tags: BTreeMap<String, String>) -> Self {
        self.0.tags = tags;
        self
    }
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

/// A training on a split.
#[derive(Debug, Clone)]
pub struct TrainRun {
    request: TrainRunRequest,
    params: serde_json::Map<String, serde_json::Value>,
}

impl TrainRun {
    /// Of a model of `kind` (`logreg`) in `experiment`, which is created when it does not exist. Seed 42.
    pub fn new(experiment: impl Into<String>, split_id: impl Into<String>, kind: impl Into<String>) -> Self {
        let request = TrainRunRequest {
            experiment: experiment.into(),
            split_id: split_id.into(),
            kind: kind.into(),
            seed: 42,
            request_id: request_id(),
            ..Default::default()
        };
        Self { request, params: serde_json::Map::new() }
    }
    /// A parameter of the kind; what is missing takes the default.
    #[must_use]
    pub fn param(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.params.insert(key.into(), value.into());
        self
    }
    /// Same data, parameters and seed give the same model file.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.request.seed = seed;
        self
    }
    /// Correct the probabilities on the validation rows: `temperature`, `platt` or `isotonic`.
    #[must_use]
    pub fn calibration(mut self, method: impl Into<String>) -> Self {
        self.request.calibration = method.into();
        self
    }
    /// Judge this slice of the test rows besides the usual ones, e.g. `year >= 2012 and text contains "refund"`.
    #[must_use]
    pub fn slice(mut self, filter: impl Into<String>) -> Self {
        self.request.slices.push(filter.into());
        self
    }
    /// Cross-validate on the training rows besides, with 2 to 20 folds, and look for wrong labels among them.
    #[must_use]
    pub fn folds(mut self, folds: i32) -> Self {
        self.request.folds = folds;
        self
    }
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.request.name = name.into();
        self
    }
    #[must_use]
    pub fn tags(mut self, tags: BTreeMap<String, String>) -> Self {
        self.request.tags = tags;
        self
    }
    /// Register the model under this name when the run succeeds.
    #[must_use]
    pub fn register(mut self, model: impl Into<String>) -> Self {
        self.request.register_model = model.into();
        self
    }
    /// Point this alias at the new version.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.request.aliases.push(alias.into());
        self
    }
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request.request_id = id.into();
        self
    }
    /// Only say what would be begun, with its parameters complete.
    #[must_use]
    pub fn validate_only(mut self) -> Self {
        self.request.validate_only = true;
        self
    }
    fn into_request(self) -> TrainRunRequest {
        let params_json =
            if self.params.is_empty() { String::new() } else { serde_json::Value::Object(self.params).to_string() };
        TrainRunRequest { params_json, ..self.request }
    }
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunQuery(ListRunsRequest);

impl RunQuery {
    /// All runs, newest first.
    pub fn new() -> Self {
        Self::default()
    }
    /// Of this experiment too, by name or id.
    #[must_use]
    pub fn experiment(mut self, experiment: impl Into<String>) -> Self {
        self.0.experiments.push(experiment.into());
        self
    }
    /// E.g. `metrics.f1 > 0.8 AND tags.team = 'a'`.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.0.filter = filter.into();
        self
    }
    /// E.g. `metrics.f1 DESC, create_time`.
    #[must_use]
    pub fn order_by(mut self, order: impl Into<String>) -> Self {
        self.0.order_by = order.into();
        self
    }
    /// Runs a page; 0 means 50.
    #[must_use]
    pub fn page_size(mut self, size: i32) -> Self {
        self.0.page_size = size;
        self
    }
}

/// Two runs to compare; differences are second minus first.
#[derive(Debug, Clone)]
pub struct CompareRuns(CompareRunsRequest);

impl CompareRuns {
    /// 2,000 bootstrap samples with seed 42, and the 20 largest flips.
    pub fn new(run_id: impl Into<String>, other_run_id: impl Into<String>) -> Self {
        let (run_id, other_run_id) = (run_id.into(), other_run_id.into());
        Self(CompareRunsRequest { run_id, other_run_id, resamples: None, seed: 42, max_flips: None })
    }
    /// Bootstrap samples, 0 to 10,000; 0 leaves intervals and p-values of the scores out.
    #[must_use]
    pub fn resamples(mut self, resamples: i32) -> Self {
        self.0.resamples = Some(resamples);
        self
    }
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }
    /// Flipped rows to show, 0 to 1,000.
    #[must_use]
    pub fn max_flips(mut self, flips: i32) -> Self {
        self.0.max_flips = Some(flips);
        self
    }
}

/// A change of a run; what is not named stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RunChange(UpdateRunRequest);

impl RunChange {
    pub fn new() -> Self {
        Self::default()
    }
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = Some(name.into());
        self
    }
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.0.note = Some(note.into());
        self
    }
    /// Replaces all tags.
    #[must_use]
    pub fn tags(mut self, tags: BTreeMap<String, String>) -> Self {
        self.0.tags = tags;
        self.0.replace_tags = true;
        self
    }
    /// The new state and, for a failed run, why.
    #[must_use]
    pub fn state(mut self, state: State, error: impl Into<String>) -> Self {
        self.0.state = state.into();
        self.0.error = error.into();
        self
    }
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.0.etag = etag.into();
        self
    }
}

/// Where a file of a run goes.
#[derive(Debug, Clone)]
pub struct NewArtifact {
    run_id: String,
    name: String,
    media_type: String,
}

impl NewArtifact {
    /// `name` is a slash-separated relative label.
    pub fn new(run_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { run_id: run_id.into(), name: name.into(), media_type: "application/octet-stream".to_owned() }
    }
    #[must_use]
    pub fn media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = media_type.into();
        self
    }
}

/// A part of a file: `length` bytes from `offset` on; length 0 means to the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct DownloadRange {
    pub offset: i64,
    pub length: i64,
}

impl Experiments {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
    pub async fn create(&self, experiment: impl Into<NewNamed>) -> Result<Experiment> {
        let NewNamed { name, description, tags, request_id, .. } = experiment.into();
        let message = CreateExperimentRequest { name, description, tags, request_id };
        unary!(self.client, experiment_api.create_experiment, Safe, message)
    }
    /// The experiment of that name or id.
    pub async fn get(&self, experiment: impl Into<String>) -> Result<Experiment> {
        unary!(self.client, experiment_api.get_experiment, Safe, GetExperimentRequest { experiment: experiment.into() })
    }
    /// The experiments whose names begin with `prefix`.
    pub fn list(&self, prefix: impl Into<String>) -> Items<Experiment> {
        let (client, name_prefix) = (self.client.clone(), prefix.into());
        items(move |page_token| {
            let message = ListExperimentsRequest { page_size: 0, page_token, name_prefix: name_prefix.clone() };
            let client = client.clone();
            async move {
                let page = unary!(client, experiment_api.list_experiments, Safe, message)?;
                Ok((page.experiments, page.next_page_token))
            }
        })
    }
    /// Changes description or tags.
    pub async fn update(&self, experiment: impl Into<String>, change: Change) -> Result<Experiment> {
        let (description, tags, replace_tags, etag) = change.split();
        let message = UpdateExperimentRequest { experiment: experiment.into(), description, tags, replace_tags, etag };
        unary!(self.client, experiment_api.update_experiment, Never, message)
    }
    /// Deletes an experiment without runs.
    pub async fn delete(&self, experiment: impl Into<String>, etag: impl Into<String>) -> Result<()> {
        let message = DeleteExperimentRequest { experiment: experiment.into(), etag: etag.into() };
        unary!(self.client, experiment_api.delete_experiment, Never, message).map(drop)
    }

    /// Begins a run that is logged from outside.
    pub async fn create_run(&self, run: NewRun) -> Result<Run> {
        unary!(self.client, experiment_api.create_run, Safe, run.0)
    }
    /// Starts a training. Returns at once; follow `job_id` with [`Jobs::follow`](crate::Jobs::follow).
    pub async fn train(&self, train: TrainRun) -> Result<Run> {
        unary!(self.client, experiment_api.train_run, Safe, train.into_request())
    }
    pub async fn run(&self, run_id: impl Into<String>) -> Result<Run> {
        unary!(self.client, experiment_api.get_run, Safe, GetRunRequest { run_id: run_id.into() })
    }
    pub fn runs(&self, query: RunQuery) -> Items<Run> {
        let client = self.client.clone();
        items(move |page_token| {
            let message = ListRunsRequest { page_token, ..query.0.clone() };
            let client = client.clone();
            async move {
                let page = unary!(client, experiment_api.list_runs, Safe, message)?;
                Ok((page.runs, page.next_page_token))
            }
        })
    }
    /// Compares two runs with the defaults of [`CompareRuns`].
    pub async fn compare(
        &self,
        run_id: impl Into<String>,
        other_run_id: impl Into<String>,
    ) -> Result<CompareRunsResponse> {
        self.compare_runs(CompareRuns::new(run_id, other_run_id)).await
    }
    /// Compares two runs: parameters, metrics and their answers to the test rows that both have.
    pub async fn compare_runs(&self, compare: CompareRuns) -> Result<CompareRunsResponse> {
        unary!(self.client, experiment_api.compare_runs, Safe, compare.0)
    }
    pub async fn update_run(&self, run_id: impl Into<String>, change: RunChange) -> Result<Run> {
        let message = UpdateRunRequest { run_id: run_id.into(), ..change.0 };
        unary!(self.client, experiment_api.update_run, Never, message)
    }
    /// Deletes a run that no model version came from.
    pub async fn delete_run(&self, run_id: impl Into<String>, etag: impl Into<String>) -> Result<()> {
        let message = DeleteRunRequest { run_id: run_id.into(), etag: etag.into() };
        unary!(self.client, experiment_api.delete_run, Never, message).map(drop)
    }
    /// Writes parameters. The same value again is fine, another one is [`Kind::FailedPrecondition`](crate::Kind::FailedPrecondition).
    pub async fn log_params(&self, run_id: impl Into<String>, params: BTreeMap<String, ParamValue>) -> Result<()> {
        let message = LogParamsRequest { run_id: run_id.into(), params };
        unary!(self.client, experiment_api.log_params, Safe, message).map(drop)
    }
    /// Logs one batch of at most 10,000 points; repeated safely, for it carries a batch id. Returns how many were stored.
    pub async fn log_metric_batch(&self, run_id: impl Into<String>, metrics: Vec<Metric>) -> Result<i64> {
        let message = LogMetricBatchRequest { run_id: run_id.into(), metrics, batch_id: request_id() };
        Ok(unary!(self.client, experiment_api.log_metric_batch, Safe, message)?.metrics)
    }
    /// Logs batches in one stream while they come.
    pub async fn log_metrics(
        &self,
        run_id: impl Into<String>,
        batches: impl Stream<Item = Vec<Metric>> + Send + 'static,
    ) -> Result<LogMetricsResponse> {
        let run_id = run_id.into();
        let messages =
            batches.map(move |metrics| LogMetricsRequest { run_id: run_id.clone(), metrics, batch_id: request_id() });
        let mut api = self.client.experiment_api();
        let answer = api.log_metrics(self.client.request(messages)).await;
        Ok(answer.map_err(|status| self.client.explain(status))?.into_inner())
    }
    /// The points of one metric in step order.
    pub fn metric_history(&self, run_id: impl Into<String>, key: impl Into<String>) -> Items<Metric> {
        let (client, run_id, key) = (self.client.clone(), run_id.into(), key.into());
        items(move |page_token| {
            let message =
                ListMetricHistoryRequest { run_id: run_id.clone(), key: key.clone(), page_size: 1000, page_token };
            let client = client.clone();
            async move {
                let page = unary!(client, experiment_api.list_metric_history, Safe, message)?;
                Ok((page.metrics, page.next_page_token))
            }
        })
    }
    pub async fn artifacts(&self, run_id: impl Into<String>) -> Result<Vec<Artifact>> {
        let message = ListArtifactsRequest { run_id: run_id.into() };
        Ok(unary!(self.client, experiment_api.list_artifacts, Safe, message)?.artifacts)
    }
    /// Stores a file with a run. `progress` gets the bytes sent.
    pub async fn upload_artifact(
        &self,
        artifact: NewArtifact,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Artifact> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let mut file =
            tokio::fs::File::open(path).await.map_err(|error| Error::io(format!("cannot open `{name}`"), error))?;
        let (mut to_call, messages) = mpsc::channel(4);
        let mut api = self.client.experiment_api();
        let call = api.upload_artifact(self.client.request(messages));
        // The sender outlives a read error: a stream that ended normally would be a shorter file, one that is dropped is none.
        let read = async {
            let head = UploadArtifactRequest {
                run_id: artifact.run_id,
                name: artifact.name,
                media_type: artifact.media_type,
                data: Vec::new(),
            };
            let mut open = to_call.send(head).await.is_ok();
            let mut sent = 0;
            while open {
                let mut data = vec![0; CHUNK];
                let count =
                    file.read(&mut data).await.map_err(|error| Error::io(format!("cannot read `{name}`"), error))?;
                if count == 0 {
                    break;
                }
                data.truncate(count);
                sent += count as u64;
                open = to_call.send(UploadArtifactRequest { data, ..Default::default() }).await.is_ok();
                progress(sent);
            }
            to_call.close_channel();
            Ok::<(), Error>(())
        };
        let call = async { call.await.map_err(|status| self.client.explain(status)) };
        let (answer, ()) = futures::future::try_join(call, read).await?;
        Ok(answer.into_inner())
    }
    /// The bytes of a file of a run.
    pub async fn download_artifact(
        &self,
        run_id: impl Into<String>,
        name: impl Into<String>,
        range: DownloadRange,
    ) -> Result<BoxStream<'static, Result<Vec<u8>>>> {
        let DownloadRange { offset, length } = range;
        let message = DownloadArtifactRequest { run_id: run_id.into(), name: name.into(), offset, length };
        let mut api = self.client.experiment_api();
        let stream = api.download_artifact(self.client.request(message)).await;
        let stream = stream.map_err(|status| self.client.explain(status))?.into_inner();
        Ok(stream.map_ok(|part| part.data).map_err(Error::from).boxed())
    }
    /// A whole file of a run in memory.
    pub async fn read_artifact(&self, run_id: impl Into<String>, name: impl Into<String>) -> Result<Vec<u8>> {
        self.download_artifact(run_id, name, DownloadRange::default()).await?.try_concat().await
    }
}
