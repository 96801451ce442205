//! Takes checked blocks in order: finds duplicates, writes the tables, keeps the profile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::check::{Checked, Refused, RowFacts, combine};
use super::{Import, ImportOptions};
use crate::columns::{ColumnMap, LabelKind, Role};
use crate::language::LanguageSample;
use crate::minhash::{Groups, Signature, join_near};
use crate::profile::ColumnState;
use crate::reader::{Block, Location};
use crate::rules::{Findings, Policy, RuleId, Severity};
use crate::table::{TableWriter, schema};
use crate::{Error, Format, LabelCount, Profile, RuleSet, Work};

/// Bytes of a quarantined record that are kept.
const MAX_RAW_BYTES: usize = 4096;
/// Records after which a file of mostly malformed records is given up.
const EARLY_RECORDS: u64 = 1000;
/// Rows beyond which near duplicates are no longer looked for: 60 bytes of memory a row.
const MAX_NEAR_ROWS: usize = 8_000_000;

/// Columns of `accepted.parquet` in order.
pub(super) fn accepted_schema() -> Schema {
    let (text, number) = (DataType::String, DataType::Int64);
    schema(&[
        ("row_id", number.clone()),
        ("line", number.clone()),
        ("text", text.clone()),
        ("label", text.clone()),
        ("user", text.clone()),
        ("item", text.clone()),
        ("time", number.clone()),
        ("helpful_up", number.clone()),
        ("helpful_total", number),
        ("summary", text),
    ])
}

fn quarantine_schema() -> Schema {
    let (text, number) = (DataType::String, DataType::Int64);
    schema(&[
        ("line", number.clone()),
        ("byte", number),
        ("rule", text.clone()),
        ("reason", text.clone()),
        ("record", text),
    ])
}

pub(super) struct Store<'a> {
    rules: &'a RuleSet,
    accepted: TableWriter,
    quarantine: TableWriter,
    data_path: PathBuf,
    quarantine_path: PathBuf,
    pub(super) findings: Findings,
    read: u64,
    malformed: u64,
    first_malformed: Option<(u64, String)>,
    repaired: u64,
    repairs: BTreeMap<RuleId, u64>,
    quarantined: BTreeMap<RuleId, u64>,
    keys: HashSet<u64>,
    contents: HashMap<u64, u32>,
    signatures: Vec<Signature>,
    lines: Vec<(u64, u64)>,
    labels: BTreeMap<String, u64>,
    languages: LanguageSample,
    columns: Vec<(&'static str, ColumnState)>,
    chars: ColumnState,
    words: ColumnState,
}

impl<'a> Store<'a> {
    pub(super) fn create(data: &Path, quarantine: &Path, rules: &'a RuleSet) -> Result<Self, Error> {
        let numbers = ["time", "helpful_up", "helpful_total"];
        let names = ["text", "label", "user", "item", "time", "helpful_up", "helpful_total", "summary"];
        let state = |name| if numbers.contains(&name) { ColumnState::of_numbers() } else { ColumnState::default() };
        Ok(Self {
            rules,
            accepted: TableWriter::create(data, &accepted_schema())?,
            quarantine: TableWriter::create(quarantine, &quarantine_schema())?,
            data_path: data.to_owned(),
            quarantine_path: quarantine.to_owned(),
            findings: Findings::default(),
            read: 0,
            malformed: 0,
            first_malformed: None,
            repaired: 0,
            repairs: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            keys: HashSet::new(),
            contents: HashMap::new(),
            signatures: Vec::new(),
            lines: Vec::new(),
            labels: BTreeMap::new(),
            languages: LanguageSample::default(),
            columns: names.into_iter().map(|name| (name, state(name))).collect(),
            chars: ColumnState::of_numbers(),
            words: ColumnState::of_numbers(),
        })
    }

