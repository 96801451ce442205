//! A platform over each database, with a clock moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tenor_domain::{
    AliasName, Caller, Clock, ContractMode, DatasetName, DatasetVersion, Deployment, DeploymentName, DeploymentTarget,
    Digest, Error, ErrorKind, ExperimentName, ImportOutcome, ManualClock, ModelName, ModelVersion, RequestId, Run,
    RunId, Split, SplitOutcome, SplitPart, State, Tags, Timestamp, UploadId,
};
use tenor_platform::{
    ImportRequest, ModelFacts, NewDeployment, NewExperiment, NewRun, Platform, RunPatch, TrainRows, TrainSpec,
    TrainedModel,
};
use tenor_queue::{Queue, QueueOptions};
use tenor_store::Blobs;
use tenor_store::testing::{TestDb, databases};

pub struct Bench {
    pub platform: Arc<Platform>,
    pub clock: Arc<ManualClock>,
    pub database: TestDb,
    pub folder: TempDir,
}

impl std::ops::Deref for Bench {
    type Target = Platform;
    fn deref(&self) -> &Platform {
        &self.platform
    }
}

pub const START: Timestamp = Timestamp(1_790_000_000_000);

pub async fn benches() -> Vec<Bench> {
    let mut all = Vec::new();
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let platform = open(&database, &folder, &clock);
        all.push(Bench { platform, clock, database, folder });
    }
    all
}

/// A platform on what is there: also what a restarted server sees.
pub fn open(database: &TestDb, folder: &TempDir, clock: &Arc<ManualClock>) -> Arc<Platform> {
    let blobs = Blobs::folder(&folder.path().join("blobs")).unwrap();
    let options = QueueOptions {
        lease_ms: 30_000,
        heartbeat_ms: 200,
        poll_ms: 20,
        sqlite_poll_ms: 10,
        retry_base_ms: 10,
        retry_cap_ms: 50,
        ..QueueOptions::default()
    };
    let queue = Arc::new(Queue::new(database.db(), options));
    let clock: Arc<dyn Clock> = clock.clone();
    Arc::new(Platform::new(database.db(), blobs, queue, clock, &folder.path().join("uploads")).unwrap())
}

pub fn anyone() -> Caller {
    Caller::anonymous()
}

pub fn key() -> Option<RequestId> {
    RequestId::parse(RunId::new().as_str()).unwrap()
}

#[track_caller]
pub fn check_error(error: &Error, kind: ErrorKind, reason: &str, says: &str) {
    assert_eq!((error.kind, error.reason), (kind, reason), "{error}");
    assert!(error.message.contains(says), "`{}` does not say `{says}`", error.message);
}

