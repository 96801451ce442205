use std::time::Instant;

use tenor_domain::{ErrorKind, Metric, PageRequest, RunId, Timestamp};

use crate::support::*;

fn point(key: &str, step: i64, value: f64) -> Metric {
    Metric { key: key.into(), value, step, at: Timestamp(step.wrapping_mul(3)) }
}

async fn history(bench: &Bench, run: &RunId, key: &str) -> Vec<Metric> {
    let mut page = PageRequest::first(7);
    let mut all = Vec::new();
    loop {
        let found = bench.runs().metric_history(run, key, page.clone()).await.unwrap();
        all.extend(found.items);
        let Some(next) = found.next else { return all };
        page.cursor = Some(next);
    }
}

#[tokio::test]
async fn points_come_back_to_the_bit_and_in_step_order() {
    let values = [
        (i64::MIN, f64::NAN),
        (-1, f64::INFINITY),
        (0, f64::NEG_INFINITY),
        (1, -0.0),
        (2, f64::MIN_POSITIVE / 4.0),
        (3, 0.1 + 0.2),
        (i64::MAX, f64::MAX),
    ];
    for bench in benches().await {
        let run = bench.run("r").await.id;
        let batch = values.iter().rev().map(|(step, value)| point("loss", *step, *value)).collect();
        bench.runs().log_metrics(&anyone(), &run, batch, None, None).await.unwrap();
        let found = history(&bench, &run, "loss").await;
        let bits = |value: f64| if value.is_nan() { u64::MAX } else { value.to_bits() };
        assert_eq!(
            found.iter().map(|m| (m.step, bits(m.value), m.at.0)).collect::<Vec<_>>(),
            values.map(|(step, value)| (step, bits(value), step.wrapping_mul(3))),
            "{}",
            bench.database.name
        );
        assert_eq!(bench.runs().get(&run).await.unwrap().metrics["loss"], f64::MAX);
        let error = bench.runs().metric_history(&RunId::new(), "loss", PageRequest::first(0)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_second_point_of_a_step_replaces_the_first_and_the_highest_step_is_the_last_value() {
    for bench in benches().await {
        let run = bench.run("r").await.id;
        let log = async |points| bench.runs().log_metrics(&anyone(), &run, points, None, None).await.unwrap();
        let last = async || bench.runs().get(&run).await.unwrap().metrics["f1"];
        log(vec![point("f1", 5, 0.5), point("f1", 3, 0.3), point("f1", 5, 0.55)]).await;
        assert_eq!(last().await, 0.55);
        log(vec![point("f1", 4, 0.4)]).await;
        assert_eq!(last().await, 0.55);
        log(vec![point("f1", 5, f64::NAN)]).await;
        assert!(last().await.is_nan());
        log(vec![point("f1", 6, 0.6), point("other", 0, 1.0)]).await;
        assert_eq!(last().await, 0.6);
        assert_eq!(history(&bench, &run, "f1").await.iter().map(|m| m.step).collect::<Vec<_>>(), [3, 4, 5, 6]);
    }
}

#[tokio::test]
async fn a_batch_sent_twice_is_stored_once_and_another_batch_under_its_id_is_refused() {
    for bench in benches().await {
        let run = bench.run("r").await.id;
        let id = key();
        let mut batch = vec![point("a", 1, f64::NAN)];
        for _ in 0..2 {
            bench.runs().log_metrics(&anyone(), &run, batch.clone(), id.clone(), None).await.unwrap();
            // The server fills in a time that the client leaves open, and the second time it is later.
            batch[0].at = Timestamp(batch[0].at.0 + 1);
        }
        assert_eq!(history(&bench, &run, "a").await[0].at, Timestamp(3));
        let error = bench.runs().log_metrics(&anyone(), &run, vec![point("a", 1, 2.0)], id, None).await.unwrap_err();
        check_error(&error, ErrorKind::InvalidArgument, "REQUEST_ID_REUSED", "`batch_id` was used for another request");
        assert!(history(&bench, &run, "a").await[0].value.is_nan());
        for (wrong, field) in [(vec![point("", 0, 0.0)], "metrics"), (vec![point("a", 0, 0.0); 10_001], "metrics")] {
            let error = bench.runs().log_metrics(&anyone(), &run, wrong, None, None).await.unwrap_err();
            assert_eq!(error.violations[0].field, field);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_of_many_callers_are_all_stored_and_a_wrong_one_spoils_no_other() {
    for bench in benches().await {
        let (one, two) = (bench.run("one").await.id, bench.run("two").await.id);
        let started = Instant::now();
        let calls = (0..32i64).map(|caller| {
            let (platform, one, two) = (bench.platform.clone(), one.clone(), two.clone());
            tokio::spawn(async move {
                for n in 0..10i64 {
                    let step = caller * 10 + n;
                    let run = if step % 2 == 0 { &one } else { &two };
                    let points = vec![point("a", step, step as f64), point("b", step, 0.0)];
                    platform.runs().log_metrics(&anyone(), run, points, key(), None).await.unwrap();
                    let (nobody, points) = (RunId::new(), vec![point("a", 0, 0.0)]);
                    let gone = platform.runs().log_metrics(&anyone(), &nobody, points, None, None).await;
                    assert_eq!(gone.unwrap_err().kind, ErrorKind::NotFound);
                }
            })
        });
        for call in futures::future::join_all(calls.collect::<Vec<_>>()).await {
            call.unwrap();
        }
        println!("{}: 640 small batches of 32 callers in {:?}", bench.database.name, started.elapsed());
        let (one, two) = (history(&bench, &one, "a").await, history(&bench, &two, "b").await);
        assert_eq!(one.iter().map(|m| m.step).collect::<Vec<_>>(), (0..320).step_by(2).collect::<Vec<_>>());
        assert_eq!(two.len(), 160);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_go_away_leave_the_others_an_answer() {
    for bench in benches().await {
        let run = bench.run("r").await.id;
        let calls: Vec<_> = (0..200i64)
            .map(|step| {
                let (platform, run) = (bench.platform.clone(), run.clone());
                tokio::spawn(async move {
                    platform.runs().log_metrics(&anyone(), &run, vec![point("a", step, 0.0)], None, None).await
                })
            })
            .collect();
        for call in calls.iter().step_by(3) {
            call.abort();
        }
        let mut acknowledged = Vec::new();
        for (step, call) in calls.into_iter().enumerate() {
            match call.await {
                Ok(result) => {
                    result.unwrap();
                    acknowledged.push(step as i64);
                }
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        let stored: Vec<i64> = history(&bench, &run, "a").await.iter().map(|m| m.step).collect();
        assert!(acknowledged.iter().all(|step| stored.contains(step)), "every acknowledged point is there");
    }
}

#[tokio::test]
async fn ten_large_batches_are_stored_quickly() {
    for bench in benches().await {
        let run = bench.run("r").await.id;
        let started = Instant::now();
        for batch in 0..10i64 {
            let points = (0..10_000).map(|n| point("loss", batch * 10_000 + n, n as f64)).collect();
            bench.runs().log_metrics(&anyone(), &run, points, key(), None).await.unwrap();
        }
        let elapsed = started.elapsed();
        println!("{}: 100,000 points in {elapsed:?}", bench.database.name);
        let page = PageRequest { size: 1_000, cursor: None };
        assert_eq!(bench.runs().metric_history(&run, "loss", page).await.unwrap().items.len(), 1_000);
    }
}

/// The chunks that points are stored in never show: whatever the batches were, the series is the same.
#[tokio::test]
async fn batches_that_reach_back_and_overlap_make_the_series_that_a_map_makes() {
    for bench in benches().await {
        let run = bench.run("r").await.id;
        let mut expected = std::collections::BTreeMap::new();
        let mut seed = 7_u64;
        let mut roll = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..150 {
            let size = if roll(4) == 0 { roll(2_500) } else { roll(6) } as i64;
            let start = if roll(3) == 0 { roll(6_000) as i64 - 500 } else { round * 40 };
            // Now and then a few points that are far apart.
            let stride = if roll(5) == 0 { 1_500 } else { 1 + roll(3) as i64 };
            let batch: Vec<Metric> =
                (0..size).map(|at| point("loss", start + at * stride, round as f64 + at as f64 / 1e4)).collect();
            expected.extend(batch.iter().map(|metric| (metric.step, metric.value)));
            bench.runs().log_metrics(&anyone(), &run, batch, None, None).await.unwrap();
        }
        let mut page = PageRequest::first(777);
        let mut found = Vec::new();
        loop {
            let part = bench.runs().metric_history(&run, "loss", page.clone()).await.unwrap();
            found.extend(part.items.into_iter().map(|metric| (metric.step, metric.value)));
            let Some(next) = part.next else { break };
            page.cursor = Some(next);
        }
        assert_eq!(found, expected.clone().into_iter().collect::<Vec<_>>(), "{}", bench.database.name);
        let last = expected.last_key_value().unwrap().1;
        assert_eq!(bench.runs().get(&run).await.unwrap().metrics["loss"], *last);
    }
}
