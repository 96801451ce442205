//! Studies: through the jobs of the server, and by clients that ask and tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt as _;
use serde_json::{Value, json};
use tenor_sdk::types::{Budget, Direction, JobState, State, Study, StudyState, StudyTraining, Trial, TrialState};
use tenor_sdk::{Kind, NewStudy, TrialQuery, is_over};
use tenor_store::testing::databases;

use crate::support::*;

pub fn budget(max_trials: i32) -> Budget {
    Budget { max_trials, ..Budget::default() }
}

pub fn training(split: &str) -> StudyTraining {
    StudyTraining { split_id: split.to_owned(), parallel: 2, ..StudyTraining::default() }
}

/// Waits for the end of a study.
pub async fn ended(client: &tenor_sdk::Client, name: &str) -> Study {
    let studies = client.studies();
    let study = tokio::time::timeout(Duration::from_secs(300), studies.follow(name, |_| {}));
    study.await.expect("the study ends").unwrap()
}

pub async fn trials(client: &tenor_sdk::Client, name: &str) -> Vec<Trial> {
    client.studies().trials(name, TrialQuery::new()).try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_of_trainings_searches_refits_and_registers() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 900, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let study = NewStudy::new("search")
            .kinds(["logreg", "complement_nb"])
            .maximize("macro_f1")
            .minimize("latency_us")
            .at_most("model_bytes", 1e9)
            .budget(budget(10))
            .training(StudyTraining {
                refit: true,
                register_model: "reviews".to_owned(),
                aliases: vec!["champion".to_owned()],
                ..training(&split.id)
            });
        let created = server.client.studies().create(study).await.unwrap();
        assert_eq!((created.state(), created.job_ids.len()), (StudyState::Active, 2));
        let study = ended(&server.client, "search").await;
        assert_eq!((study.state(), study.trial_count), (StudyState::Completed, 10), "{}", study.error);
        let trials = trials(&server.client, "search").await;
        assert_eq!(trials.len(), 10);
        assert!(trials.iter().all(|trial| trial.state() == TrialState::Complete), "{trials:?}");
        let kinds: BTreeSet<String> = trials.iter().map(|it| format!("{:?}", it.params["kind"])).collect();
        assert_eq!(kinds.len(), 2, "the defaults of both kinds are tried");
        assert_eq!(trials.iter().filter(|trial| trial.origin == "default").count(), 2);
        for trial in &trials {
            let metric = |name: &str| trial.metrics[name];
            assert!((0.0..=1.0).contains(&metric("macro_f1")) && metric("latency_us") > 0.0);
            assert!(metric("latency_us_p95") >= metric("latency_us"), "{trial:?}");
            assert!(metric("latency_us_mad") >= 0.0 && metric("latency_us_n") >= 500.0, "{trial:?}");
            assert!(metric("model_bytes") > 100.0 && metric("nonzero_params") > 0.0);
        }

        let best = &trials[usize::try_from(study.best_trial.unwrap()).unwrap()];
        let most = trials.iter().map(|trial| trial.metrics["macro_f1"]).fold(0.0, f64::max);
        assert_eq!(best.metrics["macro_f1"], most);
        assert!(study.best_reason.contains("best"), "{}", study.best_reason);
        let run = server.client.experiments().run(study.best_run_id.clone()).await.unwrap();
        server.succeeded(run.job_id).await;
        let run = server.client.experiments().run(study.best_run_id).await.unwrap();
        assert_eq!((run.state(), run.tags["study"].as_str()), (State::Succeeded, "search"));
        assert!(run.metrics.contains_key("test/macro_f1") && !run.metrics.contains_key("val/macro_f1"));
        let version = server.client.models().version("reviews", "champion").await.unwrap();
        assert_eq!(version.run_id, run.id);

        let again = server.client.studies().refit_best("search", None).await.unwrap();
        assert_eq!(again.trial.unwrap().number, best.number);
        let run = server.client.experiments().run(again.run_id.clone()).await.unwrap();
        server.succeeded(run.job_id).await;
        let remembered = server.client.studies().get("search").await.unwrap();
        assert!(run.id != version.run_id && remembered.best_run_id == run.id);

        let front = server.client.studies().pareto_front("search").await.unwrap();
        let dominated = |a: &Trial, b: &Trial| {
            let of = |trial: &Trial| (-trial.metrics["macro_f1"], trial.metrics["latency_us"]);
            let (a, b) = (of(a), of(b));
            b.0 <= a.0 && b.1 <= a.1 && b != a
        };
        let by_hand: Vec<i64> = trials
            .iter()
            .filter(|trial| !trials.iter().any(|other| dominated(trial, other)))
            .map(|trial| trial.number)
            .collect();
        assert_eq!(front.iter().map(|trial| trial.number).collect::<Vec<_>>(), by_hand);
        let importance = server.client.studies().importance("search", "macro_f1").await.unwrap();
        let sum: f64 = importance.params.iter().map(|param| param.share).sum();
        assert!((sum - 1.0).abs() < 1e-9 || sum == 0.0, "{importance:?}");
        let page = server.client.studies().report_page("search").await.unwrap();
        assert!(page.contains("<svg") && page.contains("macro_f1"));
        server.stop().await;
    }
}

