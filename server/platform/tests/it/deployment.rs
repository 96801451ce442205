use tenor_domain::{
    ContractMode, DeploymentId, DeploymentName, DeploymentTarget, ErrorKind, Etag, ModelName, PageRequest, Tags,
};
use tenor_platform::{AliasMove, DeploymentPatch, NewDeployment, NewModel};

use crate::support::*;

fn new(name: &str, model: &str, target: DeploymentTarget) -> NewDeployment {
    let name = DeploymentName::parse(name).unwrap();
    NewDeployment { name, model: model.to_owned(), target, contract_mode: ContractMode::Strict }
}

fn follow(name: &str) -> DeploymentTarget {
    DeploymentTarget::Alias(alias(name))
}

fn retarget(target: DeploymentTarget) -> DeploymentPatch {
    DeploymentPatch { target: Some(target), ..DeploymentPatch::default() }
}

#[tokio::test]
async fn an_alias_may_point_nowhere_and_is_followed_wherever_it_points() {
    for bench in benches().await {
        let model =
            NewModel { name: ModelName::parse("stars").unwrap(), description: String::new(), tags: Tags::new() };
        bench.models().create(&anyone(), model, None).await.unwrap();
        let deployments = bench.deployments();
        let created = bench.deploy("front", "stars", "champion").await;
        assert_eq!((created.current_version, created.etag, created.created_at), (None, Etag(1), START));
        let unresolved = async || {
            let error = deployments.resolve("front").await.unwrap_err();
            check_error(&error, ErrorKind::FailedPrecondition, "DEPLOYMENT_UNRESOLVED", "alias `champion` of model");
            assert_eq!(deployments.list_with_current().await.unwrap()[0].current_version, None);
        };
        unresolved().await;
        bench.version("stars", "1").await;
        bench.version("stars", "2").await;
        unresolved().await;
        for version in [2, 1] {
            bench.models().set_alias(&anyone(), "stars", &alias("champion"), AliasMove::to(version)).await.unwrap();
            assert_eq!(deployments.resolve("front").await.unwrap().number, version);
            let found = deployments.get("front").await.unwrap();
            assert_eq!((found.current_version, found.etag), (Some(version), Etag(1)), "following is no change");
            assert_eq!(deployments.list_with_current().await.unwrap(), [found]);
        }
        bench.models().delete_alias(&anyone(), "stars", &alias("champion"), None, "").await.unwrap();
        unresolved().await;
    }
}

#[tokio::test]
async fn a_target_version_must_exist_in_the_model_that_is_served() {
    for bench in benches().await {
        bench.version("stars", "1").await;
        for n in 0..3 {
            bench.version("other", &n.to_string()).await;
        }
        let deployments = bench.deployments();
        let create = async |new: NewDeployment| deployments.create(&anyone(), new, None).await;
        for version in [2, 3, 0, -1, i64::MAX] {
            let error = create(new("front", "stars", DeploymentTarget::Version(version))).await.unwrap_err();
            check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "latest is 1");
        }
        let error = create(new("front", "nobody", follow("champion"))).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "model `nobody` does not exist");
        assert_eq!(create(new("front", "", follow("champion"))).await.unwrap_err().violations[0].field, "model");
        assert_eq!(deployments.get("front").await.unwrap_err().kind, ErrorKind::NotFound, "nothing half-made stays");

        let fixed = create(new("front", "stars", DeploymentTarget::Version(1))).await.unwrap();
        assert_eq!((fixed.current_version, fixed.contract_mode), (Some(1), ContractMode::Strict));
        let error = deployments.update("front", retarget(DeploymentTarget::Version(2)), None).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "model `stars` has no version 2");
        assert_eq!(deployments.get("front").await.unwrap(), fixed);

        bench.version("stars", "2").await;
        for target in [DeploymentTarget::Version(2), follow("champion"), DeploymentTarget::Version(1)] {
            let updated = deployments.update("front", retarget(target.clone()), None).await.unwrap();
            assert_eq!((&updated.target, updated.contract_mode), (&target, ContractMode::Strict));
        }
        assert_eq!(deployments.resolve("front").await.unwrap().number, 1);
    }
}

