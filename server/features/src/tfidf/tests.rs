use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tenor_domain::ErrorKind;

use super::*;
use crate::Stop;
use crate::sparse::SparseRow;

#[derive(serde::Deserialize)]
struct Golden {
    documents: Vec<String>,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    params: TfidfParams,
    terms: Vec<String>,
    idf: Vec<f64>,
    every: usize,
    rows: Vec<(Vec<u32>, Vec<f64>)>,
}

fn fitted(texts: &[&str], params: &TfidfParams) -> Tfidf {
    fit(texts, params, Stop::never()).unwrap()
}

fn unigrams() -> TfidfParams {
    TfidfParams { ngram_max: 1, min_df: 1, max_features: None, sublinear: false, ..TfidfParams::default() }
}

/// Values within 1e-7 of scikit-learn 1.9.1: ours are stored as f32.
#[test]
fn terms_and_values_equal_scikit_learns() {
    equal(include_str!("../../../../tests/golden/tfidf.json"));
}

#[test]
fn characters_and_stop_words_equal_scikit_learns() {
    equal(include_str!("../../../../tests/golden/tfidf_options.json"));
}

fn equal(golden: &str) {
    let golden: Golden = serde_json::from_str(golden).unwrap();
    for case in golden.cases {
        let (tfidf, matrix) = fit_transform(&golden.documents, &case.params, None, Stop::never()).unwrap();
        assert_eq!(tfidf.terms().collect::<Vec<_>>(), case.terms, "{:?}", case.params);
        for (ours, theirs) in tfidf.idf().iter().zip(&case.idf) {
            assert!((ours - theirs).abs() < 1e-12);
        }
        for (index, (columns, values)) in case.rows.iter().enumerate() {
            let row = matrix.row(index * case.every);
            assert_eq!(row.columns, columns);
            for (ours, theirs) in row.values.iter().zip(values) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-7, "{ours} {theirs}");
            }
        }
        assert_eq!(tfidf.transform(&golden.documents, Stop::never()).unwrap(), matrix);
    }
}

#[test]
fn stems_stand_for_their_words_and_stop_words_leave_no_gap() {
    let analyzer = Analyzer { stemming: Some("english".into()), stop_words: vec!["the".into()], ..Analyzer::default() };
    let params = TfidfParams { analyzer, min_df: 1, ..TfidfParams::default() };
    let texts = ["reading the books", "he reads a book"];
    let (tfidf, matrix) = fit_transform(&texts, &params, None, Stop::never()).unwrap();
    assert_eq!(tfidf.terms().collect::<Vec<_>>(), ["book", "he", "he read", "read", "read book"]);
    assert_eq!(tfidf.transform(&texts, Stop::never()).unwrap(), matrix);
    let mut arrays = Arrays::default();
    tfidf.save("tfidf", &mut arrays);
    assert_eq!(Tfidf::load("tfidf", &arrays).unwrap().transform(&texts, Stop::never()).unwrap(), matrix);
}

#[test]
fn a_word_without_a_stem_is_left_out() {
    let analyzer = Analyzer { stemming: Some("arabic".into()), ..Analyzer::default() };
    let texts = ["\u{640}\u{640} كتاب", "\u{640}\u{640} كتاب"];
    let tfidf = fitted(&texts, &TfidfParams { analyzer, ..TfidfParams::default() });
    assert_eq!(tfidf.width(), 1);
}