/// Equal to the bit, with one NaN.
#[track_caller]
pub fn check_metrics(found: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>) {
    let bits = |metrics: &BTreeMap<String, f64>| {
        let bits = |value: f64| if value.is_nan() { u64::MAX } else { value.to_bits() };
        metrics.iter().map(|(key, value)| (key.clone(), bits(*value))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(bits(found), bits(expected));
}

pub fn alias(name: &str) -> AliasName {
    AliasName::parse(name).unwrap()
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl Bench {
    pub async fn upload(&self, text: &str) -> UploadId {
        let upload = self.uploads().start(&anyone(), "reviews.csv", None, None).await.unwrap();
        self.uploads().append_bytes(&upload.id, 0, Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
        self.uploads().complete(&upload.id, Some(Digest::of(text.as_bytes()))).await.unwrap().id
    }

    pub async fn import(&self, dataset: &str, text: &str, options: Value) -> DatasetVersion {
        let import = ImportRequest {
            dataset: dataset.to_owned(),
            create_dataset: true,
            upload_id: self.upload(text).await,
            options,
        };
        self.datasets().import(&anyone(), import, None).await.unwrap()
    }

    pub async fn split(&self, dataset: &str) -> Split {
        self.splits().create(&anyone(), dataset, None, Value::Null, None).await.unwrap()
    }

    pub async fn experiment(&self, name: &str) {
        let new =
            NewExperiment { name: ExperimentName::parse(name).unwrap(), description: String::new(), tags: Tags::new() };
        self.experiments().create(&anyone(), new, None).await.unwrap();
    }

    /// Version 1, 2, ... of a model, each from a run of its own.
    pub async fn version(&self, model: &str, text: &str) -> ModelVersion {
        let run = self.run("r").await;
        self.register(model, &run.id, text).await
    }

    pub async fn register(&self, model: &str, run: &RunId, text: &str) -> ModelVersion {
        let model = ModelName::parse(model).unwrap();
        self.models().register_version(&anyone(), &model, run, facts(text)).await.unwrap()
    }

    /// A deployment that follows an alias.
    pub async fn deploy(&self, name: &str, model: &str, target: &str) -> Deployment {
        let new = NewDeployment {
            name: DeploymentName::parse(name).unwrap(),
            model: model.to_owned(),
            target: DeploymentTarget::Alias(alias(target)),
            contract_mode: ContractMode::Warn,
        };
        self.deployments().create(&anyone(), new, None).await.unwrap()
    }

    pub async fn succeed(&self, run: &RunId) -> Run {
        let patch = RunPatch { state: Some(State::Succeeded), ..RunPatch::default() };
        self.runs().update(run, patch, None).await.unwrap()
    }

    /// A run logged from outside, in experiment `e`.
    pub async fn run(&self, name: &str) -> Run {
        if self.experiments().get("e").await.is_err() {
            self.experiment("e").await;
        }
        self.runs().create(&anyone(), new_run(name), None).await.unwrap()
    }
}

pub fn new_run(name: &str) -> NewRun {
    NewRun {
        experiment: "e".to_owned(),
        parent_run_id: None,
        name: name.to_owned(),
        note: String::new(),
        params: BTreeMap::new(),
        tags: Tags::new(),
    }
}

pub fn train_spec(split: &Split) -> TrainSpec {
    TrainSpec {
        experiment: ExperimentName::parse("training").unwrap(),
        split_id: split.id.clone(),
        kind: "logreg".to_owned(),
        params: serde_json::json!({ "C": 0.5, "max_iter": 100, "balanced": true, "solver": "lbfgs" }),
        rows: TrainRows::Train,
        seed: 42,
        calibration: None,
        folds: None,
        slices: Vec::new(),
        name: "first".to_owned(),
        tags: Tags::new(),
        register_model: Some(ModelName::parse("stars").unwrap()),
        aliases: vec![alias("champion")],
    }
}

pub fn facts(text: &str) -> ModelFacts {
    ModelFacts {
        digest: Digest::of(text.as_bytes()),
        size_bytes: 10,
        kind: "logreg".to_owned(),
        classes: vec!["negative".to_owned(), "positive".to_owned()],
        contract_hash: Digest::of(b"contract"),
        metrics: BTreeMap::from([
            ("macro_f1".to_owned(), 0.1 + 0.2),
            ("odd".to_owned(), f64::NAN),
            ("large".to_owned(), f64::INFINITY),
        ]),
    }
}

/// What a training made of `text`, to be registered as `model` with alias `champion`.
pub fn made(text: &str, model: Option<&str>) -> TrainedModel {
    TrainedModel {
        facts: facts(text),
        register_model: model.map(|name| ModelName::parse(name).unwrap()),
        aliases: model.map(|_| alias("champion")).into_iter().collect(),
    }
}

pub fn import_outcome() -> ImportOutcome {
    ImportOutcome {
        rows_read: 3,
        rows_accepted: 2,
        rows_repaired: 1,
        rows_quarantined: 1,
        data_digest: Digest::of(b"data"),
        data_bytes: 4,
        quarantine_digest: None,
        profile: serde_json::json!({ "z": 1, "a": 0.1 }),
        validation: serde_json::json!({ "text": "\u{0}" }),
        valid: true,
    }
}

pub fn split_outcome() -> SplitOutcome {
    let part = |rows| SplitPart { digest: Digest::of(b"part"), rows, size_bytes: 10 };
    SplitOutcome {
        train: part(70),
        validation: part(15),
        test: part(15),
        contract: serde_json::json!({}),
        contract_hash: Digest::of(b"contract"),
        report: serde_json::json!({}),
    }
}

pub fn name(text: &str) -> DatasetName {
    DatasetName::parse(text).unwrap()
}
