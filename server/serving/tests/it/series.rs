//! The series of a deployment: under its name, and gone when it is gone.

use tenor_domain::DeploymentTarget;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_prediction_counts_under_the_deployments_name_whatever_the_caller_wrote() {
    let bench = Bench::new().await;
    let version = bench.version("m", 0.25, ["bad", "good"]).await;
    let id = bench.deploy("front", "m", DeploymentTarget::Version(version)).await;
    bench.load();
    bench.answers(&id, 1).await;
    bench.predict("front").unwrap();
    assert_eq!(bench.series(&id), [""; 0], "an id became a label");
    assert_eq!(bench.series("tenor_predictions_total"), [r#"tenor_predictions_total{deployment="front"} 2"#]);
    let labels = bench.series("tenor_prediction_labels_total");
    assert!(labels.contains(&r#"tenor_prediction_labels_total{deployment="front",label="good"} 2"#.to_owned()));
    let violations = bench.series(r#"outcome="warn",rule="missing_feature""#);
    assert!(violations[0].ends_with(" 2"), "{violations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_gone_leaves_no_series() {
    let bench = Bench::new().await;
    bench.serve("gone", 0.25).await;
    bench.serve("stays", 0.25).await;
    bench.load();
    bench.answers("gone", 1).await;
    bench.answers("stays", 1).await;
    assert!(!bench.series("\"gone\"").is_empty());
    let held = bench.predict("stays").unwrap();
    bench.platform.deployments().delete("gone", None).await.unwrap();
    eventually(|| bench.predict("gone").is_err()).await;
    assert_eq!(bench.series("\"gone\""), [""; 0]);
    // Another deployment of that name counts from zero.
    bench.deploy("gone", "stays", DeploymentTarget::Version(held.version)).await;
    bench.answers("gone", 1).await;
    assert_eq!(
        bench.series("tenor_predictions_total{deployment=\"gone\"}"),
        ["tenor_predictions_total{deployment=\"gone\"} 1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_the_labels_of_the_old_one_away() {
    let bench = Bench::new().await;
    bench.serve("a", 0.25).await;
    bench.load();
    bench.answers("a", 1).await;
    let version = bench.version("a", 0.25, ["terrible", "good"]).await;
    bench.champion("a", version).await;
    bench.answers("a", version).await;
    assert_eq!(bench.series("label=\"bad\""), [""; 0]);
    let good = bench.series("label=\"good\"");
    // One answer of the old version and at least one of the new, which is asked until it answers.
    let count: u32 = good[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count >= 2, "a label that both have goes on: {good:?}");
    assert_eq!(bench.series("tenor_model_loaded"), ["tenor_model_loaded{deployment=\"a\"} 2"]);
    // An alias that points nowhere: nothing is served.
    let models = bench.platform.models();
    models.delete_alias(&tenor_domain::Caller::anonymous(), "a", &champion(), None, "").await.unwrap();
    eventually(|| bench.predict("a").is_err()).await;
    assert_eq!(bench.series("tenor_model_loaded{"), [""; 0]);
    assert_eq!(bench.series("label="), [""; 0]);
}
