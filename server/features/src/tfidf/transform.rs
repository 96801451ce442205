//! Texts to rows.

use rayon::prelude::*;
use tenor_domain::Error;

use super::{Columns, Tfidf};
use crate::Stop;
use crate::sparse::{CsrMatrix, SparseRow};

/// Rows that one thread takes at a time.
pub(super) const CHUNK: usize = 1_024;

/// Room for one row at work; keep it to save allocations.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    pub(super) words: Vec<u32>,
    pub(super) hashes: Vec<u64>,
    pub(super) columns: Vec<u32>,
    weights: Vec<f64>,
}

impl Tfidf {
    /// Replaces `row` by the row of `text`. Unknown terms do not count; a text without a known term gives an empty row.
    pub fn transform_into(&self, text: &str, scratch: &mut Scratch, row: &mut SparseRow) {
        row.clear();
        self.append(text, 0, scratch, row);
    }

    /// Appends the row of `text` to `row`, its columns counted from `first`.
    pub fn append(&self, text: &str, first: u32, scratch: &mut Scratch, row: &mut SparseRow) {
        self.find_columns(text, scratch);
        Weights { idf: &self.idf, sublinear: self.sublinear }.weigh(first, scratch, row);
    }

    /// The rows of `texts`.
    pub fn transform(&self, texts: &[impl AsRef<str> + Sync], stop: Stop<'_>) -> Result<CsrMatrix, Error> {
        let blocks: Result<Vec<_>, Error> = texts
            .par_chunks(CHUNK)
            .map(|chunk| {
                stop.check()?;
                let (mut scratch, mut row) = (Scratch::default(), SparseRow::default());
                let mut block = CsrMatrix::empty(self.width());
                for text in chunk {
                    self.transform_into(text.as_ref(), &mut scratch, &mut row);
                    block.push(row.as_ref());
                }
                Ok(block)
            })
            .collect();
        Ok(CsrMatrix::stack(self.width(), blocks?))
    }

    /// Fills `scratch.columns` with the column of every term in `text`, in any order.
    fn find_columns(&self, text: &str, scratch: &mut Scratch) {
        let (words, columns) = (&mut scratch.words, &mut scratch.columns);
        columns.clear();
        match &self.columns {
            Columns::Terms(vocabulary) => {
                words.clear();
                if self.cutter.keeps_words() {
                    self.cutter
                        .for_each(text, |unit| words.push(unit.map_or(super::NONE, |unit| vocabulary.word(unit))));
                } else {
                    self.cutter.for_each(text, |unit| match unit {
                        Some(word) => self.cutter.rewrite(word, |word| words.push(vocabulary.word(word))),
                        None => words.push(super::NONE),
                    });
                }
                vocabulary.for_each_column(words, |column| columns.push(column));
            }
            Columns::Hashed(hashing) => hashing.find_columns(&self.cutter, text, &mut scratch.hashes, columns),
        }
    }
}

/// How much a term of a row counts.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub idf: &'a [f64],
    pub sublinear: bool,
}

impl Weights<'_> {
    /// Appends the weighted terms of the document whose columns are in `scratch`; in `row` they count from `first`.
    pub fn weigh(self, first: u32, scratch: &mut Scratch, row: &mut SparseRow) {
        let columns = &mut scratch.columns;
        columns.sort_unstable();
        scratch.weights.clear();
        let mut squares = 0.0;
        for run in columns.chunk_by(|a, b| a == b) {
            let count = run.len() as f64;
            let tf = if !self.sublinear {
                count
            } else if run.len() == 1 {
                1.0
            } else {
                1.0 + count.ln()
            };
            let value = tf * self.idf[run[0] as usize];
            squares += value * value;
            scratch.weights.push(value);
            row.columns.push(first + run[0]);
        }
        let length = squares.sqrt();
        row.values.extend(scratch.weights.iter().map(|value| (value / length) as f32));
    }
}
