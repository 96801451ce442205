//! Builds every part in order, and stops them in reverse.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tenor_api::{HostPolicy, Limits, ListenOptions, Operations, Readiness, Services};
use tenor_domain::predict::{Limits as PredictLimits, Predictor};
use tenor_domain::{Clock, SystemClock};
use tenor_jobs::{JobAcceptance, Jobs, Kept, RowsCache, TrialCount};
use tenor_platform::Platform;
use tenor_queue::{Queue, Worker};
use tenor_serving::{Cache, Loader, LoaderOptions, ModelPredictor};
use tenor_store::{Blobs, Db};
use tenor_telemetry::metrics::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Role;
use crate::config::{Config, without_password};
use crate::rows::Tables;
use crate::scratch::ScratchDir;

/// How often forgotten uploads and old idempotency keys are cleared.
const TIDY: Duration = Duration::from_secs(3_600);

/// A server that answers.
pub struct Running {
    address: SocketAddr,
    operations: SocketAddr,
    parts: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
    platform: Arc<Platform>,
    scratch: ScratchDir,
}

impl Running {
    /// Where it listens; with port 0 in the configuration, the port that was found.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/metrics`, `/healthz` and `/readyz` are.
    pub fn operations_address(&self) -> SocketAddr {
        self.operations
    }

    /// The use cases, for tests that look behind the API.
    pub fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    /// Returns when everything has stopped; the first failure stops the rest.
    pub async fn finished(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(result) = self.parts.join_next().await {
            let result = result.context("a part of the server panicked").and_then(|inner| inner);
            if result.is_err() {
                self.shutdown.cancel();
            }
            first = first.and(result);
        }
        self.platform.db().close().await;
        drop(self.scratch);
        first
    }
}

/// Connects to the database of the configuration.
pub async fn connect(config: &Config) -> anyhow::Result<Db> {
    let url = config.storage.database_url()?;
    let options = tenor_store::Options { max_connections: config.storage.max_connections, ..Default::default() };
    Db::connect(&url, &options).await.with_context(|| format!("cannot open the database `{}`", without_password(&url)))
}

/// Starts the parts that `role` needs. When it returns, requests are accepted; models may still be loading.
pub async fn start(config: Config, role: Role, shutdown: CancellationToken) -> anyhow::Result<Running> {
    // The addresses first: a second server by mistake ends here and touches nothing.
    let private = config.server.operations()?;
    let (listen, private) = match role {
        Role::All | Role::Api => (config.server.listen, private),
        // A worker has nothing but the operator's pages.
        Role::Worker => (private.unwrap_or(config.server.listen), None),
    };
    let (listener, address) = bind(listen).await?;
    let private = match private {
        Some(address) => Some(bind(address).await?.0),
        None => None,
    };
    let db = connect(&config).await?;
    db.migrate().await.context("cannot bring the database to this version's schema")?;
    let scratch = ScratchDir::create(&config.storage.data_dir.join("scratch"))?;
    let blobs_url = config.storage.blobs_url()?;
    let blobs = Blobs::open(&blobs_url, &credentials(), &scratch.path())
        .with_context(|| format!("cannot open the blob store `{}`", without_password(&blobs_url)))?;

    let metrics = Registry::new();
    metrics.add_process()?;
    metrics.add_build_info(env!("CARGO_PKG_VERSION"), option_env!("TENOR_REVISION").unwrap_or("unknown"))?;
    let queue_metrics = tenor_queue::Metrics::register(&metrics)?;
    let queue = Arc::new(Queue::with_metrics(db.clone(), config.queue.clone(), queue_metrics));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let uploads = config.storage.data_dir.join("uploads");
    let platform = Platform::new(db, blobs.clone(), Arc::clone(&queue), Arc::clone(&clock), &uploads)?;
    let platform = Arc::new(platform.accepting(Arc::new(JobAcceptance(crate::registry()))));

    let mut server = Server { config, platform, metrics, shutdown, parts: JoinSet::new() };
    if matches!(role, Role::All | Role::Worker) {
        server.start_worker((*queue).clone(), &scratch)?;
    }
    let operations = match role {
        Role::All | Role::Api => {
            let rows = server.start_tables(blobs, scratch.path()).reader();
            server.start_api(listener, private, clock, rows)?
        }
        Role::Worker => server.start_operations(listener, server.database_readiness())?,
    };
    server.start_tidying();
    let Server { platform, shutdown, parts, .. } = server;
    Ok(Running { address, operations: operations.unwrap_or(address), parts, shutdown, platform, scratch })
}

