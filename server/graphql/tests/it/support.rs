//! A platform and its GraphQL API over each database, with a clock moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenor_domain::{
    AliasName, Caller, Clock, ContractMode, DatasetVersion, DeploymentName, DeploymentTarget, Digest, ExperimentName,
    ManualClock, Metric, ModelName, ModelVersion, ParamValue, Run, Split, Tags, Timestamp,
};
use tenor_graphql::{Limits, Metrics, Options};
use tenor_platform::{
    AliasMove, ImportRequest, ModelFacts, NewArtifact, NewDeployment, NewExperiment, NewRun, Platform, TrainSpec,
};
use tenor_queue::{Queue, QueueOptions};
use tenor_store::testing::{TestDb, databases};
use tenor_store::{Blobs, Db};
use tenor_telemetry::metrics::Registry;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Held for reading by every test with a database, for writing by those that count what the whole process does.
static TURNS: RwLock<()> = RwLock::const_new(());

pub struct Bench {
    pub platform: Arc<Platform>,
    pub router: Router,
    pub registry: Registry,
    pub shutdown: CancellationToken,
    pub clock: Arc<ManualClock>,
    pub database: TestDb,
    _folder: TempDir,
    _turn: Option<Arc<RwLockReadGuard<'static, ()>>>,
}

impl std::ops::Deref for Bench {
    type Target = Platform;
    fn deref(&self) -> &Platform {
        &self.platform
    }
}

pub const START: Timestamp = Timestamp(1_790_000_000_000);

pub async fn benches() -> Vec<Bench> {
    benches_with(Limits::default()).await
}

pub async fn benches_with(limits: Limits) -> Vec<Bench> {
    let turn = Arc::new(TURNS.read().await);
    let databases = databases().await.into_iter();
    databases.map(|database| open(database, limits.clone(), Some(Arc::clone(&turn)))).collect()
}

/// Runs while no other test does.
pub async fn alone(test: impl AsyncFn(Bench)) {
    let _turn = TURNS.write().await;
    for database in databases().await {
        test(open(database, Limits::default(), None)).await;
    }
}

fn open(database: TestDb, limits: Limits, turn: Option<Arc<RwLockReadGuard<'static, ()>>>) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::folder(&folder.path().join("blobs")).unwrap();
    let options = QueueOptions { poll_ms: 20, sqlite_poll_ms: 10, ..QueueOptions::default() };
    let queue = Arc::new(Queue::new(database.db(), options));
    let clock = Arc::new(ManualClock::at(START));
    let shared: Arc<dyn Clock> = clock.clone();
    let uploads = folder.path().join("uploads");
    let platform = Arc::new(Platform::new(database.db(), blobs, queue, shared, &uploads).unwrap());
    let registry = Registry::new();
    let shutdown = CancellationToken::new();
    let metrics = Metrics::register(&registry).unwrap();
    let options = Options { platform: Arc::clone(&platform), limits, metrics, shutdown: shutdown.clone() };
    let router = tenor_graphql::router(options);
    Bench { platform, router, registry, shutdown, clock, database, _folder: folder, _turn: turn }
}

/// The answer to a request as it is.
pub async fn send(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/graphql").header("content-type", "application/json").body(body.into()).unwrap()
}

