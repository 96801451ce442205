//! Cleaning and the text-derived numeric features.

mod entities;
mod lexicon;
mod marks;
#[cfg(test)]
mod tests;
mod words;

use std::borrow::Cow;

pub use entities::unescape_entities;
pub use lexicon::{lexicon_digest, sentiment};
pub(crate) use marks::is_mark;
pub use words::words;

/// How raw text becomes the text that is tokenized. Stored in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CleaningProfile {
    /// Lower-case, entities unescaped, tags and URLs dropped, letters and digits of every script kept, spaces squeezed.
    #[default]
    Unicode,
    /// As the replaced system: entities unescaped, lower-case, URLs dropped, only a-z and spaces kept.
    Ascii,
}

/// The numeric features computed from a text, in the order of [`text_features`].
pub const TEXT_FEATURES: [&str; 8] = [
    "text_len",
    "word_count",
    "kindle_freq",
    "exclamation_count",
    "question_count",
    "caps_ratio",
    "avg_word_length",
    "sentiment",
];

/// The numeric features joined from aggregates of the train split.
pub const AGGREGATE_FEATURES: [&str; 4] = ["user_avg_len", "user_review_count", "item_avg_len", "item_review_count"];

/// Returns `raw` cleaned; see [`clean_into`].
pub fn clean(profile: CleaningProfile, raw: &str) -> String {
    let mut out = String::new();
    clean_into(profile, raw, &mut out);
    out
}

/// Replaces `out` by `raw` cleaned as `profile` says, in one pass.
///
/// Both profiles unescape entities once, lower-case, drop everything from `http` up to white space, and leave single
/// spaces between words and none at the ends.
/// - `Unicode`: tags (`<` followed by a letter, `/`, `!` or `?`, up to `>`) count as a space, so do all characters but
///   letters, digits and the marks that belong to them. An apostrophe stays between two of those; the typographic one
///   becomes `'`. A lone `<`, as in `<3`, is no tag.
/// - `Ascii`: whatever is neither a-z nor white space vanishes without a trace: `don't` becomes `dont`.
pub fn clean_into(profile: CleaningProfile, raw: &str, out: &mut String) {
    out.clear();
    let text: Cow<'_, str> = unescape_entities(raw);
    out.reserve(text.len());
    match profile {
        CleaningProfile::Unicode => clean_unicode(&text, out),
        CleaningProfile::Ascii => clean_ascii(&text, out),
    }
}

/// Returns the features of [`TEXT_FEATURES`]: lengths in characters, counts, ratios from 0 to 1, sentiment from -1 to 1.
///
/// The first seven look at `raw` as it came, the sentiment looks at `cleaned`. An empty text gives zeros.
pub fn text_features(raw: &str, cleaned: &str) -> [f64; 8] {
    let (mut characters, mut words, mut exclamations, mut questions, mut capitals) = (0u32, 0u32, 0u32, 0u32, 0u32);
    let mut in_word = false;
    for c in raw.chars() {
        characters += 1;
        let (space, capital) = if c.is_ascii() {
            exclamations += u32::from(c == '!');
            questions += u32::from(c == '?');
            (c == ' ' || ('\t'..='\r').contains(&c), c.is_ascii_uppercase())
        } else {
            (c.is_whitespace(), c.is_uppercase())
        };
        capitals += u32::from(capital);
        words += u32::from(!space && !in_word);
        in_word = !space;
    }
    let length = f64::from(characters);
    let caps_ratio = if characters == 0 { 0.0 } else { f64::from(capitals) / length };
    [
        length,
        f64::from(words),
        f64::from(count_kindle(raw.as_bytes())),
        f64::from(exclamations),
        f64::from(questions),
        caps_ratio,
        length / f64::from(words.max(1)),
        sentiment(cleaned),
    ]
}

/// Occurrences of `kindle` in any case, within longer words too.
fn count_kindle(bytes: &[u8]) -> u32 {
    let mut count = 0;
    for at in memchr::memchr2_iter(b'k', b'K', bytes) {
        count += u32::from(bytes[at..].get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"kindle")));
    }
    count
}

