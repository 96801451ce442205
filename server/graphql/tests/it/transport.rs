//! HTTP: what is a query, and what is refused before it becomes one.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::*;

fn request(method: Method, kind: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri("/graphql");
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn only_json_is_a_query() {
    for bench in benches().await {
        let query = json!({ "query": "{ __typename }" }).to_string();
        for kind in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
            let (status, answer) = send(&bench.router, request(Method::POST, Some(kind), query.clone())).await;
            assert_eq!((status, &answer["data"]["__typename"]), (StatusCode::OK, &json!("Query")));
        }
        // Each of the first three can be sent by a form of another site.
        for kind in [
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/graphql"),
            Some("application/jsonp"),
            Some("text/plain; application/json"),
            None,
        ] {
            let (status, answer) = send(&bench.router, request(Method::POST, kind, query.clone())).await;
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
            assert_eq!(refusal(&answer), ("INVALID_ARGUMENT", "MEDIA_TYPE_UNSUPPORTED"));
        }
    }
}

#[tokio::test]
async fn only_post_is_a_query_and_other_paths_are_left_to_the_host() {
    for bench in benches().await {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let response = bench.router.clone().oneshot(request(method, None, Body::empty())).await.unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()["allow"], "POST");
        }
        let host = Router::new().merge(bench.router.clone()).fallback(async || "elsewhere");
        let elsewhere = Request::get("/graphiql").body(Body::empty()).unwrap();
        assert_eq!(host.oneshot(elsewhere).await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn bodies_that_are_no_query_are_refused_in_the_same_form() {
    for bench in benches().await {
        let deep = format!("{{\"query\":\"{{a}}\",\"variables\":{{\"x\":{}", "[".repeat(100_000));
        for body in ["", "[]", "{", "null", "\"{ a }\"", "{\"query\": 1}", "[{\"query\": \"{ __typename }\"}]", &deep] {
            let (status, answer) = send(&bench.router, post(body.to_owned())).await;
            assert_eq!((status, refusal(&answer)), (StatusCode::BAD_REQUEST, ("INVALID_ARGUMENT", "QUERY_INVALID")));
        }
        let (status, answer) = send(&bench.router, post("x".repeat((256 << 10) + 1))).await;
        assert_eq!(
            (status, refusal(&answer)),
            (StatusCode::PAYLOAD_TOO_LARGE, ("RESOURCE_EXHAUSTED", "QUERY_TOO_LARGE"))
        );
    }
}

#[tokio::test]
async fn mistakes_in_a_query_say_where() {
    for bench in benches().await {
        for (query, says) in [
            ("{ a(x: }", "expected"),
            ("{ nothing }", "unknown field \"nothing\""),
            ("{ runs { edges } }", "subfield"),
            ("mutation { deleteRun }", "mutation"),
            ("{ runs(first: \"x\") { edges { cursor } } }", "first"),
            ("query($x: Long!) { split(id: $x) { id } }", "x"),
            ("{ jobs(states: [NOTHING]) { edges { cursor } } }", "NOTHING"),
            ("subscription { jobEvents(jobId: 1) { seq } }", "subscription"),
        ] {
            let answer = bench.ask(query, Value::Null).await;
            assert_eq!(refusal(&answer), ("INVALID_ARGUMENT", "QUERY_INVALID"), "{query}");
            let message = answer["errors"][0]["message"].as_str().unwrap();
            assert!(message.to_lowercase().contains(&says.to_lowercase()), "{query}: {message}");
        }
        let two = "query A { __typename } query B { node(id: \"Sm9iOjE\") { id } }";
        assert_eq!(refusal(&bench.ask(two, Value::Null).await).1, "QUERY_INVALID");
        let body = json!({ "query": two, "operationName": "B" }).to_string();
        assert_eq!(send(&bench.router, post(body)).await.1, json!({ "data": { "node": null } }));
    }
}

#[tokio::test]
async fn operations_are_counted_by_outcome() {
    for bench in benches().await {
        bench.data("{ __typename }").await;
        bench.data("{ __typename }").await;
        bench.ask("{ nothing }", Value::Null).await;
        bench.ask("{ model(name: \"m\") { id } }", Value::Null).await;
        send(&bench.router, request(Method::GET, None, Body::empty())).await;
        let text = bench.registry.encode();
        for series in [
            "tenor_graphql_requests_total{outcome=\"OK\"} 2",
            "tenor_graphql_requests_total{outcome=\"INVALID_ARGUMENT\"} 2",
            "tenor_graphql_requests_total{outcome=\"NOT_FOUND\"} 1",
            "tenor_graphql_duration_seconds_count 4",
        ] {
            assert!(text.contains(series), "{series}\n{text}");
        }
    }
}