/// The code and reason of an answer's first error.
#[track_caller]
pub fn refusal(answer: &Value) -> (&str, &str) {
    let extensions = &answer["errors"][0]["extensions"];
    let text = |name: &str| extensions[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"));
    (text("code"), text("reason"))
}

impl Bench {
    /// The whole answer to a query.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let (status, answer) = send(&self.router, post(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// The data of an answer without errors.
    pub async fn data(&self, query: &str) -> Value {
        self.data_of(query, Value::Null).await
    }

    pub async fn data_of(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert_eq!(answer["errors"], Value::Null, "{}: {query}", self.database.name);
        answer["data"].take()
    }

    /// Runs a statement that no use case would.
    pub async fn sql(&self, statement: &'static str) {
        let changed = match &*self.database {
            Db::Pg(pool) => sqlx::query(statement).execute(pool).await.unwrap().rows_affected(),
            Db::Lite { write, .. } => sqlx::query(statement).execute(write).await.unwrap().rows_affected(),
        };
        assert!(changed > 0, "{statement}");
    }

    pub async fn import(&self, dataset: &str, text: &str) -> DatasetVersion {
        let upload = self.uploads().start(&anyone(), "reviews.csv", None, None).await.unwrap();
        self.uploads().append_bytes(&upload.id, 0, Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        self.uploads().complete(&upload.id, Some(Digest::of(text.as_bytes()))).await.unwrap();
        let import = ImportRequest {
            dataset: dataset.to_owned(),
            create_dataset: true,
            upload_id: upload.id,
            options: Value::Null,
        };
        self.datasets().import(&anyone(), import, None).await.unwrap()
    }

    pub async fn split(&self, dataset: &str, options: Value) -> Split {
        self.splits().create(&anyone(), dataset, None, options, None).await.unwrap()
    }

    pub async fn experiment(&self, name: &str) {
        let name = ExperimentName::parse(name).unwrap();
        let new = NewExperiment { name, description: String::new(), tags: Tags::new() };
        self.experiments().create(&anyone(), new, None).await.unwrap();
    }

    pub async fn run(&self, experiment: &str, name: &str) -> Run {
        let new = NewRun {
            experiment: experiment.to_owned(),
            parent_run_id: None,
            name: name.to_owned(),
            note: String::new(),
            params: BTreeMap::from([("C".to_owned(), ParamValue::Float(0.5))]),
            tags: Tags::from([("team".to_owned(), "a".to_owned())]),
        };
        self.runs().create(&anyone(), new, None).await.unwrap()
    }

    /// Like [`Bench::run`], in an experiment that may have to be made.
    pub async fn run_in_new(&self, experiment: &str, name: &str) -> Run {
        if self.experiments().get(experiment).await.is_err() {
            self.experiment(experiment).await;
        }
        self.run(experiment, name).await
    }

    pub async fn train(&self, experiment: &str, split: &Split) -> Run {
        let spec = TrainSpec {
            rows: tenor_platform::TrainRows::Train,
            experiment: ExperimentName::parse(experiment).unwrap(),
            split_id: split.id.clone(),
            kind: "logreg".to_owned(),
            params: json!({ "C": 0.5 }),
            seed: u64::MAX,
            calibration: None,
            folds: None,
            slices: Vec::new(),
            name: "first".to_owned(),
            tags: Tags::new(),
            register_model: None,
            aliases: Vec::new(),
        };
        self.runs().train(&anyone(), spec, None).await.unwrap()
    }

    pub async fn log(&self, run: &Run, key: &str, points: &[(i64, f64)]) {
        let metric = |(step, value): &(i64, f64)| Metric { key: key.to_owned(), value: *value, step: *step, at: START };
        let metrics = points.iter().map(metric).collect();
        self.runs().log_metrics(&anyone(), &run.id, metrics, None, None).await.unwrap();
    }

    pub async fn artifact(&self, run: &Run, name: &str) {
        let digest = self.blobs().put_bytes(Bytes::from(name.to_owned())).await.unwrap();
        let new = NewArtifact { name: name.to_owned(), media_type: "text/plain".to_owned(), digest };
        self.runs().add_artifact(&run.id, new, None).await.unwrap();
    }

    /// A version of `model` from `run`, which differs by `text`.
    pub async fn version(&self, model: &str, run: &Run, text: &str) -> ModelVersion {
        let facts = ModelFacts {
            digest: Digest::of(text.as_bytes()),
            size_bytes: 10,
            kind: "logreg".to_owned(),
            classes: vec!["negative".to_owned(), "positive".to_owned()],
            contract_hash: Digest::of(b"contract"),
            metrics: BTreeMap::from([("f1".to_owned(), 0.5), ("odd".to_owned(), f64::NAN)]),
        };
        let name = ModelName::parse(model).unwrap();
        self.models().register_version(&anyone(), &name, &run.id, facts).await.unwrap()
    }

    pub async fn point(&self, model: &str, alias: &str, version: i64) {
        let alias = AliasName::parse(alias).unwrap();
        self.models()
            .set_alias(&anyone(), model, &alias, AliasMove { why: "why", ..AliasMove::to(version) })
            .await
            .unwrap();
    }

    pub async fn deploy(&self, name: &str, model: &str) {
        let new = NewDeployment {
            name: DeploymentName::parse(name).unwrap(),
            model: model.to_owned(),
            target: DeploymentTarget::Alias(AliasName::parse("champion").unwrap()),
            contract_mode: ContractMode::Warn,
        };
        self.deployments().create(&anyone(), new, None).await.unwrap();
    }
}

pub fn anyone() -> Caller {
    Caller::anonymous()
}
