//! NUL, which PostgreSQL cannot store: every text that a client can write is refused with the name of its field, or finds
//! nothing, on both databases alike.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenor_domain::{
    ContractMode, DeploymentName, DeploymentTarget, Error, ErrorKind, ExperimentName, Metric, ModelName, PageRequest,
    ParamValue, Tags,
};
use tenor_platform::{
    AliasMove, DatasetPatch, DeploymentPatch, ExperimentPatch, ImportRequest, JobFilter, ModelPatch, NewArtifact,
    NewDeployment, NewExperiment, NewModel, NewRun, RunPatch, SearchRuns, TrainSpec,
};

use crate::support::*;

const NUL: &str = "a\0b";

fn refused<T>(result: Result<T, Error>, field: &str, call: &str) {
    let Err(error) = result else { panic!("{call} was let through") };
    assert_eq!(error.kind, ErrorKind::InvalidArgument, "{call}: {error:?}");
    assert_eq!(error.violations[0].field, field, "{call}");
    assert!(!error.message.contains('\0'), "{call}: {}", error.message.escape_debug());
}

fn not_found<T>(result: Result<T, Error>, call: &str) {
    let Err(error) = result else { panic!("{call} found something") };
    assert_eq!(error.kind, ErrorKind::NotFound, "{call}: {error:?}");
    assert!(!error.message.contains('\0'), "{call}: {}", error.message.escape_debug());
}

#[tokio::test]
async fn nul_is_refused_in_whatever_is_created() {
    for bench in benches().await {
        let nul_tags = || tags(&[("k", NUL)]);
        for (tags, description, field) in
            [(nul_tags(), "", "tags"), (tags(&[(NUL, "")]), "", "tags"), (Tags::new(), NUL, "description")]
        {
            let description = description.to_owned();
            let name = ExperimentName::parse("e").unwrap();
            let new = NewExperiment { name, description: description.clone(), tags: tags.clone() };
            refused(bench.experiments().create(&anyone(), new, key()).await, field, "experiment");
            let name = ModelName::parse("m").unwrap();
            let new = NewModel { name, description: description.clone(), tags: tags.clone() };
            refused(bench.models().create(&anyone(), new, key()).await, field, "model");
            let new = tenor_platform::NewDataset { name: name_of_dataset(), description, tags };
            refused(bench.datasets().create(&anyone(), new, key(), false).await, field, "dataset");
        }
        bench.experiment("e").await;
        let text = |text: &str| BTreeMap::from([("p".to_owned(), ParamValue::Text(text.into()))]);
        for (new, field) in [
            (new_run(NUL), "name"),
            (NewRun { note: NUL.into(), ..new_run("r") }, "note"),
            (NewRun { tags: nul_tags(), ..new_run("r") }, "tags"),
            (NewRun { params: text(NUL), ..new_run("r") }, "params"),
            (NewRun { params: [(NUL.to_owned(), ParamValue::Int(1))].into(), ..new_run("r") }, "params"),
        ] {
            refused(bench.runs().create(&anyone(), new, key()).await, field, "run");
        }
        not_found(
            bench.runs().create(&anyone(), NewRun { experiment: NUL.into(), ..new_run("r") }, key()).await,
            "run",
        );
        refused(bench.uploads().start(&anyone(), NUL, None, None).await, "file_name", "upload");

        bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        for (spec, field) in [
            (TrainSpec { name: NUL.into(), ..train_spec(&split) }, "name"),
            (TrainSpec { kind: NUL.into(), ..train_spec(&split) }, "kind"),
            (TrainSpec { tags: nul_tags(), ..train_spec(&split) }, "tags"),
            (TrainSpec { params: json!({ "solver": NUL }), ..train_spec(&split) }, "params"),
            (TrainSpec { params: json!({ NUL: 1 }), ..train_spec(&split) }, "params"),
        ] {
            refused(bench.runs().train(&anyone(), spec, key()).await, field, "training");
        }
        bench.version("stars", "1").await;
        let target = || DeploymentTarget::Alias(alias("champion"));
        let name = DeploymentName::parse("front").unwrap();
        let new = NewDeployment { name, model: NUL.into(), target: target(), contract_mode: ContractMode::Warn };
        not_found(bench.deployments().create(&anyone(), new, key()).await, "deployment");
        let upload_id = bench.upload("y").await;
        let import = ImportRequest { dataset: NUL.into(), create_dataset: true, upload_id, options: Value::Null };
        refused(bench.datasets().import(&anyone(), import, key()).await, "dataset", "import");
    }
}

fn name_of_dataset() -> tenor_domain::DatasetName {
    name("d")
}

