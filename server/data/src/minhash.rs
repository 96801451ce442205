//! Near duplicates by MinHash (Broder 1997) with banding (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", ch. 3).
//!
//! 60 hashes of word 3-grams, one byte kept of each (b-bit MinHash, Li and Koenig 2010), 12 bands of 5. A pair of Jaccard
//! similarity 0.8 meets in a band with probability 0.99; pairs that meet are verified: at least 75 % equal bytes.

use xxhash_rust::xxh3::xxh3_64;

pub(crate) const HASHES: usize = 60;
const BAND: usize = 5;
const MIN_EQUAL: usize = 45;
/// Shorter texts are compared exactly only.
const MIN_WORDS: usize = 5;

/// All zero bytes: too short to compare.
pub(crate) type Signature = [u8; HASHES];

/// The signature of `text`: lower-cased words, punctuation ignored.
pub(crate) fn signature(text: &str) -> Signature {
    let mut lower = String::with_capacity(text.len());
    let mut words: Vec<(usize, usize)> = Vec::with_capacity(text.len() / 5);
    let mut start = None;
    for c in text.chars() {
        if c.is_alphanumeric() {
            start.get_or_insert(lower.len());
            if c.is_ascii() { lower.push(c.to_ascii_lowercase()) } else { lower.extend(c.to_lowercase()) }
        } else if let Some(from) = start.take() {
            words.push((from, lower.len()));
            lower.push(' ');
        }
    }
    if let Some(from) = start {
        words.push((from, lower.len()));
    }
    if words.len() < MIN_WORDS {
        return [0; HASHES];
    }
    let mut least = [u32::MAX; HASHES];
    for window in words.windows(3) {
        let hash = xxh3_64(&lower.as_bytes()[window[0].0..window[2].1]);
        let (a, b) = (hash as u32, (hash >> 32) as u32 | 1);
        // Double hashing (Kirsch, Mitzenmacher 2006): any two lanes are independent, and a lane costs an addition.
        for (i, slot) in least.iter_mut().enumerate() {
            *slot = (*slot).min(a.wrapping_add(b.wrapping_mul(i as u32)));
        }
    }
    let mut signature = [0; HASHES];
    for (byte, least) in signature.iter_mut().zip(least) {
        *byte = (least.wrapping_mul(0x85EB_CA6B) >> 24) as u8;
    }
    if signature == [0; HASHES] {
        signature[0] = 1;
    }
    signature
}

/// Sets of rows that belong together.
pub(crate) struct Groups(Vec<u32>);

impl Groups {
    pub(crate) fn new(rows: usize) -> Self {
        Self((0..rows as u32).collect())
    }
    /// The first row of the group of `row`.
    pub(crate) fn find(&mut self, row: u32) -> u32 {
        let mut root = row;
        while self.0[root as usize] != root {
            root = self.0[root as usize];
        }
        let mut at = row;
        while self.0[at as usize] != root {
            at = std::mem::replace(&mut self.0[at as usize], root);
        }
        root
    }
    pub(crate) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        let (first, second) = (a.min(b), a.max(b));
        self.0[second as usize] = first;
    }
}

/// Joins near duplicates; returns each row that has an earlier near duplicate with one such row, by row.
pub(crate) fn join_near(signatures: &[Signature], groups: &mut Groups) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    let mut keys: Vec<(u64, u32)> = Vec::new();
    for band in 0..HASHES / BAND {
        keys.clear();
        for (row, signature) in signatures.iter().enumerate() {
            if *signature != [0; HASHES] {
                let part = &signature[band * BAND..(band + 1) * BAND];
                keys.push((part.iter().fold(0, |key, byte| key << 8 | u64::from(*byte)), row as u32));
            }
        }
        keys.sort_unstable();
        for bucket in keys.chunk_by(|a, b| a.0 == b.0) {
            // Against the first and the previous row only: linear in the bucket, and a chain joins the rest.
            for pair in bucket.windows(2) {
                let (previous, row) = (pair[0].1, pair[1].1);
                for other in [bucket[0].1, previous] {
                    let equal =
                        signatures[other as usize].iter().zip(&signatures[row as usize]).filter(|(a, b)| a == b);
                    if equal.count() >= MIN_EQUAL {
                        groups.join(other, row);
                        found.push((row, other));
                        break;
                    }
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|pair| pair.0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_near_duplicates_are_found_and_others_are_not() {
        let word = |n: usize| format!("w{}", crate::split::mix(n as u64, 5) % 5003);
        let text = |seed: usize| (0..60).map(|i| word(seed * 61 + i)).collect::<Vec<_>>();
        let mut texts: Vec<String> = (0..2000).map(|i| text(i).join(" ")).collect();
        for i in 0..50 {
            let mut copy = text(i * 3);
            copy[30] = "changed".to_owned();
            texts.push(copy.join("  ").to_uppercase());
        }
        let signatures: Vec<_> = texts.iter().map(|t| signature(t)).collect();
        let mut groups = Groups::new(texts.len());
        let found = join_near(&signatures, &mut groups);
        let planted = found.iter().filter(|(row, other)| *row >= 2000 && *other as usize == (*row as usize - 2000) * 3);
        assert!(planted.count() >= 48);
        assert!(found.len() <= 51, "{}", found.len());
    }

    #[test]
    fn short_texts_have_no_signature() {
        assert_eq!(signature("good book!"), [0; HASHES]);
        assert_ne!(signature("a good book to read again"), [0; HASHES]);
    }
}
