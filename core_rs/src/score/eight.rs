//! Eight bytes at once, in one integer: the first is the lowest.

/// 1 in each of eight bytes.
pub(super) const EACH: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each.
const HIGH: u64 = 0x80 * EACH;

/// Whether a byte is zero.
pub(super) fn has_zero(eight: u64) -> bool {
    eight.wrapping_sub(EACH) & !eight & HIGH != 0
}

/// The highest bit of each byte that is between two of ASCII, these among them.
#[inline]
pub(super) fn between(eight: u64, first: u8, last: u8) -> u64 {
    let low = eight & !HIGH;
    let (from, beyond) = (low + u64::from(0x80 - first) * EACH, low + u64::from(0x7f - last) * EACH);
    from & !beyond & !eight & HIGH
}

/// How many bytes are letters of ASCII, from the first, lowest one on.
pub(super) fn letters(eight: u64) -> u32 {
    let other = !between(eight | (0x20 * EACH), b'a', b'z') & HIGH;
    other.trailing_zeros() / 8
}

/// The highest bit of each byte, as one bit: that of the first is the lowest.
#[inline]
pub(super) fn gathered(high: u64) -> u8 {
    ((high >> 7 & EACH).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_bytes_are_seen_as_each_by_itself(bytes in prop_oneof![any::<[u8; 8]>(), prop::array::uniform8(b'.'..b'}')]) {
            let eight = u64::from_le_bytes(bytes);
            prop_assert_eq!(has_zero(eight), bytes.contains(&0));
            prop_assert_eq!(letters(eight) as usize, bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count());
            let digits = (0..8).fold(0, |bits, at| bits | u8::from(bytes[at].is_ascii_digit()) << at);
            prop_assert_eq!(gathered(between(eight, b'0', b'9')), digits);
        }
    }
}
