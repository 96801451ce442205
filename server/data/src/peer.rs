//! The same work as the Python peers do, for side-by-side measurements: read JSON lines, check five rules, drop repeated
//! (reviewer, item) pairs, clean, compute five features, write Parquet. Reader, pipeline and writer are those of [`crate::import`].

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use polars::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use crate::columns::{ColumnMap, Role};
use crate::format::Source;
use crate::reader::{JsonReader, Location, Malformed, Record, Utf8, Visit};
use crate::table::{TableReader, TableWriter, schema};
use crate::value::Scalar;
use crate::work::{Outputs, ordered};
use crate::{Error, Work};

/// Rows that break each rule (a row may break several), and repeated rows among the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Violations {
    pub key: u64,
    pub text: u64,
    pub overall: u64,
    pub time: u64,
    pub helpful: u64,
    pub duplicate: u64,
}

/// Sums over the output, to compare engines.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Checksum {
    pub rows: u64,
    pub overall: i64,
    pub clean_len: u64,
    pub text_len: i64,
    pub word_count: i64,
    pub exclamation_count: i64,
    pub question_count: i64,
    /// Rounded to three digits.
    pub caps_ratio: f64,
}

fn column_map() -> ColumnMap {
    let mut map = ColumnMap::default();
    for (role, name) in [
        (Role::User, "reviewerID"),
        (Role::Item, "asin"),
        (Role::Text, "reviewText"),
        (Role::Label, "overall"),
        (Role::Time, "unixReviewTime"),
        (Role::Helpful, "helpful"),
    ] {
        map.names[role.index()] = Some(name.to_owned());
    }
    map
}

const OUTPUT: &str = "peer.parquet";

fn output_schema() -> Schema {
    let number = DataType::Int64;
    schema(&[
        ("reviewerID", DataType::String),
        ("asin", DataType::String),
        ("overall", DataType::Int32),
        ("unixReviewTime", number.clone()),
        ("text", DataType::String),
        ("text_len", number.clone()),
        ("word_count", number.clone()),
        ("exclamation_count", number.clone()),
        ("question_count", number),
        ("caps_ratio", DataType::Float64),
    ])
}

#[derive(Default)]
struct Rows {
    violations: Violations,
    keys: Vec<u128>,
    user: Vec<String>,
    item: Vec<String>,
    overall: Vec<i32>,
    time: Vec<i64>,
    text: Vec<String>,
    counts: [Vec<i64>; 4],
    caps_ratio: Vec<f64>,
}

impl Rows {
    fn into_frame(self) -> Result<DataFrame, Error> {
        let [length, words, exclamations, questions] = self.counts;
        Ok(DataFrame::new_infer_height(vec![
            Column::new("reviewerID".into(), self.user),
            Column::new("asin".into(), self.item),
            Column::new("overall".into(), self.overall),
            Column::new("unixReviewTime".into(), self.time),
            Column::new("text".into(), self.text),
            Column::new("text_len".into(), length),
            Column::new("word_count".into(), words),
            Column::new("exclamation_count".into(), exclamations),
            Column::new("question_count".into(), questions),
            Column::new("caps_ratio".into(), self.caps_ratio),
        ])?)
    }
}

impl Visit for Rows {
    fn record(&mut self, _: Location, mut record: Record<'_>, _: bool) -> Result<(), Error> {
        let take = |record: &mut Record<'_>, role: Role| match std::mem::take(&mut record[role.index()]) {
            Scalar::Text(text) => Some(text.into_owned()),
            Scalar::Null => None,
            other => other.to_text().map(Cow::into_owned),
        };
        let text = std::mem::take(&mut record[Role::Text.index()]);
        let (user, item) = (take(&mut record, Role::User), take(&mut record, Role::Item));
        let star = crate::value::star(&record[Role::Label.index()]);
        let time = record[Role::Time.index()].to_number().filter(|time| *time > 0.0);
        let helpful = crate::value::votes(&record[Role::Helpful.index()]);
        let bad = &mut self.violations;
        bad.key += u64::from(user.is_none() || item.is_none());
        bad.overall += u64::from(star.is_none());
        bad.time += u64::from(time.is_none());
        bad.helpful += u64::from(helpful.is_none());
        let Scalar::Text(text) = text else {
            bad.text += 1;
            return Ok(());
        };
        if text.trim().is_empty() {
            bad.text += 1;
            return Ok(());
        }
        let (Some(user), Some(item), Some(star), Some(time), Some(_)) = (user, item, star, time, helpful) else {
            return Ok(());
        };
        let key = [user.as_bytes(), b"\0", item.as_bytes()].concat();
        self.keys.push(xxh3_128(&key));
        let (mut letters, mut capitals, mut exclamations, mut questions) = (0u32, 0u32, 0, 0);
        for byte in text.bytes() {
            letters += u32::from(byte.is_ascii_alphabetic());
            capitals += u32::from(byte.is_ascii_uppercase());
            exclamations += i64::from(byte == b'!');
            questions += i64::from(byte == b'?');
        }
        let cleaned = clean(&text);
        let words =
            if cleaned.is_empty() { 0 } else { memchr::memchr_iter(b' ', cleaned.as_bytes()).count() as i64 + 1 };
        let values = [text.chars().count() as i64, words, exclamations, questions];
        self.counts.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
        self.caps_ratio.push(if letters == 0 { 0.0 } else { f64::from(capitals) / f64::from(letters) });
        self.user.push(user);
        self.item.push(item);
        self.overall.push(i32::from(star));
        self.time.push(time as i64);
        self.text.push(cleaned);
        Ok(())
    }
    fn malformed(&mut self, at: Location, why: Malformed) -> Result<(), Error> {
        Err(Error::UnknownFormat(format!("line {} is malformed: {why:?}", at.line)))
    }
}

