//! Creates: the same request under the same id is one request (AIP-155).

use prost::Message as _;
use tenor_domain::RunId;
use tenor_proto::v1 as pb;
use tonic::Code;

use crate::fixture::{Fixture, SPACE, fixture};
use crate::support::{check, check_field};
use crate::wire::{self, Rpc, Value};

struct Create {
    rpc: Rpc,
    request: Vec<u8>,
    /// Another request, as good.
    other: Vec<u8>,
}

fn creates(fixture: &Fixture) -> Vec<Create> {
    let mut creates = Vec::new();
    let mut create = |name: &str, request: Vec<u8>, other: Vec<u8>| {
        creates.push(Create { rpc: wire::rpc(name), request, other });
    };
    macro_rules! pair {
        ($name:literal, $message:ident { $($all:tt)* }, $field:ident: $one:expr, $two:expr) => {
            create(
                $name,
                pb::$message { $field: $one, $($all)* ..Default::default() }.encode_to_vec(),
                pb::$message { $field: $two, $($all)* ..Default::default() }.encode_to_vec(),
            )
        };
    }
    pair!("DatasetService/CreateDataset", CreateDatasetRequest { name: "new".into(), }, description: "1".into(), "2".into());
    pair!("DatasetService/StartUpload", StartUploadRequest { size_bytes: 5, }, file_name: "1".into(), "2".into());
    pair!(
        "DatasetService/ImportDatasetVersion",
        ImportDatasetVersionRequest { dataset: "kindle".into(), upload_id: fixture.upload.to_string(), },
        options_json: "{\"text\": \"a\"}".into(), "{\"text\": \"b\"}".into()
    );
    pair!(
        "DatasetService/CreateSplit", CreateSplitRequest { dataset: "kindle".into(), },
        options_json: "{\"seed\": 8}".into(), "{\"seed\": 9}".into()
    );
    pair!("ExperimentService/CreateExperiment", CreateExperimentRequest { name: "new".into(), }, description: "1".into(), "2".into());
    pair!("ExperimentService/CreateRun", CreateRunRequest { experiment: "e".into(), }, name: "1".into(), "2".into());
    pair!(
        "ExperimentService/TrainRun",
        TrainRunRequest { experiment: "t".into(), split_id: fixture.split.clone(), kind: "logreg".into(), },
        seed: 1, 2
    );
    pair!(
        "ModelRegistryService/CreateRegisteredModel",
        CreateRegisteredModelRequest { name: "new".into(), }, description: "1".into(), "2".into()
    );
    pair!(
        "ModelRegistryService/RegisterModelVersion",
        RegisterModelVersionRequest { model: "stars".into(), run_id: fixture.trained.to_string(), },
        description: "1".into(), "2".into()
    );
    let objective = pb::Objective { metric: "loss".into(), direction: pb::Direction::Minimize.into() };
    pair!(
        "StudyService/CreateStudy",
        CreateStudyRequest { name: "new".into(), space_json: SPACE.into(), objectives: vec![objective.clone()], },
        seed: 1, 2
    );
    use pb::create_deployment_request::Target;
    pair!(
        "DeploymentService/CreateDeployment",
        CreateDeploymentRequest { name: "new".into(), model: "stars".into(), },
        target: Some(Target::Alias("champion".into())), Some(Target::Version(1))
    );
    creates
}

/// A new UUID.
fn key() -> String {
    RunId::new().to_string()
}

impl Create {
    async fn send(&self, fixture: &Fixture, request: &[u8], id: &str) -> Result<Vec<u8>, tonic::Status> {
        self.rpc.call(&fixture.channel, &self.rpc.set(request, "request_id", Value::Text(id))).await
    }
}

#[tokio::test]
async fn the_table_names_every_method_that_makes_something_and_each_takes_a_request_id() {
    let fixture = fixture().await;
    let mut named: Vec<String> = creates(&fixture).into_iter().map(|create| create.rpc.name).collect();
    named.sort();
    assert_eq!(named, wire::with_field("request_id"));
    for rpc in wire::rpcs() {
        let makes =
            ["/Create", "/Start", "/ImportDataset", "/Train", "/Register"].iter().any(|verb| rpc.name.contains(verb));
        assert_eq!(makes, named.contains(&rpc.name), "{}", rpc.name);
    }
}

#[tokio::test]
async fn the_same_request_under_the_same_id_gives_the_same_answer_and_another_is_refused() {
    let fixture = fixture().await;
    for create in creates(&fixture) {
        let name = &create.rpc.name;
        let id = key();
        let first = create.send(&fixture, &create.request, &id).await.unwrap();
        assert!(!first.is_empty(), "{name}");
        for same in [id.clone(), id.to_ascii_uppercase()] {
            assert_eq!(create.send(&fixture, &create.request, &same).await.unwrap(), first, "{name}");
        }
        let status = create.send(&fixture, &create.other, &id).await.unwrap_err();
        check(&status, Code::InvalidArgument, "REQUEST_ID_REUSED");
        assert_eq!(create.send(&fixture, &create.request, &id).await.unwrap(), first, "{name}");
    }
}

#[tokio::test]
async fn an_id_of_one_method_serves_no_other() {
    let fixture = fixture().await;
    let id = key();
    for (index, create) in creates(&fixture).into_iter().enumerate() {
        let answer = create.send(&fixture, &create.request, &id).await;
        match answer {
            Ok(_) => assert_eq!(index, 0, "{}", create.rpc.name),
            Err(status) => check(&status, Code::InvalidArgument, "REQUEST_ID_REUSED"),
        }
    }
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_refused() {
    let fixture = fixture().await;
    for create in creates(&fixture) {
        for wrong in ["1", "x", "00000000000000000000000000000000", "{4b9d1c4e-5d3e-4f8c-9d56-0a4f6c1b2a11}", "\0", " "]
        {
            check_field(&create.send(&fixture, &create.request, wrong).await.unwrap_err(), "request_id");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_sent_eight_times_at_once_is_one() {
    let fixture = fixture().await;
    for create in creates(&fixture) {
        let id = key();
        let calls = (0..8).map(|_| create.send(&fixture, &create.request, &id));
        let answers: Vec<_> = futures::future::try_join_all(calls).await.unwrap();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{}", create.rpc.name);
    }
}

#[tokio::test]
async fn a_refused_create_gives_its_id_back() {
    let fixture = fixture().await;
    let create = creates(&fixture).remove(0);
    let id = key();
    let taken = pb::CreateDatasetRequest { name: "kindle".into(), ..Default::default() }.encode_to_vec();
    check(&create.send(&fixture, &taken, &id).await.unwrap_err(), Code::AlreadyExists, "ALREADY_EXISTS");
    create.send(&fixture, &create.request, &id).await.unwrap();
}
