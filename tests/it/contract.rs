//! A deployment's callers keep the contract that they rely on, until somebody says otherwise.

use std::time::Duration;

use futures::TryStreamExt as _;
use serde_json::json;
use tenor_sdk::types::{JobState, State};
use tenor_sdk::{DeploymentChange, Kind, NewSplit, Target, TrainRun};
use tenor_store::testing::databases;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_other_classes_takes_the_place_of_a_served_one_only_when_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 800, 0.0);
    for server in servers().await {
        let (run, _) = server.serve_reviews(&file, "binary").await;
        let (datasets, experiments) = (server.client.datasets(), server.client.experiments());
        // The split is not there yet when the training is asked for: the job finds out, before it fits anything.
        let split = datasets.create_split(NewSplit::new("reviews").options(&json!({ "task": "star" }))).await.unwrap();
        let train = |split: &str| TrainRun::new("it", split, "logreg").register("reviews");
        let early = experiments.train(train(&split.id).alias("champion")).await;
        match early {
            Ok(early) => {
                let job = server.client.jobs().wait(early.job_id, Duration::from_secs(60)).await.unwrap();
                assert_eq!((job.state(), job.attempt), (JobState::Failed, 1), "{}", job.error);
                assert!(job.error.contains("breaks the feature contract of version 1"), "{}", job.error);
                let run = experiments.run(early.id).await.unwrap();
                assert_eq!((run.state(), run.error), (State::Failed, job.error));
            }
            Err(error) => assert_eq!(error.reason(), "CONTRACT_BREAKING", "the split was fast: {error}"),
        }
        server.succeeded(split.job_id).await;
        let error = experiments.train(train(&split.id).alias("champion")).await.unwrap_err();
        assert_eq!((error.kind(), error.reason()), (Kind::FailedPrecondition, "CONTRACT_BREAKING"));
        let versions: Vec<_> = server.client.models().versions("reviews").try_collect().await.unwrap();
        assert_eq!(versions.len(), 1, "nothing was trained for nothing");

        server.train(train(&split.id)).await;
        let fixed = DeploymentChange::new().target(Target::Version(2));
        let error = server.client.deployments().update("reviews", fixed).await.unwrap_err();
        assert_eq!(error.reason(), "CONTRACT_BREAKING");
        let url = server.url.clone();
        let set = move |more: &[&str]| {
            let line = [&["alias", "set", "reviews", "champion", "2"], more].concat();
            tenor(&url, &line)
        };
        let (refused, allowed) =
            tokio::task::spawn_blocking(move || (set(&[]), set(&["--allow-breaking-contract"]))).await.unwrap();
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains("classes changed from [\"negative\", \"positive\"]"), "{}", refused.stderr);
        assert_eq!(allowed.code, 0, "{}", allowed.stderr);
        assert_eq!(server.loaded("reviews").await.loaded_version, 2);

        // The same split again is the same contract: nothing stands in the way.
        let back = DeploymentChange::new().target(Target::Version(1)).allow_breaking_contract();
        server.client.deployments().update("reviews", back).await.unwrap();
        server.train(train(&run.split_id).alias("champion")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraining_on_more_rows_of_the_same_kind_moves_the_alias_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let more = tempfile::tempdir().unwrap();
    let (file, more) = (reviews(folder.path(), 800, 0.0), reviews(more.path(), 1_100, 0.0));
    for database in databases().await {
        let server = Server::start(database, |_| {}).await;
        let (first, _) = server.serve_reviews(&file, "binary").await;
        server.import("reviews", &more, &json!(null)).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        assert_ne!(split.id, first.split_id);
        server.train(TrainRun::new("it", split.id, "logreg").register("reviews").alias("champion")).await;
        assert_eq!(server.loaded("reviews").await.loaded_version, 2);
    }
}
