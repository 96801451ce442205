//! The parameters of a random forest.

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_learn::params::Params;

use crate::trees::binner::MAX_BINS;

/// How impure a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    Gini,
    Entropy,
}

/// How many columns a split looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxFeatures {
    Sqrt,
    Log2,
    All,
    Fraction(f64),
    Count(u32),
}

impl MaxFeatures {
    /// How many of `width` columns, one at least.
    pub fn of(self, width: usize) -> usize {
        let count = match self {
            Self::Sqrt => (width as f64).sqrt() as usize,
            Self::Log2 => width.max(1).ilog2() as usize,
            Self::All => width,
            Self::Fraction(fraction) => (width as f64 * fraction) as usize,
            Self::Count(count) => count as usize,
        };
        count.clamp(1, width.max(1))
    }
}

/// Checked parameters, by scikit-learn's names.
#[derive(Debug, Clone)]
pub struct ForestParams {
    pub n_estimators: u32,
    pub criterion: Criterion,
    /// No limit when `None`.
    pub max_depth: Option<u32>,
    pub min_samples_split: u32,
    pub min_samples_leaf: u32,
    pub max_features: MaxFeatures,
    pub bootstrap: bool,
    /// Logs how the trees score the rows that they were not fitted on.
    pub oob_score: bool,
    pub max_bins: u32,
}

/// `max_depth` and `min_samples_leaf` cap the size of the model, which grows with the rows otherwise; see
/// docs/adr/0003-own-tree-learners.md.
pub fn defaults() -> Value {
    json!({
        "n_estimators": 200,
        "criterion": "gini",
        "max_depth": 16,
        "min_samples_split": 2,
        "min_samples_leaf": 5,
        "max_split_features": "sqrt",
        "bootstrap": true,
        "oob_score": true,
        "max_bins": 255,
    })
}

impl ForestParams {
    /// Reads its parameters out of `params`, whose defaults must hold [`defaults`].
    pub fn read(params: &mut Params<'_>) -> Result<Self, Error> {
        Ok(Self {
            n_estimators: params.u32("n_estimators", 1..=10_000)?,
            criterion: criterion(params)?,
            max_depth: params.optional_u32("max_depth", 1..=1_000)?,
            min_samples_split: params.u32("min_samples_split", 2..=u32::MAX)?,
            min_samples_leaf: params.u32("min_samples_leaf", 1..=u32::MAX)?,
            max_features: max_features(params)?,
            bootstrap: params.bool("bootstrap")?,
            oob_score: params.bool("oob_score")?,
            max_bins: params.u32("max_bins", 2..=MAX_BINS)?,
        })
    }
}

fn criterion(params: &mut Params<'_>) -> Result<Criterion, Error> {
    let name = "criterion";
    let criterion = match params.value(name).as_str() {
        Some("gini") => Criterion::Gini,
        Some("entropy" | "log_loss") => Criterion::Entropy,
        _ => return Err(params.wrong(name, "`gini` or `entropy`")),
    };
    params.record(name, Value::from(if criterion == Criterion::Gini { "gini" } else { "entropy" }));
    Ok(criterion)
}

/// A whole number without a point is a count, one with a point a fraction, as in scikit-learn; above 1 both are counts.
fn max_features(params: &mut Params<'_>) -> Result<MaxFeatures, Error> {
    let name = "max_split_features";
    let value = params.value(name);
    let parsed = match value {
        Value::Null => Some(MaxFeatures::All),
        Value::String(text) if text == "sqrt" => Some(MaxFeatures::Sqrt),
        Value::String(text) if text == "log2" => Some(MaxFeatures::Log2),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(count), _) => u32::try_from(count).ok().filter(|count| *count > 0).map(MaxFeatures::Count),
            (None, Some(fraction)) if fraction > 0.0 && fraction <= 1.0 => Some(MaxFeatures::Fraction(fraction)),
            (None, Some(count)) if count.fract() == 0.0 && count > 1.0 && count <= f64::from(u32::MAX) => {
                Some(MaxFeatures::Count(count as u32))
            }
            _ => None,
        },
        _ => None,
    };
    let wrong = "`sqrt`, `log2`, null for all, a count from 1 or a fraction from above 0 to 1.0";
    let parsed = parsed.ok_or_else(|| params.wrong(name, wrong))?;
    let canonical = match parsed {
        MaxFeatures::Count(count) => Value::from(count),
        _ => value.clone(),
    };
    params.record(name, canonical);
    Ok(parsed)
}
