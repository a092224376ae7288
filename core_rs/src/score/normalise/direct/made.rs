//! Plain text and its words as they are made.
use crate::score::normalise::{Kind, Origin, alike::LATIN, apart, words::Atom};
use std::ops::Range;

/// Plain text as it is made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) text: Vec<u8>,
    pub(super) origins: Vec<Origin>,
    /// Of `origins`; gaps in code points of the text.
    pub(super) atoms: Vec<Atom>,
    pub(super) singles: Singles,
    pub(super) scripts: Scripts,
}

/// What was made of a chunk; all places from its beginning on.
#[derive(Debug, Default)]
pub(super) struct Part {
    text: Vec<u8>,
    origins: Vec<Origin>,
    atoms: Vec<Atom>,
    scripts: Scripts,
}

/// Words of one letter: whether three are as many atoms from each other as letters that stand apart can be.
#[derive(Debug, Default)]
pub(super) struct Singles {
    atoms: Vec<usize>,
    pub(super) apart: bool,
}

/// What was made so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Before {
    bytes: usize,
    origins: usize,
    atoms: usize,
    singles: usize,
    apart: bool,
    scripts: Scripts,
}

/// The letters of words that were read: what decides whether words wholly of look-alikes are folded (`alike::Whole`).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Scripts {
    /// Letters of words that have Latin ones; not all are counted.
    pub(super) latin: u32,
    /// Some word has none, and letters that cannot be folded.
    pub(super) foreign: bool,
    /// A word wholly of look-alikes was folded as if the text were Latin.
    pub(super) assumed: bool,
}

impl Scripts {
    fn add(&mut self, more: Self) {
        self.latin += more.latin;
        self.foreign |= more.foreign;
        self.assumed |= more.assumed;
    }

    /// Whether what was assumed is so; else the whole text takes the steps.
    pub(super) fn holds(self) -> bool {
        !self.assumed || (self.latin >= LATIN && !self.foreign)
    }
}

impl Singles {
    pub(super) fn add(&mut self, atom: usize) {
        if let [.., first, second] = *self.atoms {
            self.apart |= atom - second == second - first && atom - second <= 3;
        }
        self.atoms.push(atom);
    }
}

impl Made {
    pub(super) fn clear(&mut self) {
        self.cut(Before::default());
    }

    /// Begins a chunk, whose scripts are told by themselves until `end`.
    pub(super) fn begin(&mut self) -> Before {
        let Self { text, origins, atoms, singles, scripts } = self;
        let Singles { atoms: ref words, apart } = *singles;
        Before {
            bytes: text.len(),
            origins: origins.len(),
            atoms: atoms.len(),
            singles: words.len(),
            apart,
            scripts: std::mem::take(scripts),
        }
    }

    pub(super) fn end(&mut self, before: Before) {
        self.scripts.add(before.scripts);
    }

    /// Leaves only what was made first.
    pub(super) fn cut(&mut self, before: Before) {
        self.text.truncate(before.bytes);
        self.origins.truncate(before.origins);
        self.atoms.truncate(before.atoms);
        self.singles.atoms.truncate(before.singles);
        self.singles.apart = before.apart;
        self.scripts = Scripts::default();
    }

    /// Writes to `part` what was made of a chunk that begins at a code point.
    pub(super) fn copy_since(&self, before: Before, start: u32, part: &mut Part) {
        let atoms = &self.atoms[before.atoms..];
        let first = atoms.first().map_or(before.origins as u32, |atom| atom.first);
        let origins = &self.origins[first as usize..];
        let byte = origins.first().map_or(before.bytes as u32, |origin| origin.byte);
        let moved = |atom: &Atom| Atom { first: atom.first - first, last: atom.last - first, gap: (0, 0), ..*atom };
        let origin = |own: &Origin| Origin { byte: own.byte - byte, start: own.start - start, end: own.end - start };
        part.text.clear();
        part.text.extend_from_slice(&self.text[byte as usize..]);
        part.origins.clear();
        part.origins.extend(origins.iter().map(origin));
        part.atoms.clear();
        part.atoms.extend(atoms.iter().map(moved));
        part.scripts = self.scripts;
    }

    /// Appends what was made of a chunk that begins at a code point.
    pub(super) fn push_part(&mut self, part: &Part, gap: (u32, u32), start: u32) {
        let Some(&Atom { kind, .. }) = part.atoms.first() else { return };
        let (first, own) = (self.open(gap, kind, start), self.atoms.len());
        let byte = self.text.len() as u32;
        self.text.extend_from_slice(&part.text);
        let origin = |own: &Origin| Origin { byte: own.byte + byte, start: own.start + start, end: own.end + start };
        self.origins.extend(part.origins.iter().map(origin));
        for atom in &part.atoms {
            self.push_atom(Atom { first: atom.first + first, last: atom.last + first, ..*atom });
        }
        self.atoms[own].gap = gap;
        self.scripts.add(part.scripts);
    }

    #[inline]
    pub(super) fn push_byte(&mut self, letter: u8, start: u32, end: u32) {
        self.origins.push(Origin { byte: self.text.len() as u32, start, end });
        self.text.push(letter);
    }

