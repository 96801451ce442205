//! Why a text gets its answer, as a client sees it.

use serde_json::{Value, json};
use tenor_sdk::types::{ExplainResponse, ExplanationMethod, FeatureKind, PredictOptions};
use tenor_sdk::{Explain, Kind, NewDeployment, Target, TrainRun, instance};
use tenor_store::testing::databases;

use crate::support::*;

const TEXT: &str = "I <b>loved</b> this book &mdash; a caf&eacute; story, not boring at all. 日本語 🦀";

/// What is true of every explanation.
#[track_caller]
fn check(text: &str, answer: &ExplainResponse, top_k: usize) {
    let sum: f64 = answer.contributions.iter().map(|contribution| contribution.value).sum();
    assert!((answer.bias + sum + answer.rest - answer.score).abs() < 1e-6, "{answer:?}");
    assert!(!answer.contributions.is_empty() && answer.contributions.len() <= top_k, "{answer:?}");
    assert!(answer.contributions.windows(2).all(|pair| pair[0].value.abs() >= pair[1].value.abs()), "{answer:?}");
    assert!(answer.contributions.iter().all(|contribution| contribution.kind() != FeatureKind::Unspecified));
    let mut before = 0;
    for token in &answer.tokens {
        let range = usize::try_from(token.start_byte).unwrap()..usize::try_from(token.end_byte).unwrap();
        assert!(range.start >= before);
        before = range.end;
        assert_eq!(text.get(range), Some(token.text.as_str()));
        assert!(token.value.abs() < 56.0, "{token:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explanations_add_up_and_point_into_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 800, 0.0);
    let server = Server::start(databases().await.remove(0), |config| config.serving.max_text_chars = 5_000).await;
    let (run, _) = server.serve_reviews(&file, "binary").await;
    let trees = TrainRun::new("it", run.split_id, "hist_gb").param("max_iter", 10).param("svd_components", 8);
    server.train(trees.register("trees").alias("champion")).await;
    server
        .client
        .deployments()
        .create(NewDeployment::new("trees", "trees", Target::Alias("champion".into())))
        .await
        .unwrap();
    server.loaded("trees").await;
    let predictions = server.client.predictions();
    for (deployment, method, kind) in [
        ("reviews", ExplanationMethod::Linear, FeatureKind::Term),
        ("trees", ExplanationMethod::TreePaths, FeatureKind::Component),
    ] {
        let answer = predictions.explain(Explain::new(deployment, TEXT).top_k(5)).await.unwrap();
        check(TEXT, &answer, 5);
        assert_eq!(answer.method(), method);
        let all = predictions.explain(Explain::new(deployment, TEXT).top_k(100)).await.unwrap();
        assert!(all.contributions.iter().any(|contribution| contribution.kind() == kind), "{all:?}");
        let words: Vec<&str> = answer.tokens.iter().map(|token| token.text.as_str()).collect();
        let expected =
            ["I", "loved", "this", "book", "a", "caf&eacute;", "story", "not", "boring", "at", "all", "日本語"];
        assert_eq!(words, expected);
        assert!(answer.tokens.iter().any(|token| token.value != 0.0), "{answer:?}");
        let predicted = predictions.predict_with(deployment, instance(TEXT), PredictOptions::default()).await.unwrap();
        let (explained, predicted) = (answer.prediction.unwrap(), predicted.prediction.unwrap());
        assert_eq!((&explained.label, &explained.probabilities), (&predicted.label, &predicted.probabilities));
        assert_eq!((&explained.warnings, &answer.class), (&predicted.warnings, &predicted.label));
        let other = answer.classes.iter().find(|class| **class != answer.class).unwrap();
        let other = predictions.explain(Explain::new(deployment, TEXT).class(other).top_k(5)).await.unwrap();
        check(TEXT, &other, 5);
        for (token, mirrored) in answer.tokens.iter().zip(&other.tokens) {
            assert!((token.value + mirrored.value).abs() < 1e-9, "of two classes, one's reasons are against the other");
        }
        let word = predictions.explain(Explain::new(deployment, "boring")).await.unwrap();
        assert_eq!(word.tokens.len(), 1);
        let long = "loved ".repeat(700);
        let long_answer = predictions.explain(Explain::new(deployment, &long)).await.unwrap();
        check(&long, &long_answer, 10);
        assert_eq!((long_answer.tokens.len(), long_answer.tokens[0].text.as_str()), (350, "loved loved"));
    }

    for (explain, kind, field) in [
        (Explain::new("reviews", TEXT).class("lukewarm"), Kind::InvalidArgument, "class"),
        (Explain::new("reviews", TEXT).top_k(101), Kind::InvalidArgument, "top_k"),
        (Explain::new("reviews", "x".repeat(5_001)), Kind::InvalidArgument, "instance.text"),
        (Explain::new("reviews", "!!!"), Kind::InvalidArgument, "instance.text"),
        (Explain::new("nobody", TEXT), Kind::NotFound, ""),
    ] {
        let error = predictions.explain(explain).await.unwrap_err();
        let named = error.violations().first().map_or("", |violation| violation.field.as_str());
        assert_eq!((error.kind(), named), (kind, field), "{error}");
    }
    commands(&server.url).await;
}

/// The same through the command.
async fn commands(url: &str) {
    let url = url.to_owned();
    let done = tokio::task::spawn_blocking(move || {
        for deployment in ["reviews", "trees"] {
            let shown = tenor(&url, &["explain", deployment, TEXT, "--top-k", "3"]);
            assert_eq!(shown.code, 0, "{}", shown.stderr);
            let lines: Vec<&str> = shown.stdout.lines().collect();
            assert!(lines[0].starts_with("I <b>loved") && lines[0].contains(['+', '-']), "{}", shown.stdout);
            assert!(!shown.stdout.contains('\u{1b}'), "no colour off a terminal: {}", shown.stdout);
            let rows = lines.iter().skip_while(|line| !line.starts_with("FEATURE")).count();
            assert_eq!(rows, 1 + 1 + 3 + 2, "header, bias, three features, the others and the score: {}", shown.stdout);
            let shown = tenor(&url, &["explain", deployment, TEXT, "--output", "json"]);
            let value: Value = serde_json::from_str(&shown.stdout).unwrap();
            let why = &value["explanation"];
            assert_eq!(why["class"], value["label"]);
            assert_eq!(why["tokens"][1]["text"], json!("loved"));
            let sum: f64 = why["contributions"].as_array().unwrap().iter().filter_map(|c| c["value"].as_f64()).sum();
            let [bias, rest, score] = ["bias", "rest", "score"].map(|key| why[key].as_f64().unwrap());
            assert!((bias + sum + rest - score).abs() < 1e-6, "{why}");
        }
        let wrong = tenor(&url, &["explain", "reviews", TEXT, "--class", "lukewarm"]);
        assert_eq!(wrong.code, i32::from(tenor_cli::exit::INVALID));
        assert!(wrong.stderr.contains("`lukewarm` is no class of this model"), "{}", wrong.stderr);
        let missing = tenor(&url, &["explain", "nobody", TEXT]);
        assert_eq!(missing.code, i32::from(tenor_cli::exit::NOT_FOUND), "{}", missing.stderr);
    });
    done.await.unwrap();
}