/// Lower-cases; `<[^>]*>`, `https?://\S+` and `[^a-z0-9'!?]+` become a space each, in this order; trims.
fn clean(text: &str) -> String {
    let mut lower = if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() };
    if lower.contains('<') {
        lower = without_tags(&lower);
    }
    if lower.contains("http") {
        lower = without_links(&lower);
    }
    let mut out = String::with_capacity(lower.len());
    let mut gap = false;
    for byte in lower.bytes() {
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'\'' | b'!' | b'?') {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            out.push(char::from(byte));
        } else {
            gap = true;
        }
    }
    out
}

fn without_tags(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('<') {
        let Some((_, after)) = after.split_once('>') else { break };
        out.push_str(before);
        out.push(' ');
        rest = after;
    }
    out + rest
}

fn without_links(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("http") {
        let after = &rest[at + 4..];
        let link = after.strip_prefix('s').unwrap_or(after).strip_prefix("://");
        match link.filter(|link| link.starts_with(|c: char| !c.is_whitespace())) {
            Some(link) => {
                out.push_str(&rest[..at]);
                out.push(' ');
                rest = &link[link.find(char::is_whitespace).unwrap_or(link.len())..];
            }
            None => {
                out.push_str(&rest[..at + 4]);
                rest = after;
            }
        }
    }
    out + rest
}

/// Runs the peers' pipeline on JSON lines at `source`; writes `peer.parquet` into `out`.
///
/// # Errors
/// As [`crate::import`]; a line that is not a JSON object is an error here.
pub fn run(source: &Path, out: &Path, work: &Work<'_>) -> Result<Violations, Error> {
    let mut reader = JsonReader::open(Source::open(source)?)?;
    let map = column_map();
    let mut outputs = Outputs::in_folder(out)?;
    let mut writer = TableWriter::create(&outputs.file(OUTPUT), &output_schema())?;
    let mut seen: HashSet<u128> = HashSet::new();
    let mut total = Violations::default();
    ordered(
        work,
        || reader.next_block(),
        |block| {
            let mut rows = Rows::default();
            block.visit(&map, Utf8::Refuse, &mut rows)?;
            let (violations, keys) = (rows.violations, std::mem::take(&mut rows.keys));
            drop(block);
            Ok((violations, keys, rows.into_frame()?))
        },
        |(violations, keys, mut frame)| {
            let fresh: Vec<bool> = keys.into_iter().map(|key| seen.insert(key)).collect();
            let repeated = fresh.iter().filter(|fresh| !**fresh).count() as u64;
            if repeated > 0 {
                frame = frame.filter(&BooleanChunked::from_slice("fresh".into(), &fresh))?;
            }
            total.key += violations.key;
            total.text += violations.text;
            total.overall += violations.overall;
            total.time += violations.time;
            total.helpful += violations.helpful;
            total.duplicate += repeated;
            writer.write(frame)
        },
    )?;
    writer.finish()?;
    outputs.keep();
    Ok(total)
}

/// Reads `peer.parquet` in `out` back and sums its columns.
///
/// # Errors
/// [`Error::Io`] and [`Error::Internal`].
pub fn checksum(out: &Path) -> Result<Checksum, Error> {
    let table = TableReader::open(&out.join(OUTPUT))?;
    let mut sums = Checksum { rows: table.rows() as u64, ..Checksum::default() };
    for offset in (0..table.rows()).step_by(65_536) {
        let frame = table.read(offset, 65_536, None)?;
        let sum = |name: &str| -> Result<i64, Error> { Ok(frame.column(name)?.i64()?.iter().flatten().sum()) };
        sums.overall += frame.column("overall")?.i32()?.iter().flatten().map(i64::from).sum::<i64>();
        sums.clean_len +=
            frame.column("text")?.str()?.iter().flatten().map(|text| text.chars().count() as u64).sum::<u64>();
        sums.text_len += sum("text_len")?;
        sums.word_count += sum("word_count")?;
        sums.exclamation_count += sum("exclamation_count")?;
        sums.question_count += sum("question_count")?;
        sums.caps_ratio += frame.column("caps_ratio")?.f64()?.iter().flatten().sum::<f64>();
    }
    sums.caps_ratio = (sums.caps_ratio * 1000.0).round() / 1000.0;
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn cleaning_is_that_of_the_peers_regular_expressions() {
        for (raw, expected) in [
            ("  It's <br/>GREAT!! Really? ", "it's great!! really?"),
            ("see https://a.b/c?d=1 now http:// x", "see now http x"),
            ("a <unclosed tag", "a unclosed tag"),
            ("caf\u{e9} 5<6>7", "caf 5 7"),
            ("\u{e9}", ""),
        ] {
            assert_eq!(clean(raw), expected, "{raw}");
        }
    }
}
