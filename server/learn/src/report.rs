//! Evaluations as text for a terminal.

use std::fmt::Write as _;

use crate::metrics::{Evaluation, Score};
use crate::slices::{SliceReport, SliceScores};

/// The report of scikit-learn's `classification_report`, each number with its 95 % interval, then the overall scores beside what
/// guessing from the class shares would give.
pub fn classification_report(evaluation: &Evaluation) -> String {
    let width = name_width(evaluation).max("weighted avg".len());
    let mut out = String::new();
    line(&mut out, &format!("{:>width$} {:>24} {:>24} {:>24} {:>9}", "", "precision", "recall", "f1-score", "support"));
    out.push('\n');
    for class in &evaluation.per_class {
        let name = clip(&class.label, width);
        let cells = [&class.precision, &class.recall, &class.f1].map(score_cell);
        line(
            &mut out,
            &format!("{name:>width$} {:>24} {:>24} {:>24} {:>9}", cells[0], cells[1], cells[2], class.support),
        );
    }
    out.push('\n');
    let rows = evaluation.rows;
    let score = |name: &str| evaluation.score(name).map_or_else(String::new, score_cell);
    line(&mut out, &format!("{:>width$} {:>24} {:>24} {:>24} {rows:>9}", "accuracy", "", "", score("accuracy")));
    for (name, prefix) in [("macro avg", "macro"), ("weighted avg", "weighted")] {
        let cells = ["precision", "recall", "f1"].map(|of| score(&format!("{prefix}_{of}")));
        line(&mut out, &format!("{name:>width$} {:>24} {:>24} {:>24} {rows:>9}", cells[0], cells[1], cells[2]));
    }
    let _ = writeln!(out, "\n{:<20} {:>24} {:>10}", "score", "value [95 % interval]", "guessing");
    for score in &evaluation.scores {
        let guessing = score.baseline.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        let _ = writeln!(out, "{:<20} {:>24} {guessing:>10}", score.name, score_cell(score));
    }
    if evaluation.resamples == 0 {
        out.push_str("\nno intervals: bootstrap was off\n");
    } else {
        let _ = writeln!(out, "\nintervals: percentiles of {} bootstrap samples", evaluation.resamples);
    }
    out
}

/// The confusion matrix as a table: truth down, answers across.
pub fn confusion_table(evaluation: &Evaluation) -> String {
    let width = name_width(evaluation);
    let cell = evaluation.classes.iter().map(|class| class.chars().count().min(16)).max().unwrap_or(0).max(9);
    let mut out = format!("{:>width$}  answered\n{:>width$} ", "truth", "");
    for class in &evaluation.classes {
        let _ = write!(out, " {:>cell$}", clip(class, 16));
    }
    out.push('\n');
    for (class, counts) in evaluation.classes.iter().zip(&evaluation.confusion) {
        let _ = write!(out, "{:>width$} ", clip(class, width));
        for count in counts {
            let _ = write!(out, " {count:>cell$}");
        }
        out.push('\n');
    }
    out
}

/// The scores of slices as a table.
pub fn slice_table(report: &SliceReport) -> String {
    let title = |slice: &SliceScores| clip(&slice.title(), 40);
    let mut out = format!("{:<40} {:>8} {:>24} {:>24} {:>24}\n", "slice", "rows", "accuracy", "macro F1", "ECE");
    for slice in std::iter::once(&report.overall).chain(&report.slices) {
        let cells = [slice.accuracy, slice.macro_f1, slice.ece].map(|it| cell(Some(it.value), it.interval));
        let _ =
            writeln!(out, "{:<40} {:>8} {:>24} {:>24} {:>24}", title(slice), slice.rows, cells[0], cells[1], cells[2]);
    }
    for (what, worst) in
        [("smallest upper bound of accuracy", report.worst_by_accuracy), ("lowest macro F1", report.worst_by_macro_f1)]
    {
        let name = worst.and_then(|at| report.slices.get(at)).map_or_else(|| "none".to_owned(), title);
        let _ = writeln!(out, "{what} with {} rows or more: {name}", report.min_rows);
    }
    out
}

/// A number of unknown size, such as a limit of a feature.
pub(crate) fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.3}") }
}

fn name_width(evaluation: &Evaluation) -> usize {
    evaluation.classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).clamp(5, 24)
}

/// Class names come from users: no line breaks, no terminal codes, no endless names.
fn clip(name: &str, width: usize) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(width).collect()
}

fn score_cell(score: &Score) -> String {
    cell(score.value, score.low.zip(score.high))
}

fn cell(value: Option<f64>, interval: Option<(f64, f64)>) -> String {
    match (value, interval) {
        (Some(value), Some((low, high))) => format!("{value:.4} [{low:.4}, {high:.4}]"),
        (Some(value), None) => format!("{value:.4}"),
        (None, _) => "-".to_owned(),
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}
