//! The sections that say what a version is and what it is for.

use tenor_features::contract::{FeatureContract, FeatureSource};
use tenor_features::text::CleaningProfile;

use super::document::{Block, Cell, Document, Kind, Section, Table, Tile};
use super::format::{bytes, guess, interval, name, number, optional, percent, rows};
use super::{CardInputs, limits, provenance, results};
use crate::plot::svg::thousands;
use crate::report::plain;

/// The card of `inputs`, sections in the order of the paper.
pub(super) fn document(inputs: &CardInputs<'_>) -> Document {
    let warnings = limits::warnings(inputs);
    let version = inputs.version.map_or_else(|| "unregistered".to_owned(), |version| format!("version {version}"));
    Document {
        title: name(inputs.name),
        subtitle: format!("Model card, {version}"),
        headline: headline(inputs),
        sections: vec![
            details(inputs),
            intended_use(inputs),
            factors(inputs),
            results::metrics(inputs),
            provenance::evaluation_data(inputs),
            provenance::training_data(inputs),
            results::analyses(inputs),
            ethics(inputs),
            caveats(inputs, &warnings),
            provenance::reproduction(inputs),
        ],
        warnings,
    }
}

fn headline(inputs: &CardInputs<'_>) -> Vec<Tile> {
    let Some(test) = inputs.test else { return Vec::new() };
    let tile = |(key, title): (&str, &str)| {
        let score = test.score(key)?;
        let mut detail = interval(score.low, score.high);
        if let Some(guess) = guess(score) {
            detail.push_str(&format!("; guessing {guess:.3}"));
        }
        Some(Tile { name: title.to_owned(), value: optional(score.value), detail })
    };
    let scores = [("accuracy", "Accuracy"), ("macro_f1", "F1, macro"), ("ece", "Calibration error")];
    let mut tiles: Vec<Tile> = scores.into_iter().filter_map(tile).collect();
    let detail = format!("{} classes", test.classes.len());
    tiles.push(Tile { name: "Test rows".to_owned(), value: thousands(test.rows), detail });
    tiles
}

fn details(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("Model Details");
    section.written(inputs.description, "Nobody has described this model.");
    let known = |text: Option<&str>| text.map_or_else(|| "not recorded".to_owned(), name);
    let (size, file) = (inputs.size, inputs.file);
    let learned =
        format!("{} learned numbers, {} of them not zero", thousands(size.parameters), thousands(size.nonzero));
    section.blocks.push(Block::Facts(vec![
        ("Kind", Cell::Code(inputs.kind.to_owned())),
        ("Size", learned.into()),
        ("File", file.map_or_else(|| "not recorded".to_owned(), |(size, _)| bytes(size)).into()),
        ("File digest", file.map_or("not recorded".into(), |(_, digest)| Cell::Code(format!("{digest:?}")))),
        ("Contract hash", Cell::Code(format!("{:?}", inputs.contract.hash()))),
        ("Calibration", inputs.calibration.map_or_else(|| "none recorded".to_owned(), name).into()),
        ("Created", known(inputs.created).into()),
        ("Owner", known(inputs.owner).into()),
        ("Licence", known(inputs.licence).into()),
    ]));
    section
}

fn intended_use(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("Intended Use");
    let classes = &inputs.contract.classes;
    section.text(format!("Puts one text into one of {} classes, with a probability for each.", classes.len()));
    section.blocks.push(Block::List(classes.iter().map(|class| name(class)).collect()));
    section.heading("Primary uses");
    section.written(inputs.intended_use, "No use has been written down.");
    section.heading("Out-of-scope uses");
    section.written(inputs.out_of_scope, "No use has been ruled out in writing.");
    section.text(
        "Whatever the text, the answer is one of these classes: a text about something else, or in a language that was not in \
         the training rows, gets one too.",
    );
    section
}

