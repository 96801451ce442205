//! The read-only view shows what gRPC shows.

use serde_json::{Value, json};
use tenor_store::testing::databases;

use crate::support::*;

const JSON: &str = "content-type: application/json\r\n";

async fn query(url: &str, text: &str) -> Value {
    let (status, answer) = http(url, "POST /graphql", JSON, &json!({ "query": text }).to_string()).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["errors"]), (200, &Value::Null), "{answer:#}");
    answer["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_walks_from_the_deployment_to_the_file_that_its_model_came_from() {
    let files = tempfile::tempdir().unwrap();
    let file = reviews(files.path(), 600, 0.01);
    for server in servers().await {
        let (run, deployment) = server.serve_reviews(&file, "binary").await;
        let data = query(
            &server.url,
            "{ deployments(first: 5) { edges { node { name currentVersion { number digest run { id kind split { \
             datasetVersion { number dataset { name } } } metrics { key value } } } } } pageInfo { hasNextPage } } }",
        )
        .await;
        let node = &data["deployments"]["edges"][0]["node"];
        assert_eq!(node["name"], deployment.name);
        let version = &node["currentVersion"];
        assert_eq!(version["number"], 1);
        assert_eq!(version["run"]["kind"], run.kind);
        assert_eq!(version["run"]["split"]["datasetVersion"]["dataset"]["name"], "reviews");
        let metrics = version["run"]["metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), run.metrics.len());
        for metric in metrics {
            assert_eq!(metric["value"].as_f64(), run.metrics.get(metric["key"].as_str().unwrap()).copied());
        }
        assert_eq!(data["deployments"]["pageInfo"]["hasNextPage"], false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_changed_and_no_foreign_page_can_ask() {
    let server = Server::start(databases().await.remove(0), |_| {}).await;
    let schema = query(&server.url, "{ __schema { mutationType { name } subscriptionType { name } } }").await;
    assert_eq!(schema["__schema"], json!({ "mutationType": null, "subscriptionType": { "name": "Subscription" } }));
    let body = json!({ "query": "{ __typename }" }).to_string();
    let evil = format!("{JSON}origin: https://evil.example\r\n");
    assert_eq!(http(&server.url, "POST /graphql", &evil, &body).await.0, 403);
    // What a browser sends without asking first.
    assert_eq!(http(&server.url, "POST /graphql", "content-type: text/plain\r\n", &body).await.0, 415);
    assert_eq!(get(&server.url, "/graphql").await.0, 405);
}
