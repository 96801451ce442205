//! Applying a contract to one row: the same code before training and at predict.

use tenor_domain::{ContractMode, Error};

use super::{FeatureContract, FeatureSource, NumericFeature};
use crate::text::{TEXT_FEATURES, clean_into, text_features};

/// One row as it came from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Input<'a> {
    pub text: &'a str,
    /// Numeric features by name, in any order.
    pub numeric: &'a [(&'a str, NumericValue)],
}

/// A numeric value as it came from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NumericValue {
    Number(f64),
    /// Null.
    Missing,
    /// Something that is no number.
    Wrong,
}

/// One row as models take it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prepared {
    pub cleaned: String,
    /// In the order of the contract, without gaps.
    pub numeric: Vec<f64>,
}

/// One way in which a row breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// `text`, or the name of the numeric feature.
    pub field: String,
    /// One of [`Violation::RULES`].
    pub rule: &'static str,
    /// What is wrong and what would be right.
    pub description: String,
}

impl Violation {
    /// Every rule there is.
    pub const RULES: [&'static str; 12] = [
        "text_empty",
        "text_empty_after_cleaning",
        "text_too_short",
        "text_too_long",
        "unknown_feature",
        "repeated_feature",
        "computed_feature",
        "missing_feature",
        "wrong_type",
        "not_finite",
        "out_of_range",
        "three_sigma",
    ];
}

/// What happens to a row that breaks a rule.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Warning,
    Refused,
}

/// The findings on one row.
struct Findings {
    warnings: Vec<Violation>,
    errors: Vec<Violation>,
}

impl Findings {
    fn add(&mut self, verdict: Verdict, field: &str, rule: &'static str, description: String) {
        let list = match verdict {
            Verdict::Warning => &mut self.warnings,
            Verdict::Refused => &mut self.errors,
        };
        list.push(Violation { field: field.to_owned(), rule, description });
    }
}

impl FeatureContract {
    /// Turns `input` into what models take, and returns the warnings; or all the reasons why it is refused.
    ///
    /// | | `strict` | `warn` | `impute` |
    /// |---|---|---|---|
    /// | nothing in the text, before or after cleaning | error | error | error |
    /// | text too short or too long; unknown or repeated name | error | warning | warning |
    /// | missing, no number, not finite | error | default + warning | default + warning |
    /// | outside of min..max | error | kept + warning | default + warning |
    /// | value sent for a feature that is computed from the text | ignored + warning | the same | the same |
    /// | more than 3 standard deviations from the mean | warning | warning | warning |
    ///
    /// After an error, `out` holds nothing of use. Reusing `out` from row to row saves its allocations.
    pub fn apply(
        &self,
        mode: ContractMode,
        input: &Input<'_>,
        out: &mut Prepared,
    ) -> Result<Vec<Violation>, Vec<Violation>> {
        let lenient = if mode == ContractMode::Strict { Verdict::Refused } else { Verdict::Warning };
        let mut findings = Findings { warnings: Vec::new(), errors: Vec::new() };
        clean_into(self.cleaning, input.text, &mut out.cleaned);
        self.check_text(lenient, input.text, out.cleaned.is_empty(), &mut findings);
        // A third of the time of a short text, so only for those who want it.
        let wanted = self.numeric.iter().any(|feature| feature.source == FeatureSource::Text);
        let computed = if wanted { text_features(input.text, &out.cleaned) } else { Default::default() };
        self.check_names(lenient, input.numeric, &mut findings);
        out.numeric.clear();
        for feature in &self.numeric {
            let name = feature.name.as_str();
            let (value, rule) = match feature.source {
                FeatureSource::Text => match TEXT_FEATURES.iter().position(|&known| known == name) {
                    Some(at) => (Some(computed[at]), ""),
                    None => (None, "missing_feature"),
                },
                _ => match input.numeric.iter().find(|(given, _)| *given == name) {
                    Some((_, NumericValue::Number(value))) if value.is_finite() => (Some(*value), ""),
                    Some((_, NumericValue::Number(_))) => (None, "not_finite"),
                    Some((_, NumericValue::Wrong)) => (None, "wrong_type"),
                    Some((_, NumericValue::Missing)) | None => (None, "missing_feature"),
                },
            };
            let Some(value) = value else {
                let what = match rule {
                    "missing_feature" => "is missing",
                    "not_finite" => "is not a finite number",
                    _ => "is not a number",
                };
                let remedy = match lenient {
                    Verdict::Refused => "send a number".to_owned(),
                    Verdict::Warning => format!("used {}, its median in training", brief(feature.default)),
                };
                findings.add(lenient, name, rule, format!("{what}; {remedy}"));
                out.numeric.push(feature.default);
                continue;
            };
            let outside = value < feature.min || value > feature.max;
            let imputed = outside && mode == ContractMode::Impute;
            if outside {
                let range = format!("is {value}, outside of {} to {}", feature.min, feature.max);
                let text = if imputed { format!("{range}; used {}", feature.default) } else { range };
                findings.add(lenient, name, "out_of_range", text);
            }
            if feature.std > 0.0 && (value - feature.mean).abs() > 3.0 * feature.std {
                let text = format!(
                    "is {}, more than 3 standard deviations ({}) from the mean {}",
                    brief(value),
                    brief(feature.std),
                    brief(feature.mean)
                );
                findings.add(Verdict::Warning, name, "three_sigma", text);
            }
            out.numeric.push(if imputed { feature.default } else { value });
        }
        if findings.errors.is_empty() { Ok(findings.warnings) } else { Err(findings.errors) }
    }

