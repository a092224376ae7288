//! Sums of table rows and products with small matrices, in integers: every path gives the same bits.
//!
//! No sum can overflow, so that the order of addition is free: of rows there are fewer than 2^23, and a model's weights,
//! biases and what they are multiplied by are bounded (`training/reference/model.py`).
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;

use super::file::{CHANNELS, COLUMNS, DIMENSIONS};
use std::ops::Range;

/// The greatest value behind a ReLU.
pub(super) const ACTIVATION: i32 = 8191;

/// Columns of what an [`Affine`] gives are a multiple of this.
pub(super) const LANES: usize = 8;

/// Rows of both tables, by the pieces that name them.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) embedding: Vec<u32>,
    pub(super) linear: Vec<u32>,
}

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernel {
    /// The fastest of this machine.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            return Self::Neon;
        }
        Self::Plain
    }

    /// Finds the rows that hashes of pieces name in the two tables, in place of what `rows` holds.
    pub(super) fn find(self, hashes: &[u32], rows: &mut Rows) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::find(hashes, rows) },
            _ => plain::find(hashes, rows),
        }
    }

    /// The sums of some of the rows that were found, at most `MAX_PIECES`.
    pub(super) fn gather(
        self,
        embedding: &[[i8; DIMENSIONS]],
        linear: &[[i8; COLUMNS]],
        rows: &Rows,
        range: Range<usize>,
    ) -> ([i16; DIMENSIONS], [i16; COLUMNS]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::gather(embedding, linear, rows, range) },
            _ => plain::gather(embedding, linear, rows, range),
        }
    }

    /// Adds what each word brings to `sums`.
    pub(super) fn add_words(self, words: &[[i16; COLUMNS]], sums: &mut [i32; COLUMNS]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::add_words(words, sums) },
            _ => plain::add_words(words, sums),
        }
    }

    /// Adds the rows of `table` that `indices` name to `sums`. Panics for an index beyond the table.
    pub(super) fn add_rows(self, table: &[[i8; COLUMNS]], indices: &[u32], sums: &mut [i32; COLUMNS]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::add_rows(table, indices, sums) },
            _ => plain::add_rows(table, indices, sums),
        }
    }

    /// ReLU of each value by 2^shift, at most `ACTIVATION`.
    pub(super) fn rectify(self, values: &mut [i32], shift: u32) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::rectify(values, shift) },
            _ => plain::rectify(values, shift),
        }
    }

    /// The greatest value and the sum of each channel.
    pub(super) fn pool(self, rows: &[[i32; CHANNELS]], greatest: &mut [i32; CHANNELS], total: &mut [i32; CHANNELS]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::pool(rows, greatest, total) },
            _ => plain::pool(rows, greatest, total),
        }
    }

    /// `matrix` over every window of `input` that begins at a multiple of `step`, one row of `out` after the other.
    ///
    /// Panics unless `input` holds as many windows as `out` has rows.
    pub(super) fn slide(self, matrix: &Affine, input: &[i16], step: usize, out: &mut [i32]) {
        let rows = out.len() / matrix.outputs();
        assert!(rows == 0 || (rows - 1) * step + matrix.inputs <= input.len());
        match self {
            Self::Plain => plain::slide(matrix, input, step, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions, and the windows lie within `input`.
            Self::Avx2 => unsafe { avx2::slide(matrix, input, step, out) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: `best` saw the instructions, and the windows lie within `input`.
            Self::Neon => unsafe { neon::slide(matrix, input, step, out) },
        }
    }
}

/// A matrix with what is added to its products.
///
/// Weights lie as the instructions want them: two inputs beside each other for each output.
#[derive(Debug)]
pub(super) struct Affine {
    /// A multiple of 2.
    inputs: usize,
    bias: Vec<i32>,
    /// `[input / 2][output][input % 2]`
    weights: Vec<i16>,
}

impl Affine {
    /// `weights` by `[output][input]`, an even number of inputs; outputs are filled up with zeros to a multiple of
    /// [`LANES`].
    pub(super) fn new(weights: &[i16], mut bias: Vec<i32>) -> Self {
        let inputs = weights.len() / bias.len();
        assert!(inputs % 2 == 0 && weights.len() == inputs * bias.len());
        let padded = bias.len().next_multiple_of(LANES);
        let mut laid = vec![0; inputs * padded];
        for (at, &weight) in weights.iter().enumerate() {
            let (output, input) = (at / inputs, at % inputs);
            laid[(input / 2 * padded + output) * 2 + input % 2] = weight;
        }
        bias.resize(padded, 0);
        Self { inputs, bias, weights: laid }
    }

    /// A multiple of [`LANES`].
    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::features::{EMBEDDING_ROWS, Finish, LINEAR_ROWS, MAX_PIECES},
        *,
    };
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// As the definition says it.
    fn product(weights: &[i16], bias: &[i32], input: &[i16]) -> Vec<i32> {
        let dot = |row: &[i16]| row.iter().zip(input).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum::<i32>();
        weights.chunks_exact(input.len()).zip(bias).map(|(row, bias)| bias + dot(row)).collect()
    }

    type Tables = (Vec<[i8; DIMENSIONS]>, Vec<[i8; COLUMNS]>);

    /// Of noise, and of the least value.
    static TABLES: LazyLock<[Tables; 2]> = LazyLock::new(|| {
        [false, true].map(|extreme| {
            let mut state = 1_u32;
            let mut cell = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if extreme { i8::MIN } else { (state >> 24) as i8 }
            };
            let wide = (0..EMBEDDING_ROWS).map(|_| std::array::from_fn(|_| cell())).collect();
            (wide, (0..LINEAR_ROWS).map(|_| std::array::from_fn(|_| cell())).collect())
        })
    });

    proptest! {
        #[test]
        fn rows_are_summed_alike(
            extreme in any::<bool>(),
            hashes in prop::collection::vec(any::<u32>(), 0..=MAX_PIECES), words in prop::collection::vec(any::<[i16; COLUMNS]>(), 0..300),
        ) {
            let (wide, narrow) = &TABLES[usize::from(extreme)];
            let rows = |finish: Finish| hashes.iter().map(move |&hash| finish.row(hash)).collect::<Vec<_>>();
            let (first, second) = (rows(Finish::EMBEDDING), rows(Finish::LINEAR));
            let in_wide = |column: usize| first.iter().map(|&row| i16::from(wide[row as usize][column])).sum::<i16>();
            let in_narrow = |column: usize| second.iter().map(|&row| i16::from(narrow[row as usize][column])).sum::<i16>();
            for kernel in [Kernel::Plain, Kernel::best()] {
                let mut rows = Rows::default();
                kernel.find(&hashes, &mut rows);
                let (vector, own) = kernel.gather(wide, narrow, &rows, 0..hashes.len());
                prop_assert_eq!(vector, std::array::from_fn(in_wide));
                prop_assert_eq!(own, std::array::from_fn(in_narrow));
                let mut sums = [7; COLUMNS];
                kernel.add_rows(narrow, &second, &mut sums);
                prop_assert_eq!(sums, own.map(|sum| 7 + i32::from(sum)));
                kernel.add_words(&words, &mut sums);
                let column = |at: usize| words.iter().map(move |word| i32::from(word[at])).sum::<i32>();
                prop_assert_eq!(sums, std::array::from_fn(|at| 7 + i32::from(own[at]) + column(at)));
            }
        }

        #[test]
        fn values_are_changed_and_gathered_alike(
            shift in 0_u32..=24,
            rows in prop::collection::vec(prop::array::uniform32(-2_000_000_000..2_000_000_000), 0..8),
        ) {
            let rectified: Vec<[i32; CHANNELS]> = rows.iter().map(|row| row.map(|value: i32| {
                super::super::rounded(i64::from(value.max(0)), shift).min(ACTIVATION.into()) as i32
            })).collect();
            let column = |at: usize| rectified.iter().map(move |row| row[at]);
            for kernel in [Kernel::Plain, Kernel::best()] {
                let mut values = rows.clone();
                kernel.rectify(values.as_flattened_mut(), shift);
                prop_assert_eq!(&values, &rectified);
                let (mut greatest, mut total) = ([0; CHANNELS], [0; CHANNELS]);
                kernel.pool(&values, &mut greatest, &mut total);
                prop_assert_eq!(greatest, std::array::from_fn(|at| column(at).max().unwrap_or(0)));
                prop_assert_eq!(total, std::array::from_fn(|at| column(at).sum::<i32>()));
            }
        }

        #[test]
        fn windows_are_multiplied_alike(
            weights in prop::collection::vec(-2047..2048_i16, 48 * 32), bias in prop::collection::vec(-(1 << 28)..1 << 28, 32),
            outputs in prop::sample::select(vec![5_usize, 8, 24, 32]), inputs in prop::sample::select(vec![2_usize, 32, 48]),
            rows in 0_usize..6, step in prop::sample::select(vec![2_usize, 16]), extreme in any::<bool>(),
            values in prop::collection::vec(-16_384..16_385_i16, 200),
        ) {
            let input: Vec<i16> = values[..6 * step + inputs].iter().map(|&x| if extreme { -16_384 } else { x }).collect();
            let weights: Vec<i16> = weights[..inputs * outputs].iter().map(|&w| if extreme { -2047 } else { w }).collect();
            let (weights, bias) = (&weights, &bias[..outputs]);
            let matrix = Affine::new(weights, bias.to_vec());
            let expected: Vec<Vec<i32>> =
                (0..rows).map(|row| product(weights, bias, &input[row * step..row * step + inputs])).collect();
            for kernel in [Kernel::Plain, Kernel::best()] {
                let mut out = vec![1; rows * matrix.outputs()];
                kernel.slide(&matrix, &input, step, &mut out);
                for (row, expected) in out.chunks_exact(matrix.outputs()).zip(&expected) {
                    prop_assert_eq!(&row[..outputs], &expected[..]);
                    prop_assert!(row[outputs..].iter().all(|&padding| padding == 0));
                }
            }
        }
    }
}
