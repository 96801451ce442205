//! What jobs of a study go through: fits that end in the middle, cancelled jobs, killed workers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tenor_sdk::NewStudy;
use tenor_sdk::types::param_value::Value as Of;
use tenor_sdk::types::{Direction, JobState, ParamValue, StudyState, StudyTraining, TrialState};
use tenor_store::testing::databases;

use crate::study::{budget, ended, training, trials};
use crate::support::*;

fn point(name: &str, value: Of) -> BTreeMap<String, ParamValue> {
    BTreeMap::from([(name.to_owned(), ParamValue { value: Some(value) })])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fit_that_goes_badly_ends_in_its_middle() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let space = json!([{ "name": "learning_rate", "type": "float", "low": 1e-4, "high": 0.5, "log": true }]);
        let params = json!({ "max_iter": 30, "early_stopping": false });
        let mut study = NewStudy::new("live").space(&space).maximize("macro_f1").budget(budget(4));
        study = study.pruner("median", &json!({ "startup_trials": 3 })).prune_by("val/loss", Direction::Minimize);
        for rate in [0.1, 0.11, 0.12, 1e-3] {
            study = study.initial(point("learning_rate", Of::FloatValue(rate)));
        }
        let hist_gb = StudyTraining {
            kind: "hist_gb".to_owned(),
            params_json: params.to_string(),
            parallel: 1,
            ..training(&split.id)
        };
        server.client.studies().create(study.training(hist_gb)).await.unwrap();
        let study = ended(&server.client, "live").await;
        assert_eq!(study.state(), StudyState::Completed, "{}", study.error);
        let trials = trials(&server.client, "live").await;
        for trial in &trials[..3] {
            assert_eq!((trial.state(), trial.reports.len()), (TrialState::Complete, 30), "{trial:?}");
        }
        let bad = &trials[3];
        assert_eq!(bad.state(), TrialState::Pruned, "{bad:?}");
        assert!(bad.reports.len() < 30 && bad.reports.last().unwrap().prune, "{bad:?}");
        // What the fit told until then is kept; there was no model to judge.
        assert!(bad.metrics.contains_key("val/loss") && !bad.metrics.contains_key("macro_f1"), "{bad:?}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_of_one_trial_can_be_cancelled_and_the_study_goes_on() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let space = json!([{ "name": "max_iter", "type": "int", "low": 1, "high": 100_000 }]);
        let mut study = NewStudy::new("s").space(&space).maximize("macro_f1").budget(budget(3));
        for epochs in [100_000, 2, 3] {
            study = study.initial(point("max_iter", Of::IntValue(epochs)));
        }
        let params = json!({ "n_iter_no_change": 100_000 }).to_string();
        let mlp = StudyTraining { kind: "mlp".into(), params_json: params, parallel: 1, ..training(&split.id) };
        let created = server.client.studies().create(study.training(mlp)).await.unwrap();
        let (studies, jobs) = (server.client.studies(), server.client.jobs());
        while studies.trial("s", 0).await.unwrap().state() != TrialState::Running {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        jobs.cancel(created.job_ids[0]).await.unwrap();
        let study = ended(&server.client, "s").await;
        assert_eq!((study.state(), study.best_trial.is_some()), (StudyState::Completed, true), "{}", study.error);
        let states: Vec<TrialState> = trials(&server.client, "s").await.iter().map(|trial| trial.state()).collect();
        assert_eq!(states, [TrialState::Failed, TrialState::Complete, TrialState::Complete]);
        assert_eq!(jobs.get(created.job_ids[0]).await.unwrap().state(), JobState::Cancelled);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_trial_goes_on_after_its_last_fold() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 1_500, 0.0);
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let api = ServerProcess::start_role("api", folder.path(), &database.url, &QUICK).await;
        let worker = ServerProcess::start_role("worker", folder.path(), &database.url, &QUICK).await;
        let split = api.split(&file, "binary").await;
        let space = json!([{ "name": "learning_rate_init", "type": "float", "low": 1e-4, "high": 1e-2, "log": true }]);
        let study = NewStudy::new("s").space(&space).minimize("log_loss").budget(budget(2));
        let study = study.prune_by("fit_seconds", Direction::Minimize);
        let params = json!({ "max_iter": 60, "n_iter_no_change": 60 }).to_string();
        let mlp =
            StudyTraining { kind: "mlp".into(), params_json: params, folds: 8, parallel: 1, ..training(&split.id) };
        api.client.studies().create(study.training(mlp)).await.unwrap();
        let told = async || match api.client.studies().trial("s", 0).await {
            Ok(trial) => trial.reports.len(),
            Err(_) => 0,
        };
        while told().await < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        worker.signal("-KILL");
        let known = told().await;
        assert!(known < 8, "it was too fast to be killed half-way");
        let worker = ServerProcess::start_role("worker", folder.path(), &database.url, &QUICK).await;
        let study = ended(&api.client, "s").await;
        assert_eq!((study.state(), study.trial_count), (StudyState::Completed, 2), "{} {}", study.error, worker.log());
        let trials = trials(&api.client, "s").await;
        for trial in &trials {
            let steps: Vec<i64> = trial.reports.iter().map(|report| report.step).collect();
            assert_eq!((trial.state(), steps), (TrialState::Complete, (1..=8).collect()), "{trial:?}");
        }
        // No fold was fitted again: its time is the one that was reported then.
        let seconds: f64 = trials[0].reports.iter().map(|report| report.values[0]).sum();
        assert!((seconds - trials[0].metrics["fit_seconds"]).abs() < 1e-9, "{:?}", trials[0]);
        assert_eq!(worker.log().matches("goes on from a checkpoint").count(), 1, "{}", worker.log());
    }
}