/// The parts that run, and what they share.
struct Server {
    config: Config,
    platform: Arc<Platform>,
    metrics: Registry,
    shutdown: CancellationToken,
    parts: JoinSet<anyhow::Result<()>>,
}

impl Server {
    fn start_worker(&mut self, queue: Queue, scratch: &ScratchDir) -> anyhow::Result<()> {
        let jobs = Jobs {
            platform: Arc::clone(&self.platform),
            registry: crate::registry(),
            threads: self.config.worker.thread_count(),
            scratch_dir: scratch.path(),
            kept: Kept {
                folder: self.config.storage.data_dir.join("kept"),
                checkpoint_every: Duration::from_millis(self.config.worker.checkpoint_ms),
                max_block_bytes: self.config.worker.feature_cache_mib << 20,
            },
            rows: RowsCache::default(),
            trials: TrialCount::default(),
        };
        jobs.kept.tidy();
        let platform = Arc::clone(&self.platform);
        let worker = jobs
            .register(Worker::builder(queue))
            .slots(self.config.worker.slots)
            .on_ended(move |job| {
                let platform = Arc::clone(&platform);
                async move { platform.job_ended(&job).await }
            })
            .build()?;
        let (shutdown, grace) = (self.shutdown.clone(), self.config.worker.grace());
        self.parts.spawn(async move {
            let report = worker.run(shutdown, grace).await;
            info!(
                jobs.ended = report.ended,
                jobs.released = report.released,
                jobs.left = report.left_behind,
                "worker stopped"
            );
            Ok(())
        });
        Ok(())
    }

    fn start_tables(&mut self, blobs: Blobs, folder: PathBuf) -> Arc<Tables> {
        let tables = Tables::new(blobs, folder, self.config.storage.max_preview_bytes, self.shutdown.clone());
        let fetching = Arc::clone(&tables);
        self.parts.spawn(async move {
            fetching.finished().await;
            Ok(())
        });
        tables
    }

    /// gRPC, gRPC-Web, GraphQL and, unless they have an address of their own, the operator's pages. Returns that address.
    fn start_api(
        &mut self,
        listener: TcpListener,
        private: Option<TcpListener>,
        clock: Arc<dyn Clock>,
        rows: tenor_api::RowReader,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let cache = Arc::new(Cache::default());
        let serving_metrics = Arc::new(tenor_serving::Metrics::register(self.metrics.inner())?);
        let loader = Loader::new(
            Arc::clone(&self.platform),
            crate::registry(),
            Arc::clone(&cache),
            Arc::clone(&serving_metrics),
            LoaderOptions {
                refresh: Duration::from_millis(self.config.serving.refresh_ms),
                ..LoaderOptions::default()
            },
        );
        let shutdown = self.shutdown.clone();
        self.parts.spawn(async move {
            loader.run(shutdown).await;
            Ok(())
        });
        let limits = PredictLimits {
            max_text_chars: self.config.serving.max_text_chars,
            max_batch: self.config.serving.max_batch,
        };
        let predictor: Arc<dyn Predictor> = Arc::new(ModelPredictor::new(Arc::clone(&cache), serving_metrics, limits));
        let readiness = self.serving_readiness(cache);
        let private = match private {
            Some(listener) => self.start_operations(listener, Arc::clone(&readiness))?,
            None => None,
        };
        let graphql = tenor_graphql::router(tenor_graphql::Options {
            platform: Arc::clone(&self.platform),
            limits: tenor_graphql::Limits::default(),
            metrics: tenor_graphql::Metrics::register(&self.metrics)?,
            shutdown: self.shutdown.clone(),
        });
        let metrics = Arc::new(tenor_api::Metrics::register(self.metrics.inner())?);
        let options = self.listen_options(Some(metrics.connections()));
        let router = tenor_api::router(Services {
            platform: Arc::clone(&self.platform),
            clock,
            rows,
            predictor,
            metrics,
            limits: Limits { max_decode_bytes: self.config.server.max_message_bytes, ..Limits::default() },
            hosts: self.hosts(self.config.server.listen),
            readiness: Arc::clone(&readiness),
            operations: private.is_none().then(|| self.operations(readiness)),
            graphql: Some(graphql),
            shutdown: self.shutdown.clone(),
        });
        let shutdown = self.shutdown.clone();
        self.parts.spawn(async move {
            tenor_api::serve(listener, router, shutdown, options).await.context("the API stopped")
        });
        Ok(private)
    }

