//! From a file to a served model, and what goes wrong on the way.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use serde_json::{Value, json};
use tenor_learn::ModelFile;
use tenor_sdk::types::{JobState, State};
use tenor_sdk::{Kind, NewImport, RunQuery, TrainRun};

use crate::support::*;

/// What a training run leaves behind.
const ARTIFACTS: [&str; 25] = [
    "baseline_statistics.json",
    "feature_importances.json",
    "metadata.json",
    "misclassified.json",
    "model.onnx",
    "model.safetensors",
    "model_card.html",
    "model_card.md",
    "model_schema.json",
    "plots/confusion_matrix.svg",
    "plots/coverage_risk.svg",
    "plots/feature_importances.svg",
    "plots/pr_curve.svg",
    "plots/reliability.svg",
    "plots/roc_curve.svg",
    "predictions/test.safetensors",
    "reports/classification_report.txt",
    "reports/confusion_matrix.txt",
    "reports/coverage_risk.json",
    "reports/evaluation.json",
    "reports/leakage.json",
    "reports/mistakes.html",
    "reports/slices.json",
    "reports/slices.txt",
    "reports/thresholds.json",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_served_model_with_the_same_numbers_on_both_databases() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 3_000, 0.02);
    let mut outcomes = Vec::new();
    for server in servers().await {
        let (run, deployment) = server.serve_reviews(&file, "binary").await;
        let version = server.client.datasets().version("reviews", 1).await.unwrap();
        let outcome = version.outcome.unwrap();
        assert_eq!(outcome.rows_read, outcome.rows_accepted + outcome.rows_quarantined);
        assert!(outcome.rows_quarantined > 0, "2 % of the rows are defective");
        assert!(run.metrics["test/roc_auc"] > 0.7, "{:?}", run.metrics);
        // Also what nobody set stands in the run.
        assert!(run.params.contains_key("C") && run.params.contains_key("max_features"), "{:?}", run.params);

        let artifacts = server.client.experiments().artifacts(run.id.clone()).await.unwrap();
        let names: BTreeSet<&str> = artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
        assert_eq!(names, ARTIFACTS.into());
        for artifact in &artifacts {
            let bytes = server.client.experiments().read_artifact(run.id.clone(), artifact.name.clone()).await.unwrap();
            assert_eq!(bytes.len() as i64, artifact.size_bytes, "{}", artifact.name);
        }

        let model = server.client.models().version("reviews", "champion").await.unwrap();
        assert_eq!((model.number, &model.run_id, deployment.loaded_version), (1, &run.id, 1));
        let answer = server.client.predictions().predict("reviews", "I loved this wonderful story").await.unwrap();
        assert_eq!((answer.model.as_str(), answer.model_version), ("reviews", 1));
        let found =
            RunQuery::new().filter("metrics.\"test/roc_auc\" > 0.7 AND kind = 'logreg' AND state = 'succeeded'");
        let found: Vec<_> = server.client.experiments().runs(found).try_collect().await.unwrap();
        assert_eq!(found.iter().map(|run| &run.id).collect::<Vec<_>>(), [&run.id]);
        outcomes.push((quality(&run), model.digest, outcome.data_digest));
        server.stop().await;
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "the databases disagree");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_twice_are_one_version_one_split_and_one_model_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 600, 0.0);
    for server in servers().await {
        let first = server.import("reviews", &file, &Value::Null).await;
        let again = server.import("reviews", &file, &Value::Null).await;
        assert_eq!((&again.id, again.number), (&first.id, 1));
        let other = server.import("reviews", &file, &json!({ "delimiter": "," })).await;
        assert_eq!((other.number, &other.source_digest), (2, &first.source_digest));
        let one = server.split("reviews", &json!({ "task": "binary" })).await;
        let two = server.split("reviews", &json!({ "task": "binary", "seed": 42, "balance": null })).await;
        let different = server.split("reviews", &json!({ "task": "binary", "seed": 43 })).await;
        assert_ne!(one.id, different.id);
        assert_eq!(one.outcome.as_ref().unwrap().train, two.outcome.as_ref().unwrap().train);
        let train = || TrainRun::new("e", one.id.clone(), "logreg").register("m");
        let (a, b) = (server.train(train()).await, server.train(train()).await);
        assert_ne!(a.id, b.id);
        let digest = |number: &'static str| {
            let models = server.client.models();
            async move { models.version("m", number).await.unwrap().digest }
        };
        assert_eq!(digest("1").await, digest("2").await);

        // The file says where it comes from and how good it is, and nothing that only one of the two runs has.
        let bytes = server.client.experiments().read_artifact(a.id.clone(), "model.safetensors").await.unwrap();
        let header = ModelFile::from_bytes(&bytes).unwrap().header;
        let scores = a.metrics.iter().filter(|(key, _)| key.starts_with("test/"));
        assert_eq!(header.metrics, scores.map(|(key, value)| (key.clone(), *value)).collect());
        let (outcome, lineage) = (one.outcome.unwrap(), header.lineage);
        for (noted, expected) in [
            (lineage.source_digest, first.source_digest),
            (lineage.train_digest, outcome.train.unwrap().digest),
            (lineage.validation_digest, outcome.validation.unwrap().digest),
            (lineage.test_digest, outcome.test.unwrap().digest),
            (Some(header.contract_hash), outcome.contract_hash),
        ] {
            assert_eq!(noted.map(|digest| digest.to_string()), Some(expected));
        }
        assert!(lineage.import_options_digest.is_some() && lineage.split_options_digest.is_some());
        assert_eq!((lineage.seed, lineage.notes.len()), (42, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_option_is_refused_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 300, 0.0);
    for server in servers().await {
        let datasets = server.client.datasets();
        let upload = datasets.upload_file(&file, |_, _| {}).await.unwrap();
        for wrong in [json!({ "colour": 1 }), json!({ "delimiter": "\"" }), json!({ "rules": { "no_such_rule": {} } })]
        {
            let error = datasets.import(NewImport::new("d", upload.id.clone()).options(&wrong)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.reason()),
                (Kind::InvalidArgument, "DATA_INVALID_OPTION"),
                "{wrong}: {error}"
            );
        }
        assert_eq!(datasets.get("d").await.unwrap_err().kind(), Kind::NotFound, "nothing half-made stays");
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let split_options = json!({ "task": "binary", "fractions": [0.9, 0.9, 0.9] });
        let error =
            datasets.create_split(tenor_sdk::NewSplit::new("reviews").options(&split_options)).await.unwrap_err();
        assert_eq!(error.violations()[0].field, "fractions");
        let train = || TrainRun::new("e", split.id.clone(), "logreg");
        for (wrong, field) in [
            (TrainRun::new("e", split.id.clone(), "forest"), "kind"),
            (train().param("C", -1.0), "params.C"),
            (train().param("c", 1.0), "params.c"),
            (train().param("max_iter", "many"), "params.max_iter"),
        ] {
            let error = server.client.experiments().train(wrong).await.unwrap_err();
            assert_eq!(error.violations()[0].field, field, "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_something_can_be_checked_first_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 300, 0.0);
    for server in servers().await {
        let (datasets, experiments) = (server.client.datasets(), server.client.experiments());
        let upload = datasets.upload_file(&file, |_, _| {}).await.unwrap();
        let import = || NewImport::new("reviews", upload.id.clone());
        let would = datasets.import(import().validate_only()).await.unwrap();
        assert_eq!((would.number, would.job_id), (1, 0));
        assert_eq!(datasets.get("reviews").await.unwrap_err().kind(), Kind::NotFound);
        let version = datasets.import(import()).await.unwrap();
        server.succeeded(version.job_id).await;
        assert_eq!(datasets.import(import().validate_only()).await.unwrap().id, version.id, "it is there already");

        let split = tenor_sdk::NewSplit::new("reviews").validate_only();
        assert_eq!(datasets.create_split(split).await.unwrap().job_id, 0);
        assert!(datasets.splits("reviews", 0).try_next().await.unwrap().is_none());
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let train = || TrainRun::new("e", split.id.clone(), "logreg").param("C", 2).validate_only();
        let would = experiments.train(train()).await.unwrap();
        assert!(would.params.contains_key("max_features"), "the defaults are shown: {:?}", would.params);
        assert_eq!(experiments.train(train().param("C", -2)).await.unwrap_err().violations()[0].field, "params.C");
        assert!(experiments.runs(RunQuery::new()).try_next().await.unwrap().is_none());
        assert_eq!(experiments.get("e").await.unwrap_err().kind(), Kind::NotFound);
        assert!(server.client.jobs().list(&[], "train_run").try_next().await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_fails_with_its_place_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    let cases = [
        (file("empty.csv", b""), "DATA_EMPTY"),
        (file("header.csv", b"reviewText,overall\n"), "DATA_EMPTY"),
        (file("columns.csv", b"a,b\n1,2\n"), "DATA_MISSING_COLUMN"),
        (file("binary.csv", &[0, 159, 146, 150, 0, 1, 2, 3].repeat(500)), "DATA_"),
        (file("cut.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]), "DATA_DAMAGED"),
    ];
    for server in servers().await {
        for (path, reason) in &cases {
            let datasets = server.client.datasets();
            let upload = datasets.upload_file(path, |_, _| {}).await.unwrap();
            let version = datasets.import(NewImport::new("bad", upload.id)).await.unwrap();
            let job = server.client.jobs().wait(version.job_id, Duration::from_secs(60)).await.unwrap();
            assert_eq!(job.state(), JobState::Failed, "{}", path.display());
            assert_eq!(job.attempt, 1, "a file does not get better by trying again");
            let version = datasets.version("bad", version.number).await.unwrap();
            assert_eq!(version.state(), State::Failed);
            assert!(version.outcome.is_none());
            assert!(!version.error.is_empty() && !version.error.contains('/'), "{reason}: {}", version.error);
            let preview = datasets.preview("bad", version.number, false, 0, 10).await.unwrap_err();
            assert_eq!(preview.kind(), Kind::FailedPrecondition);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_training_stops_within_two_seconds_and_what_waits_for_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 20_000, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "star" })).await;
        let train =
            TrainRun::new("e", split.id, "logreg").param("tol", 1e-12).param("max_iter", 1_000_000).param("C", 1e6);
        let run = server.client.experiments().train(train).await.unwrap();
        let mut events = server.client.jobs().watch(run.job_id, 0);
        // Until it fits: the first metric of the fit or a progress line past the loading.
        while let Some(event) = events.try_next().await.unwrap() {
            if event.progress.is_some_and(|share| share > 0.05) {
                break;
            }
        }
        let begun = Instant::now();
        server.client.jobs().cancel(run.job_id).await.unwrap();
        let job = server.client.jobs().wait(run.job_id, Duration::from_secs(30)).await.unwrap();
        assert_eq!(job.state(), JobState::Cancelled);
        assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
        let run = server.client.experiments().run(run.id).await.unwrap();
        assert_eq!(run.state(), State::Cancelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_on_the_servers_disk_is_told_without_its_paths() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 300, 0.0);
    for database in tenor_store::testing::databases().await {
        let server = Server::start(database, |config| config.queue.retry_base_ms = 10).await;
        // In the place of the folder for temporary files stands a file.
        for entry in std::fs::read_dir(server.folder.path().join("scratch")).unwrap() {
            let scratch = entry.unwrap().path();
            if scratch.is_dir() {
                std::fs::remove_dir_all(&scratch).unwrap();
                std::fs::write(&scratch, "").unwrap();
            }
        }
        let datasets = server.client.datasets();
        let upload = datasets.upload_file(&file, |_, _| {}).await.unwrap();
        let version = datasets.import(NewImport::new("reviews", upload.id)).await.unwrap();
        let job = server.client.jobs().wait(version.job_id, Duration::from_secs(60)).await.unwrap();
        assert_eq!(
            (job.state(), job.attempt),
            (JobState::Failed, job.max_attempts),
            "it might have been mended meanwhile"
        );
        let version = datasets.version("reviews", version.number).await.unwrap();
        for shown in [&job.error, &version.error] {
            assert!(!shown.is_empty() && !shown.contains('/'), "{shown}");
        }
    }
}
