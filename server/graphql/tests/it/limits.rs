//! Bombs of every kind are refused, cheaply.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenor_graphql::Limits;

use crate::support::*;

#[track_caller]
fn check(answer: &Value, reason: &str) {
    assert_eq!(refusal(answer), ("RESOURCE_EXHAUSTED", reason), "{answer}");
    assert_eq!(answer["data"], Value::Null);
}

#[tokio::test]
async fn deep_queries_are_refused() {
    for bench in benches().await {
        let deep = |levels: usize| {
            let circle = "experiment { runs { edges { node { ".repeat(levels);
            format!("{{ runs {{ edges {{ node {{ {circle} name {} }} }} }} }}", "} ".repeat(4 * levels))
        };
        check(&bench.ask(&deep(4), Value::Null).await, "QUERY_TOO_DEEP");
        check(&bench.ask(&"{ a ".repeat(10_000), Value::Null).await, "QUERY_TOO_DEEP");
        check(&bench.ask(&format!("{{ a(x: {}", "[".repeat(30_000)), Value::Null).await, "QUERY_TOO_DEEP");
        bench.data(&deep(0)).await;
    }
}

#[tokio::test]
async fn costly_queries_are_refused_whatever_the_spelling_of_the_size() {
    for bench in benches().await {
        let nested = "{ experiments(first: 1000) { edges { node { runs(first: 1000) { edges { node { id } } } } } } }";
        check(&bench.ask(nested, Value::Null).await, "QUERY_TOO_COMPLEX");
        let variable = "query($n: Int = 1000) { experiments(first: $n) { edges { node { runs(first: $n) { edges { node { id } } } } } } }";
        check(&bench.ask(variable, Value::Null).await, "QUERY_TOO_COMPLEX");
        check(&bench.ask(variable, json!({ "n": i32::MAX })).await, "QUERY_TOO_COMPLEX");
        bench.data_of(variable, json!({ "n": 5 })).await;
        // Sizes multiply without overflow.
        let huge = format!("first: {}", i32::MAX);
        let nested = format!(
            "{{ experiments({huge}) {{ edges {{ node {{ runs({huge}) {{ edges {{ node {{ metricHistory(key: \"a\", {huge}) {{ edges {{ node {{ step }} }} }} }} }} }} }} }} }} }}"
        );
        check(&bench.ask(&nested, Value::Null).await, "QUERY_TOO_COMPLEX");
        // A page of the largest size of what a table of runs shows is not too much.
        bench.data("{ runs(first: 1000) { edges { node { id name state createTime metrics { key value } } } } }").await;
    }
}

#[tokio::test]
async fn aliases_directives_and_fragments_are_counted_before_anything_runs() {
    for bench in benches().await {
        let aliases: String = (0..1_000).map(|n| format!("a{n}: runs {{ edges {{ cursor }} }} ")).collect();
        check(&bench.ask(&format!("{{ {aliases} }}"), Value::Null).await, "QUERY_TOO_LARGE");
        let directives = "@skip(if: false) ".repeat(2_000);
        check(&bench.ask(&format!("{{ __typename {directives} }}"), Value::Null).await, "QUERY_TOO_LARGE");
        let mut fragments = "{ ...F0 }".to_owned();
        for n in 0..60 {
            fragments += &format!(" fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1);
        }
        fragments += " fragment F60 on Query { __typename }";
        let started = Instant::now();
        check(&bench.ask(&fragments, Value::Null).await, "QUERY_TOO_LARGE");
        assert!(started.elapsed() < Duration::from_secs(1));
        let circle = "{ ...A } fragment A on Query { __typename ...B } fragment B on Query { ...A }";
        assert_eq!(refusal(&bench.ask(circle, Value::Null).await), ("INVALID_ARGUMENT", "QUERY_INVALID"));
        let types = "fields { type { fields { type { fields { name } } } } }";
        check(&bench.ask(&format!("{{ __schema {{ types {{ {types} }} }} }}"), Value::Null).await, "QUERY_TOO_DEEP");
    }
}

#[tokio::test]
async fn large_texts_are_refused_and_many_errors_cut() {
    for bench in benches().await {
        let long = format!("{{ __typename #{}\n }}", "x".repeat(64 << 10));
        check(&bench.ask(&long, Value::Null).await, "QUERY_TOO_LARGE");
        let wrong: String = (0..900).map(|n| format!("f{n} ")).collect();
        let answer = bench.ask(&format!("{{ {wrong} }}"), Value::Null).await;
        assert_eq!(answer["errors"].as_array().unwrap().len(), 100);
        assert_eq!(refusal(&answer), ("INVALID_ARGUMENT", "QUERY_INVALID"));
    }
}

#[tokio::test]
async fn a_query_ends_at_its_deadline() {
    for bench in benches_with(Limits { deadline: Duration::from_millis(50), ..Limits::default() }).await {
        // The query has to wait for a connection.
        let mut held = Vec::new();
        while let Ok(Ok(tx)) = tokio::time::timeout(Duration::from_millis(200), bench.db().begin_read()).await {
            held.push(tx);
        }
        let answer = bench.ask("{ runs { edges { cursor } } }", Value::Null).await;
        assert_eq!(refusal(&answer), ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"), "{answer}");
        assert!(bench.registry.encode().contains("tenor_graphql_requests_total{outcome=\"DEADLINE_EXCEEDED\"} 1"));
    }
}
