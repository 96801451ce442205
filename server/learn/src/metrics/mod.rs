//! How good predictions are: scores with bootstrap intervals, beside what guessing would give.

mod bootstrap;
mod confusion;
mod curves;
mod frame;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tenor_domain::Error;
use tenor_features::Stop;

use crate::statistics::Z95;

pub(crate) use bootstrap::{Bootstrap, defined, interval, quantile};
pub use curves::thin;
pub(crate) use frame::{Frame, check_rows};

/// Bins of the reliability diagram and of the expected calibration error.
pub const BINS: usize = 15;
/// Points that a stored curve has at most.
pub const CURVE_POINTS: usize = 200;

/// How to evaluate.
#[derive(Debug, Clone, Copy)]
pub struct EvaluateOptions<'a> {
    /// Bootstrap samples; 0 leaves the intervals out.
    pub resamples: u32,
    pub seed: u64,
    /// Share of each class among the training rows: the baseline guesses from it. `None`: the shares of the labels judged.
    pub prior: Option<&'a [f64]>,
    pub stop: Stop<'a>,
}

impl Default for EvaluateOptions<'static> {
    fn default() -> Self {
        Self { resamples: 1_000, seed: 42, prior: None, stop: Stop::never() }
    }
}

/// One number with its uncertainty. `None` where it is not defined, e.g. ROC-AUC when only one class occurs.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// `macro_f1` and the like; the key of the metric.
    pub name: String,
    pub value: Option<f64>,
    /// Bounds of the 95 % percentile bootstrap interval.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// The same score of a model that always answers with the class shares of the training rows.
    pub baseline: Option<f64>,
}

impl Score {
    /// The standard error behind the interval, as if the score were normally distributed; `None` without one.
    pub fn standard_error(&self) -> Option<f64> {
        Some((self.high? - self.low?) / (2.0 * Z95))
    }
}

/// The scores of one class against the rest.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClassScores {
    pub label: String,
    /// Rows of this class.
    pub support: u64,
    pub precision: Score,
    pub recall: Score,
    pub f1: Score,
    pub roc_auc: Option<f64>,
    pub pr_auc: Option<f64>,
    /// (false positive rate, true positive rate), at most [`CURVE_POINTS`] of them.
    pub roc_curve: Vec<(f64, f64)>,
    /// (recall, precision), at most [`CURVE_POINTS`] of them.
    pub pr_curve: Vec<(f64, f64)>,
}

/// One bin of the reliability diagram: answers whose highest probability lies in (`low`, `high`].
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ReliabilityBin {
    pub low: f64,
    pub high: f64,
    pub rows: u64,
    /// Mean of the highest probability; 0 in an empty bin.
    pub confidence: f64,
    /// Share of right answers; 0 in an empty bin.
    pub accuracy: f64,
}

/// All that is known about a set of answers.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Evaluation {
    pub rows: u64,
    pub classes: Vec<String>,
    /// In a fixed order, [`SCORES`] and then, for stars, [`STAR_SCORES`].
    pub scores: Vec<Score>,
    pub per_class: Vec<ClassScores>,
    /// `confusion[truth][answer]`, in rows.
    pub confusion: Vec<Vec<u64>>,
    pub reliability: Vec<ReliabilityBin>,
    /// Bootstrap samples behind the intervals.
    pub resamples: u32,
}

/// The scores of every evaluation.
///
/// Precision, recall and F1 count 0 where nothing was answered or nothing was there. `roc_auc`: of the second class when there
/// are two, else the mean over classes against the rest, those without rows on both sides left out. `pr_auc`: average
/// precision, in the same way. `log_loss`: natural logarithm, probabilities clipped to the machine's epsilon. `brier`: mean
/// squared error of the second class's probability when there are two classes, else summed over all classes. `ece`: expected
/// calibration error of the highest probability in [`BINS`] equal bins (Guo et al. 2017). `mcc`: Matthews correlation (Gorodkin
/// 2004 for more than two classes), 0 when undefined.
pub const SCORES: [&str; 13] = [
    "accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "weighted_precision",
    "weighted_recall",
    "weighted_f1",
    "mcc",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
    "ece",
];

