//! Deployments: what is wanted, and what this server has loaded.

use tenor_proto::v1 as pb;
use tenor_proto::v1::deployment_service_client::DeploymentServiceClient;
use tonic::Code;

use crate::checked::Checked;
use crate::fixture::{Fixture, fixture};
use crate::support::{check, check_field};

async fn client() -> (Fixture, DeploymentServiceClient<Checked>) {
    let fixture = fixture().await;
    let client = DeploymentServiceClient::new(fixture.channel.clone());
    (fixture, client)
}

fn create(name: &str, target: Option<pb::create_deployment_request::Target>, mode: i32) -> pb::CreateDeploymentRequest {
    pb::CreateDeploymentRequest {
        name: name.into(),
        model: "stars".into(),
        target,
        contract_mode: mode,
        request_id: String::new(),
    }
}

#[tokio::test]
async fn a_deployment_tells_what_it_means_and_what_is_loaded() {
    use pb::deployment::Target;
    let (_fixture, mut client) = client().await;
    let get = |name: &str| pb::GetDeploymentRequest { deployment: name.into() };
    let front = client.get_deployment(get("front")).await.unwrap().into_inner();
    assert_eq!(front.target, Some(Target::Alias("champion".into())));
    assert_eq!((front.current_version, front.loaded_version), (1, 2));
    assert_eq!((front.model.as_str(), front.load_error.as_str()), ("stars", "its file is broken"));
    assert_eq!(front.contract_mode(), pb::ContractMode::Warn);
    let back = client.get_deployment(get("back")).await.unwrap().into_inner();
    assert_eq!((back.current_version, back.loaded_version, back.load_error.as_str()), (1, 0, ""));
    let list = client.list_deployments(pb::ListDeploymentsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.deployments, [back, front]);
}

#[tokio::test]
async fn a_target_is_required_and_must_be_possible() {
    use pb::create_deployment_request::Target;
    let (_fixture, mut client) = client().await;
    let alias = |alias: &str| Some(Target::Alias(alias.into()));
    for (request, field) in [
        (create("new", None, 0), "target"),
        (create("new", alias(""), 0), "alias"),
        (create("new", alias("3"), 0), "alias"),
        (create("new", alias("\0"), 0), "alias"),
        (create("new", Some(Target::Version(0)), 0), "version"),
        (create("new", Some(Target::Version(-1)), 0), "version"),
        (create("new", alias("champion"), 99), "contract_mode"),
        (create("new", alias("champion"), -1), "contract_mode"),
        (create("New", alias("champion"), 0), "deployment"),
        (create("a\0", alias("champion"), 0), "deployment"),
    ] {
        check_field(&client.create_deployment(request).await.unwrap_err(), field);
    }
    let status = client.create_deployment(create("new", Some(Target::Version(3)), 0)).await.unwrap_err();
    check(&status, Code::NotFound, "NOT_FOUND");
    let mut nobody = create("new", alias("champion"), 0);
    nobody.model = "nobody".into();
    check(&client.create_deployment(nobody).await.unwrap_err(), Code::NotFound, "NOT_FOUND");
    let nowhere = client.create_deployment(create("new", alias("nowhere"), 3)).await.unwrap().into_inner();
    assert_eq!((nowhere.current_version, nowhere.contract_mode()), (0, pb::ContractMode::Impute));
    let status = client.create_deployment(create("new", alias("nowhere"), 3)).await.unwrap_err();
    check(&status, Code::AlreadyExists, "ALREADY_EXISTS");
}

#[tokio::test]
async fn an_update_keeps_what_is_not_named() {
    use pb::deployment::Target as Now;
    use pb::update_deployment_request::Target;
    let (_fixture, mut client) = client().await;
    let update = |target, contract_mode| pb::UpdateDeploymentRequest {
        deployment: "front".into(),
        target,
        contract_mode,
        etag: String::new(),
        allow_breaking_contract: false,
    };
    let updated = client.update_deployment(update(Some(Target::Version(2)), 0)).await.unwrap().into_inner();
    assert_eq!((updated.target, updated.contract_mode), (Some(Now::Version(2)), pb::ContractMode::Warn.into()));
    let updated = client.update_deployment(update(None, 1)).await.unwrap().into_inner();
    assert_eq!((updated.target, updated.contract_mode), (Some(Now::Version(2)), pb::ContractMode::Strict.into()));
    assert_eq!((updated.current_version, updated.loaded_version), (2, 2));
    assert_eq!(updated.load_error, "", "what it meant before could not be loaded, and is no news");
    check_field(&client.update_deployment(update(None, 77)).await.unwrap_err(), "contract_mode");
    check_field(&client.update_deployment(update(Some(Target::Alias("v1".into())), 0)).await.unwrap_err(), "alias");
    let status = client.update_deployment(update(Some(Target::Version(9)), 0)).await.unwrap_err();
    check(&status, Code::NotFound, "NOT_FOUND");
}