/// The command ends when the winner's refit has ended, and prints one value.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_runs_a_study_by_a_gaussian_process_and_waits_for_the_refit() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 400, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        server.split("reviews", &json!({ "task": "binary" })).await;
        let url = server.url.clone();
        let line = "study run search --dataset reviews --kind complement_nb --objective macro_f1 --sampler gp --trials 14 --refit";
        let args: Vec<&str> = line.split(' ').chain(["--output", "json"]).collect();
        let done = tokio::task::spawn_blocking(move || tenor(&url, &args)).await.unwrap();
        assert_eq!(done.code, 0, "{}", done.stderr);
        let printed: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((&printed["state"], &printed["trial_count"]), (&json!("completed"), &json!(14)));
        let run = server.client.experiments().run(printed["best_run_id"].as_str().unwrap()).await.unwrap();
        assert_eq!(run.state(), State::Succeeded);
        let trials = trials(&server.client, "search").await;
        assert_eq!(trials.iter().filter(|trial| trial.origin == "gp").count(), 13, "all but the default");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_over_folds_are_pruned_and_a_wrong_parameter_is_refused_before_it_costs() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let space = json!([{ "name": "C", "type": "float", "low": 1e-6, "high": 100.0, "log": true }]);
        let study = |name: &str| NewStudy::new(name).space(&space).minimize("log_loss").budget(budget(14));
        let training = StudyTraining { kind: "logreg".into(), folds: 4, ..training(&split.id) };
        let folded = study("folds")
            .sampler("quasi_random")
            .pruner("median", &json!({ "startup_trials": 3 }))
            .training(training.clone());
        server.client.studies().create(folded).await.unwrap();
        let ended = ended(&server.client, "folds").await;
        assert_eq!(ended.state(), StudyState::Completed, "{}", ended.error);
        let trials = trials(&server.client, "folds").await;
        let (mut pruned, mut complete) = (0, 0);
        for trial in &trials {
            match trial.state() {
                TrialState::Complete => {
                    complete += 1;
                    assert_eq!(trial.reports.len(), 4);
                    let mean = trial.reports.iter().map(|report| report.values[0]).sum::<f64>() / 4.0;
                    assert!((mean - trial.metrics["log_loss"]).abs() < 1e-9);
                    assert!(trial.metrics.contains_key("log_loss_se"));
                    // The study does not look at the latency, so no row is answered more than once for it.
                    assert!((1.0..=600.0).contains(&trial.metrics["latency_us_n"]), "{trial:?}");
                }
                TrialState::Pruned => {
                    pruned += 1;
                    let last = trial.reports.last().unwrap();
                    assert!(trial.reports.len() < 4 && last.prune, "{trial:?}");
                }
                state => panic!("{state:?}: {}", trial.error),
            }
        }
        assert!(pruned >= 2 && complete >= 4, "{pruned} pruned, {complete} complete");
        let hits: f64 = trials.iter().filter_map(|trial| trial.metrics.get("feature_block_hits")).sum();
        assert!(hits >= 12.0, "trials share the features of a fold: {hits} hits");

        // One choice of many is wrong.
        let choices: Vec<i64> = (1..200).map(|at| if at == 150 { -1 } else { at }).collect();
        let wrong = |space: Value| NewStudy::new("w").space(&space).maximize("macro_f1").training(training.clone());
        for (space, says) in [
            (json!([{ "name": "c", "type": "float", "low": 1.0, "high": 2.0 }]), "is no parameter"),
            (json!([{ "name": "C", "type": "float", "low": -1.0, "high": 2.0 }]), "C"),
            (json!([{ "name": "max_iter", "type": "int", "low": 0, "high": 100_000 }]), "max_iter"),
            (json!([{ "name": "C", "type": "categorical", "choices": choices }]), "C"),
            (json!([{ "name": "C", "type": "float", "lo": 1.0, "high": 2.0 }]), "has the member `lo`"),
            (json!({ "name": "C" }), "JSON list"),
        ] {
            let error = server.client.studies().create(wrong(space)).await.unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.to_string().contains(says), "{error}");
        }
        let weights = json!([{ "name": "class_weight", "type": "categorical", "choices": [null, "balanced"] }]);
        server.client.studies().create(wrong(weights).validate_only()).await.unwrap();
        let given = StudyTraining { params_json: json!({ "C": 2.5 }).to_string(), ..training.clone() };
        for name in ["C", "logreg.C"] {
            let space = json!([{ "name": name, "type": "float", "low": 1.0, "high": 2.0 }]);
            let twice = NewStudy::new("w").space(&space).maximize("macro_f1").training(given.clone());
            let error = server.client.studies().create(twice).await.unwrap_err();
            assert!(error.to_string().contains("`training.params.C` is searched too"), "{error}");
        }
        let holdout = StudyTraining { folds: 0, ..training.clone() };
        let live = NewStudy::new("w").space(&space).maximize("macro_f1").training(holdout);
        let error = server.client.studies().create(live.clone().pruner("median", &Value::Null)).await.unwrap_err();
        assert!(error.to_string().contains("needs folds"), "{error}");
        let live = |metric| live.clone().pruner("median", &Value::Null).prune_by(metric, Direction::Minimize);
        for typo in ["train/los", "val/loss"] {
            let error = server.client.studies().create(live(typo)).await.unwrap_err();
            assert!(
                error.to_string().contains("`pruner.metrics[0]` is `") && error.to_string().contains("train/loss"),
                "{error}"
            );
        }
        server.client.studies().create(live("train/loss").validate_only()).await.unwrap();
        let norm = json!([{ "name": "norm", "type": "categorical", "choices": [false, true] }]);
        let training = StudyTraining { kind: "complement_nb".into(), folds: 0, ..training.clone() };
        let grid = NewStudy::new("grid").space(&norm).maximize("macro_f1").sampler("grid").budget(budget(50));
        server.client.studies().create(grid.training(training.clone())).await.unwrap();
        let grid = self::ended(&server.client, "grid").await;
        assert_eq!((grid.state(), grid.trial_count), (StudyState::Completed, 2), "{}", grid.error);
        let told = server.client.studies().complete("grid", 0, "job-1", BTreeMap::new()).await.unwrap_err();
        assert_eq!(told.reason(), "STUDY_HAS_JOBS");

        // Two classes have no distance in stars.
        for metric in ["happiness", "f1/negativ", "mae"] {
            let unmeasured = NewStudy::new("w").space(&space).maximize(metric).training(training.clone());
            let error = server.client.studies().create(unmeasured).await.unwrap_err();
            assert!(error.to_string().contains(&format!("is `{metric}`, which trials do not measure")), "{error}");
        }
        let of_class = NewStudy::new("w").space(&norm).maximize("f1/negative").training(training.clone());
        server.client.studies().create(of_class.validate_only()).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_study_cancels_its_trials_and_a_paused_one_goes_on() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &Value::Null).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let study = |name: &str, trials| {
            let new = NewStudy::new(name).kinds(["logreg"]).maximize("macro_f1").budget(budget(trials));
            new.training(training(&split.id))
        };
        let studies = server.client.studies();
        // What is given for all trials is not searched, neither of one kind nor of several.
        for kinds in [&["logreg"][..], &["logreg", "nbsvm"]] {
            let name = format!("given-{}", kinds.len());
            let given = StudyTraining { params_json: json!({ "C": 2.5 }).to_string(), ..training(&split.id) };
            let new = NewStudy::new(&name)
                .kinds(kinds.iter().copied())
                .maximize("macro_f1")
                .budget(budget(3))
                .training(given);
            studies.create(new).await.unwrap();
            let ended = ended(&server.client, &name).await;
            assert_eq!(ended.state(), StudyState::Completed, "{}", ended.error);
            let names: BTreeSet<String> =
                trials(&server.client, &name).await.into_iter().flat_map(|trial| trial.params.into_keys()).collect();
            assert!(names.iter().any(|name| name.ends_with("numeric_weight")), "{names:?}");
            assert!(!names.iter().any(|name| name == "C" || name.ends_with(".C")), "{names:?}");
        }
        studies.create(study("pause", 12)).await.unwrap();
        studies.pause("pause").await.unwrap();
        let quiet = loop {
            let found = studies.get("pause").await.unwrap();
            if found.job_ids.is_empty() {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(quiet.trial_count < 12, "{}", quiet.trial_count);
        studies.resume("pause").await.unwrap();
        let done = ended(&server.client, "pause").await;
        assert_eq!((done.state(), done.trial_count), (StudyState::Completed, 12));

        let created = studies.create(study("stop", 10_000)).await.unwrap();
        studies.stop("stop").await.unwrap();
        let done = ended(&server.client, "stop").await;
        assert_eq!(done.state(), StudyState::Stopped);
        for job in created.job_ids {
            let job = server.client.jobs().wait(job, Duration::from_secs(20)).await.unwrap();
            assert!(matches!(job.state(), JobState::Cancelled | JobState::Succeeded), "{job:?}");
        }
        let live = trials(&server.client, "stop").await;
        assert!(live.iter().all(|it| !matches!(it.state(), TrialState::Waiting | TrialState::Running)), "{live:?}");
        studies.delete("stop", "").await.unwrap();
        assert_eq!(studies.get("stop").await.unwrap_err().kind(), Kind::NotFound);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_servers_and_workers_end_in_exactly_the_trials_of_the_budget() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 1_500, 0.0);
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let mut server = ServerProcess::start(folder.path(), &database.url, &QUICK).await;
        let split = server.split(&file, "binary").await;
        // Created before its split is there: the trials wait for it.
        let study = NewStudy::new("s").kinds(["logreg"]).maximize("macro_f1").budget(budget(30));
        server.client.studies().create(study.training(training(&split.id))).await.unwrap();
        for seen in [3, 9, 15] {
            while server.client.studies().get("s").await.unwrap().trial_count < seen {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            server.signal("-KILL");
            server = ServerProcess::start(folder.path(), &database.url, &QUICK).await;
        }
        let study = ended(&server.client, "s").await;
        assert_eq!((study.state(), study.trial_count), (StudyState::Completed, 30), "{} {}", study.error, server.log());
        let trials = trials(&server.client, "s").await;
        assert_eq!(trials.iter().map(|trial| trial.number).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
        assert!(trials.iter().all(|trial| trial.state() == TrialState::Complete), "{trials:?}");
        let jobs: BTreeSet<i64> = trials.iter().map(|trial| trial.job_id).collect();
        assert_eq!(jobs.len(), 30, "no job ran two trials");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_ask_and_tell_and_a_watcher_sees_it() {
    for server in servers().await {
        let studies = server.client.studies();
        let space = json!([{ "name": "x", "type": "float", "low": -1.0, "high": 1.0 }]);
        let new = NewStudy::new("outside").space(&space).minimize("loss").budget(budget(5));
        let new = new.pruner("median", &Value::Null).prune_by("loss", Direction::Minimize);
        studies.create(new).await.unwrap();
        let watched = tokio::spawn({
            let studies = studies.clone();
            async move { studies.watch("outside", 0).try_collect::<Vec<_>>().await }
        });
        for _ in 0..5 {
            let asked = studies.suggest("outside", "client").await.unwrap();
            let trial = asked.trial.unwrap();
            let metrics = BTreeMap::from([("loss".to_owned(), 0.5)]);
            let told = studies.report("outside", trial.number, "client", 1, metrics.clone()).await.unwrap();
            assert!(!told.prune, "{}", told.reason);
            studies.heartbeat("outside", trial.number, "client").await.unwrap();
            studies.complete("outside", trial.number, "client", metrics).await.unwrap();
        }
        assert!(is_over(studies.get("outside").await.unwrap().state()));
        let changes = tokio::time::timeout(Duration::from_secs(20), watched).await.unwrap().unwrap().unwrap();
        let complete: BTreeSet<i64> = changes
            .iter()
            .filter_map(|change| change.trial.as_ref())
            .filter(|trial| trial.state() == TrialState::Complete)
            .map(|trial| trial.number)
            .collect();
        assert_eq!(complete, (0..5).collect());
        assert!(changes.windows(2).all(|pair| pair[0].revision < pair[1].revision));
        assert_eq!(changes.last().unwrap().study.as_ref().unwrap().state(), StudyState::Completed);
        // Who saw the half of it is told the other half.
        let seen = changes[changes.len() / 2].revision;
        let rest: Vec<_> = studies.watch("outside", seen).try_collect().await.unwrap();
        assert!(!rest.is_empty() && rest.iter().all(|change| change.revision > seen));
        assert_eq!(rest.last().unwrap().revision, changes.last().unwrap().revision);
        let error = studies.suggest("outside", "client").await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::FailedPrecondition, "STUDY_NOT_ACTIVE"));
        server.stop().await;
    }
}
