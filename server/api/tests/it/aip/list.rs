//! Lists: sizes, tokens, and an end that is told (AIP-158).

use prost::Message as _;
use tenor_proto::v1 as pb;

use crate::fixture::{Fixture, fixture};
use crate::support::{check_field, reason};
use crate::wire::{self, Rpc, Value};

struct List {
    rpc: Rpc,
    request: Vec<u8>,
    /// The same list with another argument; empty when it has none.
    other: Vec<u8>,
}

fn lists(fixture: &Fixture) -> Vec<List> {
    let mut lists = Vec::new();
    let mut list = |name: &str, request: Vec<u8>, other: Vec<u8>| {
        lists.push(List { rpc: wire::rpc(name), request, other });
    };
    let run_id = || fixture.runs[0].to_string();
    list(
        "DatasetService/ListDatasets",
        Vec::new(),
        pb::ListDatasetsRequest { name_prefix: "k".into(), ..Default::default() }.encode_to_vec(),
    );
    let of = |dataset: &str| pb::ListDatasetVersionsRequest { dataset: dataset.into(), ..Default::default() };
    list("DatasetService/ListDatasetVersions", of("kindle").encode_to_vec(), of("other").encode_to_vec());
    let of = |number| pb::ListSplitsRequest { dataset: "kindle".into(), number, ..Default::default() };
    list("DatasetService/ListSplits", of(0).encode_to_vec(), of(2).encode_to_vec());
    list(
        "ExperimentService/ListExperiments",
        Vec::new(),
        pb::ListExperimentsRequest { name_prefix: "e".into(), ..Default::default() }.encode_to_vec(),
    );
    list(
        "ExperimentService/ListRuns",
        Vec::new(),
        pb::ListRunsRequest { order_by: "name".into(), ..Default::default() }.encode_to_vec(),
    );
    let of = |key: &str| pb::ListMetricHistoryRequest { run_id: run_id(), key: key.into(), ..Default::default() };
    list("ExperimentService/ListMetricHistory", of("loss").encode_to_vec(), of("f1").encode_to_vec());
    list(
        "ModelRegistryService/ListRegisteredModels",
        Vec::new(),
        pb::ListRegisteredModelsRequest { name_prefix: "s".into(), ..Default::default() }.encode_to_vec(),
    );
    let of = |model: &str| pb::ListModelVersionsRequest { model: model.into(), ..Default::default() };
    list("ModelRegistryService/ListModelVersions", of("stars").encode_to_vec(), of("other").encode_to_vec());
    let of =
        |alias: &str| pb::ListAliasHistoryRequest { model: "stars".into(), alias: alias.into(), ..Default::default() };
    list("ModelRegistryService/ListAliasHistory", of("champion").encode_to_vec(), of("other").encode_to_vec());
    list("DeploymentService/ListDeployments", Vec::new(), Vec::new());
    list(
        "JobService/ListJobs",
        Vec::new(),
        pb::ListJobsRequest { kind: "process_dataset".into(), ..Default::default() }.encode_to_vec(),
    );
    list(
        "StudyService/ListStudies",
        Vec::new(),
        pb::ListStudiesRequest { name_prefix: "se".into(), ..Default::default() }.encode_to_vec(),
    );
    let of =
        |order: &str| pb::ListTrialsRequest { study: "search".into(), order_by: order.into(), ..Default::default() };
    list("StudyService/ListTrials", of("").encode_to_vec(), of("metrics.loss").encode_to_vec());
    lists
}

impl List {
    async fn page(&self, fixture: &Fixture, size: i64, token: &str) -> Result<(Vec<Vec<u8>>, String), tonic::Status> {
        let request = self.rpc.set(&self.request, "page_size", Value::Integer(size));
        let request = self.rpc.set(&request, "page_token", Value::Text(token));
        let answer = self.rpc.call(&fixture.channel, &request).await?;
        let items = self.rpc.output.field.iter().find(|field| field.number() == 1).unwrap().name();
        Ok((self.rpc.values(&answer, items), self.rpc.text(&answer, "next_page_token")))
    }
}

#[tokio::test]
async fn the_table_names_every_list_and_every_list_has_pages() {
    let fixture = fixture().await;
    let mut named: Vec<String> = lists(&fixture).into_iter().map(|list| list.rpc.name).collect();
    named.sort();
    assert_eq!(named, wire::with_field("page_size"));
    assert_eq!(named, wire::with_field("page_token"));
    // A run has few artifacts.
    for rpc in wire::rpcs() {
        let lists = rpc.name.contains("/List");
        assert_eq!(lists && rpc.name != "ExperimentService/ListArtifacts", named.contains(&rpc.name), "{}", rpc.name);
    }
}

#[tokio::test]
async fn a_list_is_the_same_in_pages_of_any_size_and_its_end_is_told() {
    let fixture = fixture().await;
    for list in lists(&fixture) {
        let name = &list.rpc.name;
        let (all, end) = list.page(&fixture, i64::from(i32::MAX), "").await.unwrap();
        assert!(all.len() >= 2, "{name} has too few rows for this test");
        assert_eq!(end, "", "{name}");
        assert_eq!(list.page(&fixture, 0, "").await.unwrap(), (all.clone(), String::new()), "{name}");
        for size in [1, 2, all.len() - 1, all.len()] {
            let mut token = String::new();
            let mut paged = Vec::new();
            loop {
                let (items, next) = list.page(&fixture, i64::try_from(size).unwrap(), &token).await.unwrap();
                assert!(items.len() == size || next.is_empty(), "{name}: only the last page is short");
                assert!(!items.is_empty(), "{name}: no page is empty");
                paged.extend(items);
                if next.is_empty() {
                    break;
                }
                token = next;
            }
            assert_eq!(paged, all, "{name} in pages of {size}");
        }
    }
}

#[tokio::test]
async fn a_negative_page_size_is_refused() {
    let fixture = fixture().await;
    for list in lists(&fixture) {
        for size in [-1, i64::from(i32::MIN)] {
            check_field(&list.page(&fixture, size, "").await.unwrap_err(), "page_size");
        }
    }
}

#[tokio::test]
async fn a_token_of_another_list_or_of_none_is_refused() {
    let fixture = fixture().await;
    let lists = lists(&fixture);
    let mut tokens = Vec::new();
    for list in &lists {
        let (_, token) = list.page(&fixture, 1, "").await.unwrap();
        assert_ne!(token, "", "{}", list.rpc.name);
        tokens.push(token);
    }
    for (index, list) in lists.iter().enumerate() {
        let name = &list.rpc.name;
        for (other, token) in tokens.iter().enumerate() {
            match list.page(&fixture, 1, token).await {
                Ok(_) => assert_eq!(index, other, "{name} took a token of {}", lists[other].rpc.name),
                Err(status) if index == other => panic!("{name} refused its own token: {} {status}", reason(&status)),
                Err(status) => check_field(&status, "page_token"),
            }
        }
        let own = &tokens[index];
        let shorter = &own[..own.len() - 1];
        for broken in ["x", "0", "=", "a b", "ü", "\0", "AAAAAAAAAAA", shorter, &own.repeat(2), &"A".repeat(100_000)] {
            // A token cut short may still be whole: then it must be this list's own.
            match list.page(&fixture, 1, broken).await {
                Ok(_) => assert_eq!(broken, shorter, "{name}"),
                Err(status) => check_field(&status, "page_token"),
            }
        }
        if !list.other.is_empty() {
            let request = list.rpc.set(&list.other, "page_token", Value::Text(own));
            check_field(&list.rpc.call(&fixture.channel, &request).await.unwrap_err(), "page_token");
        }
    }
}
