//! The catalogue of reasons in `docs/errors.md` against the sources: nothing is missing, nothing is there for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// One reason of the catalogue.
pub struct Entry {
    pub reason: String,
    /// As tonic names them: `NotFound`.
    pub codes: Vec<String>,
    meaning: String,
    remedy: String,
}

/// gRPC wants this one to be another code than the kind of its error.
const SWAPPED: (&str, &str) = ("SERVICE_NOT_FOUND", "NotFound");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rows of all tables.
pub fn documented() -> Vec<Entry> {
    let text = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let mut entries = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [reason, codes, meaning, remedy] = cells[..] else { panic!("not four cells: {line}") };
        let (meaning, remedy) = (meaning.to_owned(), remedy.to_owned());
        let codes = codes.split(", ").map(camel).collect();
        entries.push(Entry { reason: reason.trim_matches('`').to_owned(), codes, meaning, remedy });
    }
    entries
}

/// `NOT_FOUND` as `NotFound`.
fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_owned() + &word[1..].to_ascii_lowercase();
    name.split('_').map(capital).collect()
}

/// The gRPC code of an `ErrorKind`.
fn code_of(kind: &str) -> &str {
    if kind == "Conflict" { "Aborted" } else { kind }
}

/// A reason that the sources give, and the code next to it, where one is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Given {
    reason: String,
    code: Option<String>,
}

/// All reasons in a source text without its tests.
fn given(source: &str) -> BTreeSet<Given> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |text, line| text + line + "\n");
    let mut found = BTreeSet::new();
    let mut from = 0;
    while let Some(open) = code[from..].find('"').map(|at| from + at) {
        let Some(close) = end_of_literal(&code, open) else { break };
        let literal = &code[open + 1..close];
        from = close + 1;
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if literal.len() < 4 || !literal.chars().all(upper) {
            continue;
        }
        let before = code[..open].trim_end();
        let code = if before.ends_with("precondition(") {
            Some("FailedPrecondition".to_owned())
        } else if before.ends_with("conflict(") {
            Some("Aborted".to_owned())
        } else if let Some(name) = before.strip_suffix(',').and_then(|before| after(before, "ErrorKind::")) {
            Some(code_of(name).to_owned())
        } else if let Some(name) = before.strip_suffix(',').and_then(|before| after(before, "Code::")) {
            Some(name.to_owned())
        } else if let Some(name) = before.strip_suffix("=>").and_then(|before| after(before.trim_end(), "Code::")) {
            Some(name.to_owned())
        } else if ["reason = ", "\"reason\": ", "\"reason\", ", "with_error_info(", "refused("]
            .iter()
            .any(|end| before.ends_with(end.trim_end()))
            || (before.ends_with("=>") && in_function(&code[..open], "fn reason("))
        {
            None
        } else {
            continue;
        };
        found.insert(Given { reason: literal.to_owned(), code });
    }
    found
}

/// The name after `path` at the end of `text`.
fn after<'a>(text: &'a str, path: &str) -> Option<&'a str> {
    let at = text.rfind(path)? + path.len();
    let name = &text[at..];
    (!name.is_empty() && name.chars().all(char::is_alphanumeric)).then_some(name)
}

/// Whether the last function that begins in `text` is this one.
fn in_function(text: &str, function: &str) -> bool {
    text.rfind("fn ").is_some_and(|at| text[at..].starts_with(function))
}

