//! The heads of responses (RFC 9114 §4.3.2) in QPACK (RFC 9204 §4.5): entries of the static table and literals, and no
//! others.
//!
//! So a field is the same bytes whatever was sent before, a head is the bytes of its fields in a row, and none of it can
//! be blocked or has to be acknowledged. What the dynamic table would save of a response is some two hundred bytes of a
//! datagram that is sent in any case. Requests, whose credentials are long, are sent with it.
//!
//! What is said again and again is kept as it was encoded, with Huffman coding where that is shorter. What will hardly
//! be said again is a literal as it stands.
use super::{
    field::{is_connection_specific, is_name},
    huffman,
    qpack::STATIC,
};
use std::collections::HashMap;

/// Of a field; longer ones are not kept.
const KEPT_BYTES: usize = 512;
const KEPT_FIELDS: usize = 1024;

/// Fields that are not kept: the secret ones, and those that say something else each time.
const PASSING: [&str; 7] =
    ["authorization", "cookie", "etag", "location", "proxy-authorization", "set-cookie", "x-request-id"];

/// Types of frames (RFC 9114 §7.2).
const DATA: u8 = 0x00;
const HEADERS: u8 = 0x01;

/// Why a head cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("a status has three digits")]
    Status,
    #[error("{0:?} is no name of a field")]
    Name(String),
    #[error("a value of {0} has characters that it must not have")]
    Value(String),
}

