//! Delimited text: `csv-core` finds records and fields on the reading thread, values are read on the workers.

use std::borrow::Cow;

use csv_core::ReadRecordResult;

use super::{BLOCK_BYTES, Location, Malformed, Record, Utf8, Visit};
use crate::columns::{ColumnMap, is_index_column};
use crate::format::Source;
use crate::value::{Scalar, shorten};
use crate::{Error, MAX_RECORD_BYTES};

const BLOCK_RECORDS: usize = 32_768;

#[derive(Debug, Clone, Copy)]
pub(crate) struct CsvSettings {
    /// `None`: judged by the header.
    pub(crate) delimiter: Option<u8>,
    pub(crate) quoting: bool,
}

pub(crate) struct CsvReader {
    source: Source,
    core: csv_core::Reader,
    delimiter: u8,
    quoting: bool,
    input: Vec<u8>,
    used: usize,
    ended: bool,
    line: u64,
    byte: u64,
    columns: Vec<String>,
    /// Whether the first column is a row number to drop.
    index_column: bool,
}

/// Records with their raw bytes and their fields without quotes.
#[derive(Default)]
pub(crate) struct CsvBlock {
    raw: Vec<u8>,
    fields: Vec<u8>,
    /// Bytes of `fields` in use.
    written: usize,
    /// End of each field in `fields`.
    ends: Vec<u32>,
    records: Vec<RecordSpan>,
    columns: Vec<String>,
}

struct RecordSpan {
    raw: (u32, u32),
    field_start: u32,
    ends: (u32, u32),
    line: u64,
    byte: u64,
    unclosed: bool,
}

impl CsvReader {
    pub(crate) fn open(mut source: Source, settings: CsvSettings) -> Result<Self, Error> {
        let byte = source.position();
        let mut input = Vec::new();
        let ended = source.fill(&mut input, BLOCK_BYTES)? < BLOCK_BYTES;
        let delimiter = settings.delimiter.unwrap_or_else(|| guess_delimiter(&input));
        let core = csv_core::ReaderBuilder::new().delimiter(delimiter).quoting(settings.quoting).build();
        let (quoting, columns) = (settings.quoting, Vec::new());
        let mut reader = Self {
            source,
            core,
            delimiter,
            quoting,
            input,
            used: 0,
            ended,
            line: 1,
            byte,
            columns,
            index_column: false,
        };
        let mut header = CsvBlock::default();
        if !reader.read_record(&mut header)? {
            return Err(Error::Empty("the file has no header".into()));
        }
        let names: Vec<_> = header.fields_of(0).map(|f| String::from_utf8_lossy(f).trim().to_owned()).collect();
        reader.index_column = names.len() > 1 && is_index_column(0, &names[0]);
        reader.columns = names;
        Ok(reader)
    }
    /// Every column of the header; the dropped row number has an empty name or `Unnamed: 0`.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns[usize::from(self.index_column)..]
    }
    pub(crate) fn progress(&self) -> f64 {
        self.source.progress()
    }

    pub(crate) fn next_block(&mut self) -> Result<Option<CsvBlock>, Error> {
        let mut block = CsvBlock { columns: self.columns.clone(), ..CsvBlock::default() };
        block.raw.reserve(BLOCK_BYTES + BLOCK_BYTES / 8);
        block.fields.reserve(BLOCK_BYTES + BLOCK_BYTES / 8);
        while block.raw.len() < BLOCK_BYTES && block.records.len() < BLOCK_RECORDS && self.read_record(&mut block)? {}
        Ok((!block.records.is_empty()).then_some(block))
    }

    /// Appends one record; `false` at the end.
    fn read_record(&mut self, block: &mut CsvBlock) -> Result<bool, Error> {
        let (raw_start, field_start, ends_start) = (block.raw.len(), block.written, block.ends.len());
        let mut ends = [0usize; 64];
        let mut written = field_start;
        let found = loop {
            if self.used == self.input.len() && !self.ended {
                self.input.clear();
                self.used = 0;
                self.ended = self.source.fill(&mut self.input, BLOCK_BYTES)? < BLOCK_BYTES;
            }
            if block.fields.len() < written + 4096 {
                block.fields.resize(written + 64 * 1024, 0);
            }
            let input = &self.input[self.used..];
            let (result, read, wrote, ended) = self.core.read_record(input, &mut block.fields[written..], &mut ends);
            block.raw.extend_from_slice(&input[..read]);
            self.used += read;
            written += wrote;
            // `csv-core` counts field ends from the start of the record.
            block.ends.extend(ends[..ended].iter().map(|end| (field_start + end) as u32));
            if block.raw.len() - raw_start > MAX_RECORD_BYTES {
                let hint = "is a quote not closed, or the delimiter wrong?";
                let line = self.line + blank_lines(&block.raw[raw_start..]).1;
                return Err(Error::RecordTooLong { line, limit: MAX_RECORD_BYTES, hint });
            }
            match result {
                ReadRecordResult::Record => break true,
                ReadRecordResult::End => break false,
                ReadRecordResult::InputEmpty | ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
            }
        };
        block.written = written;
        let bytes = &block.raw[raw_start..];
        let (skipped, skipped_lines) = blank_lines(bytes);
        let at = (self.line + skipped_lines, self.byte + skipped as u64);
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.byte += bytes.len() as u64;
        if !found {
            block.raw.truncate(raw_start);
            return Ok(false);
        }
        let last = self.ended && self.used == self.input.len();
        let unclosed = last && self.quoting && ends_in_quotes(&bytes[skipped..], self.delimiter);
        block.records.push(RecordSpan {
            raw: ((raw_start + skipped) as u32, block.raw.len() as u32),
            field_start: field_start as u32,
            ends: (ends_start as u32, block.ends.len() as u32),
            line: at.0,
            byte: at.1,
            unclosed,
        });
        Ok(true)
    }
}

