//! Readers cut a source into blocks of records on one thread; the records are parsed on many.

mod csv;
mod json_lines;
mod parquet;

use std::borrow::Cow;
use std::path::Path;

pub(crate) use csv::{CsvBlock, CsvReader, CsvSettings};
pub(crate) use json_lines::{JsonBlock, JsonReader};
pub(crate) use parquet::{ParquetBlock, ParquetSource};

use crate::columns::{ColumnMap, ROLES};
use crate::format::Source;
use crate::value::Scalar;
use crate::{Error, Format};

/// Raw bytes that a block aims for.
pub(crate) const BLOCK_BYTES: usize = 4 << 20;

/// The values of one record by role.
pub(crate) type Record<'a> = [Scalar<'a>; ROLES];

/// Where a record stands in its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Location {
    /// Line from 1; the row from 1 in Parquet.
    pub(crate) line: u64,
    /// Byte from 0 of the decompressed file; the row from 0 in Parquet.
    pub(crate) byte: u64,
}

/// Why a record could not be read at all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Malformed {
    Utf8(String),
    Shape(String),
}

pub(crate) enum Reader {
    Csv(Box<CsvReader>),
    Json(JsonReader),
    Parquet(ParquetSource),
}

pub(crate) enum Block {
    Csv(CsvBlock),
    Json(JsonBlock),
    Parquet(ParquetBlock),
}

impl Reader {
    pub(crate) fn open(path: &Path, format: Format, csv: CsvSettings) -> Result<Self, Error> {
        Ok(match format {
            Format::Csv | Format::Tsv => Self::Csv(Box::new(CsvReader::open(Source::open(path)?, csv)?)),
            Format::JsonLines => Self::Json(JsonReader::open(Source::open(path)?)?),
            Format::Parquet => Self::Parquet(ParquetSource::open(path)?),
        })
    }
    /// The columns, as far as they can be known before the file is read.
    pub(crate) fn columns(&self) -> &[String] {
        match self {
            Self::Csv(reader) => reader.columns(),
            Self::Json(reader) => reader.columns(),
            Self::Parquet(reader) => reader.columns(),
        }
    }
    pub(crate) fn next_block(&mut self, map: &ColumnMap) -> Result<Option<Block>, Error> {
        Ok(match self {
            Self::Csv(reader) => reader.next_block()?.map(Block::Csv),
            Self::Json(reader) => reader.next_block()?.map(Block::Json),
            Self::Parquet(reader) => reader.next_block(map)?.map(Block::Parquet),
        })
    }
    pub(crate) fn progress(&self) -> f64 {
        match self {
            Self::Csv(reader) => reader.progress(),
            Self::Json(reader) => reader.progress(),
            Self::Parquet(reader) => reader.progress(),
        }
    }
}

/// What to do with bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Utf8 {
    Refuse,
    /// Replaces them by U+FFFD.
    Replace,
}

/// Told of each record in order.
pub(crate) trait Visit {
    /// `replaced`: invalid UTF-8 was replaced.
    fn record(&mut self, at: Location, record: Record<'_>, replaced: bool) -> Result<(), Error>;
    fn malformed(&mut self, at: Location, why: Malformed) -> Result<(), Error>;
}

impl Block {
    pub(crate) fn visit(&self, map: &ColumnMap, utf8: Utf8, visit: &mut dyn Visit) -> Result<(), Error> {
        match self {
            Self::Csv(block) => block.visit(map, utf8, visit),
            Self::Json(block) => block.visit(map, utf8, visit),
            Self::Parquet(block) => block.visit(visit),
        }
    }
    /// The bytes of record `index`, as they stand in the file (a rendering for Parquet).
    pub(crate) fn raw(&self, index: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Csv(block) => Cow::Borrowed(block.raw(index)),
            Self::Json(block) => Cow::Borrowed(block.raw(index)),
            Self::Parquet(block) => Cow::Owned(block.raw(index).into_bytes()),
        }
    }
}
