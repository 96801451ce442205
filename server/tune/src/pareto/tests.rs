use proptest::prelude::*;
use tenor_features::random::Random;

use super::*;

/// By comparing each with each.
fn brute_ranks(rows: &[Vec<f64>]) -> Vec<u32> {
    let mut ranks = vec![u32::MAX; rows.len()];
    for rank in 0.. {
        let left: Vec<usize> = (0..rows.len()).filter(|at| ranks[*at] == u32::MAX).collect();
        if left.is_empty() {
            return ranks;
        }
        let on_front = |at: &&usize| !left.iter().any(|other| dominates(&rows[*other], &rows[**at]));
        let front: Vec<usize> = left.iter().filter(on_front).copied().collect();
        front.into_iter().for_each(|at| ranks[at] = rank);
    }
    unreachable!()
}

/// By inclusion and exclusion.
fn brute_volume(rows: &[Vec<f64>], reference: &[f64]) -> f64 {
    let rows: Vec<&Vec<f64>> = rows.iter().filter(|row| row.iter().zip(reference).all(|(a, b)| a < b)).collect();
    let mut sum = 0.0;
    for subset in 1u32..1 << rows.len() {
        let members = || (0..rows.len()).filter(|at| subset >> at & 1 == 1);
        let side = |objective: usize| {
            let corner = members().map(|at| rows[at][objective]).fold(f64::NEG_INFINITY, f64::max);
            reference[objective] - corner
        };
        let volume: f64 = (0..reference.len()).map(side).product();
        sum += if subset.count_ones() % 2 == 1 { volume } else { -volume };
    }
    sum
}

fn some_rows(seed: u64, count: usize, objectives: usize) -> Vec<Vec<f64>> {
    let mut random = Random::new(seed, 9);
    // Few distinct numbers, so that there are equals.
    (0..count).map(|_| (0..objectives).map(|_| random.below(20) as f64 / 20.0).collect()).collect()
}

#[test]
fn the_front_of_a_thousand_rows_is_that_of_brute_force() {
    for objectives in 1..=4 {
        let rows = some_rows(objectives as u64, 1_000, objectives);
        let mut found = front(&rows);
        found.sort_unstable();
        let expected: Vec<usize> =
            (0..rows.len()).filter(|at| !rows.iter().any(|other| dominates(other, &rows[*at]))).collect();
        assert_eq!(found, expected, "{objectives}");
    }
}

#[test]
fn the_volume_under_known_fronts_is_right() {
    assert_eq!(hypervolume(&[], &[1.0, 1.0]), 0.0);
    assert_eq!(hypervolume(&[vec![0.0, 0.0], vec![2.0, 0.0]], &[1.0, 1.0]), 1.0);
    // ZDT1: the room above 1 - sqrt(x) in the unit square.
    let rows: Vec<Vec<f64>> =
        (0..=20_000).map(|at| f64::from(at) / 20_000.0).map(|x| vec![x, 1.0 - x.sqrt()]).collect();
    assert!((hypervolume(&rows, &[1.0, 1.0]) - 2.0 / 3.0).abs() < 1e-3);
}

#[test]
fn a_greedy_subset_has_most_of_the_best_one() {
    for seed in 0..40 {
        let rows = some_rows(seed, 9, 2 + (seed % 2) as usize);
        let reference = vec![1.1; rows[0].len()];
        let chosen = hypervolume_subset(&rows, &reference, 4);
        let volume =
            |places: &[usize]| hypervolume(&places.iter().map(|at| rows[*at].clone()).collect::<Vec<_>>(), &reference);
        assert_eq!(chosen.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        let best = (0u32..1 << 9)
            .filter(|subset| subset.count_ones() == 4)
            .map(|subset| volume(&(0..9).filter(|at| subset >> at & 1 == 1).collect::<Vec<_>>()))
            .fold(0.0, f64::max);
        assert!(volume(&chosen) >= (1.0 - 1.0 / std::f64::consts::E) * best, "{seed}");
    }
    assert_eq!(hypervolume_subset(&[], &[1.0], 3), [0; 0]);
}

#[test]
fn a_subset_is_that_of_the_plain_greedy_rule() {
    for seed in 0..30 {
        let objectives = 2 + (seed % 3) as usize;
        let mut random = Random::new(seed, 10);
        // Of length 1, so that none dominates another.
        let mut row = || {
            let row: Vec<f64> = (0..objectives).map(|_| random.unit()).collect();
            let length = row.iter().map(|it| it * it).sum::<f64>().sqrt();
            row.into_iter().map(|it| it / length).collect()
        };
        let rows: Vec<Vec<f64>> = (0..30).map(|_| row()).collect();
        let reference = vec![1.1; objectives];
        let mut plain: Vec<usize> = Vec::new();
        while plain.len() < 8 {
            let with = |at: usize| {
                let kept: Vec<Vec<f64>> = plain.iter().chain([&at]).map(|at| rows[*at].clone()).collect();
                hypervolume(&kept, &reference)
            };
            let open = (0..rows.len()).filter(|at| !plain.contains(at));
            plain.push(open.max_by(|a, b| with(*a).total_cmp(&with(*b))).unwrap());
        }
        assert_eq!(hypervolume_subset(&rows, &reference, 8), plain, "{seed}");
    }
}

#[test]
fn the_volume_of_three_objectives_does_not_depend_on_their_order() {
    for seed in 0..20 {
        let rows = some_rows(seed, 60, 3);
        let turned: Vec<Vec<f64>> = rows.iter().rev().map(|row| vec![row[2], row[0], row[1]]).collect();
        let (volume, again) = (hypervolume(&rows, &[0.9, 0.8, 0.7]), hypervolume(&turned, &[0.7, 0.9, 0.8]));
        assert!((volume - again).abs() < 1e-12, "{seed}: {volume} {again}");
    }
}

#[test]
fn the_ends_of_a_front_are_the_loneliest() {
    let rows = vec![vec![0.0, 4.0], vec![1.0, 1.0], vec![1.1, 0.9], vec![4.0, 0.0]];
    let distances = crowding(&rows, &[0, 1, 2, 3]);
    assert!(distances[0].is_infinite() && distances[3].is_infinite());
    assert!(distances[1].is_finite() && distances[1] > 0.0);
    assert!(crowding(&rows, &[]).is_empty());
}

proptest! {
    #[test]
    fn ranks_and_volumes_equal_brute_force(seed in any::<u64>(), count in 1usize..9, objectives in 1usize..5) {
        let rows = some_rows(seed, count, objectives);
        prop_assert_eq!(ranks(&rows), brute_ranks(&rows));
        let reference = vec![0.9; objectives];
        prop_assert!((hypervolume(&rows, &reference) - brute_volume(&rows, &reference)).abs() < 1e-9);
    }
}