#[test]
fn hashed_columns_need_no_vocabulary_and_keep_what_differs_apart() {
    let params = TfidfParams { hash_bits: Some(16), ..TfidfParams::default() };
    let texts = ["great book great read", "slow book", "great ending of a slow read", ""];
    let (tfidf, matrix) = fit_transform(&texts, &params, None, Stop::never()).unwrap();
    assert_eq!((tfidf.width(), tfidf.is_hashed(), tfidf.term(3)), (1 << 16, true, ""));
    assert_eq!(tfidf.transform(&texts, Stop::never()).unwrap(), matrix);
    // As many columns a row as there are different n-grams: no two share one here.
    assert_eq!((0..4).map(|row| matrix.row(row).columns.len()).collect::<Vec<_>>(), [6, 3, 9, 0]);
    // Stored models hold weights of these columns: the hash must never change.
    assert_eq!(matrix.row(1).columns, [13_076, 31_689, 41_003]);
    let mut arrays = Arrays::default();
    tfidf.save("tfidf", &mut arrays);
    assert_eq!(Tfidf::load("tfidf", &arrays).unwrap().transform(&texts, Stop::never()).unwrap(), matrix);
    arrays.insert(
        "tfidf.layout",
        Array::U8(br#"{"analyzer":{},"hashing":{"bits":60,"ngram_min":1,"ngram_max":2}}"#.to_vec()),
    );
    assert_eq!(Tfidf::load("tfidf", &arrays).unwrap_err().reason, "BROKEN_MODEL_FILE");
}

#[test]
fn tokens_are_runs_of_two_or_more_word_characters() {
    for (text, wanted) in [
        ("don't a_b x 12 3", vec!["don", "a_b", "12"]),
        ("  été, 你好! 好 नमस्ते", vec!["été", "你好", "नमस्ते"]),
        ("\u{301}ab é", vec!["ab"]),
        ("", vec![]),
        ("_ __", vec!["__"]),
    ] {
        assert_eq!(tokens(text).collect::<Vec<_>>(), wanted, "{text}");
    }
}

#[test]
fn equal_counts_at_the_cut_rank_by_text() {
    let params = TfidfParams { max_features: Some(2), ..unigrams() };
    assert_eq!(fitted(&["dd cc bb aa", "dd"], &params).terms().collect::<Vec<_>>(), ["aa", "dd"]);
}

#[test]
fn the_order_of_documents_and_the_number_of_threads_change_nothing() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/tfidf.json")).unwrap();
    let texts: Vec<&String> = golden.documents.iter().cycle().take(5_000).collect();
    let params = TfidfParams { ngram_max: 3, max_features: Some(500), ..TfidfParams::default() };
    let with_threads = |threads, texts: &[&String]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit_transform(texts, &params, None, Stop::never()).unwrap())
    };
    let (one, one_matrix) = with_threads(1, &texts);
    let (three, three_matrix) = with_threads(3, &texts);
    assert!(one.terms().eq(three.terms()));
    assert_eq!(one.idf(), three.idf());
    assert_eq!(one_matrix, three_matrix);
    let reversed: Vec<&String> = texts.iter().rev().copied().collect();
    assert!(with_threads(2, &reversed).0.terms().eq(one.terms()));
}

#[test]
fn nothing_left_is_a_clear_error() {
    for texts in [vec![], vec![""], vec!["aa", "bb"]] {
        let error = fit(&texts, &TfidfParams::default(), Stop::never()).unwrap_err();
        assert_eq!(error.reason, "EMPTY_VOCABULARY");
    }
}

#[test]
fn wrong_parameters_name_their_field() {
    let right = TfidfParams::default();
    for (field, params) in [
        ("ngram_max", TfidfParams { ngram_max: 0, ..right.clone() }),
        ("ngram_max", TfidfParams { ngram_max: 6, ..right.clone() }),
        ("ngram_min", TfidfParams { ngram_min: 3, ..right.clone() }),
        ("min_df", TfidfParams { min_df: 0, ..right.clone() }),
        ("max_df", TfidfParams { max_df: f64::NAN, ..right.clone() }),
        ("max_df", TfidfParams { max_df: 1.5, ..right.clone() }),
        ("max_features", TfidfParams { max_features: Some(0), ..right.clone() }),
    ] {
        assert_eq!(fit(&["aa"], &params, Stop::never()).unwrap_err().violations[0].field, field);
    }
}

#[test]
fn a_wish_to_stop_is_honoured_at_every_check() {
    let texts = vec!["aa bb cc dd"; 20_000];
    let params = TfidfParams { ngram_max: 3, ..TfidfParams::default() };
    let calls = AtomicUsize::new(0);
    let count = || {
        calls.fetch_add(1, Ordering::Relaxed);
        false
    };
    fit_transform(&texts, &params, None, Stop::when(&count)).unwrap();
    let all = calls.load(Ordering::Relaxed);
    assert!(all > 40, "{all}");
    for after in (0..all).step_by(5) {
        let left = AtomicUsize::new(after);
        let stop = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err();
        assert_eq!(fit_transform(&texts, &params, None, Stop::when(&stop)).unwrap_err().kind, ErrorKind::Cancelled);
    }
}

