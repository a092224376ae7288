//! Words to rows of the hashed tables, as `training/reference/features.py` defines it: FNV-1a (draft-eastlake-fnv) over
//! a kind and the characters, finished for each table by the avalanche of MurmurHash3.

/// Rows of the tables: powers of two.
pub(super) const EMBEDDING_ROWS: usize = 1 << 16;
pub(super) const LINEAR_ROWS: usize = 1 << 18;

/// Pieces of one word.
pub(super) const MAX_PIECES: usize = 64;

/// Characters of the shortest and the longest run.
const SHORTEST: usize = 3;
const LONGEST: usize = 5;

const WORD_START: u32 = fnv1a(&[1], 0x811C_9DC5);
const PAIR_START: u32 = fnv1a(&[2], 0x811C_9DC5);
const RUN_START: u32 = fnv1a(&[3], 0x811C_9DC5);

/// FNV-1a going on from `state`.
const fn fnv1a(bytes: &[u8], mut state: u32) -> u32 {
    let mut at = 0;
    while at < bytes.len() {
        state = step(state, bytes[at]);
        at += 1;
    }
    state
}

/// The avalanche of MurmurHash3.
const fn fmix32(mut value: u32) -> u32 {
    value ^= value >> 16;
    value = value.wrapping_mul(0x85EB_CA6B);
    value ^= value >> 13;
    value = value.wrapping_mul(0xC2B2_AE35);
    value ^ value >> 16
}

/// How rows of a table are found: by the upper bits of the hash, finished with a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    seed: u32,
    shift: u32,
}

impl Finish {
    pub(super) const EMBEDDING: Self = Self { seed: 0x9E37_79B9, shift: 32 - EMBEDDING_ROWS.trailing_zeros() };
    pub(super) const LINEAR: Self = Self { seed: 0x85EB_CA6B, shift: 32 - LINEAR_ROWS.trailing_zeros() };

    #[inline(always)]
    pub(super) const fn row(self, state: u32) -> u32 {
        fmix32(state ^ self.seed) >> self.shift
    }
}

/// Characters of `<word>` that have more than `MAX_PIECES`.
const ENOUGH: usize = LONGEST + MAX_PIECES / 3;

/// The hash of a pair as far as its first word.
pub(super) fn pair_of(left: &str) -> u32 {
    fnv1a(b" ", fnv1a(left.as_bytes(), PAIR_START))
}

/// The hash of two adjacent words, going on from that of the first.
pub(super) fn pair(left: u32, right: &str) -> u32 {
    fnv1a(right.as_bytes(), left)
}

/// One step of FNV-1a.
#[inline(always)]
const fn step(state: u32, byte: u8) -> u32 {
    (state ^ byte as u32).wrapping_mul(0x0100_0193)
}

/// Appends the hashes of a word's pieces: its own, then each run of 3 to 5 characters of `<word>` by where it begins and
/// by length.
pub(super) fn pieces(word: &str, bracketed: &mut Vec<u8>, states: &mut Vec<u32>) {
    let first = states.len();
    states.push(fnv1a(word.as_bytes(), WORD_START));
    bracketed.clear();
    bracketed.push(b'<');
    for &byte in word.as_bytes() {
        if !byte.is_ascii_lowercase() || bracketed.last() != Some(&byte) {
            bracketed.push(byte);
        }
    }
    bracketed.push(b'>');
    if !word.is_ascii() {
        runs(bracketed, first, states);
        return;
    }
    // A byte is a character, and what is too much is cut afterwards.
    let bytes = &bracketed[..bracketed.len().min(ENOUGH)];
    let runs = bytes.windows(LONGEST);
    states.resize(first + 1 + 3 * runs.len(), 0);
    for (out, run) in states[first + 1..].chunks_exact_mut(3).zip(runs) {
        let three = step(step(step(RUN_START, run[0]), run[1]), run[2]);
        let four = step(three, run[3]);
        out.copy_from_slice(&[three, four, step(four, run[4])]);
    }
    if let [.., a, b, c, d] = *bytes {
        let three = step(step(step(RUN_START, a), b), c);
        states.extend_from_slice(&[three, step(three, d)]);
    }
    if let [.., a, b, c] = *bytes {
        states.push(step(step(step(RUN_START, a), b), c));
    }
    states.truncate(first + MAX_PIECES);
}

/// The runs of a word of any characters.
fn runs(bracketed: &[u8], word: usize, states: &mut Vec<u32>) {
    let mut first = 0;
    while first < bracketed.len() {
        let (mut state, mut at) = (RUN_START, first);
        for length in 1..=LONGEST {
            if at == bracketed.len() {
                break;
            }
            let end = at + width(bracketed[at]);
            state = fnv1a(&bracketed[at..end], state);
            at = end;
            if length >= SHORTEST {
                if states.len() - word == MAX_PIECES {
                    return;
                }
                states.push(state);
            }
        }
        first += width(bracketed[first]);
    }
}

/// Bytes of the UTF-8 character that begins with `lead`.
fn width(lead: u8) -> usize {
    match lead {
        ..=0xBF => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_the_word_and_its_runs_in_order(word in prop_oneof!["\\PC{1,30}", "[!-~]{1,30}"]) {
            let mut bracketed: Vec<char> = format!("<{word}>").chars().collect();
            bracketed.dedup_by(|after, before| after == before && after.is_ascii_lowercase());
            let mut expected = vec![fnv1a(word.as_bytes(), WORD_START)];
            for first in 0..bracketed.len() {
                for length in SHORTEST..=LONGEST {
                    if let Some(run) = bracketed.get(first..first + length) {
                        expected.push(fnv1a(run.iter().collect::<String>().as_bytes(), RUN_START));
                    }
                }
            }
            expected.truncate(MAX_PIECES);
            let mut states = vec![7];
            pieces(&word, &mut Vec::new(), &mut states);
            prop_assert_eq!(&states[1..], &expected[..]);
        }
    }

    #[test]
    fn hashes_are_those_of_their_authors() {
        assert_eq!(fnv1a(b"foobar", 0x811C_9DC5), 0xBF9C_F968);
        assert_eq!(fmix32(1), 0x514E_28B7);
    }
}
