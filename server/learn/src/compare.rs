//! Is one model better than another? Two sets of answers to the same rows.

#[cfg(test)]
mod tests;

use tenor_domain::Error;
use tenor_features::Stop;

use crate::label_of;
use crate::metrics::{Bootstrap, Frame, check_rows, defined, interval};
use crate::statistics::{chi_square_tail, fair_coin_at_most};

/// The scores whose difference is judged.
pub const COMPARED: [&str; 4] = ["accuracy", "macro_f1", "log_loss", "roc_auc"];
/// Below so many discordant pairs McNemar's test is exact.
const EXACT_BELOW: u64 = 25;

/// How to compare.
#[derive(Debug, Clone, Copy)]
pub struct CompareOptions<'a> {
    /// Bootstrap samples; 0 leaves intervals and p-values of the differences out.
    pub resamples: u32,
    pub seed: u64,
    pub stop: Stop<'a>,
}

impl Default for CompareOptions<'static> {
    fn default() -> Self {
        Self { resamples: 2_000, seed: 42, stop: Stop::never() }
    }
}

/// McNemar's test (McNemar 1947) of whether two answerers are right equally often.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct McNemar {
    /// Rows that only the first answers right, and only the second: the discordant pairs.
    pub first_only: u64,
    pub second_only: u64,
    /// Two-sided.
    pub p: f64,
    /// By the binomial distribution; otherwise by chi-square with Edwards' continuity correction.
    pub exact: bool,
}

/// The difference of one score.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// One of [`COMPARED`].
    pub name: String,
    pub first: Option<f64>,
    pub second: Option<f64>,
    /// Second minus first. For `log_loss` below 0 is better.
    pub difference: Option<f64>,
    /// Bounds of its 95 % percentile interval, rows drawn in pairs.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Two-sided: twice the smaller share of samples on one side of 0, one added to both counts so that it is never 0.
    pub p: Option<f64>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Wrong before, right now.
    Fixed,
    /// Right before, wrong now.
    Broken,
    /// Wrong both times, in different ways.
    OtherMistake,
}

/// A row that the two answer differently.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Flip {
    pub row: u64,
    pub change: Change,
    /// Classes.
    pub truth: u32,
    pub first: u32,
    pub second: u32,
    /// Probability of the true class by the second minus that by the first.
    pub gain: f64,
}

/// All that a comparison tells.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Comparison {
    pub rows: u64,
    pub mcnemar: McNemar,
    /// In the order of [`COMPARED`].
    pub differences: Vec<Difference>,
    /// The largest change of the true class's probability first; equals by row.
    pub flips: Vec<Flip>,
    pub resamples: u32,
}

/// Compares `second` with `first`, row-major probabilities of the same rows. Deterministic for any number of threads. The same
/// errors as [`evaluate`](crate::evaluate).
pub fn compare(
    labels: &[u32],
    first: &[f64],
    second: &[f64],
    classes: usize,
    options: &CompareOptions<'_>,
) -> Result<Comparison, Error> {
    check_rows(labels, first, classes)?;
    check_rows(labels, second, classes)?;
    let flips = flips(labels, first, second, classes);
    let count = |change: Change| flips.iter().filter(|flip| flip.change == change).count() as u64;
    let frames = [Frame::new(labels, first, classes, None)?, Frame::new(labels, second, classes, None)?];
    Ok(Comparison {
        rows: labels.len() as u64,
        mcnemar: mcnemar(count(Change::Broken), count(Change::Fixed)),
        differences: differences(&frames, options)?,
        flips,
        resamples: options.resamples,
    })
}

/// McNemar's test by the counts of discordant pairs. Without any, p is 1.
pub fn mcnemar(first_only: u64, second_only: u64) -> McNemar {
    let discordant = first_only + second_only;
    let exact = discordant < EXACT_BELOW;
    let p = if exact {
        2.0 * fair_coin_at_most(first_only.min(second_only), discordant)
    } else {
        // As R does, no correction where there is nothing to correct.
        let gap = (first_only.abs_diff(second_only) as f64 - 1.0).max(0.0);
        chi_square_tail(gap * gap / discordant as f64)
    };
    McNemar { first_only, second_only, p: p.min(1.0), exact }
}

fn differences(frames: &[Frame<'_>; 2], options: &CompareOptions<'_>) -> Result<Vec<Difference>, Error> {
    let names = frames[0].names();
    let places: Vec<usize> = COMPARED.iter().filter_map(|name| names.iter().position(|n| n == name)).collect();
    let scores = |weights: &[u32]| frames.each_ref().map(|frame| frame.scores(weights));
    let difference = |[first, second]: &[Vec<Option<f64>>; 2], place: usize| Some(second[place]? - first[place]?);
    let rows = frames[0].rows();
    let CompareOptions { resamples, seed, stop } = *options;
    let samples: Vec<Vec<Option<f64>>> = Bootstrap { resamples, seed, stream: 0, stop }.draw(rows, |weights| {
        let scores = scores(weights);
        places.iter().map(|place| difference(&scores, *place)).collect()
    })?;
    let whole = scores(&vec![1; rows]);
    let of_score = |(at, (name, place)): (usize, (&&str, &usize))| {
        let values = defined(samples.iter().map(|sample| sample[at]));
        let bounds = values.as_deref().map(interval);
        Difference {
            name: (*name).to_owned(),
            first: whole[0][*place],
            second: whole[1][*place],
            difference: difference(&whole, *place),
            low: bounds.map(|(low, _)| low),
            high: bounds.map(|(_, high)| high),
            p: values.as_deref().map(two_sided),
        }
    };
    Ok(COMPARED.iter().zip(&places).enumerate().map(of_score).collect())
}

/// How unusual 0 is among bootstrap `values` (Efron, Tibshirani 1993, section 16; one is added so that p is never 0: Davison,
/// Hinkley 1997, section 4.2).
fn two_sided(values: &[f64]) -> f64 {
    let share = |count: usize| (count as f64 + 1.0) / (values.len() as f64 + 1.0);
    let (below, above) = (values.iter().filter(|v| **v <= 0.0).count(), values.iter().filter(|v| **v >= 0.0).count());
    (2.0 * share(below).min(share(above))).min(1.0)
}

fn flips(labels: &[u32], first: &[f64], second: &[f64], classes: usize) -> Vec<Flip> {
    let flip = |(row, &truth): (usize, &u32)| {
        let of_row = row * classes..(row + 1) * classes;
        let (first, second) = (&first[of_row.clone()], &second[of_row]);
        let (before, after) = (label_of(first) as u32, label_of(second) as u32);
        let change = match (before == truth, after == truth) {
            _ if before == after => return None,
            (true, _) => Change::Broken,
            (_, true) => Change::Fixed,
            _ => Change::OtherMistake,
        };
        let gain = second[truth as usize] - first[truth as usize];
        Some(Flip { row: row as u64, change, truth, first: before, second: after, gain })
    };
    let mut flips: Vec<Flip> = labels.iter().enumerate().filter_map(flip).collect();
    flips.sort_by(|a, b| b.gain.abs().total_cmp(&a.gain.abs()).then(a.row.cmp(&b.row)));
    flips
}
