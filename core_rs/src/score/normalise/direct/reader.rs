//! A text as it is read: what stands where, and what that is in a chunk that shows its words and symbols by itself.
use super::map::Map;
use crate::score::normalise::unicode::{class, properties_of};

/// What a character is in a chunk that shows its words and symbols by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Only the steps know.
    Other,
    /// Of ASCII, as digits are.
    Letter,
    Digit,
    /// A letter or vowel sign of a script without case.
    Foreign,
    /// Goes on a word of such a script.
    Mark,
    Space,
    /// A word of its own wherever it stands.
    Symbol,
    /// The same before no letter or digit of its chunk.
    Closing,
    Apostrophe,
    /// Belongs to the rules of `words`.
    Special,
    /// Dropped, at least behind a symbol.
    Ignored,
}

pub(super) static ASCII: [Role; 128] = {
    let mut table = [Role::Symbol; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Role::Letter,
            b'0'..=b'9' => Role::Digit,
            9..=13 | 28..=31 | b' ' => Role::Space,
            0..=31 | 127 => Role::Other,
            b'.' | b'!' => Role::Closing,
            b'\'' => Role::Apostrophe,
            b'@' | b'$' | b'*' | b'/' => Role::Special,
            _ => Role::Symbol,
        };
        byte += 1;
    }
    table
};

#[inline]
pub(super) fn role_of(letter: char) -> Role {
    if letter.is_ascii() { ASCII[letter as usize] } else { role_beyond(letter) }
}

/// Of what is not of ASCII.
fn role_beyond(letter: char) -> Role {
    let properties = properties_of(letter);
    if properties.joins() || properties.is_cased() || !properties.is_whole() {
        return Role::Other;
    }
    match (letter, properties.class()) {
        ('’', _) => Role::Apostrophe,
        ('ʼ', _) | (_, class::DIGIT) => Role::Special,
        (_, class::OTHER | class::SPACING) => Role::Foreign,
        (_, class::MARK) if is_foreign(letter) => Role::Mark,
        (_, class::SYMBOL) => Role::Symbol,
        ('\u{80}'..='\u{9f}', _) => Role::Other,
        (_, class::IGNORED) => Role::Ignored,
        _ => Role::Other,
    }
}

/// Of marks, whether they are of a script without case.
pub(super) fn is_foreign(mark: char) -> bool {
    matches!(mark, '\u{600}'..='\u{fff}')
}

/// Where a text is read: the byte, and the code point that begins there.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) byte: usize,
    pub(super) point: u32,
}

/// A text from some place on.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) map: &'a Map,
    pub(super) at: Place,
}

impl Reader<'_> {
    /// The byte ahead; a space at the end.
    #[inline]
    pub(super) fn ahead(&self, bytes: usize) -> u8 {
        self.text.as_bytes().get(self.at.byte + bytes).copied().unwrap_or(b' ')
    }

    /// The role of what is ahead; a space at the end.
    #[inline]
    pub(super) fn role(&self, bytes: usize) -> Role {
        match self.ahead(bytes) {
            byte @ ..0x80 => ASCII[byte as usize],
            _ => self.text[self.at.byte + bytes..].chars().next().map_or(Role::Space, role_beyond),
        }
    }

    #[inline]
    pub(super) fn is_at_space(&self) -> bool {
        self.map.spaces(self.at.byte) & 1 != 0
    }

    /// The character here; a space at the end.
    #[inline]
    pub(super) fn letter(&self) -> char {
        match self.ahead(0) {
            byte @ ..0x80 => byte as char,
            _ => self.text[self.at.byte..].chars().next().unwrap_or(' '),
        }
    }

    #[inline]
    pub(super) fn skip(&mut self, letter: char) {
        self.at = Place { byte: self.at.byte + letter.len_utf8(), point: self.at.point + 1 };
    }

    /// Whether an escape may begin here.
    pub(super) fn may_escape(&self) -> bool {
        match self.ahead(0) {
            b'%' => self.ahead(1).is_ascii_hexdigit() && self.ahead(2).is_ascii_hexdigit(),
            b'&' => matches!(self.ahead(1), b'a' | b'l' | b'g' | b'q' | b'n' | b'#'),
            _ => false,
        }
    }
}
