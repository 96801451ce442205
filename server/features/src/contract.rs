//! The feature contract: made when data are processed, stored in the model file, enforced at predict.

mod apply;
mod compare;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use tenor_domain::{Digest, Error};

use crate::text::{CleaningProfile, TEXT_FEATURES, lexicon_digest};

pub use apply::{Input, NumericValue, Prepared, Violation};
pub use compare::{ChangeLevel, ContractChange, compare};

/// Where a numeric feature comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureSource {
    /// Computed from the text by this crate; a caller need not send it.
    Text,
    /// Aggregate over the reviews of a user; the caller sends it, or it is imputed.
    User,
    /// Aggregate over the reviews of an item; the caller sends it, or it is imputed.
    Item,
    /// A column of the user's own.
    Caller,
}

/// One numeric feature.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NumericFeature {
    pub name: String,
    pub source: FeatureSource,
    /// Allowed range, inclusive.
    pub min: f64,
    pub max: f64,
    /// Statistics of the train split, nulls left out.
    pub mean: f64,
    pub std: f64,
    /// What stands in for a missing value: the median of the train split.
    pub default: f64,
}

/// What a model was trained on and may be fed.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FeatureContract {
    /// Version of this layout; 1 today.
    pub format: u32,
    /// Name of the text column, for messages.
    pub text_column: String,
    pub cleaning: CleaningProfile,
    /// Allowed length of the raw text, in characters.
    pub min_chars: u32,
    pub max_chars: u32,
    /// SHA-256 of the sentiment lexicon.
    pub lexicon: Digest,
    /// In the order of the numeric block.
    pub numeric: Vec<NumericFeature>,
    /// Class labels in the order of the probabilities.
    pub classes: Vec<String>,
    /// Star value of each class, when the labels are stars.
    pub stars: Option<Vec<f64>>,
}

impl FeatureContract {
    /// The layout version that this build writes and reads.
    pub const FORMAT: u32 = 1;

    /// The identity of the contract: SHA-256 of its JSON, fields in declared order, numbers in their shortest form.
    pub fn hash(&self) -> Digest {
        // Plain structs, strings and numbers always serialise; an empty value could only make two hashes equal.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Checks that the contract can be used by this build; the error names the field.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field: String, why: String| Err(Error::invalid(field, why));
        if self.format != Self::FORMAT {
            let why = format!("is {}, but this build reads {}; use a newer tenor", self.format, Self::FORMAT);
            return wrong("contract.format".into(), why);
        }
        if self.text_column.is_empty() {
            return wrong("contract.text_column".into(), "must not be empty".into());
        }
        if self.max_chars == 0 || self.min_chars > self.max_chars {
            let why = format!("must be at least 1 and at least min_chars ({}), got {}", self.min_chars, self.max_chars);
            return wrong("contract.max_chars".into(), why);
        }
        if self.lexicon != lexicon_digest() && self.numeric.iter().any(NumericFeature::is_sentiment) {
            let why = format!(
                "is {}, but this build computes sentiment with {}; train again",
                self.lexicon,
                lexicon_digest()
            );
            return wrong("contract.lexicon".into(), why);
        }
        let mut names = BTreeSet::new();
        for (index, feature) in self.numeric.iter().enumerate() {
            let field = format!("contract.numeric[{index}]");
            if feature.name.is_empty() || !names.insert(feature.name.as_str()) {
                return wrong(field, format!("has the name `{}`; names must be unique and not empty", feature.name));
            }
            if let Err(why) = feature.check() {
                return wrong(format!("{field} (`{}`)", feature.name), why);
            }
        }
        let classes: BTreeSet<&String> = self.classes.iter().collect();
        if self.classes.len() < 2 || classes.len() != self.classes.len() {
            return wrong(
                "contract.classes".into(),
                format!("must be 2 or more different labels, got {:?}", self.classes),
            );
        }
        if let Some(stars) = &self.stars
            && (stars.len() != self.classes.len() || stars.iter().any(|star| !star.is_finite()))
        {
            return wrong(
                "contract.stars".into(),
                format!("must be {} finite numbers, one a class", self.classes.len()),
            );
        }
        Ok(())
    }
}

impl NumericFeature {
    fn is_sentiment(&self) -> bool {
        self.source == FeatureSource::Text && self.name == "sentiment"
    }

    fn check(&self) -> Result<(), String> {
        for (what, value) in
            [("min", self.min), ("max", self.max), ("mean", self.mean), ("std", self.std), ("default", self.default)]
        {
            if !value.is_finite() {
                return Err(format!("has a {what} of {value}; it must be a finite number"));
            }
        }
        if self.min > self.max {
            return Err(format!("has a min of {} above its max of {}", self.min, self.max));
        }
        if self.std < 0.0 {
            return Err(format!("has a negative std, {}", self.std));
        }
        if self.source == FeatureSource::Text && !TEXT_FEATURES.contains(&self.name.as_str()) {
            return Err(format!("is not computed from text; those that are: {}", TEXT_FEATURES.join(", ")));
        }
        Ok(())
    }
}
