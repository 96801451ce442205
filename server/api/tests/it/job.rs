//! Jobs: list, wait, watch, cancel, requeue.

use std::time::Duration;

use serde_json::Value;
use tenor_proto::v1 as pb;
use tenor_proto::v1::job_service_client::JobServiceClient;
use tenor_queue::{Job, JobContext, JobError, NewJob, Worker};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status, Streaming};

use crate::checked::Checked;
use crate::support::{LONG, Server, check, check_field, start};

/// A job that ends when the test says how.
#[derive(serde::Serialize, serde::Deserialize)]
struct Probe;

impl Job for Probe {
    const KIND: &'static str = "probe";
    const MAX_ATTEMPTS: i32 = 1;
}

type End = oneshot::Sender<Result<Value, JobError>>;

struct Bench {
    server: Server,
    client: JobServiceClient<Checked>,
    begun: mpsc::UnboundedReceiver<(JobContext, End)>,
    _worker: DropGuard,
}

impl Bench {
    async fn start() -> Self {
        let server = start().await;
        let client = JobServiceClient::new(server.channel().await);
        let (sender, begun) = mpsc::unbounded_channel();
        let handler = move |context: JobContext, _: Probe| {
            let (end, ended) = oneshot::channel();
            let stopped = context.cancelled();
            let _ = sender.send((context, end));
            async move {
                tokio::select! {
                    result = ended => result.unwrap_or_else(|_| Err(JobError::fail("let go"))),
                    () = stopped.cancelled() => Err(JobError::fail("told to stop")),
                }
            }
        };
        let queue = tenor_queue::Queue::clone(server.platform.queue());
        let worker = Worker::builder(queue).register(handler).slots(2).name("w").build().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(worker.run(shutdown.clone(), Duration::ZERO));
        Self { server, client, begun, _worker: shutdown.drop_guard() }
    }

    /// A job that runs.
    async fn running(&mut self) -> (i64, JobContext, End) {
        let id = self.enqueue("probe").await;
        let (context, end) = tokio::time::timeout(LONG, self.begun.recv()).await.unwrap().unwrap();
        assert_eq!(context.job.id.0, id);
        (id, context, end)
    }

    async fn enqueue(&self, kind: &str) -> i64 {
        let job = NewJob { max_attempts: 1, ..NewJob::new(kind, Value::Null) };
        self.server.platform.queue().enqueue(job).await.unwrap().id.0
    }

    async fn get(&mut self, job_id: i64) -> pb::Job {
        self.client.get_job(pb::GetJobRequest { job_id }).await.unwrap().into_inner()
    }

    async fn wait(&mut self, job_id: i64, timeout_ms: i32) -> Result<pb::Job, Status> {
        self.client.wait_job(pb::WaitJobRequest { job_id, timeout_ms }).await.map(tonic::Response::into_inner)
    }

    async fn watch(&mut self, job_id: i64, after_seq: i64) -> Streaming<pb::JobEvent> {
        self.client.watch_job(pb::WatchJobRequest { job_id, after_seq }).await.unwrap().into_inner()
    }
}

async fn rest(mut events: Streaming<pb::JobEvent>) -> Vec<pb::JobEvent> {
    let mut all = Vec::new();
    while let Some(event) = tokio::time::timeout(LONG, events.message()).await.unwrap().unwrap() {
        all.push(event);
    }
    all
}

