//! Columns by hash (Weinberger et al. 2009): nothing but document frequencies is learned, whatever words there are.
//!
//! Different terms may share a column; signs are not used, so that values stay non-negative, as naive Bayes needs them.

use rayon::prelude::*;
use tenor_domain::Error;

use super::analyze::Cutter;
use super::fit::idf;
use super::transform::{CHUNK, Scratch, Weights};
use super::{Columns, Tfidf, TfidfParams};
use crate::Stop;
use crate::hash::{hash_bytes, hash_u64};
use crate::sparse::{CsrMatrix, SparseRow};

/// The hash of a border that no term crosses.
const BORDER: u64 = 0;

/// How terms become columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Hashing {
    /// There are `2^bits` columns.
    pub bits: u32,
    pub ngram_min: u32,
    pub ngram_max: u32,
}

impl Hashing {
    pub fn width(self) -> usize {
        1 << self.bits
    }

    /// Reads every text once: columns first, then their weights.
    pub fn fit_transform(
        self,
        texts: &[impl AsRef<str> + Sync],
        params: &TfidfParams,
        stop: Stop<'_>,
    ) -> Result<(Tfidf, CsrMatrix), Error> {
        let cutter = Cutter::new(params.analyzer.clone());
        // The columns of each document, ascending, as often as they occur.
        let documents: Vec<(Vec<u32>, Vec<usize>)> = texts
            .par_chunks(CHUNK)
            .map(|chunk| {
                stop.check()?;
                let (mut all, mut ends) = (Vec::new(), Vec::with_capacity(chunk.len()));
                let (mut hashes, mut columns) = (Vec::new(), Vec::new());
                for text in chunk {
                    columns.clear();
                    self.find_columns(&cutter, text.as_ref(), &mut hashes, &mut columns);
                    columns.sort_unstable();
                    all.extend_from_slice(&columns);
                    ends.push(all.len());
                }
                Ok((all, ends))
            })
            .collect::<Result<_, Error>>()?;
        let mut frequencies = vec![0u32; self.width()];
        for (columns, ends) in &documents {
            stop.check()?;
            each_document(columns, ends, |columns| {
                columns.chunk_by(|a, b| a == b).for_each(|run| frequencies[run[0] as usize] += 1);
            });
        }
        let idf: Vec<f64> = frequencies.iter().map(|&frequency| idf(texts.len(), frequency)).collect();
        let weights = Weights { idf: &idf, sublinear: params.sublinear };
        let blocks: Vec<CsrMatrix> = documents
            .into_par_iter()
            .map(|(columns, ends)| {
                stop.check()?;
                let (mut scratch, mut row) = (Scratch::default(), SparseRow::default());
                let mut block = CsrMatrix::empty(self.width());
                each_document(&columns, &ends, |columns| {
                    scratch.columns.clear();
                    scratch.columns.extend_from_slice(columns);
                    row.clear();
                    weights.weigh(0, &mut scratch, &mut row);
                    block.push(row.as_ref());
                });
                Ok(block)
            })
            .collect::<Result<_, Error>>()?;
        let matrix = CsrMatrix::stack(self.width(), blocks);
        Ok((Tfidf::new(params, Columns::Hashed(self), idf), matrix))
    }

    /// Appends the column of every term in `text` to `columns`.
    pub fn find_columns(self, cutter: &Cutter, text: &str, hashes: &mut Vec<u64>, columns: &mut Vec<u32>) {
        hashes.clear();
        cutter.for_each(text, |unit| match unit {
            // 0 stands for a border; no unit may have it.
            Some(unit) => cutter.rewrite(unit, |unit| hashes.push(hash_bytes(unit.as_bytes()).max(1))),
            None => hashes.push(BORDER),
        });
        for at in 0..hashes.len() {
            let mut term = 0;
            for (level, &hash) in (1..=self.ngram_max).zip(&hashes[at..]) {
                if hash == BORDER {
                    break;
                }
                term = hash_u64(term ^ hash);
                if level >= self.ngram_min {
                    columns.push((term >> (64 - self.bits)) as u32);
                }
            }
        }
    }
}

fn each_document(columns: &[u32], ends: &[usize], mut work: impl FnMut(&[u32])) {
    let mut start = 0;
    for &end in ends {
        work(&columns[start..end]);
        start = end;
    }
}
