//! Dirty rows of every kind, hostile files, counts that add up, equal bytes for any number of threads.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;
use crate::rules::{Outcome, RuleResult};
use crate::{GenerateOptions, GeneratedFormat, LabelKind, generate, read_rows};

fn work(threads: usize) -> Work<'static> {
    Work { progress: &|_, _| (), cancelled: &|| false, threads, scratch: Path::new(".") }
}

struct Case {
    folder: TempDir,
    result: Result<Import, Error>,
}

impl Case {
    fn of(bytes: &[u8], options: &ImportOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::write(&source, bytes).unwrap();
        let result = import(&source, options, &folder.path().join("out"), &work(2));
        if let Ok(import) = &result {
            check_counts(import);
        } else {
            assert!(!folder.path().join("out").exists(), "an error leaves nothing behind");
        }
        Self { folder, result }
    }
    fn import(&self) -> &Import {
        self.result.as_ref().unwrap()
    }
    fn error(&self) -> String {
        let _ = &self.folder;
        self.result.as_ref().unwrap_err().to_string()
    }
}

fn check_counts(import: &Import) {
    assert_eq!(import.rows_read, import.rows_accepted + import.rows_quarantined);
    assert_eq!(import.rows_quarantined, import.quarantined.values().sum::<u64>());
    assert_eq!(import.quarantine.is_some(), import.rows_quarantined > 0);
    assert_eq!(import.profile.rows, import.rows_accepted);
    assert_eq!(import.profile.labels.iter().map(|l| l.rows).sum::<u64>(), import.rows_accepted);
    let stored = read_rows(&import.data, 0, usize::MAX >> 1).unwrap().len() as u64;
    assert_eq!(stored, import.rows_accepted);
}

fn rule<'a>(import: &'a Import, name: &str) -> &'a RuleResult {
    import.validation.rules.iter().find(|r| r.rule == name).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const GOOD: &str = "text,overall\nan honest and pleasant story,5\nnot for me at all,2\nso so but fine,3\n";

#[test]
fn one_defect_a_rule_fails_exactly_that_rule_at_the_right_line() {
    let header = "asin,reviewerID,helpful,overall,reviewText,unixReviewTime";
    let good = |n: usize| {
        format!(
            "B00000000{},A{n},\"[1, 2]\",{},\"a plain text number {n}, quite its own\",1390435200",
            n % 10,
            n % 5 + 1
        )
    };
    let long = format!("B000000001,A1,\"[1, 2]\",4,\"{}\",1390435200", "word ".repeat(20_001));
    let cases: Vec<(&str, String, &str)> = vec![
        ("malformed_record", "B000000001,A1,\"[1, 2]\",4".into(), "quarantined"),
        ("missing_text", "B000000001,A1,\"[1, 2]\",4,,1390435200".into(), "quarantined"),
        ("missing_text", "B000000001,A1,\"[1, 2]\",4,\"  \",1390435200".into(), "quarantined"),
        ("empty_after_cleaning", "B000000001,A1,\"[1, 2]\",4,!!! ...,1390435200".into(), "quarantined"),
        ("bad_label", "B000000001,A1,\"[1, 2]\",7,some text of mine,1390435200".into(), "quarantined"),
        ("bad_label", "B000000001,A1,\"[1, 2]\",,some text of mine,1390435200".into(), "quarantined"),
        ("bad_label", "B000000001,A1,\"[1, 2]\",4.5,some text of mine,1390435200".into(), "quarantined"),
        ("malformed_time", "B000000001,A1,\"[1, 2]\",4,some text of mine,-1".into(), "repaired"),
        ("malformed_time", "B000000001,A1,\"[1, 2]\",4,some text of mine,yesterday".into(), "repaired"),
        ("malformed_helpful", "B000000001,A1,\"[, 36]\",4,some text of mine,1390435200".into(), "repaired"),
        ("malformed_helpful", "B000000001,A1,\"[3, 2]\",4,some text of mine,1390435200".into(), "repaired"),
        ("bad_item_id", "B0000001,A1,\"[1, 2]\",4,some text of mine,1390435200".into(), "accepted"),
        ("missing_key", "B000000001,,\"[1, 2]\",4,some text of mine,1390435200".into(), "accepted"),
        ("control_characters", "B000000001,A1,\"[1, 2]\",4,some\u{7}text of mine,1390435200".into(), "repaired"),
        ("html_entities", "B000000001,A1,\"[1, 2]\",4,it&#8217;s some text,1390435200".into(), "accepted"),
        ("html_tags", "B000000001,A1,\"[1, 2]\",4,some <br /> text,1390435200".into(), "accepted"),
        ("feature_range", format!("B000000001,A1,\"[1, 2]\",4,{},1390435200", "x".repeat(60)), "accepted"),
        ("duplicate_row", good(3), "quarantined"),
    ];
    for (name, line, fate) in cases {
        let mut lines: Vec<String> = std::iter::once(header.to_owned()).chain((0..60).map(good)).collect();
        lines.insert(41, line);
        let case = Case::of((lines.join("\n") + "\n").as_bytes(), &ImportOptions::default());
        let import = case.import();
        let broken: Vec<_> =
            import.validation.rules.iter().filter(|r| r.violations > 0).map(|r| r.rule.as_str()).collect();
        assert_eq!(broken, [name]);
        let found = rule(import, name);
        assert_eq!((found.violations, found.evidence[0].line), (1, 42), "{name}");
        let counts = (import.rows_quarantined, import.rows_repaired);
        let expected = match fate {
            "quarantined" => (1, 0),
            "repaired" => (0, 1),
            _ => (0, 0),
        };
        assert_eq!(counts, expected, "{name}");
        if let Some(quarantine) = &import.quarantine {
            let row = &read_rows(quarantine, 0, 10).unwrap()[0];
            assert_eq!((row["line"].as_u64(), row["rule"].as_str()), (Some(42), Some(name)));
        }
    }
    let mut lines: Vec<String> = std::iter::once(header.to_owned()).chain((0..60).map(good)).collect();
    lines.push(long);
    let case = Case::of((lines.join("\n") + "\n").as_bytes(), &ImportOptions::default());
    assert_eq!(rule(case.import(), "text_too_long").violations, 1);
    assert_eq!(case.import().quarantined["text_too_long"], 1);
}

