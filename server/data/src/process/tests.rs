//! Splits, features and contract on generated reviews.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use polars::prelude::*;
use tenor_features::text::clean;

use super::*;
use crate::{GenerateOptions, ImportOptions, generate, import, load_examples, load_groups, load_times};

fn work(threads: usize) -> Work<'static> {
    Work { progress: &|_, _| (), cancelled: &|| false, threads, scratch: Path::new(".") }
}

struct Fixture {
    folder: tempfile::TempDir,
    accepted: PathBuf,
}

fn fixture(rows: u64) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.csv");
    generate(&GenerateOptions { rows, ..GenerateOptions::default() }, &mut std::fs::File::create(&source).unwrap())
        .unwrap();
    let imported = import(&source, &ImportOptions::default(), &folder.path().join("import"), &work(2)).unwrap();
    Fixture { folder, accepted: imported.data }
}

impl Fixture {
    fn process(&self, options: &ProcessOptions, threads: usize) -> Processed {
        let processed = process(&self.accepted, options, &self.folder.path().join("out"), &work(threads)).unwrap();
        let report = &processed.report;
        assert_eq!(report.rows_in, report.rows_out + report.dropped.values().sum::<u64>());
        assert_eq!(report.rows_out, report.train.rows + report.validation.rows + report.test.rows);
        processed.contract.validate().unwrap();
        processed
    }
    /// A column of `accepted.parquet` by row id.
    fn column(&self, name: &str) -> HashMap<i64, String> {
        let frame = frame(&self.accepted);
        let values = frame.column(name).unwrap().cast(&DataType::String).unwrap();
        let values = values.str().unwrap().iter().map(|v| v.unwrap_or("").to_owned());
        frame.column("row_id").unwrap().i64().unwrap().iter().flatten().zip(values).collect()
    }
}

fn frame(path: &Path) -> DataFrame {
    ParquetReader::new(std::fs::File::open(path).unwrap()).finish().unwrap()
}

fn ids(part: &ProcessedPart) -> BTreeSet<i64> {
    let ids: Vec<i64> = frame(&part.path).column("row_id").unwrap().i64().unwrap().iter().flatten().collect();
    let set: BTreeSet<i64> = ids.iter().copied().collect();
    assert_eq!((set.len(), set.len() as u64), (ids.len(), part.rows), "row ids are unique");
    set
}

fn parts(processed: &Processed) -> [&ProcessedPart; 3] {
    [&processed.train, &processed.validation, &processed.test]
}

#[test]
fn a_stratified_split_shares_each_class_within_one_row_and_is_the_same_for_any_thread_count() {
    let fixture = fixture(6_000);
    let options = ProcessOptions::new(Task::Star);
    let digest = |processed: &Processed| parts(processed).map(|part| std::fs::read(&part.path).unwrap());
    let one = fixture.process(&options, 1);
    let bytes = digest(&one);
    let two = fixture.process(&options, 3);
    assert!(bytes == digest(&two) && one.contract == two.contract && one.report == two.report);
    for (class, total) in &one.report.classes_before {
        for (part, share) in [(&one.report.train, 0.7), (&one.report.validation, 0.15), (&one.report.test, 0.15)] {
            assert!((part.classes[class] as f64 - *total as f64 * share).abs() <= 1.0, "{class} {part:?}");
        }
    }
    assert_eq!(one.contract.classes, ["1", "2", "3", "4", "5"]);
    assert_eq!(one.contract.stars.as_deref(), Some(&[1.0, 2.0, 3.0, 4.0, 5.0][..]));
    let other = fixture.process(&ProcessOptions { seed: 7, ..options }, 2);
    assert_ne!(bytes, digest(&other), "another seed is another split");
}

#[test]
fn binary_drops_three_stars_and_balance_caps_each_class() {
    let fixture = fixture(4_000);
    let processed = fixture.process(&ProcessOptions { balance: Some(200), ..ProcessOptions::new(Task::Binary) }, 2);
    assert_eq!(processed.contract.classes, ["negative", "positive"]);
    let stars = fixture.column("label");
    assert_eq!(processed.report.dropped["neutral_label"], stars.values().filter(|s| *s == "3").count() as u64);
    let mut counts = BTreeMap::<&str, u64>::new();
    for part in [&processed.report.train, &processed.report.validation, &processed.report.test] {
        part.classes.iter().for_each(|(class, rows)| *counts.entry(class).or_default() += rows);
    }
    assert_eq!(counts, [("negative", 200), ("positive", 200)].into());
    for part in parts(&processed) {
        let frame = frame(&part.path);
        let labels = frame.column("label").unwrap().u32().unwrap();
        for (id, label) in frame.column("row_id").unwrap().i64().unwrap().iter().flatten().zip(labels.iter().flatten())
        {
            assert_eq!(label == 1, ["4", "5"].contains(&stars[&id].as_str()));
        }
    }
}

