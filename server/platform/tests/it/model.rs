use tenor_domain::{AliasName, ErrorKind, Etag, ModelName, PageRequest, RunId, Tags};
use tenor_platform::{AliasMove, ModelPatch, NewModel, VersionRef};

use crate::support::*;

fn new(model: &str) -> NewModel {
    NewModel { name: ModelName::parse(model).unwrap(), description: "d".into(), tags: tags(&[("team", "a")]) }
}

#[tokio::test]
async fn a_model_is_created_read_changed_and_deleted() {
    for bench in benches().await {
        let models = bench.models();
        let id = key();
        let created = models.create(&anyone(), new("stars"), id.clone()).await.unwrap();
        assert_eq!((created.latest_version, created.etag, created.created_at), (0, Etag(1), START));
        assert_eq!(models.create(&anyone(), new("stars"), id.clone()).await.unwrap(), created);
        let error = models.create(&anyone(), new("other"), id).await.unwrap_err();
        check_error(&error, ErrorKind::InvalidArgument, "REQUEST_ID_REUSED", "make a new UUID");
        let error = models.create(&anyone(), new("stars"), key()).await.unwrap_err();
        check_error(&error, ErrorKind::AlreadyExists, "ALREADY_EXISTS", "choose another name");
        assert_eq!(models.get("stars").await.unwrap(), created);
        assert_eq!(models.get(created.id.as_str()).await.unwrap(), created);

        let patch = ModelPatch { description: Some("new".into()), tags: Some(Tags::new()) };
        let updated = models.update("stars", patch.clone(), Some(created.etag)).await.unwrap();
        assert_eq!((updated.description.as_str(), updated.tags.len(), updated.etag), ("new", 0, Etag(2)));
        for error in [
            models.update("stars", patch, Some(created.etag)).await.unwrap_err(),
            models.delete("stars", Some(created.etag)).await.unwrap_err(),
        ] {
            check_error(&error, ErrorKind::Conflict, "STALE_ETAG", "read it again");
        }
        models.create(&anyone(), new("stars-2"), None).await.unwrap();
        models.create(&anyone(), new("other"), None).await.unwrap();
        let page = models.list(PageRequest::first(1), Some("stars")).await.unwrap();
        assert_eq!(page.items, std::slice::from_ref(&updated));
        let page = PageRequest { size: 5, cursor: page.next };
        assert_eq!(models.list(page, Some("stars")).await.unwrap().items[0].name.as_str(), "stars-2");
        models.delete("stars", Some(updated.etag)).await.unwrap();
        assert_eq!(models.get("stars").await.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_registrations_at_once_number_versions_without_a_gap() {
    for bench in benches().await {
        let mut runs = Vec::new();
        for n in 0..50 {
            runs.push(bench.run(&n.to_string()).await.id);
        }
        // Each run twice at the same time.
        let register_all = async || {
            let calls = runs.iter().flat_map(|run| [run.clone(), run.clone()]).map(|run| {
                let (platform, facts) = (bench.platform.clone(), facts(run.as_str()));
                let name = ModelName::parse("stars").unwrap();
                tokio::spawn(
                    async move { platform.models().register_version(&anyone(), &name, &run, facts).await.unwrap() },
                )
            });
            let calls = futures::future::join_all(calls.collect::<Vec<_>>()).await;
            let numbers: Vec<_> = calls.into_iter().map(|call| call.unwrap().number).collect();
            assert!(numbers.chunks(2).all(|twice| twice[0] == twice[1]), "one run, one version: {numbers:?}");
            numbers.into_iter().step_by(2).collect::<Vec<_>>()
        };
        let numbers = register_all().await;
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=50).collect::<Vec<_>>(), "{}", bench.database.name);
        assert_eq!(register_all().await, numbers, "the same run again gives its version");
        assert_eq!(bench.models().get("stars").await.unwrap().latest_version, 50);

        let mut page = PageRequest::first(7);
        let mut listed = Vec::new();
        loop {
            let found = bench.models().list_versions("stars", page.clone()).await.unwrap();
            listed.extend(found.items.into_iter().map(|version| version.number));
            let Some(next) = found.next else { break };
            page.cursor = Some(next);
        }
        assert_eq!(listed, (1..=50).rev().collect::<Vec<_>>());
        // Another file of the same run is another version.
        let other = bench.register("stars", &runs[0], "other file").await;
        assert_eq!(other.number, 51);
    }
}

#[tokio::test]
async fn only_a_succeeded_run_with_a_model_file_can_be_registered() {
    for bench in benches().await {
        let models = bench.models();
        let name = ModelName::parse("stars").unwrap();
        let logged = bench.run("logged").await;
        let register = async |run: &RunId, id| models.register_run(&anyone(), &name, run, "first", id).await;
        let error = register(&logged.id, None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "RUN_NOT_SUCCEEDED", "is running");
        bench.succeed(&logged.id).await;
        let error = register(&logged.id, None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "RUN_WITHOUT_MODEL", "made no model file");
        assert_eq!(register(&RunId::new(), None).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(models.get("stars").await.unwrap_err().kind, ErrorKind::NotFound, "nothing half-made stays");

        let (trained, facts) = bench.trained().await;
        let id = key();
        let version = register(&trained.id, id.clone()).await.unwrap();
        assert_eq!((version.number, version.description.as_str()), (1, "first"));
        assert_eq!((version.digest, &version.classes), (facts.digest, &facts.classes));
        check_metrics(&version.metrics, &facts.metrics);
        let again = register(&trained.id, id.clone()).await.unwrap();
        assert_eq!((again.id, again.number), (version.id.clone(), 1));
        assert_eq!(register(&trained.id, key()).await.unwrap().id, version.id);
        let other = models.register_run(&anyone(), &name, &trained.id, "second", id).await.unwrap_err();
        check_error(&other, ErrorKind::InvalidArgument, "REQUEST_ID_REUSED", "make a new UUID");
        let error = bench.runs().delete(&trained.id, None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "RUN_IN_USE", "a model version came from run");
    }
}

#[tokio::test]
async fn metrics_of_a_version_come_back_to_the_bit() {
    for bench in benches().await {
        let run = bench.run("r").await;
        let mut facts = facts("file");
        for (key, value) in [
            ("minus", f64::NEG_INFINITY),
            ("zero", -0.0),
            ("tiny", f64::MIN_POSITIVE / 8.0),
            ("max", f64::MAX),
            ("third", 1.0 / 3.0),
        ] {
            facts.metrics.insert(key.into(), value);
        }
        let name = ModelName::parse("stars").unwrap();
        let given = facts.metrics.clone();
        let version = bench.models().register_version(&anyone(), &name, &run.id, facts).await.unwrap();
        let found = bench.models().get_version("stars", "1").await.unwrap();
        check_metrics(&version.metrics, &given);
        check_metrics(&found.metrics, &given);
    }
}

#[tokio::test]
async fn a_version_is_found_by_number_alias_and_latest() {
    for bench in benches().await {
        let models = bench.models();
        models.create(&anyone(), new("stars"), None).await.unwrap();
        let error = models.get_version("stars", "latest").await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "has no version yet");
        for n in 1..=3 {
            bench.version("stars", &n.to_string()).await;
        }
        models.set_alias(&anyone(), "stars", &alias("champion"), AliasMove::to(2)).await.unwrap();
        for (text, number) in
            [("1", 1), ("v2", 2), ("003", 3), ("latest", 3), ("", 3), ("champion", 2), ("@champion", 2)]
        {
            assert_eq!(models.get_version("stars", text).await.unwrap().number, number, "{text}");
        }
        for (text, says) in [
            ("4", "has no version 4; latest is 3"),
            ("9223372036854775807", "has no version 9223372036854775807"),
            ("challenger", "has no alias `challenger`"),
        ] {
            let error = models.get_version("stars", text).await.unwrap_err();
            check_error(&error, ErrorKind::NotFound, "NOT_FOUND", says);
        }
        for (text, field) in [("0", "version"), ("99999999999999999999", "version"), ("a b", "alias"), ("-1", "alias")]
        {
            let error = models.get_version("stars", text).await.unwrap_err();
            assert_eq!(error.violations[0].field, field, "{text}: {error}");
        }
    }
}

#[test]
fn alias_names_that_look_like_versions_are_refused() {
    for text in ["3", "v3", "007", "v", "latest", "9223372036854775808"] {
        let error = AliasName::parse(text).unwrap_err();
        check_error(&error, ErrorKind::InvalidArgument, "INVALID_FIELD", "must not look like a version");
    }
    for text in ["", "V3", "Champion", "a b", "@champion", "a..b", "-a", "a\0", &"x".repeat(64)] {
        assert_eq!(AliasName::parse(text).unwrap_err().violations[0].field, "alias", "{text:?}");
    }
    // What is no version stays free.
    for text in ["v3a", "3a", "v3.1", "latest-2", "champion"] {
        assert_eq!(VersionRef::parse(text).unwrap(), VersionRef::Alias(alias(text)));
    }
}

#[tokio::test]
async fn a_served_model_cannot_be_deleted_and_a_free_one_goes_with_all_that_is_its_own() {
    for bench in benches().await {
        let models = bench.models();
        let version = bench.version("stars", "file").await;
        models.set_alias(&anyone(), "stars", &alias("champion"), AliasMove::to(1)).await.unwrap();
        bench.deploy("front", "stars", "champion").await;
        let etag = models.get("stars").await.unwrap().etag;
        let error = models.delete("stars", Some(etag)).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "MODEL_IN_USE", "served by a deployment");
        bench.deployments().delete("front", None).await.unwrap();
        models.delete("stars", Some(etag)).await.unwrap();
        // The run is free again, and the name begins anew.
        bench.runs().delete(&version.run_id, None).await.unwrap();
        assert_eq!(bench.version("stars", "file").await.number, 1);
        let error = models.get_alias("stars", &alias("champion"), None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
}
