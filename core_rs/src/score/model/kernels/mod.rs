//! Sums of table rows and products with small matrices, in integers: every path gives the same bits.
//!
//! No sum can overflow, so that the order of addition is free: of rows there are fewer than 2^23, and a model's weights,
//! biases and what they are multiplied by are bounded (`training/reference/model.py`).
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;

use super::{
    features::{Finish, MAX_PIECES},
    file::{CHANNELS, COLUMNS, DIMENSIONS},
};

/// The greatest value behind a ReLU.
pub(super) const ACTIVATION: i32 = 8191;

/// Columns of what an [`Affine`] gives are a multiple of this.
pub(super) const LANES: usize = 8;

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

    /// The row of a table for each hash.
    pub(super) fn finish(self, finish: Finish, states: &[u32], rows: &mut Vec<u32>) {
        rows.clear();
        rows.resize(states.len(), 0);
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::finish(finish, states, rows) },
            _ => plain::finish(finish, states, rows),
        }
    }

    /// Adds the rows of `table` that `indices` name to `sums`. Panics for an index beyond the table.
    pub(super) fn add_rows(self, table: &[[i8; COLUMNS]], indices: &[u32], sums: &mut [i32; COLUMNS]) {
        match self {
            Self::Plain => plain::add_rows(table, indices, sums),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::add_rows(table, indices, sums) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: `best` saw the instructions.
            Self::Neon => unsafe { neon::add_rows(table, indices, sums) },
        }
    }

    /// The vector of each word between two of zeros: the sum of its rows, which end at `ends`, by the root of their number.
    ///
    /// Panics for a row beyond the table, and for a word with more than `MAX_PIECES`.
    pub(super) fn embed(
        self,
        table: &[[i8; DIMENSIONS]],
        rows: &[u32],
        ends: &[usize],
        roots: &[i32; MAX_PIECES + 1],
        vectors: &mut Vec<[i16; DIMENSIONS]>,
    ) {
        vectors.clear();
        vectors.resize(ends.len() + 2, [0; DIMENSIONS]);
        let vectors = &mut vectors[1..];
        match self {
            Self::Plain => plain::embed(table, rows, ends, roots, vectors),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` saw the instructions.
            Self::Avx2 => unsafe { avx2::embed(table, rows, ends, roots, vectors) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: `best` saw the instructions.
            Self::Neon => unsafe { neon::embed(table, rows, ends, roots, vectors) },
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
    use super::*;
    use proptest::prelude::*;

    /// As the definition says it.
    fn product(weights: &[i16], bias: &[i32], input: &[i16]) -> Vec<i32> {
        let dot = |row: &[i16]| row.iter().zip(input).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum::<i32>();
        weights.chunks_exact(input.len()).zip(bias).map(|(row, bias)| bias + dot(row)).collect()
    }

    proptest! {
        #[test]
        fn rows_are_summed_alike(
            cells in prop::collection::vec(any::<i8>(), 64..128), extreme in any::<bool>(),
            counts in prop::collection::vec(1_usize..=MAX_PIECES, 0..12), pick in any::<u32>(),
        ) {
            let cell = |at: usize| if extreme { i8::MIN } else { cells[at * 31 % cells.len()] };
            let wide: Vec<[i8; DIMENSIONS]> =
                (0..40).map(|row| std::array::from_fn(|column| cell(row * DIMENSIONS + column))).collect();
            let narrow: Vec<[i8; COLUMNS]> =
                (0..40).map(|row| std::array::from_fn(|column| cell(row * COLUMNS + column))).collect();
            let ends: Vec<usize> = counts.iter().scan(0, |end, count| { *end += count; Some(*end) }).collect();
            let rows: Vec<u32> = (0..counts.iter().sum::<usize>() as u32).map(|at| (at.wrapping_mul(pick) >> 7) % 40).collect();
            let roots = std::array::from_fn(|n| if n == 0 { 0 } else { super::super::root(n as u64) as i32 });
            let total: [i32; COLUMNS] = std::array::from_fn(|column| {
                7 + rows.iter().map(|&row| i32::from(narrow[row as usize][column])).sum::<i32>()
            });
            let starts = [0].into_iter().chain(ends.iter().copied());
            let vectors: Vec<[i16; DIMENSIONS]> = starts.zip(&ends).map(|(start, &end)| std::array::from_fn(|column| {
                let sum: i32 = rows[start..end].iter().map(|&row| i32::from(wide[row as usize][column])).sum();
                super::super::rounded(i64::from(sum) * i64::from(roots[end - start]), 12) as i16
            })).collect();
            for kernel in [Kernel::Plain, Kernel::best()] {
                let (mut sums, mut found) = ([7; COLUMNS], vec![[1; DIMENSIONS]]);
                kernel.add_rows(&narrow, &rows, &mut sums);
                prop_assert_eq!(sums, total);
                kernel.embed(&wide, &rows, &ends, &roots, &mut found);
                prop_assert_eq!(&found[1..=ends.len()], &vectors[..]);
                prop_assert_eq!((found[0], found[ends.len() + 1], found.len()), ([0; DIMENSIONS], [0; DIMENSIONS], ends.len() + 2));
            }
        }

        #[test]
        fn values_are_changed_and_gathered_alike(
            states in prop::collection::vec(any::<u32>(), 0..40), shift in 0_u32..=24,
            rows in prop::collection::vec(prop::array::uniform32(-2_000_000_000..2_000_000_000), 0..8),
        ) {
            let rectified: Vec<[i32; CHANNELS]> = rows.iter().map(|row| row.map(|value: i32| {
                super::super::rounded(i64::from(value.max(0)), shift).min(ACTIVATION.into()) as i32
            })).collect();
            let column = |at: usize| rectified.iter().map(move |row| row[at]);
            for kernel in [Kernel::Plain, Kernel::best()] {
                let mut found = vec![9; 3];
                kernel.finish(Finish::LINEAR, &states, &mut found);
                prop_assert!(found.iter().zip(&states).all(|(&row, &state)| row == Finish::LINEAR.row(state)));
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
