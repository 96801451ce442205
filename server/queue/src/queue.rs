//! The handle on the queue: enqueue, look, wait, requeue.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tenor_domain::{self as domain, Job, JobId, JobState, Page, PageRequest};
use tenor_store::{Db, Tx, on};
use tokio_util::task::AbortOnDropHandle;

use crate::enqueue::{Enqueued, NewJob, insert};
use crate::events::{note, state_note};
use crate::finish::wait_again;
use crate::hints::{self, Effects, Hints};
use crate::row::{JobRow, Moved};
use crate::{Error, Metrics, QueueOptions, sql};

/// The queue of a database. Cloning is cheap and shares the wake-ups within the process.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Db,
    options: QueueOptions,
    metrics: Metrics,
    hints: Arc<Hints>,
    /// Ends with the last handle of the queue.
    listener: OnceLock<AbortOnDropHandle<()>>,
}

/// Which jobs to list. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub states: Vec<JobState>,
    pub kind: Option<String>,
}

impl Queue {
    pub fn new(db: Db, options: QueueOptions) -> Self {
        Self::with_metrics(db, options, Metrics::default())
    }

    pub fn with_metrics(db: Db, options: QueueOptions, metrics: Metrics) -> Self {
        Self(Arc::new(Inner { db, options, metrics, hints: Arc::default(), listener: OnceLock::new() }))
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }
    pub(crate) fn options(&self) -> &QueueOptions {
        &self.0.options
    }
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
    pub(crate) fn hints(&self) -> &Hints {
        &self.0.hints
    }

    /// Starts the process's one listening connection, at the first call that has a use for it.
    pub(crate) fn listen(&self) {
        let Db::Pg(pool) = self.db() else { return };
        self.0.listener.get_or_init(|| {
            let listen = hints::listen(pool.clone(), Arc::clone(&self.0.hints));
            AbortOnDropHandle::new(tokio::spawn(listen))
        });
    }

    /// Enqueues in the transaction that creates the row which the job is about. Call [`Queue::wake`] after its commit.
    pub async fn enqueue_in(&self, tx: &mut Tx, job: NewJob) -> Result<Enqueued, Error> {
        let enqueued = insert(tx, &job, None).await?;
        if !enqueued.existing {
            self.metrics().enqueued(&job.kind);
        }
        Ok(enqueued)
    }

