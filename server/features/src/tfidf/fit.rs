//! From documents to a vocabulary.

use rayon::prelude::*;
use tenor_domain::Error;

use super::count::{Count, Documents, Grams, count_pairs, number_positions, ranges, read};
use super::transform::{CHUNK, Scratch};
use super::vocabulary::{NONE, Vocabulary};
use super::{Tfidf, TfidfParams};
use crate::Stop;
use crate::sparse::{CsrMatrix, SparseRow};

/// Learns the vocabulary and the document frequencies of `texts`. The result is the same for any number of threads.
pub fn fit(texts: &[impl AsRef<str> + Sync], params: &TfidfParams, stop: Stop<'_>) -> Result<Tfidf, Error> {
    Ok(learn(texts, params, stop)?.0)
}

/// [`fit`], and the rows of the same texts without reading them again.
pub fn fit_transform(
    texts: &[impl AsRef<str> + Sync],
    params: &TfidfParams,
    stop: Stop<'_>,
) -> Result<(Tfidf, CsrMatrix), Error> {
    let (tfidf, documents) = learn(texts, params, stop)?;
    // From words of the documents to words of the vocabulary.
    let words: Vec<u32> = (0..documents.words.len() as u32)
        .map(|id| std::str::from_utf8(documents.words.text(id)).map_or(NONE, |word| tfidf.vocabulary.word(word)))
        .collect();
    let all: Vec<_> = ranges(&documents.ends).map(|(_, range)| range).collect();
    let blocks: Result<Vec<_>, Error> = all
        .par_chunks(CHUNK)
        .map(|chunk| {
            stop.check()?;
            let (mut scratch, mut row) = (Scratch::default(), SparseRow::default());
            let mut known = Vec::new();
            let mut block = CsrMatrix::empty(tfidf.width());
            for range in chunk {
                known.clear();
                known.extend(documents.tokens[range.clone()].iter().map(|&token| words[token as usize]));
                row.clear();
                tfidf.weigh(&known, 1.0, &mut scratch, &mut row);
                block.push(row.as_ref());
            }
            Ok(block)
        })
        .collect();
    let matrix = CsrMatrix::stack(tfidf.width(), blocks?);
    Ok((tfidf, matrix))
}

/// A term that may become a column: `level` words, `number` among the n-grams of that length.
#[derive(Clone, Copy)]
struct Candidate {
    level: usize,
    number: u32,
    count: Count,
}

fn learn(texts: &[impl AsRef<str> + Sync], params: &TfidfParams, stop: Stop<'_>) -> Result<(Tfidf, Documents), Error> {
    params.check()?;
    if texts.len() >= NONE as usize {
        return Err(Error::invalid("texts", "must be fewer than 2^32 - 1; take a sample"));
    }
    let documents = read(texts, stop)?;
    // A longer n-gram occurs in no more documents than the shorter ones within it, so what is rare stays out at once.
    let mut shorter: Vec<u32> = documents
        .tokens
        .iter()
        .map(|&word| if documents.counts[word as usize].documents >= params.min_df { word } else { NONE })
        .collect();
    let max_documents = params.max_df * texts.len() as f64;
    let mut candidates = Vec::new();
    let mut gather = |level: usize, counts: &[Count]| {
        if level >= params.ngram_min as usize {
            let wanted =
                |count: &Count| count.documents >= params.min_df && f64::from(count.documents) <= max_documents;
            let of_level = (0u32..).zip(counts).filter(|(_, count)| wanted(count));
            candidates.extend(of_level.map(|(number, &count)| Candidate { level, number, count }));
        }
    };
    gather(1, &documents.counts);
    let mut levels: Vec<Grams> = Vec::new();
    for level in 2..=params.ngram_max as usize {
        let grams = count_pairs(&documents, &shorter, level, params.min_df, stop)?;
        gather(level, &grams.counts);
        if level < params.ngram_max as usize {
            shorter = number_positions(&documents, &shorter, level, &grams, stop)?;
        }
        levels.push(grams);
    }
    drop(shorter);

    let text = |candidate: &Candidate| term_text(&documents, &levels, candidate);
    if let Some(limit) = params.max_features {
        candidates = most_frequent(candidates, limit as usize, text);
    }
    if candidates.is_empty() {
        return Err(Error::precondition(
            "EMPTY_VOCABULARY",
            format!(
                "no term is left: {} texts, min_df {}, max_df {}; lower min_df, raise max_df or bring more texts",
                texts.len(),
                params.min_df,
                params.max_df
            ),
        ));
    }
    let mut terms: Vec<(String, u32)> = candidates.iter().map(|c| (text(c), c.count.documents)).collect();
    terms.par_sort_unstable();
    stop.check()?;
    let idf = terms.iter().map(|(_, df)| ((1.0 + texts.len() as f64) / (1.0 + f64::from(*df))).ln() + 1.0).collect();
    let terms: Vec<String> = terms.into_iter().map(|(term, _)| term).collect();
    let vocabulary = Vocabulary::new(&terms).map_err(Error::internal)?;
    Ok((Tfidf { vocabulary, idf, sublinear: params.sublinear }, documents))
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

fn term_text(documents: &Documents, levels: &[Grams], candidate: &Candidate) -> String {
    let mut words = Vec::new();
    let mut number = candidate.number;
    for grams in levels[..candidate.level - 1].iter().rev() {
        let (first, word) = grams.keys[number as usize];
        words.push(documents.words.text(word));
        number = first;
    }
    words.push(documents.words.text(number));
    words.reverse();
    String::from_utf8_lossy(&words.join(&b' ')).into_owned()
}
