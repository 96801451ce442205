//! Cutting a text into the units that terms are made of: words, stems or characters.

use std::collections::HashSet;

use rust_stemmers::{Algorithm, Stemmer};
use tenor_domain::Error;

use super::tokens;

/// What the units of a term are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Tokens of two or more word characters, with one space between them in a term.
    #[default]
    Word,
    /// Characters; any run of white space is one space.
    Char,
    /// Characters within a word, which has a space before and after it.
    CharWb,
}

/// How texts are cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Analyzer {
    pub unit: Unit,
    /// Snowball language whose stems stand for the words, one of [`LANGUAGES`](Self::LANGUAGES).
    pub stemming: Option<String>,
    /// Words that are left out before n-grams are made; compared before stemming.
    pub stop_words: Vec<String>,
}

const ALGORITHMS: [(&str, Algorithm); 18] = [
    ("arabic", Algorithm::Arabic),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("english", Algorithm::English),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hungarian", Algorithm::Hungarian),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
];

/// English function words. Negations, intensifiers and words of contrast are not among them: they carry sentiment.
const ENGLISH_STOP_WORDS: &str = "a about after again all also am an and any are as at be because been before being between both by can \
    could did do does doing during each for from further had has have having he her here hers herself him himself his how i if in into is it \
    its itself just let me my myself of off on once one only or other our ours ourselves out over own same she should so some such than that \
    the their theirs them themselves then there these they this those through to under until up us was we were what when where which while \
    who whom whose why will with would you your yours yourself yourselves";

impl Analyzer {
    /// The languages that can be stemmed.
    pub const LANGUAGES: [&'static str; ALGORITHMS.len()] = {
        let mut names = [""; ALGORITHMS.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = ALGORITHMS[at].0;
            at += 1;
        }
        names
    };
    /// The longest list of stop words, and the longest of them in bytes.
    pub const MAX_STOP_WORDS: usize = 10_000;
    pub const MAX_STOP_WORD_BYTES: usize = 200;

    /// The stop words that the name `english` stands for, ascending.
    pub fn english_stop_words() -> Vec<String> {
        ENGLISH_STOP_WORDS.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Checks the fields; the error names the one that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(language) = &self.stemming {
            if !Self::LANGUAGES.contains(&language.as_str()) {
                let short: String = language.chars().take(40).collect();
                let why = format!("must be null or one of {}, got `{short}`", Self::LANGUAGES.join(", "));
                return Err(Error::invalid("stemming", why));
            }
            if self.unit != Unit::Word {
                return Err(Error::invalid("stemming", "goes with the analyzer `word` only; set it to null"));
            }
        }
        if !self.stop_words.is_empty() && self.unit != Unit::Word {
            return Err(Error::invalid("stop_words", "go with the analyzer `word` only; set them to null"));
        }
        if self.stop_words.len() > Self::MAX_STOP_WORDS
            || self.stop_words.iter().any(|word| word.is_empty() || word.len() > Self::MAX_STOP_WORD_BYTES)
        {
            let why = format!("must be at most {} words of 1 to 200 bytes", Self::MAX_STOP_WORDS);
            return Err(Error::invalid("stop_words", why));
        }
        Ok(())
    }

    /// Whether words pass as they are.
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// An [`Analyzer`] ready for work.
#[derive(Debug, Clone)]
pub(super) struct Cutter {
    pub analyzer: Analyzer,
    stemming: Option<Algorithm>,
    stop_words: HashSet<String>,
}

impl Cutter {
    /// Of a checked analyzer.
    pub fn new(analyzer: Analyzer) -> Self {
        let algorithm =
            |name: &String| ALGORITHMS.iter().find(|(known, _)| known == name).map(|(_, algorithm)| *algorithm);
        Self {
            stemming: analyzer.stemming.as_ref().and_then(algorithm),
            stop_words: analyzer.stop_words.iter().cloned().collect(),
            analyzer,
        }
    }

    /// Whether [`rewrite`](Self::rewrite) changes nothing.
    pub fn keeps_words(&self) -> bool {
        self.stemming.is_none() && self.stop_words.is_empty()
    }

    /// What stands for `word`: itself, its stem, or nothing.
    pub fn rewrite(&self, word: &str, take: impl FnOnce(&str)) {
        if self.stop_words.contains(word) {
            return;
        }
        let Some(algorithm) = self.stemming else { return take(word) };
        let stem = Stemmer::create(algorithm).stem(word);
        // Nothing is left of a word that is all ornament, such as the Arabic tatweel.
        if !stem.is_empty() {
            take(&stem);
        }
    }

    /// Gives the raw units of `text` in their order; `None` is a border that no term crosses.
    pub fn for_each<'a>(&self, text: &'a str, mut take: impl FnMut(Option<&'a str>)) {
        match self.analyzer.unit {
            Unit::Word => tokens(text).for_each(|word| take(Some(word))),
            Unit::Char => {
                for (at, word) in text.split_whitespace().enumerate() {
                    if at > 0 {
                        take(Some(" "));
                    }
                    characters(word).for_each(|character| take(Some(character)));
                }
            }
            Unit::CharWb => {
                for (at, word) in text.split_whitespace().enumerate() {
                    if at > 0 {
                        take(None);
                    }
                    take(Some(" "));
                    characters(word).for_each(|character| take(Some(character)));
                    take(Some(" "));
                }
            }
        }
    }
}

/// The characters of `text`, each as a text of its own.
pub(super) fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, character)| &text[at..at + character.len_utf8()])
}
