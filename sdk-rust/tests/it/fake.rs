//! A server in this process whose faults are set by the test.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tenor_proto::v1::dataset_service_server::{DatasetService, DatasetServiceServer};
use tenor_proto::v1::job_service_server::{JobService, JobServiceServer};
use tenor_proto::v1::*;
use tenor_sdk::Client;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

/// What the server does and has seen.
#[derive(Default)]
pub struct State {
    /// Calls of GetJob that are answered UNAVAILABLE before one is answered.
    pub busy: AtomicU32,
    pub get_job_calls: AtomicU32,
    pub cancel_error: Mutex<Option<Status>>,
    pub requeue_calls: AtomicU32,
    /// `after_seq` of each WatchJob.
    pub watched_after: Mutex<Vec<i64>>,
    /// Break each upload stream after so many bytes; 0 for never.
    pub break_after: usize,
    pub received: Mutex<Vec<u8>>,
    /// Offset of each UploadData.
    pub offsets: Mutex<Vec<i64>>,
    pub traces: Mutex<Vec<Option<String>>>,
}

type Answer<T> = Result<Response<T>, Status>;

#[derive(Clone)]
pub struct Fake(pub Arc<State>);

/// Starts the server and connects to it.
pub async fn start(state: State) -> (Client, Arc<State>) {
    let state = Arc::new(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fake = Fake(state.clone());
    let server = tonic::transport::Server::builder()
        .add_service(JobServiceServer::new(fake.clone()))
        .add_service(DatasetServiceServer::new(fake));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (Client::connect(format!("http://{address}")).unwrap(), state)
}

// Written as `async_trait` would, which does not see into macros.
macro_rules! absent {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(fn $method<'a, 'b>(
            &'a self,
            _: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented("not in the fake")) })
        })*
    };
}

#[tonic::async_trait]
impl JobService for Fake {
    type WatchJobStream = Pin<Box<dyn Stream<Item = Result<JobEvent, Status>> + Send>>;

    async fn get_job(&self, request: Request<GetJobRequest>) -> Answer<Job> {
        self.0.get_job_calls.fetch_add(1, Ordering::SeqCst);
        let trace = request.metadata().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        self.0.traces.lock().unwrap().push(trace);
        let busy = self.0.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if busy.is_ok() {
            return Err(Status::unavailable("busy"));
        }
        Ok(Response::new(Job { id: request.into_inner().job_id, ..Default::default() }))
    }
    async fn wait_job(&self, request: Request<WaitJobRequest>) -> Answer<Job> {
        let id = request.into_inner().job_id;
        Ok(Response::new(Job { id, state: JobState::Succeeded.into(), ..Default::default() }))
    }
    async fn cancel_job(&self, _: Request<CancelJobRequest>) -> Answer<Job> {
        Err(self.0.cancel_error.lock().unwrap().clone().unwrap())
    }
    async fn requeue_job(&self, _: Request<RequeueJobRequest>) -> Answer<Job> {
        self.0.requeue_calls.fetch_add(1, Ordering::SeqCst);
        Err(Status::unavailable("busy"))
    }
    /// Ten events; each stream breaks after three, and repeats the last one seen.
    async fn watch_job(&self, request: Request<WatchJobRequest>) -> Answer<Self::WatchJobStream> {
        let WatchJobRequest { job_id, after_seq } = request.into_inner();
        self.0.watched_after.lock().unwrap().push(after_seq);
        let events: Vec<_> = (after_seq.max(1)..=10)
            .map(|seq| Ok(JobEvent { job_id, seq, ..Default::default() }))
            .take(if after_seq >= 8 { 10 } else { 4 })
            .collect();
        let end = (after_seq < 8).then(|| Err(Status::unavailable("the server restarts")));
        Ok(Response::new(stream::iter(events).chain(stream::iter(end)).boxed()))
    }
    absent! { list_jobs(ListJobsRequest) -> ListJobsResponse; }
}

impl Fake {
    fn upload(&self) -> Upload {
        let received_bytes = self.0.received.lock().unwrap().len() as i64;
        Upload { id: "u".into(), received_bytes, ..Default::default() }
    }
}

#[tonic::async_trait]
impl DatasetService for Fake {
    async fn start_upload(&self, _: Request<StartUploadRequest>) -> Answer<Upload> {
        Ok(Response::new(self.upload()))
    }
    async fn upload_data(&self, request: Request<Streaming<UploadDataRequest>>) -> Answer<Upload> {
        let mut messages = request.into_inner();
        let (mut first, mut seen) = (true, 0);
        while let Some(message) = messages.message().await? {
            if std::mem::take(&mut first) {
                assert_eq!(message.upload_id, "u");
                self.0.offsets.lock().unwrap().push(message.offset);
                if message.offset != self.upload().received_bytes {
                    return Err(Status::aborted("wrong offset"));
                }
            }
            seen += message.data.len();
            self.0.received.lock().unwrap().extend(message.data);
            if self.0.break_after > 0 && seen >= self.0.break_after {
                return Err(Status::unavailable("the server restarts"));
            }
        }
        Ok(Response::new(self.upload()))
    }
    async fn get_upload(&self, _: Request<GetUploadRequest>) -> Answer<Upload> {
        Ok(Response::new(self.upload()))
    }
    async fn complete_upload(&self, request: Request<CompleteUploadRequest>) -> Answer<Upload> {
        let mut hash = Sha256::new();
        hash.update(&*self.0.received.lock().unwrap());
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if digest != request.into_inner().digest {
            return Err(Status::invalid_argument("the digest differs"));
        }
        Ok(Response::new(Upload { digest, ..self.upload() }))
    }
    absent! {
        create_dataset(CreateDatasetRequest) -> Dataset;
        get_dataset(GetDatasetRequest) -> Dataset;
        list_datasets(ListDatasetsRequest) -> ListDatasetsResponse;
        update_dataset(UpdateDatasetRequest) -> Dataset;
        delete_dataset(DeleteDatasetRequest) -> DeleteDatasetResponse;
        import_dataset_version(ImportDatasetVersionRequest) -> DatasetVersion;
        get_dataset_version(GetDatasetVersionRequest) -> DatasetVersion;
        list_dataset_versions(ListDatasetVersionsRequest) -> ListDatasetVersionsResponse;
        preview_rows(PreviewRowsRequest) -> PreviewRowsResponse;
        create_split(CreateSplitRequest) -> Split;
        get_split(GetSplitRequest) -> Split;
        list_splits(ListSplitsRequest) -> ListSplitsResponse;
    }
}
