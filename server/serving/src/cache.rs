//! What each deployment serves now.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use tenor_domain::predict::LoadFailure;
use tenor_domain::{ContractMode, DeploymentId};
use tenor_learn::Model;

use crate::metrics::Series;

/// A loaded model version, of one deployment.
pub(crate) struct Serving {
    pub model: Box<dyn Model>,
    pub model_name: Arc<str>,
    pub version: i64,
    pub classes: Arc<[String]>,
    pub series: Series,
}

/// A deployment as this server knows it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub deployment_id: DeploymentId,
    pub name: Arc<str>,
    pub mode: ContractMode,
    /// What the deployment means; `None` while its alias points nowhere.
    pub wanted: Option<i64>,
    /// What answers: the wanted version, or the one before while that one is not loaded.
    pub serving: Option<Arc<Serving>>,
    pub failed: Option<Failed>,
}

impl Entry {
    /// Whether the wanted version has been looked at: it was loaded, or refused, or there is none.
    pub fn is_settled(&self) -> bool {
        self.wanted.is_none() || self.failed.is_some() || self.serves(self.wanted)
    }

    pub fn serves(&self, version: Option<i64>) -> bool {
        self.serving.as_ref().map(|serving| serving.version) == version
    }
}

/// A load that failed.
#[derive(Clone)]
pub(crate) struct Failed {
    pub failure: LoadFailure,
    /// When to try again: what is broken may be restored.
    pub again_at: Instant,
}

/// Why there is no entry.
pub(crate) enum Absent {
    /// The deployments have not been listed yet: it may well exist.
    NotListed,
    Unknown,
}

/// Deployment name (and id) to what it serves. Readers hold the lock for one look-up and never wait for a load. Only the loader
/// changes it.
#[derive(Default)]
pub struct Cache {
    /// `None` until the deployments were listed once.
    entries: RwLock<Option<HashMap<String, Arc<Entry>>>>,
    filled: AtomicBool,
}

impl Cache {
    pub(crate) fn find(&self, deployment: &str) -> Result<Arc<Entry>, Absent> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entries = entries.as_ref().ok_or(Absent::NotListed)?;
        entries.get(deployment).cloned().ok_or(Absent::Unknown)
    }

    /// Every entry once.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let by_id = entries.iter().flatten().filter(|(key, entry)| key.as_str() == entry.deployment_id.as_str());
        by_id.map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// Whether every deployment has been looked at once: its model was loaded, or refused.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Takes entries out and puts others in, in one step; predictions that run keep the model they took.
    pub(crate) fn change(&self, gone: &[Arc<Entry>], changed: Vec<Entry>) {
        let mut held = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entries = held.get_or_insert_default();
        for entry in gone {
            entries.remove(entry.name.as_ref());
            entries.remove(entry.deployment_id.as_str());
        }
        for entry in changed.into_iter().map(Arc::new) {
            entries.insert(entry.deployment_id.as_str().to_owned(), Arc::clone(&entry));
            entries.insert(entry.name.as_ref().to_owned(), entry);
        }
        if entries.values().all(|entry| entry.is_settled()) {
            self.filled.store(true, Ordering::Release);
        }
    }
}
