//! With 256-bit registers (AVX2).
use super::{Affine, LANES, Rows, plain};
use crate::score::model::file::{CHANNELS, COLUMNS, DIMENSIONS};
use std::{arch::x86_64::*, ops::Range};

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn find(hashes: &[u32], rows: &mut Rows) {
    plain::find(hashes, rows);
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn gather(
    embedding: &[[i8; DIMENSIONS]],
    linear: &[[i8; COLUMNS]],
    rows: &Rows,
    range: Range<usize>,
) -> ([i16; DIMENSIONS], [i16; COLUMNS]) {
    plain::gather(embedding, linear, rows, range)
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn add_words(words: &[[i16; COLUMNS]], sums: &mut [i32; COLUMNS]) {
    plain::add_words(words, sums);
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn add_rows(table: &[[i8; COLUMNS]], indices: &[u32], sums: &mut [i32; COLUMNS]) {
    plain::add_rows(table, indices, sums);
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn rectify(values: &mut [i32], shift: u32) {
    plain::rectify(values, shift);
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn pool(rows: &[[i32; CHANNELS]], greatest: &mut [i32; CHANNELS], total: &mut [i32; CHANNELS]) {
    plain::pool(rows, greatest, total);
}

/// # Safety
/// The processor has AVX2, and `input` holds as many windows as `out` has rows.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn slide(matrix: &Affine, input: &[i16], step: usize, out: &mut [i32]) {
    match matrix.outputs() / LANES {
        // SAFETY: as the caller says.
        1 => unsafe { columns::<1>(matrix, 0, input, step, out) },
        // SAFETY: as the caller says.
        4 => unsafe { columns::<4>(matrix, 0, input, step, out) },
        blocks => {
            for block in 0..blocks {
                // SAFETY: as the caller says.
                unsafe { columns::<1>(matrix, block, input, step, out) }
            }
        }
    }
}

/// `N` blocks of columns from `block` on, two rows at a time: what is read of the matrix serves both.
///
/// # Safety
/// As for `slide`; the matrix has that many blocks.
#[target_feature(enable = "avx2")]
unsafe fn columns<const N: usize>(matrix: &Affine, block: usize, input: &[i16], step: usize, out: &mut [i32]) {
    let outputs = matrix.outputs();
    let mut pairs = out.chunks_exact_mut(2 * outputs);
    let mut row = 0;
    for sums in &mut pairs {
        // SAFETY: as the caller says; `sums` are two rows.
        unsafe { rows::<N, 2>(matrix, block, &input[row * step..], step, sums) };
        row += 2;
    }
    for sums in pairs.into_remainder().chunks_exact_mut(outputs) {
        // SAFETY: as the caller says; `sums` are a row.
        unsafe { rows::<N, 1>(matrix, block, &input[row * step..], step, sums) };
    }
}

/// `R` rows, whose sums stay in registers.
///
/// # Safety
/// As for `columns`; `out` are `R` rows, and `input` begins with the first of their windows.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn rows<const N: usize, const R: usize>(
    matrix: &Affine,
    block: usize,
    input: &[i16],
    step: usize,
    out: &mut [i32],
) {
    let outputs = matrix.outputs();
    let mut sums = [[_mm256_setzero_si256(); N]; R];
    for n in 0..N {
        // SAFETY: the bias has a value for each column.
        let bias = unsafe { _mm256_loadu_si256(matrix.bias.as_ptr().add((block + n) * LANES).cast()) };
        sums.iter_mut().for_each(|sums| sums[n] = bias);
    }
    for pair in 0..matrix.inputs / 2 {
        let mut both = [_mm256_setzero_si256(); R];
        for (row, both) in both.iter_mut().enumerate() {
            // SAFETY: the window lies within `input`, and two of 16 bits are one of 32.
            *both =
                _mm256_set1_epi32(unsafe { input.as_ptr().add(row * step + 2 * pair).cast::<i32>().read_unaligned() });
        }
        for n in 0..N {
            // SAFETY: a pair of inputs has two weights for each column.
            let weights = unsafe {
                let at = matrix.weights.as_ptr().add((pair * outputs + (block + n) * LANES) * 2);
                _mm256_loadu_si256(at.cast())
            };
            for (sums, &both) in sums.iter_mut().zip(&both) {
                sums[n] = _mm256_add_epi32(sums[n], _mm256_madd_epi16(both, weights));
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (n, sum) in sums.iter().enumerate() {
            // SAFETY: each of the rows has a place for each column.
            unsafe {
                _mm256_storeu_si256(out.as_mut_ptr().add(row * outputs + (block + n) * LANES).cast(), *sum);
            }
        }
    }
}