    pub(super) fn add(&mut self, checked: Checked) -> Result<(), Error> {
        let Checked { block, mut frame, mut rows, mut refused, findings, repairs, read, malformed, first_malformed } =
            checked;
        self.read += read;
        self.malformed += malformed;
        self.findings.merge(findings);
        if self.first_malformed.is_none() {
            self.first_malformed = first_malformed;
        }
        if self.read >= EARLY_RECORDS {
            self.give_up_when_mostly_malformed()?;
        }
        let repeated = self.repeated(&rows)?;
        if repeated.contains(&true) && self.rules.setting(RuleId::DuplicateRow).policy == Policy::Quarantine {
            let keep: BooleanChunked = repeated.iter().map(|repeated| Some(!repeated)).collect();
            frame = frame.filter(&keep)?;
            let mut repeated = repeated.iter();
            rows.retain(|row| {
                let repeated = repeated.next() == Some(&true);
                if repeated {
                    let reason = "an earlier row has the same text, user and item".to_owned();
                    refused.push(Refused { index: row.index, at: row.at, rule: RuleId::DuplicateRow, reason });
                }
                !repeated
            });
            refused.sort_by_key(|refused| refused.index);
        }
        for (rule, count) in repairs {
            *self.repairs.entry(rule).or_default() += count;
        }
        self.write_refused(&block, &refused)?;
        self.write_accepted(frame, &rows)
    }

    /// Which rows repeat an earlier one; records the findings.
    fn repeated(&mut self, rows: &[RowFacts]) -> Result<Vec<bool>, Error> {
        let setting = self.rules.setting(RuleId::DuplicateRow);
        if setting.severity == Severity::Off {
            return Ok(vec![false; rows.len()]);
        }
        let mut repeated = Vec::with_capacity(rows.len());
        for row in rows {
            let again = !self.keys.insert(row.key);
            repeated.push(again);
            if again {
                let reason = "an earlier row has the same text, user and item";
                self.findings.add(RuleId::DuplicateRow, row.at, "", reason);
                if setting.policy == Policy::Reject {
                    let rule = RuleId::DuplicateRow.as_str().into();
                    return Err(Error::Rejected { rule, line: row.at.line, reason: reason.into() });
                }
            }
        }
        Ok(repeated)
    }

    fn write_refused(&mut self, block: &Block, refused: &[Refused]) -> Result<(), Error> {
        for row in refused {
            *self.quarantined.entry(row.rule).or_default() += 1;
        }
        let raw = |row: &Refused| {
            let raw = block.raw(row.index);
            String::from_utf8_lossy(&raw[..raw.len().min(MAX_RAW_BYTES)]).into_owned()
        };
        self.quarantine.write(DataFrame::new_infer_height(vec![
            Column::new("line".into(), refused.iter().map(|r| r.at.line as i64).collect::<Vec<_>>()),
            Column::new("byte".into(), refused.iter().map(|r| r.at.byte as i64).collect::<Vec<_>>()),
            Column::new("rule".into(), refused.iter().map(|r| r.rule.as_str()).collect::<Vec<_>>()),
            Column::new("reason".into(), refused.iter().map(|r| r.reason.as_str()).collect::<Vec<_>>()),
            Column::new("record".into(), refused.iter().map(raw).collect::<Vec<_>>()),
        ])?)
    }

    fn write_accepted(&mut self, mut frame: DataFrame, rows: &[RowFacts]) -> Result<(), Error> {
        let mut ids = Vec::with_capacity(rows.len());
        for row in rows {
            // Rows that repeat another and are accepted all the same get an id of their own.
            let count = self.contents.entry(row.content).or_default();
            let id = if *count == 0 { row.content } else { combine(&[row.content, u64::from(*count)]) };
            *count += 1;
            ids.push(id.cast_signed());
            self.repaired += u64::from(row.repaired);
            self.chars.add_number(Some(i64::from(row.chars)));
            self.words.add_number(Some(i64::from(row.words)));
            if self.signatures.len() < MAX_NEAR_ROWS {
                self.signatures.push(row.signature);
                self.lines.push((row.at.line, row.at.byte));
            }
        }
        for (name, state) in &mut self.columns {
            let column = frame.column(name)?;
            match (*name, column.dtype()) {
                ("text", _) => {
                    for ((row, id), text) in rows.iter().zip(&ids).zip(column.str()?.iter()) {
                        state.add_hashed(text.map(|text| (row.text_hash, text.len())));
                        self.languages.add(id.cast_unsigned(), text.unwrap_or_default());
                    }
                }
                (_, DataType::Int64) => column.i64()?.iter().for_each(|value| state.add_number(value)),
                _ => column.str()?.iter().for_each(|value| state.add_text(value)),
            }
        }
        for label in frame.column("label")?.str()?.iter().flatten() {
            match self.labels.get_mut(label) {
                Some(count) => *count += 1,
                None => {
                    self.labels.insert(label.to_owned(), 1);
                }
            }
        }
        if self.labels.len() > 1000 {
            let message = "has more than 1,000 different values; name the label column with `--label`";
            return Err(Error::option("label", message));
        }
        frame.insert_column(0, Column::new("row_id".into(), ids))?;
        self.accepted.write(frame)
    }

