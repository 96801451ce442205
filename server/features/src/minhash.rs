//! Near duplicates by MinHash (Broder 1997) of word 3-grams, for banding (Leskovec, Rajaraman, Ullman, "Mining of Massive
//! Datasets", ch. 3).
//!
//! 60 hashes, one byte kept of each (b-bit MinHash, Li and Koenig 2010), 12 bands of 5. A pair of Jaccard similarity 0.8 meets in
//! a band with probability 0.99. The hashes are constants: the same text has the same signature everywhere.

use xxhash_rust::xxh3::xxh3_64;

pub const HASHES: usize = 60;
const BAND: usize = 5;
/// Bands of a signature.
pub const BANDS: usize = HASHES / BAND;
/// Shorter texts are compared exactly only.
pub const MIN_WORDS: usize = 5;

/// All zero bytes: too short to compare.
pub type Signature = [u8; HASHES];

/// What two rows must share in a band to meet in it.
pub fn band_key(signature: &Signature, band: usize) -> u64 {
    let part = &signature[band * BAND..(band + 1) * BAND];
    part.iter().fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// Equal bytes of two signatures; their share estimates the Jaccard similarity of the texts' 3-grams.
pub fn equal_bytes(a: &Signature, b: &Signature) -> usize {
    a.iter().zip(b).filter(|(a, b)| a == b).count()
}

/// Words of texts, lower-cased, punctuation ignored. One a thread, kept from text to text.
#[derive(Debug, Clone, Default)]
pub struct Shingles {
    lower: String,
    words: Vec<(usize, usize)>,
}

impl Shingles {
    /// Takes `text` apart.
    pub fn read(&mut self, text: &str) {
        let Self { lower, words } = self;
        lower.clear();
        words.clear();
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
    }
    /// Number of words of the text.
    pub fn words(&self) -> usize {
        self.words.len()
    }
    /// The hash of all words in their order: equal for texts that differ in case and punctuation only.
    pub fn whole(&self) -> u64 {
        xxh3_64(self.lower.trim_end().as_bytes())
    }
    /// The hashes of the word 3-grams, in the order of the text, repeats included.
    pub fn hashes(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.windows(3).map(|window| xxh3_64(&self.lower.as_bytes()[window[0].0..window[2].1]))
    }
    pub fn signature(&self) -> Signature {
        if self.words.len() < MIN_WORDS {
            return [0; HASHES];
        }
        let mut least = [u32::MAX; HASHES];
        for hash in self.hashes() {
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

    /// Reads `text` and returns its signature.
    pub fn signature_of(&mut self, text: &str) -> Signature {
        self.read(text);
        self.signature()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_have_no_signature() {
        let mut shingles = Shingles::default();
        assert_eq!(shingles.signature_of("good book!"), [0; HASHES]);
        assert_ne!(shingles.signature_of("a good book to read again"), [0; HASHES]);
    }

    #[test]
    fn case_and_punctuation_do_not_count() {
        let (mut a, mut b) = (Shingles::default(), Shingles::default());
        a.read("A good, GOOD book: Ära -- to read again!");
        b.read("a good good book ära to read again");
        assert_eq!((a.words(), a.whole(), a.signature()), (8, b.whole(), b.signature()));
        assert!(a.hashes().eq(b.hashes()));
    }

    #[test]
    fn equal_bytes_estimate_the_similarity() {
        let text = |from: usize| (from..from + 500).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        // 400 of 596 different 3-grams are shared, or nearly so: Jaccard 0.667.
        let equal =
            equal_bytes(&Shingles::default().signature_of(&text(0)), &Shingles::default().signature_of(&text(100)))
                as f64
                / HASHES as f64;
        assert!((equal - 0.667).abs() < 0.2, "{equal}");
        assert_eq!(
            equal_bytes(&Shingles::default().signature_of(&text(0)), &Shingles::default().signature_of(&text(0))),
            HASHES
        );
        assert_eq!((0..BANDS).map(|band| band_key(&[3; HASHES], band)).collect::<Vec<_>>(), [0x303030303; BANDS]);
    }

    /// Data that were split before must be split in the same way again.
    #[test]
    fn signatures_never_change() {
        let found = Shingles::default()
            .signature_of("It was the best of times, it was the worst of times, it was the age of wisdom");
        assert_eq!(found[..8], [183, 183, 109, 190, 189, 76, 151, 131]);
    }
}
