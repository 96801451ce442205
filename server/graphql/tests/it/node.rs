//! Nodes by global id, and what every kind of node shows.

use serde_json::{Value, json};

use crate::support::*;

/// One of each kind; the names of their types.
async fn fill(bench: &Bench) -> Vec<(&'static str, String)> {
    bench.import("kindle", "x").await;
    let split = bench.split("kindle", Value::Null).await;
    let run = bench.train("training", &split).await;
    bench.artifact(&run, "plots/confusion.svg").await;
    bench.log(&run, "f1", &[(1, f64::NAN)]).await;
    bench.version("stars", &run, "1").await;
    bench.point("stars", "champion", 1).await;
    bench.deploy("web", "stars").await;
    let query = "{ run: runs { edges { node { id split { id datasetVersion { id dataset { id } } } experiment { id }
        modelVersions { id model { id } } jobId } } } deployments { edges { node { id } } } }";
    let data = bench.data(query).await;
    let run = &data["run"]["edges"][0]["node"];
    let id = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no id in {data}")).to_owned();
    vec![
        ("Dataset", id(&run["split"]["datasetVersion"]["dataset"]["id"])),
        ("DatasetVersion", id(&run["split"]["datasetVersion"]["id"])),
        ("Split", id(&run["split"]["id"])),
        ("Experiment", id(&run["experiment"]["id"])),
        ("Run", id(&run["id"])),
        ("Model", id(&run["modelVersions"][0]["model"]["id"])),
        ("ModelVersion", id(&run["modelVersions"][0]["id"])),
        ("Deployment", id(&data["deployments"]["edges"][0]["node"]["id"])),
        ("Job", id(&run["jobId"])),
    ]
}

#[tokio::test]
async fn every_kind_of_node_is_found_by_its_global_id() {
    for bench in benches().await {
        let nodes = fill(&bench).await;
        for (kind, id) in &nodes {
            let data = bench.data_of("query($id: ID!) { node(id: $id) { __typename id } }", json!({ "id": id })).await;
            assert_eq!(data["node"], json!({ "__typename": kind, "id": id }));
        }
        let ids: Vec<_> = nodes.iter().rev().map(|(_, id)| id.as_str()).collect();
        let gone = "Sm9iOjk5OTk5"; // Job:99999
        let ids = [&ids[..], &[gone, ids[0], ids[0]]].concat();
        let data = bench.data_of("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": ids })).await;
        let found: Vec<_> = data["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str()).collect();
        let expected: Vec<_> = ids.iter().map(|id| (*id != gone).then_some(*id)).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn wrong_ids_and_too_many_are_refused() {
    for bench in benches().await {
        let (_, run) = fill(&bench).await.swap_remove(4);
        for (query, field) in [
            ("{ node(id: \"\") { id } }".to_owned(), "id"),
            ("{ node(id: \"Run:1\") { id } }".to_owned(), "id"),
            ("{ nodes(ids: [\"Sm9iOjE\", \"x\"]) { id } }".to_owned(), "id"),
            (format!("{{ split(id: \"{run}\") {{ id }} }}"), "id"),
            ("{ job(id: 0) { id } }".to_owned(), "id"),
            (format!("{{ nodes(ids: {:?}) {{ id }} }}", vec![&run; 101]), "ids"),
        ] {
            let answer = bench.ask(&query, Value::Null).await;
            assert_eq!(refusal(&answer), ("INVALID_ARGUMENT", "INVALID_FIELD"), "{answer}");
            assert_eq!(answer["errors"][0]["extensions"]["fields"][0]["field"], field);
        }
    }
}

#[tokio::test]
async fn names_and_raw_ids_find_the_same_and_what_is_missing_says_so() {
    for bench in benches().await {
        fill(&bench).await;
        for (field, name) in
            [("dataset", "kindle"), ("experiment", "training"), ("model", "stars"), ("deployment", "web")]
        {
            let by = |name: &str| format!("{{ {field}(name: \"{name}\") {{ id rawId }} }}");
            let found = bench.data(&by(name)).await;
            let raw = found[field]["rawId"].as_str().unwrap();
            assert_eq!(bench.data(&by(raw)).await, found);
            let answer = bench.ask(&by("missing"), Value::Null).await;
            assert_eq!((refusal(&answer), &answer["data"][field]), (("NOT_FOUND", "NOT_FOUND"), &Value::Null));
        }
    }
}

#[tokio::test]
async fn values_of_every_kind_are_shown() {
    for bench in benches().await {
        fill(&bench).await;
        let data = bench
            .data(
                "{ runs { edges { node {
                    kind state params { key kind value } metrics { key value } spec createTime startTime
                    artifacts { name digest sizeBytes mediaType }
                    metricHistory(key: \"f1\") { edges { node { step value time } } }
                    split { options outcome { train { rows } } }
                } } }
                modelVersion(model: \"stars\", version: \"champion\") { number classes metrics { key value } sizeBytes }
                model(name: \"stars\") { alias(name: \"champion\") { version { number } previousNumber why actor }
                    old: alias(name: \"champion\", asOf: \"2026-11-24T00:00:00Z\") { versionNumber } }
                deployment(name: \"web\") { targetAlias targetVersion contractMode currentVersion { number } }
                jobs(states: [WAITING]) { edges { node { kind state progress payload } } } }",
            )
            .await;
        let run = &data["runs"]["edges"][0]["node"];
        assert_eq!(
            (&run["kind"], &run["state"], &run["startTime"]),
            (&json!("logreg"), &json!("PENDING"), &Value::Null)
        );
        let params = json!([
            { "key": "C", "kind": "FLOAT", "value": 0.5 },
            { "key": "seed", "kind": "TEXT", "value": u64::MAX.to_string() },
        ]);
        assert_eq!((&run["params"], &run["metrics"]), (&params, &json!([{ "key": "f1", "value": "NaN" }])));
        assert_eq!(run["metricHistory"]["edges"][0]["node"]["time"], START.to_rfc3339());
        assert_eq!((&run["spec"]["kind"], &run["createTime"]), (&json!("logreg"), &json!(START.to_rfc3339())));
        assert_eq!((&run["artifacts"][0]["sizeBytes"], &run["split"]["outcome"]), (&json!(19), &Value::Null));
        let version = &data["modelVersion"];
        assert_eq!((&version["number"], &version["classes"]), (&json!(1), &json!(["negative", "positive"])));
        let alias = json!({ "version": { "number": 1 }, "previousNumber": null, "why": "why", "actor": "anonymous" });
        assert_eq!((&data["model"]["alias"], &data["model"]["old"]["versionNumber"]), (&alias, &json!(1)));
        let web = json!({ "targetAlias": "champion", "targetVersion": null, "contractMode": "WARN", "currentVersion": { "number": 1 } });
        assert_eq!(data["deployment"], web);
        assert_eq!(data["jobs"]["edges"].as_array().unwrap().len(), 2);
    }
}
