//! The model: hashed pieces of words, a convolution of width 3 and a linear part, in integers.
//!
//! ```text
//!   word ─pieces─► rows of the embedding ─sum─► vector ─convolution─► ReLU ─max, mean─► dense ─► out ─┐
//!      └─pieces, pairs─► rows of the linear part ─sum──────────────────────────────────────────────── + ─► logit ─► Platt
//! ```
//! What a word brings whatever stands beside it is a [`Word`], which may be kept.
//! `training/reference/model.py` says every step, and both give the same bits.
mod features;
mod file;
mod kernels;

pub use file::ModelError;
#[cfg(test)]
pub(crate) use file::tests::noise;

use features::{Finish, pair, pair_of, pieces};
use file::{CHANNELS, COLUMNS, DIMENSIONS, HIDDEN, Parts};
use kernels::{ACTIVATION, Kernel, Rows};
use std::{array, ops::Range};

pub const HEADS: [&str; 5] = ["abuse", "hate", "sexual", "threat", "spam"];
/// Names of the thresholds of each head, rising.
pub const LEVELS: [&str; 4] = ["attention", "flag", "hold", "block"];

/// Words that are scored together, and from the first of some to the first of the next.
const WINDOW: usize = 256;
const STEP: usize = 192;

/// 1 in Q16, and where the sigmoid ends on both sides.
const ONE: i64 = 1 << 16;
const LIMIT: i64 = 12 * ONE;

/// A value for each head.
pub type Heads<T> = [T; HEADS.len()];

/// One model, ready to be used. Never changes.
pub struct Model {
    parts: Parts,
    kernel: Kernel,
    /// `root` of the numbers of pieces that a word can have.
    roots: [i32; features::MAX_PIECES + 1],
}

/// What a word brings, whatever stands beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Word {
    vector: [i16; DIMENSIONS],
    /// The sum of the rows of its pieces in the linear part.
    linear: [i16; COLUMNS],
    /// The hash of a pair that it begins.
    pair: u32,
    pieces: u8,
}

impl Word {
    /// Of no word.
    pub(super) const EMPTY: Self = Self { vector: [0; DIMENSIONS], linear: [0; COLUMNS], pair: 0, pieces: 0 };
}

/// The pieces of some words, and their rows.
#[derive(Default)]
pub struct Pieces {
    /// `<word>`
    bracketed: Vec<u8>,
    /// Of all words, one after the other.
    hashes: Vec<u32>,
    /// Where those of each word end.
    ends: Vec<u32>,
    rows: Rows,
}

impl Pieces {
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.ends.clear();
    }

    pub fn push(&mut self, word: &str) {
        pieces(word, &mut self.bracketed, &mut self.hashes);
        self.ends.push(self.hashes.len() as u32);
    }
}

/// The words of one text, and room that scoring them needs.
#[derive(Default)]
pub struct Scratch {
    /// Of each word, between two zeros.
    vectors: Vec<[i16; DIMENSIONS]>,
    /// Of each word.
    linear: Vec<[i16; COLUMNS]>,
    /// Pieces of each word and those before it.
    ends: Vec<u32>,
    /// Rows of the linear part of the pairs of a word and the one before it; that of the first word stands for none.
    pairs: Vec<u32>,
    /// The hash of a pair that the last word begins.
    before: u32,
    activations: Vec<[i32; CHANNELS]>,
}

impl Scratch {
    /// Begins a text.
    pub fn clear(&mut self) {
        self.vectors.clear();
        self.vectors.push([0; DIMENSIONS]);
        self.linear.clear();
        self.ends.clear();
        self.pairs.clear();
        self.before = pair_of("");
    }

    /// Appends a word, which must be what the model made of `text`.
    pub fn push(&mut self, text: &str, word: &Word) {
        self.vectors.push(word.vector);
        self.linear.push(word.linear);
        self.ends.push(self.ends.last().unwrap_or(&0) + u32::from(word.pieces));
        self.pairs.push(Finish::LINEAR.row(pair(self.before, text)));
        self.before = word.pair;
    }
}

/// 2^16 / sqrt(n), rounded down in two steps.
fn root(n: u64) -> i64 {
    ((1 << 32) / n).isqrt() as i64
}

/// `value` / 2^shift to the nearest integer, halves up.
fn rounded(value: i64, shift: u32) -> i64 {
    (value + (1 << shift >> 1)) >> shift
}

/// Asks for the bytes of what is read soon, where the language has the instruction: the tables are larger than the caches of a
/// core, and what cores share forgets them within a millisecond when others are busy.
#[inline]
fn soon<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, for an address that is one.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Words that are scored each by itself: the last window ends with the text.
fn windows(words: usize) -> impl Iterator<Item = Range<usize>> {
    let last = words.saturating_sub(WINDOW);
    (0..last).step_by(STEP).map(|start| start..start + WINDOW).chain((words > 0).then_some(last..words))
}

impl Model {
    pub fn new(file: &[u8]) -> Result<Self, ModelError> {
        let roots = array::from_fn(|n| if n == 0 { 0 } else { root(n as u64) as i32 });
        Ok(Self { parts: Parts::read(file)?, kernel: Kernel::best(), roots })
    }

