//! Registered models, versions and aliases.

use prost_types::Timestamp;
use tenor_proto::v1 as pb;
use tenor_proto::v1::model_registry_service_client::ModelRegistryServiceClient;
use tonic::Code;

use crate::checked::Checked;
use crate::fixture::{Fixture, fixture};
use crate::support::{check, check_field};

async fn client() -> (Fixture, ModelRegistryServiceClient<Checked>) {
    let fixture = fixture().await;
    let client = ModelRegistryServiceClient::new(fixture.channel.clone());
    (fixture, client)
}

fn alias(alias: &str, as_of: Option<Timestamp>) -> pb::GetModelAliasRequest {
    pb::GetModelAliasRequest { model: "stars".into(), alias: alias.into(), as_of }
}

fn set(alias: &str, version: i64, etag: &str) -> pb::SetModelAliasRequest {
    pb::SetModelAliasRequest {
        model: "stars".into(),
        alias: alias.into(),
        version,
        etag: etag.into(),
        why: String::new(),
        allow_breaking_contract: false,
    }
}

#[tokio::test]
async fn a_run_becomes_a_version_with_all_that_is_known_of_its_file() {
    let (fixture, mut client) = client().await;
    let register = |run: String| pb::RegisterModelVersionRequest {
        model: "fresh".into(),
        run_id: run,
        description: "first".into(),
        request_id: String::new(),
    };
    let version = client.register_model_version(register(fixture.trained.to_string())).await.unwrap().into_inner();
    assert_eq!((version.number, version.model.as_str(), version.description.as_str()), (1, "fresh", "first"));
    assert_eq!((version.kind.as_str(), version.classes.len(), version.size_bytes), ("logreg", 2, 5));
    assert_eq!((version.metrics["f1"], version.metrics["large"]), (0.75, f64::INFINITY));
    assert!(version.metrics["odd"].is_nan());
    let again = client.register_model_version(register(fixture.trained.to_string())).await.unwrap().into_inner();
    assert_eq!((again.id, again.number), (version.id, 1));
    let status = client.register_model_version(register(fixture.runs[0].to_string())).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "RUN_NOT_SUCCEEDED");
    check_field(&client.register_model_version(register("x".into())).await.unwrap_err(), "run_id");
    let nobody = tenor_domain::RunId::new().to_string();
    let status = client.register_model_version(register(nobody)).await.unwrap_err();
    check(&status, Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn an_alias_is_set_by_compare_and_set_and_keeps_its_history() {
    let (_fixture, mut client) = client().await;
    let now = client.get_model_alias(alias("champion", None)).await.unwrap().into_inner();
    assert_eq!((now.version, now.previous, now.why.as_str(), now.actor.as_str()), (1, 2, "because", "anonymous"));
    let moved = client.set_model_alias(set("champion", 2, &now.etag)).await.unwrap().into_inner();
    assert_eq!((moved.version, moved.previous, moved.model.as_str()), (2, 1, "stars"));
    let status = client.set_model_alias(set("champion", 1, &now.etag)).await.unwrap_err();
    check(&status, Code::Aborted, "STALE_ETAG");
    // `0` expects an alias that was never set.
    client.set_model_alias(set("challenger", 1, "0")).await.unwrap();
    check(&client.set_model_alias(set("challenger", 2, "0")).await.unwrap_err(), Code::Aborted, "STALE_ETAG");
    for version in [0, -1, i64::MIN] {
        check_field(&client.set_model_alias(set("champion", version, "")).await.unwrap_err(), "version");
    }
    check(&client.set_model_alias(set("champion", 3, "")).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    for name in ["3", "v3", "latest", "", "\0", "A b"] {
        check_field(&client.set_model_alias(set(name, 1, "")).await.unwrap_err(), "alias");
    }
    let mut why = set("champion", 1, "");
    why.why = "\0".into();
    check_field(&client.set_model_alias(why).await.unwrap_err(), "why");

    let delete = pb::DeleteModelAliasRequest {
        model: "stars".into(),
        alias: "champion".into(),
        etag: moved.etag,
        why: "broken".into(),
    };
    let removed = client.delete_model_alias(delete).await.unwrap().into_inner();
    assert_eq!((removed.version, removed.previous, removed.why.as_str()), (0, 2, "broken"));
    let history = pb::ListAliasHistoryRequest {
        model: "stars".into(),
        alias: "champion".into(),
        ..pb::ListAliasHistoryRequest::default()
    };
    let events = client.list_alias_history(history).await.unwrap().into_inner().events;
    let versions: Vec<_> = events.iter().map(|event| event.version).collect();
    assert_eq!(versions, [0, 2, 1, 2, 1]);
    for event in events.windows(2) {
        assert!(event[0].time.as_ref().unwrap().seconds >= event[1].time.as_ref().unwrap().seconds);
    }
}

#[tokio::test]
async fn an_alias_is_asked_for_as_of_a_time() {
    let (_fixture, mut client) = client().await;
    let far = Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 };
    let then = client.get_model_alias(alias("champion", Some(far))).await.unwrap().into_inner();
    assert_eq!(then.version, 1);
    let before = Timestamp { seconds: 1, nanos: 0 };
    let status = client.get_model_alias(alias("champion", Some(before))).await.unwrap_err();
    check(&status, Code::NotFound, "NOT_FOUND");
    for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
        let status = client.get_model_alias(alias("champion", Some(Timestamp { seconds, nanos }))).await.unwrap_err();
        check_field(&status, "as_of");
    }
}

#[tokio::test]
async fn a_served_model_cannot_be_deleted_and_is_found_by_name_id_and_alias() {
    let (_fixture, mut client) = client().await;
    let delete = pb::DeleteRegisteredModelRequest { model: "stars".into(), etag: String::new() };
    let status = client.delete_registered_model(delete).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "MODEL_IN_USE");
    let get = |model: &str| pb::GetRegisteredModelRequest { model: model.into() };
    let model = client.get_registered_model(get("stars")).await.unwrap().into_inner();
    assert_eq!((model.latest_version, model.aliases["champion"]), (2, 1));
    assert_eq!(client.get_registered_model(get(&model.id)).await.unwrap().into_inner(), model);
    let version = |version: &str| pb::GetModelVersionRequest { model: "stars".into(), version: version.into() };
    for (text, number) in [("champion", 1), ("latest", 2), ("", 2), ("v1", 1)] {
        assert_eq!(client.get_model_version(version(text)).await.unwrap().into_inner().number, number);
    }
    for (text, field) in [("0", "version"), ("\0", "alias"), ("99999999999999999999", "version")] {
        check_field(&client.get_model_version(version(text)).await.unwrap_err(), field);
    }
}
