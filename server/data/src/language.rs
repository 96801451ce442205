//! The languages of the accepted texts, judged by a sample that depends on the rows alone.

use std::collections::{BTreeMap, BinaryHeap};

use tenor_features::text::{CleaningProfile, clean};

/// Texts that are looked at: the standard error of a share is then 1.6 percentage points at most, and the cost does not grow with
/// the rows.
const MAX_TEXTS: usize = 1000;
/// Characters of a text that are looked at.
const MAX_CHARS: usize = 500;
/// Bytes of letters below which a text says too little: 20 Latin letters, 10 Cyrillic ones, 7 Chinese ones.
const MIN_LETTER_BYTES: usize = 20;
/// Confidence of whatlang that is too little. Its own measure, 0.9, leaves more short texts undetermined, above all in languages
/// that have near relatives, such as Spanish.
const UNSURE: f64 = 0.7;

/// The languages of the accepted texts.
///
/// Looked at are the rows with the least row ids (as 16 hex digits), 1,000 at most. A row id is a hash of the row's
/// content, so this is a uniform sample, and the same rows give the same result in any order, format and block and with
/// any number of threads. Of each text the first 500 characters are cleaned of tags, entities and URLs and judged by
/// whatlang (70 languages) by alphabet and trigrams. `texts` is the sum of `undetermined` and of the texts of all `shares`.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LanguageProfile {
    /// Texts looked at, 1 to 1,000; 0 in a profile of before languages were looked for.
    pub texts: u64,
    /// Texts with fewer than 20 bytes of letters, and those whose language is not sure (confidence up to 0.7).
    pub undetermined: u64,
    /// Most frequent first, equally frequent ones by code.
    pub shares: Vec<LanguageShare>,
}

/// Texts of one language.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LanguageShare {
    /// ISO 639-3, e.g. `eng`.
    pub code: String,
    pub texts: u64,
    /// Of all texts looked at, undetermined ones included; above 0, up to 1.
    pub share: f64,
}

/// Keeps the starts of the texts with the least row ids.
#[derive(Debug, Default)]
pub(crate) struct LanguageSample {
    /// The greatest id on top.
    kept: BinaryHeap<(u64, String)>,
}

impl LanguageSample {
    pub(crate) fn add(&mut self, row_id: u64, text: &str) {
        if self.kept.len() == MAX_TEXTS {
            if self.kept.peek().is_some_and(|(greatest, _)| row_id >= *greatest) {
                return;
            }
            self.kept.pop();
        }
        let end = text.char_indices().nth(MAX_CHARS).map_or(text.len(), |(end, _)| end);
        self.kept.push((row_id, text[..end].to_owned()));
    }

    /// Judges the sample on `threads` threads.
    pub(crate) fn profile(self, threads: usize) -> LanguageProfile {
        let kept = self.kept.into_vec();
        let mut texts_by_code = BTreeMap::new();
        std::thread::scope(|scope| {
            let parts = kept.chunks(kept.len().div_ceil(threads.max(1)).max(1));
            let parts: Vec<_> = parts.map(|part| scope.spawn(|| count(part))).collect();
            for part in parts {
                let part = part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                for (code, texts) in part {
                    *texts_by_code.entry(code).or_default() += texts;
                }
            }
        });
        let texts = kept.len() as u64;
        let undetermined = texts_by_code.remove(&None).unwrap_or(0);
        let share = |(code, count): (&str, u64)| LanguageShare {
            code: code.to_owned(),
            texts: count,
            share: count as f64 / texts as f64,
        };
        let determined = texts_by_code.into_iter().filter_map(|(code, count)| Some((code?, count)));
        let mut shares: Vec<_> = determined.map(share).collect();
        shares.sort_by_key(|share| std::cmp::Reverse(share.texts));
        LanguageProfile { texts, undetermined, shares }
    }
}

/// Texts by code.
fn count(part: &[(u64, String)]) -> BTreeMap<Option<&'static str>, u64> {
    let mut counts = BTreeMap::new();
    for (_, text) in part {
        *counts.entry(code(text)).or_default() += 1;
    }
    counts
}

