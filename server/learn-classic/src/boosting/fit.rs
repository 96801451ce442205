//! The loop over iterations.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;
use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::dense::DenseMatrix;
use tenor_features::random::Random;
use tenor_learn::FitContext;

use super::checkpoint::{self, Progress};
use super::grow::{Ground, Scratch};
use super::histogram::blocks;
use super::loss::Target;
use super::stopping::should_stop;
use super::{Boosting, BoostingParams};
use crate::dense::importance::normalise;
use crate::dense::{Training, hold_out};
use crate::trees::binner::bin_columns;
use crate::trees::ensemble::Ensemble;
use crate::trees::rows::used_rows;

/// The stream of the generator that holds rows out.
const HOLD_OUT: u64 = u64::MAX - 1;

/// Fits on the rows of `matrix`, one of `labels` (below `classes`) and of `weights` each. Rows of weight 0 count as absent; NaN is a
/// missing value. With early stopping the loss on the validation rows decides, or on rows held out when there is none; all trees are kept, as
/// scikit-learn does.
///
/// Works on the threads of the current pool; keeps its trees in the context's checkpoints and goes on from them.
pub(super) fn fit(
    training: Training<'_>,
    params: &BoostingParams,
    context: &FitContext<'_>,
) -> Result<Boosting, Error> {
    let mut rows = used_rows(&training)?;
    let Training { matrix, labels, classes, weights, validation: valid } = training;
    let target = |rows: &[u32]| Target {
        labels: rows.iter().map(|row| labels[*row as usize]).collect(),
        weights: rows.iter().map(|row| weights[*row as usize]).collect(),
        classes,
    };
    let stops = params.early_stopping.wanted(rows.len());
    let mut watched = valid.filter(|(_, labels)| !labels.is_empty()).map(|(matrix, labels)| {
        let target = Target { labels: labels.to_vec(), weights: vec![1.0; labels.len()], classes };
        Watched { matrix, rows: (0..labels.len() as u32).collect(), target, scores: Vec::new() }
    });
    if watched.is_none() && stops {
        let random = Random::new(context.seed, HOLD_OUT);
        let (fitted, held) = hold_out(&target(&rows).labels, params.validation_fraction, random);
        let of = |chosen: Vec<u32>| -> Vec<u32> { chosen.iter().map(|index| rows[*index as usize]).collect() };
        let (fitted, held) = (of(fitted), of(held));
        if !held.is_empty() {
            watched = Some(Watched { matrix, target: target(&held), rows: held, scores: Vec::new() });
        }
        rows = fitted;
    }
    context.progress(0.0, "binning columns");
    let columns = bin_columns(matrix, &rows, params.max_bins, context.seed, context.stop)?;
    let blocks = blocks(&columns, rows.len());
    let ground = Ground {
        columns: &columns,
        blocks: &blocks,
        params,
        seed: context.seed,
        stop: context.stop,
        arch: Arch::new(),
    };
    let target = target(&rows);
    let patience = stops.then_some(params.n_iter_no_change as usize);
    let widest = columns.iter().map(|column| column.bins() + 1).max();
    let iterate = match widest.unwrap_or(0) {
        0..=64 => iterate::<64>,
        65..=128 => iterate::<128>,
        _ => iterate::<256>,
    };
    let progress = iterate(&ground, &target, watched, (matrix, &rows), patience, context)?;
    let mut importances = progress.gains;
    normalise(&mut importances);
    Ok(Boosting { classes, baseline: target.baseline(), trees: progress.trees, importances })
}

/// Rows whose loss is watched.
struct Watched<'a> {
    matrix: &'a DenseMatrix,
    rows: Vec<u32>,
    target: Target,
    scores: Vec<f64>,
}

