//! What a client of predictions sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tenor_domain::ContractMode as Mode;
use tenor_features::contract::{Input, Prepared};
use tenor_learn::Scratch;
use tenor_sdk::types::{ContractMode, Instance, PredictOptions, Prediction};
use tenor_sdk::{AliasMove, Answer, Kind, TrainRun, instance};
use tenor_store::testing::databases;

use crate::support::*;

const TEXTS: [&str; 5] = [
    "I loved this book, an amazing story.",
    "Boring. Nothing happens, poor grammar, I did not finish it.",
    "ok",
    "Ein schönes Buch über Bäume! 日本語 🦀",
    "free kindle download, worth every penny????",
];

fn instances() -> Vec<Instance> {
    let mut all: Vec<Instance> = TEXTS.iter().map(|text| instance(*text)).collect();
    all[1].numeric = [("user_review_count".to_owned(), 12.0)].into();
    all
}

/// An answer without the id, which is its own each time.
fn plain(prediction: &Prediction) -> Prediction {
    Prediction { prediction_id: String::new(), ..prediction.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_shapes_answer_alike_and_as_the_model_file_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 1_500, 0.0);
    for server in servers().await {
        server.serve_reviews(&file, "star").await;
        let options = PredictOptions { explain_top_k: 100, ..PredictOptions::default() };
        let predictions = server.client.predictions();
        let batch = predictions.batch("reviews", instances(), options).await.unwrap();
        let mut streamed = predictions.stream("reviews", stream::iter(instances()), options).await.unwrap();
        let registry = tenor_server::registry();
        let mut bytes = Vec::new();
        let mut download = server.client.models().download("reviews", "1").await.unwrap();
        while let Some(piece) = download.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        let (model, _) = registry.load(&bytes).unwrap();
        assert_eq!(batch.classes, model.classes());
        let mut ids = std::collections::BTreeSet::new();
        for (input, in_batch) in instances().into_iter().zip(&batch.predictions) {
            let one = predictions.predict_with("reviews", input.clone(), options).await.unwrap().prediction.unwrap();
            let Some(Ok(Answer::Response(answer))) = streamed.next().await else { panic!("no answer") };
            let in_stream = answer.prediction.unwrap();
            assert_eq!(plain(&one), plain(in_batch));
            assert_eq!(plain(&one), plain(&in_stream));
            for prediction in [&one, in_batch, &in_stream] {
                assert!(ids.insert(prediction.prediction_id.clone()), "an id was given twice");
            }
            let sum: f64 = one.probabilities.iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            let why = one.explanation.unwrap();
            let total: f64 = why.bias + why.contributions.iter().map(|share| share.value).sum::<f64>();
            assert!((total - why.logit).abs() < 1e-9, "{total} is not {}", why.logit);
            // The file answers to the bit what the server answers.
            let numeric: Vec<_> = input
                .numeric
                .iter()
                .map(|(name, value)| (name.as_str(), tenor_features::contract::NumericValue::Number(*value)))
                .collect();
            let (mut prepared, mut probabilities) = (Prepared::default(), vec![0.0; model.classes().len()]);
            model.contract().apply(Mode::Warn, &Input { text: &input.text, numeric: &numeric }, &mut prepared).unwrap();
            model.predict(&prepared, &mut Scratch::default(), &mut probabilities);
            assert_eq!(probabilities, one.probabilities);
        }
        assert!(streamed.next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_mode_decides_what_a_missing_feature_means() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 800, 0.0);
    for server in servers().await {
        server.serve_reviews(&file, "binary").await;
        let ask = |mode: ContractMode, input: Instance| {
            let options = PredictOptions { contract_mode: mode.into(), ..PredictOptions::default() };
            let predictions = server.client.predictions();
            async move { predictions.predict_with("reviews", input, options).await }
        };
        let error = ask(ContractMode::Strict, instance(TEXTS[0])).await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::InvalidArgument, "CONTRACT_VIOLATION"));
        let fields: Vec<&str> = error.violations().iter().map(|violation| violation.field.as_str()).collect();
        let expected = ["user_avg_len", "user_review_count", "item_avg_len", "item_review_count"];
        assert_eq!(fields, expected.map(|name| format!("instance.{name}")));
        for mode in [ContractMode::Warn, ContractMode::Impute, ContractMode::Unspecified] {
            let answer = ask(mode, instance(TEXTS[0])).await.unwrap().prediction.unwrap();
            let warned: Vec<&str> = answer.warnings.iter().map(|warning| warning.field.as_str()).collect();
            assert_eq!(warned, expected, "{mode:?}");
            assert!(answer.warnings.iter().all(|warning| warning.description.contains("median")));
        }
        let mut complete = instance(TEXTS[0]);
        complete.numeric = expected.map(|name| (name.to_owned(), 10.0)).into();
        complete.numeric.insert("user_avg_len".to_owned(), 500.0);
        complete.numeric.insert("item_avg_len".to_owned(), 500.0);
        assert!(ask(ContractMode::Strict, complete.clone()).await.unwrap().prediction.unwrap().warnings.is_empty());
        complete.numeric.insert("colour".to_owned(), 1.0);
        let error = ask(ContractMode::Strict, complete.clone()).await.unwrap_err();
        assert_eq!(error.violations()[0].field, "instance.colour");
        // More than the headers of an answer could carry: the first ones are named.
        complete.numeric.extend((0..500).map(|number| (format!("unknown_column_{number}_{}", "ü".repeat(50)), 0.0)));
        let error = ask(ContractMode::Strict, complete).await.unwrap_err();
        assert_eq!((error.reason(), error.violations().len()), ("CONTRACT_VIOLATION", 20), "{error}");
        let (_, series) = get(&server.url, "/metrics").await;
        assert!(
            series.contains(r#"tenor_contract_violations_total{outcome="impute",rule="missing_feature"}"#),
            "{series}"
        );
        assert!(!series.contains("colour"), "a client's word became a label");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_limit_is_refused_with_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 800, 0.0);
    for database in tenor_store::testing::databases().await {
        let server = Server::start(database, |config| {
            config.serving.max_text_chars = 100;
            config.serving.max_batch = 3;
            config.server.max_message_bytes = 300_000;
        })
        .await;
        server.serve_reviews(&file, "binary").await;
        let predictions = server.client.predictions();
        let options = PredictOptions::default();
        let error = predictions.predict("reviews", "é".repeat(101)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("the limit is 100"), "{error}");
        predictions.predict("reviews", "é".repeat(100)).await.unwrap();
        let error = predictions.batch("reviews", instances(), options).await.unwrap_err();
        assert!(error.message().contains("at most 3"), "{error}");
        let error = predictions.batch("reviews", Vec::new(), options).await.unwrap_err();
        assert!(error.message().contains("at least one"), "{error}");
        let error = predictions.predict("reviews", "x".repeat(400_000)).await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::ResourceExhausted, "MESSAGE_TOO_LARGE"));
        assert!(error.message().contains("300000"), "{error}");
        for empty in ["", "  ", "\u{200b}", "!!! ???"] {
            let error = predictions.predict("reviews", empty).await.unwrap_err();
            assert_eq!((error.kind(), error.reason()), (Kind::InvalidArgument, "CONTRACT_VIOLATION"), "{empty:?}");
        }
        let error = predictions.predict("nobody", "text").await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::NotFound, "DEPLOYMENT_NOT_FOUND"));
        let bad = vec![instance("good"), instance("!"), instance("x".repeat(101))];
        let error = predictions.batch("reviews", bad.clone(), options).await.unwrap_err();
        let fields: Vec<_> = error.violations().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["instances[1].text", "instances[2].text"]);
        let answers: Vec<_> = predictions.stream("reviews", stream::iter(bad), options).await.unwrap().collect().await;
        let refused: Vec<bool> =
            answers.into_iter().map(|answer| matches!(answer.unwrap(), Answer::Refused(_))).collect();
        assert_eq!(refused, [false, true, true], "a bad text does not end the stream");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_swaps_under_load_cost_no_request_and_a_damaged_model_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 800, 0.0);
    for server in servers().await {
        let (run, _) = server.serve_reviews(&file, "binary").await;
        let train = TrainRun::new("it", run.split_id.clone(), "logreg").param("C", 0.01).register("reviews");
        server.train(train).await;
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let load: Vec<_> = (0..4)
            .map(|_| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                let predictions = server.client.predictions();
                tokio::spawn(async move {
                    let mut versions = std::collections::BTreeSet::new();
                    while !stop.load(Ordering::Relaxed) {
                        let answer = predictions.predict("reviews", TEXTS[0]).await.unwrap();
                        versions.insert(answer.model_version);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    versions
                })
            })
            .collect();
        let models = server.client.models();
        for swap in 0..100 {
            models.set_alias(AliasMove::new("reviews", "champion", 1 + (swap + 1) % 2).why("swap")).await.unwrap();
            server.loaded("reviews").await;
        }
        stop.store(true, Ordering::Relaxed);
        for client in load {
            assert_eq!(client.await.unwrap(), [1, 2].into(), "both versions answered, and nothing failed");
        }
        assert!(answered.load(Ordering::Relaxed) >= 100);

        // Version 3: a model whose file was damaged in the store after it was registered.
        let train = TrainRun::new("it", run.split_id.clone(), "logreg").param("C", 0.1).register("reviews");
        server.train(train).await;
        let digest = models.version("reviews", "3").await.unwrap().digest;
        damage(server.folder.path(), &digest);
        models.set_alias(AliasMove::new("reviews", "champion", 3).why("damaged")).await.unwrap();
        let deployment = server.client.deployments().wait_loaded("reviews", Duration::from_secs(20)).await.unwrap();
        assert_eq!((deployment.current_version, deployment.loaded_version), (3, 1));
        assert!(deployment.load_error.contains("damaged"), "{}", deployment.load_error);
        let answer = server.client.predictions().predict("reviews", TEXTS[0]).await.unwrap();
        assert_eq!(answer.model_version, 1, "the version before goes on serving");
        models.set_alias(AliasMove::new("reviews", "champion", 2).why("back")).await.unwrap();
        assert_eq!(server.loaded("reviews").await.loaded_version, 2);
    }
}

