//! Internal errors: hidden from clients, logged once, found by the caller's trace.

use axum::body::Body;
use axum::http::Request;
use opentelemetry::trace::TracerProvider as _;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::log;
use crate::support::*;

const CORRUPT: &str = "UPDATE experiments SET tags = 'secret nonsense'";

#[tokio::test]
async fn an_internal_cause_is_logged_once_and_never_shown() {
    log::start();
    for bench in benches().await {
        for name in ["a", "b", "c"] {
            bench.run_in_new("e", name).await;
        }
        bench.sql(CORRUPT).await;
        // Once by a list, and once by a batch that three fields wait for.
        for (query, errors) in [
            ("{ experiments { edges { node { name } } } }", 1),
            ("{ runs { edges { node { name experiment { name } } } } }", 3),
        ] {
            let answer = bench.ask(query, Value::Null).await;
            let shown = answer.to_string();
            assert!(!shown.contains("secret") && !shown.contains("tags"), "{shown}");
            assert_eq!(answer["errors"].as_array().unwrap().len(), errors, "{shown}");
            for error in answer["errors"].as_array().unwrap() {
                let (code, reason) = (&error["extensions"]["code"], &error["extensions"]["reason"]);
                assert_eq!((code, reason), (&json!("INTERNAL"), &json!("INTERNAL")));
                let reference = error["extensions"]["reference"].as_str().unwrap();
                assert!(error["message"].as_str().unwrap().contains(reference));
                let logged = log::lines("tenor_graphql").into_iter().filter(|line| line.text.contains(reference));
                let logged: Vec<_> = logged.collect();
                assert_eq!(logged.len(), 1, "{logged:?}");
                assert!(logged[0].text.contains("cannot be decoded"), "{logged:?}");
            }
        }
        // What is well is shown all the same.
        let answer = bench.ask("{ runs { edges { node { name experiment { name } } } } }", Value::Null).await;
        assert_eq!(answer["data"]["runs"]["edges"][0]["node"], json!({ "name": "c", "experiment": null }));
    }
}

#[tokio::test]
async fn the_callers_trace_goes_on() {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _on_this_thread = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    for bench in benches().await {
        bench.run_in_new("e", "a").await;
        bench.sql(CORRUPT).await;
        let ask = |query: &str, parent: &str| {
            let body = json!({ "query": query }).to_string();
            let request = Request::post("/graphql").header("content-type", "application/json");
            send(&bench.router, request.header("traceparent", parent).body(Body::from(body)).unwrap())
        };
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = format!("00-{trace}-b7ad6b7169203331-01");
        for query in ["{ experiment(name: \"e\") { name } }", "{ runs { edges { node { experiment { name } } } } }"] {
            let (_, answer) = ask(query, &parent).await;
            assert_eq!(answer["errors"][0]["extensions"]["reference"], trace, "{answer}");
            let (_, answer) = ask(query, "00-nonsense").await;
            let reference = answer["errors"][0]["extensions"]["reference"].as_str().unwrap();
            assert!(reference.len() == 32 && reference != trace, "{answer}");
        }
    }
}
