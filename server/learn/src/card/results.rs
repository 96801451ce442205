//! The sections about how good the answers are.

use super::CardInputs;
use super::document::{Block, Cell, Column, Kind, Section, Table};
use super::format::{guess, interval, name, number, optional, percent, range, range_of, score_name};
use super::limits::is_like_guessing;
use crate::metrics::{ClassScores, Evaluation, Score};
use crate::plot;
use crate::plot::svg::thousands;

/// Features listed for each class.
const FEATURES: usize = 12;

pub(super) fn metrics(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("Metrics");
    let Some(test) = inputs.test else {
        section.missing("There are no scores on test rows.");
        return section;
    };
    section.text(match test.resamples {
        0 => "Scores on the test rows, beside what guessing from the class shares of the training rows would give.".to_owned(),
        resamples => format!(
            "Scores on the test rows with 95 % intervals from {} bootstrap samples, beside what guessing from the class \
             shares of the training rows would give. Scores marked with * are not better than that within their interval.",
            thousands(resamples.into())
        ),
    });
    let mut table = Table::new(&[
        ("Score", Kind::Text),
        ("Test", Kind::Number),
        ("95 % interval", Kind::Number),
        ("0 to 1; tick: guessing", Kind::Drawn),
        ("Guessing", Kind::Number),
    ]);
    if inputs.validation.is_some() {
        table.columns.push(Column { title: "Validation".to_owned(), kind: Kind::Number });
    }
    for score in &test.scores {
        let mark = if is_like_guessing(score) { " *" } else { "" };
        let guess = guess(score).map_or_else(|| "–".to_owned(), number);
        let mut row: Vec<Cell> = vec![
            score_name(&score.name).into(),
            format!("{}{mark}", optional(score.value)).into(),
            interval(score.low, score.high).into(),
            range_of(score),
            guess.into(),
        ];
        if let Some(validation) = inputs.validation {
            row.push(optional(validation.get(&score.name)).into());
        }
        table.rows.push(row);
    }
    section.blocks.push(Block::Table(table));
    if inputs.validation.is_none() {
        section.missing("There are no scores on validation rows.");
    }
    section
}

pub(super) fn analyses(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("Quantitative Analyses");
    match inputs.test {
        Some(test) => {
            per_class(test, &mut section);
            section.heading("Confusion matrix");
            section.blocks.push(Block::Picture(plot::confusion_matrix(test), confusion(test)));
            calibration(test, &mut section);
        }
        None => section.missing("No classes, confusions or calibration without test rows."),
    }
    slices(inputs, &mut section);
    features(inputs, &mut section);
    section
}

fn per_class(test: &Evaluation, section: &mut Section) {
    section.heading("Each class");
    let mut table = Table::new(&[
        ("Class", Kind::Text),
        ("Rows", Kind::Number),
        ("Precision", Kind::Number),
        ("Recall", Kind::Number),
        ("F1", Kind::Number),
        ("F1 interval", Kind::Number),
        ("0 to 1; tick: guessing", Kind::Drawn),
        ("ROC-AUC", Kind::Number),
    ]);
    let value = |score: &Score| optional(score.value);
    let row = |class: &ClassScores| -> Vec<Cell> {
        let scores = [&class.precision, &class.recall, &class.f1].map(value);
        let mut cells = vec![name(&class.label).into(), thousands(class.support).into()];
        cells.extend(scores.map(Cell::from));
        cells.push(interval(class.f1.low, class.f1.high).into());
        cells.push(range_of(&class.f1));
        cells.push(optional(class.roc_auc).into());
        cells
    };
    table.rows = test.per_class.iter().map(row).collect();
    section.blocks.push(Block::Table(table));
}

fn confusion(test: &Evaluation) -> Table {
    let mut table = Table::new(&[("Truth, answered:", Kind::Text)]);
    let columns = test.classes.iter().map(|class| Column { title: name(class), kind: Kind::Number });
    table.columns.extend(columns);
    for (class, counts) in test.classes.iter().zip(&test.confusion) {
        let counts = counts.iter().map(|count| Cell::from(thousands(*count)));
        table.rows.push(std::iter::once(name(class).into()).chain(counts).collect());
    }
    table
}

