//! Which row goes to which part: deterministic by row id and seed, whatever the order of the rows.

use crate::minhash::Groups;

/// Number of parts: train, validation, test.
pub(crate) const PARTS: usize = 3;

/// SplitMix64 (Steele, Lea, Flood 2014) of an id and a seed.
pub(crate) fn mix(id: u64, seed: u64) -> u64 {
    let mut z = id ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Rows of each part by largest remainder: within one of `total * fraction`, adding up to `total`.
pub(crate) fn targets(total: u64, fractions: [f64; PARTS]) -> [u64; PARTS] {
    let exact = fractions.map(|fraction| total as f64 * fraction);
    let mut counts = exact.map(|x| x.floor() as u64);
    let mut order: Vec<usize> = (0..PARTS).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    let missing = total.saturating_sub(counts.iter().sum());
    for part in order.into_iter().cycle().take(missing as usize) {
        counts[part] += 1;
    }
    counts
}

/// Root and row of each row of one group.
type Members<'a> = &'a [(u32, u32)];

/// Assigns whole groups so that each class is shared by `fractions`, within one row wherever single rows can fill the gaps.
/// `classes[row]` counts from 0; `ids[row]` decides the order.
pub(crate) fn stratified(
    ids: &[u64],
    classes: &[u32],
    groups: &mut Groups,
    class_count: usize,
    fractions: [f64; PARTS],
    seed: u64,
) -> Vec<u8> {
    let mut totals = vec![0u64; class_count];
    classes.iter().for_each(|class| totals[*class as usize] += 1);
    let mut left: Vec<[i64; PARTS]> = totals.iter().map(|total| targets(*total, fractions).map(|n| n as i64)).collect();

    // Rows by group: (root, row), so that a group is a run.
    let mut members: Vec<(u32, u32)> = (0..ids.len() as u32).map(|row| (groups.find(row), row)).collect();
    members.sort_unstable();
    // Order of groups: larger first, then by the hash of the least id, which does not depend on row order.
    let mut order: Vec<(usize, u64, Members<'_>)> = members
        .chunk_by(|a, b| a.0 == b.0)
        .map(|group| {
            (group.len(), group.iter().map(|(_, row)| mix(ids[*row as usize], seed)).min().unwrap_or(0), group)
        })
        .collect();
    order.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));

    let mut parts = vec![0u8; ids.len()];
    for (size, hash, group) in order {
        let part = if size == 1 {
            let left = left[classes[group[0].1 as usize] as usize];
            (0..PARTS).find(|part| left[*part] > 0).unwrap_or(0)
        } else {
            choose(group, classes, &left, hash, fractions)
        };
        for (_, row) in group {
            left[classes[*row as usize] as usize][part] -= 1;
            parts[*row as usize] = part as u8;
        }
    }
    parts
}

/// A part by chance in the ratio of the fractions, if the group fits there; else where most rows are missing.
fn choose(group: Members<'_>, classes: &[u32], left: &[[i64; PARTS]], hash: u64, fractions: [f64; PARTS]) -> usize {
    let mut needs: Vec<(u32, i64)> = Vec::new();
    for (_, row) in group {
        let class = classes[*row as usize];
        match needs.iter_mut().find(|(c, _)| *c == class) {
            Some((_, count)) => *count += 1,
            None => needs.push((class, 1)),
        }
    }
    let fits = |part: usize| needs.iter().all(|(class, count)| left[*class as usize][part] >= *count);
    let mut chance = (mix(hash, 0x5EED) >> 11) as f64 / (1u64 << 53) as f64;
    let mut wanted = PARTS - 1;
    for (part, fraction) in fractions.iter().enumerate() {
        if chance < *fraction {
            wanted = part;
            break;
        }
        chance -= fraction;
    }
    if fits(wanted) {
        return wanted;
    }
    let room = |part: usize| needs.iter().map(|(class, count)| left[*class as usize][part] - count).min().unwrap_or(0);
    (0..PARTS).max_by(|a, b| room(*a).cmp(&room(*b)).then(b.cmp(a))).unwrap_or(0)
}

/// Assigns by time, earliest to train. Rows of one moment stay together, so a part may miss its share by such a tie.
pub(crate) fn temporal(times: &[i64], fractions: [f64; PARTS]) -> Vec<u8> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let [train, validation, _] = targets(times.len() as u64, fractions).map(|n| n as usize);
    // A cut at a moment sends all of that moment to the later part, unless this would leave the earlier one empty.
    let cut = |rank: usize| match sorted.get(rank) {
        Some(time) if *time > sorted[0] => *time,
        Some(time) => sorted[sorted.partition_point(|t| t <= time)..].first().copied().unwrap_or(i64::MAX),
        None => i64::MAX,
    };
    let (first, second) = (cut(train), cut(train + validation));
    times.iter().map(|time| u8::from(*time >= first) + u8::from(*time >= second.max(first))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRACTIONS: [f64; 3] = [0.7, 0.15, 0.15];

    #[test]
    fn each_class_is_shared_within_one_row_and_groups_stay_whole() {
        let ids: Vec<u64> = (0..5000).map(|i| mix(i, 1)).collect();
        let classes: Vec<u32> = (0..5000).map(|i| [0, 1, 1, 2, 2, 2, 2][i % 7]).collect();
        let mut groups = Groups::new(5000);
        for row in 0..400u32 {
            groups.join(row, row + 1000);
        }
        let parts = stratified(&ids, &classes, &mut groups, 3, FRACTIONS, 42);
        for class in 0..3 {
            let rows: Vec<_> = (0..5000).filter(|row| classes[*row] == class).collect();
            for (part, fraction) in FRACTIONS.iter().enumerate() {
                let got = rows.iter().filter(|row| usize::from(parts[**row]) == part).count();
                assert!((got as f64 - rows.len() as f64 * fraction).abs() <= 1.0, "{class} {part} {got}");
            }
        }
        assert!((0..400).all(|row| parts[row] == parts[row + 1000]));
        let moved = (0..400).filter(|row| parts[*row] != 0).count();
        assert!((80..160).contains(&moved), "{moved} of 400 groups outside train");
    }

    #[test]
    fn the_assignment_depends_on_ids_and_seed_but_not_on_row_order() {
        let ids: Vec<u64> = (0..1000).map(|i| mix(i, 1)).collect();
        let reversed: Vec<u64> = ids.iter().rev().copied().collect();
        let assign = |ids: &[u64], seed| stratified(ids, &vec![0; 1000], &mut Groups::new(1000), 1, FRACTIONS, seed);
        let mut other = assign(&reversed, 42);
        other.reverse();
        assert_eq!(assign(&ids, 42), other);
        assert_ne!(assign(&ids, 42), assign(&ids, 43));
    }

    #[test]
    fn a_temporal_split_never_trains_on_the_future() {
        let times: Vec<i64> = (0..1000).map(|i| i64::from(i * 37 % 500)).collect();
        let parts = temporal(&times, FRACTIONS);
        let range = |part| times.iter().zip(&parts).filter(move |(_, p)| **p == part).map(|(t, _)| *t);
        assert!(range(0).max() < range(1).min() && range(1).max() < range(2).min());
        assert_eq!([0, 1, 2].map(|part| range(part).count()), [700, 150, 150]);
    }
}