/// What answers may depend on: language, length, numbers.
fn factors(inputs: &CardInputs<'_>) -> Section {
    let contract = inputs.contract;
    let mut section = Section::new("Factors");
    section.heading("Languages");
    match inputs.languages {
        Some(languages) if !languages.is_empty() => {
            let mut table = Table::new(&[("Language", Kind::Text), ("Training rows", Kind::Number)]);
            table.rows = languages.iter().map(|(it, share)| vec![name(it).into(), percent(*share).into()]).collect();
            section.blocks.push(Block::Table(table));
        }
        _ => section.missing("The languages of the training rows are not known."),
    }
    section.heading("Lengths");
    section.text(format!(
        "The contract is for texts of {} to {} characters; others are refused in strict mode and warned about else.",
        thousands(contract.min_chars.into()),
        thousands(contract.max_chars.into())
    ));
    lengths(inputs, &mut section);
    section.text(match contract.cleaning {
        CleaningProfile::Unicode => "Case, tags and addresses are dropped before learning; every script is kept.",
        CleaningProfile::Ascii => "Only the letters a to z are kept: digits, accents and other scripts are lost.",
    });
    section.heading("Numeric features");
    if contract.numeric.is_empty() {
        section.text("None: the answer depends on the text alone.");
    } else {
        section.blocks.push(Block::Table(numeric_features(contract)));
        section.text("In strict mode a missing value, or one out of range, is refused. Else there is a warning: the default stands in for \
             what is missing, and in impute mode for what is out of range.");
    }
    section
}

/// Quantiles of the lengths seen in training.
fn lengths(inputs: &CardInputs<'_>, section: &mut Section) {
    let lengths = inputs.baseline.and_then(|baseline| baseline.features.iter().find(|it| it.name == "text_len"));
    match lengths.map(|feature| feature.quantiles.as_slice()) {
        Some(quantiles) if quantiles.len() > 1 => {
            let at = |percent: usize| thousands(quantiles[percent * (quantiles.len() - 1) / 100].round() as u64);
            section.text(format!(
                "Half of the training texts have {} to {} characters, 98 in 100 have {} to {}; beyond that little was seen.",
                at(25),
                at(75),
                at(1),
                at(99)
            ));
        }
        _ => section.missing("The lengths of the training texts are not known."),
    }
}

fn numeric_features(contract: &FeatureContract) -> Table {
    let mut table = Table::new(&[
        ("Feature", Kind::Text),
        ("From", Kind::Text),
        ("Allowed", Kind::Number),
        ("Mean", Kind::Number),
        ("Default", Kind::Number),
    ]);
    for feature in &contract.numeric {
        let source = match feature.source {
            FeatureSource::Text => "the text",
            FeatureSource::User => "the user's texts",
            FeatureSource::Item => "the item's texts",
            FeatureSource::Caller => "the caller",
        };
        let allowed = format!("{} to {}", plain(feature.min), plain(feature.max));
        let cells = [name(&feature.name), source.to_owned(), allowed, plain(feature.mean), plain(feature.default)];
        table.rows.push(cells.map(Cell::Text).into());
    }
    table
}

fn ethics(inputs: &CardInputs<'_>) -> Section {
    let mut section = Section::new("Ethical Considerations");
    section.written(inputs.ethics, "Nobody has written down ethical considerations.");
    section.text(
        "People wrote the training texts: the model repeats what their labels say, prejudices included. The model file holds the \
         terms it learned, which may contain names of people.",
    );
    section
}

fn caveats(inputs: &CardInputs<'_>, warnings: &[String]) -> Section {
    let mut section = Section::new("Caveats and Recommendations");
    section.text(if warnings.is_empty() {
        "The test numbers give no particular reason for doubt."
    } else {
        "What the numbers give reason to doubt stands at the top of this card."
    });
    if let (Some(test), Some(validation)) = (inputs.test, inputs.validation)
        && let (Some(test), Some(validation)) = (test.get("macro_f1"), validation.get("macro_f1"))
    {
        let text = "where choices were made by the validation rows, trust the test rows";
        section.text(format!(
            "F1 (macro) is {} on validation and {} on test; {text}.",
            number(validation),
            number(test)
        ));
    }
    match inputs.rows {
        Some([train, ..]) => section.text(format!(
            "Learned from {}; the scores hold for texts like these. Watch drift against the training statistics, and test \
             again when the texts change.",
            rows(train)
        )),
        None => section.text("The scores hold for texts like the test rows only; test again when the texts change."),
    }
    section
}
