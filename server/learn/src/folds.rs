//! Cutting rows into folds for cross-validation.

use std::collections::BTreeMap;

use tenor_domain::Error;
use tenor_features::random::Random;

/// Which fold each row is judged in. Every row is in exactly one; it is learned from in all the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    count: u32,
    of: Vec<u32>,
}

/// Most folds there may be.
pub const MAX_FOLDS: u32 = 100;

impl Folds {
    /// Cuts rows into `k` folds that have, within one row, equally many rows of each class and equally many in all. Rows of a
    /// class are shuffled by `seed`, then dealt out fold by fold, the next class going on where the last one ended.
    pub fn stratified(labels: &[u32], k: u32, seed: u64) -> Result<Self, Error> {
        check(labels.len(), k, "rows")?;
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        Random::new(seed, 0).shuffle(&mut order);
        order.sort_by_key(|row| labels[*row as usize]);
        let mut of = vec![0; labels.len()];
        for (dealt, row) in order.into_iter().enumerate() {
            of[row as usize] = dealt as u32 % k;
        }
        Ok(Self { count: k, of })
    }

    /// Cuts rows into `k` folds so that rows of one group (a user, a product, a chain of near duplicates) are never on two
    /// sides. Groups go, the largest first and equals in an order by `seed`, to the fold that has least of their classes and
    /// least rows; so sizes and class shares are as even as the groups allow. Without two rows of one group the folds are
    /// [`stratified`](Self::stratified).
    pub fn grouped(groups: &[i64], labels: &[u32], k: u32, seed: u64) -> Result<Self, Error> {
        if groups.len() != labels.len() {
            let text = format!("must be one for each of {} labels, got {}", labels.len(), groups.len());
            return Err(Error::invalid("groups", text));
        }
        let mut members: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, group) in groups.iter().enumerate() {
            members.entry(*group).or_default().push(row as u32);
        }
        if members.len() == labels.len() {
            return Self::stratified(labels, k, seed);
        }
        check(members.len(), k, "groups")?;
        let mut members: Vec<Vec<u32>> = members.into_values().collect();
        Random::new(seed, 0).shuffle(&mut members);
        members.sort_by_key(|rows| std::cmp::Reverse(rows.len()));

        let mut totals: BTreeMap<u32, f64> = BTreeMap::new();
        labels.iter().for_each(|label| *totals.entry(*label).or_default() += 1.0);
        let mut fills = vec![Fill::default(); k as usize];
        let mut of = vec![0; labels.len()];
        for rows in &members {
            let mut classes: BTreeMap<u32, f64> = BTreeMap::new();
            rows.iter().for_each(|row| *classes.entry(labels[*row as usize]).or_default() += 1.0);
            // What the group adds to the sum over classes and folds of rows^2 / all rows of the class, and over folds of
            // rows^2 / all rows: least when everything is even (after the parts that no choice of fold changes).
            let cost = |fill: &Fill| {
                let class = |(class, rows): (&u32, &f64)| {
                    rows * fill.classes.get(class).copied().unwrap_or(0.0) / totals[class]
                };
                classes.iter().map(class).sum::<f64>() + rows.len() as f64 * fill.rows / labels.len() as f64
            };
            let least = (0..k).min_by(|a, b| cost(&fills[*a as usize]).total_cmp(&cost(&fills[*b as usize])));
            let fold = least.unwrap_or(0);
            let fill = &mut fills[fold as usize];
            fill.rows += rows.len() as f64;
            classes.into_iter().for_each(|(class, rows)| *fill.classes.entry(class).or_default() += rows);
            rows.iter().for_each(|row| of[*row as usize] = fold);
        }
        Ok(Self { count: k, of })
    }

    /// Number of folds.
    pub fn count(&self) -> u32 {
        self.count
    }
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.of.len()
    }
    /// The fold of row `row`, which must exist.
    pub fn fold_of(&self, row: usize) -> u32 {
        self.of[row]
    }
    /// The rows that are learned from when `fold` is judged, and the rows of `fold`; both ascending.
    pub fn split(&self, fold: u32) -> (Vec<u32>, Vec<u32>) {
        (0..self.of.len() as u32).partition(|row| self.of[*row as usize] != fold)
    }
}

/// What a fold has been given so far.
#[derive(Clone, Default)]
struct Fill {
    rows: f64,
    classes: BTreeMap<u32, f64>,
}

