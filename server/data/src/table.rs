//! Parquet files in and out, row groups at a time. The rest of the crate speaks of tables, not of files.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::*;

use crate::Error;
use crate::error::Attempt as _;

/// Rows that a row group aims for.
pub(crate) const ROW_GROUP_ROWS: usize = 65_536;

/// Writes frames of one schema as zstd Parquet; row groups depend on the rows alone.
pub(crate) struct TableWriter {
    writer: BatchedWriter<BufWriter<File>>,
    pending: Option<DataFrame>,
    rows: u64,
    group_rows: usize,
}

impl TableWriter {
    pub(crate) fn create(path: &Path, schema: &Schema) -> Result<Self, Error> {
        Self::with_group_rows(path, schema, ROW_GROUP_ROWS)
    }
    pub(crate) fn with_group_rows(path: &Path, schema: &Schema, group_rows: usize) -> Result<Self, Error> {
        let file = File::create(path).attempt(|| format!("create `{}`", path.display()))?;
        let writer = ParquetWriter::new(BufWriter::with_capacity(1 << 20, file))
            .with_compression(ParquetCompression::Zstd(None))
            .batched(schema)?;
        Ok(Self { writer, pending: None, rows: 0, group_rows })
    }
    pub(crate) fn write(&mut self, frame: DataFrame) -> Result<(), Error> {
        if frame.height() == 0 {
            return Ok(());
        }
        self.rows += frame.height() as u64;
        let mut all = match self.pending.take() {
            Some(mut pending) => {
                pending.vstack_mut(&frame)?;
                pending
            }
            None => frame,
        };
        while all.height() >= self.group_rows {
            let mut group = all.slice(0, self.group_rows);
            self.flush(&mut group)?;
            all = all.slice(self.group_rows as i64, all.height() - self.group_rows);
        }
        self.pending = (all.height() > 0).then_some(all);
        Ok(())
    }
    fn flush(&mut self, group: &mut DataFrame) -> Result<(), Error> {
        group.rechunk_mut();
        Ok(self.writer.write_batch(group)?)
    }
    /// Writes the footer and returns the rows.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        if let Some(mut pending) = self.pending.take() {
            self.flush(&mut pending)?;
        }
        self.writer.finish()?;
        Ok(self.rows)
    }
}

/// Reads slices of a Parquet file.
pub(crate) struct TableReader {
    path: PathBuf,
    columns: Vec<String>,
    rows: usize,
}

impl TableReader {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut reader = ParquetReader::new(open(path)?);
        let rows = reader.num_rows()?;
        let columns = reader.schema()?.iter_names().map(ToString::to_string).collect();
        Ok(Self { path: path.to_owned(), columns, rows })
    }
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }
    pub(crate) fn read(&self, offset: usize, rows: usize, columns: Option<&[String]>) -> Result<DataFrame, Error> {
        let reader = ParquetReader::new(open(&self.path)?)
            .read_parallel(ParallelStrategy::RowGroups)
            .with_slice(Some((offset, rows.min(self.rows.saturating_sub(offset)))))
            .with_columns(columns.map(<[String]>::to_vec));
        let mut frame = reader.finish()?;
        frame.rechunk_mut();
        Ok(frame)
    }
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).attempt(|| format!("open `{}`", path.display()))
}

/// A schema from names and types.
pub(crate) fn schema(columns: &[(&str, DataType)]) -> Schema {
    columns.iter().map(|(name, dtype)| Field::new((*name).into(), dtype.clone())).collect()
}
