//! Parquet input: row groups in slices, only the columns that have a role.

use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::{Location, Record, Visit};
use crate::Error;
use crate::columns::{ColumnMap, Role, is_index_column};
use crate::table::TableReader;
use crate::value::{Scalar, shorten};

const SLICE_ROWS: usize = 16_384;

pub(crate) struct ParquetSource {
    path: PathBuf,
    table: Option<TableReader>,
    columns: Vec<String>,
    rows: usize,
    next: usize,
}

pub(crate) struct ParquetBlock {
    records: Vec<Record<'static>>,
    first_row: u64,
}

impl ParquetSource {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let table = guarded(|| TableReader::open(path))?;
        let mut columns = table.columns().to_vec();
        if columns.first().is_some_and(|name| is_index_column(0, name)) {
            columns.remove(0);
        }
        Ok(Self { path: path.to_owned(), rows: table.rows(), table: Some(table), columns, next: 0 })
    }
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }
    pub(crate) fn progress(&self) -> f64 {
        self.next as f64 / self.rows.max(1) as f64
    }
    pub(crate) fn next_block(&mut self, map: &ColumnMap) -> Result<Option<ParquetBlock>, Error> {
        if self.next >= self.rows {
            return Ok(None);
        }
        if self.table.is_none() {
            self.table = Some(guarded(|| TableReader::open(&self.path))?);
        }
        let Some(table) = &self.table else { return Ok(None) };
        let rows = SLICE_ROWS.min(self.rows - self.next);
        let wanted: Vec<_> = map.names.iter().flatten().cloned().collect();
        let frame = guarded(|| table.read(self.next, rows, Some(&wanted)))?;
        let mut records = vec![Record::default(); frame.height()];
        for role in Role::ALL {
            let Some(name) = map.name(role) else { continue };
            let values = guarded(|| scalars(frame.column(name)?))?;
            for (record, value) in records.iter_mut().zip(values) {
                record[role.index()] = value;
            }
        }
        let block = ParquetBlock { records, first_row: self.next as u64 };
        self.next += rows;
        Ok(Some(block))
    }
}

/// Runs `read`, turning errors and panics of the library on hostile files into one clear error.
fn guarded<T>(read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Error::Internal(message))) => {
            Err(Error::UnknownFormat(format!("the Parquet file cannot be read: {}", shorten(&message, 300))))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::UnknownFormat("the Parquet file is damaged; write it again".into())),
    }
}

fn scalars(column: &Column) -> Result<Vec<Scalar<'static>>, Error> {
    let series = column.as_materialized_series();
    let scalars = match series.dtype() {
        DataType::String => {
            series.str()?.iter().map(|v| v.map_or(Scalar::Null, |v| Scalar::Text(v.to_owned().into()))).collect()
        }
        DataType::Boolean => series.bool()?.iter().map(|v| v.map_or(Scalar::Null, Scalar::Bool)).collect(),
        DataType::Float32 | DataType::Float64 => {
            let floats = series.cast(&DataType::Float64)?;
            floats.f64()?.iter().map(|v| v.map_or(Scalar::Null, Scalar::Float)).collect()
        }
        DataType::Date | DataType::Datetime(..) => {
            let times = series.cast(&DataType::Datetime(TimeUnit::Milliseconds, None))?.cast(&DataType::Int64)?;
            // Milliseconds below 1e11 (before March 1973) would be taken for seconds; reviews are younger.
            times.i64()?.iter().map(|v| v.map_or(Scalar::Null, Scalar::Int)).collect()
        }
        DataType::List(_) => series
            .list()?
            .amortized_iter()
            .map(|list| {
                let Some(list) = list else { return Scalar::Null };
                let list = list.as_ref();
                let Ok(floats) = list.cast(&DataType::Float64) else { return Scalar::Other };
                let at = |i| floats.f64().ok().and_then(|f| f.get(i));
                Scalar::List([at(0), at(1)], list.len())
            })
            .collect(),
        dtype if dtype.is_integer() => {
            let numbers = series.cast(&DataType::Int64)?;
            numbers.i64()?.iter().map(|v| v.map_or(Scalar::Null, Scalar::Int)).collect()
        }
        _ => match series.cast(&DataType::String) {
            Ok(texts) => {
                texts.str()?.iter().map(|v| v.map_or(Scalar::Null, |v| Scalar::Text(v.to_owned().into()))).collect()
            }
            Err(_) => vec![Scalar::Other; series.len()],
        },
    };
    Ok(scalars)
}

impl ParquetBlock {
    pub(crate) fn visit(&self, visit: &mut dyn Visit) -> Result<(), Error> {
        for (index, record) in self.records.iter().enumerate() {
            let row = self.first_row + index as u64;
            visit.record(Location { line: row + 1, byte: row }, record.clone(), false)?;
        }
        Ok(())
    }
    pub(crate) fn raw(&self, index: usize) -> String {
        let values = Role::ALL.iter().map(|role| (role.flag(), self.records[index][role.index()].show()));
        serde_json::Value::Object(values.map(|(k, v)| (k.to_owned(), v.into())).collect()).to_string()
    }
}
