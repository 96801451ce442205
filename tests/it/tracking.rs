//! Metrics on their way in.

use futures::{TryStreamExt as _, stream};
use tenor_sdk::NewRun;
use tenor_sdk::types::Metric;

use crate::support::*;

/// Batches large and small that write the same steps again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_point_of_a_stream_replaces_an_earlier_one_whatever_the_size_of_its_batch() {
    for server in servers().await {
        let experiments = server.client.experiments();
        experiments.create("e").await.unwrap();
        let run = experiments.create_run(NewRun::new("e")).await.unwrap().id;
        let batches = (0..120).map(|round: i32| {
            let steps = if round % 3 == 0 { 900 } else { 2 };
            let point = |step| Metric { key: "loss".into(), value: f64::from(round), step, time: None };
            (0..steps).map(point).collect::<Vec<_>>()
        });
        let done = experiments.log_metrics(run.clone(), stream::iter(batches)).await.unwrap();
        assert_eq!((done.batches, done.metrics), (120, 40 * 900 + 80 * 2));
        let points: Vec<_> = experiments.metric_history(run.clone(), "loss").try_collect().await.unwrap();
        assert_eq!(points.len(), 900);
        for point in points {
            // Round 117 is the last of the large ones, round 119 the last of all.
            assert_eq!(point.value, if point.step < 2 { 119.0 } else { 117.0 }, "step {}", point.step);
        }
        assert_eq!(experiments.run(run).await.unwrap().metrics["loss"], 117.0, "the last step, not the last batch");
    }
}
