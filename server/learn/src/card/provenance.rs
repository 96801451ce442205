//! The sections about data, and how to make the same model again.

use serde_json::Value;
use tenor_domain::Digest;

use super::CardInputs;
use super::document::{Block, Cell, Kind, Section, Table};
use super::format::{name, percent, range, rows};
use crate::plot::svg::thousands;

fn digest(digest: Option<Digest>) -> Cell {
    digest.map_or("not recorded".into(), |digest| Cell::Code(format!("{digest:?}")))
}

fn count(inputs: &CardInputs<'_>, part: usize) -> Cell {
    inputs.rows.map_or_else(|| "not recorded".to_owned(), |counts| thousands(counts[part])).into()
}

pub(super) fn evaluation_data(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("Evaluation Data");
    let lineage = inputs.lineage;
    section.blocks.push(Block::Facts(vec![
        ("Test rows", count(inputs, 2)),
        ("Test digest", digest(lineage.test_digest)),
        ("Validation rows", count(inputs, 1)),
        ("Validation digest", digest(lineage.validation_digest)),
    ]));
    match inputs.test {
        Some(test) => section.text(format!(
            "The scores on this card are of {} that were held back from training, by the split options whose digest stands \
             below.",
            rows(test.rows)
        )),
        None => section.missing("There is no evaluation on test rows."),
    }
    section
}

pub(super) fn training_data(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("Training Data");
    let lineage = inputs.lineage;
    section.blocks.push(Block::Facts(vec![
        ("Training rows", count(inputs, 0)),
        ("Training digest", digest(lineage.train_digest)),
        ("Source file", digest(lineage.source_digest)),
        ("Import options", digest(lineage.import_options_digest)),
        ("Split options", digest(lineage.split_options_digest)),
        ("Text column", name(&inputs.contract.text_column).into()),
    ]));
    for (key, note) in &lineage.notes {
        section.text(format!("{}: {}", name(key), note.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    section.heading("Class shares");
    let Some(baseline) = inputs.baseline else {
        section.missing("The shares of the classes among the training rows are not known.");
        return section;
    };
    let mut table = Table::new(&[("Class", Kind::Text), ("Training rows", Kind::Number), ("", Kind::Drawn)]);
    let shares = baseline.classes.iter().zip(&baseline.class_shares);
    table.rows = shares
        .map(|(class, share)| vec![name(class).into(), percent(*share).into(), range(Some(*share), None, None)])
        .collect();
    section.blocks.push(Block::Table(table));
    section
}

/// Not in the paper: what gives the same bytes again.
pub(super) fn reproduction(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("How to Reproduce");
    let (lineage, unknown) = (inputs.lineage, || "not recorded".to_owned());
    let program = if lineage.program.is_empty() { unknown() } else { name(&lineage.program) };
    section.text(
        "Training again with this program, these rows, these parameters and this seed gives the same model file, on any number \
         of threads.",
    );
    section.blocks.push(Block::Facts(vec![
        ("Program", program.into()),
        ("Kind", Cell::Code(inputs.kind.to_owned())),
        ("Seed", Cell::Code(lineage.seed.to_string())),
        ("Training digest", digest(lineage.train_digest)),
        ("File digest", digest(inputs.file.map(|(_, digest)| digest))),
    ]));
    section.blocks.push(Block::Code(pretty(inputs.params)));
    section
}

fn pretty(params: &Value) -> String {
    // A JSON value always serialises. The marks of tags stand in strings only, where JSON may escape them.
    let text = serde_json::to_string_pretty(params).unwrap_or_default();
    text.replace('<', "\\u003c").replace('>', "\\u003e")
}
