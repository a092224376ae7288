//! The model: hashed pieces of words, a convolution of width 3 and a linear part, in integers.
//!
//! ```text
//!   word ─pieces─► rows of the embedding ─sum─► vector ─convolution─► ReLU ─max, mean─► dense ─► out ─┐
//!      └─pieces, pairs─► rows of the linear part ─sum──────────────────────────────────────────────── + ─► logit ─► Platt
//! ```
//! `training/reference/model.py` says every step, and both give the same bits.
mod features;
mod file;
mod kernels;

pub use file::ModelError;
#[cfg(test)]
pub(crate) use file::tests::noise;

use features::{Finish, pair, pieces};
use file::{CHANNELS, COLUMNS, DIMENSIONS, HIDDEN, Parts};
use kernels::{ACTIVATION, Kernel};
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

/// Room that scoring needs, kept from text to text.
#[derive(Default)]
pub struct Scratch {
    /// `<word>`
    bracketed: Vec<u8>,
    /// Hashes of all pieces, word after word.
    states: Vec<u32>,
    /// Where the pieces of each word end.
    ends: Vec<usize>,
    /// Hashes of the pairs of a word and the one before it; that of the first word stands for none.
    pairs: Vec<u32>,
    /// Rows of the embedding, by piece.
    rows: Vec<u32>,
    /// Rows of the linear part, by piece and by pair.
    linear: Vec<u32>,
    linear_pairs: Vec<u32>,
    /// Of each word, between two zeros.
    vectors: Vec<[i16; DIMENSIONS]>,
    activations: Vec<[i32; CHANNELS]>,
}

/// 2^16 / sqrt(n), rounded down in two steps.
fn root(n: u64) -> i64 {
    ((1 << 32) / n).isqrt() as i64
}

/// `value` / 2^shift to the nearest integer, halves up.
fn rounded(value: i64, shift: u32) -> i64 {
    (value + (1 << shift >> 1)) >> shift
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

    /// Calibrated probabilities in 1/65536; 0 without words.
    pub fn score<'a>(&self, words: impl Iterator<Item = &'a str>, scratch: &mut Scratch) -> Heads<u32> {
        match self.logits(words, scratch) {
            Some(logits) => array::from_fn(|head| self.calibrated(head, logits[head].0)),
            None => Heads::default(),
        }
    }

    /// Each head's logit in Q16 and the window that it is of; none without words.
    pub fn logits<'a>(
        &self,
        words: impl Iterator<Item = &'a str>,
        scratch: &mut Scratch,
    ) -> Option<Heads<(i64, Range<usize>)>> {
        self.read(words, scratch);
        let mut best: Option<Heads<(i64, Range<usize>)>> = None;
        for window in windows(scratch.ends.len()) {
            let logits = self.window(scratch, window.clone());
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

    /// Fills the scratch with what each word brings.
    fn read<'a>(&self, words: impl Iterator<Item = &'a str>, scratch: &mut Scratch) {
        let Scratch { bracketed, states, ends, pairs, rows, linear, linear_pairs, vectors, activations } = scratch;
        states.clear();
        ends.clear();
        pairs.clear();
        let mut before = "";
        for word in words {
            pieces(word, bracketed, states);
            ends.push(states.len());
            pairs.push(pair(before, word));
            before = word;
        }
        let Self { parts, kernel, roots } = self;
        kernel.finish(Finish::EMBEDDING, states, rows);
        kernel.finish(Finish::LINEAR, states, linear);
        kernel.finish(Finish::LINEAR, pairs, linear_pairs);
        kernel.embed(&parts.embedding, rows, ends, roots, vectors);
        activations.resize(ends.len(), [0; CHANNELS]);
        kernel.slide(&parts.conv, vectors.as_flattened(), DIMENSIONS, activations.as_flattened_mut());
        kernel.rectify(activations.as_flattened_mut(), parts.conv_shift);
    }

    /// The logits of one window of what was read, in Q16.
    fn window(&self, scratch: &Scratch, window: Range<usize>) -> Heads<i64> {
        let Self { parts, kernel, .. } = self;
        let (mut greatest, mut total) = ([0; CHANNELS], [0; CHANNELS]);
        kernel.pool(&scratch.activations[window.clone()], &mut greatest, &mut total);
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

        let first = window.start.checked_sub(1).map_or(0, |before| scratch.ends[before]);
        let pieces = &scratch.linear[first..scratch.ends[window.end - 1]];
        let pairs = &scratch.linear_pairs[window.start + 1..window.end];
        let mut sums = [0; COLUMNS];
        kernel.add_rows(&parts.linear, pieces, &mut sums);
        kernel.add_rows(&parts.linear, pairs, &mut sums);
        let scale = root((pieces.len() + pairs.len()) as u64) * parts.linear_mul;
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
