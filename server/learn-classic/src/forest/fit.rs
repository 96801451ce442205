//! Growing all trees, in any order and on any number of threads.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_learn::FitContext;

use super::grow::{Ground, Grown, Scratch};
use super::sample::Units;
use super::{Forest, ForestParams, checkpoint, oob};
use crate::dense::Training;
use crate::dense::importance::normalise;
use crate::trees::binner::bin_columns;
use crate::trees::ensemble::Ensemble;
use crate::trees::rows::used_rows;

/// Fits on the rows of `matrix`, one of `labels` (below `classes`) and of `weights` each. Rows of weight 0 count as absent; NaN is a
/// missing value.
///
/// Works on the threads of the current pool; keeps finished trees in the context's checkpoints and goes on from them.
pub(super) fn fit(training: Training<'_>, params: &ForestParams, context: &FitContext<'_>) -> Result<Forest, Error> {
    let rows = used_rows(&training)?;
    let Training { matrix, labels, classes, weights, .. } = training;
    context.progress(0.0, "binning columns");
    let columns = bin_columns(matrix, &rows, params.max_bins, context.seed, context.stop)?;
    let labels: Vec<u32> = rows.iter().map(|row| labels[*row as usize]).collect();
    let weights: Vec<f32> = rows.iter().map(|row| weights[*row as usize]).collect();
    let ground = Ground {
        columns: &columns,
        labels: &labels,
        weights: &weights,
        classes,
        params,
        units: Units::new(&weights),
        seed: context.seed,
        stop: context.stop,
    };
    let forest = Forest::from_trees(classes, &grow_all(&ground, context)?, matrix.width);
    if params.oob_score && params.bootstrap {
        oob::log(&forest, &ground, matrix, &rows, context)?;
    }
    Ok(forest)
}

impl Forest {
    fn from_trees(classes: usize, grown: &[Grown], width: usize) -> Self {
        let mut trees = Ensemble::new(if classes == 2 { 1 } else { classes });
        let mut importances = vec![0.0; width];
        for grown in grown {
            trees.push(&grown.tree);
            importances.iter_mut().zip(&grown.gains).for_each(|(sum, gain)| *sum += gain);
        }
        normalise(&mut importances);
        Self { classes, trees, importances }
    }
}

/// All trees in the order of their numbers.
fn grow_all(ground: &Ground<'_>, context: &FitContext<'_>) -> Result<Vec<Grown>, Error> {
    let count = ground.params.n_estimators;
    let kept =
        context.resume(|state| checkpoint::load(state, count as usize, ground.columns.len(), ground.outputs()))?;
    let trees: Vec<Option<Grown>> = kept.unwrap_or_else(|| vec![None; count as usize]);
    let missing: Vec<u32> = (0..count).filter(|index| trees[*index as usize].is_none()).collect();
    let done = Mutex::new((count as usize - missing.len(), trees));
    // A tree is a large piece of work: hand them out one by one, so that no thread waits for another's share.
    missing.into_par_iter().with_max_len(1).try_for_each_init(
        || Scratch::new(ground.classes),
        |scratch, index| {
            let grown = ground.grow(index, scratch)?;
            // What the lock guards is complete after every step, so a panic elsewhere does not spoil it.
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.0 += 1;
            done.1[index as usize] = Some(grown);
            context.progress(0.05 + 0.9 * done.0 as f64 / f64::from(count), "growing trees");
            context.checkpoint(|| checkpoint::save(&done.1, ground.outputs()))
        },
    )?;
    let (_, trees) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(trees.into_iter().flatten().collect())
}
