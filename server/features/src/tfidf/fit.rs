//! From documents to a vocabulary.

use std::sync::Arc;

use rayon::prelude::*;
use tenor_domain::Error;

use super::analyze::{Cutter, Unit};
use super::cache::KnownCounts;
use super::count::{Count, Documents, Grams, count_pairs, number_positions, ranges, read};
use super::transform::{CHUNK, Scratch, Weights};
use super::vocabulary::{NONE, Vocabulary};
use super::{Columns, Tfidf, TfidfParams};
use crate::Stop;
use crate::sparse::{CsrMatrix, SparseRow};

/// Learns the vocabulary and the document frequencies of `texts`. The result is the same for any number of threads.
pub fn fit(texts: &[impl AsRef<str> + Sync], params: &TfidfParams, stop: Stop<'_>) -> Result<Tfidf, Error> {
    params.check()?;
    if let Some(hashing) = params.hashing() {
        return Ok(hashing.fit_transform(texts, params, stop)?.0);
    }
    let (vocabulary, idf) = Counted::new(texts, params, stop)?.learn(params, stop)?;
    Ok(Tfidf::new(params, Columns::Terms(vocabulary), idf))
}

/// [`fit`], and the rows of the same texts without reading them again; not even once when their counts are `known`.
pub fn fit_transform(
    texts: &[impl AsRef<str> + Sync],
    params: &TfidfParams,
    known: Option<KnownCounts<'_>>,
    stop: Stop<'_>,
) -> Result<(Tfidf, CsrMatrix), Error> {
    params.check()?;
    if let Some(hashing) = params.hashing() {
        return hashing.fit_transform(texts, params, stop);
    }
    let count = || Counted::new(texts, params, stop);
    let counted = known.map_or_else(|| count().map(Arc::new), |known| known.get_or(params, count))?;
    let (vocabulary, idf) = counted.learn(params, stop)?;
    let documents = &counted.documents;
    // From words of the documents to words of the vocabulary.
    let words: Vec<u32> = (0..documents.words.len() as u32)
        .map(|id| std::str::from_utf8(documents.words.text(id)).map_or(NONE, |word| vocabulary.word(word)))
        .collect();
    let word = |token: &u32| words.get(*token as usize).copied().unwrap_or(NONE);
    let all: Vec<_> = ranges(&documents.ends).map(|(_, range)| range).collect();
    let weights = Weights { idf: &idf, sublinear: params.sublinear };
    let blocks: Result<Vec<_>, Error> = all
        .par_chunks(CHUNK)
        .map(|chunk| {
            stop.check()?;
            let (mut scratch, mut row) = (Scratch::default(), SparseRow::default());
            let mut block = CsrMatrix::empty(idf.len());
            for range in chunk {
                scratch.words.clear();
                scratch.words.extend(documents.tokens[range.clone()].iter().map(word));
                scratch.columns.clear();
                vocabulary.for_each_column(&scratch.words, |column| scratch.columns.push(column));
                row.clear();
                weights.weigh(0, &mut scratch, &mut row);
                block.push(row.as_ref());
            }
            Ok(block)
        })
        .collect();
    let matrix = CsrMatrix::stack(idf.len(), blocks?);
    Ok((Tfidf::new(params, Columns::Terms(vocabulary), idf), matrix))
}

/// A term that may become a column: `level` words, `number` among the n-grams of that length.
#[derive(Clone, Copy)]
struct Candidate {
    level: usize,
    number: u32,
    count: Count,
}

/// Texts as numbers, and how often their n-grams occur: what parameters of the columns leave as it is.
pub(super) struct Counted {
    documents: Documents,
    /// Of two words, of three and so on.
    levels: Vec<Grams>,
}

