//! Datasets, versions, splits and previews.

use tenor_domain::{DatasetVersionId, Digest, ImportOutcome, SplitId};
use tenor_proto::v1 as pb;
use tenor_proto::v1::dataset_service_client::DatasetServiceClient;
use tonic::Code;

use crate::checked::Checked;
use crate::fixture::{Fixture, fixture};
use crate::support::{check, check_field};

async fn client() -> (Fixture, DatasetServiceClient<Checked>) {
    let fixture = fixture().await;
    let client = DatasetServiceClient::new(fixture.channel.clone());
    (fixture, client)
}

#[tokio::test]
async fn a_dataset_comes_back_as_it_was_given() {
    let (_fixture, mut client) = client().await;
    let tags = [("team".to_owned(), "🦀 'x'".to_owned())].into();
    let request = pb::CreateDatasetRequest {
        name: "new".into(),
        description: "as it is".into(),
        tags,
        ..pb::CreateDatasetRequest::default()
    };
    let would = pb::CreateDatasetRequest { validate_only: true, ..request.clone() };
    client.create_dataset(would.clone()).await.unwrap();
    let get = |name: &str| pb::GetDatasetRequest { dataset: name.into() };
    check(&client.get_dataset(get("new")).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    let created = client.create_dataset(request.clone()).await.unwrap().into_inner();
    assert_eq!((&created.description, &created.tags), (&request.description, &request.tags));
    assert!(created.create_time.is_some() && created.create_time == created.update_time);
    assert_eq!(client.get_dataset(get("new")).await.unwrap().into_inner(), created);
    assert_eq!(client.get_dataset(get(&created.id.to_ascii_uppercase())).await.unwrap().into_inner(), created);
    for request in [request, would] {
        let status = client.create_dataset(request).await.unwrap_err();
        check(&status, Code::AlreadyExists, "ALREADY_EXISTS");
    }
}

#[tokio::test]
async fn tags_are_replaced_only_when_that_is_said() {
    let (_fixture, mut client) = client().await;
    let update = |replace_tags, tags: &[(&str, &str)], description: Option<&str>| pb::UpdateDatasetRequest {
        dataset: "other".into(),
        description: description.map(str::to_owned),
        tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        replace_tags,
        etag: String::new(),
    };
    let updated = client.update_dataset(update(true, &[("a", "1"), ("b", "2")], None)).await.unwrap().into_inner();
    assert_eq!((updated.tags.len(), updated.description.as_str()), (2, ""));
    let updated = client.update_dataset(update(false, &[], Some("d"))).await.unwrap().into_inner();
    assert_eq!((updated.tags.len(), updated.description.as_str()), (2, "d"));
    check_field(&client.update_dataset(update(false, &[("c", "3")], None)).await.unwrap_err(), "tags");
    let updated = client.update_dataset(update(true, &[], Some(""))).await.unwrap().into_inner();
    assert_eq!((updated.tags.len(), updated.description.as_str()), (0, ""));
}

#[tokio::test]
async fn hostile_text_is_refused_with_its_field() {
    let (fixture, mut client) = client().await;
    let new = |name: &str, description: &str, key: &str, value: &str| pb::CreateDatasetRequest {
        name: name.into(),
        description: description.into(),
        tags: [(key.to_owned(), value.to_owned())].into(),
        ..pb::CreateDatasetRequest::default()
    };
    for (request, field) in [
        (new("a\0", "", "k", "v"), "dataset"),
        (new("A", "", "k", "v"), "dataset"),
        (new("../x", "", "k", "v"), "dataset"),
        (new("", "", "k", "v"), "dataset"),
        (new("a", "\0", "k", "v"), "description"),
        (new("a", &"x".repeat(10_001), "k", "v"), "description"),
        (new("a", "", "", "v"), "tags"),
        (new("a", "", "\0", "v"), "tags"),
        (new("a", "", "k", "\0"), "tags"),
    ] {
        check_field(&client.create_dataset(request).await.unwrap_err(), field);
    }
    let import = |options_json: &str| pb::ImportDatasetVersionRequest {
        dataset: "kindle".into(),
        upload_id: fixture.upload.to_string(),
        options_json: options_json.into(),
        ..pb::ImportDatasetVersionRequest::default()
    };
    for (json, field) in [("{", "options_json"), ("\0", "options_json"), ("[1]", "options"), ("7", "options")] {
        check_field(&client.import_dataset_version(import(json)).await.unwrap_err(), field);
    }
    let deep = "[".repeat(100_000);
    check_field(&client.import_dataset_version(import(&deep)).await.unwrap_err(), "options_json");
    let list = pb::ListDatasetsRequest { name_prefix: "a\0".into(), ..pb::ListDatasetsRequest::default() };
    check_field(&client.list_datasets(list).await.unwrap_err(), "name_prefix");
    let get = pb::GetDatasetRequest { dataset: "\0".into() };
    check(&client.get_dataset(get).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn versions_and_splits_are_numbered_and_found() {
    let (fixture, mut client) = client().await;
    let version = |number| pb::GetDatasetVersionRequest { dataset: "kindle".into(), number };
    let newest = client.get_dataset_version(version(0)).await.unwrap().into_inner();
    assert_eq!((newest.number, newest.state()), (2, pb::State::Pending));
    assert_eq!(newest.source_digest, Digest::of(b"b").to_string());
    assert!(newest.job_id > 0 && newest.outcome.is_none() && newest.finish_time.is_none());
    assert_eq!(client.get_dataset_version(version(2)).await.unwrap().into_inner(), newest);
    check(&client.get_dataset_version(version(3)).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    check_field(&client.get_dataset_version(version(-1)).await.unwrap_err(), "number");
    let split = pb::GetSplitRequest { split_id: fixture.split.clone() };
    let split = client.get_split(split).await.unwrap().into_inner();
    assert_eq!((split.dataset_version_id.as_str(), split.options_json.as_str()), (newest.id.as_str(), "{\"seed\":2}"));
    let nobody = pb::GetSplitRequest { split_id: SplitId::new().to_string() };
    check(&client.get_split(nobody).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    check_field(&client.get_split(pb::GetSplitRequest { split_id: "2".into() }).await.unwrap_err(), "split_id");
    let splits =
        |number| pb::ListSplitsRequest { dataset: "kindle".into(), number, ..pb::ListSplitsRequest::default() };
    assert_eq!(client.list_splits(splits(2)).await.unwrap().into_inner().splits.len(), 2);
    assert!(client.list_splits(splits(1)).await.unwrap().into_inner().splits.is_empty());
    check_field(&client.list_splits(splits(-1)).await.unwrap_err(), "number");
    let create = pb::CreateSplitRequest { dataset: "other".into(), ..pb::CreateSplitRequest::default() };
    check(&client.create_split(create).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn rows_are_shown_once_the_import_has_succeeded() {
    let (fixture, mut client) = client().await;
    let preview = |offset, limit, quarantined| pb::PreviewRowsRequest {
        dataset: "kindle".into(),
        number: 2,
        quarantined,
        offset,
        limit,
    };
    let status = client.preview_rows(preview(0, 0, false)).await.unwrap_err();
    check(&status, Code::FailedPrecondition, "DATASET_VERSION_NOT_READY");
    let platform = &fixture.server.platform;
    let version = platform.datasets().get_version("kindle", Some(2)).await.unwrap();
    succeed(&fixture, &version.id).await;
    let mut rows = async |offset, limit, quarantined| {
        client.preview_rows(preview(offset, limit, quarantined)).await.map(|answer| answer.into_inner().rows_json)
    };
    assert_eq!(rows(0, 0, false).await.unwrap().len(), 10);
    assert_eq!(rows(8, 5, false).await.unwrap(), ["{\"row\":8}", "{\"row\":9}"]);
    assert!(rows(i64::MAX, 1_000, false).await.unwrap().is_empty());
    assert!(rows(0, 0, true).await.unwrap().is_empty(), "no row was quarantined");
    check_field(&rows(-1, 0, false).await.unwrap_err(), "offset");
    for limit in [-1, 1_001, i32::MAX, i32::MIN] {
        check_field(&rows(0, limit, false).await.unwrap_err(), "limit");
    }
    let version = pb::GetDatasetVersionRequest { dataset: "kindle".into(), number: 2 };
    let version = client.get_dataset_version(version).await.unwrap().into_inner();
    let outcome = version.outcome.clone().unwrap();
    assert_eq!((version.state(), outcome.rows_read, outcome.rows_accepted), (pb::State::Succeeded, 10, 10));
    assert!(version.finish_time.is_some() && outcome.profile_json.is_empty());
}

/// What the job would do.
async fn succeed(fixture: &Fixture, id: &DatasetVersionId) {
    let outcome = ImportOutcome {
        rows_read: 10,
        rows_accepted: 10,
        rows_repaired: 0,
        rows_quarantined: 0,
        data_digest: Digest::of(b"data"),
        data_bytes: 4,
        quarantine_digest: None,
        profile: serde_json::Value::Null,
        validation: serde_json::json!({}),
        valid: true,
    };
    let mut tx = fixture.server.platform.db().begin_write().await.unwrap();
    let state = tenor_domain::State::Succeeded;
    let now = tenor_domain::Timestamp(1);
    tenor_store::dataset::move_version(&mut tx, id.as_str(), state, None, Some(&outcome), now).await.unwrap().unwrap();
    tx.commit().await.unwrap();
}
