//! Cursors: where a list goes on, sealed with a checksum of the query so that they fit no other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenor_domain::{Digest, Error, Page, PageRequest};

/// A list being paged through.
pub(crate) struct Paging<K> {
    checksum: [u8; 8],
    size: usize,
    /// The key of the last row of the page before.
    pub after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Paging<K> {
    /// `arguments` is all that must stay the same from page to page.
    pub fn start(method: &str, arguments: &impl Serialize, page: &PageRequest) -> Result<Self, Error> {
        let text = serde_json::to_string(&(method, arguments)).map_err(Error::internal)?;
        let mut checksum = [0; 8];
        checksum.copy_from_slice(&Digest::of(text.as_bytes()).as_bytes()[..8]);
        let after = page.cursor.as_deref().map(|cursor| decode(cursor, checksum)).transpose()?;
        let size = PageRequest::first(page.size).size;
        Ok(Self { checksum, size: usize::try_from(size).unwrap_or(usize::MAX), after })
    }

    /// How many rows to ask for: one more than the page has, to know whether there is another.
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Cuts the extra row off and gives each row its cursor.
    pub fn finish<T>(self, mut items: Vec<T>, key: impl Fn(&T) -> K) -> Result<Page<T>, Error> {
        let more = items.len() > self.size;
        items.truncate(self.size);
        let cursors = items.iter().map(|item| self.seal(&key(item))).collect::<Result<_, _>>()?;
        Ok(Page::new(items, cursors, more))
    }

    /// The cursor of a list that goes on after `key`.
    pub fn seal(&self, key: &K) -> Result<String, Error> {
        let mut bytes = self.checksum.to_vec();
        serde_json::to_writer(&mut bytes, key).map_err(Error::internal)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}

fn decode<K: DeserializeOwned>(cursor: &str, checksum: [u8; 8]) -> Result<K, Error> {
    let broken = || Error::invalid("page_token", "is not a token of this server; begin again without one");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| broken())?;
    let (found, key) = bytes.split_at_checked(8).ok_or_else(broken)?;
    if found != checksum {
        return Err(Error::invalid(
            "page_token",
            "belongs to a list with other arguments; repeat those of the first page, or begin again without a token",
        ));
    }
    let key = serde_json::from_slice(key).map_err(|_| broken())?;
    // The checksum is no signature: a client can write a key that no row has. PostgreSQL refuses NUL in text.
    if has_nul(&key) {
        return Err(broken());
    }
    serde_json::from_value(key).map_err(|_| broken())
}

fn has_nul(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: Option<String>) -> PageRequest {
        PageRequest { size: 2, cursor }
    }

    #[test]
    fn a_cursor_goes_on_after_the_last_row_and_fits_no_other_query() {
        let start = |arguments: &str, cursor| Paging::<i64>::start("list", &arguments, &page(cursor));
        let first = start("a", None).unwrap();
        assert_eq!((first.after, first.limit()), (None, 3));
        let first = first.finish(vec![1i64, 2, 3], |n| *n).unwrap();
        assert_eq!(first.items, [1, 2]);
        let next = first.next.unwrap();
        assert_eq!(start("a", Some(next.clone())).unwrap().after, Some(2));
        for wrong in [start("b", Some(next)), start("a", Some("x".repeat(40))), start("a", Some("%".into()))] {
            assert_eq!(wrong.err().unwrap().violations[0].field, "page_token");
        }
        assert_eq!(start("a", None).unwrap().finish(vec![1, 2], |n| *n).unwrap().next, None);
    }

    #[test]
    fn every_row_has_a_cursor_that_goes_on_after_it() {
        let start = |cursor| Paging::<i64>::start("list", &(), &page(cursor)).unwrap();
        let first = start(None).finish(vec![7i64, 8, 9], |n| *n).unwrap();
        assert_eq!((first.cursors.len(), first.next.as_ref()), (2, first.cursors.last()));
        let after: Vec<_> = first.cursors.into_iter().map(|cursor| start(Some(cursor)).after).collect();
        assert_eq!(after, [Some(7), Some(8)]);
    }

    #[test]
    fn a_forged_key_with_nul_is_refused() {
        let start = |cursor| Paging::<(Vec<String>, String)>::start("list", &(), &page(cursor));
        let forged = start(None).unwrap().seal(&(vec!["a\0".to_owned()], String::new())).unwrap();
        assert_eq!(start(Some(forged)).err().unwrap().violations[0].field, "page_token");
        let honest = start(None).unwrap().seal(&(vec!["\\u0000".to_owned()], String::new())).unwrap();
        assert_eq!(start(Some(honest)).unwrap().after.unwrap().0, ["\\u0000"]);
    }
}
