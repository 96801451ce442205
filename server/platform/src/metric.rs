//! Metric batches of many callers in one transaction.
//!
//! A commit costs far more than a point, so small batches that arrive while a commit runs are written together by the
//! next one. Nothing waits for company: with one caller each batch is a transaction of its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tenor_domain::{Caller, Error, Metric, RequestId, RunId, Timestamp};
use tenor_queue::Fence;
use tenor_store::Tx;
use tenor_store::run::{self, MetricPoint};
use tokio::sync::oneshot;

use crate::{Platform, idempotency::Request};

/// The most points of one call.
const MAX_BATCH_POINTS: usize = 10_000;
/// Larger batches are worth a transaction of their own.
const SHARED_POINTS: usize = 256;
/// The most points of one shared transaction.
const GROUP_POINTS: usize = 20_000;

/// What batches are known as among the idempotency keys.
const METHOD: &str = "LogMetrics";

/// Points of one run that are written together, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricBatch {
    pub run: RunId,
    /// At most 10,000.
    pub metrics: Vec<Metric>,
    /// A batch with an id that was written before is not written again.
    pub id: Option<RequestId>,
}

impl MetricBatch {
    fn check(&self) -> Result<(), Error> {
        let points = self.metrics.len();
        if points > MAX_BATCH_POINTS {
            let why = format!("must have at most {MAX_BATCH_POINTS} points a batch, got {points}; send several");
            return Err(Error::invalid("metrics", why));
        }
        self.metrics.iter().try_for_each(|metric| Metric::check_key("metrics", &metric.key))
    }
}

/// A batch and who sent it.
struct Batch {
    caller: Caller,
    id: Option<RequestId>,
    run: RunId,
    metrics: Vec<Metric>,
}

struct Pending {
    batch: Arc<Batch>,
    answer: oneshot::Sender<Result<(), Error>>,
}

/// Batches that wait for the next transaction.
#[derive(Default)]
pub(crate) struct MetricWriter {
    waiting: Mutex<Vec<Pending>>,
    /// Held by the caller that writes for all.
    writing: tokio::sync::Mutex<()>,
}

impl Platform {
    /// Writes the batches of one caller, in their order, in one transaction: one result a batch. Nothing after the first
    /// batch that breaks a limit is written.
    pub(crate) async fn write_batches(
        &self,
        caller: &Caller,
        batches: Vec<MetricBatch>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let mut sound = Vec::with_capacity(batches.len());
        let mut wrong = None;
        for batch in batches {
            if let Err(error) = batch.check() {
                wrong = Some(Err(error));
                break;
            }
            let MetricBatch { run, metrics, id } = batch;
            sound.push(Batch { caller: caller.clone(), id, run, metrics });
        }
        let mut results = match sound.is_empty() {
            true => Vec::new(),
            false => self.write_transaction(&sound.iter().collect::<Vec<_>>()).await?,
        };
        results.extend(wrong);
        Ok(results)
    }

    /// Writes a batch once, whatever happens: a batch with an id that was written before is not written again.
    pub(crate) async fn write_metrics(
        &self,
        caller: &Caller,
        batch: MetricBatch,
        fence: Option<&Fence>,
    ) -> Result<(), Error> {
        batch.check()?;
        let MetricBatch { run, metrics, id } = batch;
        let batch = Batch { caller: caller.clone(), id, run, metrics };
        if fence.is_none() && batch.metrics.len() <= SHARED_POINTS {
            return self.write_shared(Arc::new(batch)).await;
        }
        let mut tx = self.write().await?;
        if let Some(fence) = fence {
            tenor_queue::check_fence(&mut tx, fence).await?;
        }
        for result in write_group(&mut tx, &[&batch], self.now()).await? {
            result?;
        }
        Ok(tx.commit().await?)
    }

