//! A server in process on a database of its own, with a predictor that needs no model.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenor_api::{HostPolicy, Limits, ListenOptions, Metrics, Operations, Readiness, Services};
use tenor_domain::predict::{
    self, Answer, Attribution, Contribution, ExplainOptions, Explained, FeatureKind, Instance, LoadFailure, Loaded,
    PredictOptions, Predictor, Row, TokenShare,
};
use tenor_domain::{Digest, Error, ErrorKind, SystemClock};
use tenor_platform::Platform;
use tenor_queue::{Queue, QueueOptions};
use tenor_store::{Blobs, Db, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::checked::Checked;

/// Longer than anything takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// How long a server of a test may drain: so long that a drain which waits for nothing is told from one that does.
const DRAIN: Duration = Duration::from_secs(60);

/// Knows the deployment `champion`. The text decides what happens.
#[derive(Default)]
pub struct Fake {
    /// The prediction of `held` has begun.
    pub begun: AtomicBool,
    /// It may end.
    pub go: AtomicBool,
}

impl Predictor for Fake {
    fn predict(&self, deployment: &str, instances: &[Instance<'_>], _: &PredictOptions) -> Result<Answer, Error> {
        if deployment != "champion" {
            return Err(Error::new(ErrorKind::NotFound, "DEPLOYMENT_NOT_FOUND", "no such deployment"));
        }
        let rows = instances.iter().map(|instance| match instance.text {
            "panic" => panic!("secret path /home/someone/model"),
            "slow" => {
                std::thread::sleep(Duration::from_millis(300));
                Ok(row(0))
            }
            "held" => {
                self.begun.store(true, Ordering::Relaxed);
                let until = Instant::now() + LONG;
                while !self.go.load(Ordering::Relaxed) && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(row(0))
            }
            "bad" => Err(Error::invalid("instance.text", "is bad")),
            "broken" => Err(Error::internal("secret cause")),
            text => Ok(row(text.len() % 2)),
        });
        let classes = ["negative".to_owned(), "positive".to_owned()];
        Ok(Answer { model: "sentiment".into(), version: 3, classes: classes.into(), rows: rows.collect() })
    }
    /// One contribution and one token, which is the whole text. `endless` goes on until it is stopped.
    fn explain(
        &self,
        deployment: &str,
        instance: &Instance<'_>,
        options: &ExplainOptions,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Explained, Error> {
        let predict = PredictOptions { contract_mode: options.contract_mode, ..PredictOptions::default() };
        let Answer { model, version, classes, mut rows } =
            self.predict(deployment, std::slice::from_ref(instance), &predict)?;
        let row = rows.remove(0)?;
        if instance.text == "endless" {
            self.begun.store(true, Ordering::Relaxed);
            let until = Instant::now() + LONG;
            while !stop() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.go.store(stop(), Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Cancelled, "CANCELLED", "cancelled on request"));
        }
        let class = match options.class.as_deref() {
            None => row.label,
            Some(label) => classes.iter().position(|class| class == label).unwrap_or_default(),
        };
        let feature = format!("{} of {}", options.top_k, instance.text);
        Ok(Explained {
            model,
            version,
            classes,
            row,
            class,
            attribution: Attribution::TreePaths,
            bias: 0.5,
            score: 2.0,
            contributions: vec![Contribution { feature, kind: FeatureKind::Characters, value: 1.25 }],
            rest: 0.25,
            tokens: vec![TokenShare { start: 0, end: instance.text.len(), value: -1.5 }],
        })
    }
    fn loaded(&self, deployment: &str) -> Option<Loaded> {
        match deployment {
            "front" => {
                let failure = LoadFailure { version: 1, why: "its file is broken".to_owned() };
                Some(Loaded { version: Some(2), failure: Some(failure) })
            }
            _ => None,
        }
    }
    fn limits(&self) -> predict::Limits {
        predict::Limits { max_text_chars: 1_000, max_batch: 1_000 }
    }
}

fn row(label: usize) -> Row {
    let probabilities = if label == 0 { vec![0.75, 0.25] } else { vec![0.25, 0.75] };
    Row {
        prediction_id: "id".to_owned(),
        label,
        probabilities,
        warnings: Vec::new(),
        explanation: None,
        abstained: false,
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub registry: prometheus::Registry,
    /// What `/readyz` and health follow; false at the start.
    pub ready: Arc<AtomicBool>,
    pub predictor: Arc<Fake>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<std::io::Result<()>>,
    pub platform: Arc<Platform>,
    pub folder: TempDir,
}

pub async fn start() -> Server {
    start_with(Limits::default(), ListenOptions { drain: DRAIN, ..ListenOptions::default() }).await
}

/// On a SQLite database.
pub async fn start_with(limits: Limits, options: ListenOptions) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("tenor.db").display());
    let db = Db::connect(&url, &Options::default()).await.unwrap();
    db.migrate().await.unwrap();
    start_on(db, folder, limits, options).await
}

/// On a migrated database. `folder` holds the blobs and the uploads.
pub async fn start_on(db: Db, folder: TempDir, limits: Limits, mut options: ListenOptions) -> Server {
    let registry = prometheus::Registry::new();
    let shutdown = CancellationToken::new();
    let shown = registry.clone();
    let metrics = Arc::new(Metrics::register(&registry).unwrap());
    options.connections = Some(metrics.connections());
    let platform = platform(db, &folder);
    let ready = Arc::new(AtomicBool::new(false));
    let is_ready = Arc::clone(&ready);
    let readiness: Readiness = Arc::new(move || {
        let answer = if is_ready.load(Ordering::Relaxed) { Ok(()) } else { Err("no model yet".to_owned()) };
        Box::pin(std::future::ready(answer))
    });
    let predictor = Arc::new(Fake::default());
    let services = Services {
        platform: Arc::clone(&platform),
        clock: Arc::new(SystemClock),
        rows: Arc::new(|digest, offset, limit| Box::pin(std::future::ready(rows(digest, offset, limit)))),
        predictor: Arc::clone(&predictor) as Arc<dyn Predictor>,
        metrics,
        limits,
        hosts: HostPolicy { loopback: true, allowed: Vec::new() },
        readiness: Arc::clone(&readiness),
        operations: Some(Operations {
            readiness,
            exposition: Arc::new(move || prometheus::TextEncoder::new().encode_to_string(&shown.gather()).unwrap()),
        }),
        graphql: None,
        shutdown: shutdown.clone(),
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(tenor_api::serve(listener, tenor_api::router(services), shutdown.clone(), options));
    Server { address, registry, ready, predictor, shutdown, task, platform, folder }
}

fn platform(db: Db, folder: &TempDir) -> Arc<Platform> {
    let blobs = Blobs::folder(&folder.path().join("blobs")).unwrap();
    let options = QueueOptions { poll_ms: 20, sqlite_poll_ms: 10, flush_ms: 10, ..QueueOptions::default() };
    let queue = Arc::new(Queue::new(db.clone(), options));
    Arc::new(Platform::new(db, blobs, queue, Arc::new(SystemClock), &folder.path().join("uploads")).unwrap())
}

/// Ten rows of any table.
fn rows(_: Digest, offset: u64, limit: usize) -> Result<Vec<String>, Error> {
    Ok((offset..10).take(limit).map(|row| format!("{{\"row\":{row}}}")).collect())
}

impl Server {
    /// A connection on which every status that is not OK must be as documented.
    pub async fn channel(&self) -> Checked {
        Checked(Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap())
    }

    /// Where the bytes of a blob lie.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.folder.path().join("blobs/sha256").join(&digest[..2]).join(&digest[2..])
    }

    /// Sends bytes on a fresh connection and returns everything that comes back.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub async fn get(&self, path: &str, headers: &str) -> String {
        let host = if headers.contains("host:") { "" } else { "host: 127.0.0.1\r\n" };
        self.raw(format!("GET {path} HTTP/1.1\r\n{host}{headers}connection: close\r\n\r\n").as_bytes()).await
    }

    /// Returns when no rpc runs any more: the server has seen that its clients went away.
    pub async fn idle(&self) {
        self.running(0).await;
    }

    /// Returns when so many rpcs run.
    pub async fn running(&self, rpcs: usize) {
        let line = format!("tenor_rpc_running {rpcs}\n");
        eventually(async || self.get("/metrics", "").await.contains(&line).then_some(())).await;
    }

    /// Returns when the server has stopped, which must not take the drain.
    pub async fn drained(self) {
        let ended = tokio::time::timeout(DRAIN / 3, self.task).await;
        ended.expect("nothing holds up the drain").unwrap().unwrap();
    }
}

/// Asks until there is an answer.
pub async fn eventually<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, asked).await.expect("it happens in time")
}

/// The reason in a status's `ErrorInfo`; every status that is not OK must have one.
#[track_caller]
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, tenor_api::DOMAIN);
    info.reason
}

/// Code and reason of a refusal.
#[track_caller]
pub fn check(status: &Status, code: Code, expected: &str) {
    assert_eq!((status.code(), reason(status).as_str()), (code, expected), "{}", status.message());
}

/// A refusal because of a field.
#[track_caller]
pub fn check_field(status: &Status, field: &str) {
    check(status, Code::InvalidArgument, "INVALID_FIELD");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, field, "{}", status.message());
}
