//! What the nouns' requests have in common.

use std::collections::BTreeMap;

/// A name for a new thing, with what may be said about it. A plain string is enough.
#[derive(Debug, Clone, Default)]
pub struct NewNamed {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) request_id: String,
    pub(crate) validate_only: bool,
}

impl NewNamed {
    /// 1 to 63 lowercase letters, digits, inner `-`, `_`, `.`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), request_id: request_id(), ..Self::default() }
    }
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
    #[must_use]
    pub fn tags(mut self, tags: BTreeMap<String, String>) -> Self {
        self.tags = tags;
        self
    }
    /// A UUID of your own, to repeat the request after a crash of the caller.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = id.into();
        self
    }
    /// Check only, create nothing (datasets).
    #[must_use]
    pub fn validate_only(mut self) -> Self {
        self.validate_only = true;
        self
    }
}

impl From<&str> for NewNamed {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}
impl From<String> for NewNamed {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// A change of description or tags; what is not named stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub(crate) description: Option<String>,
    pub(crate) tags: Option<BTreeMap<String, String>>,
    pub(crate) etag: String,
}

impl Change {
    pub fn new() -> Self {
        Self::default()
    }
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }
    /// Replaces all tags.
    #[must_use]
    pub fn tags(mut self, tags: BTreeMap<String, String>) -> Self {
        self.tags = Some(tags);
        self
    }
    /// Fails with [`Kind::Conflict`](crate::Kind::Conflict) when the thing has changed since.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = etag.into();
        self
    }
    pub(crate) fn split(self) -> (Option<String>, BTreeMap<String, String>, bool, String) {
        let replace = self.tags.is_some();
        (self.description, self.tags.unwrap_or_default(), replace, self.etag)
    }
}

pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
