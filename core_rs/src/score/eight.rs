//! Eight bytes at once, in one integer: the first is the lowest.

/// 1 in each of eight bytes.
pub(super) const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each.
const HIGH: u64 = 0x80 * EACH;

/// The highest bit of each byte that is between two of ASCII, these among them.
#[inline]
pub(super) fn between(eight: u64, first: u8, last: u8) -> u64 {
    let low = eight & !HIGH;
    let (from, beyond) = (low + u64::from(0x80 - first) * EACH, low + u64::from(0x7f - last) * EACH);
    from & !beyond & !eight & HIGH
}

/// The highest bit of each byte, as one bit: that of the first is the lowest.
#[inline]
fn gathered(high: u64) -> u8 {
    ((high >> 7 & EACH).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// For each of 64 bytes the highest bit of what `of` makes of it, as one bit: that of the first is the lowest.
#[inline]
pub(super) fn bits(bytes: &[u8; 64], of: impl Fn(u64) -> u64) -> u64 {
    let mut bits = [0; 8];
    for (bits, eight) in bits.iter_mut().zip(bytes.chunks_exact(8)) {
        *bits = gathered(of(u64::from_le_bytes(eight.try_into().expect("eight bytes"))));
    }
    u64::from_le_bytes(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_seen_as_each_by_itself(
            text in prop::collection::vec(any::<u8>(), 64), first in 0_u8..128, more in 0_u8..128,
        ) {
            let last = first.saturating_add(more).min(127);
            let seen = bits(text.as_slice().try_into().expect("64 bytes"), |eight| between(eight, first, last));
            prop_assert!((0..64).all(|at| (seen >> at & 1 != 0) == (first..=last).contains(&text[at])));
        }
    }
}
