//! A strict reader and a small writer of JSON texts (RFC 8259).
//!
//! The reader walks a text once and hands out values where they lie, so that bodies can be passed on byte for byte. It
//! is iterative: nesting costs one byte a level and never stack, however deep a peer nests.
//!
//! RFC 8259 §8.2 leaves open what `"\ud800"` means, and PostgreSQL takes neither that nor `"\u0000"`. Both are JSON, so
//! they do not make a text unreadable; a value remembers that it holds one, and whoever needs clean text refuses it.
use std::borrow::Cow;

/// The greatest integer that every JSON reader keeps exactly: 2^53 - 1 (RFC 8259 §6).
pub(crate) const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The text breaks the grammar of RFC 8259.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// One value of a text, as it stands there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    /// The value's own bytes, without white space around them.
    pub(crate) raw: &'a str,
    pub(crate) kind: Kind,
    /// Levels of objects and arrays: 0 for a scalar, 1 for `{}`.
    pub(crate) depth: usize,
    /// Whether no string in it, names of members included, holds NUL or a lone surrogate.
    pub(crate) clean: bool,
    escaped: bool,
}

impl<'a> Value<'a> {
    /// A number from 0 to `MAX_INTEGER` without sign, fraction and exponent.
    pub(crate) fn integer(&self) -> Option<u64> {
        if self.kind != Kind::Number {
            return None;
        }
        self.raw.bytes().try_fold(0_u64, |number, digit| {
            let number = digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))?;
            (number <= MAX_INTEGER).then_some(number)
        })
    }

    /// The characters of a clean string.
    pub(crate) fn text(&self) -> Option<Cow<'a, str>> {
        if self.kind != Kind::String || !self.clean {
            return None;
        }
        let inner = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        if self.escaped { unescape(inner).map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
    }
}

/// Undoes the escapes of RFC 8259 §7.
fn unescape(mut rest: &str) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let letter = escape.chars().next()?;
        rest = escape.get(letter.len_utf8()..)?;
        text.push(match letter {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = unicode_escape(rest)?;
                rest = after;
                character
            }
            itself => itself,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The character behind `\u`, which takes a second escape beyond U+FFFF, and what follows it.
fn unicode_escape(digits: &str) -> Option<(char, &str)> {
    let (first, rest) = (hex_unit(digits)?, digits.get(4..)?);
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let low = rest.strip_prefix("\\u")?;
    let character = char::decode_utf16([first, hex_unit(low)?]).next()?.ok()?;
    Some((character, low.get(4..)?))
}

/// The UTF-16 code unit of four hexadecimal digits.
fn hex_unit(text: &str) -> Option<u16> {
    text.as_bytes().first_chunk::<4>().and_then(|digits| {
        digits.iter().try_fold(0_u16, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)? as u16))
    })
}

/// What the strings of a value have shown so far.
struct Marks {
    clean: bool,
    escaped: bool,
}

/// Reads one text from its beginning to its end.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The closing brackets still to come, innermost last.
    open: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new() }
    }

    /// The byte that the next value, name or bracket begins with.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_none() { Ok(()) } else { Err(NotJson) }
    }

    /// Reads an object: `each` gets the name of a member and must read its value.
    pub(crate) fn members<E: From<NotJson>>(
        &mut self,
        mut each: impl FnMut(&mut Self, Value<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            return Ok(self.expect(b'}')?);
        }
        loop {
            let name = self.name()?;
            each(self, name)?;
            if self.peek() != Some(b',') {
                return Ok(self.expect(b'}')?);
            }
            self.at += 1;
        }
    }

    /// Reads an array: `each` must read one element.
    pub(crate) fn elements<E: From<NotJson>>(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            return Ok(self.expect(b']')?);
        }
        loop {
            each(self)?;
            if self.peek() != Some(b',') {
                return Ok(self.expect(b']')?);
            }
            self.at += 1;
        }
    }

    /// Reads the next value, whatever it is.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, NotJson> {
        let first = self.peek().ok_or(NotJson)?;
        let (start, mut depth) = (self.at, 0);
        let mut marks = Marks { clean: true, escaped: false };
        let kind = match first {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            _ => Kind::Number,
        };
        loop {
            // A value begins here.
            match self.peek().ok_or(NotJson)? {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    self.open.push(bracket + 2); // ASCII: `}` is `{` + 2, `]` is `[` + 2
                    depth = depth.max(self.open.len());
                    if self.peek() != self.open.last().copied() {
                        if bracket == b'{' {
                            self.inner_name(&mut marks)?;
                        }
                        continue;
                    }
                }
                b'"' => self.string(&mut marks)?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number()?,
            }
            // A value ended here: close what ends with it.
            loop {
                let Some(&closing) = self.open.last() else {
                    let raw = &self.text[start..self.at]; // both beside ASCII
                    return Ok(Value { raw, kind, depth, clean: marks.clean, escaped: marks.escaped });
                };
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if closing == b'}' {
                            self.inner_name(&mut marks)?;
                        }
                        break;
                    }
                    Some(byte) if byte == closing => {
                        self.at += 1;
                        self.open.pop();
                    }
                    _ => return Err(NotJson),
                }
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() != Some(byte) {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn name(&mut self) -> Result<Value<'a>, NotJson> {
        if self.peek() != Some(b'"') {
            return Err(NotJson);
        }
        let name = self.value()?;
        self.expect(b':')?;
        Ok(name)
    }

    fn inner_name(&mut self, marks: &mut Marks) -> Result<(), NotJson> {
        if self.peek() != Some(b'"') {
            return Err(NotJson);
        }
        self.string(marks)?;
        self.expect(b':')
    }

    fn literal(&mut self, word: &str) -> Result<(), NotJson> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    /// RFC 8259 §6.
    fn number(&mut self) -> Result<(), NotJson> {
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let digits = self.text.as_bytes()[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits > 0 { Ok(()) } else { Err(NotJson) }
    }

    /// RFC 8259 §7.
    fn string(&mut self, marks: &mut Marks) -> Result<(), NotJson> {
        self.at += 1;
        loop {
            self.at += plain_run(&self.text.as_bytes()[self.at..]);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(marks)?,
                _ => return Err(NotJson), // a bare control character, or the end
            }
        }
    }

    fn escape(&mut self, marks: &mut Marks) -> Result<(), NotJson> {
        marks.escaped = true;
        self.at += 2;
        match self.text.as_bytes().get(self.at - 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let unit = self.unit_at(self.at).ok_or(NotJson)?;
                self.at += 4;
                match unit {
                    0 | 0xDC00..=0xDFFF => marks.clean = false,
                    0xD800..=0xDBFF => {
                        let low =
                            self.text.as_bytes()[self.at..].starts_with(b"\\u").then(|| self.unit_at(self.at + 2));
                        match low.flatten() {
                            Some(0xDC00..=0xDFFF) => self.at += 6,
                            _ => marks.clean = false, // what follows is read for itself
                        }
                    }
                    _ => {}
                }
                Ok(())
            }
            _ => Err(NotJson),
        }
    }

    fn unit_at(&self, at: usize) -> Option<u16> {
        self.text.get(at..).and_then(hex_unit)
    }
}

