//! A file becomes accepted rows, quarantined rows, a profile and a validation report, in one pass.

mod check;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::columns::{ColumnMap, LabelKind, Role};
use crate::reader::{CsvSettings, Location, Malformed, Reader, Record, Utf8, Visit};
use crate::rules::{Policy, RuleId, Severity, ValidationReport};
use crate::value::star;
use crate::work::{Outputs, ordered};
use crate::{Error, Format, Profile, RuleSet, Work, sniff};

use check::Checker;
use store::Store;

/// How to read a file. Everything may be left out: names are found, formats are sniffed.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportOptions {
    pub format: Option<Format>,
    /// Column of the text; `None`: `reviewText`, `review`, `text`, `sentence`, ...
    pub text: Option<String>,
    /// Column of the label; `None`: `overall`, `rating`, `stars`, `label`, `sentiment`, ...
    pub label: Option<String>,
    pub user: Option<String>,
    pub item: Option<String>,
    pub time: Option<String>,
    pub summary: Option<String>,
    /// One ASCII character; `None`: judged by the header.
    pub delimiter: Option<char>,
    /// Whether `"` quotes fields; `None`: in CSV yes, in TSV no.
    pub quoting: Option<bool>,
    /// Names for label values, e.g. `{"0": "negative", "1": "positive"}`. A value that is not in the map is a bad label.
    pub label_map: Option<BTreeMap<String, String>>,
    /// `None`: stars when the values are 1 to 5 in a column of ratings, else names.
    pub label_kind: Option<LabelKind>,
    pub rules: RuleSet,
}

impl ImportOptions {
    /// Reads options as JSON; null means the defaults.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub fn parse(options: &serde_json::Value) -> Result<Self, Error> {
        if options.is_null() {
            return Ok(Self::default());
        }
        let parsed: Self = serde_json::from_value(options.clone())
            .map_err(|error| Error::option("options", format!("cannot be read: {error}")))?;
        parsed.check()?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), Error> {
        match self.delimiter {
            Some(c) if !c.is_ascii() || matches!(c, '"' | '\n' | '\r') => {
                Err(Error::option("delimiter", "must be one ASCII character, not a quote or line end"))
            }
            _ => Ok(()),
        }
    }
}

/// What an import made. `rows_read == rows_accepted + rows_quarantined`; blank lines between records are not rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Import {
    pub format: Format,
    pub rows_read: u64,
    pub rows_accepted: u64,
    /// Accepted rows with one repair or more.
    pub rows_repaired: u64,
    /// Repairs by rule; a row may have several.
    pub repairs: BTreeMap<String, u64>,
    pub rows_quarantined: u64,
    /// Quarantined rows by the rule that sent them there; adds up.
    pub quarantined: BTreeMap<String, u64>,
    pub profile: Profile,
    pub validation: ValidationReport,
    /// `accepted.parquet`.
    pub data: PathBuf,
    /// `quarantine.parquet`, when there are such rows.
    pub quarantine: Option<PathBuf>,
}

/// Columns that review files are known to have and that we leave out without a word.
const KNOWN_COLUMNS: [&str; 24] = [
    "reviewerName",
    "verified",
    "style",
    "image",
    "images",
    "vote",
    "reviewTime",
    "category",
    "source",
    "domain",
    "polarity",
    "unique_id",
    "product_name",
    "product_type",
    "title",
    "reviewer",
    "reviewer_location",
    "tweet_id",
    "negativereason",
    "airline",
    "label",
    "verified_purchase",
    "parent_asin",
    "id",
];

