//! Checks one block of records: which rows are accepted, with what repairs, and why the others are not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use polars::prelude::*;
use tenor_features::text::{CleaningProfile, clean};
use xxhash_rust::xxh3::xxh3_64;

use super::ImportOptions;
use crate::columns::{ColumnMap, LabelKind, Role};
use crate::minhash::{Shingles, Signature};
use crate::reader::{Block, Location, Malformed, Record, Utf8, Visit};
use crate::rules::{Findings, Policy, RuleId, RuleSetting, Severity};
use crate::value::{Scalar, star, time_ms, vote_count, votes};
use crate::{Error, RuleSet};

const MAX_TEXT_CHARS: usize = 100_000;
const MAX_LABEL_CHARS: usize = 200;

pub(super) struct Checker<'a> {
    pub(super) map: &'a ColumnMap,
    pub(super) options: &'a ImportOptions,
    pub(super) label_kind: LabelKind,
    pub(super) utf8: Utf8,
}

/// A row that stays out.
pub(super) struct Refused {
    pub(super) index: usize,
    pub(super) at: Location,
    pub(super) rule: RuleId,
    pub(super) reason: String,
}

/// What is kept beside the frame for each accepted row.
pub(super) struct RowFacts {
    /// Record within the block.
    pub(super) index: usize,
    pub(super) at: Location,
    /// Identity of the row's content.
    pub(super) content: u64,
    /// Identity of text, user and item.
    pub(super) key: u64,
    pub(super) text_hash: u64,
    pub(super) chars: u32,
    pub(super) words: u32,
    pub(super) repaired: bool,
    pub(super) signature: Signature,
}

pub(super) struct Checked {
    pub(super) block: Block,
    /// All columns of the accepted table but `row_id`.
    pub(super) frame: DataFrame,
    pub(super) rows: Vec<RowFacts>,
    pub(super) refused: Vec<Refused>,
    pub(super) findings: Findings,
    pub(super) repairs: BTreeMap<RuleId, u64>,
    pub(super) read: u64,
    /// Records that could not be read at all, and the first of them.
    pub(super) malformed: u64,
    pub(super) first_malformed: Option<(u64, String)>,
}

impl Checker<'_> {
    pub(super) fn check(&self, block: Block) -> Result<Checked, Error> {
        let mut state = State {
            checker: self,
            rules: &self.options.rules,
            next: 0,
            columns: Columns::default(),
            rows: Vec::new(),
            shingles: Shingles::default(),
            refused: Vec::new(),
            findings: Findings::default(),
            repairs: BTreeMap::new(),
            malformed: 0,
            first_malformed: None,
        };
        block.visit(self.map, self.utf8, &mut state)?;
        Ok(Checked {
            frame: state.columns.into_frame()?,
            rows: state.rows,
            refused: state.refused,
            findings: state.findings,
            repairs: state.repairs,
            read: state.next as u64,
            malformed: state.malformed,
            first_malformed: state.first_malformed,
            block,
        })
    }
}

#[derive(Default)]
struct Columns {
    line: Vec<i64>,
    text: Vec<String>,
    label: Vec<String>,
    user: Vec<Option<String>>,
    item: Vec<Option<String>>,
    time: Vec<Option<i64>>,
    helpful_up: Vec<Option<i64>>,
    helpful_total: Vec<Option<i64>>,
    summary: Vec<Option<String>>,
}

impl Columns {
    fn into_frame(self) -> Result<DataFrame, Error> {
        Ok(DataFrame::new_infer_height(vec![
            Column::new("line".into(), self.line),
            Column::new("text".into(), self.text),
            Column::new("label".into(), self.label),
            Column::new("user".into(), self.user),
            Column::new("item".into(), self.item),
            Column::new("time".into(), self.time),
            Column::new("helpful_up".into(), self.helpful_up),
            Column::new("helpful_total".into(), self.helpful_total),
            Column::new("summary".into(), self.summary),
        ])?)
    }
}

