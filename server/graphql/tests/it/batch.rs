//! No N+1: the number of statements does not depend on the number of rows.

use serde_json::json;

use crate::log;
use crate::support::{Bench, alone};

const RUNS: &str = "{ runs(first: 100) { edges { node {
    name params { key } tags { key } metrics { key } artifacts { name }
    experiment { name }
    split { datasetVersion { number dataset { name latestVersion { number } } } }
    modelVersions { number model { name latestVersion { number } aliases { name version { number run { name } } } } }
} } } }";
const MODELS: &str = "{ models { edges { node { name aliases { name version { run { experiment { name } } } } } } } }";
const DEPLOYMENTS: &str = "{ deployments { edges { node { name model { name } currentVersion { run { name } } } } } }";
const DATASETS: &str = "{ datasets { edges { node { name latestVersion { number dataset { name } } } } } }";

/// `rows` chains from dataset to deployment, none of which shares a row with another.
async fn fill(bench: &Bench, rows: std::ops::Range<usize>) {
    for n in rows {
        let name = format!("n{n}");
        bench.import(&name, &name).await;
        let split = bench.split(&name, json!(null)).await;
        let run = bench.train(&name, &split).await;
        bench.artifact(&run, "model").await;
        bench.version(&name, &run, &name).await;
        bench.point(&name, "champion", 1).await;
        bench.deploy(&name, &name).await;
    }
}

/// The names of the statements that a query runs; what opens a connection has none.
async fn statements(bench: &Bench, query: &str) -> Vec<String> {
    let before = log::lines("sqlx").len();
    bench.data(query).await;
    let name = |line: log::Line| line.text.split_once("-- ")?.1.split_whitespace().next().map(str::to_owned);
    log::lines("sqlx").into_iter().skip(before).filter_map(name).collect()
}

#[tokio::test]
async fn statements_do_not_grow_with_rows() {
    log::start();
    alone(async |bench| {
        for rows in [0..2, 2..100] {
            fill(&bench, rows).await;
            // A run takes two, with its parameters, tags and metrics; a model two, with its aliases.
            for (query, count) in [(RUNS, 14), (MODELS, 6), (DEPLOYMENTS, 6), (DATASETS, 3)] {
                let found = statements(&bench, query).await;
                assert_eq!(found.len(), count, "{}: {query}\n{found:#?}", bench.database.name);
            }
        }
    })
    .await;
}

/// The count can fail: pages within pages are a statement each, which their cost bounds.
#[tokio::test]
async fn pages_within_pages_cost_statements_of_their_own() {
    log::start();
    alone(async |bench| {
        fill(&bench, 0..5).await;
        let nested = "{ datasets { edges { node { versions(first: 1) { edges { node { number } } } } } } }";
        let found = statements(&bench, nested).await;
        assert!(found.len() > 5, "{found:#?}");
        let many = nested.replace("datasets", "datasets(first: 1000)");
        let answer = bench.ask(&many, json!(null)).await;
        assert_eq!(crate::support::refusal(&answer), ("RESOURCE_EXHAUSTED", "QUERY_TOO_COMPLEX"));
    })
    .await;
}

#[tokio::test]
async fn nodes_of_one_kind_are_read_in_one_statement() {
    log::start();
    alone(async |bench| {
        fill(&bench, 0..9).await;
        let found = bench.data("{ datasets { edges { node { id } } } }").await;
        let ids: Vec<_> =
            found["datasets"]["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]["id"]).collect();
        let query = format!("{{ nodes(ids: {}) {{ ... on Dataset {{ name }} }} }}", json!(ids));
        assert_eq!(statements(&bench, &query).await.len(), 1);
    })
    .await;
}
