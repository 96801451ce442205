//! How numbers and names read on a card.

use super::document::Cell;
use crate::metrics::Score;
use crate::plot::svg::{clip, thousands};

/// Characters of a name that a card shows.
const NAME: usize = 60;

/// A name of a user's, on one line and not endless.
pub(super) fn name(name: &str) -> String {
    let line: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "(empty)".to_owned() } else { clip(&line, NAME) }
}

pub(super) fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", thousands(count)) }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(super) fn number(value: f64) -> String {
    format!("{value:.3}")
}

pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "not defined".to_owned(), number)
}

/// `0.812 to 0.845`.
pub(super) fn interval(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
        _ => "none".to_owned(),
    }
}

/// A bar, for numbers that lie in 0 to 1.
pub(super) fn range(value: Option<f64>, bounds: Option<(f64, f64)>, guess: Option<f64>) -> Cell {
    let unit = |value: f64| (0.0..=1.0).contains(&value);
    match (value, bounds) {
        (Some(value), Some((low, high))) if unit(value) && unit(low) && unit(high) => {
            Cell::Range { value, low, high, guess: guess.filter(|guess| unit(*guess)) }
        }
        (Some(value), None) if unit(value) => Cell::Range { value, low: value, high: value, guess },
        _ => Cell::Empty,
    }
}

/// What guessing from the class shares would give. Not for the calibration error: that guess is well calibrated and useless.
pub(super) fn guess(score: &Score) -> Option<f64> {
    score.baseline.filter(|_| score.name != "ece")
}

pub(super) fn range_of(score: &Score) -> Cell {
    range(score.value, score.low.zip(score.high), guess(score))
}

pub(super) fn bytes(count: u64) -> String {
    let size = count as f64;
    match count {
        0..1_000 => format!("{count} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size / 1e6),
        _ => format!("{:.2} GB", size / 1e9),
    }
}

/// What the key of a score means, in words.
pub(super) fn score_name(key: &str) -> &str {
    match key {
        "accuracy" => "Accuracy",
        "macro_precision" => "Precision, macro",
        "macro_recall" => "Recall, macro",
        "macro_f1" => "F1, macro",
        "weighted_precision" => "Precision, weighted",
        "weighted_recall" => "Recall, weighted",
        "weighted_f1" => "F1, weighted",
        "mcc" => "Matthews correlation",
        "roc_auc" => "ROC-AUC",
        "pr_auc" => "Average precision",
        "log_loss" => "Log-loss (lower is better)",
        "brier" => "Brier score (lower is better)",
        "ece" => "Calibration error, ECE (lower is better)",
        "mae" => "Mean error in stars (lower is better)",
        "within_one" => "Within one star",
        "quadratic_kappa" => "Quadratic kappa",
        other => other,
    }
}

/// Whether a smaller value of the score is the better one.
pub(super) fn lower_is_better(key: &str) -> bool {
    matches!(key, "log_loss" | "brier" | "ece" | "mae")
}