    /// Enqueues in a transaction of its own.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, Error> {
        let enqueued = self
            .retrying(|| async {
                let mut tx = self.db().begin_write().await?;
                let enqueued = insert(&mut tx, &job, None).await?;
                tx.commit().await?;
                Ok(enqueued)
            })
            .await?;
        if !enqueued.existing {
            self.metrics().enqueued(&job.kind);
        }
        self.wake();
        Ok(enqueued)
    }

    /// Tells the workers of this process that a job may be ready. Other processes learn it from PostgreSQL, or poll.
    pub fn wake(&self) {
        self.hints().wake();
    }

    pub async fn get(&self, job: JobId) -> Result<Job, Error> {
        self.row(job).await?.into_job()
    }

    pub(crate) async fn row(&self, job: JobId) -> Result<JobRow, Error> {
        let mut tx = self.db().begin_read().await?;
        let row: Option<JobRow> = on!(&mut tx, connection => {
            sqlx::query_as(sql::GET).bind(job.0).fetch_optional(connection).await
        })?;
        row.ok_or(Error::NotFound(job))
    }

    /// Jobs, newest first.
    pub async fn list(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>, Error> {
        let before = match page.cursor.as_deref().map(JobId::parse).transpose() {
            Ok(before) => before.map(|id| id.0),
            Err(_) => {
                let error = domain::Error::invalid("page_token", "is not one that this list gave; start without one");
                return Err(Error::Invalid(error));
            }
        };
        let states = (!filter.states.is_empty())
            .then(|| filter.states.iter().fold(",".to_owned(), |list, state| format!("{list}{state},")));
        let size = page.size.clamp(1, PageRequest::MAX_SIZE) as usize;
        let mut tx = self.db().begin_read().await?;
        let mut rows: Vec<JobRow> = on!(&mut tx, connection => {
            sqlx::query_as(sql::LIST)
                .bind(before)
                .bind(&states)
                .bind(&filter.kind)
                // One more tells whether there is a next page.
                .bind(size as i64 + 1)
                .fetch_all(connection)
                .await
        })?;
        let more = rows.len() > size;
        rows.truncate(size);
        let cursors = rows.iter().map(|row| row.id.to_string()).collect();
        let items = rows.into_iter().map(JobRow::into_job).collect::<Result<_, _>>()?;
        Ok(Page::new(items, cursors, more))
    }

    /// Waits until the job has ended, or fails with [`Error::Timeout`].
    pub async fn wait(&self, job: JobId, timeout: Duration) -> Result<Job, Error> {
        self.listen();
        let ended = async {
            loop {
                let mut hints = self.hints().jobs.subscribe();
                let row = self.row(job).await?;
                if JobState::parse(&row.state).is_some_and(JobState::is_final) {
                    return row.into_job();
                }
                self.changed(&mut hints, job).await;
            }
        };
        tokio::time::timeout(timeout, ended).await.map_err(|_| Error::Timeout(job))?
    }

    /// Makes a failed or cancelled job ready again with all its attempts, whatever became of its dependencies. Jobs that
    /// still wait for others wait for this one again; those that failed because of it are requeued one by one.
    pub async fn requeue(&self, job: JobId) -> Result<Job, Error> {
        self.begin_requeue(job).await?.commit().await
    }

    /// The same as an open transaction, for rows that go back together with the job.
    pub async fn begin_requeue(&self, job: JobId) -> Result<Requeue, Error> {
        let mut tx = self.db().begin_write().await?;
        let statement = sql::pick(&tx, sql::PG_REQUEUE, sql::LITE_REQUEUE);
        let outcome: Result<Option<Moved>, sqlx::Error> = on!(&mut tx, connection => {
            sqlx::query_as(statement).bind(job.0).fetch_optional(connection).await
        });
        match outcome.map_err(tenor_store::Error::from) {
            Ok(Some(moved)) => {
                wait_again(&mut tx, job).await?;
                Ok(Requeue { queue: self.clone(), tx, moved })
            }
            Ok(None) => {
                drop(tx);
                let state = self.get(job).await?.state;
                Err(Error::NotRequeueable { job, state })
            }
            Err(error) if error.is_unique_violation() => {
                drop(tx);
                let key = self.row(job).await?.unique_key.unwrap_or_default();
                Err(Error::KeyTaken { key })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a whole transaction again when another one was in its way.
    pub(crate) async fn retrying<T, F: Future<Output = Result<T, Error>>>(
        &self,
        transaction: impl Fn() -> F,
    ) -> Result<T, Error> {
        let mut tries = 0;
        loop {
            match transaction().await {
                Err(Error::Store(tenor_store::Error::Serialization(_))) if tries < 5 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(5 << tries)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// An open transaction in which a job goes back to the queue. Dropping it takes everything back.
#[derive(Debug)]
pub struct Requeue {
    queue: Queue,
    tx: Tx,
    moved: Moved,
}

impl Requeue {
    /// For rows that belong to the job.
    pub fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    pub async fn commit(mut self) -> Result<Job, Error> {
        note(&mut self.tx, &[state_note(&self.moved, None)]).await?;
        let mut effects = Effects::default();
        effects.ready(&self.moved.queue);
        effects.changed.push(self.moved.id);
        effects.announce(&mut self.tx).await?;
        self.tx.commit().await?;
        self.queue.hints().apply(&effects);
        self.queue.get(JobId(self.moved.id)).await
    }
}