    /// Gives a row of a processed split the form that [`apply`](Self::apply) in mode `warn` gives the raw row.
    ///
    /// `cleaned` and `numeric` are the stored columns: cleaned text, and the features in the order of the contract with
    /// `None` for null. Values pass as they are, nulls become the default. A wrong count or a value that is not finite
    /// is an error: the file does not belong to the contract.
    pub fn prepare_for_training(&self, cleaned: String, numeric: &[Option<f64>]) -> Result<Prepared, Error> {
        if numeric.len() != self.numeric.len() {
            let why = format!(
                "has {} values a row, the contract {}; process the dataset again",
                numeric.len(),
                self.numeric.len()
            );
            return Err(Error::invalid("numeric", why));
        }
        let values = self.numeric.iter().zip(numeric).map(|(feature, value)| feature.complete(*value));
        Ok(Prepared { cleaned, numeric: values.collect::<Result<_, Error>>()? })
    }

    fn check_text(&self, lenient: Verdict, text: &str, nothing_left: bool, findings: &mut Findings) {
        if text.trim_start().is_empty() {
            let text = "is empty; send a text with at least one word".to_owned();
            return findings.add(Verdict::Refused, "text", "text_empty", text);
        }
        if nothing_left {
            let text = "has no letter or digit left after cleaning; send a text with at least one word".to_owned();
            return findings.add(Verdict::Refused, "text", "text_empty_after_cleaning", text);
        }
        let characters = text.chars().count();
        if characters < self.min_chars as usize {
            let text = format!("has {characters} characters; send at least {}", self.min_chars);
            findings.add(lenient, "text", "text_too_short", text);
        }
        if characters > self.max_chars as usize {
            let text = format!("has {characters} characters; send at most {}", self.max_chars);
            findings.add(lenient, "text", "text_too_long", text);
        }
    }

    fn check_names(&self, lenient: Verdict, given: &[(&str, NumericValue)], findings: &mut Findings) {
        let mut seen = vec![false; self.numeric.len()];
        for (name, _) in given {
            match self.numeric.iter().position(|feature| feature.name == *name) {
                None => {
                    let short: String = name.chars().take(80).collect();
                    let text = "is no feature of this model; leave it out".to_owned();
                    findings.add(lenient, &short, "unknown_feature", text);
                }
                Some(at) if seen[at] => {
                    findings.add(
                        lenient,
                        name,
                        "repeated_feature",
                        "is given twice; the first value counts".to_owned(),
                    );
                }
                Some(at) => {
                    seen[at] = true;
                    if self.numeric[at].source == FeatureSource::Text {
                        let text = "is computed from the text; the value sent is ignored".to_owned();
                        findings.add(Verdict::Warning, name, "computed_feature", text);
                    }
                }
            }
        }
    }
}

/// A number as people read it: four decimals at most.
fn brief(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded.is_finite() && rounded != 0.0 { rounded } else { value }
}

impl NumericFeature {
    /// A stored value, or the default in the place of null; an error when the value is not finite.
    pub fn complete(&self, value: Option<f64>) -> Result<f64, Error> {
        let value = value.unwrap_or(self.default);
        if !value.is_finite() {
            return Err(Error::invalid(self.name.as_str(), format!("holds {value}; process the dataset again")));
        }
        Ok(value)
    }
}
