//! The plain text of plain ASCII, straight from its bytes: most texts. Where a chunk (what is between white space) asks
//! for more than the eye sees, it is read by `words`; where letters may stand apart or an escape may be, the whole text
//! takes the steps.
use super::words::Atom;
use super::{Cell, Kind, Normalised, Origin, Word, alike, apart, words};

/// What a byte is in a chunk that shows its words and symbols by itself.
mod role {
    /// Unknown to this file.
    pub(super) const OTHER: u8 = 0;
    pub(super) const LETTER: u8 = 1;
    pub(super) const DIGIT: u8 = 2;
    pub(super) const SPACE: u8 = 3;
    /// A word of its own wherever it stands.
    pub(super) const SYMBOL: u8 = 4;
    /// The same before no letter or digit of its chunk.
    pub(super) const CLOSING: u8 = 5;
    pub(super) const APOSTROPHE: u8 = 6;
    /// Belongs to the chunk's rules for links, mentions and leetspeak.
    pub(super) const SPECIAL: u8 = 7;
}

static ROLES: [u8; 256] = {
    let mut table = [role::OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => role::LETTER,
            b'0'..=b'9' => role::DIGIT,
            9..=13 | 28..=31 | b' ' => role::SPACE,
            0..=31 | 127 => role::OTHER,
            b'.' | b'!' => role::CLOSING,
            b'\'' => role::APOSTROPHE,
            b'@' | b'$' | b'*' | b'/' => role::SPECIAL,
            _ => role::SYMBOL,
        };
        byte += 1;
    }
    table
};

fn role_of(byte: u8) -> u8 {
    ROLES[byte as usize]
}

/// Room that reading needs, kept from text to text.
#[derive(Debug, Default)]
pub(super) struct Direct {
    plain: Vec<u8>,
    origins: Vec<Origin>,
    /// Of `plain`, in bytes; gaps in bytes of the text.
    atoms: Vec<Atom>,
    /// Letters of their own.
    singles: usize,
    chunk: Vec<Cell>,
    made: Vec<Cell>,
    special: Vec<Atom>,
}

impl Direct {
    /// Writes plain text and words; false when the text asks for the steps.
    pub(super) fn read(&mut self, text: &str, result: &mut Normalised) -> bool {
        let bytes = text.as_bytes();
        self.plain.clear();
        self.origins.clear();
        self.plain.reserve(bytes.len());
        self.origins.reserve(bytes.len());
        self.atoms.clear();
        self.singles = 0;
        let mut at = 0;
        loop {
            let gap = at;
            while bytes.get(at).is_some_and(|&byte| role_of(byte) == role::SPACE) {
                at += 1;
            }
            if at == bytes.len() {
                break;
            }
            let gap = (gap as u32, at as u32);
            let (plain, atoms, singles) = (self.plain.len(), self.atoms.len(), self.singles);
            at = match self.simple(bytes, at, gap) {
                Chunk::Read(end) => end,
                Chunk::Special => {
                    self.plain.truncate(plain);
                    self.origins.truncate(plain);
                    self.atoms.truncate(atoms);
                    self.singles = singles;
                    match self.special(bytes, at, gap) {
                        Some(end) => end,
                        None => return false,
                    }
                }
                Chunk::Other => return false,
            };
        }
        let letter = |at: u32| self.plain[at as usize] as char;
        if self.singles > 2 && (0..self.atoms.len()).any(|at| apart::apart(&self.atoms, at, letter).is_some()) {
            return false;
        }
        let Ok(plain) = std::str::from_utf8(&self.plain) else { return false };
        result.plain.text.push_str(plain);
        std::mem::swap(&mut result.plain.origins, &mut self.origins);
        result.words.extend(self.atoms.iter().map(|atom| Word { start: atom.first, end: atom.last, kind: atom.kind }));
        true
    }

    #[inline]
    fn push(&mut self, letter: u8, start: u32, end: u32) {
        self.origins.push(Origin { byte: self.plain.len() as u32, start, end });
        self.plain.push(letter);
    }

    /// Opens an atom that is written from `start` on, with a space before it where one belongs.
    #[inline]
    fn open(&mut self, gap: (u32, u32), kind: Kind, start: u32) -> u32 {
        if let Some(before) = self.atoms.last() {
            if gap.0 < gap.1 {
                self.push(b' ', gap.0, gap.1);
            } else if kind != Kind::Symbol && before.kind != Kind::Symbol {
                // A link or mention grown to a word.
                self.push(b' ', start, start);
            }
        }
        self.plain.len() as u32
    }

    #[inline]
    fn close(&mut self, first: u32, kind: Kind, gap: (u32, u32)) {
        let last = self.plain.len() as u32;
        self.singles += usize::from(kind == Kind::Word && last - first == 1);
        self.atoms.push(Atom { first, last, kind, gap });
    }