#[test]
fn a_grouped_split_keeps_users_and_items_whole() {
    let fixture = fixture(3_000);
    for (split, column) in [(SplitMethod::GroupedByUser, "user"), (SplitMethod::GroupedByItem, "item")] {
        let processed = fixture.process(&ProcessOptions { split, ..ProcessOptions::new(Task::Star) }, 2);
        let keys = fixture.column(column);
        let sets = parts(&processed).map(|part| ids(part).iter().map(|id| keys[id].clone()).collect::<BTreeSet<_>>());
        assert!(sets[0].is_disjoint(&sets[1]) && sets[0].is_disjoint(&sets[2]) && sets[1].is_disjoint(&sets[2]));
        let mut group_of = HashMap::new();
        let train = frame(&processed.train.path);
        let ids = train.column("row_id").unwrap().i64().unwrap().iter().flatten();
        for (id, group) in ids.zip(load_groups(&processed.train.path).unwrap()) {
            if !keys[&id].is_empty() {
                assert_eq!(*group_of.entry(keys[&id].as_str()).or_insert(group), group, "{column} {}", keys[&id]);
            }
        }
        assert!(group_of.len() > 20);
        let share = processed.train.rows as f64 / processed.report.rows_out as f64;
        assert!((share - 0.7).abs() < 0.05, "{share}");
        if column == "user" {
            let nulls = |part: &ProcessedPart| frame(&part.path).column("user_avg_len").unwrap().null_count() as u64;
            assert_eq!((nulls(&processed.train), nulls(&processed.test)), (processed.train.rows, processed.test.rows));
        }
    }
}

#[test]
fn a_temporal_split_has_the_past_in_train() {
    let fixture = fixture(3_000);
    let processed =
        fixture.process(&ProcessOptions { split: SplitMethod::Temporal, ..ProcessOptions::new(Task::Star) }, 2);
    let times = fixture.column("time");
    for part in parts(&processed) {
        let frame = frame(&part.path);
        let ids = frame.column("row_id").unwrap().i64().unwrap().iter().flatten();
        for (id, time) in ids.zip(load_times(&part.path).unwrap()) {
            assert_eq!(time.map(|time| time.0.to_string()).as_deref(), Some(times[&id].as_str()));
        }
    }
    let ranges = parts(&processed).map(|part| {
        let times: Vec<i64> = ids(part).iter().map(|id| times[id].parse().unwrap()).collect();
        (*times.iter().min().unwrap(), *times.iter().max().unwrap())
    });
    assert!(ranges[0].1 < ranges[1].0 && ranges[1].1 < ranges[2].0, "{ranges:?}");
}

#[test]
fn equal_and_nearly_equal_texts_are_in_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.csv");
    let mut csv = "reviewerID,reviewText,overall\n".to_owned();
    for i in 0..600 {
        let text = (0..40).map(|w| format!("w{}", (i * 41 + w) * 7919 % 10_007)).collect::<Vec<_>>().join(" ");
        csv += &format!("a{i},{text},{}\n", i % 5 + 1);
        match i % 3 {
            0 => csv += &format!("b{i},{}!,{}\n", text.to_uppercase(), i % 5 + 1),
            1 => csv += &format!("b{i},{} changed,{}\n", text, i % 5 + 1),
            _ => {}
        }
    }
    std::fs::write(&source, csv).unwrap();
    let imported = import(&source, &ImportOptions::default(), &folder.path().join("import"), &work(2)).unwrap();
    let processed =
        process(&imported.data, &ProcessOptions::new(Task::Star), &folder.path().join("out"), &work(2)).unwrap();
    let mut place = HashMap::new();
    let (mut pairs, mut together) = ([0, 0], 0);
    for (at, part) in parts(&processed).into_iter().enumerate() {
        let (frame, groups) = (frame(&part.path), load_groups(&part.path).unwrap());
        for (text, group) in frame.column("cleaned").unwrap().str().unwrap().iter().flatten().zip(groups) {
            let near = text.strip_suffix(" changed").unwrap_or(text).to_owned();
            if let Some((other, its_group)) = place.insert(near, (at, group)) {
                pairs[usize::from(other != at)] += 1;
                assert!(other == at || its_group != group, "{text}");
                together += usize::from(its_group == group);
            }
        }
    }
    assert_eq!(pairs[0] + pairs[1], 400);
    assert!(together >= 396, "{together} of 400 pairs are one group");
    assert!(pairs[1] <= 4, "{} of 400 pairs are torn apart", pairs[1]);
    assert!(processed.report.grouped_rows >= 790);
}

