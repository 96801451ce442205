//! How much each row counts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tenor_domain::Error;
use tenor_learn::TrainingData;
use tenor_learn::params::Params;

/// How much a row counts by its class.
#[derive(Debug, Clone, PartialEq)]
enum ClassWeight {
    None,
    /// `rows / (classes * rows of the class)`.
    Balanced,
    /// By label; classes that are not named count 1.
    Each(BTreeMap<String, f64>),
}

/// The parameters `class_weight` and `sample_weight`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RowWeights {
    class: ClassWeight,
    /// The numeric feature that says how much a row counts; its values must not be negative.
    sample: Option<String>,
}

impl RowWeights {
    pub fn defaults() -> Map<String, Value> {
        crate::features::object(json!({ "class_weight": null, "sample_weight": null }))
    }

    pub fn read(params: &mut Params<'_>) -> Result<Self, Error> {
        Ok(Self { class: class_weight(params)?, sample: sample_weight(params)? })
    }

    /// The weight of each training row: that of its class times its own.
    pub fn of(&self, data: &TrainingData) -> Result<Vec<f64>, Error> {
        let (classes, train) = (&data.contract.classes, &data.train);
        let counts = train.class_counts(classes.len());
        let present = counts.iter().filter(|count| **count > 0).count();
        let of_class: Vec<f64> = match &self.class {
            ClassWeight::None => vec![1.0; classes.len()],
            ClassWeight::Balanced => {
                let rows: u64 = counts.iter().sum();
                counts.iter().map(|&count| rows as f64 / (present as f64 * count.max(1) as f64)).collect()
            }
            ClassWeight::Each(weights) => {
                if let Some(name) = weights.keys().find(|name| !classes.contains(name)) {
                    let text = format!("names `{name}`; the classes are {}", classes.join(", "));
                    return Err(Error::invalid("params.class_weight", text));
                }
                classes.iter().map(|class| weights.get(class).copied().unwrap_or(1.0)).collect()
            }
        };
        let mut weights: Vec<f64> = train.labels.iter().map(|&label| of_class[label as usize]).collect();
        if let Some(name) = &self.sample {
            let Some(at) = data.contract.numeric.iter().position(|feature| feature.name == *name) else {
                let names: Vec<&str> = data.contract.numeric.iter().map(|feature| feature.name.as_str()).collect();
                let text = format!("names `{name}`; the numeric features are {}", names.join(", "));
                return Err(Error::invalid("params.sample_weight", text));
            };
            for (row, weight) in weights.iter_mut().enumerate() {
                let own = train.numbers(row)[at];
                if own < 0.0 {
                    let text = format!("`{name}` is {own} in a training row; weights must not be negative");
                    return Err(Error::invalid("params.sample_weight", text));
                }
                *weight *= own;
            }
        }
        let mut sums = vec![0.0; classes.len()];
        weights.iter().zip(&train.labels).for_each(|(weight, &label)| sums[label as usize] += weight);
        if !sums.iter().all(|sum| sum.is_finite()) || sums.iter().filter(|sum| **sum > 0.0).count() < 2 {
            let text = "leaves fewer than two classes with any weight";
            return Err(Error::invalid("params.sample_weight", text));
        }
        Ok(weights)
    }
}

fn sample_weight(params: &mut Params<'_>) -> Result<Option<String>, Error> {
    let name = "sample_weight";
    let column = match params.value(name) {
        Value::Null => None,
        Value::String(column) if !column.is_empty() => Some(column.clone()),
        _ => return Err(params.wrong(name, "null or the name of a numeric feature")),
    };
    params.record(name, json!(column));
    Ok(column)
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
