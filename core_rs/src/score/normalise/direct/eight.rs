//! Eight bytes at once, in one integer: the first is the lowest.

/// 1 in each of eight bytes.
pub(super) const EACH: u64 = 0x0101_0101_0101_0101;

/// Whether a byte is zero.
pub(super) fn has_zero(eight: u64) -> bool {
    eight.wrapping_sub(EACH) & !eight & (0x80 * EACH) != 0
}

/// How many bytes are letters of ASCII, from the first, lowest one on.
pub(super) fn letters(eight: u64) -> u32 {
    let lower = (eight | (0x20 * EACH)) & (0x7f * EACH);
    // In the highest bit of each byte: not below `a`, beyond `z`.
    let (from, beyond) = (lower + (0x80 - 0x61) * EACH, lower + (0x80 - 0x7b) * EACH);
    let other = !(from & !beyond & !eight) & (0x80 * EACH);
    other.trailing_zeros() / 8
}
