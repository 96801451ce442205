//! Several objectives at once. Everywhere here smaller is better, and a row holds one number an objective.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Whether `a` is no worse than `b` in anything and better in something.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut better = false;
    for (a, b) in a.iter().zip(b) {
        if a > b {
            return false;
        }
        better |= a < b;
    }
    better
}

/// Indexes of the rows that no other dominates, in lexicographic order of the rows; equal rows are all in it.
pub fn front(rows: &[Vec<f64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    sort(rows, &mut order);
    first_front(rows, &order).0
}

/// In lexicographic order nothing is dominated by what comes later.
fn sort(rows: &[Vec<f64>], order: &mut [usize]) {
    let by_row = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    order.sort_by(|a, b| by_row(&rows[*a], &rows[*b]).then(a.cmp(b)));
}

/// The front of the rows in `order`, which is lexicographic, and the rest in the same order.
fn first_front(rows: &[Vec<f64>], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let (mut front, mut rest): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    if rows.first().is_some_and(|row| row.len() == 2) {
        // Of two objectives the second must be lower than all before, or the row equal to the last of the front.
        let mut lowest = f64::INFINITY;
        for &at in order {
            let equal = front.last().is_some_and(|last| rows[*last] == rows[at]);
            if rows[at][1] < lowest || equal {
                lowest = rows[at][1];
                front.push(at);
            } else {
                rest.push(at);
            }
        }
        return (front, rest);
    }
    for &at in order {
        // The latest are the likeliest to dominate.
        let dominated = front.iter().rev().any(|kept| dominates(&rows[*kept], &rows[at]));
        if dominated { rest.push(at) } else { front.push(at) }
    }
    (front, rest)
}

/// The rank of each row: 0 on the front, 1 on the front of the others, and so on.
pub fn ranks(rows: &[Vec<f64>]) -> Vec<u32> {
    let mut ranks = vec![0; rows.len()];
    for (rank, front) in fronts(rows, rows.len()).iter().enumerate() {
        front.iter().for_each(|at| ranks[*at] = rank as u32);
    }
    ranks
}

/// The first fronts, as many as hold `wanted` rows together.
pub fn fronts(rows: &[Vec<f64>], wanted: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    sort(rows, &mut order);
    let (mut fronts, mut found) = (Vec::new(), 0);
    while !order.is_empty() && found < wanted {
        let (front, rest) = first_front(rows, &order);
        found += front.len();
        fronts.push(front);
        order = rest;
    }
    fronts
}

/// The volume between `rows` and `reference` that some row dominates. Exact: O(n log n) for two objectives, seldom more for
/// three, by slices for more. Rows that do not reach the reference add nothing.
pub fn hypervolume(rows: &[Vec<f64>], reference: &[f64]) -> f64 {
    let inside = rows.iter().filter(|row| row.iter().zip(reference).all(|(value, reference)| value < reference));
    let mut rows: Vec<&[f64]> = inside.map(Vec::as_slice).collect();
    volume(&mut rows, reference)
}

/// The same of rows that are all inside; they are sorted anew.
fn volume(rows: &mut [&[f64]], reference: &[f64]) -> f64 {
    match reference {
        [] => 0.0,
        [reference] => rows.iter().map(|row| reference - row[0]).fold(0.0, f64::max),
        [first, second] => {
            rows.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
            let (mut area, mut lowest) = (0.0, *second);
            for row in rows {
                if row[1] < lowest {
                    area += (first - row[0]) * (lowest - row[1]);
                    lowest = row[1];
                }
            }
            area
        }
        [_, _, last] => {
            rows.sort_by(|a, b| a[2].total_cmp(&b[2]));
            let mut stairs = Stairs { steps: Vec::new(), area: 0.0, ends: [reference[0], reference[1]] };
            let mut sum = 0.0;
            for (at, row) in rows.iter().enumerate() {
                stairs.add(row[0], row[1]);
                sum += stairs.area * (rows.get(at + 1).map_or(*last, |next| next[2]) - row[2]);
            }
            sum
        }
        _ if rows.is_empty() => 0.0,
        [others @ .., last] => {
            // Slices along the last objective: each has the volume of all rows up to it.
            let objective = others.len();
            rows.sort_by(|a, b| a[objective].total_cmp(&b[objective]));
            let ends: Vec<f64> = rows.iter().skip(1).map(|row| row[objective]).chain([*last]).collect();
            let mut sum = 0.0;
            for (at, end) in ends.into_iter().enumerate() {
                let height = end - rows[at][objective];
                if height > 0.0 {
                    let mut below: Vec<&[f64]> = rows[..=at].iter().map(|row| &row[..objective]).collect();
                    sum += height * volume(&mut below, others);
                }
            }
            sum
        }
    }
}

/// The area that points of two objectives dominate, while points come in.
struct Stairs {
    /// Points that no other dominates: the first number rises, the second falls.
    steps: Vec<[f64; 2]>,
    area: f64,
    ends: [f64; 2],
}

impl Stairs {
    fn add(&mut self, first: f64, second: f64) {
        let at = self.steps.partition_point(|step| step[0] < first);
        let mut ceiling = at.checked_sub(1).map_or(self.ends[1], |before| self.steps[before][1]);
        if ceiling <= second || self.steps.get(at).is_some_and(|step| step[0] == first && step[1] <= second) {
            return;
        }
        // To the right up to the first step that is lower; those on the way are dominated from now on.
        let (mut from, mut end) = (first, at);
        while let Some(step) = self.steps.get(end).filter(|step| step[1] >= second) {
            self.area += (step[0] - from) * (ceiling - second);
            [from, ceiling] = *step;
            end += 1;
        }
        let to = self.steps.get(end).map_or(self.ends[0], |step| step[0]);
        self.area += (to - from) * (ceiling - second);
        self.steps.splice(at..end, [[first, second]]);
    }
}

/// `count` of `rows` that together dominate much of the volume up to `reference`: each time the one that adds most, the
/// first of equals. At least 1 - 1/e of what the best choice has (Nemhauser, Wolsey, Fisher 1978: the volume is
/// submodular). A contribution only falls, so only the most promising are worked out anew (Minoux 1978).
pub fn hypervolume_subset(rows: &[Vec<f64>], reference: &[f64], count: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::with_capacity(count.min(rows.len()));
    // What a row adds at most, and to how many it was worked out.
    let promise = |at: usize, adds: f64, beside: usize| Promise { adds, at, beside };
    let mut open: BinaryHeap<Promise> =
        (0..rows.len()).map(|at| promise(at, added(&rows[at], rows, &[], reference), 0)).collect();
    while chosen.len() < count
        && let Some(best) = open.pop()
    {
        if best.beside == chosen.len() {
            chosen.push(best.at);
        } else {
            open.push(promise(best.at, added(&rows[best.at], rows, &chosen, reference), chosen.len()));
        }
    }
    chosen
}

/// What a row adds to the volume of some, at most.
struct Promise {
    adds: f64,
    at: usize,
    beside: usize,
}

impl Ord for Promise {
    fn cmp(&self, other: &Self) -> Ordering {
        self.adds.total_cmp(&other.adds).then(other.at.cmp(&self.at))
    }
}

impl PartialOrd for Promise {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Promise {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Promise {}

/// The volume that `row` adds to that of `rows[beside]`: its own less what they have of it (While, Bradstreet, Barone 2012).
fn added(row: &[f64], rows: &[Vec<f64>], beside: &[usize], reference: &[f64]) -> f64 {
    let alone = row.iter().zip(reference).map(|(value, reference)| (reference - value).max(0.0)).product::<f64>();
    let common = |at: &usize| row.iter().zip(&rows[*at]).map(|(a, b)| a.max(*b)).collect::<Vec<f64>>();
    let mut shared: Vec<Vec<f64>> = beside.iter().map(common).collect();
    if reference.len() > 2 {
        // Cut off at the row, many dominate one another: few are left.
        let kept = front(&shared);
        shared = kept.into_iter().map(|at| std::mem::take(&mut shared[at])).collect();
    }
    alone - hypervolume(&shared, reference)
}

/// Somewhat worse than the worst of each objective, so that the ends of a front count too.
pub fn reference_of(rows: &[Vec<f64>]) -> Vec<f64> {
    let objectives = rows.first().map_or(0, Vec::len);
    (0..objectives)
        .map(|objective| {
            let worst = rows.iter().map(|row| row[objective]).fold(f64::NEG_INFINITY, f64::max);
            // As Optuna: a tenth further away from 0, and a little where it is 0.
            (worst * if worst > 0.0 { 1.1 } else { 0.9 }) + if worst == 0.0 { 1e-12 } else { 0.0 }
        })
        .collect()
}

/// How lonely each of the rows `front` is (Deb et al. 2002): the sum over the objectives of the distance between its neighbours, relative to
/// the range; infinite at the ends.
pub fn crowding(rows: &[Vec<f64>], front: &[usize]) -> Vec<f64> {
    let mut distances = vec![0.0; front.len()];
    let objectives = front.first().map_or(0, |at| rows[*at].len());
    let column = |objective: usize| front.iter().map(|at| rows[*at][objective]).collect::<Vec<f64>>();
    for values in (0..objectives).map(column) {
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]).then(a.cmp(b)));
        let (Some(&first), Some(&last)) = (order.first(), order.last()) else { continue };
        let range = values[last] - values[first];
        distances[first] = f64::INFINITY;
        distances[last] = f64::INFINITY;
        if range > 0.0 {
            for at in order.windows(3) {
                distances[at[1]] += (values[at[2]] - values[at[0]]) / range;
            }
        }
    }
    distances
}
