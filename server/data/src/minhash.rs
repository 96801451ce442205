//! Groups of near duplicates: rows whose [signatures](tenor_features::minhash) meet in a band are verified, at least 75 % equal
//! bytes, and joined.

use tenor_features::minhash::{BANDS, band_key, equal_bytes};
pub(crate) use tenor_features::minhash::{HASHES, Shingles, Signature};

const MIN_EQUAL: usize = 45;

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
    for band in 0..BANDS {
        keys.clear();
        for (row, signature) in signatures.iter().enumerate() {
            if *signature != [0; HASHES] {
                keys.push((band_key(signature, band), row as u32));
            }
        }
        keys.sort_unstable();
        for bucket in keys.chunk_by(|a, b| a.0 == b.0) {
            // Against the first and the previous row only: linear in the bucket, and a chain joins the rest.
            for pair in bucket.windows(2) {
                let (previous, row) = (pair[0].1, pair[1].1);
                for other in [bucket[0].1, previous] {
                    if equal_bytes(&signatures[other as usize], &signatures[row as usize]) >= MIN_EQUAL {
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
        let signatures: Vec<_> = texts.iter().map(|t| Shingles::default().signature_of(t)).collect();
        let mut groups = Groups::new(texts.len());
        let found = join_near(&signatures, &mut groups);
        let planted = found.iter().filter(|(row, other)| *row >= 2000 && *other as usize == (*row as usize - 2000) * 3);
        assert!(planted.count() >= 48);
        assert!(found.len() <= 51, "{}", found.len());
    }
}
