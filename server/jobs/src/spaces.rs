//! The spaces in which kinds are usually searched, with points in them that are known to be good.
//!
//! Ranges of `logreg`, `random_forest`, `hist_gb` and `mlp` are those of the system that Tenor replaces, but for two: dense kinds always learn
//! from components, so theirs are not optional, and of the weights only that of the numbers is searched, beside terms from lower on, since
//! the best is often below 1.
//! Trees, to which weights are nothing, are searched with fewer bins than they have by default: docs/adr/0008-bins-of-searched-trees.md.

use serde_json::{Map, Value, json};
use tenor_domain::{Error, SearchSpace};
use tenor_platform::KIND_PARAM;

/// What kinds have in common: the terms that are counted.
fn terms() -> Vec<Value> {
    vec![
        json!({ "name": "stemming", "type": "categorical", "choices": ["null", "english"] }),
        json!({ "name": "max_features", "type": "int", "low": 2_000, "high": 6_000, "step": 500 }),
    ]
}

/// How much the numbers count beside the text, which counts 1.
fn numeric_weight(low: f64) -> Value {
    json!({ "name": "numeric_weight", "type": "float", "low": low, "high": 10.0, "log": true })
}

fn weighed_terms() -> Vec<Value> {
    let mut params = terms();
    params.push(numeric_weight(0.02));
    params
}

fn dense_terms() -> Vec<Value> {
    let mut params = terms();
    params.push(json!({ "name": "svd_components", "type": "int", "low": 20, "high": 100, "step": 20 }));
    params
}

/// A parameter that is not searched, but for the search differs from the kind's default.
fn fixed(name: &str, value: i64) -> Value {
    json!({ "name": name, "type": "int", "low": value, "high": value })
}

/// The parameters of a kind, and its first point.
fn of_kind(kind: &str) -> Option<(Vec<Value>, Value)> {
    let (mut params, own, first) = match kind {
        "logreg" => (
            weighed_terms(),
            json!([
                { "name": "C", "type": "float", "low": 1e-4, "high": 100.0, "log": true },
                { "name": "penalty", "type": "categorical", "choices": ["l2", "l1"] },
            ]),
            json!({
                "C": 5.0, "penalty": "l2", "stemming": "null", "max_features": 6_000, "numeric_weight": 0.05,
            }),
        ),
        "nbsvm" => (
            weighed_terms(),
            json!([
                { "name": "C", "type": "float", "low": 0.01, "high": 100.0, "log": true },
                { "name": "alpha", "type": "float", "low": 0.1, "high": 10.0, "log": true },
                { "name": "beta", "type": "float", "low": 0.0, "high": 1.0 },
            ]),
            json!({
                "C": 4.0, "alpha": 1.0, "beta": 1.0, "stemming": "null", "max_features": 6_000, "numeric_weight": 0.05,
            }),
        ),
        "complement_nb" => (
            terms(),
            json!([
                { "name": "alpha", "type": "float", "low": 0.01, "high": 10.0, "log": true },
                { "name": "norm", "type": "categorical", "choices": [false, true] },
            ]),
            json!({ "alpha": 1.0, "norm": false, "stemming": "null", "max_features": 6_000 }),
        ),
        "random_forest" => (
            dense_terms(),
            json!([
                { "name": "n_estimators", "type": "int", "low": 100, "high": 300, "step": 50 },
                { "name": "max_depth", "type": "int", "low": 6, "high": 18, "step": 2 },
                { "name": "min_samples_split", "type": "int", "low": 2, "high": 10 },
                { "name": "bootstrap", "type": "categorical", "choices": [true, false] },
                fixed("max_bins", 127),
            ]),
            json!({
                "n_estimators": 200, "max_depth": 16, "min_samples_split": 2, "bootstrap": true, "max_bins": 127,
                "stemming": "null", "max_features": 6_000, "svd_components": 100,
            }),
        ),
        "hist_gb" => (
            dense_terms(),
            json!([
                { "name": "learning_rate", "type": "float", "low": 0.01, "high": 0.3, "log": true },
                { "name": "max_iter", "type": "int", "low": 60, "high": 160, "step": 20 },
                { "name": "l2_regularization", "type": "float", "low": 0.0, "high": 1.0 },
                { "name": "min_samples_leaf", "type": "int", "low": 10, "high": 60, "step": 10 },
                fixed("max_bins", 63),
            ]),
            json!({
                "learning_rate": 0.1, "max_iter": 100, "l2_regularization": 0.0, "min_samples_leaf": 20, "max_bins": 63,
                "stemming": "null", "max_features": 6_000, "svd_components": 100,
            }),
        ),
        "mlp" => (
            dense_terms(),
            json!([
                { "name": "hidden_layer_sizes", "type": "categorical", "choices": ["[64]", "[128]", "[192]", "[256]"] },
                { "name": "max_iter", "type": "int", "low": 3, "high": 8 },
                { "name": "learning_rate_init", "type": "float", "low": 1e-4, "high": 5e-3, "log": true },
                // A few epochs are too few to learn the scale.
                numeric_weight(1.0),
            ]),
            json!({
                "hidden_layer_sizes": "[128]", "max_iter": 8, "learning_rate_init": 1e-3, "numeric_weight": 1.0, "stemming": "null",
                "max_features": 6_000, "svd_components": 100,
            }),
        ),
        _ => return None,
    };
    if let Value::Array(own) = own {
        params.splice(0..0, own);
    }
    Some((params, first))
}

