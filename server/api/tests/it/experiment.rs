//! Experiments and runs.

use std::collections::BTreeMap;

use tenor_domain::{RunId, SplitId};
use tenor_proto::v1 as pb;
use tenor_proto::v1::experiment_service_client::ExperimentServiceClient;
use tenor_proto::v1::param_value::Value as Param;
use tonic::Code;

use crate::checked::Checked;
use crate::fixture::{Fixture, fixture};
use crate::support::{check, check_field};

async fn client() -> (Fixture, ExperimentServiceClient<Checked>) {
    let fixture = fixture().await;
    let client = ExperimentServiceClient::new(fixture.channel.clone());
    (fixture, client)
}

fn params(pairs: Vec<(&str, Option<Param>)>) -> BTreeMap<String, pb::ParamValue> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), pb::ParamValue { value })).collect()
}

fn new_run(name: &str) -> pb::CreateRunRequest {
    pb::CreateRunRequest { experiment: "e".into(), name: name.into(), ..pb::CreateRunRequest::default() }
}

#[tokio::test]
async fn a_run_comes_back_as_it_was_given() {
    let (fixture, mut client) = client().await;
    let given = params(vec![
        ("flag", Some(Param::BoolValue(false))),
        ("max", Some(Param::IntValue(i64::MAX))),
        ("min", Some(Param::IntValue(i64::MIN))),
        ("third", Some(Param::FloatValue(1.0 / 3.0))),
        ("inf", Some(Param::FloatValue(f64::NEG_INFINITY))),
        ("text", Some(Param::TextValue("🦀".into()))),
    ]);
    let parent = fixture.runs[0].to_string();
    let request = pb::CreateRunRequest { params: given.clone(), parent_run_id: parent.clone(), ..new_run("mine") };
    let created = client.create_run(request).await.unwrap().into_inner();
    assert_eq!((&created.params, created.state(), &created.parent_run_id), (&given, pb::State::Running, &parent));
    assert!(created.start_time.is_some() && created.finish_time.is_none());
    let get = pb::GetRunRequest { run_id: created.id.clone() };
    assert_eq!(client.get_run(get).await.unwrap().into_inner(), created);

    let mut log = async |pairs| {
        client.log_params(pb::LogParamsRequest { run_id: created.id.clone(), params: params(pairs) }).await
    };
    log(vec![("new", Some(Param::FloatValue(f64::NAN))), ("flag", Some(Param::BoolValue(false)))]).await.unwrap();
    let status = log(vec![("flag", Some(Param::BoolValue(true)))]).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "PARAM_REWRITTEN");
    check_field(&log(vec![("empty", None)]).await.unwrap_err(), "params.empty");
    check_field(&log(vec![("a\0b", Some(Param::IntValue(1)))]).await.unwrap_err(), "params");
    check_field(&log(vec![("k", Some(Param::TextValue("\0".into())))]).await.unwrap_err(), "params");
}

#[tokio::test]
async fn a_run_changes_along_its_states_only() {
    let (fixture, mut client) = client().await;
    let update = |state: i32| pb::UpdateRunRequest {
        run_id: fixture.runs[0].to_string(),
        state,
        error: "why".into(),
        ..pb::UpdateRunRequest::default()
    };
    for state in [99, -1, i32::MAX] {
        check_field(&client.update_run(update(state)).await.unwrap_err(), "state");
    }
    let same = client.update_run(update(0)).await.unwrap().into_inner();
    assert_eq!((same.state(), same.error.as_str()), (pb::State::Running, ""));
    let failed = client.update_run(update(pb::State::Failed.into())).await.unwrap().into_inner();
    assert_eq!((failed.state(), failed.error.as_str()), (pb::State::Failed, "why"));
    let status = client.update_run(update(pb::State::Running.into())).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
    let mut hostile = update(0);
    hostile.note = Some("\0".into());
    check_field(&client.update_run(hostile).await.unwrap_err(), "note");
    let mut tags = update(0);
    tags.tags = [("a".to_owned(), "b".to_owned())].into();
    check_field(&client.update_run(tags.clone()).await.unwrap_err(), "tags");
    tags.replace_tags = true;
    assert_eq!(client.update_run(tags).await.unwrap().into_inner().tags["a"], "b");
}