/// The ISO 639-3 code of the language of `text`; `None` when it is too short or not sure.
fn code(text: &str) -> Option<&'static str> {
    let text = clean(CleaningProfile::Unicode, text);
    let letter_bytes: usize = text.chars().filter(|c| c.is_alphabetic()).map(char::len_utf8).sum();
    if letter_bytes < MIN_LETTER_BYTES {
        return None;
    }
    whatlang::detect(&text).filter(|found| found.confidence() > UNSURE).map(|found| found.lang().code())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "I could not put this book down and I have already told all of my friends about it.";
    const SPANISH: &str = "Me encantó la historia desde la primera página, los personajes están muy bien construidos.";

    /// `rows` in order, judged on `threads` threads.
    fn profile<'a>(rows: impl IntoIterator<Item = (u64, &'a str)>, threads: usize) -> LanguageProfile {
        let mut sample = LanguageSample::default();
        for (row_id, text) in rows {
            sample.add(row_id, text);
        }
        sample.profile(threads)
    }

    #[test]
    fn a_text_that_is_too_short_or_not_sure_is_undetermined() {
        for (text, expected) in [
            (ENGLISH, Some("eng")),
            (SPANISH, Some("spa")),
            ("Ich konnte dieses Buch nicht aus der Hand legen und habe es allen Freunden empfohlen.", Some("deu")),
            ("Эту книгу невозможно отложить, я уже рассказал о ней всем своим друзьям.", Some("rus")),
            ("这本书写得非常好看", Some("cmn")),
            ("<p>Me encant&oacute; la historia, los personajes est&aacute;n muy bien construidos.</p>", Some("spa")),
            // It might as well be Portuguese.
            ("No pude dejar de leer este libro y ya se lo he recomendado a todos mis amigos.", None),
            ("Good book!", None),
            ("好看", None),
            ("", None),
            ("10/10 !!! :-) 2014 5 stars *****", None),
            ("https://example.com/a/very/long/path/of/english/words/about/the/book", None),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn only_the_start_of_a_long_text_is_judged() {
        let text = format!("{}{}", ENGLISH.repeat(6), SPANISH.repeat(600));
        let found = profile([(1, text.as_str())], 1);
        assert_eq!((found.texts, found.shares[0].code.as_str()), (1, "eng"));
        // The cut never falls within a character.
        let found = profile([(1, "é".repeat(5000).as_str())], 1);
        assert_eq!(found.texts, 1);
    }

    #[test]
    fn the_rows_with_the_least_ids_are_judged_in_any_order_and_with_any_threads() {
        // Spanish stands among the 1,000 least ids only.
        let text = |id: u64| if id < 1000 && id.is_multiple_of(4) { SPANISH } else { ENGLISH };
        let rows: Vec<(u64, &str)> = (0..4000).map(|id| (id, text(id))).collect();
        let expected = profile(rows.iter().copied(), 1);
        assert_eq!((expected.texts, expected.undetermined), (1000, 0));
        let shares: Vec<_> = expected.shares.iter().map(|s| (s.code.as_str(), s.texts, s.share)).collect();
        assert_eq!(shares, [("eng", 750, 0.75), ("spa", 250, 0.25)]);
        for threads in [0, 2, 7, 5000] {
            assert_eq!(profile(rows.iter().rev().copied(), threads), expected, "{threads} threads");
        }
        let shuffled = (0..4000).map(|at| rows[at * 1777 % 4000]);
        assert_eq!(profile(shuffled, 3), expected);
    }

    #[test]
    fn equally_frequent_languages_stand_by_code_and_shares_count_the_undetermined() {
        let found = profile([(1, SPANISH), (2, "ok"), (3, ENGLISH), (4, "fine")], 2);
        assert_eq!((found.texts, found.undetermined), (4, 2));
        let shares: Vec<_> = found.shares.iter().map(|s| (s.code.as_str(), s.share)).collect();
        assert_eq!(shares, [("eng", 0.25), ("spa", 0.25)]);
    }
}
