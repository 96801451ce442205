//! Real files, where they are: they may not be passed on with the source.

use serde_json::{Value, json};
use tenor_sdk::TrainRun;
use tenor_sdk::types::DatasetVersion;

use crate::support::*;

/// How many rows of `version` the rule `rule` found.
fn violations(version: &DatasetVersion, rule: &str) -> u64 {
    let report: Value = serde_json::from_str(&version.outcome.as_ref().unwrap().validation_json).unwrap();
    let results = report["rules"].as_array().unwrap();
    let result = results.iter().find(|result| result["rule"] == rule).unwrap_or_else(|| panic!("no rule {rule}"));
    result["violations"].as_u64().unwrap()
}

/// Every row is accepted or quarantined with a reason, and the reasons add up.
fn check_counts(version: &DatasetVersion, rows: i64) {
    let outcome = version.outcome.as_ref().unwrap();
    assert_eq!(outcome.rows_read, rows);
    assert_eq!(outcome.rows_read, outcome.rows_accepted + outcome.rows_quarantined);
    let report: Value = serde_json::from_str(&outcome.validation_json).unwrap();
    let reasons = report["quarantined"].as_object().unwrap();
    let sum: i64 = reasons.values().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(sum, outcome.rows_quarantined, "{reasons:?}");
    assert!(outcome.valid, "{}", outcome.validation_json);
}

#[tokio::test(flavor = "multi_thread")]
async fn kindle_reviews_give_the_same_models_on_both_databases() {
    let (Some(natural), Some(mixed)) = (real("kindle_reviews.dev.csv"), real("kindle_mixed.dev.csv.gz")) else {
        return;
    };
    let mut outcomes = Vec::new();
    for server in servers().await {
        let version = server.import("kindle", &natural, &Value::Null).await;
        check_counts(&version, 3_908);
        let mut metrics = Vec::new();
        for (task, least) in [("binary", 0.90), ("star", 0.70)] {
            let split = server.split("kindle", &json!({ "task": task })).await;
            let run = server.train(TrainRun::new("kindle", split.id, "logreg")).await;
            assert!(run.metrics["test/roc_auc"] > least, "{task}: {:?}", run.metrics);
            metrics.push(quality(&run));
        }
        check_counts(&server.import("mixed", &mixed, &Value::Null).await, 9_414);
        let split = server.split("mixed", &json!({ "task": "binary" })).await;
        let run = server.train(TrainRun::new("mixed", split.id, "logreg")).await;
        assert!(run.metrics["test/macro_f1"] > 0.90, "{:?}", run.metrics);
        metrics.push(quality(&run));
        outcomes.push(metrics);
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "the databases disagree");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layout_is_read_and_no_row_vanishes() {
    // The file, the options it needs, its rows.
    let files = [
        ("kindle_reviews.dev.csv", json!(null), 3_908),
        ("reviews_Kindle_Store_5.dev.json", json!(null), 3_908),
        ("Kindle_Store_2018_onestar.dev.json", json!(null), 3_637),
        ("kindle_mixed.dev.csv.gz", json!(null), 9_414),
        ("amazon10_reviews.dev.csv.gz", json!({ "text": "text_", "label": "rating" }), 32_282),
        ("multidomain_reviews.dev.jsonl.gz", json!({ "label": "polarity" }), 4_796),
        ("airline_tweets.dev.csv", json!({ "text": "text", "label": "airline_sentiment" }), 7_189),
        (
            "sst2.dev.tsv.gz",
            json!({ "format": "tsv", "quoting": false, "label_map": { "0": "negative", "1": "positive" } }),
            60_614,
        ),
    ];
    let database = tenor_store::testing::databases().await.remove(0);
    let server = Server::start(database, |_| {}).await;
    for (name, options, rows) in files {
        let Some(path) = real(name) else { continue };
        check_counts(&server.import(&name.to_lowercase(), &path, &options).await, rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_known_dirt_of_the_kindle_file_is_found() {
    let (Some(csv), Some(json_lines)) = (real("kindle_reviews.dev.csv"), real("reviews_Kindle_Store_5.dev.json"))
    else {
        return;
    };
    let database = tenor_store::testing::databases().await.remove(0);
    let server = Server::start(database, |_| {}).await;
    for path in [csv, json_lines] {
        let version = server.import("kindle", &path, &Value::Null).await;
        assert_eq!(violations(&version, "missing_text"), 1, "one review has no text");
        assert!(violations(&version, "bad_item_id") > 0, "some ids have 8 characters");
        assert!(violations(&version, "html_entities") > 0);
        assert_eq!(version.outcome.as_ref().unwrap().rows_quarantined, 1);
    }
}
