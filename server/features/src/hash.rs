//! Words to small numbers: an open-addressing table that owns its bytes.

/// A 64-bit hash of `bytes`: multiply and fold, eight bytes at a time. Not for secrets. Models with hashed columns depend on it:
/// it must never change.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = hash_u64(hash ^ u64::from_le_bytes(word));
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = hash_u64(hash ^ u64::from_le_bytes(word));
    }
    hash
}

/// Mixes all bits of `value` into all bits of the result.
pub(crate) fn hash_u64(value: u64) -> u64 {
    let product = u128::from(value ^ 0xa076_1d64_78bd_642f) * 0xe703_7ed1_a0b4_28db;
    (product as u64) ^ ((product >> 64) as u64)
}

const EMPTY: u32 = u32::MAX;

/// A set of byte strings, numbered 0, 1, 2, ... in the order they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interner {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`.
    ends: Vec<usize>,
    /// Id and upper half of the hash; a power of two of them, or none at all.
    slots: Vec<(u32, u32)>,
}

impl Interner {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.ends) + size_of_val(&*self.slots)
    }

    /// The string with number `id`; empty when there is none.
    pub fn text(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends.get(id - 1).copied().unwrap_or(0) };
        self.ends.get(id).and_then(|&end| self.bytes.get(start..end)).unwrap_or_default()
    }

    pub fn get(&self, text: &[u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = hash_bytes(text);
        match self.slots[self.find(hash, text)].0 {
            EMPTY => None,
            id => Some(id),
        }
    }

    /// The number of `text`, which is added when it is new. At most 2^32 - 2 strings.
    pub fn intern(&mut self, text: &[u8]) -> u32 {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash_bytes(text);
        let slot = self.find(hash, text);
        if self.slots[slot].0 == EMPTY {
            let id = self.ends.len() as u32;
            self.bytes.extend_from_slice(text);
            self.ends.push(self.bytes.len());
            self.slots[slot] = (id, (hash >> 32) as u32);
        }
        self.slots[slot].0
    }

    /// The slot that holds `text`, or the empty one where it belongs.
    fn find(&self, hash: u64, text: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (id, high) = self.slots[slot];
            if id == EMPTY || (high == (hash >> 32) as u32 && self.text(id) == text) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        self.slots = vec![(EMPTY, 0); size];
        for id in 0..self.ends.len() as u32 {
            let hash = hash_bytes(self.text(id));
            let mut slot = hash as usize & (size - 1);
            while self.slots[slot].0 != EMPTY {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = (id, (hash >> 32) as u32);
        }
    }
}
