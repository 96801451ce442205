//! Rows of a test set that the model has seen, or nearly: near duplicates between two sets of texts.
//!
//! Candidates meet in a band of their [MinHash signatures](tenor_features::minhash) and are verified by the true Jaccard similarity
//! of their word 3-grams. Memory: some 200 bytes a row, whatever the texts hold.

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::minhash::{BANDS, HASHES, MIN_WORDS, Shingles, Signature, band_key, equal_bytes};

/// Rows of one bucket that a row is compared with; more of them are near duplicates of each other.
const MAX_BUCKET: usize = 128;
/// Candidates of a row that are verified: those with most equal bytes.
const MAX_VERIFIED: usize = 4;
/// Estimated similarity below the wanted one at which a candidate is still verified: three standard deviations at 0.8.
const SLACK: f64 = 0.15;
/// Rows between two looks at whether to stop.
const CHUNK: usize = 256;

/// Texts with the ids of their rows.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    pub row_ids: &'a [i64],
    pub texts: &'a [String],
}

impl<'a> From<&'a crate::Examples> for Texts<'a> {
    fn from(examples: &'a crate::Examples) -> Self {
        Self { row_ids: &examples.row_ids, texts: &examples.cleaned }
    }
}

/// How to look for leaks.
#[derive(Debug, Clone, Copy)]
pub struct LeakageOptions<'a> {
    /// Jaccard similarity of word 3-grams from which two texts count as near duplicates; 0.5 to 1. At 0.8 99 % of the pairs
    /// are found, at 0.7 89 %, at 0.5 about a third.
    pub min_similarity: f64,
    pub stop: Stop<'a>,
}

impl Default for LeakageOptions<'static> {
    fn default() -> Self {
        Self { min_similarity: 0.8, stop: Stop::never() }
    }
}

/// A row and the training row most like it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Leak {
    pub train_row_id: i64,
    pub row_id: i64,
    /// Of the word 3-grams; 1 for the same words.
    pub similarity: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Leakage {
    /// Rows that were looked at.
    pub rows: u64,
    /// One for each row that leaks, in the order of the rows.
    pub leaks: Vec<Leak>,
    /// Those of `leaks` with the same words as a training row, case and punctuation aside.
    pub exact: u64,
    /// Those of `exact` with fewer than five words, which may well be two people saying the same.
    pub short: u64,
    /// `leaks` among `rows`; 0 without rows.
    pub share: f64,
}

/// Finds the rows of `others` that are near duplicates of a row of `train`. Texts of fewer than five words are compared as a
/// whole. Deterministic for any number of threads; of equally similar training rows the first is named.
pub fn find_leakage(train: Texts<'_>, others: Texts<'_>, options: &LeakageOptions<'_>) -> Result<Leakage, Error> {
    for (field, texts) in [("train", train), ("others", others)] {
        if texts.row_ids.len() != texts.texts.len() || texts.texts.len() >= u32::MAX as usize {
            let text = format!("has {} row ids and {} texts", texts.row_ids.len(), texts.texts.len());
            return Err(Error::invalid(field, format!("{text}; there must be one each, fewer than 2^32 - 1")));
        }
    }
    if !(0.5..=1.0).contains(&options.min_similarity) {
        let text = format!("must lie in 0.5 to 1, got {}", options.min_similarity);
        return Err(Error::invalid("min_similarity", text));
    }
    let (seen, looked_at) = (prints(train.texts, options.stop)?, prints(others.texts, options.stop)?);
    let candidates = candidates(&seen, &looked_at, options)?;
    let verified: Vec<Vec<Option<(Leak, bool)>>> = candidates
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(chunk, rows)| {
            options.stop.check()?;
            let mut words = Words::default();
            let verify = |(at, candidates): (usize, &Vec<Candidate>)| {
                let row = chunk * CHUNK + at;
                let text = &others.texts[row];
                let (similarity, found, same) = words.most_similar(text, train.texts, candidates)?;
                let leak = Leak { train_row_id: train.row_ids[found], row_id: others.row_ids[row], similarity };
                (similarity >= options.min_similarity).then_some((leak, same))
            };
            Ok(rows.iter().enumerate().map(verify).collect::<Vec<_>>())
        })
        .collect::<Result<_, Error>>()?;
    let verified = || verified.iter().flatten();
    let exact = verified().zip(&looked_at).filter(|(leak, _)| leak.is_some_and(|(_, same)| same));
    let short = exact.clone().filter(|(_, print)| print.is_short()).count() as u64;
    let exact = exact.count() as u64;
    let leaks: Vec<Leak> = verified().flatten().map(|(leak, _)| *leak).collect();
    let rows = others.texts.len() as u64;
    Ok(Leakage { rows, share: leaks.len() as f64 / rows.max(1) as f64, exact, short, leaks })
}

/// What is kept of a text.
struct Print {
    /// Of all words; 0 for a text without any, which is never a duplicate.
    whole: u64,
    signature: Signature,
}