struct State<'a> {
    checker: &'a Checker<'a>,
    rules: &'a RuleSet,
    next: usize,
    columns: Columns,
    rows: Vec<RowFacts>,
    shingles: Shingles,
    refused: Vec<Refused>,
    findings: Findings,
    repairs: BTreeMap<RuleId, u64>,
    malformed: u64,
    first_malformed: Option<(u64, String)>,
}

/// What became of one row so far.
#[derive(Default)]
struct Verdict {
    refused: Option<(RuleId, String)>,
    repairs: Vec<RuleId>,
}

impl State<'_> {
    fn broken(
        &mut self,
        verdict: &mut Verdict,
        rule: RuleId,
        at: Location,
        value: &str,
        reason: impl Into<String>,
    ) -> Result<(), Error> {
        let RuleSetting { severity, policy, .. } = self.rules.setting(rule);
        if severity == Severity::Off {
            return Ok(());
        }
        let reason = reason.into();
        self.findings.add(rule, at, value, &reason);
        match policy {
            Policy::Accept => {}
            Policy::Repair => verdict.repairs.push(rule),
            Policy::Quarantine => {
                verdict.refused.get_or_insert((rule, reason));
            }
            Policy::Reject => return Err(Error::Rejected { rule: rule.as_str().into(), line: at.line, reason }),
        }
        Ok(())
    }

    fn label(&mut self, verdict: &mut Verdict, at: Location, value: &Scalar<'_>) -> Result<String, Error> {
        let text = value.to_text();
        let wrong = |reason: String| (String::new(), Some(reason));
        let (label, reason) = match (&text, &self.checker.options.label_map, self.checker.label_kind) {
            (None, ..) => wrong("the label is missing".into()),
            (Some(text), Some(map), _) => {
                let plain = star(value).map(|s| s.to_string());
                match map.get(text.as_ref()).or_else(|| plain.and_then(|p| map.get(&p))) {
                    Some(name) => (name.clone(), None),
                    None => wrong("the label is not in the label map".into()),
                }
            }
            (Some(_), None, LabelKind::Stars) => match star(value) {
                Some(star) => (star.to_string(), None),
                None => wrong("not a whole star from 1 to 5".into()),
            },
            (Some(text), None, LabelKind::Names) => match text.chars().count() {
                1..=MAX_LABEL_CHARS => (text.clone().into_owned(), None),
                n => wrong(format!("the label has {n} characters; is it the right column? set it with `--label`")),
            },
        };
        if let Some(reason) = reason {
            self.broken(verdict, RuleId::BadLabel, at, &value.show(), reason)?;
        }
        Ok(label)
    }

    fn text<'t>(&mut self, verdict: &mut Verdict, at: Location, value: &'t Scalar<'_>) -> Result<Cow<'t, str>, Error> {
        let text = match value {
            Scalar::Text(text) if !value.is_blank() => Cow::Borrowed(text.as_ref()),
            Scalar::Null | Scalar::Text(_) => {
                self.broken(verdict, RuleId::MissingText, at, &value.show(), "the text is null or blank")?;
                return Ok(Cow::Borrowed(""));
            }
            other => {
                self.broken(verdict, RuleId::MissingText, at, &other.show(), "the text is not a text")?;
                return Ok(Cow::Borrowed(""));
            }
        };
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        let has_control = text.bytes().any(|b| b < 32 && !matches!(b, b'\n' | b'\r' | b'\t') || b == 127 || b == 0xC2)
            && text.contains(control);
        let text = if has_control {
            self.broken(
                verdict,
                RuleId::ControlCharacters,
                at,
                &text.escape_debug().to_string(),
                "control characters",
            )?;
            match verdict.repairs.last() {
                Some(RuleId::ControlCharacters) => Cow::Owned(text.replace(control, "")),
                _ => text,
            }
        } else {
            text
        };
        if let Some(entity) = entity(&text) {
            self.broken(verdict, RuleId::HtmlEntities, at, entity, "an HTML entity")?;
        }
        if let Some(tag) = tag(&text) {
            self.broken(verdict, RuleId::HtmlTags, at, tag, "an HTML tag")?;
        }
        // A long text without links, tags and entities surely leaves something; spare the work.
        let plain = text.len() > 300 && !text.contains("http") && !text.contains(['&', '<']);
        if !(plain && text.contains(char::is_alphanumeric)) && clean(CleaningProfile::Unicode, &text).is_empty() {
            self.broken(verdict, RuleId::EmptyAfterCleaning, at, &text, "nothing is left after cleaning")?;
        }
        Ok(text)
    }

    fn time(&mut self, verdict: &mut Verdict, at: Location, record: &Record<'_>) -> Result<Option<i64>, Error> {
        let (first, second) = (&record[Role::Time.index()], &record[Role::TimeText.index()]);
        let time = time_ms(first);
        if time.is_some() || first.is_blank() && second.is_blank() {
            return Ok(time);
        }
        let other = time_ms(second);
        if !first.is_blank() || other.is_none() {
            let value = if first.is_blank() { second } else { first };
            self.broken(verdict, RuleId::MalformedTime, at, &value.show(), "not a time")?;
        }
        Ok(other)
    }

    fn votes(
        &mut self,
        verdict: &mut Verdict,
        at: Location,
        record: &Record<'_>,
    ) -> Result<(Option<i64>, Option<i64>), Error> {
        let (pair, single) = (&record[Role::Helpful.index()], &record[Role::Votes.index()]);
        if !pair.is_blank() {
            if let Some((up, total)) = votes(pair) {
                return Ok((Some(up), Some(total)));
            }
            self.broken(verdict, RuleId::MalformedHelpful, at, &pair.show(), "not `[useful, total]` votes")?;
        } else if !single.is_blank() {
            let up = vote_count(single);
            if up.is_none() {
                self.broken(verdict, RuleId::MalformedHelpful, at, &single.show(), "not a number of votes")?;
            }
            return Ok((up, None));
        }
        Ok((None, None))
    }

    fn keys(&mut self, verdict: &mut Verdict, at: Location, record: &Record<'_>) -> Result<[Option<String>; 2], Error> {
        let mut keys = [None, None];
        for (key, role) in keys.iter_mut().zip([Role::User, Role::Item]) {
            let Some(name) = self.checker.map.name(role) else { continue };
            *key = record[role.index()].to_text().map(Cow::into_owned);
            if key.is_none() {
                self.broken(verdict, RuleId::MissingKey, at, "", format!("column `{name}` is empty"))?;
            }
        }
        if let Some(item) = &keys[1]
            && self.checker.map.name(Role::Item) == Some("asin")
            && item.chars().count() != 10
        {
            self.broken(verdict, RuleId::BadItemId, at, item, "an asin has 10 characters")?;
        }
        Ok(keys)
    }

    fn ranges(&mut self, verdict: &mut Verdict, at: Location, text: &str) -> Result<(u32, u32), Error> {
        let chars = text.chars().count();
        let words = text.split_whitespace().count();
        if chars > MAX_TEXT_CHARS {
            let reason = format!("the text has {chars} characters, more than {MAX_TEXT_CHARS}");
            self.broken(verdict, RuleId::TextTooLong, at, text, reason)?;
        }
        let kindle = memchr::memchr2_iter(b'k', b'K', text.as_bytes())
            .filter(|at| text.as_bytes().get(*at..at + 6).is_some_and(|word| word.eq_ignore_ascii_case(b"kindle")))
            .count();
        let average = chars as f64 / words.max(1) as f64;
        for (name, value, limit) in [
            ("text_len", chars as f64, 50_000.0),
            ("word_count", words as f64, 10_000.0),
            ("kindle_freq", kindle as f64, 50.0),
            ("avg_word_length", average, 50.0),
        ] {
            if value > limit {
                self.broken(
                    verdict,
                    RuleId::FeatureRange,
                    at,
                    &format!("{name} = {value}"),
                    format!("more than {limit}"),
                )?;
            }
        }
        Ok((chars as u32, words as u32))
    }
}

