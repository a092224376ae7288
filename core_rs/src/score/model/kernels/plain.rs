//! In the language alone. What has no instructions of its own elsewhere is compiled there once more, for theirs.
use super::{ACTIVATION, Affine};
use crate::score::model::{
    features::{Finish, MAX_PIECES},
    file::{CHANNELS, COLUMNS, DIMENSIONS},
};

#[inline(always)]
pub(super) fn finish(finish: Finish, states: &[u32], rows: &mut [u32]) {
    for (row, &state) in rows.iter_mut().zip(states) {
        *row = finish.row(state);
    }
}

pub(super) fn add_rows(table: &[[i8; COLUMNS]], indices: &[u32], sums: &mut [i32; COLUMNS]) {
    for &index in indices {
        for (sum, &cell) in sums.iter_mut().zip(&table[index as usize]) {
            *sum += i32::from(cell);
        }
    }
}

pub(super) fn embed(
    table: &[[i8; DIMENSIONS]],
    rows: &[u32],
    ends: &[usize],
    roots: &[i32; MAX_PIECES + 1],
    vectors: &mut [[i16; DIMENSIONS]],
) {
    let mut start = 0;
    for (vector, &end) in vectors.iter_mut().zip(ends) {
        let mut sums = [0_i32; DIMENSIONS];
        for &row in &rows[start..end] {
            for (sum, &cell) in sums.iter_mut().zip(&table[row as usize]) {
                *sum += i32::from(cell);
            }
        }
        let scale = roots[end - start];
        *vector = sums.map(|sum| ((sum * scale + (1 << 11)) >> 12) as i16);
        start = end;
    }
}

#[inline(always)]
pub(super) fn rectify(values: &mut [i32], shift: u32) {
    for value in values {
        *value = (((*value).max(0) + (1 << shift >> 1)) >> shift).min(ACTIVATION);
    }
}

#[inline(always)]
pub(super) fn pool(rows: &[[i32; CHANNELS]], greatest: &mut [i32; CHANNELS], total: &mut [i32; CHANNELS]) {
    for row in rows {
        for ((greatest, total), &value) in greatest.iter_mut().zip(total.iter_mut()).zip(row) {
            *greatest = value.max(*greatest);
            *total += value;
        }
    }
}

pub(super) fn slide(matrix: &Affine, input: &[i16], step: usize, out: &mut [i32]) {
    for (row, sums) in out.chunks_exact_mut(matrix.outputs()).enumerate() {
        sums.copy_from_slice(&matrix.bias);
        let window = &input[row * step..row * step + matrix.inputs];
        for (pair, weights) in window.chunks_exact(2).zip(matrix.weights.chunks_exact(2 * matrix.outputs())) {
            let (first, second) = (i32::from(pair[0]), i32::from(pair[1]));
            for (sum, weight) in sums.iter_mut().zip(weights.chunks_exact(2)) {
                *sum += first * i32::from(weight[0]) + second * i32::from(weight[1]);
            }
        }
    }
}
