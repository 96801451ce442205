//! How the trees of a forest score the rows that they were not fitted on.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::dense::DenseMatrix;
use tenor_learn::{FitContext, label_of};

use super::Forest;
use super::grow::Ground;

/// Rows at work at a time: they and one tree stay in the cache.
const CHUNK: usize = 1024;

/// Logs accuracy and log-loss of the out-of-bag estimate (Breiman 1996). Rows that every tree was fitted on are left out; without any row
/// nothing is logged.
pub(super) fn log(
    forest: &Forest,
    ground: &Ground<'_>,
    matrix: &DenseMatrix,
    rows: &[u32],
    context: &FitContext<'_>,
) -> Result<(), Error> {
    context.progress(0.96, "scoring rows out of the bag");
    // Bit `row` of tree `index`: the tree was fitted on the row.
    let words = rows.len().div_ceil(64);
    let mut fitted = vec![0u64; words * forest.trees.len()];
    fitted.par_chunks_mut(words).enumerate().try_for_each_init(Vec::new, |times, (index, bits)| {
        context.stop.check()?;
        ground.draw(index as u32, times);
        for (row, _) in times.iter().enumerate().filter(|(_, times)| **times > 0) {
            bits[row / 64] |= 1 << (row % 64);
        }
        Ok::<(), Error>(())
    })?;
    let outputs = forest.trees.outputs();
    let score = |(chunk, chunk_rows): (usize, &[u32])| {
        let mut sums = vec![0.0; chunk_rows.len() * outputs];
        let mut trees = vec![0u32; chunk_rows.len()];
        for (bits, root) in fitted.chunks(words).zip(&forest.trees.roots) {
            context.stop.check()?;
            for (offset, &row) in chunk_rows.iter().enumerate() {
                let at = chunk * CHUNK + offset;
                if bits[at / 64] >> (at % 64) & 1 == 1 {
                    continue;
                }
                let leaf = forest.trees.leaf(*root as usize, matrix.row(row as usize));
                let sums = sums[offset * outputs..(offset + 1) * outputs].iter_mut();
                sums.zip(forest.trees.values(leaf)).for_each(|(sum, share)| *sum += f64::from(*share));
                trees[offset] += 1;
            }
        }
        let mut tally = Tally::default();
        for (offset, sums) in sums.chunks(outputs).enumerate().filter(|(offset, _)| trees[*offset] > 0) {
            let label = ground.labels[chunk * CHUNK + offset] as usize;
            let shares = sums.iter().map(|sum| sum / f64::from(trees[offset]));
            match ground.classes {
                2 => tally.add(&[1.0 - sums[0] / f64::from(trees[offset]), sums[0] / f64::from(trees[offset])], label),
                _ => tally.add(&shares.collect::<Vec<_>>(), label),
            }
        }
        Ok::<_, Error>(tally)
    };
    let tallies: Vec<Tally> = rows.par_chunks(CHUNK).enumerate().map(score).collect::<Result<_, _>>()?;
    let tally = Tally::sum(&tallies);
    if tally.rows > 0 {
        context.metric("train/oob_accuracy", tally.accuracy(), 0);
        context.metric("train/oob_log_loss", tally.log_loss(), 0);
    }
    Ok(())
}

/// Sums over rows.
#[derive(Debug, Clone, Default)]
struct Tally {
    rows: u64,
    right: u64,
    loss: f64,
}

impl Tally {
    fn add(&mut self, probabilities: &[f64], label: usize) {
        self.rows += 1;
        self.right += u64::from(label_of(probabilities) == label);
        // The floor that scikit-learn's log_loss has.
        self.loss -= probabilities[label].max(f64::EPSILON).ln();
    }
    /// The sum in the order of `parts`, so that it does not depend on the threads.
    fn sum(parts: &[Self]) -> Self {
        parts.iter().fold(Self::default(), |sum, part| Self {
            rows: sum.rows + part.rows,
            right: sum.right + part.right,
            loss: sum.loss + part.loss,
        })
    }
    fn accuracy(&self) -> f64 {
        self.right as f64 / self.rows as f64
    }
    fn log_loss(&self) -> f64 {
        self.loss / self.rows as f64
    }
}
