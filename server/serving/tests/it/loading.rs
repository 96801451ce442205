//! What callers get while models load, and that one slow load holds up nothing else.

use tenor_domain::{DeploymentTarget, Digest, ErrorKind};
use tenor_learn::ModelFile;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_look_a_deployment_is_loading_and_not_unknown() {
    let bench = Bench::new().await;
    bench.serve("slow", 0.25).await;
    for name in ["slow", "nobody"] {
        let error = bench.predict(name).unwrap_err();
        assert_eq!((error.kind, error.reason), (ErrorKind::Unavailable, "MODEL_LOADING"), "{name}: {error}");
        assert!(error.retry_after_ms.is_some());
    }
    bench.load();
    bench.answers("slow", 1).await;
    assert_eq!(bench.refused("nobody"), "DEPLOYMENT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_load_holds_up_no_other_and_readiness_waits_for_it() {
    let bench = Bench::new().await;
    bench.gate.hold(0.25);
    // Listed first, so that it would be loaded first.
    bench.serve("a-slow", 0.25).await;
    bench.serve("quick", 0.5).await;
    bench.load();
    bench.answers("quick", 1).await;
    assert_eq!(bench.refused("a-slow"), "MODEL_LOADING");
    assert_eq!(bench.refused("nobody"), "DEPLOYMENT_NOT_FOUND");
    assert!(!bench.cache.is_filled());
    // Swaps, new deployments and deletions go on meanwhile.
    let version = bench.version("quick", 0.75, ["bad", "good"]).await;
    bench.champion("quick", version).await;
    bench.answers("quick", version).await;
    bench.serve("new", 0.125).await;
    bench.answers("new", 1).await;
    bench.platform.deployments().delete("new", None).await.unwrap();
    eventually(|| bench.predict("new").is_err_and(|error| error.reason == "DEPLOYMENT_NOT_FOUND")).await;
    bench.gate.open(0.25);
    bench.answers("a-slow", 1).await;
    eventually(|| bench.cache.is_filled()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_wanted_any_more_is_not_served_when_its_load_ends() {
    let bench = Bench::new().await;
    bench.serve("a", 0.25).await;
    bench.load();
    bench.answers("a", 1).await;
    bench.gate.hold(0.5);
    let slow = bench.version("a", 0.5, ["bad", "good"]).await;
    let quick = bench.version("a", 0.75, ["bad", "good"]).await;
    bench.champion("a", slow).await;
    bench.gate.arrived(0.5).await;
    assert_eq!(bench.predict("a").unwrap().version, 1, "the old version serves while the new one loads");
    bench.champion("a", quick).await;
    bench.answers("a", quick).await;
    bench.gate.open(0.5);
    bench.gate.left(0.5).await;
    // A load that begins now ends after that one.
    bench.serve("b", 0.125).await;
    bench.answers("b", 1).await;
    assert_eq!(bench.predict("a").unwrap().version, quick);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loader_stops_in_the_middle_of_a_load() {
    let bench = Bench::new().await;
    bench.gate.hold(0.25);
    bench.serve("slow", 0.25).await;
    let running = bench.load();
    bench.gate.arrived(0.25).await;
    running.stop.cancel();
    tokio::time::timeout(LONG, running.task).await.expect("it does not wait for the load").unwrap();
    bench.gate.open(0.25);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_larger_than_any_model_file_is_refused_before_it_is_read() {
    let bench = Bench::new().await;
    let digest = Digest::of(b"large");
    let hex = digest.to_string();
    let folder = bench.folder.path().join("blobs/sha256").join(&hex[..2]);
    std::fs::create_dir_all(&folder).unwrap();
    let size = ModelFile::MAX_BYTES as u64 + 1;
    std::fs::File::create(folder.join(&hex[2..])).unwrap().set_len(size).unwrap();
    let version = bench.register("large", digest, size as i64).await;
    bench.deploy("large", "large", DeploymentTarget::Version(version)).await;
    bench.load();
    eventually(|| bench.cache.is_filled()).await;
    let error = bench.predict("large").unwrap_err();
    assert_eq!(error.reason, "MODEL_LOAD_FAILED");
    assert!(error.message.contains("at most 2147483648"), "{error}");
}
