//! Follows the deployments: load, warm up, check, swap.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tenor_domain::predict::LoadFailure;
use tenor_domain::{Deployment, DeploymentId, Error};
use tenor_learn::{Model, Registry};
use tenor_platform::Platform;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::cache::{Cache, Entry, Failed, Serving};
use crate::load::{self, LoadError};
use crate::metrics::Metrics;

/// Before the next try when the database or the blob store did not answer.
const AWAY_PAUSE: Duration = Duration::from_secs(2);
/// Before the next try when the file is missing, damaged or fails its self-test.
const BROKEN_PAUSE: Duration = Duration::from_secs(60);

/// How often to look, and how much to do at a time.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    pub refresh: Duration,
    /// Models that are loaded at the same time; each is in memory twice for a moment.
    pub concurrent_loads: usize,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self { refresh: Duration::from_millis(500), concurrent_loads: 4 }
    }
}

/// Keeps the [`Cache`] equal to the deployments in the database.
pub struct Loader {
    platform: Arc<Platform>,
    registry: Arc<Registry>,
    cache: Arc<Cache>,
    metrics: Arc<Metrics>,
    refresh: Duration,
    places: Arc<Semaphore>,
}

/// The loads that run. Each publishes nothing itself: whoever follows takes what they give, one after another.
#[derive(Default)]
struct Loads<'a> {
    running: FuturesUnordered<BoxFuture<'a, Option<Loaded>>>,
    wanted: HashMap<DeploymentId, Wanted>,
}

/// The version that is being loaded for a deployment; dropping it ends the load.
struct Wanted {
    version: i64,
    _stop: DropGuard,
}

/// How a load ended.
struct Loaded {
    deployment: Deployment,
    version: i64,
    took: Duration,
    /// The model, and the size of its file in bytes.
    result: Result<(Box<dyn Model>, usize), LoadError>,
}

impl Loader {
    pub fn new(
        platform: Arc<Platform>,
        registry: Arc<Registry>,
        cache: Arc<Cache>,
        metrics: Arc<Metrics>,
        options: LoaderOptions,
    ) -> Self {
        let places = Arc::new(Semaphore::new(options.concurrent_loads));
        Self { platform, registry, cache, metrics, refresh: options.refresh, places }
    }

    /// Looks again and again until `stop`, which ends loads that run too. While the database cannot be reached, what is
    /// loaded goes on serving.
    pub async fn run(&self, stop: CancellationToken) {
        stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        let mut loads = Loads::default();
        let mut changed = self.platform.deployments().changed();
        // The first look is at once.
        changed.mark_changed();
        let mut failing = false;
        loop {
            let mut look = pin!(self.look(&mut changed));
            let listed = loop {
                tokio::select! {
                    listed = &mut look => break listed,
                    Some(ended) = loads.running.next() => if let Some(loaded) = ended {
                        self.publish(loaded, &mut loads);
                    },
                }
            };
            match listed {
                Ok(deployments) => {
                    failing = false;
                    self.take_over(&deployments, &mut loads);
                }
                Err(error) if !failing => {
                    failing = true;
                    warn!(error = %error, cause = error.cause.as_deref(), "cannot read the deployments; serving what is loaded");
                }
                Err(_) => {}
            }
        }
    }

    /// The deployments, once there may be something new.
    async fn look(&self, changed: &mut watch::Receiver<()>) -> Result<Vec<Deployment>, Error> {
        tokio::select! {
            _ = changed.changed() => {}
            () = tokio::time::sleep(self.refresh) => {}
        }
        self.platform.deployments().list_with_current().await
    }

