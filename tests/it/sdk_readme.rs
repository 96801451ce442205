//! The examples of the SDK's README on a live server. The files of this module are the examples, to the letter.

mod label;
mod search;
#[expect(dead_code, reason = "`main` knows one address; the test calls what it calls")]
mod serve;

use tenor_sdk::types::JobEvent;
use tenor_sdk::{ClientBuilder, Kind, NewRun, blocking};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_readme_serve_a_model_and_label_texts_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 1_000, 0.0);
    for server in servers().await {
        let answer = serve::serve(&server.url, file.to_str().unwrap()).await.unwrap();
        assert_eq!((answer.model.as_str(), answer.model_version), ("reviews", 1));
        let again = serve::serve(&server.url, file.to_str().unwrap()).await.unwrap_err();
        assert_eq!(again.kind(), Kind::AlreadyExists, "all but the deployment may be asked for twice: {again}");
        // A file that cannot be imported: the job says so, and with it the example.
        let broken = folder.path().join("broken.csv");
        std::fs::write(&broken, "name,age\nwolf,7\n").unwrap();
        let failed = serve::serve(&server.url, broken.to_str().unwrap()).await.unwrap_err();
        assert_eq!((failed.kind(), failed.reason()), (Kind::FailedPrecondition, "JOB_FAILED"), "{failed}");

        let url = server.url.clone();
        let text = "I could not put it down";
        let labels = without_runtime(move || label::label(&url, &[text, "a waste of time"])).await.unwrap();
        assert_eq!((labels.len(), &labels[0]), (2, &answer.prediction.unwrap().label));

        search::search(&server.url, "me", |params| params.len() as f64).await.unwrap();
        assert_eq!(server.client.studies().get("mine").await.unwrap().trial_count, 50);
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_client_lists_all_pages_follows_events_and_is_shared_by_threads() {
    let folder = tempfile::tempdir().unwrap();
    let file = reviews(folder.path(), 300, 0.0);
    for server in servers().await {
        let version = server.import("reviews", &file, &serde_json::Value::Null).await;
        let url = server.url.clone();
        without_runtime(move || {
            let client = blocking::Client::new(ClientBuilder::new(url).attempts(2)).unwrap();
            client.run(async |tenor| tenor.experiments().create("e").await).unwrap();
            let work = || {
                for _ in 0..30 {
                    client.run(async |tenor| tenor.experiments().create_run(NewRun::new("e")).await).unwrap();
                }
            };
            std::thread::scope(|scope| [scope.spawn(work), scope.spawn(work)].map(|thread| thread.join().unwrap()));
            let runs = client.list(|tenor| tenor.experiments().runs(Default::default())).unwrap();
            assert_eq!(runs.len(), 60, "the default page holds 50");

            let events: Vec<JobEvent> =
                client.iter(|tenor| tenor.jobs().watch(version.job_id, 0)).map(Result::unwrap).collect();
            assert!(events.len() > 1 && events.is_sorted_by_key(|event| event.seq), "{events:?}");

            let mut absent = client.iter(|tenor| tenor.datasets().versions("absent"));
            assert_eq!(absent.next().unwrap().unwrap_err().kind(), Kind::NotFound);
            assert!(absent.next().is_none(), "an error is the last item");
        })
        .await;
        server.stop().await;
    }
}

#[test]
fn the_readme_of_the_sdk_shows_these_examples() {
    let readme = include_str!("../../sdk-rust/README.md");
    let serve = include_str!("sdk_readme/serve.rs");
    for example in [serve, include_str!("sdk_readme/label.rs"), include_str!("sdk_readme/search.rs")] {
        let block = format!("```rust,no_run\n{example}```\n");
        assert!(readme.contains(&block), "copy the example into sdk-rust/README.md:\n{block}");
    }
}

/// What `work` returns, on a thread that no runtime knows.
async fn without_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(work);
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap()
}