/// What a whole text is, when it is JSON.
pub(crate) fn kind(text: &[u8]) -> Option<Kind> {
    let mut reader = Reader::new(simdutf8::basic::from_utf8(text).ok()?);
    let value = reader.value().ok()?;
    reader.end().ok()?;
    Some(value.kind)
}

/// Bytes before the next quotation mark, backslash or control character: those that a string holds as they are.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGHS: u64 = ONES << 7;
    let mut at = 0;
    // Eight bytes at a time (Mycroft, 1987). A borrow can raise false alarms only above a true one, so the lowest is true.
    while let Some(chunk) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let special = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        if special & HIGHS != 0 {
            return at + (special & HIGHS).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count()
}

/// Appends a string, escaping only what RFC 8259 §7 demands.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_run(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |half: u8| b"0123456789abcdef"[usize::from(half & 0xF)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte)]);
            }
        }
        rest = after;
    }
    out.push(b'"');
}

/// Appends an integer in decimal.
pub(crate) fn write_integer(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    fn read(text: &str) -> Result<Value<'_>, NotJson> {
        let mut reader = Reader::new(text);
        let value = reader.value()?;
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn strings_are_found_at_every_alignment() {
        for length in 0..40 {
            for special in ['"', '\\', '\0', '\u{1f}'] {
                let text = format!("{}{special}é\u{7f}", "€".repeat(length));
                assert_eq!(plain_run(text.as_bytes()), 3 * length);
            }
            let plain = "\u{20}\u{7f}\u{80}é".repeat(length);
            assert_eq!(plain_run(plain.as_bytes()), plain.len());
        }
    }

    #[test]
    fn test_rfc8259_6_integers_are_exact_or_none() {
        let integer = |text| read(text).unwrap().integer();
        assert_eq!(integer("0"), Some(0));
        assert_eq!(integer("9007199254740991"), Some(MAX_INTEGER));
        for other in ["9007199254740992", "99999999999999999999999", "-1", "-0", "1.0", "1e0", "\"1\"", "null", "[1]"] {
            assert_eq!(integer(other), None, "{other}");
        }
    }

    #[test]
    fn test_rfc8259_8_2_surrogates_alone_are_json_but_not_clean() {
        for text in
            [r#""\ud800""#, r#""\udc00\ud800""#, r#""\ud800\u0041""#, r#""\ud800x""#, r#""\u0000""#, r#"{"\udfff":1}"#]
        {
            let value = read(text).unwrap();
            assert!(!value.clean, "{text}");
            assert_eq!(value.text(), None);
        }
        assert_eq!(read(r#""\ud83d\udc1d\u00e9\/""#).unwrap().text().unwrap(), "\u{1f41d}é/");
    }

    #[test]
    fn depth_counts_levels() {
        for (text, depth) in [("1", 0), ("[]", 1), (r#"{"a":[{}],"b":1}"#, 3)] {
            assert_eq!(read(text).unwrap().depth, depth);
        }
    }

    /// Texts that are nearly JSON, and some that are.
    fn nearly() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"a\"",
            "\"\\u0041\"",
            "\\u",
            "d83d",
            "0",
            "-",
            "1",
            ".5",
            "e+1",
            "true",
            "null",
            " ",
            "\n",
            "é",
            "\u{1}",
            "{\"a\":",
            "[1,",
        ]);
        prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn accepts_what_serde_json_accepts(text in prop_oneof![nearly(), any::<String>()]) {
            prop_assert_eq!(kind(text.as_bytes()).is_some(), serde_json::from_str::<IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn reads_strings_as_serde_json_does(inner in "([ -~é🐝]|\\\\u[0-9a-fA-F]{4}|\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\\\[\"nrtbf/\\\\]){0,8}") {
            let text = format!("\"{inner}\"");
            let ours = read(&text).ok().and_then(|value| value.text().map(Cow::into_owned));
            let theirs = serde_json::from_str::<String>(&text).ok().filter(|text| !text.contains('\0'));
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn written_strings_are_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn written_integers_are_read_back(number in any::<u64>()) {
            let mut out = Vec::new();
            write_integer(number, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
