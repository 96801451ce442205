//! Cutting a text into tokens.

use crate::text::is_mark;

/// For each ASCII byte, whether it is a word character.
const WORD: [bool; 128] = {
    let mut table = [false; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

/// Yields the runs of two or more word characters: letters, digits, `_`, and marks after one of them.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// The iterator of [`tokens`].
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        while at < bytes.len() {
            let start = at;
            let mut characters = 0;
            while let Some(&byte) = bytes.get(at) {
                if byte < 128 {
                    if !WORD[byte as usize] {
                        break;
                    }
                    at += 1;
                } else {
                    let Some(c) = self.text[at..].chars().next() else { break };
                    if !(c.is_alphanumeric() || (characters > 0 && is_mark(c))) {
                        break;
                    }
                    at += c.len_utf8();
                }
                characters += 1;
            }
            if characters >= 2 {
                self.at = at;
                return Some(&self.text[start..at]);
            }
            if let Some(&byte) = bytes.get(at) {
                let next = self.text[at..].chars().next().map_or(1, char::len_utf8);
                at += if byte < 128 { 1 } else { next };
            }
        }
        self.at = at;
        None
    }
}
