//! Field sections without references to the dynamic table (RFC 9204 §4.5).
use super::huffman;

/// A string, as it was sent (RFC 9204 §4.1.2).
#[derive(Clone, Copy)]
pub(super) enum Text<'a> {
    Plain(&'a [u8]),
    Huffman(&'a [u8]),
}

impl<'a> Text<'a> {
    /// What it says, in place or in `buffer`.
    pub(super) fn read<'b>(self, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        match self {
            Self::Plain(text) => Some(text),
            Self::Huffman(encoded) => huffman::decode(encoded, buffer).then_some(buffer.as_slice()),
        }
    }
}

pub(super) enum Name<'a> {
    /// That of an entry of `STATIC`.
    Static(usize),
    Literal(Text<'a>),
}

pub(super) enum Line<'a> {
    /// An entry of `STATIC`.
    Static(usize),
    Literal {
        /// All of it.
        encoded: &'a [u8],
        name: Name<'a>,
        value: Text<'a>,
    },
}

/// The lines of a field section. The last is None when it is no line, or refers to the dynamic table.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// None unless Required Insert Count and Base are 0.
    pub(super) fn new(section: &'a [u8]) -> Option<Self> {
        Some(Self { rest: section.strip_prefix(b"\0\0")? })
    }

    fn line(&mut self, first: u8) -> Option<Line<'a>> {
        let begin = self.rest;
        let name = match first >> 4 {
            0b1100.. => return self.index(6).map(Line::Static), // §4.5.2
            0b0101 | 0b0111 => Name::Static(self.index(4)?),    // §4.5.4
            0b0010 | 0b0011 => Name::Literal(self.text(3)?),    // §4.5.6
            _ => return None,
        };
        let value = self.text(7)?;
        Some(Line::Literal { encoded: &begin[..begin.len() - self.rest.len()], name, value })
    }

    fn index(&mut self, bits: u32) -> Option<usize> {
        self.integer(bits).filter(|index| *index < STATIC.len())
    }

    /// A string whose length has a prefix of `bits`, with the flag of Huffman's code above it.
    fn text(&mut self, bits: u32) -> Option<Text<'a>> {
        let huffman = self.rest.first()? >> bits & 1 == 1;
        let length = self.integer(bits)?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(if huffman { Text::Huffman(text) } else { Text::Plain(text) })
    }

    /// An integer with a prefix of `bits` (RFC 7541 §5.1). None also for one that is longer than it has to be, or than
    /// anything that is taken can be.
    fn integer(&mut self, bits: u32) -> Option<usize> {
        let (first, mut rest) = self.rest.split_first()?;
        let most = (1 << bits) - 1;
        let mut number = usize::from(*first) & most;
        if number == most {
            for shift in [0, 7, 14] {
                let (byte, behind) = rest.split_first()?;
                rest = behind;
                number += usize::from(byte & 0x7F) << shift;
                if byte & 0x80 == 0 {
                    self.rest = rest;
                    return (*byte != 0 || shift == 0).then_some(number);
                }
            }
            return None;
        }
        self.rest = rest;
        Some(number)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Option<Line<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.line(*self.rest.first()?);
        if line.is_none() {
            self.rest = &[];
        }
        Some(line)
    }
}

/// RFC 9204 App. A.
#[rustfmt::skip]
pub(super) static STATIC: [(&str, &str); 99] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines of a section; None when one of them is none.
    fn read(section: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut buffer = Vec::new();
        Lines::new(section)?
            .map(|line| match line? {
                Line::Static(index) => Some((STATIC[index].0.into(), STATIC[index].1.into())),
                Line::Literal { name, value, .. } => {
                    let name = match name {
                        Name::Static(index) => STATIC[index].0.into(),
                        Name::Literal(text) => text.read(&mut buffer)?.to_vec(),
                    };
                    Some((name, value.read(&mut buffer)?.to_vec()))
                }
            })
            .collect()
    }

    #[test]
    fn rfc9204_4_5_every_kind_of_line() {
        let section = b"\0\0\xd1\xff\x23\x51\x0b/index.html\x7f\x4b\x01p\x23a-b\x82\x07\xff\x2f\x82\x07\xff\x00";
        assert_eq!(read(section), None, "padding of a byte");
        let section = b"\0\0\xd1\xff\x23\x51\x0b/index.html\x7f\x4b\x01p\x23a-b\x81\x07\x29\x07\x00";
        let told = [(":method", "GET"), ("x-frame-options", "sameorigin"), (":path", "/index.html")];
        let told = told.into_iter().chain([("origin", "p"), ("a-b", "0"), ("0", "")]);
        assert_eq!(read(section), Some(told.map(|(name, value)| (name.into(), value.into())).collect()));
    }

    #[test]
    fn rfc9204_4_5_what_refers_to_the_dynamic_table_is_not_read() {
        for section in [&b"\x01\0\xd1"[..], b"\0\x01\xd1", b"\0\0\x80", b"\0\0\x40\0", b"\0\0\x10", b"\0\0\0\0"] {
            assert_eq!(read(section), None, "{section:02x?}");
        }
        assert_eq!(read(b"\0\0\xff\x24"), None, "behind the static table");
    }

    #[test]
    fn rfc7541_5_1_integers_that_are_longer_than_they_have_to_be_are_not_read() {
        assert_eq!(read(b"\0\0\xff\x80\0"), None);
        assert_eq!(read(b"\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), None);
        assert_eq!(read(b"\0\0\xff\0").map(|lines| lines.len()), Some(1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_or_not(section: Vec<u8>) {
            let lines = Lines::new(&[b"\0\0", section.as_slice()].concat()).map(Iterator::count);
            prop_assert!(lines.is_some());
        }
    }
}