#[test]
fn a_saved_vectorizer_gives_the_same_rows_and_a_spoiled_one_is_refused() {
    let texts = ["great book great read", "slow book", "great ending of a slow read"];
    let tfidf = fitted(&texts, &TfidfParams { min_df: 1, ..TfidfParams::default() });
    let mut arrays = Arrays::default();
    tfidf.save("tfidf", &mut arrays);
    let loaded = Tfidf::load("tfidf", &arrays).unwrap();
    let rows = |tfidf: &Tfidf| tfidf.transform(&texts, Stop::never()).unwrap();
    assert_eq!(rows(&tfidf), rows(&loaded));

    let ends = arrays.u64s("tfidf.terms.ends").unwrap().to_vec();
    let bytes = arrays.u8s("tfidf.terms.bytes").unwrap().to_vec();
    let spoiled: [(&str, Array); 8] = [
        ("tfidf.idf", Array::F64(vec![1.0])),
        ("tfidf.idf", Array::F64(vec![f64::NAN; ends.len()])),
        ("tfidf.idf", Array::F32(vec![1.0; ends.len()])),
        ("tfidf.sublinear", Array::U64(vec![2])),
        ("tfidf.terms.ends", Array::U64(vec![u64::MAX; ends.len()])),
        ("tfidf.terms.ends", Array::U64(ends.iter().rev().copied().collect())),
        ("tfidf.terms.bytes", Array::U8(vec![0xff; bytes.len()])),
        ("tfidf.terms.bytes", Array::U8(vec![b' '; bytes.len()])),
    ];
    for (name, array) in spoiled {
        let mut arrays = arrays.clone();
        arrays.insert(name, array);
        assert_eq!(Tfidf::load("tfidf", &arrays).unwrap_err().reason, "BROKEN_MODEL_FILE", "{name}");
    }
}

/// The definition, word for word and slow.
fn slow(texts: &[String], params: &TfidfParams) -> Vec<(String, u64, u32)> {
    let mut all = std::collections::BTreeMap::<String, (u64, std::collections::BTreeSet<usize>)>::new();
    for (document, text) in texts.iter().enumerate() {
        let words: Vec<&str> = tokens(text).collect();
        for n in params.ngram_min..=params.ngram_max {
            for gram in words.windows(n as usize) {
                let entry = all.entry(gram.join(" ")).or_default();
                entry.0 += 1;
                entry.1.insert(document);
            }
        }
    }
    let mut terms: Vec<_> = all.into_iter().map(|(term, (n, docs))| (term, n, docs.len() as u32)).collect();
    terms.retain(|term| term.2 >= params.min_df && f64::from(term.2) <= params.max_df * texts.len() as f64);
    terms.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    terms.truncate(params.max_features.unwrap_or(u32::MAX) as usize);
    terms.sort();
    terms
}

proptest! {
    #[test]
    fn the_vocabulary_is_that_of_the_definition(
        texts in proptest::collection::vec("((aa|bb|cc|dd|é你|x) ){0,12}", 1..20),
        (ngram_min, more) in (1u32..4, 0u32..3),
        min_df in 1u32..4,
        max_df in 0.3f64..1.0,
        max_features in proptest::option::of(1u32..40),
    ) {
        let ngram_max = (ngram_min + more).min(5);
        let params = TfidfParams { ngram_min, ngram_max, min_df, max_df, max_features, ..TfidfParams::default() };
        let wanted = slow(&texts, &params);
        match fit(&texts, &params, Stop::never()) {
            Ok(tfidf) => prop_assert!(tfidf.terms().eq(wanted.iter().map(|term| term.0.as_str()))),
            Err(_) => prop_assert!(wanted.is_empty()),
        }
    }

    #[test]
    fn any_text_gives_a_finite_sorted_row_of_length_one(text in "\\PC*|((aa|bb|cc) ){0,9}") {
        let tfidf = fitted(&["aa bb cc", "bb cc dd"], &TfidfParams { min_df: 1, ..TfidfParams::default() });
        let (mut scratch, mut row) = (Scratch::default(), SparseRow::default());
        tfidf.transform_into(&text, &mut scratch, &mut row);
        prop_assert!(row.columns.is_sorted_by(|a, b| a < b));
        let squares: f64 = row.values.iter().map(|value| f64::from(*value).powi(2)).sum();
        prop_assert!(row.columns.is_empty() || (squares - 1.0).abs() < 1e-5);
    }
}
