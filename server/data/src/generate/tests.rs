//! The generated reviews have the shape of the real ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::process::tests::psi;
use tenor_features::text::{TEXT_FEATURES, text_features};

fn bytes(options: &GenerateOptions) -> Vec<u8> {
    let mut out = Vec::new();
    generate(options, &mut out).unwrap();
    out
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let options = GenerateOptions { rows: 500, defects: 0.1, ..GenerateOptions::default() };
    assert_eq!(bytes(&options), bytes(&options));
    assert_ne!(bytes(&options), bytes(&GenerateOptions { seed: 43, ..options.clone() }));
    assert!(bytes(&GenerateOptions { non_ascii: 0.0, defects: 0.0, ..options }).is_ascii());
    let wrong = GenerateOptions { defects: 1.5, ..GenerateOptions::default() };
    assert!(generate(&wrong, &mut Vec::new()).is_err());
}

#[test]
fn shares_are_those_of_real_reviews() {
    let options = GenerateOptions { rows: 20_000, ..GenerateOptions::default() };
    let reviews = Reviews::new(&options);
    let rows: Vec<_> = (0..options.rows).map(|row| reviews.review(row)).collect();
    let share = |test: &dyn Fn(&Review) -> bool| rows.iter().filter(|r| test(r)).count() as f64 / rows.len() as f64;
    let text = |r: &Review| String::from_utf8(r.text.clone()).unwrap();
    let words = |r: &Review| text(r).split_whitespace().count();
    for (name, got, expected, slack) in [
        ("five stars", share(&|r| r.overall == Some(5)), 0.588, 0.02),
        ("one star", share(&|r| r.overall == Some(1)), 0.0263, 0.008),
        ("short texts", share(&|r| words(r) < 33), 0.25, 0.05),
        ("long texts", share(&|r| words(r) > 268), 0.10, 0.02),
        ("no votes", share(&|r| r.helpful == "[0, 0]"), 0.543, 0.02),
        ("exclamations", share(&|r| r.text.contains(&b'!')), 0.35, 0.05),
        ("questions", share(&|r| r.text.contains(&b'?')), 0.13, 0.03),
        ("double spaces", share(&|r| text(r).contains("  ")), 0.39, 0.08),
        ("entities", share(&|r| text(r).contains('&')), 0.108, 0.02),
        ("quotes", share(&|r| r.text.contains(&b'"')), 0.069, 0.02),
        ("2013", share(&|r| r.review_time.ends_with("2013")), 0.4306, 0.03),
    ] {
        assert!((got - expected).abs() < slack, "{name}: {got:.4}, expected {expected}");
    }
    for key in [|r: &Review| r.user.clone(), |r: &Review| r.asin.clone()] {
        let mut counts: HashMap<String, u32> = HashMap::new();
        rows.iter().for_each(|r| *counts.entry(key(r)).or_default() += 1);
        assert!(*counts.values().min().unwrap() >= 5, "each user and item has five reviews or more");
    }
}

#[test]
fn text_features_do_not_drift_from_the_real_file() {
    let real = std::env::var("TENOR_TEST_DATA")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from)
        .join("kindle_reviews.dev.csv");
    if !real.exists() {
        println!("skipped: no real data at TENOR_TEST_DATA");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let work = crate::Work { progress: &|_, _| (), cancelled: &|| false, threads: 2, scratch: folder.path() };
    let made = folder.path().join("made.csv");
    generate(
        &GenerateOptions { rows: 8_000, ..GenerateOptions::default() },
        &mut std::fs::File::create(&made).unwrap(),
    )
    .unwrap();
    let features = |source: &Path, name: &str| {
        let import = crate::import(source, &Default::default(), &folder.path().join(name), &work).unwrap();
        let rows = crate::read_rows(&import.data, 0, 10_000).unwrap();
        rows.iter().map(|row| text_features(row["text"].as_str().unwrap(), "")).collect::<Vec<_>>()
    };
    let (real, made) = (features(&real, "real"), features(&made, "generated"));
    let mut worst = ("", 0.0);
    for (at, name) in TEXT_FEATURES.iter().enumerate().filter(|(_, name)| !["sentiment", "kindle_freq"].contains(name))
    {
        let values = |rows: &[[f64; 8]]| rows.iter().map(|row| Some(row[at])).collect::<Vec<_>>();
        let psi = psi(&values(&real), &values(&made));
        println!("{name}: PSI {psi:.4}");
        if psi > worst.1 {
            worst = (name, psi);
        }
    }
    assert!(worst.1 < 0.05, "{worst:?}");
}