#[tokio::test]
async fn a_wait_ends_with_the_job_or_at_its_timeout_with_the_job_as_it_is() {
    let mut bench = Bench::start().await;
    let (id, _context, end) = bench.running().await;
    let job = bench.wait(id, 1).await.unwrap();
    assert_eq!((job.state(), job.kind.as_str(), job.worker.as_str()), (pb::JobState::Running, "probe", "w"));
    let mut client = bench.client.clone();
    let waiting = tokio::spawn(async move { client.wait_job(pb::WaitJobRequest { job_id: id, timeout_ms: 0 }).await });
    end.send(Ok(serde_json::json!({ "rows": 3 }))).unwrap();
    let job = waiting.await.unwrap().unwrap().into_inner();
    assert_eq!((job.state(), job.result_json.as_str(), job.progress), (pb::JobState::Succeeded, "{\"rows\":3}", 1.0));
    assert_eq!(bench.wait(id, 600_000).await.unwrap(), job);
    for timeout_ms in [-1, 600_001, i32::MAX, i32::MIN] {
        check_field(&bench.wait(id, timeout_ms).await.unwrap_err(), "timeout_ms");
    }
    check(&bench.wait(i64::MAX, 1).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    for job_id in [0, -1, i64::MIN] {
        check_field(&bench.wait(job_id, 1).await.unwrap_err(), "job_id");
    }
}

#[tokio::test]
async fn a_watch_that_is_cut_resumes_after_the_last_line_and_loses_none() {
    let mut bench = Bench::start().await;
    let (id, context, end) = bench.running().await;
    let mut live = bench.watch(id, 0).await;
    for n in 0..4 {
        context.info(format!("line {n}")).await;
    }
    context.progress(0.25, "a quarter").await;
    let mut seen: Vec<pb::JobEvent> = Vec::new();
    while seen.last().is_none_or(|event| event.message != "line 1") {
        seen.push(tokio::time::timeout(LONG, live.message()).await.unwrap().unwrap().unwrap());
    }
    drop(live);
    bench.server.idle().await;
    end.send(Err(JobError::fail("no such column"))).unwrap();
    let resumed = bench.watch(id, seen.last().unwrap().seq).await;
    seen.extend(rest(resumed).await);
    let whole = bench.watch(id, 0).await;
    assert_eq!(seen, rest(whole).await);
    let seqs: Vec<_> = seen.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=seqs.len()).map(|seq| i64::try_from(seq).unwrap()).collect::<Vec<_>>());
    let lines: Vec<_> = seen.iter().map(|event| (event.level(), event.message.as_str())).collect();
    use pb::JobEventLevel as Level;
    let expected = [
        (Level::State, "running"),
        (Level::Info, "line 0"),
        (Level::Info, "line 1"),
        (Level::Info, "line 2"),
        (Level::Info, "line 3"),
        (Level::Progress, "a quarter"),
        (Level::State, "failed"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(seen[5].progress, Some(0.25));
    assert!(seen[6].data_json.contains("no such column"), "{}", seen[6].data_json);
    let after_the_end = bench.watch(id, i64::MAX).await;
    assert!(rest(after_the_end).await.is_empty());
    let request = pb::WatchJobRequest { job_id: id, after_seq: -1 };
    check_field(&bench.client.watch_job(request).await.unwrap_err(), "after_seq");
    let request = pb::WatchJobRequest { job_id: i64::MAX, after_seq: 0 };
    check(&bench.client.watch_job(request).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_server_that_shuts_down_sends_waiters_and_watchers_away_to_come_again() {
    let mut bench = Bench::start().await;
    let (id, _context, end) = bench.running().await;
    let mut live = bench.watch(id, 0).await;
    assert_eq!(live.message().await.unwrap().unwrap().message, "running");
    let mut client = bench.client.clone();
    let waiting = tokio::spawn(async move { client.wait_job(pb::WaitJobRequest { job_id: id, timeout_ms: 0 }).await });
    // Both calls are there, and the one that asks.
    crate::support::eventually(async || {
        bench.server.get("/metrics", "").await.contains("tenor_rpc_running 2").then_some(())
    })
    .await;
    bench.server.shutdown.cancel();
    for status in [live.message().await.unwrap_err(), waiting.await.unwrap().unwrap_err()] {
        check(&status, Code::Unavailable, "SERVER_DRAINING");
        let details = tonic_types::StatusExt::get_details_retry_info(&status).unwrap();
        assert!(details.retry_delay.is_some());
    }
    drop(end);
    tokio::time::timeout(LONG, bench.server.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_a_finished_one_left_as_it_is() {
    let mut bench = Bench::start().await;
    let (id, _context, _end) = bench.running().await;
    let cancel = pb::CancelJobRequest { job_id: id };
    let asked = bench.client.cancel_job(cancel).await.unwrap().into_inner();
    assert!(asked.cancel_requested);
    let ended = bench.wait(id, 0).await.unwrap();
    assert_eq!(ended.state(), pb::JobState::Cancelled);
    assert_eq!(bench.client.cancel_job(cancel).await.unwrap().into_inner(), ended);
    let unknown = pb::CancelJobRequest { job_id: i64::MAX };
    check(&bench.client.cancel_job(unknown).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    check_field(&bench.client.cancel_job(pb::CancelJobRequest { job_id: 0 }).await.unwrap_err(), "job_id");
}

#[tokio::test]
async fn a_failed_job_is_put_back_and_one_that_runs_is_not() {
    let mut bench = Bench::start().await;
    let (id, _context, end) = bench.running().await;
    let requeue = pb::RequeueJobRequest { job_id: id };
    let status = bench.client.requeue_job(requeue).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "JOB_STATE");
    end.send(Err(JobError::fail("no"))).unwrap();
    let failed = bench.wait(id, 0).await.unwrap();
    assert_eq!((failed.state(), failed.error.as_str()), (pb::JobState::Failed, "no"));
    bench.client.requeue_job(requeue).await.unwrap();
    let (_, end) = tokio::time::timeout(LONG, bench.begun.recv()).await.unwrap().unwrap();
    end.send(Ok(Value::Null)).unwrap();
    assert_eq!(bench.wait(id, 0).await.unwrap().state(), pb::JobState::Succeeded);
    let status = bench.client.requeue_job(requeue).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "JOB_STATE");
    let unknown = pb::RequeueJobRequest { job_id: i64::MAX };
    check(&bench.client.requeue_job(unknown).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn jobs_are_listed_by_state_and_kind() {
    let mut bench = Bench::start().await;
    let (running, _context, _end) = bench.running().await;
    // No worker knows this kind.
    let ready = bench.enqueue("unheard_of").await;
    let mut list = async |states: &[i32], kind: &str| {
        let request =
            pb::ListJobsRequest { states: states.to_vec(), kind: kind.into(), ..pb::ListJobsRequest::default() };
        let found = bench.client.list_jobs(request).await?.into_inner().jobs;
        Ok::<_, Status>(found.into_iter().map(|job| job.id).collect::<Vec<_>>())
    };
    assert_eq!(list(&[], "").await.unwrap(), [ready, running]);
    assert_eq!(list(&[pb::JobState::Ready.into()], "").await.unwrap(), [ready]);
    assert_eq!(list(&[2, 3, 3, 6], "probe").await.unwrap(), [running]);
    assert!(list(&[pb::JobState::Failed.into()], "").await.unwrap().is_empty());
    for states in [&[0][..], &[99], &[2, -1]] {
        check_field(&list(states, "").await.unwrap_err(), "states");
    }
    check_field(&list(&[], "a\0b").await.unwrap_err(), "kind");
    let job = bench.get(ready).await;
    assert_eq!((job.attempt, job.max_attempts, job.payload_json.as_str()), (0, 1, ""));
    assert!(job.create_time.is_some() && job.start_time.is_none() && job.finish_time.is_none());
}
