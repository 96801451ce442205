//! A worker: claims jobs while it has free slots, runs their handlers, records how they ended.

mod attempt;
mod builder;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::claim::Claim;
use crate::finish::{Completion, finish};
use crate::hints::Effects;
use crate::lines::{self, Lines};
use crate::row::Moved;
use crate::running::{CancelReason, Running};
use crate::{Error, Queue, heartbeat, maintenance, retry};
pub use builder::WorkerBuilder;
pub(crate) use builder::{Handlers, Hook};

/// Completions recorded in one transaction.
const GROUP: usize = 256;

/// Runs jobs of the kinds that it was given handlers for.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    queues: Vec<String>,
    slots: usize,
}

/// What the tasks of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub queue: Queue,
    pub name: String,
    pub handlers: Handlers,
    /// JSON list of the kinds that it knows.
    pub kinds: String,
    pub hook: Option<Hook>,
    pub running: Running,
    pub lines: Lines,
    /// Held while lines are written, so that a job's final line cannot overtake them.
    pub writing: Mutex<()>,
    pub flush_soon: Notify,
    pub flushed: Notify,
    ended: AtomicU64,
    released: AtomicU64,
}

/// What a worker did until it was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerReport {
    /// Attempts that ended in any way but the next.
    pub ended: u64,
    /// Attempts cut short by the shutdown and given back.
    pub released: u64,
    /// Jobs that did not stop in time; their leases run out by themselves.
    pub left_behind: usize,
}

impl Worker {
    pub fn builder(queue: Queue) -> WorkerBuilder {
        WorkerBuilder::new(queue)
    }

    /// Works until `shutdown`, then claims no more, lets running jobs go on for `grace`, tells the rest to stop and
    /// gives them back without counting the attempt. A database that is away is waited for, never an end.
    pub async fn run(self, shutdown: CancellationToken, grace: Duration) -> WorkerReport {
        let shared = &self.shared;
        shared.queue.listen();
        let stop = CancellationToken::new();
        // Also when this future is dropped.
        let _stop_on_drop = stop.clone().drop_guard();
        let mut helpers = self.helpers(&stop);
        let (completions, receiver) = mpsc::channel(4 * GROUP);
        let mut recorder = JoinSet::new();
        recorder.spawn(record_all(Arc::clone(shared), receiver));

        let mut jobs = JoinSet::new();
        self.claim_until(&shutdown, &mut jobs, &completions).await;

        let drained = async { while jobs.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::info!(jobs = shared.running.len(), "the grace period is over; running jobs are told to stop");
            shared.running.cancel_all(CancelReason::ShuttingDown);
            while jobs.join_next().await.is_some() {}
        }
        drop(completions);
        // The database may be away; leases run out by themselves then.
        let _ = tokio::time::timeout(shared.queue.options().lease(), recorder.join_next()).await;
        let _ = tokio::time::timeout(Duration::from_secs(5), shared.flush()).await;
        stop.cancel();
        while helpers.join_next().await.is_some() {}
        WorkerReport {
            ended: shared.ended.load(Ordering::Relaxed),
            released: shared.released.load(Ordering::Relaxed),
            left_behind: shared.running.len(),
        }
    }

    fn helpers(&self, stop: &CancellationToken) -> JoinSet<()> {
        let mut helpers = JoinSet::new();
        macro_rules! helper {
            (|$shared:ident, $stop:ident| $body:expr) => {{
                let ($shared, $stop) = (Arc::clone(&self.shared), stop.clone());
                helpers.spawn(async move { $body.await });
            }};
        }
        helper!(|shared, stop| heartbeat::keep(&shared.queue, &shared.running, &stop));
        helper!(|shared, stop| maintenance::watch_cancels(&shared.queue, &shared.running, &stop));
        helper!(|shared, stop| flush_until(&shared, &stop));
        helper!(|shared, stop| settle_until(&shared, &stop));
        helper!(|shared, stop| {
            maintenance::every(shared.queue.options().reap(), &stop, "reap", || shared.queue.reap_all())
        });
        helper!(|shared, stop| {
            maintenance::every(shared.queue.options().sweep(), &stop, "sweep", || async {
                shared.queue.sweep().await.map(|_| ())
            })
        });
        helper!(|shared, stop| {
            maintenance::every(Duration::from_secs(10), &stop, "count", || shared.queue.count_live())
        });
        helpers
    }

