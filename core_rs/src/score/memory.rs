//! What is known of words whatever stands beside them, kept from text to text: most words of a text were in one before.
use super::{lists::Marks, model::Word};
use std::hash::Hasher;

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
    /// The engine that knows it.
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

/// What tells apart most words whose place is the same, without a look at them.
#[derive(Clone, Copy, Default)]
struct Set {
    /// Of the words that are kept; 0 for none.
    tags: [u32; WAYS],
    /// The one that is kept longest, which gives way.
    oldest: u32,
}

/// The words that were learnt twice, the last of them: 4096 at most, in half a megabyte, whatever the texts are. Most words
/// that were never seen are never seen again.
#[derive(Default)]
pub(super) struct Memory {
    /// Tags of words that were learnt once.
    once: Vec<u32>,
    sets: Vec<Set>,
    entries: Vec<[Entry; WAYS]>,
}

/// A word that is looked up: hashed once, however often that is.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) word: &'a str,
    place: usize,
    /// Not 0.
    tag: u32,
}

impl<'a> Key<'a> {
    #[inline]
    pub(super) fn new(word: &'a str) -> Self {
        let hash = hash(word.as_bytes());
        Self { word, place: hash as usize % SETS, tag: (hash >> 32) as u32 | 1 }
    }
}

impl Memory {
    /// What `engine` knows of a word, if it is remembered.
    #[inline]
    pub(super) fn get(&self, engine: u32, key: Key) -> Option<&Known> {
        let tags = self.sets.get(key.place)?.tags;
        let mut entries = self.entries[key.place].iter().zip(tags);
        let found = entries.find(|(entry, tag)| *tag == key.tag && entry.is(engine, key.word.as_bytes()));
        found.map(|(entry, _)| &entry.known)
    }

    /// Remembers what `engine` knows of a word from the second time on, unless it is too long.
    pub(super) fn keep(&mut self, engine: u32, key: Key, known: Known) {
        let (Key { place, tag, .. }, word) = (key, key.word.as_bytes());
        if word.len() > LONGEST || self.get(engine, key).is_some() {
            return;
        }
        if self.sets.is_empty() {
            self.once.resize(SETS, 0);
            self.sets.resize(SETS, Set::default());
            self.entries.resize(SETS, [Entry::EMPTY; WAYS]);
        }
        if std::mem::replace(&mut self.once[place], tag) != tag {
            return;
        }
        let set = &mut self.sets[place];
        let way = set.oldest as usize;
        set.tags[way] = tag;
        set.oldest = (set.oldest + 1) % WAYS as u32;
        let entry = &mut self.entries[place][way];
        (entry.known, entry.engine, entry.length) = (known, engine, word.len() as u8);
        entry.text[..word.len()].copy_from_slice(word);
    }
}

/// Of the two halves of a product of 128 bits: good enough to spread words, and a collision costs no more than a word
/// that was not seen before.
#[inline]
pub(super) fn mixed(a: u64, b: u64) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let product = u128::from(a ^ FACTOR) * u128::from(b ^ FACTOR.rotate_left(32));
    product as u64 ^ (product >> 64) as u64
}

#[inline]
pub(super) fn hash(word: &[u8]) -> u64 {
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

/// The same for tables of words that are known before: who writes a text does not choose what is in them.
#[derive(Default)]
pub(super) struct ByWord(u64);

impl Hasher for ByWord {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    // What else a word is hashed with tells where it ends; it is alone.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
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
            for (engine, word) in &asked {
                let marks = Marks(word.bytes().fold(*engine, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
                match memory.get(*engine, Key::new(word)) {
                    Some(known) => prop_assert!(known.marks == marks),
                    None => memory.keep(*engine, Key::new(word), Known { marks, ..Known::default() }),
                }
            }
        }
    }

    #[test]
    fn the_words_seen_last_are_kept() {
        let mut memory = Memory::default();
        for word in ["", "a", "session", "a word of more than sixteen bytes"] {
            let key = Key::new(word);
            assert!(memory.get(1, key).is_none());
            memory.keep(1, key, Known::default());
            assert!(memory.get(1, key).is_none());
            memory.keep(1, key, Known::default());
            assert!(memory.get(1, key).is_some() && memory.get(2, key).is_none());
        }
        let place_of = |word: &String| Key::new(word).place;
        let words: Vec<_> =
            (0..).map(|number| format!("{number:x}")).filter(|word| place_of(word) == 7).take(9).collect();
        words.iter().for_each(|word| (0..3).for_each(|_| memory.keep(1, Key::new(word), Known::default())));
        let kept: Vec<_> = words.iter().filter(|word| memory.get(1, Key::new(word)).is_some()).collect();
        assert_eq!(kept, words.iter().skip(9 - WAYS).collect::<Vec<_>>());
        assert_eq!((size_of::<Entry>(), size_of::<Set>()), (128, 12));
    }

    #[test]
    fn words_are_spread() {
        let words = (0..50_000).map(|number| format!("{number:x}"));
        let sets: std::collections::HashSet<u64> = words.map(|word| hash(word.as_bytes()) % SETS as u64).collect();
        assert_eq!(sets.len(), SETS);
    }
}
