//! One text, and so one digest, for all ways to write the same JSON.

use serde::Serialize;
use serde_json::Value;
use tenor_domain::{Digest, Error};

/// The largest options document in bytes.
const MAX_OPTIONS_BYTES: usize = 256 << 10;

/// `value` with keys sorted and null members left out, at every depth.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().filter(|(_, member)| !member.is_null()).collect();
            sorted.sort_by_key(|(key, _)| *key);
            Value::Object(sorted.into_iter().map(|(key, member)| (key.clone(), canonical(member))).collect())
        }
        other => other.clone(),
    }
}

/// Options as they are stored, and their digest. They must be an object or null, which means the defaults.
pub(crate) fn options(field: &str, value: &Value) -> Result<(Value, Digest), Error> {
    if !value.is_null() && !value.is_object() {
        return Err(Error::invalid(field, "must be a JSON object, or empty for the defaults"));
    }
    let value = canonical(value);
    let text = value.to_string();
    if text.len() > MAX_OPTIONS_BYTES {
        return Err(Error::invalid(
            field,
            format!("is {} bytes long; at most {MAX_OPTIONS_BYTES} are accepted", text.len()),
        ));
    }
    Ok((value, Digest::of(text.as_bytes())))
}

/// The digest of a request, to tell whether an idempotency key is used for the same one.
pub(crate) fn request_digest(method: &str, request: &impl Serialize) -> Result<Digest, Error> {
    let request = serde_json::to_vec(request).map_err(Error::internal)?;
    let mut text = Vec::with_capacity(method.len() + 1 + request.len());
    text.extend_from_slice(method.as_bytes());
    text.push(0);
    text.extend_from_slice(&request);
    Ok(Digest::of(&text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::options;

    #[test]
    fn order_and_nulls_do_not_change_the_digest() {
        let digest = |value| options("options", &value).unwrap().1;
        assert_eq!(digest(json!({"a": 1, "b": {"c": null, "d": 2}})), digest(json!({"b": {"d": 2}, "a": 1})));
        assert_ne!(digest(json!({"a": [1, 2]})), digest(json!({"a": [2, 1]})));
        assert!(options("options", &json!([1])).unwrap_err().message.contains("must be a JSON object"));
    }
}