/// The space of one kind, or of several with `kind` as a parameter and theirs named `<kind>.<parameter>`.
pub(crate) fn search_space(kinds: &[String]) -> Result<SearchSpace, Error> {
    let found = |kind: &String| {
        of_kind(kind).ok_or_else(|| {
            let known = "logreg, nbsvm, complement_nb, random_forest, hist_gb, mlp";
            Error::invalid("kinds", format!("has no usual space of `{kind}`; there are {known}; or give a space"))
        })
    };
    if let [kind] = kinds {
        let (params, first) = found(kind)?;
        return Ok(SearchSpace { space: Value::Array(params), initial: vec![first] });
    }
    let mut space = vec![json!({ "name": KIND_PARAM, "type": "categorical", "choices": kinds })];
    let mut initial = Vec::new();
    for kind in kinds {
        let (params, first) = found(kind)?;
        for mut param in params {
            if let Value::Object(fields) = &mut param {
                let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
                let name = format!("{kind}.{name}");
                fields.insert("name".to_owned(), name.into());
                fields.insert("when".to_owned(), json!({ "param": KIND_PARAM, "in": [kind] }));
            }
            space.push(param);
        }
        let mut point = Map::from_iter([(KIND_PARAM.to_owned(), json!(kind))]);
        if let Value::Object(first) = first {
            point.extend(first.into_iter().map(|(name, value)| (format!("{kind}.{name}"), value)));
        }
        initial.push(Value::Object(point));
    }
    Ok(SearchSpace { space: Value::Array(space), initial })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenor_tune::{Assignment, Param, Space};

    #[test]
    fn every_usual_space_is_one_and_its_first_points_lie_in_it() {
        let kinds = ["logreg", "nbsvm", "complement_nb", "random_forest", "hist_gb", "mlp"].map(str::to_owned);
        let mut sets: Vec<Vec<String>> = kinds.iter().map(|kind| vec![kind.clone()]).collect();
        sets.push(kinds.to_vec());
        for set in sets {
            let found = search_space(&set).unwrap();
            assert_eq!(found.initial.len(), set.len());
            let params: Vec<Param> = serde_json::from_value(found.space).unwrap();
            let space = Space::new(params).unwrap();
            for point in found.initial {
                let point: Assignment = serde_json::from_value(point).unwrap();
                space.point(&point).unwrap();
            }
        }
        let error = search_space(&["nonsense".to_owned()]).unwrap_err();
        assert_eq!(error.violations[0].field, "kinds");
    }
}
