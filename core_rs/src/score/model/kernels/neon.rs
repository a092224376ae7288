//! With the vectors of aarch64 (NEON).
use super::{Affine, LANES};
use crate::score::model::{
    features::MAX_PIECES,
    file::{COLUMNS, DIMENSIONS},
};
use std::arch::aarch64::*;

/// Rows that 16 bits can sum: 2^15 / 2^7.
const ROWS: usize = 256;

/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn add_rows(table: &[[i8; COLUMNS]], indices: &[u32], sums: &mut [i32; COLUMNS]) {
    for some in indices.chunks(ROWS) {
        let mut sum = vdupq_n_s16(0);
        for &index in some {
            let row = &table[index as usize];
            // SAFETY: a row has 8 bytes.
            sum = vaddw_s8(sum, unsafe { vld1_s8(row.as_ptr()) });
        }
        let mut partial = [0_i16; COLUMNS];
        // SAFETY: `partial` has 8 times 16 bits.
        unsafe { vst1q_s16(partial.as_mut_ptr(), sum) };
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += i32::from(partial);
        }
    }
}

/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn embed(
    table: &[[i8; DIMENSIONS]],
    rows: &[u32],
    ends: &[usize],
    roots: &[i32; MAX_PIECES + 1],
    vectors: &mut [[i16; DIMENSIONS]],
) {
    let mut start = 0;
    for (vector, &end) in vectors.iter_mut().zip(ends) {
        let (mut low, mut high) = (vdupq_n_s16(0), vdupq_n_s16(0));
        for &index in &rows[start..end] {
            let row = &table[index as usize];
            // SAFETY: a row has 16 bytes.
            let cells = unsafe { vld1q_s8(row.as_ptr()) };
            low = vaddw_s8(low, vget_low_s8(cells));
            high = vaddw_high_s8(high, cells);
        }
        let mut sums = [0_i16; DIMENSIONS];
        // SAFETY: `sums` has two times 8 times 16 bits.
        unsafe {
            vst1q_s16(sums.as_mut_ptr(), low);
            vst1q_s16(sums.as_mut_ptr().add(8), high);
        }
        let scale = roots[end - start];
        *vector = sums.map(|sum| ((i32::from(sum) * scale + (1 << 11)) >> 12) as i16);
        start = end;
    }
}

/// # Safety
/// The processor has NEON, and `input` holds as many windows as `out` has rows.
#[target_feature(enable = "neon")]
pub(super) unsafe fn slide(matrix: &Affine, input: &[i16], step: usize, out: &mut [i32]) {
    let outputs = matrix.outputs();
    for block in 0..outputs / LANES {
        for (row, sums) in out.chunks_exact_mut(outputs).enumerate() {
            // SAFETY: the bias has a value for each column.
            let (mut low, mut high) = unsafe {
                let bias = matrix.bias.as_ptr().add(block * LANES);
                (vld1q_s32(bias), vld1q_s32(bias.add(4)))
            };
            let window = &input[row * step..row * step + matrix.inputs];
            for (pair, both) in window.chunks_exact(2).enumerate() {
                // SAFETY: a pair of inputs has two weights for each column.
                let weights = unsafe { vld2q_s16(matrix.weights.as_ptr().add((pair * outputs + block * LANES) * 2)) };
                for (weights, input) in [(weights.0, both[0]), (weights.1, both[1])] {
                    low = vmlal_n_s16(low, vget_low_s16(weights), input);
                    high = vmlal_high_n_s16(high, weights, input);
                }
            }
            // SAFETY: a row of `out` has a place for each column.
            unsafe {
                let sums = sums.as_mut_ptr().add(block * LANES);
                vst1q_s32(sums, low);
                vst1q_s32(sums.add(4), high);
            }
        }
    }
}
