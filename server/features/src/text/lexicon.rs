//! Sentiment by word list: the polarity of the words that carry one, with negation and intensifiers.
//!
//! `lexicon.tsv` was written for this crate; three columns: word, kind, value.
//! - `polarity`: -1 (worst) to 1 (best).
//! - `negation`: turns a polarity within the next three words; the value, -0.5, is what it is multiplied by, because
//!   "not great" is milder than "terrible".
//! - `intensity`: multiplies the polarity of the word right after it (`very` 1.5, `slightly` 0.7).
//!
//! Words stand there as cleaning leaves them, so contractions come with and without their apostrophe.

use std::sync::LazyLock;

use tenor_domain::Digest;

use crate::hash::Interner;

const SOURCE: &str = include_str!("lexicon.tsv");

/// How many words a negation reaches.
const NEGATION_REACH: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Entry {
    Polarity(f64),
    Negation(f64),
    Intensity(f64),
}

struct Lexicon {
    words: Interner,
    entries: Vec<Entry>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon { words: Interner::default(), entries: Vec::new() };
    for (word, entry) in SOURCE.lines().filter_map(parse) {
        if lexicon.words.intern(word.as_bytes()) as usize == lexicon.entries.len() {
            lexicon.entries.push(entry);
        }
    }
    lexicon
});

fn parse(line: &str) -> Option<(&str, Entry)> {
    let mut columns = line.split('\t');
    let (word, kind, value) = (columns.next()?, columns.next()?, columns.next()?);
    let value = value.trim_end().parse().ok()?;
    let entry = match kind {
        "polarity" => Entry::Polarity(value),
        "negation" => Entry::Negation(value),
        "intensity" => Entry::Intensity(value),
        _ => return None,
    };
    Some((word, entry))
}

/// The SHA-256 of the word list and of the rules' version; line ends do not count.
pub fn lexicon_digest() -> Digest {
    static DIGEST: LazyLock<Digest> = LazyLock::new(|| {
        let mut text = format!("sentiment rules 1, reach {NEGATION_REACH}\n");
        for line in SOURCE.lines() {
            text.push_str(line);
            text.push('\n');
        }
        Digest::of(text.as_bytes())
    });
    *DIGEST
}

/// Returns the mean polarity of the words in `cleaned` that carry one, from -1 to 1; 0 when there is none.
pub fn sentiment(cleaned: &str) -> f64 {
    let lexicon = &*LEXICON;
    let (mut sum, mut hits) = (0.0, 0u32);
    let (mut intensity, mut negation, mut reach) = (1.0f64, 1.0f64, 0u32);
    for word in cleaned.split(' ') {
        match lexicon.words.get(word.as_bytes()).and_then(|id| lexicon.entries.get(id as usize)) {
            Some(Entry::Polarity(polarity)) => {
                let strong = (polarity * intensity).clamp(-1.0, 1.0);
                sum += if reach > 0 { strong * negation } else { strong };
                hits += 1;
                (intensity, reach) = (1.0, 0);
            }
            Some(Entry::Negation(factor)) => (intensity, negation, reach) = (1.0, *factor, NEGATION_REACH),
            Some(Entry::Intensity(factor)) => {
                intensity *= factor;
                reach = reach.saturating_sub(1);
            }
            None => {
                intensity = 1.0;
                reach = reach.saturating_sub(1);
            }
        }
    }
    if hits == 0 { 0.0 } else { sum / f64::from(hits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_word_list_is_well_formed_sorted_and_reachable_by_cleaning() {
        let mut last = "";
        for line in SOURCE.lines() {
            let (word, entry) = parse(line).unwrap_or_else(|| panic!("bad line `{line}`"));
            assert!(word > last, "`{word}` stands after `{last}`");
            last = word;
            assert_eq!(crate::text::clean(crate::text::CleaningProfile::Unicode, word), word);
            match entry {
                Entry::Polarity(value) => assert!(value != 0.0 && (-1.0..=1.0).contains(&value)),
                Entry::Negation(value) => assert!((-1.0..0.0).contains(&value)),
                Entry::Intensity(value) => assert!((0.1..=2.0).contains(&value)),
            }
        }
        assert!(LEXICON.entries.len() > 1_000);
        assert_eq!(LEXICON.entries.len(), SOURCE.lines().count());
    }

    #[test]
    fn negation_turns_and_intensity_strengthens() {
        assert!(sentiment("good") > 0.0);
        assert!(sentiment("very good") > sentiment("good"));
        assert!(sentiment("slightly good") < sentiment("good"));
        assert!(sentiment("not a good book") < 0.0);
        assert!(sentiment("not a good book") > sentiment("bad terrible book"));
        assert!(sentiment("don't like it, not at all but a really good one") > sentiment("not good"));
        assert_eq!(sentiment("the page"), 0.0);
        assert_eq!(sentiment(""), 0.0);
        assert!(sentiment("very very very very excellent") <= 1.0);
    }
}
