//! A server with at least two of everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tenor_domain::{
    AliasName, Caller, ContractMode, DatasetName, DeploymentName, DeploymentTarget, Digest, ExperimentName, Metric,
    ModelName, RunId, State, StudyName, Tags, Timestamp, UploadId,
};
use tenor_platform::{
    AliasMove, ImportRequest, ModelFacts, NewDataset, NewDeployment, NewExperiment, NewModel, NewRun, NewStudy,
    Platform, RunPatch, TrialEnd,
};

use crate::checked::Checked;
use crate::support::{Server, start};

pub struct Fixture {
    pub server: Server,
    pub channel: Checked,
    /// Complete, and imported by nobody.
    pub upload: UploadId,
    pub split: String,
    /// In experiment `e`.
    pub runs: Vec<RunId>,
    /// Succeeded, with a model file.
    pub trained: RunId,
}

pub fn anyone() -> Caller {
    Caller::anonymous()
}

pub async fn fixture() -> Fixture {
    fill(start().await).await
}

/// Fills an empty server.
pub async fn fill(server: Server) -> Fixture {
    let platform = Arc::clone(&server.platform);
    for text in ["a", "b"] {
        let upload_id = upload(&platform, text).await;
        let import = ImportRequest { dataset: "kindle".into(), create_dataset: true, upload_id, options: Value::Null };
        platform.datasets().import(&anyone(), import, None).await.unwrap();
    }
    let new = NewDataset { name: DatasetName::parse("other").unwrap(), description: String::new(), tags: Tags::new() };
    platform.datasets().create(&anyone(), new, None, false).await.unwrap();
    let mut split = String::new();
    for seed in [1, 2] {
        let made = platform.splits().create(&anyone(), "kindle", None, json!({ "seed": seed }), None).await.unwrap();
        split = made.id.to_string();
    }
    for name in ["e", "f"] {
        let new =
            NewExperiment { name: ExperimentName::parse(name).unwrap(), description: String::new(), tags: Tags::new() };
        platform.experiments().create(&anyone(), new, None).await.unwrap();
    }
    let mut runs = Vec::new();
    for name in ["one", "two", "three"] {
        runs.push(run(&platform, name).await);
    }
    let points = (0..3).map(|step| Metric { key: "loss".into(), value: 0.5, step, at: Timestamp(0) }).collect();
    platform.runs().log_metrics(&anyone(), &runs[0], points, None, None).await.unwrap();
    let trained = succeeded(&platform, &facts(Digest::of(b"model"))).await;
    models(&platform, &runs).await;
    studies(&platform).await;
    let upload = upload(&platform, "c").await;
    let channel = server.channel().await;
    Fixture { server, channel, upload, split, runs, trained }
}

async fn upload(platform: &Platform, text: &str) -> UploadId {
    let id = platform.uploads().start(&anyone(), "reviews.csv", None, None).await.unwrap().id;
    platform.uploads().append_bytes(&id, 0, Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    platform.uploads().complete(&id, None).await.unwrap().id
}

/// A run logged from outside, in experiment `e`.
pub async fn run(platform: &Platform, name: &str) -> RunId {
    let new = NewRun {
        experiment: "e".into(),
        parent_run_id: None,
        name: name.into(),
        note: String::new(),
        params: BTreeMap::new(),
        tags: Tags::new(),
    };
    platform.runs().create(&anyone(), new, None).await.unwrap().id
}

pub fn facts(digest: Digest) -> ModelFacts {
    ModelFacts {
        digest,
        size_bytes: 5,
        kind: "logreg".into(),
        classes: vec!["negative".into(), "positive".into()],
        contract_hash: Digest::of(b"contract"),
        metrics: BTreeMap::from([("f1".into(), 0.75), ("odd".into(), f64::NAN), ("large".into(), f64::INFINITY)]),
    }
}

/// A succeeded run with a model file.
pub async fn succeeded(platform: &Platform, facts: &ModelFacts) -> RunId {
    let id = run(platform, "trained").await;
    // Only the job of a run may say what it made.
    let mut tx = platform.db().begin_write().await.unwrap();
    assert!(tenor_store::run::set_model(&mut tx, &id, &serde_json::to_value(facts).unwrap()).await.unwrap());
    tx.commit().await.unwrap();
    let patch = RunPatch { state: Some(State::Succeeded), ..RunPatch::default() };
    platform.runs().update(&id, patch, None).await.unwrap();
    id
}

/// One number, in JSON.
pub const SPACE: &str = r#"[{ "name": "x", "type": "float", "low": 0.0, "high": 1.0 }]"#;

/// Study `search` with two complete trials and one that runs, and study `spare`.
async fn studies(platform: &Platform) {
    for name in ["search", "spare"] {
        let spec = json!({
            "space": serde_json::from_str::<Value>(SPACE).unwrap(),
            "objectives": [{ "metric": "loss", "direction": "minimize" }],
            "sampler": "random", "seed": 1, "budget": { "max_trials": 10 }, "lease_seconds": 600,
        });
        let new = NewStudy {
            name: StudyName::parse(name).unwrap(),
            description: String::new(),
            tags: Tags::new(),
            spec: serde_json::from_value(spec).unwrap(),
            kinds: Vec::new(),
            skip_defaults: false,
            initial: Vec::new(),
            warm_start_from: Vec::new(),
        };
        platform.studies().create(&anyone(), new, None).await.unwrap();
    }
    for number in 0..3 {
        platform.studies().suggest(&anyone(), "search", "client").await.unwrap();
        if number < 2 {
            let end = TrialEnd::Complete(BTreeMap::from([("loss".into(), 0.5)]));
            platform.studies().tell(&anyone(), "search", number, "client", end).await.unwrap();
        }
    }
}

/// Model `stars` with two versions and an alias that was moved, model `other`, deployments `front` and `back`.
async fn models(platform: &Platform, runs: &[RunId]) {
    let stars = ModelName::parse("stars").unwrap();
    for (run, text) in runs.iter().zip(["one", "two"]) {
        let facts = facts(Digest::of(text.as_bytes()));
        platform.models().register_version(&anyone(), &stars, run, facts).await.unwrap();
    }
    let new = NewModel { name: ModelName::parse("other").unwrap(), description: String::new(), tags: Tags::new() };
    platform.models().create(&anyone(), new, None).await.unwrap();
    let champion = AliasName::parse("champion").unwrap();
    for version in [1, 2, 1] {
        platform
            .models()
            .set_alias(&anyone(), "stars", &champion, AliasMove { why: "because", ..AliasMove::to(version) })
            .await
            .unwrap();
    }
    for name in ["front", "back"] {
        let new = NewDeployment {
            name: DeploymentName::parse(name).unwrap(),
            model: "stars".into(),
            target: DeploymentTarget::Alias(champion.clone()),
            contract_mode: ContractMode::Warn,
        };
        platform.deployments().create(&anyone(), new, None).await.unwrap();
    }
}
