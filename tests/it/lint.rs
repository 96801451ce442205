//! Wrong labels and cross-validation.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tenor_data::GeneratedFormat;
use tenor_sdk::{Kind, TrainRun};

use crate::support::*;

/// One file in twenty of the very good and very bad reviews says the opposite; returns their texts.
fn flip_labels(file: &std::path::Path) -> BTreeSet<String> {
    let mut flipped = BTreeSet::new();
    let mut lines = Vec::new();
    for (at, line) in std::fs::read_to_string(file).unwrap().lines().enumerate() {
        let mut review: Value = serde_json::from_str(line).unwrap();
        let stars = review["overall"].as_f64().unwrap();
        if at % 20 == 0 && (stars == 1.0 || stars == 5.0) {
            review["overall"] = json!(6.0 - stars);
            flipped.insert(review["reviewText"].as_str().unwrap().to_owned());
        }
        lines.push(review.to_string());
    }
    std::fs::write(file, lines.join("\n")).unwrap();
    flipped
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_finds_labels_that_were_flipped_and_changes_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = generated(folder.path(), 4_000, 0.0, GeneratedFormat::JsonLines);
    let flipped = flip_labels(&file);
    let mut outcomes = Vec::new();
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let url = server.url.clone();
        let (linted, shown) = tokio::task::spawn_blocking(move || {
            let lint = |more: &[&str]| tenor(&url, &[&["dataset", "lint", "reviews"][..], more].concat());
            (lint(&["--output", "json"]), lint(&["--kind", "nbsvm", "--folds", "3", "--limit", "4"]))
        })
        .await
        .unwrap();
        assert_eq!(linted.code, 0, "{}", linted.stderr);
        let report: Value = serde_json::from_str(&linted.stdout).unwrap();
        let suspects = report["suspects"].as_array().unwrap();
        let right = suspects.iter().filter(|it| flipped.contains(it["text"].as_str().unwrap())).count();
        println!("{right} of {} suspects were flipped; rate {}", suspects.len(), report["noise_rate"]);
        assert!(suspects.len() > 40 && right * 10 >= suspects.len() * 6, "{right} of {}", suspects.len());
        assert!(suspects.is_sorted_by(|a, b| a["score"].as_f64() <= b["score"].as_f64()));
        let rate = report["noise_rate"].as_f64().unwrap();
        assert!((0.01..0.12).contains(&rate), "{rate}");

        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(
            shown.stdout.contains("labels are suspicious") && shown.stdout.contains("SUGGESTED"),
            "{}",
            shown.stdout
        );
        assert_eq!(shown.stdout.lines().count(), 3 + 4, "{}", shown.stdout);
        assert!(shown.stderr.contains("reports/label_noise.json"), "{}", shown.stderr);

        let experiments = server.client.experiments();
        let run = experiments.run(report["run_id"].as_str().unwrap()).await.unwrap();
        let (mean, std) = (run.metrics["cv/macro_f1"], run.metrics["cv/macro_f1_std"]);
        assert!((mean - run.metrics["test/macro_f1"]).abs() < 0.1 && std > 0.0 && std < 0.1, "{mean} {std}");
        assert_eq!(run.metrics["cv/label_noise_rate"], rate);
        let (url, id) = (server.url.clone(), run.id.clone());
        let described = tokio::task::spawn_blocking(move || tenor(&url, &["run", "describe", &id])).await.unwrap();
        assert!(described.stdout.contains("STANDARD DEVIATION"), "{}{}", described.stdout, described.stderr);
        let crossed = experiments.read_artifact(&run.id, "reports/cross_validation.json").await.unwrap();
        let crossed: Value = serde_json::from_slice(&crossed).unwrap();
        assert_eq!(
            (crossed["folds"].as_array().unwrap().len(), &crossed["summary"]["macro_f1"]["mean"]),
            (5, &json!(mean))
        );
        let plain = server.train(TrainRun::new("e", split.id.clone(), "logreg")).await;
        let file = |run: &str| experiments.read_artifact(run.to_owned(), "model.safetensors");
        assert!(file(&plain.id).await.unwrap() == file(&run.id).await.unwrap(), "folds change no model");
        assert!(!plain.metrics.contains_key("cv/macro_f1"));

        for wrong in [1, -1, 21] {
            let train = TrainRun::new("e", split.id.clone(), "logreg").folds(wrong);
            let error = experiments.train(train).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.violations()[0].field.as_str()),
                (Kind::InvalidArgument, "folds"),
                "{error}"
            );
        }
        outcomes.push((report["suspects"].clone(), run.metrics["cv/log_loss"]));
        server.stop().await;
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "the databases disagree");
}
