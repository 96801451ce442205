//! What the numbers of a card themselves give reason to doubt.

use super::CardInputs;
use super::format::{guess, lower_is_better, name, number, percent, rows, score_name};
use crate::Evaluation;
use crate::metrics::Score;

/// Test rows below which every score is uncertain by several points: the half-width of a 95 % interval of an accuracy near 0.8 is
/// `1.96 * sqrt(0.8 * 0.2 / 500) = 0.035`.
const FEW_TEST_ROWS: u64 = 500;
/// Test rows of one class below which its own scores say little.
const FEW_CLASS_ROWS: u64 = 30;
/// How many times larger the largest class may be than the smallest.
const IMBALANCE: f64 = 10.0;
/// Calibration error above which probabilities should not be read as frequencies.
const LARGE_ECE: f64 = 0.1;
/// Names in one warning.
const NAMED: usize = 5;

/// All warnings, the gravest first.
pub(super) fn warnings(inputs: &CardInputs<'_>) -> Vec<String> {
    let mut found = Vec::new();
    match inputs.test {
        None => found.push("This version was not tested: nothing is known about its quality.".to_owned()),
        Some(test) => {
            found.extend(guessing(test));
            found.extend(small_test(test));
            found.extend(calibration(test));
        }
    }
    found.extend(training_classes(inputs));
    found.extend(weak_slices(inputs));
    found
}

/// Whether `score` cannot be told from guessing, or is worse.
pub(super) fn is_like_guessing(score: &Score) -> bool {
    let (Some(low), Some(high), Some(guess)) = (score.low, score.high, guess(score)) else { return false };
    if lower_is_better(&score.name) { high >= guess } else { low <= guess }
}

fn guessing(test: &Evaluation) -> Option<String> {
    let like: Vec<String> = test.scores.iter().filter(|score| is_like_guessing(score)).map(said).collect();
    (!like.is_empty()).then(|| {
        let verb = if like.len() == 1 { "is" } else { "are" };
        format!("Not better than guessing from the class shares, within the 95 % interval, {verb}: {}.", named(&like))
    })
}

fn said(score: &Score) -> String {
    let interval = match (score.low, score.high, score.baseline) {
        (Some(low), Some(high), Some(guess)) => format!(" ({low:.3} to {high:.3}, guessing {guess:.3})"),
        _ => String::new(),
    };
    format!("{}{interval}", score_name(&score.name).trim_end_matches(" (lower is better)"))
}

fn small_test(test: &Evaluation) -> Vec<String> {
    let mut found = Vec::new();
    if test.rows < FEW_TEST_ROWS {
        let text = "is a small test: scores are uncertain by several points, see their intervals.";
        found.push(format!("{} {text}", rows(test.rows)));
    }
    if test.resamples == 0 {
        found.push("The scores have no intervals: how uncertain they are is not known.".to_owned());
    }
    let classes = |wanted: fn(u64) -> bool| -> Vec<String> {
        test.per_class.iter().filter(|class| wanted(class.support)).map(|class| quoted(&class.label)).collect()
    };
    let absent = classes(|support| support == 0);
    if !absent.is_empty() {
        found.push(format!("Classes without a single test row, so never tested: {}.", named(&absent)));
    }
    let few = classes(|support| (1..FEW_CLASS_ROWS).contains(&support));
    if !few.is_empty() {
        found.push(format!("Classes with fewer than {FEW_CLASS_ROWS} test rows: {}.", named(&few)));
    }
    found
}

fn calibration(test: &Evaluation) -> Option<String> {
    let error = test.get("ece").filter(|error| *error > LARGE_ECE)?;
    let text = "do not read the probabilities as frequencies.";
    Some(format!("Confidence and share of right answers differ by {} on average: {text}", number(error)))
}

fn training_classes(inputs: &CardInputs<'_>) -> Vec<String> {
    let Some(baseline) = inputs.baseline else { return Vec::new() };
    let shares = || baseline.classes.iter().zip(&baseline.class_shares);
    let absent: Vec<String> = shares().filter(|(_, share)| **share == 0.0).map(|(class, _)| quoted(class)).collect();
    if !absent.is_empty() {
        return vec![format!("Classes without a single training row, so never learned: {}.", named(&absent))];
    }
    let order = |a: &(&String, &f64), b: &(&String, &f64)| a.1.total_cmp(b.1);
    match (shares().min_by(order), shares().max_by(order)) {
        (Some((rare, low)), Some((frequent, high))) if *high > *low * IMBALANCE => {
            vec![format!(
                "The classes are out of balance: {} has {} of the training rows, {} has {}.",
                quoted(frequent),
                percent(*high),
                quoted(rare),
                percent(*low)
            )]
        }
        _ => Vec::new(),
    }
}

/// Slices whose whole interval lies below the accuracy over all test rows.
fn weak_slices(inputs: &CardInputs<'_>) -> Option<String> {
    let overall = inputs.test?.get("accuracy")?;
    let weak = inputs.slices?.judged().filter(|slice| slice.accuracy.interval.is_some_and(|(_, high)| high < overall));
    let weak: Vec<String> = weak.map(|slice| quoted(&slice.title())).collect();
    (!weak.is_empty())
        .then(|| format!("Surely less accurate than the whole ({}) on: {}.", number(overall), named(&weak)))
}

fn quoted(text: &str) -> String {
    format!("“{}”", name(text))
}

fn named(names: &[String]) -> String {
    let mut text = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    text
}
