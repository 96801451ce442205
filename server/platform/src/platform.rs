//! What every use case needs, given once.

use std::path::Path;
use std::sync::Arc;

use tenor_domain::{Acceptance, Clock, Error, Timestamp};
use tenor_queue::Queue;
use tenor_store::{Blobs, Db, Spool, Tx};
use tokio::sync::{Semaphore, watch};

use crate::metric::MetricWriter;
use crate::study::StudyCache;
use crate::{Datasets, Deployments, Experiments, Jobs, Models, Runs, Splits, Studies, Uploads};

/// The use cases, by noun.
pub struct Platform {
    pub(crate) db: Db,
    pub(crate) blobs: Blobs,
    pub(crate) queue: Arc<Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) spool: Spool,
    pub(crate) metric_writer: MetricWriter,
    /// Comparisons of answers that may run at once: they hold whole files in memory.
    pub(crate) comparisons: Semaphore,
    pub(crate) acceptance: Option<Arc<dyn Acceptance>>,
    /// Changed when this process changes what a deployment means.
    pub(crate) deployments_changed: watch::Sender<()>,
    pub(crate) studies: StudyCache,
    /// Changed when this process changes a study.
    pub(crate) studies_changed: watch::Sender<()>,
}

impl Platform {
    /// `spool_dir` holds the bytes of unfinished uploads; it is made when missing.
    pub fn new(
        db: Db,
        blobs: Blobs,
        queue: Arc<Queue>,
        clock: Arc<dyn Clock>,
        spool_dir: &Path,
    ) -> Result<Self, Error> {
        let spool = Spool::open(spool_dir)?;
        let (deployments_changed, _) = watch::channel(());
        let metric_writer = MetricWriter::default();
        let comparisons = Semaphore::new(1);
        Ok(Self {
            db,
            blobs,
            queue,
            clock,
            spool,
            metric_writer,
            comparisons,
            acceptance: None,
            deployments_changed,
            studies: StudyCache::default(),
            studies_changed: watch::channel(()).0,
        })
    }

    /// The same, with wrong options of imports, splits and trainings refused when they are requested. Without this the jobs
    /// refuse them.
    #[must_use]
    pub fn accepting(mut self, acceptance: Arc<dyn Acceptance>) -> Self {
        self.acceptance = Some(acceptance);
        self
    }

    pub fn datasets(&self) -> Datasets<'_> {
        Datasets(self)
    }
    pub fn uploads(&self) -> Uploads<'_> {
        Uploads(self)
    }
    pub fn splits(&self) -> Splits<'_> {
        Splits(self)
    }
    pub fn experiments(&self) -> Experiments<'_> {
        Experiments(self)
    }
    pub fn runs(&self) -> Runs<'_> {
        Runs(self)
    }
    pub fn studies(&self) -> Studies<'_> {
        Studies(self)
    }
    pub fn models(&self) -> Models<'_> {
        Models(self)
    }
    pub fn deployments(&self) -> Deployments<'_> {
        Deployments(self)
    }
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }
    /// The bytes behind digests.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }
    pub fn db(&self) -> &Db {
        &self.db
    }
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Whether the database answers, for readiness checks.
    pub async fn ping(&self) -> Result<(), Error> {
        Ok(self.db.ping().await?)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
    pub(crate) async fn read(&self) -> Result<Tx, Error> {
        Ok(self.db.begin_read().await?)
    }
    pub(crate) async fn write(&self) -> Result<Tx, Error> {
        Ok(self.db.begin_write().await?)
    }
}
