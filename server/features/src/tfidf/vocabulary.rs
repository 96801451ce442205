//! The terms of the columns, and a trie over their words (or characters) to find them in a text.

use super::analyze::{Unit, characters};
use crate::hash::{Interner, hash_u64};

/// No word, no node, no column.
pub(super) const NONE: u32 = u32::MAX;

/// Terms in ascending order. A node of the trie is a word or a sequence of words that starts some term; the nodes of
/// single words have the words' numbers.
#[derive(Debug, Clone)]
pub(super) struct Vocabulary {
    bytes: String,
    ends: Vec<usize>,
    words: Interner,
    nodes: Vec<Node>,
    /// (parent node, word) to child node; a power of two of slots.
    children: Vec<(u64, u32)>,
    child_count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    column: u32,
    has_children: bool,
}

impl Vocabulary {
    /// Builds the trie; `terms` must ascend, and consist of words with single spaces between them, or of characters.
    pub fn new(terms: &[impl AsRef<str>], unit: Unit) -> Result<Self, String> {
        if terms.len() >= NONE as usize {
            return Err("has too many terms".to_owned());
        }
        let mut vocabulary = Self {
            bytes: String::new(),
            ends: Vec::with_capacity(terms.len()),
            words: Interner::default(),
            nodes: Vec::new(),
            children: vec![(0, NONE); 16],
            child_count: 0,
        };
        let mut last: Option<&str> = None;
        for term in terms {
            let term = term.as_ref();
            if last.is_some_and(|last| last >= term) {
                return Err("must hold different terms in ascending order".to_owned());
            }
            if term.is_empty() || units(term, unit).any(str::is_empty) {
                return Err("holds a term with an empty word".to_owned());
            }
            last = Some(term);
            vocabulary.bytes.push_str(term);
            vocabulary.ends.push(vocabulary.bytes.len());
            for word in units(term, unit) {
                vocabulary.words.intern(word.as_bytes());
            }
        }
        vocabulary.nodes = vec![Node { column: NONE, has_children: false }; vocabulary.words.len()];
        for (column, term) in terms.iter().enumerate() {
            let mut words = units(term.as_ref(), unit);
            let mut node = words.next().map_or(NONE, |word| vocabulary.word(word));
            for word in words {
                node = vocabulary.add_child(node, vocabulary.word(word));
            }
            vocabulary.nodes[node as usize].column = column as u32;
        }
        Ok(vocabulary)
    }

    /// Number of terms.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn term(&self, column: usize) -> &str {
        let start = if column == 0 { 0 } else { self.ends.get(column - 1).copied().unwrap_or(0) };
        self.ends.get(column).and_then(|&end| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// The number of `word`, or [`NONE`].
    pub fn word(&self, word: &str) -> u32 {
        self.words.get(word.as_bytes()).unwrap_or(NONE)
    }

    /// Calls `found` with the column of every term in the token sequence `words`.
    pub fn for_each_column(&self, words: &[u32], mut found: impl FnMut(u32)) {
        for (at, &first) in words.iter().enumerate() {
            if first == NONE {
                continue;
            }
            let mut node = self.nodes[first as usize];
            let mut id = first;
            let mut rest = &words[at + 1..];
            loop {
                if node.column != NONE {
                    found(node.column);
                }
                let Some((&word, further)) = rest.split_first() else { break };
                if !node.has_children || word == NONE {
                    break;
                }
                id = self.child(id, word);
                if id == NONE {
                    break;
                }
                node = self.nodes[id as usize];
                rest = further;
            }
        }
    }

    fn child(&self, node: u32, word: u32) -> u32 {
        self.children[self.slot(key(node, word))].1
    }

    /// The slot that holds `key`, or the empty one where it belongs.
    fn slot(&self, key: u64) -> usize {
        let mask = self.children.len() - 1;
        let mut slot = hash_u64(key) as usize & mask;
        while self.children[slot].1 != NONE && self.children[slot].0 != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn add_child(&mut self, node: u32, word: u32) -> u32 {
        if (self.child_count + 1) * 2 > self.children.len() {
            let larger = vec![(0, NONE); self.children.len() * 2];
            let old = std::mem::replace(&mut self.children, larger);
            for (key, child) in old.into_iter().filter(|(_, child)| *child != NONE) {
                let slot = self.slot(key);
                self.children[slot] = (key, child);
            }
        }
        let key = key(node, word);
        let slot = self.slot(key);
        if self.children[slot].1 == NONE {
            let child = self.nodes.len() as u32;
            self.nodes.push(Node { column: NONE, has_children: false });
            self.nodes[node as usize].has_children = true;
            self.children[slot] = (key, child);
            self.child_count += 1;
        }
        self.children[slot].1
    }
}

/// The words or the characters of a term.
fn units(term: &str, unit: Unit) -> Box<dyn Iterator<Item = &str> + '_> {
    match unit {
        Unit::Word => Box::new(term.split(' ')),
        Unit::Char | Unit::CharWb => Box::new(characters(term)),
    }
}

fn key(node: u32, word: u32) -> u64 {
    u64::from(node) << 32 | u64::from(word)
}
