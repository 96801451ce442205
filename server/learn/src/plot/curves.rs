//! ROC curves, precision-recall curves and the reliability diagram.

use super::axes::Axes;
use super::svg::{Anchor, Font, thousands};
use super::{COLOURS, FAINT, MAX_CURVES};
use crate::calibration::CalibrationReport;
use crate::metrics::{ClassScores, Evaluation, ReliabilityBin};

/// The ROC curves of the classes, each against the rest; of the second class alone when there are two.
pub fn roc(evaluation: &Evaluation) -> String {
    let shown = shown(evaluation);
    let mut axes = Axes::new(
        "ROC curve",
        &subtitle(evaluation, shown.len()),
        "false positive rate",
        "true positive rate",
        shown.len() + 1,
    );
    axes.dashed((0.0, 0.0), (1.0, 1.0));
    for (class, colour) in shown.iter().zip(COLOURS) {
        axes.curve(&class.roc_curve, colour);
        axes.legend(colour, false, &format!("{}: area {}", class.label, area(class.roc_auc)));
    }
    axes.legend(FAINT, true, "guessing: area 0.500");
    axes.finish()
}

/// The precision-recall curves of the classes, each against the rest; of the second class alone when there are two.
pub fn precision_recall(evaluation: &Evaluation) -> String {
    let shown = shown(evaluation);
    let mut axes =
        Axes::new("Precision-recall curve", &subtitle(evaluation, shown.len()), "recall", "precision", shown.len() + 1);
    for (class, colour) in shown.iter().zip(COLOURS) {
        let share = class.support as f64 / evaluation.rows.max(1) as f64;
        axes.dashed((0.0, share), (1.0, share));
        axes.curve(&class.pr_curve, colour);
        let text = format!("{}: average precision {}, guessing {share:.3}", class.label, area(class.pr_auc));
        axes.legend(colour, false, &text);
    }
    axes.legend(FAINT, true, "guessing: the share of the class");
    axes.finish()
}

/// How often answers of each confidence are right. Areas of the dots follow the rows behind them.
pub fn reliability(evaluation: &Evaluation) -> String {
    let error = evaluation.get("ece").unwrap_or(0.0);
    let subtitle = format!("{} rows; expected calibration error {error:.3}", thousands(evaluation.rows));
    let mut axes = Axes::new("Reliability", &subtitle, "confidence (highest probability)", "share of right answers", 2);
    axes.dashed((0.0, 0.0), (1.0, 1.0));
    for bin in evaluation.reliability.iter().filter(|bin| bin.rows > 0) {
        let (from, to) = (axes.at(bin.confidence, bin.confidence), axes.at(bin.confidence, bin.accuracy));
        axes.svg.line(from, to, COLOURS[1], 1.5, false);
    }
    let points = dots(&mut axes, &evaluation.reliability, evaluation.rows, COLOURS[0]);
    axes.curve(&points, COLOURS[0]);
    if points.is_empty() {
        let middle = axes.at(0.5, 0.5);
        axes.svg.text(middle, "no rows", Anchor::Middle, Font::default());
    }
    axes.legend(COLOURS[0], false, "observed (a larger dot stands for more rows)");
    axes.legend(FAINT, true, "perfectly calibrated");
    axes.finish()
}

/// The reliability of the same answers before and after calibration.
pub fn calibration(report: &CalibrationReport) -> String {
    let subtitle = format!("{} rows; method {}", thousands(report.rows), report.method.as_str());
    let mut axes = Axes::new("Calibration", &subtitle, "confidence (highest probability)", "share of right answers", 3);
    axes.dashed((0.0, 0.0), (1.0, 1.0));
    for (name, quality, colour) in [("before", &report.before, COLOURS[1]), ("after", &report.after, COLOURS[0])] {
        let points = dots(&mut axes, &quality.reliability, report.rows, colour);
        axes.curve(&points, colour);
        let text = format!("{name}: calibration error {:.3}, log-loss {:.3}", quality.ece, quality.log_loss);
        axes.legend(colour, false, &text);
    }
    axes.legend(FAINT, true, "perfectly calibrated");
    axes.finish()
}

/// Draws a dot for each bin that has rows, its area after their share; returns the points.
fn dots(axes: &mut Axes, bins: &[ReliabilityBin], rows: u64, colour: &str) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for bin in bins.iter().filter(|bin| bin.rows > 0) {
        let share = bin.rows as f64 / rows.max(1) as f64;
        let middle = axes.at(bin.confidence, bin.accuracy);
        axes.svg.circle(middle, 3.0 + 12.0 * share.sqrt(), colour);
        points.push((bin.confidence, bin.accuracy));
    }
    points
}

/// The classes to draw: the second of two, else those with the most rows.
fn shown(evaluation: &Evaluation) -> Vec<&ClassScores> {
    if let [_, second] = evaluation.per_class.as_slice() {
        return vec![second];
    }
    let mut order: Vec<usize> = (0..evaluation.per_class.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(evaluation.per_class[class].support));
    order.truncate(MAX_CURVES);
    order.sort_unstable();
    order.into_iter().map(|class| &evaluation.per_class[class]).collect()
}

fn subtitle(evaluation: &Evaluation, shown: usize) -> String {
    let rows = thousands(evaluation.rows);
    match evaluation.per_class.len() {
        2 => format!("{rows} rows"),
        all if all > shown => format!("{rows} rows; each class against the rest; {shown} largest of {all} classes"),
        _ => format!("{rows} rows; each class against the rest"),
    }
}

fn area(value: Option<f64>) -> String {
    value.map_or_else(|| "not defined".to_owned(), |value| format!("{value:.3}"))
}