    /// The last character stands also for what is left out up to `end`.
    fn stretch(&mut self, end: u32) {
        if let Some(last) = self.origins.last_mut() {
            last.end = end;
        }
    }

    /// Reads the chunk that begins at `start` when its words are letters or digits alone, with at most one apostrophe.
    fn simple(&mut self, bytes: &[u8], start: usize, mut gap: (u32, u32)) -> Chunk {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
        let mut at = start;
        let mut closed = false;
        loop {
            match role_of(byte(at)) {
                role::SPACE => return Chunk::Read(at),
                role::LETTER if !closed => {
                    let first = self.open(gap, Kind::Word, at as u32);
                    let mut apostrophes = 0;
                    let (mut before, mut last) = (0, 0);
                    loop {
                        let letter = match role_of(byte(at)) {
                            role::LETTER => byte(at) | 0x20,
                            role::APOSTROPHE if role_of(byte(at + 1)) == role::LETTER => {
                                apostrophes += 1;
                                b'\''
                            }
                            role::DIGIT => return Chunk::Special,
                            role::APOSTROPHE if role_of(byte(at + 1)) == role::DIGIT => return Chunk::Special,
                            _ => break,
                        };
                        let start = at as u32;
                        at += 1;
                        if letter == last && letter == before {
                            self.stretch(start + 1);
                            continue;
                        }
                        self.push(letter, start, start + 1);
                        (before, last) = (last, letter);
                    }
                    if apostrophes > 1 {
                        return Chunk::Special;
                    }
                    self.close(first, Kind::Word, gap);
                }
                role::DIGIT if !closed => {
                    let first = self.open(gap, Kind::Word, at as u32);
                    while role_of(byte(at)) == role::DIGIT {
                        self.push(byte(at), at as u32, at as u32 + 1);
                        at += 1;
                    }
                    let next = if byte(at) == b'\'' { byte(at + 1) } else { byte(at) };
                    if matches!(role_of(next), role::LETTER | role::DIGIT) {
                        return Chunk::Special;
                    }
                    self.close(first, Kind::Word, gap);
                }
                kind @ (role::SYMBOL | role::CLOSING | role::APOSTROPHE) => {
                    closed |= kind == role::CLOSING;
                    let symbol = byte(at);
                    let may_escape = match symbol {
                        b'%' => byte(at + 1).is_ascii_hexdigit() && byte(at + 2).is_ascii_hexdigit(),
                        b'&' => matches!(byte(at + 1), b'a' | b'l' | b'g' | b'q' | b'n' | b'#'),
                        _ => false,
                    };
                    if may_escape {
                        return Chunk::Other;
                    }
                    let place = at as u32;
                    at += 1;
                    // Two stand for all that follow.
                    if place as usize >= start + 2 && byte(at - 2) == symbol && byte(at - 3) == symbol {
                        self.stretch(place + 1);
                        continue;
                    }
                    let first = self.open(gap, Kind::Symbol, place);
                    self.push(symbol, place, place + 1);
                    self.close(first, Kind::Symbol, gap);
                }
                role::OTHER => return Chunk::Other,
                _ => return Chunk::Special,
            }
            gap = (0, 0);
        }
    }

    /// Reads the chunk that begins at `at` by all rules; its end, unless letters stand apart or an escape may be there.
    fn special(&mut self, bytes: &[u8], at: usize, gap: (u32, u32)) -> Option<usize> {
        let Self { chunk, made, special, .. } = self;
        chunk.clear();
        made.clear();
        special.clear();
        let mut end = at;
        while let Some(&byte) = bytes.get(end) {
            let next = |ahead: usize| bytes.get(end + ahead).copied().unwrap_or(b' ');
            match role_of(byte) {
                role::SPACE => break,
                role::OTHER => return None,
                _ if byte == b'%' && next(1).is_ascii_hexdigit() && next(2).is_ascii_hexdigit() => return None,
                _ if byte == b'&' && matches!(next(1), b'a' | b'l' | b'g' | b'q' | b'n' | b'#') => return None,
                _ => {}
            }
            let (start, letter) = (end as u32, alike::ascii(byte as char));
            chunk.push(Cell { letter, start, end: start + 1 });
            end += 1;
        }
        words::atoms(chunk, gap, made, special);
        for at in 0..self.special.len() {
            let Atom { first, last, kind, gap } = self.special[at];
            if kind == Kind::Spaced {
                return None;
            }
            let start = self.open(gap, kind, self.made[first as usize].start);
            for at in first as usize..last as usize {
                let Cell { letter, start, end } = self.made[at];
                self.push(u8::try_from(letter).ok().filter(u8::is_ascii)?, start, end);
            }
            self.close(start, kind, gap);
        }
        Some(end)
    }
}

/// How a chunk was read.
enum Chunk {
    /// To its end.
    Read(usize),
    /// Not: it takes the rules of `words`.
    Special,
    /// Not: the text takes the steps.
    Other,
}
