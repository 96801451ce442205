//! A worker whose jobs end when the test says so.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tenor_domain::{Job as JobRow, Run};
use tenor_platform::ModelFacts;
use tenor_queue::{Fence, Job, JobContext, JobError, Worker, WorkerReport};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::*;

/// Longer than anything takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

macro_rules! kinds {
    ($($name:ident $kind:literal;)*) => {$(
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        struct $name(Value);

        impl Job for $name {
            const KIND: &'static str = $kind;
        }
    )*};
}

kinds! {
    Import "import_dataset";
    Process "process_dataset";
    Train "train_run";
}

/// A job that runs, until [`Held::end`] or until it is told to stop.
pub struct Held {
    pub context: JobContext,
    end: oneshot::Sender<Result<Value, JobError>>,
}

impl Held {
    pub fn fence(&self) -> Fence {
        self.context.fence()
    }

    pub fn end(self, result: Result<Value, JobError>) {
        let _ = self.end.send(result);
    }
}

pub struct Hands {
    jobs: mpsc::UnboundedReceiver<Held>,
    settled: mpsc::UnboundedReceiver<JobRow>,
    shutdown: CancellationToken,
    task: JoinHandle<WorkerReport>,
}

impl Bench {
    /// Starts a worker that knows every kind and settles the rows of jobs that end badly.
    pub fn work(&self) -> Hands {
        let (started, jobs) = mpsc::unbounded_channel();
        let (done, settled) = mpsc::unbounded_channel();
        let platform = Arc::clone(&self.platform);
        let hook = move |job: JobRow| {
            let (platform, done) = (Arc::clone(&platform), done.clone());
            async move {
                platform.job_ended(&job).await?;
                let _ = done.send(job);
                Ok::<_, tenor_domain::Error>(())
            }
        };
        let [import, process, train] = [started.clone(), started.clone(), started];
        let worker = Worker::builder(tenor_queue::Queue::clone(self.queue()))
            .register(move |context, _: Import| hold(context, import.clone()))
            .register(move |context, _: Process| hold(context, process.clone()))
            .register(move |context, _: Train| hold(context, train.clone()))
            .on_ended(hook)
            .slots(4)
            .build()
            .unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(worker.run(stop, Duration::ZERO));
        Hands { jobs, settled, shutdown, task }
    }
}

impl Bench {
    /// A training run that a job has led to a model file.
    pub async fn trained(&self) -> (Run, ModelFacts) {
        let version = self.import("kindle", "text", Value::Null).await;
        let split = self.split("kindle").await;
        let run = self.runs().train(&anyone(), train_spec(&split), None).await.unwrap();
        let mut hands = self.work();
        let import = hands.next().await;
        self.datasets().finish_import(&import.fence(), &version.id, Ok(import_outcome())).await.unwrap();
        import.end(Ok(Value::Null));
        let process = hands.next().await;
        self.splits().finish(&process.fence(), &split.id, Ok(split_outcome())).await.unwrap();
        process.end(Ok(Value::Null));
        let train = hands.next().await;
        let facts = facts("file");
        self.runs().start(&train.fence(), &run.id).await.unwrap();
        self.runs().finish_training(&train.fence(), &anyone(), &run.id, made("file", None)).await.unwrap();
        let run = self.runs().get(&run.id).await.unwrap();
        train.end(Ok(Value::Null));
        hands.stop().await;
        (run, facts)
    }
}

async fn hold(context: JobContext, started: mpsc::UnboundedSender<Held>) -> Result<Value, JobError> {
    let (end, ended) = oneshot::channel();
    let stopped = context.cancelled();
    let _ = started.send(Held { context, end });
    tokio::select! {
        result = ended => result.unwrap_or_else(|_| Err(JobError::fail("the test let go of the job"))),
        () = stopped.cancelled() => Err(JobError::fail("told to stop")),
    }
}

impl Hands {
    /// The next job that a worker has begun.
    pub async fn next(&mut self) -> Held {
        tokio::time::timeout(LONG, self.jobs.recv()).await.expect("a job begins").expect("the worker lives")
    }

    /// The next job whose row was settled after a bad end.
    pub async fn settled(&mut self) -> JobRow {
        tokio::time::timeout(LONG, self.settled.recv()).await.expect("a job is settled").expect("the worker lives")
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}