/// Whether a record stops within a quoted field.
fn ends_in_quotes(bytes: &[u8], delimiter: u8) -> bool {
    let (mut quoted, mut field_start) = (false, true);
    for byte in bytes {
        if quoted {
            // A doubled quote closes and opens again, which comes to the same.
            quoted = *byte != b'"';
            field_start = !quoted;
        } else {
            quoted = *byte == b'"' && field_start;
            field_start = *byte == delimiter;
        }
    }
    quoted
}

/// Bytes and lines of the line ends before the record itself (the rest of a CRLF, blank lines).
fn blank_lines(bytes: &[u8]) -> (usize, u64) {
    let skipped = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    (skipped, memchr::memchr_iter(b'\n', &bytes[..skipped]).count() as u64)
}

/// The most frequent of `,` tab `;` `|` outside quotes in the first line; comma when none is there.
fn guess_delimiter(input: &[u8]) -> u8 {
    let mut counts = [(b',', 0usize), (b'\t', 0), (b';', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in input.iter().skip_while(|b| b.is_ascii_whitespace() && **b != b'\t') {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            byte => counts.iter_mut().filter(|(d, _)| d == byte).for_each(|(_, n)| *n += 1),
        }
    }
    // The first of equals wins: max_by_key takes the last, hence the reversal.
    counts.iter().rev().max_by_key(|(_, n)| *n).map_or(b',', |(d, n)| if *n == 0 { b',' } else { *d })
}

impl CsvBlock {
    pub(crate) fn raw(&self, index: usize) -> &[u8] {
        let (start, end) = self.records[index].raw;
        self.raw[start as usize..end as usize].trim_ascii_end()
    }
    fn fields_of(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        let span = &self.records[index];
        let mut start = span.field_start as usize;
        self.ends[span.ends.0 as usize..span.ends.1 as usize].iter().map(move |end| {
            let field = &self.fields[start..*end as usize];
            start = *end as usize;
            field
        })
    }

    pub(crate) fn visit(&self, map: &ColumnMap, utf8: Utf8, visit: &mut dyn Visit) -> Result<(), Error> {
        let roles: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, name)| {
                // Of two columns with one name the first counts.
                let first = self.columns.iter().position(|c| c == name) == Some(i);
                if first { map.role_of(name) } else { None }
            })
            .collect();
        for (index, span) in self.records.iter().enumerate() {
            let at = Location { line: span.line, byte: span.byte };
            let width = (span.ends.1 - span.ends.0) as usize;
            if span.unclosed {
                visit.malformed(at, Malformed::Shape("a quote is not closed before the end of the file".into()))?;
                continue;
            }
            if width != roles.len() {
                let why = format!("{width} fields where the header has {}", roles.len());
                visit.malformed(at, Malformed::Shape(why))?;
                continue;
            }
            let mut record = Record::default();
            let mut wrong = None;
            let mut replaced = false;
            for (field, role) in self.fields_of(index).zip(&roles) {
                let Some(role) = role else { continue };
                let text = match (std::str::from_utf8(field), utf8) {
                    (Ok(text), _) => Cow::Borrowed(text),
                    (Err(error), Utf8::Refuse) => {
                        let before =
                            shorten(std::str::from_utf8(&field[..error.valid_up_to()]).unwrap_or_default(), 40)
                                .into_owned();
                        wrong = Some(format!(
                            "column `{}` is not UTF-8 after `{before}`",
                            map.name(*role).unwrap_or_default()
                        ));
                        break;
                    }
                    (Err(_), Utf8::Replace) => {
                        replaced = true;
                        String::from_utf8_lossy(field)
                    }
                };
                record[role.index()] = if text.is_empty() { Scalar::Null } else { Scalar::Text(text) };
            }
            match wrong {
                Some(why) => visit.malformed(at, Malformed::Utf8(why))?,
                None => visit.record(at, record, replaced)?,
            }
        }
        Ok(())
    }
}