/// Flips one byte in the middle of a blob.
fn damage(folder: &std::path::Path, digest: &str) {
    fn find(folder: &std::path::Path, digest: &str) -> Option<std::path::PathBuf> {
        std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
            let path = entry.path();
            let here = path.to_string_lossy().replace('/', "").ends_with(digest);
            if path.is_file() && here { Some(path) } else { find(&path, digest) }
        })
    }
    let path = find(folder, digest).expect("the blob is a file of its digest's name");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file of this test")]
    permissions.set_readonly(false);
    std::fs::set_permissions(&path, permissions).unwrap();
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_go_on_while_the_database_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 800, 0.0);
    for server in servers().await {
        server.serve_reviews(&file, "binary").await;
        let before = server.client.predictions().predict("reviews", TEXTS[0]).await.unwrap().prediction.unwrap();
        server.platform().db().close().await;
        let error = server.client.datasets().get("reviews").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        // Long enough for the loader to notice.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let after = server.client.predictions().predict("reviews", TEXTS[0]).await.unwrap().prediction.unwrap();
        assert_eq!(plain(&before), plain(&after));
        assert_eq!(get(&server.url, "/readyz").await, (200, "ready\n".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_less_sure_than_asked_for_abstains() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 800, 0.0);
    let server = Server::start(databases().await.remove(0), |_| {}).await;
    server.serve_reviews(&file, "star").await;
    let predictions = server.client.predictions();
    let ask = |min_confidence: f64| {
        let options = PredictOptions { min_confidence, ..PredictOptions::default() };
        predictions.predict_with("reviews", instance(TEXTS[0]), options)
    };
    let sure = ask(0.0).await.unwrap().prediction.unwrap();
    assert!(!sure.abstained);
    let confidence = sure.probabilities.iter().copied().fold(0.0, f64::max);
    assert!(!ask(confidence).await.unwrap().prediction.unwrap().abstained);
    let unsure = ask(confidence + 1e-9).await.unwrap().prediction.unwrap();
    assert!(unsure.abstained && unsure.label == sure.label, "the best guess is told");
    for wrong in [-0.1, 1.1, f64::NAN] {
        let error = ask(wrong).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.violations()[0].field.as_str()),
            (Kind::InvalidArgument, "options.min_confidence")
        );
    }
    let url = server.url.clone();
    let args = ["predict", "reviews", TEXTS[0], "--min-confidence", "1"];
    let shown = tokio::task::spawn_blocking(move || tenor(&url, &args)).await.unwrap();
    assert!(shown.code == 0 && shown.stdout.contains("abstained; best guess"), "{}{}", shown.stdout, shown.stderr);
}
