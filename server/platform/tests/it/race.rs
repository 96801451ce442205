//! What came in between: PostgreSQL lets two transactions go on side by side until they touch the same row. SQLite has one
//! writer, so there the second one simply sees what the first did.

use bytes::Bytes;
use serde_json::Value;
use tenor_domain::{
    ContractMode, DeploymentId, DeploymentName, DeploymentTarget, Error, ErrorKind, Etag, ExperimentId, ExperimentName,
    ModelVersion, ModelVersionId, Run, RunId, Tags,
};
use tenor_platform::{NewArtifact, NewDeployment, NewExperiment, RunPatch};
use tenor_store::testing::lock_waiters;
use tenor_store::{Tx, deployment, experiment, model, run};

use crate::support::*;

/// Commits `tx` once `call` waits for it.
async fn while_it_waits<T: Send + 'static>(
    bench: &Bench,
    tx: Tx,
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    if !bench.database.is_postgres() {
        tx.commit().await.unwrap();
        return call.await;
    }
    let call = tokio::spawn(call);
    lock_waiters(&bench.database, 1).await.unwrap();
    tx.commit().await.unwrap();
    call.await.unwrap()
}

/// A run like `run` under a new id.
fn another(run: &Run) -> Run {
    Run { id: RunId::new(), etag: Etag(1), ..run.clone() }
}

macro_rules! refused {
    ($bench:expr, $tx:expr, |$platform:ident| $call:expr, $kind:expr, $reason:expr, $says:expr) => {{
        let $platform = $bench.platform.clone();
        let outcome = while_it_waits(&$bench, $tx, async move { $call.await.map(drop) }).await;
        check_error(&outcome.expect_err($bench.database.name), $kind, $reason, $says);
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_experiment_goes_in_between_finds_none() {
    for bench in benches().await {
        bench.experiment("e").await;
        let id = bench.experiments().get("e").await.unwrap().id;
        let mut tx = bench.database.begin_write().await.unwrap();
        assert!(experiment::delete(&mut tx, &id, None).await.unwrap());
        refused!(
            bench,
            tx,
            |platform| platform.runs().create(&anyone(), new_run("r"), None),
            ErrorKind::NotFound,
            "NOT_FOUND",
            "experiment `e` does not exist"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_whose_model_goes_in_between_finds_none() {
    for bench in benches().await {
        let version = bench.version("stars", "1").await;
        let mut tx = bench.database.begin_write().await.unwrap();
        assert!(model::delete(&mut tx, &version.model_id, None).await.unwrap());
        let new = NewDeployment {
            name: DeploymentName::parse("front").unwrap(),
            model: "stars".into(),
            target: DeploymentTarget::Alias(alias("champion")),
            contract_mode: ContractMode::Warn,
        };
        refused!(
            bench,
            tx,
            |platform| platform.deployments().create(&anyone(), new, None),
            ErrorKind::NotFound,
            "NOT_FOUND",
            "model `stars` does not exist"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_whose_run_goes_in_between_finds_none() {
    for bench in benches().await {
        let run = bench.run("r").await;
        let digest = bench.blobs().put_bytes(Bytes::from("x")).await.unwrap();
        let mut tx = bench.database.begin_write().await.unwrap();
        assert!(run::delete(&mut tx, &run.id, None).await.unwrap());
        let new = NewArtifact { name: "a".into(), media_type: String::new(), digest };
        refused!(
            bench,
            tx,
            |platform| platform.runs().add_artifact(&run.id, new, None),
            ErrorKind::NotFound,
            "NOT_FOUND",
            "it may have been deleted"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gains_a_dependant_in_between_is_not_deleted() {
    for bench in benches().await {
        let logged = bench.run("r").await;
        bench.runs().delete(&logged.id, None).await.unwrap();
        let mut tx = bench.database.begin_write().await.unwrap();
        run::insert(&mut tx, &another(&logged)).await.unwrap();
        refused!(
            bench,
            tx,
            |platform| platform.experiments().delete("e", None),
            ErrorKind::FailedPrecondition,
            "EXPERIMENT_NOT_EMPTY",
            "delete them first"
        );

        bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        let mut tx = bench.database.begin_write().await.unwrap();
        run::insert(&mut tx, &Run { split_id: Some(split.id), ..another(&logged) }).await.unwrap();
        refused!(
            bench,
            tx,
            |platform| platform.datasets().delete("kindle", None),
            ErrorKind::FailedPrecondition,
            "DATASET_IN_USE",
            "delete those first"
        );

        let version = bench.version("stars", "1").await;
        let mut tx = bench.database.begin_write().await.unwrap();
        let (id, name) = (DeploymentId::new(), DeploymentName::parse("front").unwrap());
        let target = DeploymentTarget::Alias(alias("champion"));
        deployment::insert(&mut tx, &id, &name, &version.model_id, &target, ContractMode::Warn, START).await.unwrap();
        refused!(
            bench,
            tx,
            |platform| platform.models().delete("stars", None),
            ErrorKind::FailedPrecondition,
            "MODEL_IN_USE",
            "served by a deployment"
        );

        let run = bench.run("model").await;
        let mut tx = bench.database.begin_write().await.unwrap();
        let second = ModelVersion { id: ModelVersionId::new(), number: 2, run_id: run.id.clone(), ..version };
        model::insert_version(&mut tx, &second).await.unwrap();
        refused!(
            bench,
            tx,
            |platform| platform.runs().delete(&run.id, None),
            ErrorKind::FailedPrecondition,
            "RUN_IN_USE",
            "a model version came from run"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_in_between_is_refused_and_one_that_is_given_back_is_free() {
    for bench in benches().await {
        let name = ExperimentName::parse("e").unwrap();
        let new = NewExperiment { name: name.clone(), description: String::new(), tags: Tags::new() };
        let mut tx = bench.database.begin_write().await.unwrap();
        assert!(experiment::insert(&mut tx, &ExperimentId::new(), &name, "", &Tags::new(), START).await.unwrap());
        let asked = new.clone();
        refused!(
            bench,
            tx,
            |platform| platform.experiments().create(&anyone(), asked, None),
            ErrorKind::AlreadyExists,
            "ALREADY_EXISTS",
            "choose another name"
        );
        let id = bench.experiments().get("e").await.unwrap().id;
        let mut tx = bench.database.begin_write().await.unwrap();
        experiment::delete(&mut tx, &id, None).await.unwrap();
        let platform = bench.platform.clone();
        let created =
            while_it_waits(&bench, tx, async move { platform.experiments().create(&anyone(), new, None).await });
        assert_ne!(created.await.unwrap().id, id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_changed_in_between_is_not_overwritten() {
    for bench in benches().await {
        let run = bench.run("r").await;
        let mut tx = bench.database.begin_write().await.unwrap();
        assert!(run::update(&mut tx, &run.id, Some("other"), None, None).await.unwrap());
        let (id, patch) = (run.id.clone(), RunPatch { name: Some("mine".into()), ..RunPatch::default() });
        refused!(
            bench,
            tx,
            |platform| platform.runs().update(&id, patch, Some(run.etag)),
            ErrorKind::Conflict,
            "STALE_ETAG",
            "read it again"
        );
        assert_eq!(bench.runs().get(&run.id).await.unwrap().name, "other");
    }
}
