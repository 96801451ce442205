//! Reading a trainer's parameters: defaults, types, ranges, and errors that name the field.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use tenor_domain::Error;

/// Parameters being read; every value read goes, in its canonical form, into [`complete`](Self::complete).
#[derive(Debug)]
pub struct Params<'a> {
    given: Option<&'a Map<String, Value>>,
    defaults: Option<&'a Map<String, Value>>,
    complete: Map<String, Value>,
}

impl<'a> Params<'a> {
    /// Begins to read `given` (an object, or null for none), with a `default` object that has every name there is.
    pub fn new(given: &'a Value, defaults: &'a Value) -> Result<Self, Error> {
        let defaults = defaults.as_object();
        let given = match given {
            Value::Null => None,
            Value::Object(given) => Some(given),
            _ => return Err(Error::invalid("params", "must be an object of names and values")),
        };
        let known: Vec<&str> = defaults.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        if let Some(name) = given.into_iter().flat_map(Map::keys).find(|name| !known.contains(&name.as_str())) {
            let short: String = name.chars().take(80).collect();
            return Err(Error::invalid(
                format!("params.{short}"),
                format!("is no parameter; there are {}", known.join(", ")),
            ));
        }
        Ok(Self { given, defaults, complete: Map::new() })
    }

    /// All parameters that were read, in the order in which they were.
    pub fn complete(self) -> Value {
        Value::Object(self.complete)
    }

    /// The value as it was given, or the default; null when there is neither.
    pub fn value(&self, name: &str) -> &'a Value {
        let given = self.given.and_then(|given| given.get(name));
        given.or_else(|| self.defaults?.get(name)).unwrap_or(&Value::Null)
    }

    /// Records the canonical form of a value that the caller read by [`value`](Self::value).
    pub fn record(&mut self, name: &str, value: Value) {
        self.complete.insert(name.to_owned(), value);
    }

    pub fn f64(&mut self, name: &str, range: RangeInclusive<f64>) -> Result<f64, Error> {
        match self.value(name).as_f64() {
            Some(value) if range.contains(&value) => {
                self.record(name, value.into());
                Ok(value)
            }
            _ => Err(self.wrong(name, format!("a number from {} to {}", range.start(), range.end()))),
        }
    }

    pub fn u32(&mut self, name: &str, range: RangeInclusive<u32>) -> Result<u32, Error> {
        match whole(self.value(name)) {
            Some(value) if range.contains(&value) => {
                self.record(name, value.into());
                Ok(value)
            }
            _ => Err(self.wrong(name, format!("a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A whole number, or null for none.
    pub fn optional_u32(&mut self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, Error> {
        if self.value(name).is_null() {
            self.record(name, Value::Null);
            return Ok(None);
        }
        let what = format!("null or a whole number from {} to {}", range.start(), range.end());
        self.u32(name, range).map(Some).map_err(|_| self.wrong(name, what))
    }

    pub fn bool(&mut self, name: &str) -> Result<bool, Error> {
        match self.value(name) {
            Value::Bool(value) => {
                self.record(name, Value::Bool(*value));
                Ok(*value)
            }
            _ => Err(self.wrong(name, "true or false".to_owned())),
        }
    }

    /// The error about the value of `name`, which must be `what`.
    pub fn wrong(&self, name: &str, what: impl std::fmt::Display) -> Error {
        let given: String = self.value(name).to_string().chars().take(80).collect();
        Error::invalid(format!("params.{name}"), format!("must be {what}, got {given}"))
    }
}

/// Whole numbers may come as `2` or, from clients that know floats only, as `2.0`.
fn whole(value: &Value) -> Option<u32> {
    match value.as_u64() {
        Some(value) => u32::try_from(value).ok(),
        None => {
            value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(v)).map(|v| v as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_completed_in_canonical_form() {
        let (given, defaults) = (json!({"b": 3.0, "a": 2}), json!({"a": 1.0, "b": 7, "c": null, "d": true}));
        let mut params = Params::new(&given, &defaults).unwrap();
        assert_eq!(params.f64("a", 0.0..=9.0).unwrap(), 2.0);
        assert_eq!(params.u32("b", 0..=9).unwrap(), 3);
        assert_eq!(params.optional_u32("c", 1..=2).unwrap(), None);
        assert!(params.bool("d").unwrap());
        assert_eq!(params.complete().to_string(), r#"{"a":2.0,"b":3,"c":null,"d":true}"#);
    }

    #[test]
    fn errors_name_the_field() {
        let defaults = json!({"a": 1.0, "b": 7, "c": null, "d": true});
        assert_eq!(Params::new(&json!([1]), &defaults).unwrap_err().violations[0].field, "params");
        assert_eq!(Params::new(&json!({"x": 1}), &defaults).unwrap_err().violations[0].field, "params.x");
        for (name, value) in [
            ("a", json!("1")),
            ("a", json!(10)),
            ("b", json!(2.5)),
            ("b", json!(-1)),
            ("b", json!(1e30)),
            ("c", json!(5)),
            ("d", json!(1)),
        ] {
            let given = json!({ name: value });
            let mut params = Params::new(&given, &defaults).unwrap();
            let error = match name {
                "a" => params.f64("a", 0.0..=9.0).unwrap_err(),
                "b" => params.u32("b", 0..=9).unwrap_err(),
                "c" => params.optional_u32("c", 1..=2).unwrap_err(),
                _ => params.bool("d").unwrap_err(),
            };
            assert_eq!(error.violations[0].field, format!("params.{name}"), "{given}");
        }
    }
}
