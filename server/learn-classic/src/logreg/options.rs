//! The parameters of logistic regression.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenor_domain::Error;
use tenor_features::pipeline::VectorizerParams;
use tenor_features::tfidf::TfidfParams;
use tenor_learn::params::Params;

/// How much a row counts by its class.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ClassWeight {
    None,
    /// `rows / (classes * rows of the class)`.
    Balanced,
    /// By label; classes that are not named count 1.
    Each(BTreeMap<String, f64>),
}

/// Checked parameters.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub c: f64,
    pub max_iter: u32,
    pub tol: f64,
    pub class_weight: ClassWeight,
    pub vectorizer: VectorizerParams,
}

/// `C`: inverse of the penalty. `tol`: the largest entry of the gradient, of the mean loss, at which to stop. `C` and
/// `numeric_weight` are measured: docs/adr/0001-defaults-of-logistic-regression.md.
pub(super) fn defaults() -> Value {
    json!({
        "C": 5.0,
        "max_iter": 1000,
        "tol": 1e-4,
        "class_weight": null,
        "ngram_max": 2,
        "min_df": 2,
        "max_df": 1.0,
        "max_features": 20_000,
        "sublinear": true,
        "text_weight": 1.0,
        "numeric_weight": 0.05,
        "use_numeric": true,
    })
}

impl Options {
    /// Reads `given`; returns the completed parameters as well.
    pub fn read(given: &Value) -> Result<(Self, Value), Error> {
        let defaults = defaults();
        let mut params = Params::new(given, &defaults)?;
        let options = Self {
            c: params.f64("C", 1e-8..=1e8)?,
            max_iter: params.u32("max_iter", 1..=1_000_000)?,
            tol: params.f64("tol", 1e-12..=1.0)?,
            class_weight: class_weight(&mut params)?,
            vectorizer: VectorizerParams {
                tfidf: TfidfParams {
                    ngram_min: 1,
                    ngram_max: params.u32("ngram_max", 1..=TfidfParams::MAX_NGRAM)?,
                    min_df: params.u32("min_df", 1..=u32::MAX)?,
                    max_df: params.f64("max_df", 1e-9..=1.0)?,
                    max_features: params.optional_u32("max_features", 1..=50_000_000)?,
                    sublinear: params.bool("sublinear")?,
                },
                text_weight: params.f64("text_weight", 1e-3..=1e3)?,
                numeric_weight: params.f64("numeric_weight", 1e-3..=1e3)?,
                use_numeric: params.bool("use_numeric")?,
            },
        };
        Ok((options, params.complete()))
    }

    /// An error when a class weight names no class.
    pub fn check_classes(&self, classes: &[String]) -> Result<(), Error> {
        if let ClassWeight::Each(weights) = &self.class_weight
            && let Some(name) = weights.keys().find(|name| !classes.contains(name))
        {
            let text = format!("names `{name}`; the classes are {}", classes.join(", "));
            return Err(Error::invalid("params.class_weight", text));
        }
        Ok(())
    }
}

fn class_weight(params: &mut Params<'_>) -> Result<ClassWeight, Error> {
    let name = "class_weight";
    let wrong = |params: &Params<'_>| params.wrong(name, "null, `balanced`, or an object of class and weight above 0");
    let value = params.value(name);
    let weight = match value {
        Value::Null => ClassWeight::None,
        Value::String(text) if text == "none" => ClassWeight::None,
        Value::String(text) if text == "balanced" => ClassWeight::Balanced,
        Value::Object(weights) => {
            let mut each = BTreeMap::new();
            for (class, weight) in weights {
                match weight.as_f64() {
                    Some(weight) if weight > 0.0 && weight <= 1e6 => each.insert(class.clone(), weight),
                    _ => return Err(wrong(params)),
                };
            }
            ClassWeight::Each(each)
        }
        _ => return Err(wrong(params)),
    };
    let canonical = match &weight {
        ClassWeight::None => Value::Null,
        ClassWeight::Balanced => Value::from("balanced"),
        ClassWeight::Each(weights) => json!(weights),
    };
    params.record(name, canonical);
    Ok(weight)
}
