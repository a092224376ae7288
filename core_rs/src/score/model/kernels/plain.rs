//! In the language alone. What has no instructions of its own elsewhere is compiled there once more, for theirs.
use super::{ACTIVATION, Affine, Rows};
use crate::score::model::{
    features::Finish,
    file::{CHANNELS, COLUMNS, DIMENSIONS},
};
use std::ops::Range;

#[inline(always)]
pub(super) fn find(hashes: &[u32], rows: &mut Rows) {
    rows.embedding.clear();
    rows.embedding.extend(hashes.iter().map(|&hash| Finish::EMBEDDING.row(hash)));
    rows.linear.clear();
    rows.linear.extend(hashes.iter().map(|&hash| Finish::LINEAR.row(hash)));
}

#[inline(always)]
pub(super) fn gather(
    embedding: &[[i8; DIMENSIONS]],
    linear: &[[i8; COLUMNS]],
    rows: &Rows,
    range: Range<usize>,
) -> ([i16; DIMENSIONS], [i16; COLUMNS]) {
    let (mut wide, mut narrow) = ([0; DIMENSIONS], [0; COLUMNS]);
    for (&first, &second) in rows.embedding[range.clone()].iter().zip(&rows.linear[range]) {
        for (sum, &cell) in wide.iter_mut().zip(&embedding[first as usize]) {
            *sum += i16::from(cell);
        }
        for (sum, &cell) in narrow.iter_mut().zip(&linear[second as usize]) {
            *sum += i16::from(cell);
        }
    }
    (wide, narrow)
}

#[inline(always)]
pub(super) fn add_words(words: &[[i16; COLUMNS]], sums: &mut [i32; COLUMNS]) {
    for word in words {
        for (sum, &cell) in sums.iter_mut().zip(word) {
            *sum += i32::from(cell);
        }
    }
}

#[inline(always)]
pub(super) fn add_rows(table: &[[i8; COLUMNS]], indices: &[u32], sums: &mut [i32; COLUMNS]) {
    for &index in indices {
        for (sum, &cell) in sums.iter_mut().zip(&table[index as usize]) {
            *sum += i32::from(cell);
        }
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