impl Counted {
    pub fn new(texts: &[impl AsRef<str> + Sync], params: &TfidfParams, stop: Stop<'_>) -> Result<Self, Error> {
        if texts.len() >= NONE as usize {
            return Err(Error::invalid("texts", "must be fewer than 2^32 - 1; take a sample"));
        }
        let documents = read(texts, &Cutter::new(params.analyzer.clone()), stop)?;
        // A longer n-gram occurs in no more documents than the shorter ones within it, so what is rare stays out at once.
        let mut shorter: Vec<u32> = documents
            .tokens
            .iter()
            .map(|&word| match documents.counts.get(word as usize) {
                Some(count) if count.documents >= params.min_df => word,
                _ => NONE,
            })
            .collect();
        let mut levels: Vec<Grams> = Vec::new();
        for level in 2..=params.ngram_max as usize {
            let grams = count_pairs(&documents, &shorter, level, params.min_df, stop)?;
            if level < params.ngram_max as usize {
                shorter = number_positions(&documents, &shorter, level, &grams, stop)?;
            }
            levels.push(grams);
        }
        Ok(Self { documents, levels })
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        let Documents { words, counts, tokens, ends } = &self.documents;
        let grams = self.levels.iter().map(|grams| size_of_val(&*grams.keys) + size_of_val(&*grams.counts));
        words.bytes() + size_of_val(&**counts) + size_of_val(&**tokens) + size_of_val(&**ends) + grams.sum::<usize>()
    }

    /// The terms that become columns, with their idf.
    fn learn(&self, params: &TfidfParams, stop: Stop<'_>) -> Result<(Vocabulary, Vec<f64>), Error> {
        let (texts, documents) = (self.documents.ends.len(), &self.documents);
        let max_documents = params.max_df * texts as f64;
        let wanted = |count: &Count| count.documents >= params.min_df && f64::from(count.documents) <= max_documents;
        let of_levels = std::iter::once(&documents.counts).chain(self.levels.iter().map(|grams| &grams.counts));
        let mut candidates = Vec::new();
        for (level, counts) in (1..).zip(of_levels).skip(params.ngram_min as usize - 1) {
            let of_level = (0u32..).zip(counts).filter(|(_, count)| wanted(count));
            candidates.extend(of_level.map(|(number, &count)| Candidate { level, number, count }));
        }
        let between: &[u8] = if params.analyzer.unit == Unit::Word { b" " } else { b"" };
        let text = |candidate: &Candidate| term_text(documents, &self.levels, candidate, between);
        if let Some(limit) = params.max_features {
            candidates = most_frequent(candidates, limit as usize, text);
        }
        if candidates.is_empty() {
            return Err(Error::precondition(
                "EMPTY_VOCABULARY",
                format!(
                    "no term is left: {texts} texts, min_df {}, max_df {}; lower min_df, raise max_df or bring more texts",
                    params.min_df, params.max_df
                ),
            ));
        }
        let mut terms: Vec<(String, u32)> = candidates.iter().map(|c| (text(c), c.count.documents)).collect();
        terms.par_sort_unstable();
        stop.check()?;
        let idf = terms.iter().map(|(_, documents)| idf(texts, *documents)).collect();
        let terms: Vec<String> = terms.into_iter().map(|(term, _)| term).collect();
        let vocabulary = Vocabulary::new(&terms, params.analyzer.unit).map_err(Error::internal)?;
        Ok((vocabulary, idf))
    }
}

/// `ln((1 + documents) / (1 + document frequency)) + 1`.
pub(super) fn idf(documents: usize, frequency: u32) -> f64 {
    ((1.0 + documents as f64) / (1.0 + f64::from(frequency))).ln() + 1.0
}

/// The `limit` candidates with the most occurrences; of those with equally many the first by text.
fn most_frequent(mut candidates: Vec<Candidate>, limit: usize, text: impl Fn(&Candidate) -> String) -> Vec<Candidate> {
    if candidates.len() <= limit {
        return candidates;
    }
    candidates.sort_unstable_by_key(|candidate| std::cmp::Reverse(candidate.count.occurrences));
    let last = candidates[limit - 1].count.occurrences;
    let sure = candidates.partition_point(|candidate| candidate.count.occurrences > last);
    let end = candidates.partition_point(|candidate| candidate.count.occurrences >= last);
    candidates[sure..end].sort_by_cached_key(text);
    candidates.truncate(limit);
    candidates
}

fn term_text(documents: &Documents, levels: &[Grams], candidate: &Candidate, between: &[u8]) -> String {
    let mut words = Vec::new();
    let mut number = candidate.number;
    for grams in levels[..candidate.level - 1].iter().rev() {
        let (first, word) = grams.keys[number as usize];
        words.push(documents.words.text(word));
        number = first;
    }
    words.push(documents.words.text(number));
    words.reverse();
    String::from_utf8_lossy(&words.join(between)).into_owned()
}
