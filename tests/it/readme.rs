//! The example of this crate's README is this file.

use serde_json::json;
use tenor_sdk::{Kind, TrainRun};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_an_unknown_kind_is_refused_on_every_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 300, 0.0);
    for server in servers().await {
        server.import("reviews", &file, &json!(null)).await;
        let split = server.split("reviews", &json!({ "task": "binary" })).await;
        let train = TrainRun::new("example", split.id, "crystal_ball");
        let error = server.client.experiments().train(train).await.unwrap_err();
        assert_eq!((error.kind(), error.violations()[0].field.as_str()), (Kind::InvalidArgument, "kind"));
        server.stop().await;
    }
}

#[test]
fn the_readme_shows_this_example() {
    let body = include_str!("readme.rs").split_once("\n\n").and_then(|(_, rest)| rest.split_once("\n#[test]"));
    assert!(include_str!("../README.md").contains(body.unwrap().0), "copy the example into tests/README.md");
}