    fn give_up_when_mostly_malformed(&self) -> Result<(), Error> {
        if self.malformed * 2 <= self.read {
            return Ok(());
        }
        let (line, reason) = self.first_malformed.clone().unwrap_or_default();
        Err(Error::TooManyMalformed { bad: self.malformed, read: self.read, line, reason })
    }

    pub(super) fn finish(
        mut self,
        format: Format,
        label_kind: LabelKind,
        map: &ColumnMap,
        left_out: Vec<String>,
        options: &ImportOptions,
        work: &Work<'_>,
    ) -> Result<Import, Error> {
        if self.read == 0 {
            return Err(Error::Empty("the file has no rows".into()));
        }
        self.give_up_when_mostly_malformed()?;
        if self.rules.setting(RuleId::NearDuplicates).severity != Severity::Off {
            (work.progress)(0.98, "near duplicates");
            let mut groups = Groups::new(self.signatures.len());
            for (row, other) in join_near(&self.signatures, &mut groups) {
                let ((line, byte), (other, _)) = (self.lines[row as usize], self.lines[other as usize]);
                let reason = format!("much like the text at line {other}");
                self.findings.add(RuleId::NearDuplicates, Location { line, byte }, "", &reason);
            }
        }
        work.check()?;
        let rows = self.accepted.finish()?;
        let quarantined = self.quarantine.finish()?;
        if rows == 0 {
            let rules = self.quarantined.keys().map(|rule| rule.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::NoRows(format!("none of {} rows is acceptable (broken: {rules})", self.read)));
        }
        let labels: Vec<LabelCount> = self
            .labels
            .iter()
            .map(|(label, count)| LabelCount { label: label.clone(), rows: *count, share: *count as f64 / rows as f64 })
            .collect();
        let rare = labels.iter().filter(|l| l.share < 0.01);
        let single = (labels.len() == 1).then(|| labels.first()).flatten();
        if self.rules.setting(RuleId::LabelBalance).severity != Severity::Off {
            for label in rare.chain(single) {
                let value = format!("{}: {} rows", label.label, label.rows);
                let reason = if labels.len() == 1 { "the only label" } else { "on fewer than 1 % of the rows" };
                self.findings.add(RuleId::LabelBalance, Location { line: 0, byte: 0 }, &value, reason);
            }
        }
        let source = |name: &str| {
            let role = Role::ALL.into_iter().find(|role| role.flag() == name);
            let votes = || map.name(Role::Helpful).or(map.name(Role::Votes));
            if name.starts_with("helpful_") { votes() } else { role.and_then(|role| map.name(role)) }
        };
        let mut columns: Vec<_> = self.columns.iter().map(|(name, state)| state.finish(name, source(name))).collect();
        columns.push(self.chars.finish("text_chars", None));
        columns.push(self.words.finish("text_words", None));
        let size_bytes = columns[..self.columns.len()].iter().map(|c| c.size_bytes).sum();
        let languages = self.languages.profile(work.threads);
        let named =
            |counts: BTreeMap<RuleId, u64>| counts.into_iter().map(|(r, n)| (r.as_str().to_owned(), n)).collect();
        Ok(Import {
            format,
            rows_read: self.read,
            rows_accepted: rows,
            rows_repaired: self.repaired,
            repairs: named(self.repairs),
            rows_quarantined: quarantined,
            quarantined: named(self.quarantined),
            profile: Profile { rows, label_kind, columns, labels, languages, left_out, size_bytes },
            validation: self.findings.report(&options.rules, self.read),
            data: self.data_path,
            quarantine: (quarantined > 0).then_some(self.quarantine_path),
        })
    }
}
