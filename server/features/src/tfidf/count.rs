//! Exact counts of n-grams, in parts that fit into memory.

use rayon::prelude::*;
use tenor_domain::Error;

use super::analyze::Cutter;
use super::vocabulary::NONE;
use crate::Stop;
use crate::hash::{Interner, hash_u64};

/// Positions that one part's table is made for: bounds the memory of a part to about 200 MB.
const POSITIONS_A_PART: usize = 1 << 22;
/// Positions between two looks at whether to stop, about.
const POSITIONS_A_CHECK: usize = 1 << 16;

/// How often something occurs, and in how many documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub occurrences: u64,
    pub documents: u32,
}

/// The documents as numbers of words (or of characters, with [`NONE`] at the borders).
#[derive(Default)]
pub(super) struct Documents {
    pub words: Interner,
    pub counts: Vec<Count>,
    pub tokens: Vec<u32>,
    /// Where each document ends in `tokens`.
    pub ends: Vec<usize>,
}

/// One document after the other: its number and its range of positions.
pub(super) fn ranges(ends: &[usize]) -> impl Iterator<Item = (u32, std::ops::Range<usize>)> + '_ {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).zip(0u32..).map(|((start, &end), document)| (document, start..end))
}

/// Reads `texts` in chunks, `wave` of them side by side, and joins them in their order.
pub(super) fn read(texts: &[impl AsRef<str> + Sync], cutter: &Cutter, stop: Stop<'_>) -> Result<Documents, Error> {
    const WAVE: usize = 64;
    let mut all = Documents::default();
    for wave in texts.chunks(super::transform::CHUNK * WAVE) {
        let chunks: Vec<Documents> = wave
            .par_chunks(super::transform::CHUNK)
            .map(|chunk| stop.check().map(|()| read_chunk(chunk, cutter)))
            .collect::<Result<_, _>>()?;
        for chunk in chunks {
            stop.check()?;
            let numbers: Vec<u32> =
                (0..chunk.words.len() as u32).map(|id| all.words.intern(chunk.words.text(id))).collect();
            all.counts.resize(all.words.len(), Count::default());
            for (&number, count) in numbers.iter().zip(&chunk.counts) {
                all.counts[number as usize].occurrences += count.occurrences;
                all.counts[number as usize].documents += count.documents;
            }
            let start = all.tokens.len();
            all.tokens
                .extend(chunk.tokens.iter().map(|&token| if token == NONE { NONE } else { numbers[token as usize] }));
            all.ends.extend(chunk.ends.iter().map(|end| start + end));
        }
    }
    Ok(all)
}

fn read_chunk(texts: &[impl AsRef<str>], cutter: &Cutter) -> Documents {
    let mut chunk = Documents::default();
    let mut last_document = Vec::new();
    // Rewriting a word (stemming above all) costs much more than finding it, so each raw word is rewritten once.
    let (mut raw_words, mut rewritten) = (Interner::default(), Vec::new());
    for (document, text) in (0u32..).zip(texts) {
        cutter.for_each(text.as_ref(), |unit| {
            let Some(raw) = unit else { return chunk.tokens.push(NONE) };
            let id = if cutter.keeps_words() {
                chunk.words.intern(raw.as_bytes())
            } else {
                let number = raw_words.intern(raw.as_bytes()) as usize;
                if number == rewritten.len() {
                    rewritten.push(NONE);
                    cutter.rewrite(raw, |word| rewritten[number] = chunk.words.intern(word.as_bytes()));
                }
                match rewritten[number] {
                    NONE => return,
                    id => id,
                }
            };
            if id as usize == chunk.counts.len() {
                chunk.counts.push(Count::default());
                last_document.push(NONE);
            }
            let count = &mut chunk.counts[id as usize];
            count.occurrences += 1;
            if last_document[id as usize] != document {
                last_document[id as usize] = document;
                count.documents += 1;
            }
            chunk.tokens.push(id);
        });
        chunk.ends.push(chunk.tokens.len());
    }
    chunk
}

/// The n-grams of one length that occur often enough: (number of the first n-1 words, last word).
pub(super) struct Grams {
    pub keys: Vec<(u32, u32)>,
    pub counts: Vec<Count>,
}

#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    occurrences: u32,
    documents: u32,
    last_document: u32,
}

