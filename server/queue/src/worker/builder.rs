//! Putting a worker together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures::future::BoxFuture;
use serde_json::Value;
use tenor_domain as domain;
use tokio::sync::{Mutex, Notify};

use super::{Shared, Worker};
use crate::enqueue::check_name;
use crate::lines::Lines;
use crate::row::json;
use crate::running::Running;
use crate::{Error, Job, JobContext, JobError, Queue};

type Handler = Arc<dyn Fn(JobContext) -> BoxFuture<'static, Result<Value, JobError>> + Send + Sync>;

/// Handlers by kind.
#[derive(Default)]
pub(crate) struct Handlers(BTreeMap<&'static str, Handler>);

impl Handlers {
    pub(crate) fn get(&self, kind: &str) -> Option<Handler> {
        self.0.get(kind).cloned()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

type HookFn = dyn Fn(domain::Job) -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// Called after a job ended without success for good.
#[derive(Clone)]
pub(crate) struct Hook(Arc<HookFn>);

impl std::ops::Deref for Hook {
    type Target = HookFn;
    fn deref(&self) -> &HookFn {
        &*self.0
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// See [`Worker::builder`].
#[derive(Debug)]
#[must_use]
pub struct WorkerBuilder {
    queue: Queue,
    handlers: Handlers,
    kind_queues: Vec<String>,
    queues: Vec<String>,
    twice: Option<&'static str>,
    hook: Option<Hook>,
    slots: usize,
    name: String,
}

impl WorkerBuilder {
    pub(super) fn new(queue: Queue) -> Self {
        let unique = domain::RunId::new();
        let unique = &unique.as_str()[24..];
        Self {
            queue,
            handlers: Handlers::default(),
            kind_queues: Vec::new(),
            queues: Vec::new(),
            twice: None,
            hook: None,
            slots: std::thread::available_parallelism().map_or(1, usize::from),
            name: format!("worker-{}-{unique}", std::process::id()),
        }
    }

    /// Runs jobs of kind `K` with `handler`. It runs on the async threads: compute belongs on threads of its own.
    pub fn register<K, H, F>(mut self, handler: H) -> Self
    where
        K: Job,
        H: Fn(JobContext, K) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Value, JobError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run = move |context: JobContext| -> BoxFuture<'static, Result<Value, JobError>> {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let payload = K::deserialize(&context.job.payload).map_err(|error| {
                    JobError::fail(format!(
                        "the payload of this `{}` job cannot be read by this version: {error}",
                        K::KIND
                    ))
                })?;
                handler(context, payload).await
            })
        };
        if self.handlers.0.insert(K::KIND, Arc::new(run)).is_some() {
            self.twice = Some(K::KIND);
        }
        if !self.kind_queues.iter().any(|queue| queue == K::QUEUE) {
            self.kind_queues.push(K::QUEUE.to_owned());
        }
        self
    }

    /// Called after a job of a registered kind ended as failed or cancelled for good, also when it never ran: its
    /// dependency failed, it was cancelled while waiting, or its worker died in the last attempt. At least once, by
    /// any worker; until it returns `Ok` it is called again.
    pub fn on_ended<H, F, E>(mut self, hook: H) -> Self
    where
        H: Fn(domain::Job) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.hook = Some(Hook(Arc::new(move |job| {
            let call = hook(job);
            Box::pin(async move { call.await.map_err(|error| error.to_string()) })
        })));
        self
    }

    /// Jobs at the same time; default: the number of CPUs. At least 1.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// The queues to serve, each in turn; priorities rank within one. Default: those of the registered kinds.
    pub fn queues<T: Into<String>>(mut self, queues: impl IntoIterator<Item = T>) -> Self {
        self.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// The name in job rows; default: made of the process id. It need not be unique.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    pub fn build(self) -> Result<Worker, Error> {
        let invalid = |field, description: &str| Error::Invalid(domain::Error::invalid(field, description));
        if let Some(kind) = self.twice {
            return Err(invalid("handlers", &format!("has two handlers for kind `{kind}`; register each kind once")));
        }
        if self.handlers.0.is_empty() {
            return Err(invalid("handlers", "is empty; register at least one kind"));
        }
        if self.slots == 0 {
            return Err(invalid("slots", "must be at least 1"));
        }
        check_name("worker", &self.name)?;
        let queues = if self.queues.is_empty() { self.kind_queues } else { self.queues };
        queues.iter().try_for_each(|queue| check_name("queue", queue))?;
        let kinds = json(&self.handlers.0.keys().collect::<Vec<_>>());
        let shared = Shared {
            queue: self.queue,
            name: self.name,
            handlers: self.handlers,
            kinds,
            hook: self.hook,
            running: Running::default(),
            lines: Lines::default(),
            writing: Mutex::new(()),
            flush_soon: Notify::new(),
            flushed: Notify::new(),
            ended: AtomicU64::new(0),
            released: AtomicU64::new(0),
        };
        Ok(Worker { shared: Arc::new(shared), queues, slots: self.slots })
    }
}