fn check(things: usize, k: u32, what: &str) -> Result<(), Error> {
    if !(2..=MAX_FOLDS).contains(&k) || things < k as usize {
        let text = format!("must be at least 2, and at most {MAX_FOLDS} and the {things} {what} there are, got {k}");
        return Err(Error::invalid("folds", text));
    }
    if things >= u32::MAX as usize {
        return Err(Error::invalid("folds", "take fewer than 2^32 - 1 rows; use a sample"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(folds: &Folds, labels: &[u32], class: Option<u32>) -> Vec<u32> {
        let mut counts = vec![0; folds.count() as usize];
        for (row, label) in labels.iter().enumerate() {
            if class.is_none_or(|class| class == *label) {
                counts[folds.fold_of(row) as usize] += 1;
            }
        }
        counts
    }

    fn spread(counts: &[u32]) -> u32 {
        counts.iter().max().unwrap() - counts.iter().min().unwrap()
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let labels: Vec<u32> = (0..200).map(|row| row % 3).collect();
        let groups: Vec<i64> = (0..200).map(|row| row / 4).collect();
        assert_eq!(Folds::stratified(&labels, 5, 1).unwrap(), Folds::stratified(&labels, 5, 1).unwrap());
        assert_ne!(Folds::stratified(&labels, 5, 1).unwrap(), Folds::stratified(&labels, 5, 2).unwrap());
        assert_eq!(Folds::grouped(&groups, &labels, 5, 1).unwrap(), Folds::grouped(&groups, &labels, 5, 1).unwrap());
        assert_ne!(Folds::grouped(&groups, &labels, 5, 1).unwrap(), Folds::grouped(&groups, &labels, 5, 2).unwrap());
    }

    #[test]
    fn groups_of_very_unequal_sizes_still_give_even_folds() {
        let mut random = Random::new(5, 0);
        let (mut groups, mut labels) = (Vec::new(), Vec::new());
        for group in 0..600 {
            for _ in 0..1 + random.below(1 + random.clone().below(40)) {
                groups.push(group);
                labels.push(u32::from(random.unit() < 0.2));
            }
        }
        let folds = Folds::grouped(&groups, &labels, 5, 9).unwrap();
        let all = counts(&folds, &labels, None);
        assert!(f64::from(spread(&all)) < 0.02 * labels.len() as f64, "{all:?}");
        let rare = counts(&folds, &labels, Some(1));
        assert!(spread(&rare) * 10 < *rare.iter().max().unwrap(), "{rare:?}");
    }

    #[test]
    fn fewer_rows_or_groups_than_folds_are_refused() {
        assert_eq!(Folds::stratified(&[0, 1, 0], 4, 0).unwrap_err().violations[0].field, "folds");
        assert_eq!(Folds::stratified(&[0, 1, 0], 1, 0).unwrap_err().violations[0].field, "folds");
        assert_eq!(Folds::stratified(&[0; 500], 101, 0).unwrap_err().violations[0].field, "folds");
        assert_eq!(Folds::grouped(&[7, 7, 8], &[0, 1, 0], 3, 0).unwrap_err().violations[0].field, "folds");
        assert_eq!(Folds::grouped(&[7], &[0, 1, 0], 3, 0).unwrap_err().violations[0].field, "groups");
        assert_eq!(Folds::stratified(&[], 2, 0).unwrap_err().violations[0].field, "folds");
    }

    #[test]
    fn groups_of_one_row_are_no_groups() {
        let labels = [0, 1, 0, 1, 1, 0];
        let groups = [9, -4, 3, 7, 1, 2];
        assert_eq!(Folds::grouped(&groups, &labels, 2, 3).unwrap(), Folds::stratified(&labels, 2, 3).unwrap());
    }

    proptest! {
        #[test]
        fn folds_are_a_partition_and_classes_are_even(
            labels in proptest::collection::vec(0u32..4, 10..200), k in 2u32..10, seed in any::<u64>(),
        ) {
            let folds = Folds::stratified(&labels, k, seed).unwrap();
            let mut seen = vec![0; labels.len()];
            for fold in 0..k {
                let (train, test) = folds.split(fold);
                prop_assert_eq!(train.len() + test.len(), labels.len());
                prop_assert!(train.iter().all(|row| !test.contains(row)));
                test.iter().for_each(|row| seen[*row as usize] += 1);
            }
            prop_assert!(seen.iter().all(|count| *count == 1));
            for class in [None, Some(0), Some(1), Some(2), Some(3)] {
                prop_assert!(spread(&counts(&folds, &labels, class)) <= 1);
            }
        }

        #[test]
        fn no_group_is_on_two_sides(
            rows in proptest::collection::vec((0i64..30, 0u32..3), 40..200), k in 2u32..5, seed in any::<u64>(),
        ) {
            let groups: Vec<i64> = rows.iter().map(|row| row.0).collect();
            let labels: Vec<u32> = rows.iter().map(|row| row.1).collect();
            let folds = Folds::grouped(&groups, &labels, k, seed).unwrap();
            for fold in 0..k {
                let (train, test) = folds.split(fold);
                prop_assert!(!test.is_empty());
                let of = |rows: &[u32]| rows.iter().map(|row| groups[*row as usize]).collect::<std::collections::BTreeSet<_>>();
                prop_assert!(of(&train).is_disjoint(&of(&test)));
            }
        }
    }
}
