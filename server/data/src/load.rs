//! Tables read back: plain vectors for training, JSON rows for previews.

use std::path::Path;

use polars::prelude::*;
use tenor_domain::Timestamp;
use tenor_features::contract::FeatureContract;

use crate::table::TableReader;
use crate::{Error, row_id_text};

/// Rows of one part as plain vectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadedRows {
    pub row_ids: Vec<i64>,
    pub texts: Vec<String>,
    pub cleaned: Vec<String>,
    /// Row-major: `contract.numeric.len()` values a row, in the contract's order. `None` is to be imputed.
    pub numeric: Vec<Option<f64>>,
    /// Index into `contract.classes`.
    pub labels: Vec<u32>,
}

const SLICE_ROWS: usize = 65_536;

/// Reads a table that [`crate::process`] wrote, with the numeric features that `contract` names.
///
/// # Errors
/// [`Error::MissingColumn`] when the table lacks a feature of the contract, [`Error::InvalidOption`] when a label is none of its classes.
pub fn load_examples(path: &Path, contract: &FeatureContract) -> Result<LoadedRows, Error> {
    let table = TableReader::open(path)?;
    let names: Vec<String> = contract.numeric.iter().map(|feature| feature.name.clone()).collect();
    let mut columns: Vec<String> = ["row_id", "text", "cleaned", "label_text"].map(str::to_owned).to_vec();
    columns.extend(names.iter().cloned());
    for name in &columns {
        if !table.columns().contains(name) {
            let message = format!("the table has no column `{name}`; process the dataset again");
            return Err(Error::MissingColumn { role: "feature", columns: table.columns().to_vec(), message });
        }
    }
    let mut rows = LoadedRows::default();
    for offset in (0..table.rows()).step_by(SLICE_ROWS) {
        let frame = table.read(offset, SLICE_ROWS, Some(&columns))?;
        rows.row_ids.extend(frame.column("row_id")?.i64()?.iter().map(|v| v.unwrap_or(0)));
        rows.texts.extend(frame.column("text")?.str()?.iter().map(|v| v.unwrap_or("").to_owned()));
        rows.cleaned.extend(frame.column("cleaned")?.str()?.iter().map(|v| v.unwrap_or("").to_owned()));
        for label in frame.column("label_text")?.str()?.iter() {
            let label = label.unwrap_or("");
            let Some(class) = contract.classes.iter().position(|class| class == label) else {
                return Err(Error::option("contract", format!("has no class `{label}`, which the table holds")));
            };
            rows.labels.push(class as u32);
        }
        let start = rows.numeric.len();
        rows.numeric.resize(start + frame.height() * names.len(), None);
        for (feature, name) in names.iter().enumerate() {
            for (row, value) in frame.column(name)?.f64()?.iter().enumerate() {
                rows.numeric[start + row * names.len() + feature] = value;
            }
        }
    }
    Ok(rows)
}

/// The group of each row of a table that [`crate::process`] wrote, in its order: copies, near copies and, in a grouped split, rows of the
/// same user or item share one.
///
/// # Errors
/// [`Error::MissingColumn`] when the table is older than groups are.
pub fn load_groups(path: &Path) -> Result<Vec<i64>, Error> {
    let table = TableReader::open(path)?;
    let Some(groups) = integers(&table, "group_id")? else {
        let message = "the split was made before rows had groups; make a new one, e.g. with another seed".to_owned();
        return Err(Error::MissingColumn { role: "group", columns: table.columns().to_vec(), message });
    };
    Ok(groups.into_iter().map(Option::unwrap_or_default).collect())
}

/// When each row of a table that [`crate::process`] wrote was written, in its order; `None` where that is not known, as in all of an
/// older table.
pub fn load_times(path: &Path) -> Result<Vec<Option<Timestamp>>, Error> {
    let table = TableReader::open(path)?;
    let times = integers(&table, "time")?.unwrap_or_else(|| vec![None; table.rows()]);
    Ok(times.into_iter().map(|time| time.map(Timestamp)).collect())
}

/// A column of whole numbers; `None` when there is no such column.
fn integers(table: &TableReader, column: &str) -> Result<Option<Vec<Option<i64>>>, Error> {
    let column = column.to_owned();
    if !table.columns().contains(&column) {
        return Ok(None);
    }
    let mut numbers = Vec::with_capacity(table.rows());
    for offset in (0..table.rows()).step_by(SLICE_ROWS) {
        let frame = table.read(offset, SLICE_ROWS, Some(std::slice::from_ref(&column)))?;
        numbers.extend(frame.column(&column)?.i64()?.iter());
    }
    Ok(Some(numbers))
}

/// Rows `offset..offset + limit` of a table as JSON objects, columns in their order; ids as 16 hex digits.
///
/// # Errors
/// [`Error::Io`] and [`Error::Internal`]; an offset past the end is an empty page.
pub fn read_rows(path: &Path, offset: usize, limit: usize) -> Result<Vec<serde_json::Value>, Error> {
    let table = TableReader::open(path)?;
    if offset >= table.rows() || limit == 0 {
        return Ok(Vec::new());
    }
    let frame = table.read(offset, limit, None)?;
    let mut rows = vec![serde_json::Map::new(); frame.height()];
    for column in frame.columns() {
        let values: Vec<serde_json::Value> = match column.dtype() {
            DataType::Int64 if ["row_id", "group_id"].contains(&column.name().as_str()) => {
                column.i64()?.iter().map(|v| v.map(row_id_text).into()).collect()
            }
            DataType::Int64 => column.i64()?.iter().map(Into::into).collect(),
            DataType::UInt32 => column.u32()?.iter().map(Into::into).collect(),
            DataType::Float64 => column.f64()?.iter().map(Into::into).collect(),
            _ => column.str()?.iter().map(Into::into).collect(),
        };
        for (row, value) in rows.iter_mut().zip(values) {
            row.insert(column.name().to_string(), value);
        }
    }
    Ok(rows.into_iter().map(serde_json::Value::Object).collect())
}
