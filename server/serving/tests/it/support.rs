//! A platform on SQLite with a loader, and models that a test makes and holds up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use prometheus::{Registry, TextEncoder};
use tempfile::TempDir;
use tenor_domain::predict::{Answer, Instance, Limits, PredictOptions, Predictor as _};
use tenor_domain::{
    AliasName, Caller, ContractMode, DeploymentName, DeploymentTarget, Digest, Error, ExperimentName, ModelName,
    SystemClock, Tags,
};
use tenor_learn::Lineage;
use tenor_platform::{ModelFacts, NewDeployment, NewExperiment, NewRun, Platform};
use tenor_queue::{Queue, QueueOptions};
use tenor_serving::{Cache, Loader, LoaderOptions, Metrics, ModelPredictor};
use tenor_store::testing::{TestDb, databases};
use tenor_store::{Blobs, Db};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::toy::{Toy, ToyTrainer};

/// Longer than anything takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Holds up the loading of models by their weights.
#[derive(Default)]
pub struct Gate {
    weights: Mutex<Weights>,
    opened: Condvar,
}

#[derive(Default)]
struct Weights {
    held: BTreeSet<u64>,
    arrived: BTreeSet<u64>,
    left: BTreeSet<u64>,
}

impl Gate {
    pub fn hold(&self, weight: f64) {
        self.weights.lock().unwrap().held.insert(weight.to_bits());
    }
    pub fn open(&self, weight: f64) {
        self.weights.lock().unwrap().held.remove(&weight.to_bits());
        self.opened.notify_all();
    }
    fn open_all(&self) {
        self.weights.lock().unwrap().held.clear();
        self.opened.notify_all();
    }
    /// Returns when the weight is not held (any more).
    pub fn pass(&self, weight: f64) {
        let weight = weight.to_bits();
        let mut weights = self.weights.lock().unwrap();
        weights.arrived.insert(weight);
        weights = self.opened.wait_while(weights, |weights| weights.held.contains(&weight)).unwrap();
        weights.left.insert(weight);
    }
    /// Returns when the loading of a model has come to the gate.
    pub async fn arrived(&self, weight: f64) {
        eventually(|| self.weights.lock().unwrap().arrived.contains(&weight.to_bits())).await;
    }
    /// Returns when the loading of a model has gone through.
    pub async fn left(&self, weight: f64) {
        eventually(|| self.weights.lock().unwrap().left.contains(&weight.to_bits())).await;
    }
}

pub struct Bench {
    pub platform: Arc<Platform>,
    pub gate: Arc<Gate>,
    pub cache: Arc<Cache>,
    pub predictor: ModelPredictor,
    pub folder: TempDir,
    registry: Registry,
    metrics: Arc<Metrics>,
    _keep: TestDb,
}

impl Drop for Bench {
    /// A runtime waits for its blocking threads, so nothing may stay held up.
    fn drop(&mut self) {
        self.gate.open_all();
    }
}

/// A loader that runs.
pub struct Running {
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Bench {
    pub async fn new() -> Self {
        let database = databases().await.remove(0);
        let folder = tempfile::tempdir().unwrap();
        let platform = platform(database.db(), &folder);
        let new =
            NewExperiment { name: ExperimentName::parse("e").unwrap(), description: String::new(), tags: Tags::new() };
        platform.experiments().create(&Caller::anonymous(), new, None).await.unwrap();
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::register(&registry).unwrap());
        let cache = Arc::new(Cache::default());
        let limits = Limits { max_text_chars: 100, max_batch: 10 };
        let predictor = ModelPredictor::new(Arc::clone(&cache), Arc::clone(&metrics), limits);
        Self { platform, gate: Arc::default(), cache, predictor, folder, registry, metrics, _keep: database }
    }

    /// Runs a loader that looks often.
    pub fn load(&self) -> Running {
        let trainer = Arc::new(ToyTrainer(Arc::clone(&self.gate))) as Arc<dyn tenor_learn::Trainer>;
        let registry = Arc::new(tenor_learn::Registry::new([trainer]));
        let options = LoaderOptions { refresh: Duration::from_millis(10), ..LoaderOptions::default() };
        let (platform, cache) = (Arc::clone(&self.platform), Arc::clone(&self.cache));
        let loader = Loader::new(platform, registry, cache, Arc::clone(&self.metrics), options);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        Running { stop, task: tokio::spawn(async move { loader.run(stopped).await }) }
    }

