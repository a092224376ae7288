//! With the vectors of aarch64 (NEON).
use super::{Affine, LANES};
use std::arch::aarch64::*;

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