#[test]
fn invalid_utf8_is_quarantined_or_repaired_as_the_rule_says() {
    let csv = b"text,overall\nfine text here,5\nbad \xff\xfe text,4\nother text,1\n";
    let case = Case::of(csv, &ImportOptions::default());
    assert_eq!(case.import().quarantined["invalid_utf8"], 1);
    assert_eq!(rule(case.import(), "invalid_utf8").evidence[0].line, 3);
    let rules = RuleSet::from_json(r#"{"invalid_utf8": {"policy": "repair"}}"#).unwrap();
    let options = ImportOptions { rules, ..ImportOptions::default() };
    let case = Case::of(csv, &options);
    assert_eq!((case.import().rows_accepted, case.import().rows_repaired), (3, 1));
    let json = b"{\"text\": \"fine\", \"overall\": 5}\n{\"text\": \"b\xffd\", \"overall\": 2}\n";
    assert_eq!(Case::of(json, &ImportOptions::default()).import().quarantined["invalid_utf8"], 1);
    assert_eq!(Case::of(json, &options).import().rows_repaired, 1);
}

#[test]
fn quotes_newlines_crlf_bom_and_blank_lines_are_plain_csv() {
    let csv = "\u{feff},text,overall\r\n0,\"she said \"\"no\"\",\r\nthen left\",5\r\n\r\n1,plain words,1\r\n\r\n";
    let case = Case::of(csv.as_bytes(), &ImportOptions::default());
    assert_eq!(case.import().rows_read, 2);
    let rows = read_rows(&case.import().data, 0, 10).unwrap();
    assert_eq!(rows[0]["text"], "she said \"no\",\r\nthen left");
    assert_eq!((&rows[0]["line"], &rows[1]["line"]), (&2.into(), &5.into()));
    assert!(case.import().profile.left_out.is_empty(), "the row number is dropped without a word");
    assert_eq!(rows[0]["row_id"].as_str().unwrap().len(), 16);
}

#[test]
fn delimiters_and_formats_are_found_by_content() {
    for (bytes, format) in [
        ("text\toverall\na \"quote here\t5\nb text\t1\n", Format::Tsv),
        ("text;overall\na, b text;5\nb text;1\n", Format::Csv),
        ("{\"text\": \"a text\", \"overall\": 5.0}\n\n{\"text\": \"b text\", \"overall\": 1}", Format::JsonLines),
    ] {
        for bytes in [bytes.as_bytes().to_vec(), gzip(bytes.as_bytes())] {
            let case = Case::of(&bytes, &ImportOptions::default());
            assert_eq!((case.import().format, case.import().rows_accepted), (format, 2));
            assert_eq!(case.import().profile.label_kind, LabelKind::Stars);
        }
    }
}

#[test]
fn labels_may_be_names_and_may_be_mapped() {
    let csv = "sentence,label\nvery fine,1\nnot fine,0\nfine,1\nodd,2\n";
    assert_eq!(Case::of(csv.as_bytes(), &ImportOptions::default()).import().profile.label_kind, LabelKind::Names);
    let map = [("0", "negative"), ("1", "positive")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let options = ImportOptions { label_map: Some(map), ..ImportOptions::default() };
    let case = Case::of(csv.as_bytes(), &options);
    let labels: Vec<_> = case.import().profile.labels.iter().map(|l| (l.label.as_str(), l.rows)).collect();
    assert_eq!(labels, [("negative", 1), ("positive", 2)]);
    assert_eq!(case.import().quarantined["bad_label"], 1);
}

#[test]
fn hostile_files_are_clear_errors_that_name_the_place_and_the_remedy() {
    let plain = ImportOptions::default();
    let whole = gzip(GOOD.repeat(200).as_bytes());
    let mut flipped = whole.clone();
    flipped[40] ^= 0x55;
    let ragged = "text,overall\n".to_owned() + &"a,b,c,5\n".repeat(2000);
    let mut unclosed = GOOD.as_bytes().to_vec();
    unclosed.extend(b"\"never closed,5\n");
    unclosed.extend(vec![b'x'; crate::MAX_RECORD_BYTES + 10]);
    let binary: Vec<u8> = (0..4096u32).map(|i| (i * 37 % 251) as u8).collect();
    let mut long_json = b"{\"text\": \"".to_vec();
    long_json.extend(vec![b'y'; 2 * crate::MAX_RECORD_BYTES]);
    for (bytes, message) in [
        (b"".to_vec(), "the file is empty"),
        (b" \n\n ".to_vec(), "the file is empty"),
        (b"text,overall\n".to_vec(), "has a header but no rows"),
        (whole[..whole.len() / 2].to_vec(), "the gzip stream is truncated"),
        (flipped, "damaged at byte"),
        (binary, "binary"),
        (b"PK\x03\x04rest".to_vec(), "zip archive"),
        (b"\xff\xfet\0e\0".to_vec(), "UTF-16"),
        (b"[{\"text\": 1}]".to_vec(), "JSON array"),
        (b"PAR1 but not really".to_vec(), "Parquet file"),
        (b"a,b\n1,2\n".to_vec(), "`--text"),
        (b"text,b\nx,2\n".to_vec(), "`--label"),
        (ragged.into_bytes(), "records are malformed, e.g. line 2: 4 fields where the header has 2"),
        (unclosed, "line 5 is longer than 16777216 bytes; is a quote not closed"),
        (long_json, "line 1 is longer than 16777216 bytes"),
        (b"{\"text\": \n\"x\"}\n".to_vec(), "JSON object"),
        (b"text,overall\n,5\n ,4\n".to_vec(), "none of 2 rows is acceptable"),
    ] {
        let case = Case::of(&bytes, &plain);
        assert!(case.error().contains(message), "{message:?} is not in {:?}", case.error());
        let error: tenor_domain::Error = case.result.unwrap_err().into();
        assert_eq!(error.kind, tenor_domain::ErrorKind::InvalidArgument, "{message}");
    }
    let wrong = ImportOptions { delimiter: Some('|'), ..ImportOptions::default() };
    assert!(Case::of(GOOD.as_bytes(), &wrong).error().contains("`--delimiter`"));
    let wrong = ImportOptions { text: Some("body".into()), ..ImportOptions::default() };
    assert!(
        Case::of(GOOD.as_bytes(), &wrong)
            .error()
            .contains("there is no column `body`; the columns are `text`, `overall`")
    );
    let wrong = ImportOptions { format: Some(Format::Parquet), ..ImportOptions::default() };
    assert!(Case::of(GOOD.as_bytes(), &wrong).error().contains("leave it out"));
}

#[test]
fn a_gzip_bomb_is_refused_before_it_unfolds() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(GOOD.as_bytes()).unwrap();
    let line = format!("{},5\n", "a".repeat(1 << 20));
    for _ in 0..150 {
        bomb.write_all(line.as_bytes()).unwrap();
    }
    let case = Case::of(&bomb.finish().unwrap(), &ImportOptions::default());
    assert!(case.error().contains("gzip bomb"), "{}", case.error());
}

#[test]
fn a_quote_open_at_the_end_is_quarantined() {
    let case = Case::of(format!("{GOOD}\"open to the end,5\n").as_bytes(), &ImportOptions::default());
    assert_eq!((case.import().rows_accepted, case.import().quarantined["malformed_record"]), (3, 1));
}

#[test]
fn rules_that_cannot_be_meant_are_errors() {
    for (json, message) in [
        ("{}", "no rule is given"),
        (r#"{"no_such_rule": {}}"#, "unknown rule `no_such_rule`; the rules are invalid_utf8"),
        (r#"{"bad_label": {"policy": "accept"}}"#, "cannot `accept`"),
        (r#"{"bad_label": {"severity": "off"}}"#, "cannot be off"),
        (r#"{"bad_label": {"mostly": 2}}"#, "between 0 and 1"),
        (r#"{"bad_label": {"mostl": 1}}"#, "unknown field"),
    ] {
        let error = RuleSet::from_json(json).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let set = RuleSet::from_json(r#"{"missing_text": {"mostly": 1.0, "policy": "reject"}}"#).unwrap();
    assert_eq!(serde_json::from_str::<RuleSet>(&serde_json::to_string(&set).unwrap()).unwrap(), set);
    let options = ImportOptions { rules: set, ..ImportOptions::default() };
    let error = Case::of(b"text,overall\nfine,5\n,4\n", &options).error();
    assert!(error.contains("rule `missing_text` rejects the file at line 3"), "{error}");
}

#[test]
fn too_many_bad_rows_make_the_data_invalid_and_a_few_are_tolerated() {
    let few = "text,overall\n".to_owned()
        + &(0..99).map(|i| format!("text number {i},{}\n", i % 5 + 1)).collect::<String>()
        + ",5\n";
    let case = Case::of(few.as_bytes(), &ImportOptions::default());
    assert!(case.import().validation.valid);
    assert_eq!(rule(case.import(), "missing_text").outcome, Outcome::Tolerated);
    let many = few + &",5\n".repeat(20);
    let case = Case::of(many.as_bytes(), &ImportOptions::default());
    assert!(
        !case.import().validation.valid && case.import().validation.errors[0].starts_with("missing_text: 21 of 120")
    );
}

fn generated(folder: &Path, options: &GenerateOptions) -> PathBuf {
    let path = folder.join(format!("{:?}-{}", options.format, options.seed));
    generate(options, &mut std::fs::File::create(&path).unwrap()).unwrap();
    path
}

#[test]
fn the_same_file_gives_the_same_bytes_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for format in [GeneratedFormat::KaggleCsv, GeneratedFormat::JsonLines] {
        let options =
            GenerateOptions { rows: 20_000, format, defects: 0.05, non_ascii: 0.1, ..GenerateOptions::default() };
        let source = generated(folder.path(), &options);
        let runs = [1, 2, 5].map(|threads| {
            let out = folder.path().join(format!("{format:?}{threads}"));
            let import = import(&source, &ImportOptions::default(), &out, &work(threads)).unwrap();
            check_counts(&import);
            let bytes = std::fs::read(&import.data).unwrap();
            let quarantine = std::fs::read(import.quarantine.as_ref().unwrap()).unwrap();
            (bytes, quarantine, Import { data: PathBuf::new(), quarantine: None, ..import })
        });
        assert!(runs[0] == runs[1] && runs[0] == runs[2]);
        let import = &runs[0].2;
        for name in ["missing_text", "bad_label", "malformed_record", "duplicate_row", "invalid_utf8"] {
            assert!(import.quarantined[name] > 20, "{name} {:?}", import.quarantined);
        }
        for name in ["malformed_time", "malformed_helpful", "control_characters"] {
            assert!(import.repairs[name] > 20, "{name} {:?}", import.repairs);
        }
    }
}

#[test]
fn parquet_in_gives_the_rows_that_went_out() {
    let folder = tempfile::tempdir().unwrap();
    let source = generated(folder.path(), &GenerateOptions { rows: 3_000, ..GenerateOptions::default() });
    let first = import(&source, &ImportOptions::default(), &folder.path().join("a"), &work(2)).unwrap();
    let again = import(&first.data, &ImportOptions::default(), &folder.path().join("b"), &work(2)).unwrap();
    check_counts(&again);
    assert_eq!((again.format, again.rows_accepted), (Format::Parquet, first.rows_accepted));
    assert_eq!(first.profile.labels, again.profile.labels);
    assert_eq!((first.profile.languages.texts, &first.profile.languages), (1000, &again.profile.languages));
    let ids = |import: &Import| {
        read_rows(&import.data, 0, 5000).unwrap().iter().map(|r| r["row_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&again), "row ids depend on the content alone");
    let mut bytes = std::fs::read(&first.data).unwrap();
    for at in (4..bytes.len()).step_by(97) {
        bytes[at] ^= 0xFF;
    }
    assert!(Case::of(&bytes, &ImportOptions::default()).result.is_err());
    bytes.truncate(bytes.len() / 2);
    assert!(Case::of(&bytes, &ImportOptions::default()).error().contains("Parquet file"));
}

/// Texts and stars: of ten rows seven English, two Spanish, one too short to tell; no two are equal.
fn bilingual(rows: usize) -> Vec<(String, usize)> {
    let row = |n| match n % 10 {
        0 => format!("ok {n}"),
        1 | 2 => format!("El capítulo {n} me gustó mucho, pero el final de la historia no fue lo que esperaba."),
        _ => format!("Chapter {n} was a pleasure to read, but the end of the story was not what I had hoped for."),
    };
    (0..rows).map(|n| (row(n), n % 5 + 1)).collect()
}

fn bilingual_csv(rows: &[(String, usize)]) -> String {
    "text,overall\n".to_owned() + &rows.iter().map(|(text, stars)| format!("\"{text}\",{stars}\n")).collect::<String>()
}

#[test]
fn the_profile_tells_the_languages_of_all_texts_while_they_are_few() {
    let case = Case::of(bilingual_csv(&bilingual(200)).as_bytes(), &ImportOptions::default());
    let languages = &case.import().profile.languages;
    assert_eq!((languages.texts, languages.undetermined), (200, 20));
    let shares: Vec<_> = languages.shares.iter().map(|s| (s.code.as_str(), s.texts, s.share)).collect();
    assert_eq!(shares, [("eng", 140, 0.7), ("spa", 40, 0.2)]);
}

#[test]
fn the_same_rows_give_the_same_languages_in_any_order_and_format() {
    let mut rows = bilingual(5_000);
    let languages =
        |source: &str| Case::of(source.as_bytes(), &ImportOptions::default()).import().profile.languages.clone();
    let expected = languages(&bilingual_csv(&rows));
    assert_eq!(expected.texts, 1000);
    assert_eq!(expected.undetermined + expected.shares.iter().map(|s| s.texts).sum::<u64>(), 1000);
    // Four standard errors of a sample of 1,000.
    for (share, true_share) in expected.shares.iter().zip([0.7, 0.2]) {
        assert!((share.share - true_share).abs() < 0.06, "{share:?}");
    }
    let json: String = rows
        .iter()
        .map(|(text, stars)| serde_json::json!({ "text": text, "overall": stars }).to_string() + "\n")
        .collect();
    assert_eq!(languages(&json), expected);
    rows.reverse();
    rows.rotate_left(1234);
    assert_eq!(languages(&bilingual_csv(&rows)), expected);
}

#[test]
fn a_stored_profile_without_languages_still_reads() {
    let case = Case::of(GOOD.as_bytes(), &ImportOptions::default());
    let mut stored = serde_json::to_value(&case.import().profile).unwrap();
    assert_eq!(serde_json::from_value::<Profile>(stored.clone()).unwrap(), case.import().profile);
    stored.as_object_mut().unwrap().remove("languages").unwrap();
    let read: Profile = serde_json::from_value(stored).unwrap();
    assert_eq!((read.rows, read.languages), (3, crate::LanguageProfile::default()));
}

#[test]
fn a_cancelled_import_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = generated(folder.path(), &GenerateOptions { rows: 30_000, ..GenerateOptions::default() });
    let asked = AtomicUsize::new(0);
    let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= 2;
    let work = Work { progress: &|_, _| (), cancelled: &cancelled, threads: 2, scratch: folder.path() };
    let out = folder.path().join("out");
    assert!(matches!(import(&source, &ImportOptions::default(), &out, &work), Err(Error::Cancelled)));
    assert!(!out.exists());
}

#[test]
fn the_profile_equals_a_recomputation_by_polars() {
    use polars::prelude::*;
    let folder = tempfile::tempdir().unwrap();
    let source = generated(folder.path(), &GenerateOptions { rows: 5_000, ..GenerateOptions::default() });
    let import = import(&source, &ImportOptions::default(), &folder.path().join("out"), &work(2)).unwrap();
    let frame = ParquetReader::new(std::fs::File::open(&import.data).unwrap()).finish().unwrap();
    let lengths: Int64Chunked =
        frame.column("text").unwrap().str().unwrap().iter().map(|t| t.map(|t| t.chars().count() as i64)).collect();
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} {b}");
    for (name, series) in [
        ("text_chars", lengths.into_series()),
        ("time", frame.column("time").unwrap().as_materialized_series().clone()),
        ("helpful_total", frame.column("helpful_total").unwrap().as_materialized_series().clone()),
    ] {
        let column = import.profile.column(name).unwrap();
        let numbers = column.numbers.as_ref().unwrap();
        close(numbers.mean, series.mean().unwrap());
        close(numbers.std, series.std(1).unwrap());
        assert_eq!((Some(numbers.min), Some(numbers.max)), (series.min().unwrap(), series.max().unwrap()));
        for (share, name) in [(0.01, "p01"), (0.25, "p25"), (0.5, "p50"), (0.99, "p99")] {
            let value = series.quantile_reduce(share, QuantileMethod::Linear).unwrap();
            close(numbers.quantiles[name], value.value().try_extract::<f64>().unwrap());
        }
        assert_eq!((column.nulls, column.distinct), (series.null_count() as u64, series.n_unique().unwrap() as u64));
    }
    for name in ["text", "label", "user", "item", "summary"] {
        let series = frame.column(name).unwrap();
        let column = import.profile.column(name).unwrap();
        assert_eq!(column.distinct, series.n_unique().unwrap() as u64 - u64::from(series.null_count() > 0), "{name}");
    }
}

#[test]
fn the_real_sets_are_read_without_losing_a_row() {
    let folder = std::env::var("TENOR_TEST_DATA")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    if !folder.join("kindle_reviews.dev.csv").exists() {
        println!("skipped: no real data at TENOR_TEST_DATA");
        return;
    }
    for (file, rows, kind) in [
        ("kindle_reviews.dev.csv", 3_908, LabelKind::Stars),
        ("reviews_Kindle_Store_5.dev.json", 3_908, LabelKind::Stars),
        ("Kindle_Store_2018_onestar.dev.json", 3_637, LabelKind::Stars),
        ("kindle_mixed.dev.csv.gz", 9_414, LabelKind::Stars),
        ("amazon10_reviews.dev.csv.gz", 32_282, LabelKind::Stars),
        ("multidomain_reviews.dev.jsonl.gz", 4_796, LabelKind::Stars),
        ("airline_tweets.dev.csv", 7_189, LabelKind::Names),
        ("sst2.dev.tsv.gz", 60_614, LabelKind::Names),
    ] {
        let out = tempfile::tempdir().unwrap();
        let import = import(&folder.join(file), &ImportOptions::default(), &out.path().join("out"), &work(2)).unwrap();
        check_counts(&import);
        assert_eq!((import.rows_read, import.profile.label_kind), (rows, kind), "{file}");
        println!(
            "{file}: {} read, {} accepted, repaired {:?}, quarantined {:?}",
            import.rows_read, import.rows_accepted, import.repairs, import.quarantined
        );
        for rule in import.validation.rules.iter().filter(|r| r.violations > 0) {
            println!("    {} {:?}: {}", rule.rule, rule.outcome, rule.violations);
        }
        if file == "kindle_reviews.dev.csv" {
            assert_eq!((import.quarantined["missing_text"], import.repairs["malformed_helpful"]), (1, 1));
            assert_eq!(rule(&import, "bad_item_id").violations, 14);
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_bytes_never_panic_and_never_lose_a_row(
        seed in 0u64..1000,
        json in proptest::bool::ANY,
        compress in proptest::bool::ANY,
        edits in proptest::collection::vec((0.0f64..1.0, proptest::num::u8::ANY), 0..40),
        cut in 0.0f64..1.3,
    ) {
        let format = if json { GeneratedFormat::JsonLines } else { GeneratedFormat::KaggleCsv };
        let mut bytes = Vec::new();
        generate(&GenerateOptions { rows: 30, seed, format, defects: 0.3, non_ascii: 0.3 }, &mut bytes).unwrap();
        if compress {
            bytes = gzip(&bytes);
        }
        for (at, byte) in edits {
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] = byte;
        }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        // `Case` checks that counts add up, or that nothing is left behind.
        let case = Case::of(&bytes, &ImportOptions::default());
        if let Err(error) = &case.result {
            proptest::prop_assert!(!matches!(error, Error::Internal(_) | Error::Io { .. }), "{error}");
        }
    }
}