fn iterate<const BINS: usize>(
    ground: &Ground<'_>,
    target: &Target,
    mut watched: Option<Watched<'_>>,
    (matrix, rows): (&DenseMatrix, &[u32]),
    patience: Option<usize>,
    context: &FitContext<'_>,
) -> Result<Progress, Error> {
    let (outputs, width) = (target.outputs(), ground.columns.len());
    let kept = context.resume(|state| checkpoint::load(state, width, outputs))?;
    let fresh = || Progress { trees: Ensemble::new(1), gains: vec![0.0; width], val_losses: Vec::new() };
    let mut progress = kept.unwrap_or_else(fresh);
    let baseline = target.baseline();
    let start = |rows: usize| -> Vec<f64> { baseline.iter().flat_map(|score| vec![*score; rows]).collect() };
    let mut scores = start(rows.len());
    add_trees(&progress.trees, 0, outputs, matrix, rows, &mut scores, context.stop)?;
    if let Some(watched) = &mut watched {
        watched.scores = start(watched.rows.len());
        add_trees(&progress.trees, 0, outputs, watched.matrix, &watched.rows, &mut watched.scores, context.stop)?;
        if progress.val_losses.is_empty() {
            progress.val_losses.push(watched.target.loss(&watched.scores));
        }
    }
    let mut derivatives = vec![(0.0, 0.0); rows.len() * outputs];
    let scratches: Mutex<Vec<Scratch<BINS>>> = Mutex::default();
    // What the lock guards is complete after every step, so a panic elsewhere does not spoil it.
    let scratches = || scratches.lock().unwrap_or_else(PoisonError::into_inner);
    let done = |progress: &Progress| progress.trees.len() / outputs;
    let may_go_on = |progress: &Progress| {
        let settled = patience.is_some_and(|patience| should_stop(&progress.val_losses, patience, ground.params.tol));
        done(progress) < ground.params.max_iter as usize && !settled
    };
    while may_go_on(&progress) {
        context.stop.check()?;
        let iteration = done(&progress);
        let loss = target.derive(&scores, &mut derivatives);
        context.metric("train/loss", loss, iteration as i64);
        let of_class = (scores.par_chunks_mut(rows.len()), derivatives.par_chunks(rows.len()));
        let grown = of_class.into_par_iter().enumerate().map(|(class, (scores, derivatives))| {
            let mut scratch = scratches().pop().unwrap_or_default();
            let grown = ground.grow((iteration * outputs + class) as u64, derivatives, scores, &mut scratch)?;
            scratches().push(scratch);
            Ok(grown)
        });
        let grown = grown.collect::<Result<Vec<_>, Error>>()?;
        let first = progress.trees.len();
        for grown in grown {
            progress.trees.push(&grown.tree);
            progress.gains.iter_mut().zip(grown.gains).for_each(|(sum, gain)| *sum += gain);
        }
        if let Some(watched) = &mut watched {
            let scores = &mut watched.scores;
            add_trees(&progress.trees, first, outputs, watched.matrix, &watched.rows, scores, context.stop)?;
            let loss = watched.target.loss(scores);
            context.metric("val/loss", loss, iteration as i64 + 1);
            progress.val_losses.push(loss);
        }
        context.progress(0.05 + 0.95 * done(&progress) as f64 / f64::from(ground.params.max_iter), "growing trees");
        context.checkpoint(|| checkpoint::save(&progress))?;
    }
    context.metric("train/loss", target.loss(&scores), done(&progress) as i64);
    context.metric("train/iterations", done(&progress) as f64, 0);
    Ok(progress)
}

/// Adds the values of the trees from `first` on to the scores of `rows`, tree by tree, as growing them did.
fn add_trees(
    trees: &Ensemble,
    first: usize,
    outputs: usize,
    matrix: &DenseMatrix,
    rows: &[u32],
    scores: &mut [f64],
    stop: Stop<'_>,
) -> Result<(), Error> {
    const CHUNK: usize = 1024;
    if rows.is_empty() {
        return Ok(());
    }
    scores.par_chunks_mut(rows.len()).enumerate().try_for_each(|(output, scores)| {
        scores.par_chunks_mut(CHUNK).zip(rows.par_chunks(CHUNK)).try_for_each(|(scores, rows)| {
            for root in trees.roots.iter().skip(first + output).step_by(outputs) {
                stop.check()?;
                for (score, row) in scores.iter_mut().zip(rows) {
                    let leaf = trees.leaf(*root as usize, matrix.row(*row as usize));
                    *score += f64::from(trees.values[leaf]);
                }
            }
            Ok(())
        })
    })
}