impl Print {
    fn is_short(&self) -> bool {
        self.signature == [0; HASHES]
    }
}

/// A training row, and its equal bytes; more than there are for the same words.
type Candidate = (usize, u32);

fn prints(texts: &[String], stop: Stop<'_>) -> Result<Vec<Print>, Error> {
    let print = |shingles: &mut Shingles, text: &String| {
        shingles.read(text);
        let whole = if shingles.words() == 0 { 0 } else { shingles.whole().max(1) };
        Print { whole, signature: shingles.signature() }
    };
    let chunks = texts.par_chunks(CHUNK).map_init(Shingles::default, |shingles, texts| {
        stop.check()?;
        Ok(texts.iter().map(|text| print(shingles, text)).collect::<Vec<_>>())
    });
    Ok(chunks.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect())
}

/// The training rows that each row may be a near duplicate of, the likeliest first, at most [`MAX_VERIFIED`]. One index at a
/// time is in memory.
fn candidates(train: &[Print], others: &[Print], options: &LeakageOptions<'_>) -> Result<Vec<Vec<Candidate>>, Error> {
    let least = ((options.min_similarity - SLACK) * HASHES as f64).floor() as usize;
    let mut candidates: Vec<Vec<Candidate>> = vec![Vec::new(); others.len()];
    // The pass after the bands is over whole texts, and the only one for short ones.
    for pass in 0..=BANDS {
        let key = |print: &Print| match pass {
            BANDS => (print.whole != 0).then_some(print.whole),
            band => (!print.is_short()).then(|| band_key(&print.signature, band)),
        };
        let rows = train.iter().enumerate();
        let mut index: Vec<(u64, u32)> = rows.filter_map(|(row, print)| Some((key(print)?, row as u32))).collect();
        index.par_sort_unstable();
        let chunks = candidates.par_chunks_mut(CHUNK).zip(others.par_chunks(CHUNK));
        chunks.try_for_each(|(candidates, prints)| {
            options.stop.check()?;
            for (found, print) in candidates.iter_mut().zip(prints) {
                let Some(key) = key(print) else { continue };
                let start = index.partition_point(|entry| entry.0 < key);
                for &(_, row) in index[start..].iter().take_while(|entry| entry.0 == key).take(MAX_BUCKET) {
                    let equal = match pass {
                        BANDS => HASHES + 1,
                        _ => equal_bytes(&print.signature, &train[row as usize].signature),
                    };
                    if equal >= least {
                        keep(found, (equal, row));
                    }
                    if pass == BANDS {
                        break;
                    }
                }
            }
            Ok::<(), Error>(())
        })?;
    }
    Ok(candidates)
}

/// Adds `new` if it is among the likeliest.
fn keep(candidates: &mut Vec<Candidate>, new: Candidate) {
    if candidates.contains(&new) {
        return;
    }
    let place = candidates.partition_point(|old| old.0 > new.0 || old.0 == new.0 && old.1 < new.1);
    if place < MAX_VERIFIED {
        candidates.truncate(MAX_VERIFIED - 1);
        candidates.insert(place, new);
    }
}

/// Room for two sets of 3-grams.
#[derive(Default)]
struct Words {
    shingles: Shingles,
    of_row: Vec<u64>,
    of_candidate: Vec<u64>,
}

impl Words {
    /// The candidate with the largest Jaccard similarity to `text`, and whether it has the same words; of equals one that has, then the
    /// first row.
    fn most_similar(&mut self, text: &str, train: &[String], candidates: &[Candidate]) -> Option<(f64, usize, bool)> {
        let mut best: Option<(f64, usize, bool)> = None;
        if candidates.is_empty() {
            return None;
        }
        let whole = self.read(text, true);
        for &(_, row) in candidates {
            let row = row as usize;
            let same = self.read(&train[row], false) == whole;
            let similarity = if same { 1.0 } else { jaccard(&self.of_row, &self.of_candidate) };
            let is_better = |(most, first, was_same): (f64, usize, bool)| {
                (similarity, same) > (most, was_same) || (similarity, same) == (most, was_same) && row < first
            };
            if best.is_none_or(is_better) {
                best = Some((similarity, row, same));
            }
        }
        best
    }

    /// Reads the set of 3-grams of `text` and returns the hash of the whole.
    fn read(&mut self, text: &str, is_row: bool) -> u64 {
        self.shingles.read(text);
        let set = if is_row { &mut self.of_row } else { &mut self.of_candidate };
        set.clear();
        // Texts that are compared as a whole only have no 3-grams to share.
        if self.shingles.words() >= MIN_WORDS {
            set.extend(self.shingles.hashes());
        }
        set.sort_unstable();
        set.dedup();
        self.shingles.whole()
    }
}

/// Shared members of two ascending sets, among all of them; 0 for two empty sets.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                shared += 1;
                i += 1;
                j += 1;
            }
        }
    }
    shared as f64 / (a.len() + b.len() - shared).max(1) as f64
}
