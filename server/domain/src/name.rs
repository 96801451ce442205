//! Names: parsed once at the edge, valid ever after.

use std::fmt;

use crate::Error;

/// The first 40 characters of `text` with control characters escaped, for error messages.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

fn parse(field: &'static str, text: &str) -> Result<String, Error> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let valid = !bytes.is_empty()
        && bytes.len() <= 63
        && good(bytes[0])
        && good(bytes[bytes.len() - 1])
        && bytes.iter().all(|&b| good(b) || matches!(b, b'-' | b'_' | b'.'))
        && !text.contains("..");
    if valid && is_id(text) {
        let why = format!("must not look like an id, which names things too, got `{text}`; try `{}`", &text[..8]);
        return Err(Error::invalid(field, why));
    }
    if valid {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(
        field,
        format!(
            "must be 1 to 63 lowercase letters, digits, or inner `-`, `_`, `.`, got `{}`; try `{}`",
            shown(text),
            suggest(text)
        ),
    ))
}

/// Ids are hyphenated UUIDs.
fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::parse_str(text).is_ok()
}

fn suggest(text: &str) -> String {
    let folded: String = text
        .chars()
        .take(63)
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let trimmed = folded.trim_matches('-');
    if trimmed.is_empty() { "my-name".to_owned() } else { trimmed.to_owned() }
}

macro_rules! names {
    ($($name:ident $field:literal;)*) => {$(
        /// A parsed name: 1 to 63 lowercase letters, digits, inner `-`, `_`, `.`.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses a name that came from outside.
            pub fn parse(text: &str) -> Result<Self, Error> {
                parse($field, text).map(Self)
            }
            /// Takes a name that this system wrote, e.g. from a database row.
            pub fn trusted(text: String) -> Self {
                Self(text)
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    DatasetName "dataset";
    ExperimentName "experiment";
    ModelName "model";
    DeploymentName "deployment";
    StudyName "study";
}

/// The name of an alias. A version number or `latest` is refused, so that `model@3` can never mean an alias.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct AliasName(String);

impl AliasName {
    /// Parses an alias that came from outside.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let name = parse("alias", text)?;
        let digits = name.strip_prefix('v').unwrap_or(&name);
        if name == "latest" || digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::invalid("alias", format!("must not look like a version, got `{name}`; try `champion`")));
        }
        Ok(Self(name))
    }
    pub fn trusted(text: String) -> Self {
        Self(text)
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_an_id_is_refused() {
        let id = uuid::Uuid::nil().to_string();
        let error = DatasetName::parse(&id).unwrap_err();
        assert!(error.violations[0].description.contains("look like an id"), "{error}");
        assert!(DatasetName::parse(&id.replace('-', "")).is_ok());
    }
}
