//! Version negotiation with versions whose connection ids are longer than ours may be.
//!
//! quinn drops packets with ids of more than 20 bytes, which QUIC version 1 forbids, before it looks at their version;
//! but other versions may have longer ones (RFC 8999 §5.3), and a server should tell those clients what it speaks
//! (RFC 9000 §17.2).

/// QUIC version 1 (RFC 9000 §15).
pub(super) const VERSION: u32 = 1;

/// A version that nobody speaks (RFC 9000 §15): clients have to bear it.
const RESERVED: u32 = 0x0a1a_2a3a;

/// Longest id of version 1, and shortest datagram that is answered (RFC 9000 §6.1).
const MAX_ID: usize = 20;
const MIN_DATAGRAM: usize = 1200;

/// The Version Negotiation packet (RFC 8999 §6) that answers `datagram`, if it has too long an id for quinn.
pub(super) fn answer(datagram: &[u8]) -> Option<Vec<u8>> {
    let (&[first, a, b, c, d], rest) = datagram.split_first_chunk()?;
    let long_header = first & 0x80 != 0;
    if !long_header || datagram.len() < MIN_DATAGRAM || matches!(u32::from_be_bytes([a, b, c, d]), 0 | VERSION) {
        return None;
    }
    let (destination, rest) = rest.split_at_checked(1 + usize::from(*rest.first()?))?;
    let (source, _) = rest.split_at_checked(1 + usize::from(*rest.first()?))?;
    let longest = 1 + MAX_ID;
    if destination.len() <= longest && source.len() <= longest {
        return None;
    }
    let versions = [RESERVED, VERSION].map(u32::to_be_bytes).concat();
    Some([&[0xC0][..], &[0; 4], source, destination, &versions].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u32, destination: u8, source: u8) -> Vec<u8> {
        let mut packet = vec![0xC3];
        packet.extend(version.to_be_bytes());
        packet.push(destination);
        packet.extend(vec![7; destination.into()]);
        packet.push(source);
        packet.extend(vec![8; source.into()]);
        packet.resize(MIN_DATAGRAM, 0);
        packet
    }

    #[test]
    fn test_rfc8999_6_the_ids_change_places() {
        let answer = answer(&packet(0x1a2a_3a4a, 255, 21)).unwrap();
        assert_eq!(answer[..6], [0xC0, 0, 0, 0, 0, 21]);
        assert_eq!(answer[6..27], [8; 21]);
        assert_eq!(answer[27], 255);
        assert_eq!(answer[28..283], [7; 255]);
        assert_eq!(answer[283..], [0x0a, 0x1a, 0x2a, 0x3a, 0, 0, 0, 1]);
        assert!(answer.len() < MIN_DATAGRAM);
    }

    #[test]
    fn what_quinn_answers_or_nobody_may_is_left() {
        assert_eq!(answer(&packet(0x1a2a_3a4a, 20, 20)), None);
        assert_eq!(answer(&packet(VERSION, 21, 21)), None);
        assert_eq!(answer(&packet(0, 21, 21)), None);
        let mut short = packet(0x1a2a_3a4a, 21, 21);
        short.pop();
        assert_eq!(answer(&short), None);
        let mut short_header = packet(0x1a2a_3a4a, 21, 21);
        short_header[0] = 0x43;
        assert_eq!(answer(&short_header), None);
        assert_eq!(answer(&[0xC0; 3]), None);
    }
}
