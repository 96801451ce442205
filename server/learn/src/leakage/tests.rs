use std::time::Instant;

use tenor_features::random::Random;

use super::*;

/// A text of `words` words out of 5 000.
fn text(random: &mut Random, words: usize) -> Vec<String> {
    (0..words).map(|_| format!("w{}", random.below(5_000))).collect()
}

fn find(train: &[String], others: &[String]) -> Leakage {
    let ids = |texts: &[String], from: i64| (0..texts.len() as i64).map(|row| row + from).collect::<Vec<_>>();
    let (train_ids, other_ids) = (ids(train, 0), ids(others, 1_000_000));
    let train = Texts { row_ids: &train_ids, texts: train };
    let others = Texts { row_ids: &other_ids, texts: others };
    find_leakage(train, others, &LeakageOptions::default()).unwrap()
}

/// Training texts, and other texts of which the first 100 are copies of every third training text with one word changed.
fn planted(rows: usize) -> (Vec<String>, Vec<String>) {
    let mut random = Random::new(8, 0);
    let train: Vec<Vec<String>> = (0..rows).map(|_| text(&mut random, 60)).collect();
    let copies = (0..100).map(|copy| {
        let mut words = train[copy * 3].clone();
        words[30] = "changed".to_owned();
        words.join(", ").to_uppercase()
    });
    let mut others: Vec<String> = copies.collect();
    others.extend((100..rows).map(|_| text(&mut random, 60).join(" ")));
    (train.iter().map(|words| words.join(" ")).collect(), others)
}

#[test]
fn planted_near_duplicates_are_found_with_their_true_similarity() {
    let (train, others) = planted(3_000);
    let found = find(&train, &others);
    assert!(found.leaks.len() >= 98, "{}", found.leaks.len());
    for leak in &found.leaks {
        let copy = leak.row_id - 1_000_000;
        assert_eq!(leak.train_row_id, copy * 3);
        // 55 of 58 + 3 different 3-grams are shared.
        assert!((leak.similarity - 55.0 / 61.0).abs() < 1e-12, "{leak:?}");
    }
    assert_eq!((found.rows, found.exact, found.share), (3_000, 0, found.leaks.len() as f64 / 3_000.0));
}

#[test]
fn short_texts_leak_by_the_same_words_only() {
    let train = ["Great book!", "", "so so, not for me", "I liked this one very much"].map(str::to_owned);
    let others = ["great BOOK", "great", "", "...", "So so not for me", "i liked this one very much."];
    let found = find(&train, &others.map(str::to_owned));
    let rows: Vec<_> = found.leaks.iter().map(|leak| (leak.row_id - 1_000_000, leak.train_row_id)).collect();
    assert_eq!(rows, [(0, 0), (4, 2), (5, 3)]);
    assert_eq!((found.exact, found.short), (3, 1));
}

#[test]
fn the_same_three_grams_in_other_numbers_are_near_but_not_the_same_words() {
    let of = |count: usize| vec!["great"; count].join(" ");
    let found = find(&[of(5), of(9)], &[of(7), of(9)]);
    let similar: Vec<_> = found.leaks.iter().map(|leak| (leak.train_row_id, leak.similarity)).collect();
    assert_eq!((similar, found.exact), (vec![(0, 1.0), (1, 1.0)], 1));
}

#[test]
fn pairs_below_the_wanted_similarity_are_not_reported() {
    let mut random = Random::new(8, 0);
    let train = text(&mut random, 60);
    let mut other = train.clone();
    // Four changed words leave 46 to 48 of 58 3-grams: Jaccard below 0.71.
    [5, 20, 35, 50].iter().for_each(|at| other[*at] = "changed".to_owned());
    assert_eq!(find(&[train.join(" ")], &[other.join(" ")]).leaks, []);
}

#[test]
fn a_text_that_everybody_copied_names_its_first_row_and_takes_no_time() {
    let same = vec!["this is what everybody wrote about this very book".to_owned(); 20_000];
    let found = find(&same, &same);
    assert_eq!((found.leaks.len(), found.exact), (20_000, 20_000));
    assert!(found.leaks.iter().all(|leak| leak.train_row_id == 0));
}

#[test]
fn the_number_of_threads_changes_nothing_and_a_wish_to_stop_ends_it() {
    let (train, others) = planted(600);
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| find(&train, &others))
    };
    assert_eq!(with_threads(1), with_threads(3));
    let ids: Vec<i64> = (0..600).collect();
    let texts = Texts { row_ids: &ids, texts: &train };
    let options = LeakageOptions { stop: Stop::when(&|| true), ..LeakageOptions::default() };
    assert_eq!(find_leakage(texts, texts, &options).unwrap_err().kind, tenor_domain::ErrorKind::Cancelled);
    let options = LeakageOptions { min_similarity: 0.1, ..LeakageOptions::default() };
    assert_eq!(find_leakage(texts, texts, &options).unwrap_err().violations[0].field, "min_similarity");
    let unequal = Texts { row_ids: &ids[1..], texts: &train };
    assert_eq!(find_leakage(unequal, texts, &LeakageOptions::default()).unwrap_err().violations[0].field, "train");
}

#[test]
fn no_rows_are_no_leak() {
    let found = find(&[], &[]);
    assert_eq!((found.rows, found.share), (0, 0.0));
}

#[test]
fn a_hundred_thousand_rows_take_seconds() {
    let (train, others) = planted(50_000);
    let start = Instant::now();
    let found = find(&train, &others);
    println!("50,000 against 50,000 rows: {:?}", start.elapsed());
    assert!(found.leaks.len() >= 98);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
