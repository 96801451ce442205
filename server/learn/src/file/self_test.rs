//! Inputs that a model must answer as it did when it was saved.

use tenor_domain::{ContractMode, Error};
use tenor_features::contract::{FeatureSource, Input, NumericValue, Prepared};

use super::broken;
use crate::{Model, Scratch};

/// Farthest that an answer may lie from the recorded one: room for another machine's logarithm, for nothing else.
const TOLERANCE: f64 = 1e-9;

/// One input and its answer. The text is generated, no row of the training data.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SelfTest {
    /// Raw: it takes the whole way through cleaning and contract.
    pub text: String,
    /// By name; features that are not here are imputed.
    pub numeric: Vec<(String, f64)>,
    pub probabilities: Vec<f64>,
}

/// Makes inputs from the model's strongest terms: mixed, each class's own, and none at all.
pub(super) fn generate(model: &dyn Model) -> Vec<SelfTest> {
    let contract = model.contract();
    let mut texts = vec!["Caf&eacute; <b>nothing</b> KNOWN here: http://example.com/a?b don&#8217;t!".to_owned()];
    let mut mixed = Vec::new();
    for class in 0..model.classes().len().min(8) {
        let terms = model.typical_terms(class, 12);
        mixed.extend(terms.iter().take(4).cloned());
        texts.push(format!("The {}! It is a book.", terms.join(", THE ")));
    }
    texts.push(format!("Not so {}?", mixed.join(" ")));
    let mut tests: Vec<SelfTest> = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        let sent = contract.numeric.iter().filter(|feature| feature.source != FeatureSource::Text);
        let numeric = sent.enumerate().filter(|(position, _)| (position + index) % 3 != 0).map(|(_, feature)| {
            (feature.name.clone(), (feature.mean + index as f64 * feature.std / 4.0).clamp(feature.min, feature.max))
        });
        let mut test = SelfTest { text, numeric: numeric.collect(), probabilities: Vec::new() };
        // An input that this contract refuses (texts shorter than it asks for never are, in this mode) tests nothing.
        if let Ok(probabilities) = answer(&test, model) {
            test.probabilities = probabilities;
            tests.push(test);
        }
    }
    tests
}

pub(super) fn run(tests: &[SelfTest], model: &dyn Model) -> Result<(), Error> {
    if tests.is_empty() {
        return Err(broken("has no self-test"));
    }
    for (index, test) in tests.iter().enumerate() {
        let found = answer(test, model).map_err(|why| broken(format!("fails its self-test {index}: {why}")))?;
        let same = found.len() == test.probabilities.len()
            && found.iter().zip(&test.probabilities).all(|(found, wanted)| (found - wanted).abs() <= TOLERANCE);
        if !same {
            let wanted = &test.probabilities;
            return Err(broken(format!("fails its self-test {index}: it gives {found:?} instead of {wanted:?}")));
        }
    }
    Ok(())
}

fn answer(test: &SelfTest, model: &dyn Model) -> Result<Vec<f64>, String> {
    let numeric: Vec<_> =
        test.numeric.iter().map(|(name, value)| (name.as_str(), NumericValue::Number(*value))).collect();
    let mut prepared = Prepared::default();
    let input = Input { text: &test.text, numeric: &numeric };
    model.contract().apply(ContractMode::Warn, &input, &mut prepared).map_err(|violations| {
        violations.first().map_or_else(|| "refused".to_owned(), |v| format!("`{}` {}", v.field, v.description))
    })?;
    let mut probabilities = vec![0.0; model.classes().len()];
    model.predict(&prepared, &mut Scratch::default(), &mut probabilities);
    Ok(probabilities)
}
