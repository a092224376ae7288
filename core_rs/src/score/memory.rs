//! What is known of words whatever stands beside them, kept from text to text: most words of a text were in one before.
use super::{lists::Marks, model::Word};

/// Words with which one shares its place.
const WAYS: usize = 2;
const SETS: usize = 2048;
/// Bytes of a word that is kept.
const LONGEST: usize = 63;

#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) word: Word,
    pub(super) marks: Marks,
}

/// Two lines of a processor's cache.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Entry {
    known: Known,
    /// The engine that knows it; 0 for none.
    engine: u32,
    length: u8,
    text: [u8; LONGEST],
}

impl Entry {
    const EMPTY: Self =
        Self { known: Known { word: Word::EMPTY, marks: Marks::NONE }, engine: 0, length: 0, text: [0; LONGEST] };

    fn is(&self, engine: u32, word: &[u8]) -> bool {
        self.engine == engine && usize::from(self.length) == word.len() && self.text[..word.len()] == *word
    }
}

/// The words seen last: 4096 at most, in half a megabyte, whatever the texts are.
#[derive(Default)]
pub(super) struct Memory(Vec<[Entry; WAYS]>);

impl Memory {
    /// What `engine` knows of a word: remembered, or found out by `learn`.
    pub(super) fn know(&mut self, engine: u32, word: &str, learn: impl FnOnce() -> Known) -> Known {
        let bytes = word.as_bytes();
        if bytes.len() > LONGEST {
            return learn();
        }
        if self.0.is_empty() {
            self.0.resize(SETS, [Entry::EMPTY; WAYS]);
        }
        let set = &mut self.0[hash(bytes) as usize % SETS];
        if let Some(entry) = set.iter().find(|entry| entry.is(engine, bytes)) {
            return entry.known;
        }
        let known = learn();
        // The one that was learnt before the other gives way.
        set.rotate_right(1);
        let entry = &mut set[0];
        (entry.known, entry.engine, entry.length) = (known, engine, bytes.len() as u8);
        entry.text[..bytes.len()].copy_from_slice(bytes);
        known
    }
}

/// Of the two halves of a product of 128 bits: good enough to spread words, and a collision costs no more than a word
/// that was not seen before.
#[inline]
pub(super) fn hash(word: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = |a: u64, b: u64| {
        let product = u128::from(a ^ FACTOR) * u128::from(b ^ FACTOR.rotate_left(32));
        product as u64 ^ (product >> 64) as u64
    };
    let eight = |at: usize| u64::from_le_bytes(word[at..at + 8].try_into().expect("eight bytes"));
    let four = |at: usize| u64::from(u32::from_le_bytes(word[at..at + 4].try_into().expect("four bytes")));
    let length = word.len();
    match length {
        0 => 0,
        1..=3 => {
            let ends = u64::from(word[0]) | u64::from(word[length / 2]) << 8 | u64::from(word[length - 1]) << 16;
            mixed(ends, length as u64)
        }
        4..=8 => mixed(four(0) | four(length - 4) << 32, length as u64),
        _ => {
            let whole = (0..(length - 1) / 8).fold(length as u64, |state, at| mixed(state, eight(8 * at)));
            mixed(whole, eight(length - 8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_is_what_its_engine_learnt(asked in prop::collection::vec((1_u32..3, "[a-c]{0,3}|[a-z]{60,70}|\\PC{1,12}"), 1..200)) {
            let mut memory = Memory::default();
            let of = |engine: u32, word: &str| {
                let marks = Marks(word.bytes().fold(engine, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
                Known { marks, ..Known::default() }
            };
            for (engine, word) in &asked {
                prop_assert!(memory.know(*engine, word, || of(*engine, word)).marks == of(*engine, word).marks);
            }
        }
    }

    #[test]
    fn a_word_is_learnt_once() {
        let mut memory = Memory::default();
        for word in ["", "a", "session", "a word of more than sixteen bytes"] {
            memory.know(1, word, Known::default);
            memory.know(1, word, || unreachable!("{word} is known"));
        }
        let mut learnt = false;
        memory.know(2, "session", || {
            learnt = true;
            Known::default()
        });
        assert!(learnt);
        assert_eq!(size_of::<Entry>(), 128);
    }

    #[test]
    fn words_are_spread() {
        let words = (0..50_000).map(|number| format!("{number:x}"));
        let sets: std::collections::HashSet<u64> = words.map(|word| hash(word.as_bytes()) % SETS as u64).collect();
        assert_eq!(sets.len(), SETS);
    }
}