/// Population stability index over ten quantile bins of `expected`; nulls are a bin of their own.
pub(crate) fn psi(expected: &[Option<f64>], actual: &[Option<f64>]) -> f64 {
    let mut sorted: Vec<f64> = expected.iter().flatten().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let mut cuts: Vec<f64> = (1..10).filter_map(|i| sorted.get(sorted.len() * i / 10).copied()).collect();
    cuts.dedup();
    let shares = |values: &[Option<f64>]| {
        let mut counts = vec![0f64; cuts.len() + 2];
        for value in values {
            counts[value.map_or(cuts.len() + 1, |v| cuts.partition_point(|c| *c <= v))] += 1.0;
        }
        counts.into_iter().map(|n| (n / values.len() as f64).max(1e-4)).collect::<Vec<_>>()
    };
    shares(expected).iter().zip(shares(actual)).map(|(p, q)| (q - p) * (q / p).ln()).sum()
}

#[test]
fn no_feature_drifts_between_train_and_test() {
    let fixture = fixture(20_000);
    let processed = fixture.process(&ProcessOptions::new(Task::Star), 2);
    let [train, _, test] = parts(&processed).map(|part| frame(&part.path));
    for feature in &processed.contract.numeric {
        let values = |frame: &DataFrame| frame.column(&feature.name).unwrap().f64().unwrap().iter().collect::<Vec<_>>();
        let (train, test) = (values(&train), values(&test));
        let psi = psi(&train, &test);
        println!(
            "{}: PSI {psi:.4}, nulls {} of {}",
            feature.name,
            train.iter().filter(|v| v.is_none()).count(),
            train.len()
        );
        assert!(psi < 0.1, "{} {psi}", feature.name);
    }
    let known = processed.report.features.iter().find(|f| f.name == "user_review_count").unwrap();
    assert!(known.count > 10 * known.nulls && known.min >= 1.0, "{known:?}");
}

#[test]
fn loaded_rows_are_those_of_the_contract() {
    let fixture = fixture(1_000);
    let processed = fixture.process(&ProcessOptions::new(Task::Star), 2);
    let loaded = load_examples(&processed.train.path, &processed.contract).unwrap();
    assert_eq!((loaded.row_ids.len() as u64, loaded.numeric.len()), (processed.train.rows, loaded.texts.len() * 12));
    let texts = fixture.column("text");
    for (row, id) in loaded.row_ids.iter().enumerate() {
        assert_eq!(loaded.texts[row], texts[id]);
        assert_eq!(loaded.cleaned[row], clean(processed.contract.cleaning, &loaded.texts[row]));
        assert_eq!(loaded.numeric[row * 12], Some(loaded.texts[row].chars().count() as f64));
    }
    let mean = loaded.numeric.iter().step_by(12).flatten().sum::<f64>() / loaded.texts.len() as f64;
    assert!((mean - processed.contract.numeric[0].mean).abs() < 1e-9 * mean);
    let without = fixture.process(&ProcessOptions { numeric: false, ..ProcessOptions::new(Task::Star) }, 2);
    assert!(load_examples(&without.train.path, &without.contract).unwrap().numeric.is_empty());
    let mut foreign = processed.contract.clone();
    foreign.numeric[0].name = "star_sign".to_owned();
    assert!(load_examples(&without.train.path, &foreign).unwrap_err().to_string().contains("`star_sign`"));
    foreign = processed.contract.clone();
    foreign.classes = vec!["x".into(), "y".into()];
    assert!(load_examples(&without.train.path, &foreign).is_err());
}

#[test]
fn options_and_data_that_do_not_fit_are_errors_and_leave_nothing() {
    let fixture = fixture(300);
    let out = fixture.folder.path().join("none");
    let base = ProcessOptions::new(Task::Star);
    for (options, message) in [
        (ProcessOptions { fractions: [0.5, 0.5, 0.5], ..base.clone() }, "add up to 1"),
        (ProcessOptions { fractions: [1.0, 0.0, 0.0], ..base.clone() }, "above 0"),
        (ProcessOptions { fractions: [f64::NAN, 0.5, 0.5], ..base.clone() }, "above 0"),
        (ProcessOptions { balance: Some(0), ..base.clone() }, "1 or more"),
    ] {
        let error = process(&fixture.accepted, &options, &out, &work(2)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let source = fixture.folder.path().join("labels.csv");
    for (csv, task, message) in [
        ("text,label\nfine words,good\nother words,bad\n", Task::Star, "use task `label`"),
        ("text,label\nfine words,good\nother words,good\n", Task::Label, "two classes or more"),
        ("text,label\nfine words,good\nother words,bad\n", Task::Label, "no row is left for"),
    ] {
        std::fs::write(&source, csv).unwrap();
        let imported =
            import(&source, &ImportOptions::default(), &fixture.folder.path().join("labels"), &work(1)).unwrap();
        let error = process(&imported.data, &ProcessOptions::new(task), &out, &work(2)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let cancelled = Work { cancelled: &|| true, ..work(2) };
    assert!(matches!(process(&fixture.accepted, &base, &out, &cancelled), Err(Error::Cancelled)));
    assert!(!out.exists());
    let json = serde_json::from_str::<ProcessOptions>(r#"{"task": "binary"}"#).unwrap();
    assert_eq!(json, ProcessOptions::new(Task::Binary));
}