    /// Only the operator's pages on `listener`. Returns their address.
    fn start_operations(&mut self, listener: TcpListener, readiness: Readiness) -> anyhow::Result<Option<SocketAddr>> {
        let address = listener.local_addr()?;
        let router =
            tenor_api::http::guarded(tenor_api::http::operations(self.operations(readiness)), self.hosts(address));
        let (shutdown, options) = (self.shutdown.clone(), self.listen_options(None));
        self.parts.spawn(async move {
            tenor_api::serve(listener, router, shutdown, options).await.context("the operator's pages stopped")
        });
        Ok(Some(address))
    }

    fn hosts(&self, address: SocketAddr) -> HostPolicy {
        HostPolicy { loopback: address.ip().is_loopback(), allowed: self.config.server.allowed_hosts.clone() }
    }

    fn operations(&self, readiness: Readiness) -> Operations {
        let metrics = self.metrics.clone();
        Operations { readiness, exposition: Arc::new(move || metrics.encode()) }
    }

    fn listen_options(&self, connections: Option<tenor_telemetry::metrics::IntGauge>) -> ListenOptions {
        let drain = Duration::from_millis(self.config.server.drain_ms);
        ListenOptions { drain, connections, ..ListenOptions::default() }
    }

    /// Ready once every deployment's model was loaded or refused, until the drain. A database that goes away later does not
    /// make it unready: predictions are answered from memory, and other calls say UNAVAILABLE themselves.
    fn serving_readiness(&self, cache: Arc<Cache>) -> Readiness {
        let shutdown = self.shutdown.clone();
        Arc::new(move || {
            let answer = match (shutdown.is_cancelled(), cache.is_filled()) {
                (true, _) => Err("draining".to_owned()),
                (_, false) => Err("models are being loaded".to_owned()),
                _ => Ok(()),
            };
            Box::pin(std::future::ready(answer))
        })
    }

    /// A worker is ready while it reaches its queue.
    fn database_readiness(&self) -> Readiness {
        let (platform, shutdown) = (Arc::clone(&self.platform), self.shutdown.clone());
        Arc::new(move || {
            let (platform, draining) = (Arc::clone(&platform), shutdown.is_cancelled());
            Box::pin(async move {
                if draining {
                    return Err("draining".to_owned());
                }
                platform.ping().await.map_err(|_| "the database does not answer".to_owned())
            })
        })
    }

    fn start_tidying(&mut self) {
        let (platform, shutdown) = (Arc::clone(&self.platform), self.shutdown.clone());
        self.parts.spawn(async move {
            let mut hours = tokio::time::interval(TIDY);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    _ = hours.tick() => {}
                }
                let Some(tidied) = shutdown.run_until_cancelled(platform.tidy()).await else { return Ok(()) };
                if let Err(error) = tidied {
                    warn!(error = %error, cause = error.cause.as_deref(), "old uploads and request ids not cleared");
                }
            }
        });
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is another server running there? --listen 127.0.0.1:0 picks a free port")
    })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The variables of the environment that object stores know: `AWS_ACCESS_KEY_ID` and the like.
fn credentials() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect()
}
