//! Texts to rows.

use rayon::prelude::*;
use tenor_domain::Error;

use super::{Tfidf, tokens};
use crate::Stop;
use crate::sparse::{CsrMatrix, SparseRow};

/// Rows that one thread takes at a time.
pub(super) const CHUNK: usize = 1_024;

/// Room for one row at work; keep it to save allocations.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    words: Vec<u32>,
    columns: Vec<u32>,
    weights: Vec<f64>,
}

impl Tfidf {
    /// Replaces `row` by the row of `text`, times `weight`. Unknown terms do not count; a text without a known term gives
    /// an empty row.
    pub fn transform_into(&self, text: &str, weight: f64, scratch: &mut Scratch, row: &mut SparseRow) {
        scratch.words.clear();
        scratch.words.extend(tokens(text).map(|word| self.vocabulary.word(word)));
        row.clear();
        let words = std::mem::take(&mut scratch.words);
        self.weigh(&words, weight, scratch, row);
        scratch.words = words;
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
                    self.transform_into(text.as_ref(), 1.0, &mut scratch, &mut row);
                    block.push(row.as_ref());
                }
                Ok(block)
            })
            .collect();
        Ok(CsrMatrix::stack(self.width(), blocks?))
    }

    /// Appends the weighted terms of one document, given as numbers of the vocabulary's words.
    pub(super) fn weigh(&self, words: &[u32], weight: f64, scratch: &mut Scratch, row: &mut SparseRow) {
        let columns = &mut scratch.columns;
        columns.clear();
        self.vocabulary.for_each_column(words, |column| columns.push(column));
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
            row.columns.push(run[0]);
        }
        let length = squares.sqrt();
        row.values.extend(scratch.weights.iter().map(|value| (value / length * weight) as f32));
    }
}