    /// Publishes what the deployments mean now, and begins to load what is missing.
    fn take_over<'a>(&'a self, deployments: &[Deployment], loads: &mut Loads<'a>) {
        let listed: HashSet<&DeploymentId> = deployments.iter().map(|deployment| &deployment.id).collect();
        let mut known = HashMap::new();
        let mut gone = Vec::new();
        for entry in self.cache.all() {
            if listed.contains(&entry.deployment_id) {
                known.insert(entry.deployment_id.clone(), entry);
            } else {
                self.metrics.forget(&entry);
                gone.push(entry);
            }
        }
        loads.wanted.retain(|id, _| listed.contains(id));
        let mut entries = Vec::new();
        for deployment in deployments {
            let old = known.remove(&deployment.id);
            let entry = self.meant(deployment, old.as_deref());
            self.begin(deployment, &entry, loads);
            if old.is_none_or(|old| (old.mode, old.wanted) != (entry.mode, entry.wanted)) {
                entries.push(entry);
            }
        }
        self.cache.change(&gone, entries);
    }

    /// The entry of a deployment before anything is loaded. By id: a deployment that was deleted and made anew has nothing to do
    /// with the old one of its name.
    fn meant(&self, deployment: &Deployment, old: Option<&Entry>) -> Entry {
        let wanted = deployment.current_version;
        let mut entry = Entry {
            deployment_id: deployment.id.clone(),
            name: old.map_or_else(|| deployment.name.as_str().into(), |old| Arc::clone(&old.name)),
            mode: deployment.contract_mode,
            wanted,
            serving: old.and_then(|old| old.serving.clone()),
            failed: old.and_then(|old| old.failed.clone()).filter(|failed| Some(failed.failure.version) == wanted),
        };
        if wanted.is_none() && entry.serving.is_some() {
            self.metrics.forget(&entry);
            entry.serving = None;
        }
        entry
    }

    /// Sees to it that the version of `entry` is being loaded if it has to be, and no other.
    fn begin<'a>(&'a self, deployment: &Deployment, entry: &Entry, loads: &mut Loads<'a>) {
        let may = entry.failed.as_ref().is_none_or(|failed| Instant::now() >= failed.again_at);
        let Some(version) = entry.wanted.filter(|_| may && !entry.serves(entry.wanted)) else {
            loads.wanted.remove(&deployment.id);
            return;
        };
        if loads.wanted.get(&deployment.id).is_some_and(|wanted| wanted.version == version) {
            return;
        }
        let stop = CancellationToken::new();
        let load = stop.clone().run_until_cancelled_owned(self.load(deployment.clone(), version));
        loads.running.push(Box::pin(load));
        loads.wanted.insert(deployment.id.clone(), Wanted { version, _stop: stop.drop_guard() });
    }

    /// Swaps a model in, or notes why it cannot be.
    fn publish(&self, loaded: Loaded, loads: &mut Loads<'_>) {
        let Loaded { deployment, version, took, result } = loaded;
        // Neither happens: a load is ended when its deployment goes or means another version.
        if loads.wanted.remove(&deployment.id).is_none_or(|wanted| wanted.version != version) {
            return;
        }
        let Ok(old) = self.cache.find(deployment.id.as_str()) else { return };
        let mut entry = Entry::clone(&old);
        match result {
            Ok((model, size_bytes)) => {
                let classes: Arc<[String]> = model.classes().into();
                self.metrics.forget_labels(&old, &classes);
                let series = self.metrics.series(&entry.name, &classes);
                let model_name = deployment.model_name.as_str().into();
                entry.serving = Some(Arc::new(Serving { model, model_name, version, classes, series }));
                entry.failed = None;
                self.note_loaded(&entry.name, version, size_bytes, took);
            }
            Err(error) => entry.failed = Some(self.note_failed(&entry.name, version, error)),
        }
        self.cache.change(&[], vec![entry]);
    }

    fn note_loaded(&self, name: &str, version: i64, size_bytes: usize, took: Duration) {
        self.metrics.load_seconds.observe(took.as_secs_f64());
        self.metrics.loaded_version.with_label_values(&[name]).set(version);
        self.metrics.model_bytes.with_label_values(&[name]).set(size_bytes.try_into().unwrap_or(i64::MAX));
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        info!(deployment.name = name, model.version = version, duration_ms, "model loaded");
    }

    fn note_failed(&self, name: &str, version: i64, error: LoadError) -> Failed {
        self.metrics.load_failures.with_label_values(&[name]).inc();
        let (why, pause) = match error {
            LoadError::Away(error) => {
                let cause = error.cause.as_deref();
                warn!(deployment.name = name, model.version = version, error = %error, cause, "model not loaded yet");
                (error.message, AWAY_PAUSE)
            }
            LoadError::Broken(why) => {
                warn!(deployment.name = name, model.version = version, error = %why, "model refused; the old one goes on serving");
                (why, BROKEN_PAUSE)
            }
        };
        Failed { failure: LoadFailure { version, why }, again_at: Instant::now() + pause }
    }

    async fn load(&self, deployment: Deployment, version: i64) -> Loaded {
        // The semaphore is never closed.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let started = Instant::now();
        let result = load::load(&self.platform, &self.registry, &deployment, version, place).await;
        Loaded { deployment, version, took: started.elapsed(), result }
    }
}