/// Writes the heads of any number of connections.
#[derive(Default)]
pub struct Writer {
    /// Lines by name, a zero byte, which neither has, and value.
    kept: HashMap<Box<[u8]>, Box<[u8]>>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Writer {
    /// Frames: the head, with Content-Length of `length` unless `fields` have one, and `content`, if there is any.
    /// Fields of a connection of HTTP/1 are left out (RFC 9114 §4.2).
    pub fn write<T: AsRef<str>>(
        &mut self,
        status: u16,
        fields: &[(T, T)],
        length: Option<usize>,
        content: &[u8],
    ) -> Result<Vec<u8>, HeadError> {
        if !(100..1000).contains(&status) {
            return Err(HeadError::Status);
        }
        let mut section = Vec::with_capacity(512);
        section.extend([0, 0]); // Required Insert Count and Base (§4.5.1)
        encode(b":status", status.to_string().as_bytes(), true, &mut section);
        let mut length = length;
        for (name, value) in fields {
            let (name, value) = (name.as_ref(), value.as_ref());
            self.line(name, value, &mut section)?;
            if name.eq_ignore_ascii_case("content-length") {
                length = None;
            }
        }
        if let Some(length) = length {
            self.line("content-length", &length.to_string(), &mut section)?;
        }
        let mut frames = Vec::with_capacity(section.len() + content.len() + 18);
        frame(HEADERS, &section, &mut frames);
        if !content.is_empty() {
            frame(DATA, content, &mut frames);
        }
        Ok(frames)
    }

    fn line(&mut self, name: &str, value: &str, out: &mut Vec<u8>) -> Result<(), HeadError> {
        self.key.clear();
        self.key.extend_from_slice(name.as_bytes());
        self.key.push(0);
        self.key.extend_from_slice(value.as_bytes());
        if let Some(line) = self.kept.get(self.key.as_slice()) {
            out.extend_from_slice(line);
            return Ok(());
        }
        let lower = name.to_ascii_lowercase();
        if !is_name(lower.as_bytes()) {
            return Err(HeadError::Name(name.to_owned()));
        }
        self.value.clear();
        for char in value.chars() {
            match u8::try_from(char) {
                Ok(byte) if (byte >= 0x20 && byte != 0x7F) || byte == b'\t' => self.value.push(byte),
                _ => return Err(HeadError::Value(lower)),
            }
        }
        let begin = out.len();
        let passing = PASSING.contains(&lower.as_str()) || self.key.len() > KEPT_BYTES;
        if !is_connection_specific(lower.as_bytes()) {
            encode(lower.as_bytes(), &self.value, !passing, out);
        }
        if !passing {
            if self.kept.len() >= KEPT_FIELDS {
                self.kept.clear();
            }
            self.kept.insert(self.key.as_slice().into(), out[begin..].into());
        }
        Ok(())
    }
}

/// One field line.
fn encode(name: &[u8], value: &[u8], compressed: bool, out: &mut Vec<u8>) {
    let same_name = |(index, _): &(usize, &(&str, &str))| STATIC[*index].0.as_bytes() == name;
    let mut named = STATIC.iter().enumerate().filter(same_name).peekable();
    let by_name = named.peek().map(|(index, _)| *index);
    if let Some((index, _)) = named.find(|(_, entry)| entry.1.as_bytes() == value) {
        return integer(0b1100_0000, 6, index, out); // §4.5.2
    }
    match by_name {
        Some(index) => integer(0b0101_0000, 4, index, out), // §4.5.4
        None => text(0b0010_0000, 3, name, true, out),      // §4.5.6
    }
    text(0, 7, value, compressed, out);
}

/// A string whose length has a prefix of `bits`, with the flag of Huffman's code above it (§4.1.2).
fn text(first: u8, bits: u32, text: &[u8], compressed: bool, out: &mut Vec<u8>) {
    let shorter = Some(huffman::encoded_size(text)).filter(|size| compressed && *size < text.len());
    match shorter {
        Some(size) => {
            integer(first | 1 << bits, bits, size, out);
            huffman::encode(text, out);
        }
        None => {
            integer(first, bits, text.len(), out);
            out.extend_from_slice(text);
        }
    }
}

/// An integer with a prefix of `bits` (RFC 7541 §5.1).
fn integer(first: u8, bits: u32, number: usize, out: &mut Vec<u8>) {
    let most = (1 << bits) - 1;
    if number < most {
        return out.push(first | number as u8);
    }
    out.push(first | most as u8);
    let mut rest = number - most;
    while rest >= 0x80 {
        out.push(rest as u8 & 0x7F | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    // RFC 9000 §16
    match payload.len() as u64 {
        size @ 0..=0x3F => out.push(size as u8),
        size @ 0x40..=0x3FFF => out.extend_from_slice(&(size as u16 | 0x4000).to_be_bytes()),
        size @ 0x4000..=0x3FFF_FFFF => out.extend_from_slice(&(size as u32 | 0x8000_0000).to_be_bytes()),
        size => out.extend_from_slice(&(size | 0xC000_0000_0000_0000).to_be_bytes()),
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http3::qpack::{Line, Lines, Name};
    use proptest::prelude::*;

    /// The fields of a HEADERS frame, and what is behind it.
    fn read(frames: &[u8]) -> (Vec<(String, String)>, &[u8]) {
        let (size, begin) = match frames[1] >> 6 {
            0 => (usize::from(frames[1]), 2),
            1 => (usize::from(u16::from_be_bytes([frames[1] & 0x3F, frames[2]])), 3),
            _ => panic!("such a long head is not made here"),
        };
        assert_eq!(frames[0], HEADERS);
        let (section, rest) = frames[begin..].split_at(size);
        let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
        let field = |line: Option<Line<'_>>| {
            let mut buffer = Vec::new();
            match line.expect("a line") {
                Line::Static(index) => (STATIC[index].0.to_owned(), STATIC[index].1.to_owned()),
                Line::Literal { name, value, .. } => {
                    let name = match name {
                        Name::Static(index) => STATIC[index].0.to_owned(),
                        Name::Literal(name) => latin(name.read(&mut buffer).expect("a name")),
                    };
                    (name, latin(value.read(&mut buffer).expect("a value")))
                }
            }
        };
        (Lines::new(section).expect("no references").map(field).collect(), rest)
    }

    #[test]
    fn rfc9204_appendix_a_entries_are_one_byte_or_two() {
        let mut writer = Writer::default();
        let frames =
            writer.write(200, &[("accept-ranges", "bytes"), ("x-frame-options", "deny")], Some(0), b"").unwrap();
        assert_eq!(frames, b"\x01\x07\0\0\xd9\xe0\xff\x22\xc4");
    }

    #[test]
    fn what_would_break_a_message_is_refused_each_time() {
        let mut writer = Writer::default();
        for _ in 0..2 {
            assert_eq!(writer.write(99, &[("a", "b")], None, b""), Err(HeadError::Status));
            for name in ["", "a b", ":status", "ä"] {
                assert_eq!(writer.write(200, &[(name, "b")], None, b""), Err(HeadError::Name(name.to_owned())));
            }
            for value in ["a\nb", "\0", "\u{7f}", "\u{100}"] {
                assert_eq!(writer.write(200, &[("A", value)], None, b""), Err(HeadError::Value("a".to_owned())));
            }
        }
        assert!(writer.kept.is_empty());
    }

    #[test]
    fn secrets_are_not_kept() {
        let mut writer = Writer::default();
        writer.write(200, &[("Set-Cookie", "sweet"), ("x-request-id", "1")], None, b"").unwrap();
        assert!(writer.kept.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            status in 200..600_u16,
            fields in prop::collection::vec(("[a-z-]{1,40}|date|age|vary|set-cookie|location", "[ -~\t\u{80}-\u{ff}]{0,300}"), 0..9),
            content: Vec<u8>,
        ) {
            let mut writer = Writer::default();
            let mut told = vec![(":status".to_owned(), status.to_string())];
            told.extend(fields.iter().filter(|(name, _)| !is_connection_specific(name.as_bytes())).cloned());
            if !fields.iter().any(|(name, _)| name == "content-length") {
                told.push(("content-length".to_owned(), content.len().to_string()));
            }
            for _ in 0..2 {
                let frames = writer.write(status, &fields, Some(content.len()), &content).unwrap();
                let (read, rest) = read(&frames);
                prop_assert_eq!(&read, &told);
                let mut data = Vec::new();
                if !content.is_empty() {
                    frame(DATA, &content, &mut data);
                }
                prop_assert_eq!(rest, data);
            }
        }
    }
}