    #[inline]
    pub(super) fn push(&mut self, letter: char, start: u32, end: u32) {
        if letter.is_ascii() {
            return self.push_byte(letter as u8, start, end);
        }
        self.origins.push(Origin { byte: self.text.len() as u32, start, end });
        self.text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Letters of ASCII in lower case, the first written at a code point: at most two of one in a row.
    #[inline]
    pub(super) fn push_letters(&mut self, letters: &[u8], start: u32) {
        let (byte, count) = (self.text.len() as u32, letters.len() as u32);
        let same = |first: u8, second: u8| (first ^ second) & !0x20 == 0;
        if !letters.windows(3).any(|three| same(three[0], three[1]) && same(three[1], three[2])) {
            self.text.extend(letters.iter().map(|letter| letter | 0x20));
            let origin = |at| Origin { byte: byte + at, start: start + at, end: start + at + 1 };
            self.origins.extend((0..count).map(origin));
            return;
        }
        let (mut before, mut last) = (0, 0);
        for (letter, at) in letters.iter().map(|letter| letter | 0x20).zip(start..) {
            if letter == last && letter == before {
                self.stretch(at + 1);
            } else {
                self.push_byte(letter, at, at + 1);
                (before, last) = (last, letter);
            }
        }
    }

    /// Words of letters of ASCII with one space between them, behind white space or at the beginning, the first written at a
    /// code point; nothing of them is cut. `letters` tells these from spaces, the first as the lowest bit.
    #[inline]
    pub(super) fn push_words(&mut self, written: &[u8], mut letters: u64, start: u32, mut gap: (u32, u32)) {
        let first = self.open(gap, Kind::Word, start);
        let byte = self.text.len() as u32;
        let lower = |&byte: &u8| if byte.is_ascii_alphabetic() { byte | 0x20 } else { b' ' };
        self.text.extend(written.iter().map(lower));
        let origin = |at| Origin { byte: byte + at, start: start + at, end: start + at + 1 };
        self.origins.extend((0..written.len() as u32).map(origin));
        self.scripts.latin += letters.count_ones();
        while letters != 0 {
            let begin = letters.trailing_zeros();
            let end = begin + (letters >> begin).trailing_ones();
            letters &= u64::MAX << end;
            self.push_atom(Atom { first: first + begin, last: first + end, kind: Kind::Word, gap });
            gap = (start + end, start + end + 1);
        }
    }

    /// Opens an atom that is written from `start` on, with a space before it where one belongs.
    #[inline]
    pub(super) fn open(&mut self, gap: (u32, u32), kind: Kind, start: u32) -> u32 {
        if let Some(before) = self.atoms.last() {
            if gap.0 < gap.1 {
                self.push_byte(b' ', gap.0, gap.1);
            } else if kind != Kind::Symbol && before.kind != Kind::Symbol {
                // A link or mention grown to a word.
                self.push_byte(b' ', start, start);
            }
        }
        self.origins.len() as u32
    }

    /// Leaves of the atom that was opened nothing but the space before it.
    pub(super) fn reopen(&mut self, first: u32) {
        if let Some(origin) = self.origins.get(first as usize) {
            self.text.truncate(origin.byte as usize);
            self.origins.truncate(first as usize);
        }
    }

    #[inline]
    pub(super) fn close(&mut self, first: u32, kind: Kind, gap: (u32, u32)) {
        let last = self.origins.len() as u32;
        self.push_atom(Atom { first, last, kind, gap });
    }

    #[inline]
    fn push_atom(&mut self, atom: Atom) {
        if atom.is_single() {
            self.singles.add(self.atoms.len());
        }
        self.atoms.push(atom);
    }

    /// The last character stands also for what is left out up to `end`.
    pub(super) fn stretch(&mut self, end: u32) {
        if let Some(last) = self.origins.last_mut() {
            last.end = end;
        }
    }

    /// What was read, with letters that stand apart joined as `apart::join` does; `text` is that of `read`.
    pub(super) fn join(&mut self, read: &Self, text: &str) {
        self.clear();
        let letter = |at: u32| text[read.origins[at as usize].byte as usize..].chars().next().unwrap_or(' ');
        // Atoms and characters that are here.
        let mut done = (0, 0);
        for &at in &read.singles.atoms {
            if at < done.0 {
                continue;
            }
            let Some((end, step)) = apart::apart(&read.atoms, at, letter) else { continue };
            let atom = read.atoms[at];
            self.copy(read, done.0..at, done.1..atom.first as usize);
            let first = self.origins.len() as u32;
            let (mut before, mut last) = ('\0', '\0');
            for index in (at..=end).step_by(step) {
                let origin = |atom: &Atom| read.origins[atom.first as usize];
                let (own, letter) = (origin(&read.atoms[index]), letter(read.atoms[index].first));
                let next = read.atoms[index..=end].get(step).map_or(0, |next| origin(next).start);
                if letter == last && letter == before {
                    self.stretch(own.end.max(next));
                } else {
                    self.push(letter, own.start, own.end.max(next));
                    (before, last) = (last, letter);
                }
            }
            self.close(first, Kind::Spaced, atom.gap);
            done = (end + 1, read.atoms[end].last as usize);
        }
        self.copy(read, done.0..read.atoms.len(), done.1..read.origins.len());
    }

    /// Appends some atoms and the characters of them and before them.
    pub(super) fn copy(&mut self, read: &Self, atoms: Range<usize>, origins: Range<usize>) {
        let byte = |at: usize| read.origins.get(at).map_or(read.text.len(), |origin| origin.byte as usize);
        let (first, bytes) = (self.origins.len() as u32, byte(origins.start)..byte(origins.end));
        let moved = |at: u32| at - origins.start as u32 + first;
        let atoms = read.atoms[atoms].iter();
        self.atoms.extend(atoms.map(|atom| Atom { first: moved(atom.first), last: moved(atom.last), ..*atom }));
        let (from, to) = (bytes.start as u32, self.text.len() as u32);
        let origins = read.origins[origins.clone()].iter();
        self.origins.extend(origins.map(|origin| Origin { byte: origin.byte - from + to, ..*origin }));
        self.text.extend_from_slice(&read.text[bytes]);
    }
}