    async fn write_shared(&self, batch: Arc<Batch>) -> Result<(), Error> {
        let writer = &self.metric_writer;
        loop {
            let (answer, mut answered) = oneshot::channel();
            let pending = Pending { batch: Arc::clone(&batch), answer };
            writer.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(pending);
            let _writing = writer.writing.lock().await;
            // Our turn: write what waits, in the order of arrival, until our own batch has its answer. It may have one
            // already, from the caller that wrote before us.
            loop {
                match answered.try_recv() {
                    Ok(result) => return result,
                    Err(oneshot::error::TryRecvError::Empty) => self.write_waiting().await,
                    // A caller took the batch and went away in the middle, so its transaction was rolled back: once more.
                    Err(oneshot::error::TryRecvError::Closed) => break,
                }
            }
        }
    }

    /// Writes the batches that have waited longest, in one transaction.
    async fn write_waiting(&self) {
        let group: Vec<Pending> = {
            let mut waiting = self.metric_writer.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let mut points = 0;
            let count = waiting
                .iter()
                .take_while(|pending| {
                    points += pending.batch.metrics.len();
                    points <= GROUP_POINTS
                })
                .count();
            waiting.drain(..count).filter(|pending| !pending.answer.is_closed()).collect()
        };
        if group.is_empty() {
            return;
        }
        let batches: Vec<&Batch> = group.iter().map(|pending| &*pending.batch).collect();
        let results = self.write_transaction(&batches).await;
        for (index, pending) in group.into_iter().enumerate() {
            let result = match &results {
                Ok(results) => results.get(index).cloned().unwrap_or(Ok(())),
                Err(error) => Err(error.clone()),
            };
            // A caller that went away needs no answer.
            let _ = pending.answer.send(result);
        }
    }

    async fn write_transaction(&self, batches: &[&Batch]) -> Result<Vec<Result<(), Error>>, Error> {
        let mut tx = self.write().await?;
        let results = write_group(&mut tx, batches, self.now()).await?;
        tx.commit().await?;
        Ok(results)
    }
}

/// One result a batch: a wrong batch does not keep the others from being written.
async fn write_group(tx: &mut Tx, batches: &[&Batch], now: Timestamp) -> Result<Vec<Result<(), Error>>, Error> {
    // Of one batch the foreign key tells whether its run is there; among several, one without a run must not fail the others.
    let existing: Option<HashSet<String>> = match batches {
        [_] => None,
        _ => {
            let mut runs: Vec<&str> = batches.iter().map(|batch| batch.run.as_str()).collect();
            runs.sort_unstable();
            runs.dedup();
            Some(run::existing(tx, &runs).await?.into_iter().collect())
        }
    };
    let exists = |batch: &Batch| existing.as_ref().is_none_or(|runs| runs.contains(batch.run.as_str()));
    let mut requests = Vec::with_capacity(batches.len());
    for batch in batches {
        // A batch of a run that is gone takes no key.
        let id = batch.id.as_ref().filter(|_| exists(batch));
        // The bits, because NaN has no JSON. Not the time: one that the client leaves open is another each time the batch
        // is sent.
        let asked: Vec<_> =
            batch.metrics.iter().map(|metric| (&metric.key, metric.value.to_bits(), metric.step)).collect();
        let request = Request::new(&batch.caller, id, METHOD, &(&batch.run, asked))?.named("batch_id");
        requests.push((request, batch.run.as_str()));
    }
    let claimed = Request::claim_many(tx, METHOD, &requests, now).await?;
    let mut results = Vec::with_capacity(batches.len());
    let mut points = Vec::new();
    for (batch, claimed) in batches.iter().zip(claimed) {
        if !exists(batch) {
            results.push(Err(crate::run::missing(&batch.run)));
            continue;
        }
        // A batch that was written before is not written again.
        if let Ok(None) = claimed {
            points.extend(batch.metrics.iter().map(|metric| MetricPoint { run: &batch.run, metric }));
        }
        results.push(claimed.map(|_| ()));
    }
    match (run::write_metrics(tx, &points).await, batches) {
        (Err(error), [only]) if error.is_foreign_key_violation() => return Err(crate::run::missing(&only.run)),
        (written, _) => written?,
    }
    Ok(results)
}