#[tokio::test]
async fn a_repeated_create_gives_the_first_answer_and_a_taken_name_is_refused() {
    for bench in benches().await {
        bench.version("stars", "1").await;
        let deployments = bench.deployments();
        let id = key();
        let create = async |new: NewDeployment, id| deployments.create(&anyone(), new, id).await;
        let first = create(new("front", "stars", follow("champion")), id.clone()).await.unwrap();
        assert_eq!(create(new("front", "stars", follow("champion")), id.clone()).await.unwrap(), first);
        let mut relaxed = new("front", "stars", follow("champion"));
        relaxed.contract_mode = ContractMode::Warn;
        for other in [
            new("front", "stars", follow("challenger")),
            new("front", "stars", DeploymentTarget::Version(1)),
            new("back", "stars", follow("champion")),
            relaxed,
        ] {
            let error = create(other, id.clone()).await.unwrap_err();
            check_error(&error, ErrorKind::InvalidArgument, "REQUEST_ID_REUSED", "make a new UUID");
        }
        let error = create(new("front", "stars", follow("champion")), key()).await.unwrap_err();
        check_error(&error, ErrorKind::AlreadyExists, "ALREADY_EXISTS", "deployment `front` exists already");
        deployments.delete("front", None).await.unwrap();
        let error = create(new("front", "stars", follow("champion")), id).await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "use a new request_id");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_change_a_deployment_under_one_etag_one_wins() {
    for bench in benches().await {
        bench.version("stars", "1").await;
        let created = bench.deploy("front", "stars", "champion").await;
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let platform = bench.platform.clone();
                let target = if n % 2 == 0 { follow(&format!("a{n}")) } else { DeploymentTarget::Version(1) };
                tokio::spawn(async move {
                    platform.deployments().update("front", retarget(target), Some(created.etag)).await
                })
            })
            .collect();
        let mut winners = Vec::new();
        for call in calls {
            match call.await.unwrap() {
                Ok(updated) => winners.push(updated),
                Err(error) => check_error(&error, ErrorKind::Conflict, "STALE_ETAG", "read it again"),
            }
        }
        assert_eq!(winners.len(), 1, "{}", bench.database.name);
        assert_eq!(bench.deployments().get("front").await.unwrap(), winners[0]);
    }
}

#[tokio::test]
async fn an_update_keeps_what_is_not_named_and_a_stale_one_changes_nothing() {
    for bench in benches().await {
        bench.version("stars", "1").await;
        let created = bench.deploy("front", "stars", "champion").await;
        let deployments = bench.deployments();
        bench.clock.advance_ms(9);
        let strict = DeploymentPatch { contract_mode: Some(ContractMode::Strict), ..DeploymentPatch::default() };
        let updated = deployments.update("front", strict.clone(), Some(created.etag)).await.unwrap();
        assert_eq!((&updated.target, updated.contract_mode), (&created.target, ContractMode::Strict));
        assert_eq!((updated.updated_at.0 - updated.created_at.0, updated.etag), (9, Etag(2)));
        for stale in [created.etag, Etag(3), Etag(0), Etag(i64::MIN)] {
            for error in [
                deployments.update("front", strict.clone(), Some(stale)).await.unwrap_err(),
                deployments.delete("front", Some(stale)).await.unwrap_err(),
            ] {
                check_error(&error, ErrorKind::Conflict, "STALE_ETAG", "the deployment was changed in between");
            }
        }
        assert_eq!(deployments.get(updated.id.as_str()).await.unwrap(), updated);
        deployments.delete(updated.id.as_str(), Some(updated.etag)).await.unwrap();
        for gone in ["front", updated.id.as_str(), DeploymentId::new().as_str()] {
            let calls = [
                deployments.get(gone).await.unwrap_err(),
                deployments.resolve(gone).await.unwrap_err(),
                deployments.update(gone, strict.clone(), None).await.unwrap_err(),
                deployments.delete(gone, None).await.unwrap_err(),
            ];
            assert!(calls.iter().all(|error| error.kind == ErrorKind::NotFound), "{calls:?}");
        }
    }
}

#[tokio::test]
async fn deployments_are_listed_by_name_in_pages() {
    for bench in benches().await {
        bench.version("stars", "1").await;
        for name in ["c", "a", "b", "a-b", "a_b"] {
            bench.deploy(name, "stars", "champion").await;
        }
        let mut page = PageRequest::first(2);
        let mut names = Vec::new();
        loop {
            let found = bench.deployments().list(page.clone()).await.unwrap();
            assert!(found.items.len() <= 2);
            names.extend(found.items.into_iter().map(|deployment| deployment.name.as_str().to_owned()));
            let Some(next) = found.next else { break };
            page.cursor = Some(next);
        }
        assert_eq!(names, ["a", "a-b", "a_b", "b", "c"]);
        // A token of another list.
        bench.version("other", "1").await;
        let foreign = bench.models().list(PageRequest::first(1), None).await.unwrap().next;
        let error = bench.deployments().list(PageRequest { size: 2, cursor: foreign }).await.unwrap_err();
        assert_eq!(error.violations[0].field, "page_token");
    }
}