#[tokio::test]
async fn nul_is_refused_in_whatever_is_changed_or_logged() {
    for bench in benches().await {
        let run = bench.run("r").await;
        bench.version("stars", "1").await;
        bench.import("kindle", "x", Value::Null).await;
        let nul = || Some(NUL.to_owned());
        let nul_tags = || Some(tags(&[("k", NUL)]));
        let description = ExperimentPatch { description: nul(), tags: None };
        refused(bench.experiments().update("e", description, None).await, "description", "experiment");
        let changed = ExperimentPatch { description: None, tags: nul_tags() };
        refused(bench.experiments().update("e", changed, None).await, "tags", "experiment");
        let changed = ModelPatch { description: nul(), tags: None };
        refused(bench.models().update("stars", changed, None).await, "description", "model");
        let changed = DatasetPatch { description: nul(), tags: None };
        refused(bench.datasets().update("kindle", changed, None).await, "description", "dataset");
        for (patch, field) in [
            (RunPatch { name: nul(), ..RunPatch::default() }, "name"),
            (RunPatch { note: nul(), ..RunPatch::default() }, "note"),
            (RunPatch { error: nul(), ..RunPatch::default() }, "error"),
            (RunPatch { tags: nul_tags(), ..RunPatch::default() }, "tags"),
        ] {
            refused(bench.runs().update(&run.id, patch, None).await, field, "run");
        }
        let why = bench
            .models()
            .set_alias(&anyone(), "stars", &alias("champion"), AliasMove { why: NUL, ..AliasMove::to(1) })
            .await;
        refused(why, "why", "alias");
        let why = bench.models().delete_alias(&anyone(), "stars", &alias("champion"), None, NUL).await;
        refused(why, "why", "alias");
        let name = ModelName::parse("stars").unwrap();
        let described = bench.models().register_run(&anyone(), &name, &run.id, NUL, None).await;
        refused(described, "description", "version");

        let runs = bench.runs();
        let params = BTreeMap::from([("p".to_owned(), ParamValue::Text(NUL.into()))]);
        refused(runs.log_params(&run.id, params, None).await, "params", "params");
        let point = Metric { key: NUL.into(), value: 1.0, step: 0, at: START };
        refused(runs.log_metrics(&anyone(), &run.id, vec![point], key(), None).await, "metrics", "metrics");
        refused(runs.set_tags(&run.id, &tags(&[("k", NUL)]), None).await, "tags", "tags");
        let digest = bench.blobs().put_bytes(bytes::Bytes::from("x")).await.unwrap();
        let artifact = |name: &str, kind: &str| NewArtifact { name: name.into(), media_type: kind.into(), digest };
        refused(runs.add_artifact(&run.id, artifact(NUL, ""), None).await, "name", "artifact");
        refused(runs.add_artifact(&run.id, artifact("a", NUL), None).await, "media_type", "artifact");
        assert_eq!(runs.get(&run.id).await.unwrap(), run, "nothing was changed");
    }
}

#[tokio::test]
async fn nul_in_a_question_finds_nothing_or_is_refused() {
    for bench in benches().await {
        let run = bench.run("r").await;
        bench.version("stars", "1").await;
        let first = || PageRequest::first(0);
        not_found(bench.datasets().get(NUL).await, "dataset");
        not_found(bench.experiments().get(NUL).await, "experiment");
        not_found(bench.models().get(NUL).await, "model");
        not_found(bench.deployments().get(NUL).await, "deployment");
        not_found(bench.deployments().update(NUL, DeploymentPatch::default(), None).await, "deployment");
        not_found(bench.datasets().delete(NUL, None).await, "dataset");
        refused(bench.models().get_version("stars", NUL).await, "alias", "version");
        refused(bench.datasets().list(first(), Some(NUL)).await, "name_prefix", "datasets");
        refused(bench.experiments().list(first(), Some(NUL)).await, "name_prefix", "experiments");
        refused(bench.models().list(first(), Some(NUL)).await, "name_prefix", "models");
        let kind = JobFilter { kind: Some(NUL.into()), states: Vec::new() };
        refused(bench.jobs().list(kind, first()).await, "kind", "jobs");
        refused(bench.runs().metric_history(&run.id, NUL, first()).await, "key", "metric");
        refused(bench.runs().get_artifact(&run.id, NUL).await, "name", "artifact");
        let token = PageRequest { size: 1, cursor: Some(NUL.into()) };
        refused(bench.deployments().list(token).await, "page_token", "token");
        for (search, field) in [
            (SearchRuns { filter: format!("name = '{NUL}'"), ..SearchRuns::default() }, "filter"),
            (SearchRuns { filter: format!("tags.\"{NUL}\" IS NULL"), ..SearchRuns::default() }, "filter"),
            (SearchRuns { order_by: format!("tags.\"{NUL}\""), ..SearchRuns::default() }, "order_by"),
            (SearchRuns { order_by: NUL.into(), ..SearchRuns::default() }, "order_by"),
        ] {
            refused(bench.runs().list(search, first()).await, field, "runs");
        }
        not_found(
            bench.runs().list(SearchRuns { experiments: vec![NUL.into()], ..SearchRuns::default() }, first()).await,
            "runs",
        );
    }
}

#[tokio::test]
async fn nul_within_a_json_document_is_kept() {
    for bench in benches().await {
        let options = json!({ "text": NUL, NUL: [NUL] });
        let version = bench.import("kindle", "x", options.clone()).await;
        let found = bench.datasets().get_version_by_id(&version.id).await.unwrap();
        assert_eq!(found.options, options, "{}", bench.database.name);
    }
}
