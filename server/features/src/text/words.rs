//! Where the words of a cleaned text stand in the raw one.

use std::ops::Range;

use super::entities::entity;
use super::{CleaningProfile, is_mark};

/// Returns the byte ranges of the words in `raw`, in order: cleaning a range alone gives one word, and all of them, joined by
/// spaces, are the cleaned text.
///
/// A range holds whole characters and whole entities: `caf&eacute;` is one word of 11 bytes. What cleaning drops (tags, URLs,
/// punctuation) belongs to no word.
pub fn words(profile: CleaningProfile, raw: &str) -> Vec<Range<usize>> {
    let characters = characters(raw);
    match profile {
        CleaningProfile::Unicode => unicode(&characters),
        CleaningProfile::Ascii => ascii(&characters),
    }
}

/// A character after unescaping, and the bytes that stand for it.
struct Character {
    c: char,
    start: usize,
    end: usize,
}

fn characters(raw: &str) -> Vec<Character> {
    let mut all = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(c) = raw[at..].chars().next() {
        let unescaped = if c == '&' { entity(&raw.as_bytes()[at..]) } else { None };
        let (c, length) = unescaped.unwrap_or((c, c.len_utf8()));
        all.push(Character { c, start: at, end: at + length });
        at += length;
    }
    all
}

fn starts_url(rest: &[Character]) -> bool {
    rest.len() >= 4 && rest.iter().zip("http".chars()).all(|(given, wanted)| given.c.eq_ignore_ascii_case(&wanted))
}

fn to_white_space(rest: &[Character]) -> usize {
    rest.iter().position(|character| character.c.is_whitespace()).unwrap_or(rest.len())
}

/// Collects words that grow by one character at a time.
#[derive(Default)]
struct Words {
    all: Vec<Range<usize>>,
    open: bool,
}

impl Words {
    fn grow(&mut self, by: &Character) {
        match self.all.last_mut() {
            Some(word) if self.open => word.end = by.end,
            _ => self.all.push(by.start..by.end),
        }
        self.open = true;
    }
}

fn unicode(text: &[Character]) -> Vec<Range<usize>> {
    let mut words = Words::default();
    // Behind an apostrophe a letter goes on with the word, a mark does not.
    let mut apostrophe = false;
    // One search from the end instead of one a `<`.
    let last_tag_end = text.iter().rposition(|character| character.c == '>').unwrap_or(0);
    let mut at = 0;
    while let Some(character) = text.get(at) {
        let c = character.c;
        if matches!(c, 'h' | 'H') && starts_url(&text[at..]) {
            at += to_white_space(&text[at..]);
            words.open = false;
        } else if c.is_alphanumeric() {
            words.grow(character);
            apostrophe = false;
            at += 1;
        } else if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{2bc}') {
            apostrophe = true;
            at += 1;
        } else if !c.is_ascii() && is_mark(c) && words.open && !apostrophe {
            words.grow(character);
            at += 1;
        } else {
            words.open = false;
            let tag =
                c == '<' && text.get(at + 1).is_some_and(|next| next.c.is_ascii_alphabetic() || "/!?".contains(next.c));
            at += 1;
            if tag && at <= last_tag_end {
                // There is one, for the last `>` is not behind us.
                at += text[at..].iter().position(|character| character.c == '>').map_or(0, |found| found + 1);
            }
        }
    }
    words.all
}

fn ascii(text: &[Character]) -> Vec<Range<usize>> {
    let mut words = Words::default();
    let mut at = 0;
    while let Some(character) = text.get(at) {
        if matches!(character.c, 'h' | 'H') && starts_url(&text[at..]) {
            at += to_white_space(&text[at..]);
            continue;
        }
        if character.c.is_ascii_alphabetic() || character.c == '\u{212a}' {
            words.grow(character);
        } else if character.c.is_whitespace() {
            words.open = false;
        }
        at += 1;
    }
    words.all
}
