//! Limits on what clients write. A text without NUL fits both databases.

use tenor_domain::{AliasName, Error, Metric, Tags};

const MAX_TAGS: usize = 64;
const MAX_TAG_CHARS: usize = 5_000;
pub(crate) const MAX_DESCRIPTION_CHARS: usize = 10_000;
pub(crate) const MAX_NOTE_CHARS: usize = 100_000;
pub(crate) const MAX_LABEL_CHARS: usize = 250;

/// At most `max_chars` characters without NUL.
pub(crate) fn text(field: &str, text: &str, max_chars: usize) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Error::invalid(field, "must not contain the character NUL"));
    }
    // Bytes bound characters from above, and are free to count.
    if text.len() > max_chars && text.chars().count() > max_chars {
        return Err(Error::invalid(field, format!("must have at most {max_chars} characters")));
    }
    Ok(())
}

/// Why a job failed, as both databases can store it: it may repeat whatever a file held.
pub(crate) fn failure(why: &str) -> String {
    why.chars().take(MAX_NOTE_CHARS).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

pub(crate) fn description(description: &str) -> Result<(), Error> {
    text("description", description, MAX_DESCRIPTION_CHARS)
}

/// One line: no control characters.
pub(crate) fn label(field: &str, label: &str) -> Result<(), Error> {
    if label.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    text(field, label, MAX_LABEL_CHARS)
}

pub(crate) fn tags(tags: &Tags) -> Result<(), Error> {
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid("tags", format!("must have at most {MAX_TAGS} keys, got {}", tags.len())));
    }
    for (key, value) in tags {
        Metric::check_key("tags", key)?;
        text("tags", value, MAX_TAG_CHARS)?;
    }
    Ok(())
}

/// Folds to judge by: each is a fit.
pub(crate) fn folds(field: &str, folds: Option<u32>) -> Result<(), Error> {
    const MAX: u32 = 20;
    match folds {
        Some(folds) if !(2..=MAX).contains(&folds) => {
            Err(Error::invalid(field, format!("must be 2 to {MAX}, got {folds}")))
        }
        _ => Ok(()),
    }
}

/// Aliases for one new version.
pub(crate) fn aliases(field: &str, aliases: &[AliasName]) -> Result<(), Error> {
    const MAX: usize = 20;
    if aliases.len() > MAX { Err(Error::invalid(field, format!("must be at most {MAX}"))) } else { Ok(()) }
}

/// A slash-separated relative label, never a path: `plots/confusion.svg`.
pub(crate) fn artifact_name(name: &str) -> Result<(), Error> {
    let wrong =
        |why: &str| Err(Error::invalid("name", format!("must be a relative label like `plots/confusion.svg`: {why}")));
    if name.is_empty() || name.chars().count() > MAX_LABEL_CHARS {
        return wrong("1 to 250 characters");
    }
    if name.chars().any(|c| c.is_control() || c == '\\' || c == ':') {
        return wrong("no control characters, no `\\`, no `:`");
    }
    if name.split('/').any(|part| part.is_empty() || part == "." || part == ".." || part != part.trim()) {
        return wrong("parts between slashes must not be empty, `.`, `..`, or begin or end with a space");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::artifact_name;

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            "..",
            ".",
            "a//b",
            "a/",
            "C:\\x",
            "c:/x",
            "a\\..\\b",
            "a\0b",
            "a\nb",
            "file:///x",
            "a/ ../b",
            " x",
            "~\u{7f}",
        ] {
            assert!(artifact_name(bad).is_err(), "{bad:?}");
        }
        for good in ["model", "plots/confusion.svg", "a b/ü.txt", "..a", "a..b", "%2e%2e/x"] {
            assert!(artifact_name(good).is_ok(), "{good:?}");
        }
    }
}
