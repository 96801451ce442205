//! Slices of the test rows, those that were asked for among them, and thresholds.

use serde_json::{Value, json};
use tenor_sdk::types::State;
use tenor_sdk::{Kind, TrainRun};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn slices_are_judged_by_year_and_by_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 2_000, 0.0);
    for server in servers().await {
        let experiments = server.client.experiments();
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let train = || TrainRun::new("e", split.id.clone(), "complement_nb");
        let filters = ["year >= 2012 and text contains \"the\"", "length > 100 and label = \"negative\""];
        let run = server.train(train().slice(filters[0]).slice(filters[1])).await;
        let read = async |name: &str| -> Value {
            serde_json::from_slice(&experiments.read_artifact(&run.id, name).await.unwrap()).unwrap()
        };
        let slices = read("reports/slices.json").await;
        let of = |by: &str| -> Vec<(String, i64)> {
            let all = slices["slices"].as_array().unwrap().iter().filter(|slice| slice["by"] == by);
            all.map(|slice| (slice["name"].as_str().unwrap().to_owned(), slice["rows"].as_i64().unwrap())).collect()
        };
        let rows = slices["overall"]["rows"].as_i64().unwrap();
        assert!(
            of("year").len() > 1 && of("year").iter().map(|(_, count)| count).sum::<i64>() == rows,
            "{:?}",
            of("year")
        );
        assert_eq!(of("filter").iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), filters);
        assert!(of("filter").iter().all(|(_, count)| 0 < *count && *count < rows), "{:?}", of("filter"));

        let thresholds = read("reports/thresholds.json").await;
        for found in thresholds.as_array().unwrap() {
            assert!(found["value"].as_f64() >= found["value_at_half"].as_f64(), "{found}");
            assert!((0.0..=1.0).contains(&found["threshold"].as_f64().unwrap()), "{found}");
        }
        let macro_f1 = thresholds.as_array().unwrap().iter().find(|found| found["metric"] == "macro_f1").unwrap();
        assert_eq!(run.metrics["test/macro_f1_at_threshold"], macro_f1["test_value"].as_f64().unwrap());
        assert!((run.metrics["test/macro_f1"] - macro_f1["test_value_at_half"].as_f64().unwrap()).abs() < 1e-12);

        let error = experiments.train(train().slice("year >> 2012")).await.unwrap_err();
        assert_eq!((error.kind(), error.violations()[0].field.as_str()), (Kind::InvalidArgument, "slices"), "{error}");
        // Which fields there are is known when the rows are.
        let started = experiments.train(train().slice("no_such_field > 1")).await.unwrap();
        let job = server.client.jobs().wait(started.job_id, std::time::Duration::from_secs(60)).await.unwrap();
        let failed = experiments.run(&started.id).await.unwrap();
        assert_eq!(failed.state(), State::Failed, "{job:?}");
        assert!(failed.error.contains("no field `no_such_field`") && failed.error.contains("year"), "{}", failed.error);
        server.stop().await;
    }
}
