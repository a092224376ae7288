//! As much of HTTP/3 as a load needs: fixed requests out, statuses and lengths of answers in (RFC 9114, RFC 9204 without
//! a dynamic table and without Huffman coding, which nobody has to use).

/// Frame types of RFC 9114 §7.2.
const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;
const SETTINGS: u64 = 0x04;

/// Of draft-ietf-webtrans-http3-02: what begins a bidirectional stream of a session.
const SESSION_STREAM: u64 = 0x41;

/// Most bytes of a header section that is kept to be read.
const MAX_HEAD: u64 = 64 * 1024;

/// A variable-length integer (RFC 9000 §16) in as few bytes as it fits.
pub(super) fn put_varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..=0x3F => out.push(value as u8),
        0x40..=0x3FFF => out.extend((value as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3FFF_FFFF => out.extend((value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend((value | 0xC000_0000_0000_0000).to_be_bytes()),
    }
}

/// A whole integer at the beginning of `bytes`, and how long it is.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let size = 1 << (bytes.first()? >> 6);
    let value = bytes.get(..size)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
    Some((value & (u64::MAX >> (64 - (8 * size - 2))), size))
}

/// The client's control stream: datagrams and WebTransport (RFC 9297 §2.1.1, draft-ietf-webtrans-http3-02 §3.1).
pub(super) fn control() -> Vec<u8> {
    let mut settings = Vec::new();
    for (setting, value) in [(0x08, 1), (0x33, 1), (0xFFD277, 1), (0x2B60_3742, 1)] {
        put_varint(setting, &mut settings);
        put_varint(value, &mut settings);
    }
    let mut out = vec![0x00];
    put_frame(SETTINGS, &settings, &mut out);
    out
}

fn put_frame(kind: u64, payload: &[u8], out: &mut Vec<u8>) {
    put_varint(kind, out);
    put_varint(payload.len() as u64, out);
    out.extend(payload);
}

/// An integer with a prefix of so many bits (RFC 7541 §5.1), the bits above it given.
fn put_prefixed(first: u8, bits: u32, value: usize, out: &mut Vec<u8>) {
    let most = (1 << bits) - 1;
    if value < most {
        out.push(first | value as u8);
        return;
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_prefixed(0, 7, text.len(), out);
    out.extend(text.as_bytes());
}

/// A field whose name is an entry of the static table (RFC 9204 §4.5.4).
fn put_named(index: usize, value: &str, out: &mut Vec<u8>) {
    put_prefixed(0x50, 4, index, out);
    put_text(value, out);
}

/// A field with a name of its own (RFC 9204 §4.5.6).
fn put_field(name: &str, value: &str, out: &mut Vec<u8>) {
    put_prefixed(0x20, 3, name.len(), out);
    out.extend(name.as_bytes());
    put_text(value, out);
}

/// Entries of the static table (RFC 9204, appendix A).
mod entry {
    pub(super) const AUTHORITY: usize = 0;
    pub(super) const PATH: usize = 1;
    pub(super) const CONNECT: u8 = 15;
    pub(super) const GET: u8 = 17;
    pub(super) const HTTPS: u8 = 23;
    pub(super) const OK: u8 = 25;
    pub(super) const AUTHORIZATION: usize = 84;
}

/// A field that is an entry as it stands (RFC 9204 §4.5.2).
const fn indexed(entry: u8) -> u8 {
    0xC0 | entry
}

/// A whole request.
pub(super) fn get(authority: &str, path: &str, token: Option<&str>) -> Vec<u8> {
    let mut section = vec![0, 0, indexed(entry::GET), indexed(entry::HTTPS)];
    put_named(entry::AUTHORITY, authority, &mut section);
    put_named(entry::PATH, path, &mut section);
    if let Some(token) = token {
        put_named(entry::AUTHORIZATION, &format!("Bearer {token}"), &mut section);
    }
    let mut out = Vec::new();
    put_frame(HEADERS, &section, &mut out);
    out
}

/// The request that opens a WebTransport session.
pub(super) fn session(authority: &str, path: &str) -> Vec<u8> {
    let mut section = vec![0, 0, indexed(entry::CONNECT), indexed(entry::HTTPS)];
    put_field(":protocol", "webtransport", &mut section);
    put_named(entry::AUTHORITY, authority, &mut section);
    put_named(entry::PATH, path, &mut section);
    put_field("sec-webtransport-http3-draft02", "1", &mut section);
    let mut out = Vec::new();
    put_frame(HEADERS, &section, &mut out);
    out
}

/// What begins a stream of a session.
pub(super) fn session_stream(session: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(SESSION_STREAM, &mut out);
    put_varint(session, &mut out);
    out
}

/// Reads the answer to a request, whatever the pieces.
#[derive(Default)]
pub(super) struct Reply {
    /// Bytes of a frame's header that is not whole, or of a header section.
    pending: Vec<u8>,
    kind: u64,
    /// Bytes that are missing of the frame.
    missing: u64,
    pub(super) accepted: bool,
    pub(super) body: u64,
}

impl Reply {
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            if self.missing == 0 {
                let held = self.pending.len();
                self.pending.extend(&bytes[..bytes.len().min(16)]);
                let Some((kind, first)) = varint(&self.pending) else { return Ok(()) };
                let Some((length, second)) = varint(&self.pending[first..]) else { return Ok(()) };
                bytes = &bytes[first + second - held..];
                self.pending.clear();
                (self.kind, self.missing) = (kind, length);
                if kind == HEADERS && length > MAX_HEAD {
                    return Err("a header section is too long".to_owned());
                }
                continue;
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(usize::try_from(self.missing).unwrap_or(usize::MAX)));
            bytes = rest;
            self.missing -= piece.len() as u64;
            match self.kind {
                DATA => self.body += piece.len() as u64,
                HEADERS => {
                    self.pending.extend(piece);
                    if self.missing == 0 {
                        self.status()?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The status is the first field; whoever says 200 says it with the entry that is made for it.
    fn status(&mut self) -> Result<(), String> {
        let section = std::mem::take(&mut self.pending);
        self.accepted = section.get(2) == Some(&indexed(entry::OK));
        if self.accepted {
            Ok(())
        } else {
            Err(format!("the answer is not 200: {}", String::from_utf8_lossy(&section)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_rfc9000_a_1_variable_length_integers() {
        for (value, bytes) in [
            (37, &[0x25][..]),
            (15_293, &[0x7B, 0xBD]),
            (494_878_333, &[0x9D, 0x7F, 0x3E, 0x7D]),
            (151_288_809_941_952_652, &[0xC2, 0x19, 0x7C, 0x5E, 0xFF, 0x14, 0xE8, 0x8C]),
        ] {
            let mut out = Vec::new();
            put_varint(value, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(varint(bytes), Some((value, bytes.len())));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn an_answer_is_read_whatever_the_pieces() {
        let mut stream = Vec::new();
        put_frame(HEADERS, &[0, 0, 0xD9, 0x5F, 0x09, 1, b'x'], &mut stream);
        put_frame(DATA, &[b'a'; 100], &mut stream);
        put_frame(0x21, b"of no known type", &mut stream);
        put_frame(DATA, &[b'b'; 20_000], &mut stream);
        for size in [1, 2, 7, 1_000, stream.len()] {
            let mut reply = Reply::default();
            for piece in stream.chunks(size) {
                reply.read(piece).expect("it is 200");
            }
            assert!(reply.accepted);
            assert_eq!(reply.body, 20_100);
        }
    }

    #[test]
    fn another_status_is_said() {
        let mut stream = Vec::new();
        put_frame(HEADERS, &[0, 0, 0xDB], &mut stream);
        assert!(Reply::default().read(&stream).is_err());
    }
}
