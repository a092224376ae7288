//! Masking (RFC 6455 §5.3): octet i of the payload is XORed with octet i mod 4 of the key.

/// A masking key, rotated so that its first octet belongs to the next octet of the payload.
#[derive(Clone, Copy, Default)]
pub(super) struct Mask(pub(super) [u8; 4]);

impl Mask {
    /// Unmasks `payload` in place and moves on behind it.
    pub(super) fn apply(&mut self, payload: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        // Words of 8 octets with one constant: the compiler turns this into its widest vectors.
        let mut words = payload.chunks_exact_mut(8);
        for chunk in &mut words {
            let mut octets = [0; 8];
            octets.copy_from_slice(chunk);
            chunk.copy_from_slice(&(u64::from_ne_bytes(octets) ^ word).to_ne_bytes());
        }
        for (octet, key) in words.into_remainder().iter_mut().zip(self.0.iter().cycle()) {
            *octet ^= key;
        }
        self.0.rotate_left(payload.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn test_rfc6455_5_3_any_split_unmasks_like_octet_i_mod_4(
            key: [u8; 4],
            payload in prop::collection::vec(any::<u8>(), 0..100),
            cut in 0usize..100,
        ) {
            let expected: Vec<u8> = payload.iter().enumerate().map(|(i, octet)| octet ^ key[i % 4]).collect();
            let mut found = payload.clone();
            let (head, tail) = found.split_at_mut(cut.min(payload.len()));
            let mut mask = Mask(key);
            mask.apply(head);
            mask.apply(tail);
            prop_assert_eq!(found, expected);
        }
    }
}