fn end_of_literal(code: &str, open: usize) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in code[open + 1..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(open + 1 + at),
            _ => {}
        }
    }
    None
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// Every reason in the sources of the server, with its codes and the files that give it.
fn in_sources() -> BTreeMap<String, (BTreeSet<String>, Vec<PathBuf>)> {
    let server = root().join("server");
    let mut files = Vec::new();
    for entry in fs::read_dir(&server).unwrap() {
        let path = entry.unwrap().path();
        let folder = if path.ends_with("src") { path } else { path.join("src") };
        if folder.is_dir() {
            sources(&folder, &mut files);
        }
    }
    let mut all: BTreeMap<String, (BTreeSet<String>, Vec<PathBuf>)> = BTreeMap::new();
    for file in files {
        for Given { reason, code } in given(&fs::read_to_string(&file).unwrap()) {
            let (codes, files) = all.entry(reason).or_default();
            codes.extend(code);
            files.push(file.clone());
        }
    }
    // Labels of metrics only: as statuses they become INTERNAL.
    for label in ["UNKNOWN", "DATA_LOSS"] {
        assert!(all.remove(label).is_some());
    }
    all
}

#[test]
fn the_catalogue_and_the_sources_hold_the_same_reasons() {
    let sources = in_sources();
    let documented = documented();
    let names: BTreeSet<&str> = documented.iter().map(|entry| entry.reason.as_str()).collect();
    assert_eq!(names.len(), documented.len(), "a reason stands twice in docs/errors.md");
    for (reason, (_, files)) in &sources {
        assert!(names.contains(reason.as_str()), "docs/errors.md lacks `{reason}`, which {files:?} gives");
    }
    for name in names {
        assert!(sources.contains_key(name), "docs/errors.md has `{name}`, which no source gives");
    }
}

#[test]
fn the_catalogue_gives_every_reason_its_code_a_meaning_and_a_remedy() {
    let sources = in_sources();
    for Entry { reason, codes, meaning, remedy } in documented() {
        assert!(meaning.ends_with('.') && remedy.ends_with('.'), "`{reason}` has no meaning or no remedy");
        let Some((given, files)) = sources.get(&reason) else { continue };
        for code in given {
            if (reason.as_str(), code.as_str()) == SWAPPED {
                continue;
            }
            assert!(codes.contains(code), "docs/errors.md gives `{reason}` the codes {codes:?}, {files:?} has {code}");
        }
    }
}

#[test]
fn reasons_are_found_in_every_way_to_write_them() {
    let source = r#"
        // Error::precondition("IN_A_COMMENT", "x")
        Error::precondition("ONE_ONE", "two \" ERROR_TEXT");
        domain::Error::conflict(
            "TWO_TWO", format!("x"));
        Error::new(ErrorKind::Conflict, "THREE_THREE", "x");
        Error::new(
            tenor_domain::ErrorKind::NotFound,
            "FOUR_FOUR",
            "x");
        error.reason = "FIVE_FIVE";
        json!({ "error": { "reason": "SIX_SIX" } });
        (Code::Internal, "SEVEN_SEVEN", x);
        ErrorDetails::with_error_info("EIGHT_EIGHT", DOMAIN);
        fn reason(&self) -> &str { match self { Self::Empty(_) => "NINE_NINE" } }
        fn other(&self) -> &str { match self { Self::Empty(_) => "NO_REASON" } }
        std::env::var("NO_REASON_EITHER");
        Code::OutOfRange => "TEN_TEN",
        extensions.set("reason", "TWENTY_ONE");
        return Err(refused("TWENTY_TWO", message));
#[cfg(test)]
mod tests {
    error.reason = "ONLY_IN_A_TEST";
"#;
    let found: Vec<String> = given(source).into_iter().map(|g| format!("{} {:?}", g.reason, g.code)).collect();
    let expected = [
        "EIGHT_EIGHT None",
        "FIVE_FIVE None",
        "FOUR_FOUR Some(\"NotFound\")",
        "NINE_NINE None",
        "ONE_ONE Some(\"FailedPrecondition\")",
        "SEVEN_SEVEN Some(\"Internal\")",
        "SIX_SIX None",
        "TEN_TEN Some(\"OutOfRange\")",
        "THREE_THREE Some(\"Aborted\")",
        "TWENTY_ONE None",
        "TWENTY_TWO None",
        "TWO_TWO Some(\"Aborted\")",
    ];
    assert_eq!(found, expected);
}
