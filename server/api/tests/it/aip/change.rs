//! Changes and deletions: an etag that is stale changes nothing (AIP-154).

use prost::Message as _;
use tenor_proto::v1 as pb;
use tonic::Code;

use crate::fixture::{Fixture, fixture};
use crate::support::{check, check_field};
use crate::wire::{self, Rpc, Value};

/// One noun: how it is read, changed and deleted.
struct Noun {
    get: (Rpc, Vec<u8>),
    update: (Rpc, Vec<u8>),
    delete: (Rpc, Vec<u8>),
}

#[expect(clippy::needless_update, reason = "some requests have no more fields than are set here")]
async fn nouns(fixture: &Fixture) -> Vec<Noun> {
    macro_rules! call {
        ($name:literal, $message:ident { $($field:ident: $value:expr),* }) => {
            (wire::rpc($name), pb::$message { $($field: $value,)* ..Default::default() }.encode_to_vec())
        };
    }
    let run_id = || fixture.runs[2].to_string();
    let (dataset, experiment, model, deployment) =
        (|| "other".into(), || "f".into(), || "other".into(), || "back".into());
    let description = || Some("new".to_owned());
    vec![
        Noun {
            get: call!("DatasetService/GetDataset", GetDatasetRequest { dataset: dataset() }),
            update: call!(
                "DatasetService/UpdateDataset",
                UpdateDatasetRequest { dataset: dataset(), description: description() }
            ),
            delete: call!("DatasetService/DeleteDataset", DeleteDatasetRequest { dataset: dataset() }),
        },
        Noun {
            get: call!("ExperimentService/GetExperiment", GetExperimentRequest { experiment: experiment() }),
            update: call!(
                "ExperimentService/UpdateExperiment",
                UpdateExperimentRequest { experiment: experiment(), description: description() }
            ),
            delete: call!("ExperimentService/DeleteExperiment", DeleteExperimentRequest { experiment: experiment() }),
        },
        Noun {
            get: call!("ExperimentService/GetRun", GetRunRequest { run_id: run_id() }),
            update: call!("ExperimentService/UpdateRun", UpdateRunRequest { run_id: run_id(), note: description() }),
            delete: call!("ExperimentService/DeleteRun", DeleteRunRequest { run_id: run_id() }),
        },
        Noun {
            get: call!("ModelRegistryService/GetRegisteredModel", GetRegisteredModelRequest { model: model() }),
            update: call!(
                "ModelRegistryService/UpdateRegisteredModel",
                UpdateRegisteredModelRequest { model: model(), description: description() }
            ),
            delete: call!(
                "ModelRegistryService/DeleteRegisteredModel",
                DeleteRegisteredModelRequest { model: model() }
            ),
        },
        Noun {
            get: call!("DeploymentService/GetDeployment", GetDeploymentRequest { deployment: deployment() }),
            update: call!(
                "DeploymentService/UpdateDeployment",
                UpdateDeploymentRequest { deployment: deployment(), contract_mode: pb::ContractMode::Strict.into() }
            ),
            delete: call!("DeploymentService/DeleteDeployment", DeleteDeploymentRequest { deployment: deployment() }),
        },
        Noun {
            get: call!(
                "ModelRegistryService/GetModelAlias",
                GetModelAliasRequest { model: "stars".into(), alias: "champion".into() }
            ),
            update: call!(
                "ModelRegistryService/SetModelAlias",
                SetModelAliasRequest { model: "stars".into(), alias: "champion".into(), version: 2 }
            ),
            delete: call!(
                "ModelRegistryService/DeleteModelAlias",
                DeleteModelAliasRequest { model: "stars".into(), alias: "champion".into() }
            ),
        },
        Noun {
            get: call!("StudyService/GetStudy", GetStudyRequest { study: "spare".into() }),
            update: call!(
                "StudyService/UpdateStudy",
                UpdateStudyRequest { study: "spare".into(), description: description() }
            ),
            delete: call!("StudyService/DeleteStudy", DeleteStudyRequest { study: "spare".into() }),
        },
    ]
}

#[tokio::test]
async fn the_table_names_every_method_that_changes_or_deletes_and_each_takes_an_etag() {
    let fixture = fixture().await;
    let mut named: Vec<String> =
        nouns(&fixture).await.into_iter().flat_map(|noun| [noun.update.0.name, noun.delete.0.name]).collect();
    named.sort();
    assert_eq!(named, wire::with_field("etag"));
    for rpc in wire::rpcs() {
        let changes = ["/Update", "/Delete", "/Set"].iter().any(|verb| rpc.name.contains(verb));
        assert_eq!(changes, named.contains(&rpc.name), "{}", rpc.name);
    }
}

#[tokio::test]
async fn a_stale_etag_is_aborted_and_changes_nothing_and_the_right_one_serves_once() {
    let fixture = fixture().await;
    for Noun { get, update, delete } in nouns(&fixture).await {
        let name = &get.0.name;
        let read = async || get.0.call(&fixture.channel, &get.1).await.unwrap();
        let call = async |(rpc, request): &(Rpc, Vec<u8>), etag: &str| {
            rpc.call(&fixture.channel, &rpc.set(request, "etag", Value::Text(etag))).await
        };
        let first = get.0.text(&read().await, "etag");
        let updated = call(&update, &first).await.unwrap();
        let second = update.0.text(&updated, "etag");
        assert_ne!(first, second, "{name}: an etag never repeats");
        assert_eq!(get.0.text(&read().await, "etag"), second, "{name}");
        let before = read().await;
        for stale in [first.as_str(), "\"999\"", "0", "-9223372036854775808", "\"9223372036854775807\""] {
            for method in [&update, &delete] {
                check(&call(method, stale).await.unwrap_err(), Code::Aborted, "STALE_ETAG");
            }
        }
        for wrong in ["x", "\"x\"", "1.5", "9223372036854775808", "\0", " ", "W/\"1\""] {
            for method in [&update, &delete] {
                check_field(&call(method, wrong).await.unwrap_err(), "etag");
            }
        }
        assert_eq!(read().await, before, "{name}");
        call(&update, "").await.unwrap();
        let third = get.0.text(&read().await, "etag");
        // Without its quotes it is the same.
        call(&delete, third.trim_matches('"')).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_deleted_is_not_found() {
    let fixture = fixture().await;
    for Noun { get, update, delete } in nouns(&fixture).await {
        delete.0.call(&fixture.channel, &delete.1).await.unwrap();
        let alias = get.0.name.contains("Alias");
        for (rpc, request) in [&get, &update, &delete] {
            // The history of an alias stays, and it may be set again.
            if alias && rpc.name != delete.0.name {
                continue;
            }
            let status = rpc.call(&fixture.channel, request).await.unwrap_err();
            check(&status, Code::NotFound, "NOT_FOUND");
        }
    }
}
