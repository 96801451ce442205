//! Every kind of model on its way through the server, and what a training keeps for itself and for others.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenor_sdk::types::JobState;
use tenor_sdk::{NewDeployment, NewImport, NewSplit, Target, TrainRun};
use tenor_store::testing::databases;

use crate::support::*;

/// The kinds with parameters that make them small.
fn kinds(split: &str) -> [TrainRun; 6] {
    let train =
        |kind: &str| TrainRun::new("kinds", split, kind).calibration("temperature").register(kind.replace('_', "-"));
    let dense = |kind: &str| train(kind).param("svd_components", 16);
    [
        train("logreg"),
        train("nbsvm"),
        train("complement_nb"),
        dense("random_forest").param("n_estimators", 20),
        dense("hist_gb").param("max_iter", 15),
        dense("mlp").param("hidden_layer_sizes", json!([16])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_trained_calibrated_served_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 1_500, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        for (first, again) in kinds(&split.id).into_iter().zip(kinds(&split.id)) {
            let (first, again) = (server.train(first).await, server.train(again).await);
            let kind = first.kind.as_str();
            assert!(first.metrics["test/roc_auc"] > 0.5, "{kind}: {:?}", first.metrics);
            assert!(
                first.metrics.contains_key("test/ece_before_calibration") && first.metrics["test/leaking_share"] < 0.05
            );
            let names = server.client.experiments().artifacts(first.id.clone()).await.unwrap();
            let names: BTreeSet<String> = names.into_iter().map(|artifact| artifact.name).collect();
            for name in [
                "model.onnx",
                "model_card.html",
                "plots/calibration.svg",
                "reports/calibration.json",
                "reports/slices.json",
            ] {
                assert!(names.contains(name), "{kind} has no {name}: {names:?}");
            }
            // Features of the first training serve the second, which ends in the same file.
            assert_eq!(again.metrics["train/feature_block_hits"], 1.0, "{kind}");
            let model = kind.replace('_', "-");
            let (one, two) = (
                server.client.models().version(model.clone(), "1").await,
                server.client.models().version(model.clone(), "2").await,
            );
            assert_eq!(one.unwrap().digest, two.unwrap().digest, "{kind}");

            let new = NewDeployment::new(&model, &model, Target::Version(1));
            server.client.deployments().create(new).await.unwrap();
            server.loaded(&model).await;
            let answer = server.client.predictions().predict(&model, "I loved this wonderful story").await.unwrap();
            assert_eq!(answer.model_version, 1);
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_calibration_is_refused_with_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 400, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let train = TrainRun::new("e", split.id.clone(), "logreg").calibration("magic");
        let error = server.client.experiments().train(train).await.unwrap_err();
        assert!(error.to_string().contains("temperature, platt, isotonic"), "{error}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_training_goes_on_from_its_checkpoint_and_ends_in_the_same_model() {
    const SETTINGS: [(&str, &str); 4] = [
        ("TENOR_QUEUE__LEASE_MS", "1500"),
        ("TENOR_QUEUE__HEARTBEAT_MS", "300"),
        ("TENOR_QUEUE__SQLITE_POLL_MS", "20"),
        ("TENOR_WORKER__CHECKPOINT_MS", "100"),
    ];
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 2_000, 0.0);
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let victim = ServerProcess::start(folder.path(), &database.url, &SETTINGS).await;
        let datasets = victim.client.datasets();
        let upload = datasets.upload_file(&file, |_, _| {}).await.unwrap();
        let version = datasets.import(NewImport::new("reviews", upload.id)).await.unwrap();
        victim.client.jobs().wait(version.job_id, Duration::from_secs(120)).await.unwrap();
        let split =
            datasets.create_split(NewSplit::new("reviews").options(&json!({ "task": "binary" }))).await.unwrap();
        victim.client.jobs().wait(split.job_id, Duration::from_secs(120)).await.unwrap();
        let train = || {
            let train = TrainRun::new("e", split.id.clone(), "hist_gb").param("svd_components", 20).register("reviews");
            train.param("max_iter", 1_500).param("early_stopping", false)
        };
        let run = victim.client.experiments().train(train()).await.unwrap();
        let begun = Instant::now();
        let checkpoints = || {
            let kept = std::fs::read_dir(folder.path().join("kept")).into_iter().flatten().flatten();
            kept.filter(|entry| entry.path().extension().is_some_and(|found| found == "checkpoint")).count()
        };
        while checkpoints() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint was kept: {}", victim.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        victim.signal("-KILL");
        let other = ServerProcess::start(folder.path(), &database.url, &SETTINGS).await;
        let job = other.client.jobs().wait(run.job_id, Duration::from_secs(240)).await.unwrap();
        assert_eq!((job.state(), job.attempt), (JobState::Succeeded, 2), "{} {}", job.error, other.log());
        assert!(other.log().contains("training goes on from a checkpoint"), "{}", other.log());
        assert_eq!(checkpoints(), 0, "nobody needs it any more");
        let whole = other.client.experiments().train(train()).await.unwrap();
        other.client.jobs().wait(whole.job_id, Duration::from_secs(240)).await.unwrap();
        let models = other.client.models();
        assert_eq!(
            models.version("reviews", "1").await.unwrap().digest,
            models.version("reviews", "2").await.unwrap().digest
        );
    }
}
