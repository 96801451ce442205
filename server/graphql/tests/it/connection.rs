//! Connections: pages cover a list without loss or repeat, and every cursor goes on after its edge.

use serde_json::{Value, json};

use crate::support::*;

/// A connection somewhere in the schema.
struct Place {
    /// The field around it with its closing brace, e.g. `("model(name: \"m\") {", "}")`; empty at the root.
    outer: (String, &'static str),
    field: &'static str,
    /// With a comma at the end.
    arguments: &'static str,
    /// What tells one node from another.
    key: &'static str,
    count: usize,
}

fn root(field: &'static str, arguments: &'static str, key: &'static str, count: usize) -> Place {
    Place { outer: (String::new(), ""), field, arguments, key, count }
}

fn within(outer: &str, field: &'static str, arguments: &'static str, key: &'static str, count: usize) -> Place {
    Place { outer: (format!("{outer} {{"), "}"), field, arguments, key, count }
}

struct Found {
    keys: Vec<String>,
    cursors: Vec<Value>,
    info: Value,
}

async fn page(bench: &Bench, place: &Place, first: usize, after: &Value) -> Found {
    let Place { outer: (open, close), field, arguments, key, .. } = place;
    let query = format!(
        "query($after: String) {{ {open} {field}({arguments} first: {first}, after: $after) {{
            edges {{ cursor node {{ {key} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
        }} {close} }}"
    );
    let data = bench.data_of(&query, json!({ "after": after })).await;
    let outermost = data.as_object().unwrap().values().next().unwrap();
    let connection = if open.is_empty() { outermost } else { &outermost[field] };
    let edges = connection["edges"].as_array().unwrap();
    Found {
        keys: edges.iter().map(|edge| edge["node"].to_string()).collect(),
        cursors: edges.iter().map(|edge| edge["cursor"].clone()).collect(),
        info: connection["pageInfo"].clone(),
    }
}

async fn check(bench: &Bench, place: &Place) {
    let name = format!("{}: {}({})", bench.database.name, place.field, place.arguments);
    let all = page(bench, place, 1_000, &Value::Null).await;
    assert_eq!(all.keys.len(), place.count, "{name}: {:?}", all.keys);
    assert_eq!((&all.info["hasNextPage"], &all.info["hasPreviousPage"]), (&json!(false), &json!(false)), "{name}");
    assert_eq!(
        (Some(&all.info["startCursor"]), Some(&all.info["endCursor"])),
        (all.cursors.first(), all.cursors.last())
    );
    for first in 1..=place.count {
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let found = page(bench, place, first, &after).await;
            assert_eq!(found.info["hasPreviousPage"], json!(!after.is_null()), "{name}");
            seen.extend(found.keys);
            if found.info["hasNextPage"] == json!(false) {
                break;
            }
            after = found.info["endCursor"].clone();
        }
        assert_eq!(seen, all.keys, "{name} by {first}");
    }
    for (index, cursor) in all.cursors.iter().enumerate() {
        let rest = page(bench, place, 1_000, cursor).await;
        assert_eq!(rest.keys, all.keys[index + 1..], "{name} after edge {index}");
    }
}

/// Runs whose order has ties and holes: metrics 1, 1, 2, NaN and none.
async fn runs(bench: &Bench) {
    bench.experiment("e").await;
    for (name, f1) in [("a", Some(1.0)), ("b", Some(1.0)), ("c", Some(2.0)), ("d", Some(f64::NAN)), ("e", None)] {
        let run = bench.run("e", name).await;
        if let Some(f1) = f1 {
            bench.log(&run, "f1", &[(i64::MIN, 9.0), (0, f64::INFINITY), (i64::MAX, f1)]).await;
        }
        bench.clock.advance_ms(1);
    }
}