fn calibration(test: &Evaluation, section: &mut Section) {
    section.heading("Calibration");
    let error = test.score("ece").map_or_else(|| "not defined".to_owned(), |score| optional(score.value));
    let bounds = test.score("ece").map_or_else(|| "none".to_owned(), |score| interval(score.low, score.high));
    section.text(format!(
        "Expected calibration error {error} (95 % interval: {bounds}): the mean distance between how sure an answer is and how \
         often such answers are right."
    ));
    let mut table = Table::new(&[
        ("Confidence", Kind::Text),
        ("Rows", Kind::Number),
        ("Mean confidence", Kind::Number),
        ("Right", Kind::Number),
    ]);
    for bin in test.reliability.iter().filter(|bin| bin.rows > 0) {
        let edges = format!("above {} to {}", number(bin.low), number(bin.high));
        let cells = [edges, thousands(bin.rows), percent(bin.confidence), percent(bin.accuracy)];
        table.rows.push(cells.map(Cell::Text).into());
    }
    section.blocks.push(Block::Picture(plot::reliability(test), table));
}

fn slices(inputs: &CardInputs<'_>, section: &mut Section) {
    section.heading("Slices");
    let Some(report) = inputs.slices.filter(|report| report.judged().next().is_some()) else {
        section.missing("The test rows were not looked at in slices.");
        return;
    };
    let mut table = Table::new(&[
        ("Slice", Kind::Text),
        ("Rows", Kind::Number),
        ("Accuracy", Kind::Number),
        ("95 % interval", Kind::Number),
        ("0 to 1; tick: all rows", Kind::Drawn),
        ("F1, macro", Kind::Number),
    ]);
    let overall = inputs.test.and_then(|test| test.get("accuracy"));
    let worst = report.worst_by_accuracy.and_then(|at| report.slices.get(at));
    for (at, slice) in report.judged().enumerate() {
        let accuracy = slice.accuracy;
        table.rows.push(vec![
            name(&slice.title()).into(),
            thousands(slice.rows).into(),
            number(accuracy.value).into(),
            interval(accuracy.interval.map(|(low, _)| low), accuracy.interval.map(|(_, high)| high)).into(),
            range(Some(accuracy.value), accuracy.interval, overall),
            number(slice.macro_f1.value).into(),
        ]);
        if worst.is_some_and(|worst| std::ptr::eq(worst, slice)) {
            table.marked = Some(at);
        }
    }
    if let Some(slice) = worst {
        let accuracy = number(slice.accuracy.value);
        section.text(format!("The weakest slice is “{}”, accuracy {accuracy}.", name(&slice.title())));
    }
    section.blocks.push(Block::Table(table));
}

fn features(inputs: &CardInputs<'_>, section: &mut Section) {
    section.heading("Most important features");
    let Some(of_classes) = inputs.features.filter(|classes| !classes.is_empty()) else {
        section.missing("The importance of the features is not known.");
        return;
    };
    section.text("What a feature adds to the score of the class, strongest first; numeric features stand in brackets.");
    let mut table = Table::new(&[("Class", Kind::Text), ("For it", Kind::Text), ("Against it", Kind::Text)]);
    for (class, features) in of_classes {
        let list = |wanted: fn(f64) -> bool| {
            let those = features.iter().filter(|feature| wanted(feature.value)).take(FEATURES);
            let texts: Vec<String> = those.map(|it| format!("{} ({:+.2})", name(&it.label()), it.value)).collect();
            if texts.is_empty() { "–".to_owned() } else { texts.join(", ") }
        };
        table.rows.push(vec![name(class).into(), list(|value| value > 0.0).into(), list(|value| value < 0.0).into()]);
    }
    section.blocks.push(Block::Table(table));
}
