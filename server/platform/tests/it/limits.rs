//! The largest that is accepted is stored and comes back; one more is refused with the name of its field.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenor_domain::{Error, ErrorKind, Etag, JobId, Metric, PageRequest, ParamValue, RunId, Tags, Timestamp, Upload};
use tenor_platform::{DatasetPatch, NewRun, RunPatch};

use crate::support::*;

/// Four bytes a character.
fn wide(chars: usize) -> String {
    "🦀".repeat(chars)
}

fn refused<T>(result: Result<T, Error>, field: &str) {
    let Err(error) = result else { panic!("`{field}` was let through") };
    assert_eq!((error.kind, error.violations[0].field.as_str()), (ErrorKind::InvalidArgument, field), "{error}");
    assert!(error.message.chars().count() < 500, "the message repeats too much");
}

#[tokio::test]
async fn the_longest_texts_come_back_and_longer_ones_are_refused() {
    for bench in benches().await {
        bench.experiment("e").await;
        let full: Tags = (0..64).map(|n| (format!("{n:02}{}", wide(248)), wide(5_000))).collect();
        let params: BTreeMap<_, _> =
            (0..1_000).map(|n| (format!("{n:03}{}", wide(247)), ParamValue::Text(wide(10)))).collect();
        let new = NewRun { note: wide(100_000), tags: full.clone(), params, ..new_run(&wide(250)) };
        let run = bench.runs().create(&anyone(), new.clone(), key()).await.unwrap();
        assert_eq!(bench.runs().get(&run.id).await.unwrap(), run, "{}", bench.database.name);
        let long = BTreeMap::from([("p".to_owned(), ParamValue::Text(wide(10_000)))]);
        bench.runs().log_params(&run.id, long, None).await.unwrap();

        let one_more = |text: &str| format!("{text}x");
        let mut many = new.params.clone();
        many.insert("one more".into(), ParamValue::Int(1));
        for (new, field) in [
            (NewRun { note: one_more(&new.note), ..new.clone() }, "note"),
            (NewRun { name: one_more(&new.name), ..new.clone() }, "name"),
            (NewRun { params: many, ..new.clone() }, "params"),
            (NewRun { tags: tags(&[("k", &one_more(&wide(5_000)))]), ..new.clone() }, "tags"),
            (NewRun { tags: tags(&[(&one_more(&wide(250)), "")]), ..new.clone() }, "tags"),
            (NewRun { params: [(wide(251), ParamValue::Int(1))].into(), ..new.clone() }, "params"),
            (NewRun { params: [("p".into(), ParamValue::Text(wide(10_001)))].into(), ..new.clone() }, "params"),
        ] {
            refused(bench.runs().create(&anyone(), new, None).await, field);
        }
        refused(bench.runs().set_tags(&run.id, &tags(&[("one more", "")]), None).await, "tags");
        assert_eq!(bench.runs().get(&run.id).await.unwrap().tags, full, "the 65th tag changed nothing");
        let error = RunPatch { error: Some(wide(100_001)), ..RunPatch::default() };
        refused(bench.runs().update(&run.id, error, None).await, "error");

        bench.import("kindle", "x", Value::Null).await;
        let described = |chars| DatasetPatch { description: Some(wide(chars)), tags: None };
        let updated = bench.datasets().update("kindle", described(10_000), None).await.unwrap();
        assert_eq!(updated.description, wide(10_000));
        refused(bench.datasets().update("kindle", described(10_001), None).await, "description");
    }
}

#[tokio::test]
async fn options_and_batches_have_a_largest_size() {
    for bench in benches().await {
        let upload_id = bench.upload("x").await;
        let import = |bytes: usize| tenor_platform::ImportRequest {
            dataset: "kindle".into(),
            create_dataset: true,
            upload_id: upload_id.clone(),
            options: json!({ "o": "x".repeat(bytes - 8) }),
        };
        let largest = 256 << 10;
        let version = bench.datasets().import(&anyone(), import(largest), None).await.unwrap();
        assert_eq!(version.options.to_string().len(), largest);
        refused(bench.datasets().import(&anyone(), import(largest + 1), None).await, "options");

        let run = bench.run("r").await;
        let point = |step| Metric { key: wide(250), value: 1.0, step, at: Timestamp(i64::MAX) };
        let batch = |size: i64| (0..size).map(point).collect::<Vec<_>>();
        bench.runs().log_metrics(&anyone(), &run.id, batch(10_000), key(), None).await.unwrap();
        refused(bench.runs().log_metrics(&anyone(), &run.id, batch(10_001), key(), None).await, "metrics");
        bench.runs().log_metrics(&anyone(), &run.id, Vec::new(), key(), None).await.unwrap();
        let page = PageRequest { size: u32::MAX, cursor: None };
        let found = bench.runs().metric_history(&run.id, &wide(250), page).await.unwrap();
        assert_eq!((found.items.len(), found.items[999].clone()), (1_000, point(999)));
        refused(bench.runs().metric_history(&run.id, &wide(251), PageRequest::first(0)).await, "key");
    }
}

#[tokio::test]
async fn the_ends_of_the_integers_are_numbers_like_others() {
    for bench in benches().await {
        bench.import("kindle", "x", Value::Null).await;
        let run = bench.run("r").await;
        bench.version("stars", "1").await;
        for number in [i64::MAX, i64::MIN, -1, 0] {
            let error = bench.datasets().get_version("kindle", Some(number)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound);
            let splits = bench.splits().list("kindle", Some(number), PageRequest::first(0)).await.unwrap();
            assert!(splits.items.is_empty());
            let error = bench.splits().create(&anyone(), "kindle", Some(number), Value::Null, None).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound);
            assert_eq!(bench.jobs().get(JobId(number)).await.unwrap_err().kind, ErrorKind::NotFound);
            for error in [
                bench.runs().update(&run.id, RunPatch::default(), Some(Etag(number))).await.unwrap_err(),
                bench.runs().delete(&run.id, Some(Etag(number))).await.unwrap_err(),
                bench.experiments().delete("e", Some(Etag(number))).await.unwrap_err(),
            ] {
                check_error(&error, ErrorKind::Conflict, "STALE_ETAG", "read it again");
            }
        }
        let upload = async |size| bench.uploads().start(&anyone(), "x", Some(size), None).await;
        let Upload { size_bytes, .. } = upload(1 << 40).await.unwrap();
        assert_eq!(size_bytes, Some(1 << 40));
        for size in [(1 << 40) + 1, i64::MAX, i64::MIN] {
            refused(upload(size).await, "size_bytes");
        }
        let upload = bench.uploads().start(&anyone(), "x", None, None).await.unwrap().id;
        let error = bench.uploads().append_bytes(&upload, i64::MAX, bytes::Bytes::new()).await.unwrap_err();
        check_error(&error, ErrorKind::Conflict, "UPLOAD_OFFSET", "continue at offset 0");
        assert_eq!(bench.uploads().clear(Timestamp(i64::MIN)).await.unwrap(), 0);
        assert_eq!(bench.runs().get(&RunId::new()).await.unwrap_err().kind, ErrorKind::NotFound);
    }
}
