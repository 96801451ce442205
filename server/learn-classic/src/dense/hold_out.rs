//! Rows held out of training to stop early by.

use tenor_features::random::Random;

/// Parts the rows `0..labels.len()` into those to fit on and those held out, both ascending: about `fraction` of each class, rounded, of
/// which one row stays at least. At least one row is held out if any class has two.
pub(crate) fn hold_out(labels: &[u32], fraction: f64, mut random: Random) -> (Vec<u32>, Vec<u32>) {
    let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mut of_class = vec![Vec::new(); classes];
    for (row, &label) in (0u32..).zip(labels) {
        of_class[label as usize].push(row);
    }
    let (mut fitted, mut held) = (Vec::with_capacity(labels.len()), Vec::new());
    of_class.iter_mut().for_each(|rows| random.shuffle(rows));
    for rows in &of_class {
        let count = (rows.len() as f64 * fraction).round() as usize;
        let (out, stay) = rows.split_at(count.min(rows.len().saturating_sub(1)));
        held.extend_from_slice(out);
        fitted.extend_from_slice(stay);
    }
    if held.is_empty()
        && let Some(one) = of_class.iter().filter(|rows| rows.len() > 1).max_by_key(|rows| rows.len())
    {
        held.push(one[0]);
        fitted.retain(|row| *row != one[0]);
    }
    fitted.sort_unstable();
    held.sort_unstable();
    (fitted, held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_out_rows_keep_the_shares_of_classes() {
        let labels: Vec<u32> = (0..1_000).map(|row| u32::from(row % 10 == 0)).collect();
        let of = |labels: &[u32], fraction, seed| hold_out(labels, fraction, Random::new(seed, 0));
        let (fitted, held) = of(&labels, 0.2, 1);
        let of_class = |rows: &[u32]| rows.iter().filter(|row| labels[**row as usize] == 1).count();
        assert_eq!((fitted.len(), held.len(), of_class(&held)), (800, 200, 20));
        assert_eq!((fitted.clone(), held), of(&labels, 0.2, 1));
        assert_ne!(fitted, of(&labels, 0.2, 2).0);
        let parts = |labels: &[u32], fraction| {
            let (fitted, held) = of(labels, fraction, 1);
            (fitted.len(), held.len())
        };
        assert_eq!(parts(&[0, 0, 1], 0.1), (2, 1));
        assert_eq!(parts(&[0, 0, 1], 0.9), (2, 1), "a row of each class stays");
        assert_eq!(parts(&[0, 1], 0.9), (2, 0));
        assert_eq!(parts(&[], 0.5), (0, 0));
    }
}