/// Counts the pairs (`shorter[i]`, `words[i + n - 1]`) and keeps those in at least `min_df` documents; pairs with [`NONE`] do
/// not count. The space of pairs is cut into parts by hash; each part reads all positions but keeps its own pairs only, so that
/// nothing has to be merged and the memory is bounded. The result is sorted by key and does not depend on the parts.
pub(super) fn count_pairs(
    documents: &Documents,
    shorter: &[u32],
    n: usize,
    min_df: u32,
    stop: Stop<'_>,
) -> Result<Grams, Error> {
    let parts = rayon::current_num_threads().max(documents.tokens.len() / POSITIONS_A_PART + 1) as u64;
    let found: Vec<Vec<Entry>> = (0..parts)
        .into_par_iter()
        .map(|part| {
            let mut table = Table::new();
            let mut looked = 0;
            for (document, range) in ranges(&documents.ends) {
                if range.start >= looked {
                    stop.check()?;
                    looked = range.start + POSITIONS_A_CHECK;
                }
                let last_words = documents.tokens.get(range.start + n - 1..range.end).unwrap_or_default();
                for (&first, &word) in shorter[range].iter().zip(last_words) {
                    if first == NONE || word == NONE {
                        continue;
                    }
                    let key = u64::from(first) << 32 | u64::from(word);
                    let hash = hash_u64(key);
                    if ((hash >> 32) * parts) >> 32 == part {
                        table.add(key, hash, document);
                    }
                }
            }
            Ok(table.slots.into_iter().filter(|entry| entry.documents >= min_df).collect())
        })
        .collect::<Result<_, Error>>()?;
    let mut entries: Vec<Entry> = found.into_iter().flatten().collect();
    entries.par_sort_unstable_by_key(|entry| entry.key);
    Ok(Grams {
        keys: entries.iter().map(|entry| ((entry.key >> 32) as u32, entry.key as u32)).collect(),
        counts: entries
            .iter()
            .map(|entry| Count { occurrences: u64::from(entry.occurrences), documents: entry.documents })
            .collect(),
    })
}

/// For every position the number of the n-gram that starts there, or [`NONE`].
pub(super) fn number_positions(
    documents: &Documents,
    shorter: &[u32],
    n: usize,
    grams: &Grams,
    stop: Stop<'_>,
) -> Result<Vec<u32>, Error> {
    let mut numbers = vec![NONE; shorter.len()];
    // Blocks of whole documents, each with its part of the numbers.
    let (mut blocks, mut rest, mut first) = (Vec::new(), numbers.as_mut_slice(), 0);
    let all: Vec<std::ops::Range<usize>> = ranges(&documents.ends).map(|(_, range)| range).collect();
    for block in all.chunk_by(|a, b| a.start / POSITIONS_A_CHECK == b.start / POSITIONS_A_CHECK) {
        let end = block.last().map_or(first, |range| range.end);
        let (numbers, later) = rest.split_at_mut(end - first);
        blocks.push((first, block, numbers));
        (rest, first) = (later, end);
    }
    blocks.into_par_iter().try_for_each(|(first, block, numbers)| {
        stop.check()?;
        for range in block {
            let last_words = documents.tokens.get(range.start + n - 1..range.end).unwrap_or_default();
            let numbers = &mut numbers[range.start - first..range.end - first];
            for ((number, &first), &word) in numbers.iter_mut().zip(&shorter[range.clone()]).zip(last_words) {
                if first != NONE {
                    let key = (first, word);
                    *number = grams.keys.binary_search(&key).map_or(NONE, |number| number as u32);
                }
            }
        }
        Ok::<(), Error>(())
    })?;
    Ok(numbers)
}

/// Open addressing; an entry without documents is empty.
struct Table {
    slots: Vec<Entry>,
    used: usize,
}

const EMPTY: Entry = Entry { key: 0, occurrences: 0, documents: 0, last_document: NONE };

impl Table {
    fn new() -> Self {
        Self { slots: vec![EMPTY; 1 << 12], used: 0 }
    }

    fn add(&mut self, key: u64, hash: u64, document: u32) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let larger = vec![EMPTY; self.slots.len() * 2];
            let old = std::mem::replace(&mut self.slots, larger);
            for entry in old.into_iter().filter(|entry| entry.documents > 0) {
                let slot = self.slot(entry.key, hash_u64(entry.key));
                self.slots[slot] = entry;
            }
        }
        let slot = self.slot(key, hash);
        let entry = &mut self.slots[slot];
        if entry.documents == 0 {
            entry.key = key;
            self.used += 1;
        }
        entry.occurrences = entry.occurrences.saturating_add(1);
        if entry.last_document != document {
            entry.last_document = document;
            entry.documents += 1;
        }
    }

    fn slot(&self, key: u64, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot].documents > 0 && self.slots[slot].key != key {
            slot = (slot + 1) & mask;
        }
        slot
    }
}
