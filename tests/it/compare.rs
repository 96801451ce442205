//! Two runs side by side.

use serde_json::{Value, json};
use tenor_sdk::types::{AnswersComparison, CompareRunsResponse};
use tenor_sdk::{CompareRuns, Kind, NewRun, TrainRun};

use crate::support::*;

fn answers(compared: &CompareRunsResponse) -> &AnswersComparison {
    compared.answers.as_ref().unwrap_or_else(|| panic!("no answers: {}", compared.note))
}

#[tokio::test(flavor = "multi_thread")]
async fn compare_of_two_trainings_says_what_differs_and_how_sure_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 1_500, 0.0);
    let mut outcomes = Vec::new();
    for server in servers().await {
        let experiments = server.client.experiments();
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "star" })).await;
        let train = |kind: &str| TrainRun::new("e", split.id.clone(), kind);
        let a = server.train(train("logreg").param("C", 1.0)).await;
        let b = server.train(train("logreg").param("C", 0.001)).await;
        let bayes = server.train(train("complement_nb")).await;

        let found = experiments.compare_runs(CompareRuns::new(&a.id, &b.id).resamples(300)).await.unwrap();
        assert_eq!(found.params.iter().map(|param| param.name.as_str()).collect::<Vec<_>>(), ["C"]);
        let judged = answers(&found);
        let test_rows = split.outcome.as_ref().unwrap().test.as_ref().unwrap().rows;
        assert_eq!((judged.rows, judged.run_rows, judged.other_run_rows), (test_rows, test_rows, test_rows));
        assert_eq!((judged.relabelled_rows, judged.resamples), (0, 300));
        let names: Vec<&str> = judged.scores.iter().map(|score| score.name.as_str()).collect();
        assert_eq!(names, ["accuracy", "macro_f1", "log_loss", "roc_auc"]);
        for score in &judged.scores {
            let logged = a.metrics[&format!("test/{}", score.name)];
            assert!((score.value.unwrap() - logged).abs() < 1e-12, "{score:?} but {logged}");
            assert!(score.low <= score.difference && score.difference <= score.high, "{score:?}");
        }
        let by_metric = found.metrics.iter().find(|metric| metric.key == "test/log_loss").unwrap();
        assert_eq!(by_metric.difference, Some(b.metrics["test/log_loss"] - a.metrics["test/log_loss"]));
        let again = experiments.compare_runs(CompareRuns::new(&a.id, &b.id).resamples(300)).await.unwrap();
        assert_eq!(answers(&again), judged, "the same seed gives the same numbers");

        let other = experiments.compare(&a.id, &bayes.id).await.unwrap();
        let judged = answers(&other);
        assert!(judged.flipped_rows > 0 && judged.flips.len() <= 20, "{judged:?}");
        assert!(other.params.iter().any(|param| param.value.is_none()), "{:?}", other.params);

        let same = experiments.compare(&a.id, &a.id).await.unwrap();
        let judged = answers(&same);
        assert_eq!((judged.mcnemar.as_ref().unwrap().p, judged.flipped_rows, same.params.len()), (1.0, 0, 0));
        assert!(judged.scores.iter().all(|score| score.p == Some(1.0) && score.difference == Some(0.0)));

        let (url, ids) = (server.url.clone(), (a.id.clone(), bayes.id.clone()));
        let (shown, as_json, wrong) = tokio::task::spawn_blocking(move || {
            let run = |more: &[&str]| tenor(&url, &[&["run", "compare", &ids.0, &ids.1][..], more].concat());
            (run(&["--flips", "3"]), run(&["--output", "json", "--resamples", "100"]), run(&["--flips", "-1"]))
        })
        .await
        .unwrap();
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        for part in ["BETTER", "95 % INTERVAL", "McNemar p = ", "complement_nb", "3 of ", "common test rows"] {
            assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
        }
        assert!(!shown.stdout.contains('\u{1b}'));
        let value: Value = serde_json::from_str(&as_json.stdout).unwrap();
        assert_eq!((&value["answers"]["resamples"], value["answers"]["rows"].as_i64()), (&json!(100), Some(test_rows)));
        assert_eq!(wrong.code, 2);
        let outcome = (answers(&found).scores.clone(), answers(&other).mcnemar, answers(&other).flips.clone());
        outcomes.push(outcome);
        server.stop().await;
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "the databases disagree");
}

#[tokio::test(flavor = "multi_thread")]
async fn compare_across_splits_looks_at_the_common_rows_and_says_why_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 1_500, 0.0);
    for server in servers().await {
        let experiments = server.client.experiments();
        server.import("reviews", &file, &Value::Null).await;
        let mut runs = Vec::new();
        for options in
            [json!({ "task": "binary", "seed": 1 }), json!({ "task": "binary", "seed": 2 }), json!({ "task": "star" })]
        {
            let split = server.split("reviews", &options).await;
            runs.push(server.train(TrainRun::new("e", split.id, "complement_nb")).await);
        }
        let found = experiments.compare(&runs[0].id, &runs[1].id).await.unwrap();
        let judged = answers(&found);
        assert!(0 < judged.rows && judged.rows < judged.run_rows.min(judged.other_run_rows), "{judged:?}");

        let refused = |first: &str, second: &str| experiments.compare(first.to_owned(), second.to_owned());
        let error = refused(&runs[0].id, &runs[2].id).await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::FailedPrecondition, "RUNS_NOT_COMPARABLE"), "{error}");

        let outside = experiments.create_run(NewRun::new("e")).await.unwrap().id;
        let found = refused(&runs[0].id, &outside).await.unwrap();
        assert!(found.answers.is_none() && found.note.contains(&outside), "{}", found.note);
        let file = folder.path().join("wrong");
        std::fs::write(&file, b"no such thing").unwrap();
        let wrong = tenor_sdk::NewArtifact::new(&outside, "predictions/test.safetensors");
        experiments.upload_artifact(wrong, &file, |_| {}).await.unwrap();
        let error = refused(&runs[0].id, &outside).await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::FailedPrecondition, "BROKEN_PREDICTIONS"), "{error}");

        let unknown = tenor_domain::RunId::new().to_string();
        assert_eq!(refused(&runs[0].id, &unknown).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(refused(&runs[0].id, "x").await.unwrap_err().violations()[0].field, "other_run_id");
        for (wrong, field) in [
            (CompareRuns::new(&runs[0].id, &runs[1].id).resamples(-1), "resamples"),
            (CompareRuns::new(&runs[0].id, &runs[1].id).resamples(10_001), "resamples"),
            (CompareRuns::new(&runs[0].id, &runs[1].id).max_flips(1_001), "max_flips"),
        ] {
            assert_eq!(experiments.compare_runs(wrong).await.unwrap_err().violations()[0].field, field);
        }
        server.stop().await;
    }
}