    async fn claim_until(
        &self,
        shutdown: &CancellationToken,
        jobs: &mut JoinSet<()>,
        completions: &mpsc::Sender<attempt::Ended>,
    ) {
        let queue = &self.shared.queue;
        let poll = queue.options().poll(queue.db().is_postgres());
        let slots = Arc::new(Semaphore::new(self.slots));
        let mut ready = queue.hints().ready.subscribe();
        let mut round = 0_usize;
        while !shutdown.is_cancelled() {
            let mut permits = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                permits = free(&slots) => permits,
            };
            while jobs.try_join_next().is_some() {}
            round = round.wrapping_add(1);
            // Seen before the look at the table, so that no wake-up falls in between.
            ready.borrow_and_update();
            let wanted = permits.len();
            // Not within a select: a claim that is dropped half-way would leave jobs leased to nobody.
            let outcome = self.claim(&mut permits, round, jobs, completions).await;
            drop(permits);
            match outcome {
                Ok(claimed) if claimed >= wanted => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(error = %error, "jobs could not be claimed; trying again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                // The sender is part of the queue, so this cannot end.
                _ = ready.changed() => {}
                () = tokio::time::sleep(retry::jittered(poll, round as u64)) => {}
            }
        }
    }

    /// Fills the free slots from the queues, beginning with another queue each time. Returns how many it filled.
    async fn claim(
        &self,
        permits: &mut Vec<OwnedSemaphorePermit>,
        round: usize,
        jobs: &mut JoinSet<()>,
        completions: &mpsc::Sender<attempt::Ended>,
    ) -> Result<usize, Error> {
        let shared = &self.shared;
        let mut claimed = 0;
        for at in 0..self.queues.len() {
            let claim = Claim {
                queue: &self.queues[(round + at) % self.queues.len()],
                kinds: &shared.kinds,
                worker: &shared.name,
                limit: permits.len(),
            };
            let valid_until = Instant::now() + shared.queue.options().lease();
            for row in shared.queue.claim(&claim).await? {
                // As many rows as permits at most.
                let Some(permit) = permits.pop() else { break };
                claimed += 1;
                let token = shared.running.insert(row.fence(), valid_until);
                jobs.spawn(attempt::run(Arc::clone(shared), row, token, permit, completions.clone()));
            }
            if permits.is_empty() {
                break;
            }
        }
        shared.queue.metrics().running(shared.running.len());
        Ok(claimed)
    }
}

/// All free slots, at least one.
async fn free(slots: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let mut permits = Vec::new();
    // The semaphore is never closed.
    permits.extend(Arc::clone(slots).acquire_owned().await);
    while permits.len() < GROUP {
        let Ok(permit) = Arc::clone(slots).try_acquire_owned() else { break };
        permits.push(permit);
    }
    permits
}

/// Records the ends of attempts; what comes while a transaction runs goes into the next, all together.
async fn record_all(shared: Arc<Shared>, mut receiver: mpsc::Receiver<attempt::Ended>) {
    let mut group = Vec::with_capacity(GROUP);
    while receiver.recv_many(&mut group, GROUP).await > 0 {
        shared.record(&group).await;
        group.clear();
    }
}

impl Shared {
    async fn record(&self, group: &[attempt::Ended]) {
        let completions: Vec<Completion> = group.iter().map(|ended| ended.completion.clone()).collect();
        match self.record_group(&completions).await {
            Ok(moved) => self.report(group, &moved),
            // One that the database does not take must not hold up the others.
            Err(_) if group.len() > 1 => {
                for ended in group {
                    match self.record_group(std::slice::from_ref(&ended.completion)).await {
                        Ok(moved) => self.report(std::slice::from_ref(ended), &moved),
                        Err(error) => self.refused(ended, &error),
                    }
                }
            }
            Err(error) => group.iter().for_each(|ended| self.refused(ended, &error)),
        }
    }