#[tokio::test]
async fn pages_cover_every_list_and_every_cursor_goes_on_after_its_edge() {
    for bench in benches().await {
        for name in ["a-b", "a.b", "a_b", "ab", "b"] {
            bench.import(name, name).await;
            bench.experiment(name).await;
        }
        for text in ["x", "y", "z"] {
            bench.import("b", text).await;
            bench.split("b", json!({ "seed": text })).await;
        }
        bench.split("b", json!({ "seed": 1 })).await;
        runs(&bench).await;
        let run = bench.run("ab", "other").await;
        bench.log(&run, "loss", &[(1, 0.5), (2, 0.25), (3, f64::NAN)]).await;
        for model in ["m1", "m2", "m3"] {
            bench.version(model, &run, "1").await;
            bench.deploy(model, model).await;
        }
        bench.version("m1", &run, "2").await;
        for version in [1, 2, 1, 2] {
            bench.point("m1", "champion", version).await;
        }
        let job = bench.import("jobs", "x").await.job_id.unwrap();
        bench.jobs().cancel(job).await.unwrap();
        bench.queue().requeue(job).await.unwrap();
        bench.jobs().cancel(job).await.unwrap();
        let run = format!("run(id: \"{}\")", run.id);
        let job = format!("job(id: \"{job}\")");
        let places = [
            root("datasets", "", "name", 6),
            root("datasets", "namePrefix: \"a\",", "name", 4),
            within("dataset(name: \"b\")", "versions", "", "number", 4),
            within("datasetVersion(dataset: \"b\", number: 4)", "splits", "", "id", 2),
            root("splits", "dataset: \"b\",", "id", 4),
            root("experiments", "", "name", 6),
            within("experiment(name: \"e\")", "runs", "filter: \"params.C = 0.5\",", "name", 5),
            root("runs", "", "id", 6),
            root("runs", "orderBy: \"metrics.f1 DESC\",", "name", 6),
            root("runs", "orderBy: \"metrics.f1, name DESC\",", "name", 6),
            root("runs", "orderBy: \"tags.team, params.C DESC, start_time\",", "name", 6),
            within(&run, "metricHistory", "key: \"loss\",", "step value", 3),
            root("models", "", "name", 3),
            within("model(name: \"m1\")", "versions", "", "number", 2),
            within(
                "model(name: \"m1\")",
                "aliasHistory",
                "alias: \"champion\",",
                "etag versionNumber previousNumber",
                4,
            ),
            root("deployments", "", "name", 3),
            root("jobs", "", "id", 13),
            root("jobs", "states: [CANCELLED, READY, READY], kind: \"import_dataset\",", "id", 9),
            within(&job, "events", "", "seq message", 3),
        ];
        for place in &places {
            check(&bench, place).await;
        }
    }
}

#[tokio::test]
async fn a_page_of_a_job_with_a_long_history_is_whole() {
    for bench in benches().await {
        let job = bench.import("a", "x").await.job_id.unwrap();
        const LINES: &str = "INSERT INTO job_events (job_id, seq, at, level, message)
            WITH RECURSIVE n (seq) AS (SELECT 1000 UNION ALL SELECT seq + 1 FROM n WHERE seq < 3100)
            SELECT jobs.id, n.seq, 0, 'info', 'line' FROM jobs, n";
        bench.sql(LINES).await;
        let query = format!(
            "query($after: String) {{ job(id: {job}) {{ events(first: 1000, after: $after) {{
                edges {{ node {{ seq }} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        );
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let data = bench.data_of(&query, json!({ "after": after })).await;
            let events = &data["job"]["events"];
            seen.extend(events["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["seq"].as_i64().unwrap()));
            if events["pageInfo"]["hasNextPage"] == json!(false) {
                break;
            }
            after = events["pageInfo"]["endCursor"].clone();
        }
        let last: Vec<i64> = (1_000..=3_100).collect();
        assert!(seen.ends_with(&last) && seen.len() < last.len() + 5, "{}", seen.len());
    }
}

#[tokio::test]
async fn wrong_pages_are_refused_by_the_argument_that_is_wrong() {
    for bench in benches().await {
        bench.experiment("e").await;
        bench.experiment("f").await;
        let data = bench.data("{ experiments(first: 1) { pageInfo { endCursor } } }").await;
        let cursor = data["experiments"]["pageInfo"]["endCursor"].as_str().unwrap();
        for (arguments, field) in [
            ("first: 0".to_owned(), "first"),
            ("first: -1".to_owned(), "first"),
            ("first: 1001".to_owned(), "first"),
            ("first: -2147483648".to_owned(), "first"),
            ("after: \"\"".to_owned(), "after"),
            ("after: \"x\"".to_owned(), "after"),
            (format!("after: \"{cursor}\", namePrefix: \"e\""), "after"),
        ] {
            let answer =
                bench.ask(&format!("{{ experiments({arguments}) {{ edges {{ cursor }} }} }}"), json!(null)).await;
            assert_eq!(refusal(&answer), ("INVALID_ARGUMENT", "INVALID_FIELD"), "{answer}");
            assert_eq!(answer["errors"][0]["extensions"]["fields"][0]["field"], field, "{answer}");
            assert!(!answer.to_string().contains("token"), "{answer}");
        }
        let wrong = "{ runs(orderBy: \"nothing\") { edges { cursor } } }";
        let answer = bench.ask(wrong, json!(null)).await;
        assert_eq!(answer["errors"][0]["extensions"]["fields"][0]["field"], "orderBy", "{answer}");
    }
}