    /// By head and level, in 1/65536: reached by a score that is not below.
    pub fn thresholds(&self) -> &Heads<[u32; LEVELS.len()]> {
        &self.parts.thresholds
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> &[u8; 32] {
        &self.parts.digest
    }

    /// Finds what words bring, so that it is near when it is asked for.
    pub fn find(&self, pieces: &mut Pieces) {
        self.kernel.find(&pieces.hashes, &mut pieces.rows);
        pieces.rows.embedding.iter().for_each(|&row| soon(&self.parts.embedding[row as usize]));
        pieces.rows.linear.iter().for_each(|&row| soon(&self.parts.linear[row as usize]));
    }

    /// What a word brings: the one that was pushed as number `at` to pieces that were found.
    pub fn word(&self, text: &str, pieces: &Pieces, at: usize) -> Word {
        let start = at.checked_sub(1).map_or(0, |before| pieces.ends[before]);
        let range = start as usize..pieces.ends[at] as usize;
        let count = range.len();
        let (sums, linear) = self.kernel.gather(&self.parts.embedding, &self.parts.linear, &pieces.rows, range);
        let scale = self.roots[count];
        let vector = sums.map(|sum| ((i32::from(sum) * scale + (1 << 11)) >> 12) as i16);
        Word { vector, linear, pair: pair_of(text), pieces: count as u8 }
    }

    /// Calibrated probabilities in 1/65536; 0 without words.
    pub fn score(&self, words: &mut Scratch) -> Heads<u32> {
        match self.logits(words) {
            Some(logits) => array::from_fn(|head| self.calibrated(head, logits[head].0)),
            None => Heads::default(),
        }
    }

    /// Each head's logit in Q16 and the window that it is of; none without words.
    pub fn logits(&self, words: &mut Scratch) -> Option<Heads<(i64, Range<usize>)>> {
        let Self { parts, kernel, .. } = self;
        let Scratch { vectors, ends, activations, .. } = words;
        vectors.resize(ends.len() + 2, [0; DIMENSIONS]);
        activations.resize(ends.len(), [0; CHANNELS]);
        kernel.slide(&parts.conv, vectors.as_flattened(), DIMENSIONS, activations.as_flattened_mut());
        kernel.rectify(activations.as_flattened_mut(), parts.conv_shift);
        let mut best: Option<Heads<(i64, Range<usize>)>> = None;
        for window in windows(words.ends.len()) {
            let logits = self.window(words, window.clone());
            match &mut best {
                None => best = Some(logits.map(|logit| (logit, window.clone()))),
                Some(best) => {
                    for (best, logit) in best.iter_mut().zip(logits) {
                        if logit > best.0 {
                            *best = (logit, window.clone());
                        }
                    }
                }
            }
        }
        best
    }

    /// The logits of one window of the words, in Q16.
    fn window(&self, words: &Scratch, window: Range<usize>) -> Heads<i64> {
        let Self { parts, kernel, .. } = self;
        let (mut greatest, mut total) = ([0; CHANNELS], [0; CHANNELS]);
        kernel.pool(&words.activations[window.clone()], &mut greatest, &mut total);
        let scale = root(window.len() as u64);
        let mean = |total: i32| rounded(i64::from(total) * scale, 16 + parts.pool_shift).min(ACTIVATION.into()) as i16;
        let pooled: [i16; 2 * CHANNELS] = array::from_fn(|at| match at.checked_sub(CHANNELS) {
            None => greatest[at] as i16,
            Some(channel) => mean(total[channel]),
        });
        let mut hidden = [0; HIDDEN];
        kernel.slide(&parts.dense, &pooled, 2 * CHANNELS, &mut hidden);
        kernel.rectify(&mut hidden, parts.dense_shift);
        let mut out = [0; COLUMNS];
        kernel.slide(&parts.out, &hidden.map(|value| value as i16), HIDDEN, &mut out);

        let first = window.start.checked_sub(1).map_or(0, |before| words.ends[before]);
        let pairs = &words.pairs[window.start + 1..window.end];
        let mut sums = [0; COLUMNS];
        kernel.add_words(&words.linear[window.clone()], &mut sums);
        kernel.add_rows(&parts.linear, pairs, &mut sums);
        let count = u64::from(words.ends[window.end - 1] - first) + pairs.len() as u64;
        let scale = root(count) * parts.linear_mul;
        array::from_fn(|head| {
            rounded(i64::from(out[head]) * parts.out_mul, 24) + rounded(i64::from(sums[head]) * scale, 24)
        })
    }

    /// The probability that belongs to a logit, in 1/65536.
    pub fn calibrated(&self, head: usize, logit: i64) -> u32 {
        let Parts { platt_a, platt_b, sigmoid, .. } = &self.parts;
        let value = rounded(i64::from(platt_a[head]) * logit, 16) + i64::from(platt_b[head]);
        let value = value.clamp(-LIMIT, LIMIT - 1) + LIMIT;
        let (at, rest) = ((value >> 12) as usize, value & 0xFFF);
        let (low, high) = (i64::from(sigmoid[at]), i64::from(sigmoid[at + 1]));
        (low + rounded(rest * (high - low), 12)) as u32
    }
}
