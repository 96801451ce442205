//! Jobs: look, wait, watch, cancel.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tenor_domain::{Error, JobId};
use tenor_platform::Platform;
use tenor_proto::v1 as pb;
use tenor_proto::v1::job_service_server::JobService;
use tenor_queue::JobFilter;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::services::drain::{draining, while_serving};
use crate::status::status;
use crate::{decode, encode};

pub(crate) struct Jobs {
    pub(crate) platform: Arc<Platform>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl JobService for Jobs {
    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Result<Response<pb::Job>, Status> {
        let id = job_id(request.into_inner().job_id).map_err(status)?;
        self.platform.jobs().get(id).await.map(encode::job).map(Response::new).map_err(status)
    }

    async fn list_jobs(&self, request: Request<pb::ListJobsRequest>) -> Result<Response<pb::ListJobsResponse>, Status> {
        let request = request.into_inner();
        let page = decode::page(request.page_size, request.page_token).map_err(status)?;
        let states =
            request.states.into_iter().map(|state| decode::job_state("states", state)).collect::<Result<_, _>>();
        let filter =
            JobFilter { states: states.map_err(status)?, kind: decode::given(&request.kind).map(str::to_owned) };
        let page = self.platform.jobs().list(filter, page).await.map_err(status)?.map(encode::job);
        Ok(Response::new(pb::ListJobsResponse { jobs: page.items, next_page_token: page.next.unwrap_or_default() }))
    }

    async fn cancel_job(&self, request: Request<pb::CancelJobRequest>) -> Result<Response<pb::Job>, Status> {
        let id = job_id(request.into_inner().job_id).map_err(status)?;
        self.platform.jobs().cancel(id).await.map(encode::job).map(Response::new).map_err(status)
    }

    async fn requeue_job(&self, request: Request<pb::RequeueJobRequest>) -> Result<Response<pb::Job>, Status> {
        let id = job_id(request.into_inner().job_id).map_err(status)?;
        let job = self.platform.jobs().requeue(id).await;
        job.map(encode::job).map(Response::new).map_err(status)
    }

    async fn wait_job(&self, request: Request<pb::WaitJobRequest>) -> Result<Response<pb::Job>, Status> {
        let request = request.into_inner();
        let id = job_id(request.job_id).map_err(status)?;
        let timeout = match request.timeout_ms {
            0 => Duration::from_secs(30),
            ms @ 1..=600_000 => Duration::from_millis(u64::from(ms.unsigned_abs())),
            ms => {
                let description = format!("must be 1 to 600000, got {ms}; 0 means 30000");
                return Err(status(Error::invalid("timeout_ms", description)));
            }
        };
        let jobs = self.platform.jobs();
        tokio::select! {
            job = jobs.wait(id, timeout) => job.map(encode::job).map(Response::new).map_err(status),
            () = self.shutdown.cancelled() => Err(status(draining())),
        }
    }

    type WatchJobStream = BoxStream<'static, Result<pb::JobEvent, Status>>;

    async fn watch_job(&self, request: Request<pb::WatchJobRequest>) -> Result<Response<Self::WatchJobStream>, Status> {
        let request = request.into_inner();
        let id = job_id(request.job_id).map_err(status)?;
        if request.after_seq < 0 {
            return Err(status(Error::invalid("after_seq", "must not be negative; 0 means from the beginning")));
        }
        // A job that is not there is an error now, not an empty stream.
        self.platform.jobs().get(id).await.map_err(status)?;
        let events = self.platform.jobs().watch(id, request.after_seq);
        let events = events.map(|event| event.map(encode::job_event).map_err(status));
        Ok(Response::new(while_serving(events, self.shutdown.clone())))
    }
}

fn job_id(id: i64) -> Result<JobId, Error> {
    if id > 0 { Ok(JobId(id)) } else { Err(Error::invalid("job_id", format!("must be a positive integer, got {id}"))) }
}
