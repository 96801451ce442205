//! Scalars that GraphQL lacks. Their docs are part of the schema.

use async_graphql::{InputValueError, InputValueResult, Number, Scalar, ScalarType, Value};
use tenor_domain as domain;
use tenor_domain::Timestamp;

/// The largest integer up to which every integer is a double.
const EXACT: u64 = 1 << 53;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Long(pub i64);

/// A 64-bit signed integer, e.g. a size in bytes. In answers a number as long as every client reads it exactly (up to
/// 2^53), beyond that decimal text. Arguments may be either.
#[Scalar]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        parsed.map(Self).ok_or_else(|| InputValueError::expected_type(value))
    }

    fn to_value(&self) -> Value {
        if self.0.unsigned_abs() <= EXACT { Value::Number(self.0.into()) } else { Value::String(self.0.to_string()) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Double(pub f64);

/// A double. NaN and the infinities, for which JSON has no number, are the texts `NaN`, `Infinity` and `-Infinity`.
#[Scalar]
impl ScalarType for Double {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            },
            _ => None,
        };
        parsed.map(Self).ok_or_else(|| InputValueError::expected_type(value))
    }

    fn to_value(&self) -> Value {
        match Number::from_f64(self.0) {
            Some(number) => Value::Number(number),
            None if self.0.is_nan() => Value::String("NaN".to_owned()),
            None => Value::String(if self.0 > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub domain::Digest);

/// A SHA-256 digest, the identity of a blob: 64 lowercase hexadecimal digits.
#[Scalar]
impl ScalarType for Digest {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        domain::Digest::parse(text).map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateTime(pub Timestamp);

/// A time as RFC 3339 text in UTC with milliseconds, e.g. `2026-11-24T00:00:00.000Z`.
#[Scalar]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let parsed = Timestamp::parse_rfc3339(text);
        parsed.map(Self).ok_or_else(|| InputValueError::custom("must be a time like `2026-11-24T00:00:00Z`"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Json(pub serde_json::Value);

/// A JSON document as it is: an object in most cases. Its shape is told by the crate that wrote it, not by this schema, and
/// may grow.
#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        // Every key is a name here; there is nothing in JSON that could not be converted.
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParamValue(pub domain::ParamValue);

/// The value of a parameter: a boolean, a `Long`, a `Double` or a text, as `Param.kind` says.
#[Scalar]
impl ScalarType for ParamValue {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = match &value {
            Value::Boolean(value) => domain::ParamValue::Bool(*value),
            Value::String(text) => domain::ParamValue::Text(text.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => domain::ParamValue::Int(integer),
                (None, Some(float)) => domain::ParamValue::Float(float),
                (None, None) => return Err(InputValueError::expected_type(value)),
            },
            _ => return Err(InputValueError::expected_type(value)),
        };
        Ok(Self(parsed))
    }

    fn to_value(&self) -> Value {
        match &self.0 {
            domain::ParamValue::Bool(value) => Value::Boolean(*value),
            domain::ParamValue::Int(value) => Long(*value).to_value(),
            domain::ParamValue::Float(value) => Double(*value).to_value(),
            domain::ParamValue::Text(text) => Value::String(text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_every_digit_in_clients_that_read_doubles() {
        for exact in [0, 1 << 53, -(1 << 53)] {
            assert_eq!(Long(exact).to_value(), Value::Number(exact.into()));
        }
        for large in [(1 << 53) + 1, i64::MAX, i64::MIN] {
            assert_eq!(Long(large).to_value(), Value::String(large.to_string()));
            assert_eq!(Long::parse(Long(large).to_value()).unwrap(), Long(large));
        }
        for wrong in [Value::Null, Value::from(1.5), Value::from("1.5"), Value::from(u64::MAX), Value::from("")] {
            assert!(Long::parse(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn doubles_that_json_lacks_are_text() {
        for value in [0.1 + 0.2, -0.0, f64::MAX, f64::MIN_POSITIVE / 4.0, f64::INFINITY, f64::NEG_INFINITY] {
            let back = Double::parse(Double(value).to_value()).unwrap().0;
            assert_eq!(back.to_bits(), value.to_bits());
        }
        assert_eq!(Double(f64::NAN).to_value(), Value::from("NaN"));
        assert!(Double::parse(Value::from("nan")).is_err());
    }

    #[test]
    fn times_and_digests_are_checked() {
        let time = DateTime::parse(Value::from("2026-11-24T01:00:00+01:00")).unwrap();
        assert_eq!(time.to_value(), Value::from("2026-11-24T00:00:00.000Z"));
        assert!(DateTime::parse(Value::from("yesterday")).is_err());
        assert!(Digest::parse(Value::from("../etc")).is_err());
    }
}
