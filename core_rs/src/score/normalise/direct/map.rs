//! Where words stand in a text, as bits.
use crate::score::eight::{EACH, between, bits};

/// Of each byte of a text whether it is something, the first as the lowest bit.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// The 64 from a byte on.
    #[inline]
    fn from(&self, at: usize) -> u64 {
        let (word, bit) = (at / 64, at % 64);
        // What is shifted by 64 in two steps is none.
        self.0[word] >> bit | self.0[word + 1] << 1 << (63 - bit)
    }
}

/// A text seen from above, eight bytes at once.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// Letters of ASCII.
    letters: Bits,
    /// White space of ASCII.
    spaces: Bits,
    /// Letters before the same letter.
    twice: Bits,
}

impl Map {
    pub(super) fn read(&mut self, text: &str) {
        let Self { letters, spaces, twice } = self;
        for bits in [&mut *letters, spaces, twice] {
            bits.0.clear();
        }
        let text = text.as_bytes();
        let mut block = [b' '; 65];
        for at in (0..text.len()).step_by(64) {
            let bytes = text[at..].first_chunk::<65>().unwrap_or_else(|| {
                block = [b' '; 65];
                block[..text.len() - at].copy_from_slice(&text[at..]);
                &block
            });
            let here = bytes.first_chunk().expect("65 bytes");
            // But for the case of letters.
            let differ = std::array::from_fn(|at| (bytes[at] ^ bytes[at + 1]) & !0x20);
            letters.0.push(bits(here, |eight| between(eight | (0x20 * EACH), b'a', b'z')));
            spaces.0.push(bits(here, |eight| between(eight, 9, 13) | between(eight, 28, b' ')));
            twice.0.push(bits(&differ, |eight| between(eight, 0, 0)));
        }
        // Behind the end there are spaces.
        for _ in 0..2 {
            letters.0.push(0);
            spaces.0.push(u64::MAX);
            twice.0.push(0);
        }
    }

    /// White space of ASCII, from a byte on.
    #[inline]
    pub(super) fn spaces(&self, at: usize) -> u64 {
        self.spaces.from(at)
    }

    /// Words from a byte on that are letters of ASCII alone, none three times in a row, with one space between them and
    /// one behind the last: the bits of their letters, and their bytes. At most 63 are looked at.
    #[inline]
    pub(super) fn words(&self, at: usize) -> (u64, u32) {
        let [letters, spaces, twice] = [&self.letters, &self.spaces, &self.twice].map(|bits| bits.from(at));
        let other = !(letters | (spaces & letters << 1)) | (twice & twice >> 1 & letters);
        let before = other.trailing_zeros();
        let ends = spaces & (1_u64.checked_shl(before).unwrap_or(0).wrapping_sub(1));
        let bytes = ends.checked_ilog2().unwrap_or(0);
        (letters & ((1 << bytes) - 1), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes of the words that show themselves at the beginning of a text.
    fn shown(text: &str) -> usize {
        let same = |three: &[u8]| three.iter().all(|byte| byte.eq_ignore_ascii_case(&three[0]));
        let shows = |word: &str| {
            let bytes = word.as_bytes();
            !word.is_empty() && bytes.iter().all(u8::is_ascii_alphabetic) && !bytes.windows(3).any(same)
        };
        let (mut bytes, mut next) = (0, 0);
        for word in text.split(|letter| matches!(letter, '\t'..='\r' | '\u{1c}'..=' ')) {
            if !shows(word) || next + word.len() > 63 {
                break;
            }
            bytes = next + word.len();
            next = bytes + 1;
        }
        bytes
    }

    proptest! {
        #[test]
        fn words_are_those_that_show_themselves(text in "([a-cA-C]{1,4}| |  |\t|b{60}|é|,|3){0,40}", from in 0_usize..8) {
            let mut map = Map::default();
            map.read(&text);
            let from = (from..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            let (letters, bytes) = map.words(from);
            let rest = &text.as_bytes()[from..];
            prop_assert_eq!(bytes as usize, shown(&text[from..]));
            let is_letter = |at: usize| rest.get(at).is_some_and(u8::is_ascii_alphabetic);
            prop_assert!((0..64).all(|at| (letters >> at & 1 != 0) == (at < bytes as usize && is_letter(at))));
        }
    }
}