impl Visit for State<'_> {
    fn record(&mut self, at: Location, record: Record<'_>, replaced: bool) -> Result<(), Error> {
        let index = self.next;
        self.next += 1;
        let mut verdict = Verdict::default();
        if replaced {
            self.broken(&mut verdict, RuleId::InvalidUtf8, at, "", "bytes that are not UTF-8 were replaced")?;
        }
        let text = self.text(&mut verdict, at, &record[Role::Text.index()])?;
        let label = self.label(&mut verdict, at, &record[Role::Label.index()])?;
        let time = self.time(&mut verdict, at, &record)?;
        let (up, total) = self.votes(&mut verdict, at, &record)?;
        let [user, item] = self.keys(&mut verdict, at, &record)?;
        let (chars, words) = self.ranges(&mut verdict, at, &text)?;
        if let Some((rule, reason)) = verdict.refused {
            self.refused.push(Refused { index, at, rule, reason });
            return Ok(());
        }
        for rule in &verdict.repairs {
            *self.repairs.entry(*rule).or_default() += 1;
        }
        let part = |value: Option<&str>| xxh3_64(value.unwrap_or("\u{0}").as_bytes());
        let text_hash = xxh3_64(text.as_bytes());
        let key = combine(&[text_hash, part(user.as_deref()), part(item.as_deref())]);
        let content = combine(&[key, part(Some(&label)), time.map_or(u64::MAX, i64::cast_unsigned)]);
        self.rows.push(RowFacts {
            index,
            at,
            content,
            key,
            text_hash,
            chars,
            words,
            repaired: !verdict.repairs.is_empty(),
            signature: self.shingles.signature_of(&text),
        });
        self.columns.line.push(at.line as i64);
        self.columns.text.push(text.into_owned());
        self.columns.label.push(label);
        self.columns.user.push(user);
        self.columns.item.push(item);
        self.columns.time.push(time);
        self.columns.helpful_up.push(up);
        self.columns.helpful_total.push(total);
        self.columns.summary.push(record[Role::Summary.index()].to_text().map(Cow::into_owned));
        Ok(())
    }

    fn malformed(&mut self, at: Location, why: Malformed) -> Result<(), Error> {
        let index = self.next;
        self.next += 1;
        self.malformed += 1;
        let (rule, reason) = match why {
            Malformed::Utf8(reason) => (RuleId::InvalidUtf8, reason),
            Malformed::Shape(reason) => (RuleId::MalformedRecord, reason),
        };
        self.first_malformed.get_or_insert((at.line, reason.clone()));
        let mut verdict = Verdict::default();
        self.broken(&mut verdict, rule, at, "", reason.clone())?;
        self.refused.push(Refused { index, at, rule, reason });
        Ok(())
    }
}