/// The scores that need the star value of each class. `mae`: mean absolute error in stars. `within_one`: share of answers at
/// most one star off. `quadratic_kappa`: Cohen's kappa with squared star distance as weight.
pub const STAR_SCORES: [&str; 3] = ["mae", "within_one", "quadratic_kappa"];

impl Evaluation {
    /// The value of the score `name`; `None` when there is no such score or it is not defined.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.score(name).and_then(|score| score.value)
    }
    pub fn score(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }
    /// Every defined value by key, for the metrics of a run: the scores, and `f1/<class>` and so on. With `prefix` `test/` the keys
    /// are `test/accuracy` and so on.
    pub fn metrics(&self, prefix: &str) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        let mut add = |key: String, value: Option<f64>| {
            if let Some(value) = value {
                metrics.insert(key, value);
            }
        };
        for score in &self.scores {
            add(format!("{prefix}{}", score.name), score.value);
        }
        for class in &self.per_class {
            for score in [&class.precision, &class.recall, &class.f1] {
                add(format!("{prefix}{}/{}", score.name, class.label), score.value);
            }
        }
        metrics
    }
}

/// Judges `probabilities` (row-major, one a class) by `labels` (indexes of `classes`); `stars` holds the star value of each class when
/// labels are stars. Deterministic for any number of threads. No rows, sizes that do not fit, labels out of range and
/// probabilities that are none are errors.
pub fn evaluate(
    labels: &[u32],
    probabilities: &[f64],
    classes: &[String],
    stars: Option<&[f64]>,
    options: &EvaluateOptions<'_>,
) -> Result<Evaluation, Error> {
    let frame = Frame::new(labels, probabilities, classes.len(), stars)?;
    let ones = vec![1; labels.len()];
    let values = frame.scores(&ones);
    let counts = frame.class_counts(&ones);
    let shares: Vec<f64> = counts.iter().map(|count| *count as f64 / labels.len() as f64).collect();
    let prior = options.prior.unwrap_or(&shares);
    if prior.len() != classes.len() {
        return Err(Error::invalid("prior", format!("must have {} shares, got {}", classes.len(), prior.len())));
    }
    let constant: Vec<f64> = labels.iter().flat_map(|_| prior).copied().collect();
    let guessed = Frame::new(labels, &constant, classes.len(), stars)?.scores(&ones);
    let EvaluateOptions { resamples, seed, stop, .. } = *options;
    let samples = Bootstrap { resamples, seed, stream: 0, stop }.draw(frame.rows(), |weights| frame.scores(weights))?;
    let names = frame.names();
    let of_score = |at: usize| defined(samples.iter().map(|sample| sample[at])).map(|values| interval(&values));
    let intervals = (0..names.len()).map(of_score);
    let mut scores =
        names.iter().zip(values).zip(guessed).zip(intervals).map(|(((name, value), baseline), interval)| Score {
            name: name.clone(),
            value,
            low: interval.map(|(low, _)| low),
            high: interval.map(|(_, high)| high),
            baseline,
        });
    let overall = scores.by_ref().take(frame.overall()).collect();
    let mut per_class = Vec::with_capacity(classes.len());
    for (class, label) in classes.iter().enumerate() {
        // `frame.names()` has three scores a class after the overall ones.
        let (Some(precision), Some(recall), Some(f1)) = (scores.next(), scores.next(), scores.next()) else { break };
        let (roc_auc, pr_auc) = frame.areas(class, &ones);
        let steps = frame.steps(class);
        per_class.push(ClassScores {
            label: label.clone(),
            support: counts[class],
            precision,
            recall,
            f1,
            roc_auc,
            pr_auc,
            roc_curve: thin(&curves::roc(&steps), CURVE_POINTS),
            pr_curve: thin(&curves::precision_recall(&steps), CURVE_POINTS),
        });
    }
    Ok(Evaluation {
        rows: labels.len() as u64,
        classes: classes.to_vec(),
        scores: overall,
        per_class,
        confusion: frame.confusion(&ones).into_rows(),
        reliability: frame.reliability(),
        resamples: options.resamples,
    })
}
