use serde_json::{Value, json};
use tenor_domain::{ErrorKind, Etag, PageRequest, State, Tags};
use tenor_platform::{DatasetPatch, ImportRequest, NewDataset};

use crate::support::*;

fn new(dataset: &str) -> NewDataset {
    NewDataset { name: name(dataset), description: "d".into(), tags: tags(&[("team", "a")]) }
}

#[tokio::test]
async fn a_dataset_is_created_read_changed_and_deleted() {
    for bench in benches().await {
        let datasets = bench.datasets();
        let would_be = datasets.create(&anyone(), new("kindle"), None, true).await.unwrap();
        assert_eq!(would_be.name, name("kindle"));
        assert_eq!(datasets.get("kindle").await.unwrap_err().kind, ErrorKind::NotFound);
        let created = datasets.create(&anyone(), new("kindle"), None, false).await.unwrap();
        assert_eq!((created.created_at, created.latest_version, created.etag), (START, 0, Etag(1)));
        assert_eq!(datasets.get("kindle").await.unwrap(), created);
        assert_eq!(datasets.get(created.id.as_str()).await.unwrap(), created);
        for validate_only in [true, false] {
            let error = datasets.create(&anyone(), new("kindle"), None, validate_only).await.unwrap_err();
            check_error(&error, ErrorKind::AlreadyExists, "ALREADY_EXISTS", "choose another name");
        }

        bench.clock.advance_ms(5);
        let patch = DatasetPatch { description: Some("new".into()), tags: None };
        let updated = datasets.update("kindle", patch.clone(), Some(created.etag)).await.unwrap();
        assert_eq!((updated.description.as_str(), &updated.tags), ("new", &created.tags));
        assert_eq!(updated.updated_at.0 - updated.created_at.0, 5);
        let stale = datasets.update("kindle", patch.clone(), Some(created.etag)).await.unwrap_err();
        check_error(&stale, ErrorKind::Conflict, "STALE_ETAG", "read it again");
        let stale = datasets.delete("kindle", Some(created.etag)).await.unwrap_err();
        check_error(&stale, ErrorKind::Conflict, "STALE_ETAG", "read it again");
        let patch = DatasetPatch { description: None, tags: Some(Tags::new()) };
        let updated = datasets.update("kindle", patch, None).await.unwrap();
        assert_eq!((updated.description.as_str(), updated.tags.len(), updated.etag), ("new", 0, Etag(3)));
        datasets.delete("kindle", Some(updated.etag)).await.unwrap();
        assert_eq!(datasets.delete("kindle", None).await.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_repeated_request_gives_the_first_answer_and_another_request_is_refused() {
    for bench in benches().await {
        let datasets = bench.datasets();
        let id = key();
        let first = datasets.create(&anyone(), new("a"), id.clone(), false).await.unwrap();
        assert_eq!(datasets.create(&anyone(), new("a"), id.clone(), false).await.unwrap(), first);
        let error = datasets.create(&anyone(), new("b"), id.clone(), false).await.unwrap_err();
        check_error(&error, ErrorKind::InvalidArgument, "REQUEST_ID_REUSED", "make a new UUID");
        assert_eq!(error.violations[0].field, "request_id");
        // Another principal's keys are its own.
        let other = tenor_domain::Caller { principal: "other".into(), traceparent: None };
        assert_eq!(datasets.create(&other, new("b"), id.clone(), false).await.unwrap().name, name("b"));
        // A failed create frees its key.
        let failed = key();
        assert!(datasets.create(&anyone(), new("a"), failed.clone(), false).await.is_err());
        datasets.delete("a", None).await.unwrap();
        assert!(datasets.create(&anyone(), new("a"), failed, false).await.is_ok());
        let error = datasets.create(&anyone(), new("a"), id, false).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "use a new request_id");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_request_sent_ten_times_at_once_creates_one_dataset() {
    for bench in benches().await {
        let id = key();
        let calls = (0..10).map(|_| {
            let (platform, id) = (bench.platform.clone(), id.clone());
            tokio::spawn(async move { platform.datasets().create(&anyone(), new("a"), id, false).await })
        });
        let mut ids = Vec::new();
        for call in futures::future::join_all(calls.collect::<Vec<_>>()).await {
            ids.push(call.unwrap().unwrap().id);
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }
}

#[tokio::test]
async fn pages_cover_a_list_and_a_token_fits_only_its_query() {
    for bench in benches().await {
        let datasets = bench.datasets();
        // Byte order, also where the server's locale would sort otherwise.
        let names = ["a-b", "a.b", "a0", "a_b", "ab", "b"];
        for dataset in names.iter().rev() {
            datasets.create(&anyone(), new(dataset), None, false).await.unwrap();
        }
        let mut page = PageRequest::first(2);
        let mut seen = Vec::new();
        loop {
            let found = datasets.list(page.clone(), None).await.unwrap();
            seen.extend(found.items.into_iter().map(|dataset| dataset.name.as_str().to_owned()));
            let Some(next) = found.next else { break };
            page.cursor = Some(next);
        }
        assert_eq!(seen, names);
        let error = datasets.list(page.clone(), Some("a")).await.unwrap_err();
        check_error(&error, ErrorKind::InvalidArgument, "INVALID_FIELD", "other arguments");
        page.cursor = Some("garbage".into());
        assert_eq!(datasets.list(page, None).await.unwrap_err().violations[0].field, "page_token");
        let filtered = datasets.list(PageRequest::first(0), Some("a_")).await.unwrap();
        assert_eq!(filtered.items.len(), 1);
        assert!(datasets.list(PageRequest::first(0), Some("%")).await.unwrap().items.is_empty());
    }
}

#[tokio::test]
async fn the_same_bytes_and_options_are_one_version() {
    for bench in benches().await {
        let first = bench.import("kindle", "a,b\n1,2\n", json!({"text": "a", "label": "b"})).await;
        assert_eq!((first.number, first.state, first.source_bytes), (1, State::Pending, 8));
        assert_eq!((first.file_name.as_str(), first.job_id.is_some()), ("reviews.csv", true));
        let again = bench.import("kindle", "a,b\n1,2\n", json!({"label": "b", "text": "a", "x": null})).await;
        assert_eq!(again, first);
        let other_options = bench.import("kindle", "a,b\n1,2\n", Value::Null).await;
        let other_bytes = bench.import("kindle", "a,b\n3,4\n", Value::Null).await;
        assert_eq!((other_options.number, other_bytes.number), (2, 3));
        let datasets = bench.datasets();
        assert_eq!(datasets.get("kindle").await.unwrap().latest_version, 3);
        assert_eq!(datasets.get_version("kindle", None).await.unwrap().number, 3);
        assert_eq!(datasets.get_version("kindle", Some(1)).await.unwrap(), first);
        let error = datasets.get_version("kindle", Some(4)).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "dataset `kindle` has no version 4; latest is 3");
        let page = datasets.list_versions("kindle", PageRequest::first(2)).await.unwrap();
        assert_eq!(page.items.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 2]);
        let job = bench.jobs().get(first.job_id.unwrap()).await.unwrap();
        assert_eq!((job.kind.as_str(), &job.payload["dataset_version_id"]), ("import_dataset", &json!(first.id)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn imports_at_the_same_time_number_versions_without_a_gap() {
    for bench in benches().await {
        let mut imports = Vec::new();
        for n in 0..12 {
            // Each file twice.
            let upload_id = bench.upload(&format!("file {}", n / 2)).await;
            let import =
                ImportRequest { dataset: "kindle".into(), create_dataset: true, upload_id, options: Value::Null };
            let platform = bench.platform.clone();
            imports.push(tokio::spawn(async move { platform.datasets().import(&anyone(), import, None).await }));
        }
        let mut numbers = Vec::new();
        for import in imports {
            numbers.push(import.await.unwrap().unwrap().number);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
    }
}

#[tokio::test]
async fn an_import_needs_a_complete_upload_and_a_dataset() {
    for bench in benches().await {
        let open = bench.uploads().start(&anyone(), "x", None, None).await.unwrap().id;
        let import = |upload_id, dataset: &str, create_dataset| ImportRequest {
            dataset: dataset.into(),
            create_dataset,
            upload_id,
            options: Value::Null,
        };
        let datasets = bench.datasets();
        let error = datasets.import(&anyone(), import(open, "kindle", true), None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "UPLOAD_INCOMPLETE", "complete it");
        let upload = bench.upload("x").await;
        let error = datasets.import(&anyone(), import(upload.clone(), "kindle", false), None).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "dataset `kindle` does not exist");
        let error = datasets.import(&anyone(), import(upload.clone(), "No/Name", true), None).await.unwrap_err();
        check_error(&error, ErrorKind::InvalidArgument, "INVALID_FIELD", "lowercase");
        let mut wrong = import(upload, "kindle", true);
        wrong.options = json!([]);
        assert_eq!(datasets.import(&anyone(), wrong, None).await.unwrap_err().violations[0].field, "options");
        assert!(datasets.list(PageRequest::first(0), None).await.unwrap().items.is_empty(), "nothing half-made stays");
    }
}

#[tokio::test]
async fn a_split_is_made_once_and_after_its_import() {
    for bench in benches().await {
        let version = bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        assert_eq!(bench.split("kindle").await, split);
        assert_eq!((&split.dataset_version_id, split.state), (&version.id, State::Pending));
        let job = bench.jobs().get(split.job_id.unwrap()).await.unwrap();
        assert_eq!(job.state, tenor_domain::JobState::Waiting);
        let other = bench.splits().create(&anyone(), "kindle", Some(1), json!({"seed": 7}), key()).await.unwrap();
        assert_ne!(other.id, split.id);
        let page = bench.splits().list("kindle", None, PageRequest::first(1)).await.unwrap();
        assert_eq!(page.items, std::slice::from_ref(&other));
        let next = PageRequest { size: 5, cursor: page.next };
        assert_eq!(bench.splits().list("kindle", None, next).await.unwrap().items, [split]);
        assert!(bench.splits().list("kindle", Some(2), PageRequest::first(0)).await.unwrap().items.is_empty());
    }
}

#[tokio::test]
async fn a_dataset_in_use_by_a_run_cannot_be_deleted() {
    for bench in benches().await {
        bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        let run = bench.runs().train(&anyone(), train_spec(&split), None).await.unwrap();
        let error = bench.datasets().delete("kindle", None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "DATASET_IN_USE", "used by 1 run");
        let error = bench.runs().delete(&run.id, None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "RUN_ACTIVE", "cancel job");
        bench.jobs().cancel(run.job_id.unwrap()).await.unwrap();
        bench.job_ended(&bench.jobs().get(run.job_id.unwrap()).await.unwrap()).await.unwrap();
        bench.runs().delete(&run.id, None).await.unwrap();
        bench.datasets().delete("kindle", None).await.unwrap();
        assert_eq!(bench.splits().get(&split.id).await.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn hostile_text_is_refused_before_it_reaches_a_database() {
    for bench in benches().await {
        let datasets = bench.datasets();
        let with = |description: String, tags: Tags| NewDataset { name: name("a"), description, tags };
        let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
        for (wrong, field) in [
            (with("a\0b".into(), Tags::new()), "description"),
            (with("x".repeat(10_001), Tags::new()), "description"),
            (with(String::new(), tags(&[("", "x")])), "tags"),
            (with(String::new(), tags(&[("k\n", "x")])), "tags"),
            (with(String::new(), tags(&[("k", "\0")])), "tags"),
            (with(String::new(), many), "tags"),
        ] {
            let error = datasets.create(&anyone(), wrong, None, false).await.unwrap_err();
            assert_eq!(error.violations[0].field, field, "{error}");
        }
        for odd in ["", "'; DROP TABLE datasets; --", "a\0", "日本", &"x".repeat(100_000)] {
            assert!(matches!(
                datasets.get(odd).await.unwrap_err().kind,
                ErrorKind::NotFound | ErrorKind::InvalidArgument
            ));
        }
        let odd = with("'; DROP TABLE datasets; -- 🦀 \u{202e}".into(), tags(&[("k", "'\"\\%_")]));
        let created = datasets.create(&anyone(), odd.clone(), None, false).await.unwrap();
        assert_eq!((created.description, created.tags), (odd.description, odd.tags));
    }
}
