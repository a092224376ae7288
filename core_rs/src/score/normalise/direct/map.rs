//! Where words stand in a text, as bits.
use crate::score::eight::{EACH, between, bits};

/// What 64 bytes are, the first as the lowest bit.
#[derive(Debug, Clone, Copy)]
struct Bits {
    /// Letters of ASCII.
    letters: u64,
    /// White space of ASCII.
    spaces: u64,
    /// Letters before the same letter.
    twice: u64,
}

/// Behind the end of a text.
const END: Bits = Bits { letters: 0, spaces: u64::MAX, twice: 0 };

/// A text seen from above.
#[derive(Debug, Default)]
pub(super) struct Map(Vec<Bits>);

impl Map {
    pub(super) fn read(&mut self, text: &str) {
        self.0.clear();
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
            self.0.push(Bits {
                letters: bits(here, |eight| between(eight | (0x20 * EACH), b'a', b'z')),
                spaces: bits(here, |eight| between(eight, 9, 13) | between(eight, 28, b' ')),
                twice: bits(&differ, |eight| between(eight, 0, 0)),
            });
        }
        self.0.extend([END; 2]);
    }

    /// The 64 from a byte on.
    #[inline]
    fn from(&self, at: usize) -> Bits {
        let (first, second) = (self.0[at / 64], self.0[at / 64 + 1]);
        let bit = at % 64;
        // What is shifted by 64 in two steps is none.
        let both = |first: u64, second: u64| first >> bit | second << 1 << (63 - bit);
        Bits {
            letters: both(first.letters, second.letters),
            spaces: both(first.spaces, second.spaces),
            twice: both(first.twice, second.twice),
        }
    }

    /// White space of ASCII, from a byte on.
    #[inline]
    pub(super) fn spaces(&self, at: usize) -> u64 {
        self.from(at).spaces
    }

    /// Words from a byte on that are letters of ASCII alone, none three times in a row, with one space between them and
    /// one behind the last: the bits of their letters, and their bytes. At most 63 are looked at.
    #[inline]
    pub(super) fn words(&self, at: usize) -> (u64, u32) {
        let Bits { letters, spaces, twice } = self.from(at);
        let other = !(letters | (spaces & letters << 1)) | (twice & twice >> 1 & letters);
        let before = other.trailing_zeros();
        let ends = spaces & (1_u64.checked_shl(before).unwrap_or(0).wrapping_sub(1));
        let bytes = ends.checked_ilog2().unwrap_or(0);
        (letters & ((1 << bytes) - 1), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::reader::{ASCII, Role},
        *,
    };
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

    #[test]
    fn white_space_is_that_of_the_reader() {
        for byte in 0..128_u8 {
            let mut map = Map::default();
            map.read(&char::from(byte).to_string());
            assert_eq!(map.spaces(0) & 1 != 0, ASCII[usize::from(byte)] == Role::Space, "{byte}");
        }
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
