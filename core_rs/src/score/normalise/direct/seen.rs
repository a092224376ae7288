//! Chunks that were read twice and what was made of them, kept from text to text: nothing around a chunk changes that.
use super::{Suspect, made::Made, reader::Reader};
use crate::score::eight::{between, gathered};

/// Bytes among which a chunk that is kept ends.
const LONGEST: usize = 32;
const PLACES: usize = 1024;

/// The bytes of a chunk, filled up with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    eights: [u64; LONGEST / 8],
    length: u32,
}

impl Chunk {
    /// The one ahead; none when it is too long.
    #[inline]
    pub(super) fn at(reader: &Reader) -> Option<Self> {
        let rest = &reader.text.as_bytes()[reader.at.byte..];
        let bytes = rest.first_chunk::<LONGEST>().copied().unwrap_or_else(|| {
            let mut bytes = [b' '; LONGEST];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        });
        let mut eights = [0; LONGEST / 8];
        let mut spaces = [0; LONGEST / 8];
        for ((eight, spaces), bytes) in eights.iter_mut().zip(&mut spaces).zip(bytes.chunks_exact(8)) {
            *eight = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            *spaces = gathered(between(*eight, 9, 13) | between(*eight, 28, b' '));
        }
        let length = u32::from_le_bytes(spaces).trailing_zeros();
        if length as usize == LONGEST {
            return None;
        }
        for (at, eight) in (0..).step_by(8).zip(&mut eights) {
            let own = length.saturating_sub(at).min(8);
            *eight &= u64::MAX.checked_shr(64 - 8 * own).unwrap_or(0);
        }
        Some(Self { eights, length })
    }

    /// Its place, and what tells it from most others of this place: not 0.
    #[inline]
    fn hash(&self) -> (usize, u32) {
        let [a, b, c, d] = self.eights;
        let product = u128::from(a ^ c.rotate_left(29) ^ 0x9E37_79B9_7F4A_7C15)
            * u128::from(b ^ d.rotate_left(31) ^ 0xD1B5_4A32_D192_ED03);
        let hash = product as u64 ^ (product >> 64) as u64;
        (hash as usize % PLACES, (hash >> 32) as u32 | 1)
    }
}

/// What was made of a chunk; all places from its beginning on.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) chunk: Chunk,
    pub(super) made: Made,
    pub(super) suspects: Vec<Suspect>,
    /// Of the chunk.
    pub(super) points: u32,
    /// Characters that the steps brought.
    pub(super) more: usize,
}

impl Entry {
    /// Of the chunk.
    pub(super) fn bytes(&self) -> usize {
        self.chunk.length as usize
    }
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What tells apart most chunks of a place: of those that were read once, and of those that are kept.
    once: Vec<u32>,
    tags: Vec<u32>,
    entries: Vec<Option<Box<Entry>>>,
}

impl Seen {
    #[inline]
    pub(super) fn get(&self, chunk: &Chunk) -> Option<&Entry> {
        let (place, tag) = chunk.hash();
        if *self.tags.get(place)? != tag {
            return None;
        }
        self.entries[place].as_deref().filter(|entry| entry.chunk == *chunk)
    }

    /// Keeps what was made of a chunk that was read before.
    pub(super) fn keep(&mut self, chunk: Chunk, entry: impl FnOnce() -> Entry) {
        if self.once.is_empty() {
            self.once.resize(PLACES, 0);
            self.tags.resize(PLACES, 0);
            self.entries.resize_with(PLACES, || None);
        }
        let (place, tag) = chunk.hash();
        if std::mem::replace(&mut self.once[place], tag) == tag {
            self.tags[place] = tag;
            self.entries[place] = Some(entry().into());
        }
    }
}