    /// Retries while the database is away.
    async fn record_group(&self, completions: &[Completion]) -> Result<Vec<Moved>, Error> {
        let mut gap = Duration::from_millis(10);
        loop {
            let _order = self.writing.lock().await;
            let lines = self.lines.take();
            let outcome = async {
                let mut effects = Effects::default();
                let mut tx = self.queue.db().begin_write().await?;
                lines::append(&mut tx, &lines, &mut effects).await?;
                let moved = finish(&mut tx, completions, &mut effects).await?;
                effects.announce(&mut tx).await?;
                tx.commit().await?;
                Ok::<_, Error>((moved, effects))
            }
            .await;
            match outcome {
                Ok((moved, effects)) => {
                    self.queue.hints().apply(&effects);
                    return Ok(moved);
                }
                Err(error) => {
                    self.lines.put_back(lines);
                    if !error.is_transient() {
                        return Err(error);
                    }
                    tracing::warn!(error = %error, jobs = completions.len(), "ends of jobs could not be recorded; trying again");
                }
            }
            drop(_order);
            tokio::time::sleep(gap).await;
            gap = (gap * 2).min(Duration::from_secs(2));
        }
    }

    fn report(&self, group: &[attempt::Ended], moved: &[Moved]) {
        for ended in group {
            let fence = ended.completion.fence;
            let accepted = moved.iter().find(|moved| moved.fence() == fence);
            if accepted.is_none() {
                tracing::warn!(
                    job.id = fence.job.0,
                    fence = fence.token,
                    "the lease was lost; the outcome was refused"
                );
            }
            self.close(ended, accepted.map(|moved| moved.state.as_str()));
        }
    }

    fn refused(&self, ended: &attempt::Ended, error: &Error) {
        let job = ended.completion.fence.job.0;
        tracing::error!(job.id = job, error = %error, "the end of an attempt cannot be recorded; its lease will run out");
        self.close(ended, None);
    }

    /// The attempt is over for this worker.
    fn close(&self, ended: &attempt::Ended, state: Option<&str>) {
        let outcome = ended.outcome(state);
        let counter = if outcome == "released" { &self.released } else { &self.ended };
        counter.fetch_add(1, Ordering::Relaxed);
        self.queue.metrics().attempt(&ended.kind, outcome, ended.took);
        self.running.remove(&ended.completion.fence);
        self.queue.metrics().running(self.running.len());
    }

    /// Writes the lines that are kept.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let _order = self.writing.lock().await;
        // Put back when this is dropped half-way: rather a line twice than none.
        let mut taken = Taken { lines: self.lines.take(), from: &self.lines };
        if taken.lines.is_empty() {
            return Ok(());
        }
        let mut effects = Effects::default();
        let outcome = async {
            let mut tx = self.queue.db().begin_write().await?;
            lines::append(&mut tx, &taken.lines, &mut effects).await?;
            effects.announce(&mut tx).await?;
            tx.commit().await?;
            Ok(())
        }
        .await;
        match outcome {
            Ok(()) => {
                taken.lines.clear();
                self.queue.hints().apply(&effects);
                self.flushed.notify_waiters();
                Ok(())
            }
            Err(error) => {
                let error: Error = error;
                if !error.is_transient() {
                    self.queue.metrics().lines_dropped(taken.lines.len());
                    taken.lines.clear();
                }
                Err(error)
            }
        }
    }
}

struct Taken<'a> {
    lines: Vec<lines::Line>,
    from: &'a Lines,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if !lines.is_empty() {
            self.from.put_back(lines);
        }
    }
}

async fn flush_until(shared: &Shared, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.flush_soon.notified() => {}
            () = tokio::time::sleep(shared.queue.options().flush()) => {}
        }
        if let Err(error) = shared.flush().await {
            tracing::warn!(error = %error, "history lines could not be written; trying again");
        }
    }
}

async fn settle_until(shared: &Shared, stop: &CancellationToken) {
    let mut round = 0;
    loop {
        if let Err(error) = shared.queue.settle(&shared.kinds, shared.hook.as_ref()).await {
            tracing::warn!(error = %error, "hooks of ended jobs could not be called; trying again");
        }
        round += 1;
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.queue.hints().settle.notified() => {}
            () = tokio::time::sleep(retry::jittered(shared.queue.options().reap(), round)) => {}
        }
    }
}
