//! The jobs that a worker runs now, and how it tells them to stop.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tenor_domain::JobId;
use tokio_util::sync::CancellationToken;

use crate::Fence;

/// Why a job was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody cancelled it.
    Requested,
    /// Its lease is gone; whatever it would write is refused.
    LeaseLost,
    /// The worker ends; the job will run again and the attempt does not count.
    ShuttingDown,
}

#[derive(Debug)]
struct Entry {
    token: CancellationToken,
    reason: Option<CancelReason>,
    /// Its own time limit ran out.
    timed_out: bool,
    /// By this machine's steady clock, counted from before the last renewal was sent, so never too late.
    valid_until: Instant,
    /// It recorded its own completion: a missing lease means nothing.
    finished: bool,
}

/// By fence: an attempt that lost its lease may still run when the worker claims its job again.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<Fence, Entry>>);

impl Running {
    fn entries(&self) -> MutexGuard<'_, HashMap<Fence, Entry>> {
        // No code that can panic runs while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, fence: Fence, valid_until: Instant) -> CancellationToken {
        let token = CancellationToken::new();
        let entry = Entry { token: token.clone(), reason: None, timed_out: false, valid_until, finished: false };
        let mut entries = self.entries();
        // Its job could only be claimed because their leases are gone.
        entries
            .iter_mut()
            .filter(|(older, entry)| older.job == fence.job && !entry.finished)
            .for_each(|(_, entry)| stop(entry, CancelReason::LeaseLost));
        entries.insert(fence, entry);
        token
    }

    pub(crate) fn remove(&self, fence: &Fence) {
        self.entries().remove(fence);
    }

    pub(crate) fn reason(&self, fence: &Fence) -> Option<CancelReason> {
        self.entries().get(fence).and_then(|entry| entry.reason)
    }

    /// Tells the attempt that its time is over.
    pub(crate) fn time_out(&self, fence: &Fence) {
        if let Some(entry) = self.entries().get_mut(fence) {
            entry.timed_out = true;
            entry.token.cancel();
        }
    }

    pub(crate) fn is_timed_out(&self, fence: &Fence) -> bool {
        self.entries().get(fence).is_some_and(|entry| entry.timed_out)
    }

    pub(crate) fn mark_finished(&self, fence: &Fence, finished: bool) {
        if let Some(entry) = self.entries().get_mut(fence) {
            entry.finished = finished;
        }
    }

    pub(crate) fn is_finished(&self, fence: &Fence) -> bool {
        self.entries().get(fence).is_some_and(|entry| entry.finished)
    }

    pub(crate) fn fences(&self) -> Vec<Fence> {
        self.entries().iter().filter(|(_, entry)| !entry.finished).map(|(fence, _)| *fence).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    pub(crate) fn cancel(&self, job: JobId, reason: CancelReason) {
        self.entries().iter_mut().filter(|(fence, _)| fence.job == job).for_each(|(_, entry)| stop(entry, reason));
    }

    pub(crate) fn cancel_all(&self, reason: CancelReason) {
        self.entries().values_mut().for_each(|entry| stop(entry, reason));
    }

    /// Takes in which of the `asked` leases were renewed; the others are lost. Returns the lost ones.
    pub(crate) fn renewed(&self, asked: &[Fence], renewed: &[(Fence, bool)], valid_until: Instant) -> Vec<Fence> {
        let renewed: HashMap<Fence, bool> = renewed.iter().copied().collect();
        let mut lost = Vec::new();
        let mut entries = self.entries();
        for fence in asked {
            let Some(entry) = entries.get_mut(fence) else { continue };
            match renewed.get(fence) {
                Some(cancel_requested) => {
                    entry.valid_until = valid_until;
                    if *cancel_requested {
                        stop(entry, CancelReason::Requested);
                    }
                }
                None if entry.finished => {}
                None => {
                    stop(entry, CancelReason::LeaseLost);
                    lost.push(*fence);
                }
            }
        }
        lost
    }

    /// Stops what could not be renewed in time: others may take it from now on.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Fence> {
        let mut lost = Vec::new();
        for (fence, entry) in self.entries().iter_mut() {
            if entry.valid_until <= now && !entry.finished && entry.reason != Some(CancelReason::LeaseLost) {
                stop(entry, CancelReason::LeaseLost);
                lost.push(*fence);
            }
        }
        lost
    }
}

fn stop(entry: &mut Entry, reason: CancelReason) {
    // A lost lease outranks the rest, because it decides what may still be written.
    if entry.reason.is_none() || reason == CancelReason::LeaseLost {
        entry.reason = Some(reason);
    }
    entry.token.cancel();
}
