//! What a ClientHello has to say about QUIC, which rustls does not ask for (RFC 9001 §8.2).
//!
//! rustls takes transport parameters also under the number that they had in drafts of QUIC. In version 1 they have
//! their own, and a client without them is to be refused with missing_extension.
use quinn_proto::{TransportError, TransportErrorCode};

const CLIENT_HELLO: u8 = 1;
/// Extension `quic_transport_parameters` (RFC 9001 §8.2).
const TRANSPORT_PARAMETERS: u16 = 0x39;
/// Alert missing_extension (RFC 8446 §6.2).
const MISSING_EXTENSION: u8 = 109;

/// Longer ones are left to rustls, which refuses them.
const MAX_HELLO: usize = 65_536;

/// Reads along until the first handshake message is whole.
#[derive(Debug, Default)]
pub(super) struct Hello {
    seen: Vec<u8>,
    whole: bool,
}

impl Hello {
    /// Refuses the message that becomes whole with `bytes` when it is a ClientHello without transport parameters.
    pub(super) fn check(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        if self.whole {
            return Ok(());
        }
        self.seen.extend_from_slice(bytes);
        let Some((&[kind, high, middle, low], rest)) = self.seen.split_first_chunk() else { return Ok(()) };
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if kind == CLIENT_HELLO && length <= MAX_HELLO && rest.len() < length {
            return Ok(());
        }
        let lacking = kind == CLIENT_HELLO && rest.get(..length).and_then(has_parameters) == Some(false);
        self.whole = true;
        self.seen = Vec::new();
        if lacking {
            return Err(TransportError {
                code: TransportErrorCode::crypto(MISSING_EXTENSION),
                frame: None,
                reason: "transport parameters are missing".to_owned(),
            });
        }
        Ok(())
    }
}

/// Whether a ClientHello has the extension (RFC 8446 §4.1.2); None when it is malformed, which rustls says better.
fn has_parameters(hello: &[u8]) -> Option<bool> {
    // Version and random; session id; cipher suites; compression methods.
    let rest = hello.get(2 + 32..)?;
    let (_, rest) = rest.split_at_checked(1 + usize::from(*rest.first()?))?;
    let (_, rest) = short(rest)?;
    let (_, rest) = rest.split_at_checked(1 + usize::from(*rest.first()?))?;
    let (mut extensions, _) = short(rest)?;
    while let Some((&kind, rest)) = extensions.split_first_chunk() {
        if u16::from_be_bytes(kind) == TRANSPORT_PARAMETERS {
            return Some(true);
        }
        (_, extensions) = short(rest)?;
    }
    Some(false)
}

/// A vector with its length in two bytes, and what follows.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![3; 34];
        body.extend([2, 9, 9]);
        body.extend([0, 2, 0x13, 1]);
        body.extend([1, 0]);
        let mut list = Vec::new();
        for (kind, data) in extensions {
            list.extend(kind.to_be_bytes());
            list.extend((data.len() as u16).to_be_bytes());
            list.extend_from_slice(data);
        }
        body.extend((list.len() as u16).to_be_bytes());
        body.extend(list);
        [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
    }

    #[test]
    fn test_rfc9001_8_2_transport_parameters_are_asked_for_under_their_number() {
        assert!(Hello::default().check(&hello(&[(0, b"name"), (0x39, b"")])).is_ok());
        for without in [hello(&[]), hello(&[(0, b"name"), (0xffa5, b"parameters")])] {
            let error = Hello::default().check(&without).unwrap_err();
            assert_eq!(error.code, TransportErrorCode::crypto(109));
        }
    }

    #[test]
    fn it_may_come_in_pieces_and_is_looked_at_once() {
        let mut reader = Hello::default();
        let bytes = hello(&[(0xffa5, b"parameters")]);
        let (last, first) = bytes.split_last().unwrap();
        assert!(first.iter().all(|byte| reader.check(&[*byte]).is_ok()));
        assert!(reader.check(&[*last]).is_err());
        assert!(reader.check(&bytes).is_ok());
        assert!(Hello::default().check(&[20, 0, 0, 0]).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_malformed_is_left_to_rustls(noise in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..60) {
            let mut bytes = hello(&[(1, b"one"), (0x39, b"two")]);
            bytes.truncate(bytes.len().saturating_sub(cut));
            prop_assert!(Hello::default().check(&bytes).is_ok());
            let length = (noise.len() as u32).to_be_bytes();
            let _ = Hello::default().check(&[&[CLIENT_HELLO][..], &length[1..], &noise].concat());
        }
    }
}