    /// The next version of `model`: a file that answers by `weight`.
    pub async fn version(&self, model: &str, weight: f64, classes: [&str; 2]) -> i64 {
        let toy = Toy::new(weight, classes);
        let file = tenor_learn::Model::save(&toy, Lineage::default()).unwrap();
        let bytes = file.to_bytes().unwrap();
        let size_bytes = i64::try_from(bytes.len()).unwrap();
        let digest = self.platform.blobs().put_bytes(bytes.into()).await.unwrap();
        self.register(model, digest, size_bytes).await
    }

    /// The next version of `model`, whatever the blob is.
    pub async fn register(&self, model: &str, digest: Digest, size_bytes: i64) -> i64 {
        let new = NewRun {
            experiment: "e".into(),
            parent_run_id: None,
            name: String::new(),
            note: String::new(),
            params: BTreeMap::new(),
            tags: Tags::new(),
        };
        let run = self.platform.runs().create(&Caller::anonymous(), new, None).await.unwrap();
        let facts = ModelFacts {
            digest,
            size_bytes,
            kind: "toy".into(),
            classes: vec!["bad".into(), "good".into()],
            contract_hash: Digest::of(b"contract"),
            metrics: BTreeMap::new(),
        };
        let name = ModelName::parse(model).unwrap();
        let version = self.platform.models().register_version(&Caller::anonymous(), &name, &run.id, facts).await;
        version.unwrap().number
    }

    /// A deployment of version `version`; its id.
    pub async fn deploy(&self, name: &str, model: &str, target: DeploymentTarget) -> String {
        let name = DeploymentName::parse(name).unwrap();
        let new = NewDeployment { name, model: model.into(), target, contract_mode: ContractMode::Warn };
        self.platform.deployments().create(&Caller::anonymous(), new, None).await.unwrap().id.to_string()
    }

    /// Model and deployment `name` with one version, followed through alias `champion`.
    pub async fn serve(&self, name: &str, weight: f64) {
        let version = self.version(name, weight, ["bad", "good"]).await;
        self.champion(name, version).await;
        self.deploy(name, name, DeploymentTarget::Alias(champion())).await;
    }

    pub async fn champion(&self, model: &str, version: i64) {
        let models = self.platform.models();
        let to = tenor_platform::AliasMove { allow_breaking_contract: true, ..tenor_platform::AliasMove::to(version) };
        models.set_alias(&Caller::anonymous(), model, &champion(), to).await.unwrap();
    }

    pub fn predict(&self, deployment: &str) -> Result<Answer, Error> {
        let instance = Instance { text: "a good book", numeric: Vec::new() };
        self.predictor.predict(deployment, &[instance], &PredictOptions::default())
    }

    /// Asks until `version` answers.
    pub async fn answers(&self, deployment: &str, version: i64) {
        eventually(|| self.predict(deployment).is_ok_and(|answer| answer.version == version)).await;
    }

    /// The reason why a prediction is refused.
    #[track_caller]
    pub fn refused(&self, deployment: &str) -> &'static str {
        self.predict(deployment).unwrap_err().reason
    }

    /// The series that name `text`, with their values.
    pub fn series(&self, text: &str) -> Vec<String> {
        let all = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let named = |line: &&str| !line.starts_with('#') && line.contains(text);
        all.lines().filter(named).map(str::to_owned).collect()
    }
}

pub fn champion() -> AliasName {
    AliasName::parse("champion").unwrap()
}

fn platform(db: Db, folder: &TempDir) -> Arc<Platform> {
    let blobs = Blobs::folder(&folder.path().join("blobs")).unwrap();
    let queue = Arc::new(Queue::new(db.clone(), QueueOptions::default()));
    Arc::new(Platform::new(db, blobs, queue, Arc::new(SystemClock), &folder.path().join("uploads")).unwrap())
}

/// Waits until it is so.
pub async fn eventually(is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, waited).await.expect("it happens in time");
}