/// One hash of several.
pub(crate) fn combine(parts: &[u64]) -> u64 {
    let mut bytes = [0u8; 64];
    for (slot, part) in bytes.chunks_mut(8).zip(parts) {
        slot.copy_from_slice(&part.to_le_bytes());
    }
    xxh3_64(&bytes[..8 * parts.len().min(8)])
}

/// The first `&name;` or `&#1;`.
fn entity(text: &str) -> Option<&str> {
    memchr::memchr_iter(b'&', text.as_bytes()).find_map(|at| {
        let rest = &text[at..];
        let end = rest.as_bytes().iter().take(12).position(|b| *b == b';')?;
        let body = rest[1..end].strip_prefix('#').unwrap_or(&rest[1..end]);
        (body.len() > 1 && body.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(&rest[..=end])
    })
}

/// The first `<tag ...>`.
fn tag(text: &str) -> Option<&str> {
    memchr::memchr_iter(b'<', text.as_bytes()).find_map(|at| {
        let rest = &text[at..];
        let name = rest.as_bytes().get(1).filter(|b| b.is_ascii_alphabetic() || **b == b'/')?;
        let end = rest.as_bytes().iter().take(100).position(|b| *b == b'>')?;
        (end > 1 || *name != b'/').then_some(&rest[..=end])
    })
}