fn starts_url(rest: &[u8]) -> bool {
    rest.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"http"))
}

/// Bytes of `text` up to its first white space.
fn to_white_space(text: &str) -> usize {
    text.find(char::is_whitespace).unwrap_or(text.len())
}

/// What lies between the word that was written last and the next one.
#[derive(PartialEq)]
enum Gap {
    None,
    Apostrophe,
    Space,
}

fn clean_unicode(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut gap = Gap::None;
    let mut at = 0;
    // Once no `>` was found there is none further on either; without this note, many `<` would cost a scan each.
    let mut tags_end = false;
    while let Some(&byte) = bytes.get(at) {
        let mut run = at;
        while run < bytes.len() && (bytes[run].is_ascii_lowercase() || bytes[run].is_ascii_digit()) {
            if bytes[run] == b'h' && starts_url(&bytes[run..]) {
                break;
            }
            run += 1;
        }
        if run > at {
            close_gap(out, &mut gap);
            out.push_str(&text[at..run]);
            at = run;
            continue;
        }
        match byte {
            b'h' | b'H' if starts_url(&bytes[at..]) => {
                at += to_white_space(&text[at..]);
                gap = Gap::Space;
            }
            b'A'..=b'Z' => {
                close_gap(out, &mut gap);
                out.push(char::from(byte.to_ascii_lowercase()));
                at += 1;
            }
            b'<' if !tags_end && bytes.get(at + 1).is_some_and(|b| b.is_ascii_alphabetic() || b"/!?".contains(b)) => {
                gap = Gap::Space;
                match memchr::memchr(b'>', &bytes[at..]) {
                    Some(end) => at += end + 1,
                    None => {
                        tags_end = true;
                        at += 1;
                    }
                }
            }
            b'\'' => {
                apostrophe(&mut gap);
                at += 1;
            }
            0..=0x7f => {
                gap = Gap::Space;
                at += 1;
            }
            _ => at += clean_wide(&text[at..], out, &mut gap),
        }
    }
}

/// Cleans the first character of `rest`, which is not ASCII, and returns its length in bytes.
fn clean_wide(rest: &str, out: &mut String, gap: &mut Gap) -> usize {
    let Some(c) = rest.chars().next() else { return rest.len() };
    if matches!(c, '\u{2018}' | '\u{2019}' | '\u{2bc}') {
        apostrophe(gap);
    } else if c.is_alphanumeric() {
        close_gap(out, gap);
        for lower in c.to_lowercase() {
            if lower.is_alphanumeric() || is_mark(lower) {
                out.push(lower);
            }
        }
    } else if is_mark(c) && *gap == Gap::None && !out.is_empty() {
        out.push(c);
    } else {
        *gap = Gap::Space;
    }
    c.len_utf8()
}

fn apostrophe(gap: &mut Gap) {
    if *gap == Gap::None {
        *gap = Gap::Apostrophe;
    }
}

fn close_gap(out: &mut String, gap: &mut Gap) {
    if !out.is_empty() {
        match gap {
            Gap::None => {}
            Gap::Apostrophe => out.push('\''),
            Gap::Space => out.push(' '),
        }
    }
    *gap = Gap::None;
}

fn clean_ascii(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut space = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let mut next = at + 1;
        let letter = match byte {
            b'h' | b'H' if starts_url(&bytes[at..]) => {
                next = at + to_white_space(&text[at..]);
                None
            }
            b'a'..=b'z' | b'A'..=b'Z' => Some(char::from(byte.to_ascii_lowercase())),
            b' ' | b'\t'..=b'\r' => {
                space = true;
                None
            }
            0..=0x7f => None,
            _ => {
                let Some(c) = text[at..].chars().next() else { break };
                next = at + c.len_utf8();
                space |= c.is_whitespace();
                // The Kelvin sign is the one character outside ASCII whose lower case is an ASCII letter alone.
                (c == '\u{212a}').then_some('k')
            }
        };
        if let Some(letter) = letter {
            if space && !out.is_empty() {
                out.push(' ');
            }
            space = false;
            out.push(letter);
        }
        at = next;
    }
}