/// Reads `source` and writes `accepted.parquet` and `quarantine.parquet` into the folder `out`.
///
/// # Errors
/// Every variant of [`Error`]; after an error or a cancel nothing is left in `out`.
pub fn import(source: &Path, options: &ImportOptions, out: &Path, work: &Work<'_>) -> Result<Import, Error> {
    work.check()?;
    options.check()?;
    let sniffed = sniff(source)?;
    let format = match options.format {
        Some(format) if (format == Format::Parquet) != (sniffed == Format::Parquet) => {
            return Err(Error::option(
                "format",
                format!("says {format:?}, but the bytes are {sniffed:?}; leave it out"),
            ));
        }
        Some(format) => format,
        None => sniffed,
    };
    let delimiter = match options.delimiter {
        // Checked to be ASCII.
        Some(c) => Some(c as u8),
        None if format == Format::Tsv => Some(b'\t'),
        None => None,
    };
    let csv = CsvSettings { delimiter, quoting: options.quoting.unwrap_or(format != Format::Tsv) };
    let mut reader = Reader::open(source, format, csv)?;
    let wanted = [
        (Role::Text, options.text.as_deref()),
        (Role::Label, options.label.as_deref()),
        (Role::User, options.user.as_deref()),
        (Role::Item, options.item.as_deref()),
        (Role::Time, options.time.as_deref()),
        (Role::Summary, options.summary.as_deref()),
    ];
    let columns = reader.columns().to_vec();
    if columns.is_empty() && format == Format::JsonLines {
        return Err(Error::UnknownFormat("none of the first lines is a JSON object; check the format".into()));
    }
    let map = ColumnMap::resolve(&columns, &wanted)?;
    let Some(first) = reader.next_block(&map)? else {
        return Err(Error::Empty("the file has a header but no rows".into()));
    };
    let utf8 = match options.rules.setting(RuleId::InvalidUtf8).policy {
        Policy::Repair => Utf8::Replace,
        _ => Utf8::Refuse,
    };
    let mut labels = LabelSample { map: &map, stars: 0, others: 0, values: BTreeSet::new() };
    first.visit(&map, utf8, &mut labels)?;
    let label_kind = options.label_kind.unwrap_or_else(|| labels.kind(options.label_map.is_some()));

    let left_out: Vec<String> = columns.into_iter().filter(|c| map.role_of(c).is_none()).collect();
    let checker = Checker { map: &map, options, label_kind, utf8 };
    let mut outputs = Outputs::in_folder(out)?;
    let (data, quarantine) = (outputs.file("accepted.parquet"), outputs.file("quarantine.parquet"));
    let mut store = Store::create(&data, &quarantine, &options.rules)?;
    let progress = std::sync::Mutex::new(0.0);
    let (mut first, reader, map_ref, progress_ref) = (Some(first), &mut reader, &map, &progress);
    ordered(
        work,
        move || {
            let block = match first.take() {
                Some(block) => Some(block),
                None => reader.next_block(map_ref)?,
            };
            *progress_ref.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = reader.progress();
            Ok(block)
        },
        |block| checker.check(block),
        |checked| {
            store.add(checked)?;
            (work.progress)(*progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner), "import");
            Ok(())
        },
    )?;
    if options.rules.setting(RuleId::UnexpectedColumns).severity != Severity::Off {
        for name in left_out.iter().filter(|name| !KNOWN_COLUMNS.contains(&name.as_str())) {
            let at = Location { line: 0, byte: 0 };
            store.findings.add(RuleId::UnexpectedColumns, at, name, "has no role and is left out");
        }
    }
    let import = store.finish(format, label_kind, &map, left_out, options, work)?;
    outputs.keep();
    if import.quarantine.is_none() {
        // The table is empty; should it stay, it does no harm.
        let _ = std::fs::remove_file(&quarantine);
    }
    (work.progress)(1.0, "import");
    Ok(import)
}

/// Looks at the labels of the first block.
struct LabelSample<'a> {
    map: &'a ColumnMap,
    stars: u64,
    others: u64,
    values: BTreeSet<u8>,
}

impl Visit for LabelSample<'_> {
    fn record(&mut self, _: Location, record: Record<'_>, _: bool) -> Result<(), Error> {
        let label = &record[Role::Label.index()];
        match star(label) {
            Some(star) => {
                self.stars += 1;
                self.values.insert(star);
            }
            None if label.is_blank() => {}
            None => self.others += 1,
        }
        Ok(())
    }
    fn malformed(&mut self, _: Location, _: Malformed) -> Result<(), Error> {
        Ok(())
    }
}

impl LabelSample<'_> {
    fn kind(&self, mapped: bool) -> LabelKind {
        let name = self.map.name(Role::Label).unwrap_or_default().to_ascii_lowercase();
        let ratings = ["overall", "rating", "star", "score"].iter().any(|word| name.contains(word));
        let mostly = self.stars > self.others;
        if !mapped && mostly && (ratings || self.values.len() >= 3 && self.others == 0) {
            LabelKind::Stars
        } else {
            LabelKind::Names
        }
    }
}

#[cfg(test)]
mod tests;
