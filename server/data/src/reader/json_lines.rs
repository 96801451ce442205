//! JSON lines: blocks end at line ends; each line is parsed straight into the roles' values, other keys are skipped.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{BLOCK_BYTES, Location, Malformed, Record, Utf8, Visit};
use crate::columns::{ColumnMap, Role};
use crate::format::Source;
use crate::value::Scalar;
use crate::{Error, MAX_RECORD_BYTES};

pub(crate) struct JsonReader {
    source: Source,
    carry: Vec<u8>,
    line: u64,
    byte: u64,
    ended: bool,
    ahead: VecDeque<JsonBlock>,
    columns: Vec<String>,
}

/// Whole lines, with where they begin.
pub(crate) struct JsonBlock {
    data: Vec<u8>,
    first_line: u64,
    first_byte: u64,
    /// Start and end of each line that is not blank, and its number within the block.
    lines: Vec<(u32, u32, u32)>,
}

const SAMPLE_RECORDS: usize = 200;

impl JsonReader {
    pub(crate) fn open(source: Source) -> Result<Self, Error> {
        let mut reader = Self {
            byte: source.position(),
            source,
            carry: Vec::new(),
            line: 1,
            ended: false,
            ahead: VecDeque::new(),
            columns: Vec::new(),
        };
        if let Some(block) = reader.cut()? {
            for index in 0..block.lines.len().min(SAMPLE_RECORDS) {
                let keys = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(block.raw(index));
                for key in keys.unwrap_or_default().keys() {
                    if !reader.columns.contains(key) && reader.columns.len() < 500 {
                        reader.columns.push(key.clone());
                    }
                }
            }
            reader.ahead.push_back(block);
        }
        Ok(reader)
    }
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }
    pub(crate) fn progress(&self) -> f64 {
        self.source.progress()
    }
    pub(crate) fn next_block(&mut self) -> Result<Option<JsonBlock>, Error> {
        match self.ahead.pop_front() {
            Some(block) => Ok(Some(block)),
            None => self.cut(),
        }
    }

    fn cut(&mut self) -> Result<Option<JsonBlock>, Error> {
        let mut data = std::mem::take(&mut self.carry);
        data.reserve(BLOCK_BYTES);
        loop {
            let searched = data.len();
            if !self.ended && self.source.fill(&mut data, BLOCK_BYTES)? < BLOCK_BYTES {
                self.ended = true;
            }
            if self.ended {
                break;
            }
            if let Some(at) = memchr::memrchr(b'\n', &data[searched..]) {
                self.carry = data.split_off(searched + at + 1);
                break;
            }
            if data.len() > MAX_RECORD_BYTES {
                return Err(too_long(self.line));
            }
        }
        if data.is_empty() {
            return Ok(None);
        }
        let mut lines = Vec::with_capacity(data.len() / 256);
        let (mut start, mut number) = (0, 0u32);
        for end in memchr::memchr_iter(b'\n', &data).chain((data.last() != Some(&b'\n')).then_some(data.len())) {
            if end - start > MAX_RECORD_BYTES {
                return Err(too_long(self.line + u64::from(number)));
            }
            if !data[start..end].iter().all(u8::is_ascii_whitespace) {
                lines.push((start as u32, end as u32, number));
            }
            start = end + 1;
            number += 1;
        }
        let block = JsonBlock { first_line: self.line, first_byte: self.byte, lines, data };
        self.line += u64::from(number);
        self.byte += block.data.len() as u64;
        Ok(Some(block))
    }
}

fn too_long(line: u64) -> Error {
    let hint = "JSON lines need a newline after each object";
    Error::RecordTooLong { line, limit: MAX_RECORD_BYTES, hint }
}

impl JsonBlock {
    pub(crate) fn raw(&self, index: usize) -> &[u8] {
        let (start, end, _) = self.lines[index];
        let line = &self.data[start as usize..end as usize];
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    pub(crate) fn visit(&self, map: &ColumnMap, utf8: Utf8, visit: &mut dyn Visit) -> Result<(), Error> {
        let valid = std::str::from_utf8(&self.data).is_ok();
        for (index, (start, _, number)) in self.lines.iter().enumerate() {
            let at = Location { line: self.first_line + u64::from(*number), byte: self.first_byte + u64::from(*start) };
            let raw = self.raw(index);
            let checked = if valid { Ok(()) } else { std::str::from_utf8(raw).map(|_| ()) };
            let line = match (checked, utf8) {
                (Ok(()), _) => Cow::Borrowed(raw),
                (Err(error), Utf8::Refuse) => {
                    let byte = at.byte + error.valid_up_to() as u64;
                    visit.malformed(at, Malformed::Utf8(format!("byte {byte} is not UTF-8")))?;
                    continue;
                }
                (Err(_), Utf8::Replace) => Cow::Owned(String::from_utf8_lossy(raw).into_owned().into_bytes()),
            };
            match parse(&line, map) {
                Ok(record) => visit.record(at, record, matches!(line, Cow::Owned(_)))?,
                Err(error) => visit.malformed(at, Malformed::Shape(format!("not a JSON object: {error}")))?,
            }
        }
        Ok(())
    }
}

fn parse<'a>(line: &'a [u8], map: &ColumnMap) -> Result<Record<'a>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let record = RecordSeed(map).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(record)
}

struct RecordSeed<'m>(&'m ColumnMap);

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = Record<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Record<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut record = Record::default();
        while let Some(role) = access.next_key_seed(KeySeed(self.0))? {
            match role {
                Some(role) => record[role.index()] = access.next_value_seed(ScalarSeed)?,
                None => {
                    access.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(record)
    }
}

struct KeySeed<'m>(&'m ColumnMap);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<Role>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<Role>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.role_of(key))
    }
}

struct ScalarSeed;

impl<'de> DeserializeSeed<'de> for ScalarSeed {
    type Value = Scalar<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed {
    type Value = Scalar<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Scalar::Float(value as f64), Scalar::Int))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float(value))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }
    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (mut pair, mut length, mut other) = ([None; 2], 0, false);
        while let Some(value) = access.next_element_seed(ScalarSeed)? {
            match value {
                Scalar::List(..) | Scalar::Other | Scalar::Bool(_) => other = true,
                value if length < 2 => pair[length] = value.to_number(),
                _ => {}
            }
            length += 1;
        }
        Ok(if other { Scalar::Other } else { Scalar::List(pair, length) })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
