//! With 256-bit registers (AVX2).
use super::{Affine, LANES, plain};
use crate::score::model::{
    features::{Finish, MAX_PIECES},
    file::{CHANNELS, COLUMNS, DIMENSIONS},
};
use std::arch::x86_64::*;

/// Rows that 16 bits can sum: 2^15 / 2^7.
const ROWS: usize = 256;

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn finish(finish: Finish, states: &[u32], rows: &mut [u32]) {
    plain::finish(finish, states, rows);
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
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn add_rows(table: &[[i8; COLUMNS]], indices: &[u32], sums: &mut [i32; COLUMNS]) {
    for some in indices.chunks(ROWS) {
        let mut sum = _mm_setzero_si128();
        for &index in some {
            let row = &table[index as usize];
            // SAFETY: a row has 8 bytes; loads and stores here need no alignment.
            let cells = unsafe { _mm_loadl_epi64(row.as_ptr().cast()) };
            sum = _mm_add_epi16(sum, _mm_cvtepi8_epi16(cells));
        }
        let mut partial = [0_i16; COLUMNS];
        // SAFETY: `partial` has 8 times 16 bits.
        unsafe { _mm_storeu_si128(partial.as_mut_ptr().cast(), sum) };
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += i32::from(partial);
        }
    }
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn embed(
    table: &[[i8; DIMENSIONS]],
    rows: &[u32],
    ends: &[usize],
    roots: &[i32; MAX_PIECES + 1],
    vectors: &mut [[i16; DIMENSIONS]],
) {
    let mut start = 0;
    for (vector, &end) in vectors.iter_mut().zip(ends) {
        let mut sum = _mm256_setzero_si256();
        for &index in &rows[start..end] {
            let row = &table[index as usize];
            // SAFETY: a row has 16 bytes.
            let cells = unsafe { _mm_loadu_si128(row.as_ptr().cast()) };
            sum = _mm256_add_epi16(sum, _mm256_cvtepi8_epi16(cells));
        }
        let scale = _mm256_set1_epi32(roots[end - start]);
        let half = _mm256_set1_epi32(1 << 11);
        let low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sum));
        let high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256::<1>(sum));
        let low = _mm256_srai_epi32::<12>(_mm256_add_epi32(_mm256_mullo_epi32(low, scale), half));
        let high = _mm256_srai_epi32::<12>(_mm256_add_epi32(_mm256_mullo_epi32(high, scale), half));
        // Packing works on each half by itself: the quarters in the middle change places again.
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
        // SAFETY: a vector has 16 times 16 bits.
        unsafe { _mm256_storeu_si256(vector.as_mut_ptr().cast(), packed) };
        start = end;
    }
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

/// `N` blocks of columns from `block` on, whose sums stay in registers.
///
/// # Safety
/// As for `slide`; the matrix has that many blocks.
#[target_feature(enable = "avx2")]
unsafe fn columns<const N: usize>(matrix: &Affine, block: usize, input: &[i16], step: usize, out: &mut [i32]) {
    let outputs = matrix.outputs();
    for (row, sums) in out.chunks_exact_mut(outputs).enumerate() {
        let mut sum = [_mm256_setzero_si256(); N];
        for (n, sum) in sum.iter_mut().enumerate() {
            // SAFETY: the bias has a value for each column.
            *sum = unsafe { _mm256_loadu_si256(matrix.bias.as_ptr().add((block + n) * LANES).cast()) };
        }
        for pair in 0..matrix.inputs / 2 {
            // SAFETY: the window lies within `input`, and two of 16 bits are one of 32.
            let both = unsafe { input.as_ptr().add(row * step + 2 * pair).cast::<i32>().read_unaligned() };
            let both = _mm256_set1_epi32(both);
            for (n, sum) in sum.iter_mut().enumerate() {
                // SAFETY: a pair of inputs has two weights for each column.
                let weights = unsafe {
                    let at = matrix.weights.as_ptr().add((pair * outputs + (block + n) * LANES) * 2);
                    _mm256_loadu_si256(at.cast())
                };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(both, weights));
            }
        }
        for (n, sum) in sum.iter().enumerate() {
            // SAFETY: a row of `out` has a place for each column.
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().add((block + n) * LANES).cast(), *sum) };
        }
    }
}
