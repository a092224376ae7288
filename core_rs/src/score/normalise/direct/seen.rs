//! Chunks that were read twice and what was made of them, kept from text to text: nothing around a chunk changes that.
use super::{Suspect, made::Part, reader::Reader};
use crate::score::memory::mixed;

/// Bytes of a chunk that is kept.
const LONGEST: usize = 32;
const PLACES: usize = 1024;

/// The bytes of a chunk, filled up with zeros.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    eights: [u64; LONGEST / 8],
    length: u32,
}

impl Chunk {
    /// The one ahead; none when it is too long.
    #[inline]
    pub(super) fn at(reader: &Reader) -> Option<Self> {
        let length = reader.map.spaces(reader.at.byte).trailing_zeros();
        if length as usize > LONGEST {
            return None;
        }
        let rest = &reader.text.as_bytes()[reader.at.byte..];
        let bytes = rest.first_chunk::<LONGEST>().copied().unwrap_or_else(|| {
            let mut bytes = [0; LONGEST];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        });
        let mut eights = [0; LONGEST / 8];
        for ((at, eight), bytes) in (0..).step_by(8).zip(&mut eights).zip(bytes.chunks_exact(8)) {
            let own = length.saturating_sub(at).min(8);
            let mask = u64::MAX.checked_shr(64 - 8 * own).unwrap_or(0);
            *eight = u64::from_le_bytes(bytes.try_into().expect("eight bytes")) & mask;
        }
        Some(Self { eights, length })
    }

    /// Its place, and what tells it from most others of this place: not 0.
    #[inline]
    fn hash(&self) -> (usize, u32) {
        let [a, b, c, d] = self.eights;
        let hash = mixed(a ^ c.rotate_left(29), b ^ d.rotate_left(31));
        (hash as usize % PLACES, (hash >> 32) as u32 | 1)
    }
}

/// A chunk and what was made of it; all places from its beginning on.
#[derive(Debug, Default)]
pub(super) struct Entry {
    chunk: Chunk,
    pub(super) part: Part,
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
    entries: Vec<Entry>,
}

impl Seen {
    #[inline]
    pub(super) fn get(&self, chunk: &Chunk) -> Option<&Entry> {
        let (place, tag) = chunk.hash();
        if *self.tags.get(place)? != tag {
            return None;
        }
        Some(&self.entries[place]).filter(|entry| entry.chunk == *chunk)
    }

    /// Where to keep what was made of a chunk, which is to be written there; none the first time.
    pub(super) fn keep(&mut self, chunk: Chunk) -> Option<&mut Entry> {
        if self.once.is_empty() {
            self.once.resize(PLACES, 0);
            self.tags.resize(PLACES, 0);
            self.entries.resize_with(PLACES, Entry::default);
        }
        let (place, tag) = chunk.hash();
        if std::mem::replace(&mut self.once[place], tag) != tag {
            return None;
        }
        self.tags[place] = tag;
        let entry = &mut self.entries[place];
        entry.chunk = chunk;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Direct, Map, Normalised, Place, Steps},
        *,
    };

    fn chunk(text: &str) -> Option<Chunk> {
        let mut map = Map::default();
        map.read(text);
        Chunk::at(&Reader { text, map: &map, at: Place { byte: 0, point: 0 } })
    }

    #[test]
    fn a_chunk_is_known_from_the_second_time_on() {
        let mut direct = Direct::default();
        let known = |direct: &Direct, text| direct.seen.get(&chunk(text).expect("it is short")).is_some();
        for text in ["f.u.c.k and", "f.u.c.k", "аss, f.u.c.k\tx"] {
            assert!(direct.read(text, &mut Steps::default(), &mut Normalised::default()));
            assert_eq!(known(&direct, "f.u.c.k"), text != "f.u.c.k and", "{text}");
        }
        assert!(!known(&direct, "f.u.c") && !known(&direct, "аss,"));
    }

    #[test]
    fn a_chunk_ends_before_white_space_and_with_the_text() {
        let longest = "x".repeat(LONGEST);
        assert_eq!(chunk(&longest), chunk(&format!("{longest}\u{1c}y")));
        assert_eq!(chunk(&format!("{longest}x")), None);
        assert_ne!(chunk("a"), chunk("a\0"));
    }
}
