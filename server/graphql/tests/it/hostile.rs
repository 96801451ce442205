//! Hostile values in every argument: refused or harmless, never an internal error.

use serde_json::{Value, json};

use crate::support::*;

const FIELDS: [&str; 18] = [
    "dataset(name: $x) { id }",
    "datasets(namePrefix: $x) { edges { cursor } }",
    "datasets(after: $x) { edges { cursor } }",
    "datasetVersion(dataset: $x) { id }",
    "splits(dataset: $x) { edges { cursor } }",
    "experiment(name: $x) { id }",
    "runs(experiments: [$x]) { edges { cursor } }",
    "runs(filter: $x) { edges { cursor } }",
    "runs(orderBy: $x) { edges { cursor } }",
    "runs(after: $x) { edges { cursor } }",
    "model(name: $x) { id }",
    "modelVersion(model: \"m\", version: $x) { id }",
    "deployment(name: $x) { id }",
    "jobs(kind: $x) { edges { cursor } }",
    "jobs(after: $x) { edges { cursor } }",
    "model(name: \"m\") { aliasHistory(alias: $x) { edges { cursor } } }",
    "model(name: \"m\") { alias(name: $x) { etag } }",
    "runs { edges { node { metricHistory(key: $x) { edges { cursor } } } } }",
];

const IDS: [&str; 4] =
    ["node(id: $x) { id }", "nodes(ids: [$x, $x]) { id }", "run(id: $x) { id }", "job(id: $x) { id }"];

fn texts() -> Vec<String> {
    [
        "",
        "'; DROP TABLE runs; --",
        "\" OR 1=1",
        "a\0b",
        "\0",
        "name = 'a\0b'",
        "tags.\"a\0\" = 'x'",
        "name LIKE '%\\'",
        "\u{202e}\u{feff}🦀",
        "../../etc/passwd",
        "%_",
        "{{7*7}}",
        "NaN",
        "99999999999999999999999999",
        "-1",
        "v0",
        "\r\nset-cookie: a=b",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        "x".repeat(100_000),
        "(".repeat(20_000),
        format!("metrics.a > {}", "9".repeat(5_000)),
        "NOT ".repeat(4_000) + "name = 'a'",
        vec!["name = 'a'"; 1_000].join(" OR "),
    ])
    .collect()
}

#[track_caller]
fn check(answer: &Value, what: &str) {
    for error in answer["errors"].as_array().into_iter().flatten() {
        let code = error["extensions"]["code"].as_str().unwrap();
        assert!(matches!(code, "INVALID_ARGUMENT" | "NOT_FOUND" | "RESOURCE_EXHAUSTED"), "{what:.200}: {error}");
        assert!(error["message"].as_str().unwrap().len() < 20_000, "{what:.200}");
    }
}

#[tokio::test]
async fn hostile_texts_are_refused_or_harmless() {
    for bench in benches().await {
        let run = bench.run_in_new("e", "r").await;
        bench.version("m", &run, "1").await;
        for text in texts() {
            for (fields, kind) in [(&FIELDS[..], "String"), (&IDS[..], "ID")] {
                for field in fields {
                    let answer = bench.ask(&format!("query($x: {kind}!) {{ {field} }}"), json!({ "x": text })).await;
                    check(&answer, &format!("{}: {field} with {text:?}", bench.database.name));
                }
            }
        }
        assert_eq!(bench.data("{ runs { edges { node { name } } } }").await["runs"]["edges"][0]["node"]["name"], "r");
    }
}

#[tokio::test]
async fn hostile_variables_are_refused_or_harmless() {
    for bench in benches().await {
        let query = "query($n: Long, $first: Int, $states: [JobState!]) {
            datasetVersion(dataset: \"d\", number: $n) { id }
            jobs(first: $first, states: $states) { edges { cursor } } }";
        bench.import("d", "x").await;
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!([deep]);
        }
        for value in [
            json!({ "n": i64::MIN }),
            json!({ "n": i64::MAX.to_string() }),
            json!({ "n": 1e300 }),
            json!({ "n": deep }),
            json!({ "n": { "a": 1 } }),
            json!({ "first": 1e10 }),
            json!({ "first": "1" }),
            json!({ "states": vec!["READY"; 10_000] }),
            json!({ "states": ["NOTHING"] }),
            json!({ "states": null, "unknown": "x" }),
        ] {
            check(&bench.ask(query, value.clone()).await, &value.to_string());
        }
    }
}

/// A cursor's checksum is no signature: whoever knows how it is made can write another key.
#[tokio::test]
async fn forged_cursors_are_refused_or_harmless() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    for bench in benches().await {
        for name in ["a", "b"] {
            bench.run_in_new(name, name).await;
        }
        for (list, field) in [
            ("runs", "runs(first: 1"),
            ("experiments", "experiments(first: 1"),
            ("runs", "runs(orderBy: \"name, metrics.a\", first: 1"),
        ] {
            let data = bench.data(&format!("{{ {field}) {{ pageInfo {{ endCursor }} }} }}")).await;
            let cursor = data[list]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
            let sealed = URL_SAFE_NO_PAD.decode(cursor).unwrap();
            let keys = [
                "",
                "null",
                "{}",
                "[]",
                "\"\\u0000\"",
                "[[],\"\\u0000\"]",
                "[[{\"T\":\"\\u0000\"},{\"N\":1}],\"\"]",
                "[[{\"I\":1},{\"I\":1}],\"x\"]",
                "[[],\"x\"]",
                "\"zzz\"",
                "[[{\"N\":18446744073709551615}],\"x\"]",
                "1e999",
            ];
            for key in keys {
                let forged = URL_SAFE_NO_PAD.encode([&sealed[..8], key.as_bytes()].concat());
                let answer = bench
                    .ask(&format!("{{ {field}, after: \"{forged}\") {{ edges {{ cursor }} }} }}"), Value::Null)
                    .await;
                check(&answer, &format!("{}: {field} after {key}", bench.database.name));
            }
        }
    }
}