#[tokio::test]
async fn a_run_needs_an_experiment_and_a_parent_that_exist() {
    let (_fixture, mut client) = client().await;
    let nowhere = pb::CreateRunRequest { experiment: "nowhere".into(), ..new_run("r") };
    check(&client.create_run(nowhere).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    let none = pb::CreateRunRequest { experiment: String::new(), ..new_run("r") };
    check_field(&client.create_run(none).await.unwrap_err(), "experiment");
    let odd = pb::CreateRunRequest { parent_run_id: "x".into(), ..new_run("r") };
    check_field(&client.create_run(odd).await.unwrap_err(), "parent_run_id");
    let orphan = pb::CreateRunRequest { parent_run_id: RunId::new().to_string(), ..new_run("r") };
    check(&client.create_run(orphan).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    check_field(&client.create_run(new_run("a\nb")).await.unwrap_err(), "name");
    for id in ["", "x", "\0", "00000000-0000-0000-0000-00000000000g"] {
        check_field(&client.get_run(pb::GetRunRequest { run_id: id.into() }).await.unwrap_err(), "run_id");
    }
    let delete = pb::DeleteExperimentRequest { experiment: "e".into(), etag: String::new() };
    let status = client.delete_experiment(delete).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "EXPERIMENT_NOT_EMPTY");
}

#[tokio::test]
async fn runs_are_searched_and_a_wrong_search_names_the_character() {
    let (_fixture, mut client) = client().await;
    let mut search = async |filter: &str, order_by: &str, experiments: &[&str]| {
        let request = pb::ListRunsRequest {
            filter: filter.into(),
            order_by: order_by.into(),
            experiments: experiments.iter().map(|name| (*name).to_owned()).collect(),
            ..pb::ListRunsRequest::default()
        };
        let found = client.list_runs(request).await?.into_inner().runs;
        Ok::<_, tonic::Status>(found.into_iter().map(|run| run.name).collect::<Vec<_>>())
    };
    assert_eq!(search("metrics.loss < 1", "", &[]).await.unwrap(), ["one"]);
    assert_eq!(search("NOT metrics.loss < 1", "name DESC", &["e"]).await.unwrap(), ["two", "trained", "three"]);
    assert!(search("", "", &["f"]).await.unwrap().is_empty());
    let status = search("name = 'x", "", &[]).await.unwrap_err();
    check_field(&status, "filter");
    assert!(status.message().contains("at character 8"), "{}", status.message());
    check_field(&search("", "name SIDEWAYS", &[]).await.unwrap_err(), "order_by");
    check_field(&search("name = '\0'", "", &[]).await.unwrap_err(), "filter");
    check(&search("", "", &["nowhere"]).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_training_needs_a_split_and_follows_its_job() {
    let (fixture, mut client) = client().await;
    let train = || pb::TrainRunRequest {
        experiment: "t".into(),
        split_id: fixture.split.clone(),
        kind: "logreg".into(),
        params_json: "{\"C\": 0.5, \"none\": null}".into(),
        seed: u64::MAX,
        register_model: "stars".into(),
        aliases: vec!["champion".into()],
        ..pb::TrainRunRequest::default()
    };
    let run = client.train_run(train()).await.unwrap().into_inner();
    assert_eq!((run.state(), run.kind.as_str(), &run.split_id), (pb::State::Pending, "logreg", &fixture.split));
    assert!(run.job_id > 0);
    assert_eq!(run.params["C"].value, Some(Param::FloatValue(0.5)));
    assert_eq!(run.params["seed"].value, Some(Param::TextValue(u64::MAX.to_string())));
    for (request, field) in [
        (pb::TrainRunRequest { kind: String::new(), ..train() }, "kind"),
        (pb::TrainRunRequest { params_json: "{".into(), ..train() }, "params_json"),
        (pb::TrainRunRequest { params_json: "[]".into(), ..train() }, "params"),
        (pb::TrainRunRequest { split_id: "1".into(), ..train() }, "split_id"),
        (pb::TrainRunRequest { experiment: "T".into(), ..train() }, "experiment"),
        (pb::TrainRunRequest { register_model: "A B".into(), ..train() }, "model"),
        (pb::TrainRunRequest { aliases: vec!["v1".into()], ..train() }, "alias"),
        (pb::TrainRunRequest { register_model: String::new(), ..train() }, "aliases"),
        (pb::TrainRunRequest { aliases: vec!["champion".into(); 21], ..train() }, "aliases"),
    ] {
        check_field(&client.train_run(request).await.unwrap_err(), field);
    }
    let nobody = pb::TrainRunRequest { split_id: SplitId::new().to_string(), ..train() };
    check(&client.train_run(nobody).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    let update = pb::UpdateRunRequest {
        run_id: run.id.clone(),
        state: pb::State::Succeeded.into(),
        ..pb::UpdateRunRequest::default()
    };
    check(&client.update_run(update).await.unwrap_err(), Code::FailedPrecondition, "RUN_HAS_JOB");
    let delete = pb::DeleteRunRequest { run_id: run.id, etag: String::new() };
    check(&client.delete_run(delete).await.unwrap_err(), Code::FailedPrecondition, "RUN_ACTIVE");
}
