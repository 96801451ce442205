use super::*;
use crate::testing::{golden, overconfident};
use tenor_features::random::Random;

/// statsmodels 0.15.0 `mcnemar`, within 1e-12 relative. It has no pair of equal counts at 25 or more: there it corrects what
/// needs no correction.
#[test]
fn mcnemar_equals_statsmodels() {
    for case in golden()["compare"]["mcnemar"].as_array().unwrap() {
        let found = mcnemar(case["first_only"].as_u64().unwrap(), case["second_only"].as_u64().unwrap());
        let theirs = case["p"].as_f64().unwrap();
        assert!((found.p - theirs).abs() <= 1e-12 * theirs, "{case}: {found:?}");
        assert_eq!(found.exact, case["exact"]);
    }
    assert_eq!(mcnemar(50, 50).p, 1.0);
}

/// The answers of `first`, with the probability of the truth changed by `push` in the log-odds.
fn pushed(labels: &[u32], first: &[f64], push: f64) -> Vec<f64> {
    let row = |(row, label): (&[f64], &u32)| {
        let truth = row[*label as usize];
        let odds = truth / (1.0 - truth) * push.exp();
        let new = odds / (1.0 + odds);
        let rest = (1.0 - new) / (1.0 - truth);
        (0..row.len()).map(|c| if c == *label as usize { new } else { row[c] * rest }).collect::<Vec<_>>()
    };
    first.chunks(3).zip(labels).flat_map(row).collect()
}

#[test]
fn a_better_model_is_seen_to_be_better_in_everything() {
    let (labels, first) = overconfident(4, 600, 3);
    let second = pushed(&labels, &first, 0.7);
    let found = compare(&labels, &first, &second, 3, &CompareOptions::default()).unwrap();
    assert!(found.mcnemar.p < 0.001 && found.mcnemar.first_only == 0);
    assert_eq!(found.differences.iter().map(|difference| &difference.name).collect::<Vec<_>>(), COMPARED.to_vec());
    for difference in &found.differences {
        let sign = if difference.name == "log_loss" { -1.0 } else { 1.0 };
        let (low, high) = (difference.low.unwrap() * sign, difference.high.unwrap() * sign);
        assert!(low.min(high) > 0.0 && difference.p.unwrap() < 0.01, "{difference:?}");
        assert_eq!(difference.difference.unwrap(), difference.second.unwrap() - difference.first.unwrap());
    }
    assert!(found.flips.iter().all(|flip| flip.change != Change::Broken && flip.gain > 0.0));
    assert!(found.flips.is_sorted_by(|a, b| a.gain >= b.gain));
}

#[test]
fn equal_models_do_not_differ() {
    let (labels, first) = overconfident(4, 200, 3);
    let found = compare(&labels, &first, &first, 3, &CompareOptions::default()).unwrap();
    assert_eq!((found.mcnemar.p, found.flips.len()), (1.0, 0));
    for difference in found.differences {
        assert_eq!((difference.difference, difference.p), (Some(0.0), Some(1.0)));
    }
}

#[test]
fn models_that_are_equally_good_are_called_different_about_5_times_in_100() {
    const WORLDS: u64 = 300;
    let (mut by_test, mut by_bootstrap) = (0, [0; 4]);
    for world in 0..WORLDS {
        let (labels, whole) = overconfident(100 + world, 400, 3);
        let mut random = Random::new(world, 1);
        let (mut first, mut second) = (whole.clone(), whole.clone());
        for row in 0..labels.len() {
            // Each row is spoiled for one of the two, by chance.
            let side = if random.unit() < 0.5 { &mut first } else { &mut second };
            side[row * 3..row * 3 + 3].rotate_left(random.below(2));
        }
        let options = CompareOptions { resamples: 200, seed: world, ..CompareOptions::default() };
        let found = compare(&labels, &first, &second, 3, &options).unwrap();
        by_test += u32::from(found.mcnemar.p < 0.05);
        for (count, difference) in by_bootstrap.iter_mut().zip(&found.differences) {
            *count += u32::from(difference.p.unwrap() < 0.05);
        }
    }
    println!("of {WORLDS}: McNemar {by_test}, bootstrap {by_bootstrap:?}");
    assert!(by_test <= 24, "{by_test}");
    assert!(by_bootstrap.iter().all(|count| (4..=29).contains(count)), "{by_bootstrap:?}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (labels, first) = overconfident(4, 200, 3);
    let (_, second) = overconfident(5, 200, 3);
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| compare(&labels, &first, &second, 3, &CompareOptions::default()).unwrap())
    };
    assert_eq!(with_threads(1), with_threads(3));
}

#[test]
fn flips_say_what_became_of_the_row() {
    let first = [0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.8, 0.4, 0.3, 0.3];
    let second = [0.1, 0.8, 0.1, 0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.6, 0.2, 0.2];
    let found = compare(&[0, 0, 0, 0], &first, &second, 3, &CompareOptions::default()).unwrap();
    let changes: Vec<_> = found.flips.iter().map(|flip| (flip.row, flip.change)).collect();
    assert_eq!(changes, [(0, Change::Broken), (1, Change::Fixed), (2, Change::OtherMistake)]);
}

#[test]
fn sizes_that_do_not_fit_and_a_wish_to_stop_are_errors() {
    let options = CompareOptions::default();
    assert!(compare(&[0], &[0.5, 0.5], &[1.0], 2, &options).is_err());
    let options = CompareOptions { stop: Stop::when(&|| true), ..options };
    let error = compare(&[0], &[0.5, 0.5], &[0.5, 0.5], 2, &options).unwrap_err();
    assert_eq!(error.kind, tenor_domain::ErrorKind::Cancelled);
}
