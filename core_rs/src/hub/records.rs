//! Records of a link on a stream: each a length as a QUIC variable-length integer (RFC 9000 §16), then that many bytes.
use std::mem;

/// A whole record without its length.
pub(super) fn body(record: &[u8]) -> &[u8] {
    let prefix = record.first().map_or(0, |first| 1 << (first >> 6));
    record.get(prefix..).unwrap_or_default()
}

/// Reads records, whatever the pieces. Owns no heap memory between records.
#[derive(Default)]
pub(super) struct Records {
    /// Bytes of the length so far: at most 8.
    prefix: [u8; 8],
    known: u8,
    /// Bytes that are missing of the record; `None` while its length is not known.
    missing: Option<usize>,
    body: Vec<u8>,
}

/// A record is longer than the maximum.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Records {
    /// Reads up to the end of the next record of at most `maximum` bytes, and moves `bytes` behind it.
    pub(super) fn next(&mut self, bytes: &mut &[u8], maximum: usize) -> Result<Option<Vec<u8>>, TooLong> {
        let missing = match self.missing {
            Some(missing) => missing,
            None => match self.length(bytes) {
                None => return Ok(None),
                Some(length) => usize::try_from(length).ok().filter(|&length| length <= maximum).ok_or(TooLong)?,
            },
        };
        let (chunk, rest) = bytes.split_at(missing.min(bytes.len()));
        *bytes = rest;
        self.body.extend_from_slice(chunk);
        if chunk.len() < missing {
            self.missing = Some(missing - chunk.len());
            return Ok(None);
        }
        self.missing = None;
        Ok(Some(mem::take(&mut self.body)))
    }

    /// The length, when all of it is there.
    fn length(&mut self, bytes: &mut &[u8]) -> Option<u64> {
        loop {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            self.prefix[usize::from(self.known)] = byte;
            self.known += 1;
            let size = 1 << (self.prefix[0] >> 6);
            if self.known == size {
                let mut octets = [0; 8];
                octets[8 - usize::from(size)..].copy_from_slice(&self.prefix[..usize::from(size)]);
                // The two bits that said how long the integer is are no part of it.
                octets[8 - usize::from(size)] &= 0x3F;
                self.known = 0;
                return Some(u64::from_be_bytes(octets));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn integer(value: u64, size: usize) -> Vec<u8> {
        let mut bytes = value.to_be_bytes()[8 - size..].to_vec();
        bytes[0] |= (size.trailing_zeros() as u8) << 6;
        bytes
    }

    #[test]
    fn test_rfc9000_a_1_sample_integers() {
        for (bytes, value) in [
            (&[0xC2, 0x19, 0x7C, 0x5E, 0xFF, 0x14, 0xE8, 0x8C][..], 151_288_809_941_952_652),
            (&[0x9D, 0x7F, 0x3E, 0x7D], 494_878_333),
            (&[0x7B, 0xBD], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ] {
            let mut records = Records::default();
            let mut rest = bytes;
            assert_eq!(records.length(&mut rest), Some(value));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_record_over_the_maximum_is_refused_before_its_body() {
        let mut records = Records::default();
        assert_eq!(records.next(&mut &integer(11, 4)[..], 10), Err(TooLong));
        assert_eq!(Records::default().next(&mut &integer((1 << 62) - 1, 8)[..], 10), Err(TooLong));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_records(
            bodies in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), prop::sample::select(vec![2usize, 4, 8])), 0..10),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|(body, size)| [integer(body.len() as u64, *size), body.clone()].concat()).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut records = Records::default();
            let mut found = Vec::new();
            for piece in cuts.windows(2) {
                let mut bytes = &stream[piece[0]..piece[1]];
                while let Some(body) = records.next(&mut bytes, 80).expect("no record is too long") {
                    found.push(body);
                }
                prop_assert!(bytes.is_empty());
            }
            prop_assert_eq!(found, bodies.into_iter().map(|(body, _)| body).collect::<Vec<_>>());
        }
    }
}
