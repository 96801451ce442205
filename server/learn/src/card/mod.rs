//! Model cards: what a version is, what it was made from, how good it is and where it should not be trusted.
//!
//! The sections are those of Mitchell et al., "Model Cards for Model Reporting" (2019), and one on how to make the same model again.
//! A card is written from plain values, without a clock and without randomness: the same inputs give the same bytes. What is
//! not known is said. Names and texts come from users: nothing of them is markup, in Markdown or in HTML.

mod document;
mod format;
mod limits;
mod markdown;
mod page;
mod provenance;
mod results;
mod sections;
#[cfg(test)]
mod tests;

use serde_json::Value;
use tenor_domain::Digest;
use tenor_features::contract::FeatureContract;

use crate::baseline::Baseline;
use crate::slices::SliceReport;
use crate::{Contribution, Evaluation, Lineage, ModelSize};

/// All that a card can say. `None`: not known, and the card says so.
#[derive(Debug, Clone, Copy)]
pub struct CardInputs<'a> {
    /// Of the registered model.
    pub name: &'a str,
    pub version: Option<u32>,
    /// When and by whom, already as text.
    pub created: Option<&'a str>,
    pub owner: Option<&'a str>,
    pub licence: Option<&'a str>,
    pub description: Option<&'a str>,
    pub intended_use: Option<&'a str>,
    pub out_of_scope: Option<&'a str>,
    pub ethics: Option<&'a str>,

    pub kind: &'a str,
    /// The complete parameters of the training.
    pub params: &'a Value,
    pub size: ModelSize,
    /// Bytes and digest of the model file.
    pub file: Option<(u64, Digest)>,
    pub contract: &'a FeatureContract,
    pub lineage: &'a Lineage,
    /// How probabilities were calibrated after the training, e.g. `temperature 1.31`.
    pub calibration: Option<&'a str>,

    /// Rows of train, validation and test.
    pub rows: Option<[u64; 3]>,
    /// Of the training rows.
    pub baseline: Option<&'a Baseline>,
    /// Language and its share among the training rows.
    pub languages: Option<&'a [(String, f64)]>,

    pub test: Option<&'a Evaluation>,
    pub validation: Option<&'a Evaluation>,
    /// Of the test rows.
    pub slices: Option<&'a SliceReport>,
    /// The strongest features of each class, as [`importances`](crate::artifacts::importances) lists them.
    pub features: Option<&'a [(String, Vec<Contribution>)]>,
}

/// One card in two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// CommonMark with tables.
    pub markdown: String,
    /// One page: no script, no request, readable in light, in dark and on paper.
    pub html: String,
}

/// Writes the card.
pub fn write(inputs: &CardInputs<'_>) -> Card {
    let document = sections::document(inputs);
    Card { markdown: markdown::write(&document), html: page::write(&document) }
}
