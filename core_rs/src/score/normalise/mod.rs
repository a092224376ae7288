//! Text as the lists, the model and the detectors read it, with the way back to the text as it was written.
//!
//! `training/reference/normalise.py` is the specification: the same steps in the same order, in plain Python. The tables
//! of both are made from one source by `training/tables.py`. Code points that Unicode 14 had not assigned are opaque:
//! they are copied, and nothing is said about them.
mod alike;
mod apart;
mod compatible;
mod cut;
mod direct;
mod escapes;
mod latin;
mod steps;
mod tables;
#[cfg(test)]
mod tests;
mod unicode;
mod words;

use direct::Direct;
use std::ops::Range;
use steps::Steps;
use unicode::class;
use words::Atom;

/// Bytes of a text that are read; the rest is cut off, before a grapheme cluster that would not fit whole. Also the
/// characters that NFKC may grow it to.
pub const READ: usize = 16_384;

/// A string and, for each of its characters, the code points of the written text that it comes from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mapped {
    text: String,
    /// One entry a character, in order of `byte`; `start` and `end` never fall.
    origins: Vec<Origin>,
}

/// Where one character begins in the mapped string (bytes) and what it was (half-open, code points of the written text).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub byte: u32,
    pub start: u32,
    pub end: u32,
}

impl Mapped {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// One for each character of the string.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The code points of the written text (half-open) that a range of bytes of the string comes from. Bytes inside a
    /// character count for the whole of it; an empty or outlying range gives an empty one.
    pub fn written(&self, bytes: Range<usize>) -> Range<usize> {
        if bytes.start >= bytes.end || bytes.start >= self.text.len() {
            return 0..0;
        }
        let at = |byte: usize| match self.origins.len() == self.text.len() {
            true => byte,
            false => self.origins.partition_point(|origin| origin.byte as usize <= byte) - 1,
        };
        let (first, last) = (self.origins[at(bytes.start)], self.origins[at(bytes.end - 1)]);
        first.start as usize..last.end as usize
    }

    #[inline]
    fn push(&mut self, cell: Cell) {
        self.origins.push(Origin { byte: self.text.len() as u32, start: cell.start, end: cell.end });
        self.text.push(cell.letter);
    }

    fn clear(&mut self) {
        self.text.clear();
        self.origins.clear();
    }

    fn fill(&mut self, cells: &[Cell]) {
        self.text.reserve(cells.len());
        self.origins.reserve(cells.len());
        for &cell in cells {
            self.push(cell);
        }
    }
}

/// What was done to a word, or what it stands for. `Symbol` is any other character that is not white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Letters, marks and digits, with apostrophes and `*` between them.
    Word,
    /// The same, joined from letters that stood apart (`f u c k`): it may hold more than one word of the language.
    Spaced,
    /// `url`: a link, a bare domain or a mail address.
    Link,
    /// `auser`: a mention.
    Mention,
    Symbol,
}

/// A word as a range of bytes of `Normalised::plain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    pub start: u32,
    pub end: u32,
    pub kind: Kind,
}

/// Why a part of the text looks made to mislead a reader or a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guise {
    /// Two or more invisible or bidirectional characters inside a word that has no use for them.
    Invisible,
    /// A word whose letters come from several scripts and look like Latin ones.
    MixedScript,
}

/// A suspect part, in code points of the written text (half-open).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspect {
    pub start: u32,
    pub end: u32,
    pub guise: Guise,
}

impl Suspect {
    /// The same, later by so many code points; by less than none when they wrap around.
    fn moved(self, points: u32) -> Self {
        Self { start: self.start.wrapping_add(points), end: self.end.wrapping_add(points), ..self }
    }
}

/// The result of `Normaliser::run`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// For detectors: escapes decoded, NFKC, invisible characters and diacritics dropped, look-alikes folded, digits
    /// ASCII, case folded. Links, mentions and white space are as written (each white space is `' '`, or `'\n'`).
    pub folded: Mapped,
    /// For lists and the model: also links are `url`, mentions `auser`, leetspeak is read, letters that stood apart are
    /// joined, repeats cut to two, white space is one `' '` between words and none at the ends.
    pub plain: Mapped,
    /// The words and symbols of `plain`, in order; they do not overlap.
    pub words: Vec<Word>,
    /// In order of `start`.
    pub suspects: Vec<Suspect>,
    /// Whether there is an `Invisible` suspect, or two that are `MixedScript`.
    pub suspicious: bool,
    /// Whether the text was longer than `READ`, or grew beyond it.
    pub cut: bool,
}

impl Normalised {
    fn clear(&mut self) {
        self.folded.clear();
        self.plain.clear();
        self.words.clear();
        self.suspects.clear();
        (self.suspicious, self.cut) = (false, false);
    }
}

/// A character and the code points of the written text (half-open) that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    letter: char,
    start: u32,
    end: u32,
}

/// The ASCII letter or digit that a character looks like (UTS 39), or itself.
pub(super) fn look_alike(letter: char) -> char {
    unicode::fold(letter).unwrap_or(letter)
}

/// The pipeline with its buffers, to be used again for the next text.
#[derive(Debug, Default)]
pub struct Normaliser {
    result: Normalised,
    steps: Steps,
    made: Vec<Cell>,
    atoms: Vec<Atom>,
    direct: Direct,
}

impl Normaliser {
    /// Normalises a text. Takes time in proportion to what is read of it; whatever was done before has no influence.
    pub fn run(&mut self, text: &str) -> &Normalised {
        let read = self.begin(text);
        self.fold(read);
        self.result.folded.fill(&self.steps.cells);
        self.plain();
        self.finish()
    }

    /// The same without `folded`, which stays empty.
    pub fn read(&mut self, text: &str) -> &Normalised {
        let read = self.begin(text);
        if !self.direct.read(read, &mut self.steps, &mut self.result) {
            self.fold(read);
            self.plain();
        }
        self.finish()
    }

    /// What is read of a text.
    fn begin<'a>(&mut self, text: &'a str) -> &'a str {
        let read = cut::cut(text);
        self.result.clear();
        self.result.cut = read.len() < text.len();
        read
    }

    fn fold(&mut self, read: &str) {
        if !self.ascii(read) {
            let Self { result, steps, .. } = self;
            steps.cells.clear();
            steps.cells.reserve(read.len());
            steps.cells.extend(read.chars().zip(0..).map(|(letter, at)| Cell { letter, start: at, end: at + 1 }));
            result.cut |= steps.text(&mut result.suspects);
        }
    }

    /// Steps 1 to 4 for what has no escape and nothing to drop: plain ASCII, most texts. False when there is other.
    fn ascii(&mut self, read: &str) -> bool {
        let other = |byte: u8| {
            !byte.is_ascii() || matches!(byte, b'%' | b'&') || unicode::ASCII[byte as usize] == class::IGNORED
        };
        if read.bytes().any(other) {
            return false;
        }
        let cells = &mut self.steps.cells;
        cells.clear();
        cells.extend(read.bytes().zip(0..).map(|(byte, at)| Cell {
            letter: alike::ascii(byte as char),
            start: at,
            end: at + 1,
        }));
        true
    }

    fn finish(&mut self) -> &Normalised {
        let Normalised { suspects, suspicious, .. } = &mut self.result;
        suspects.sort_by_key(|suspect| (suspect.start, suspect.end, suspect.guise));
        let mixed = suspects.iter().filter(|suspect| suspect.guise == Guise::MixedScript).count();
        *suspicious = mixed >= 2 || suspects.len() > mixed;
        &self.result
    }

    /// Steps 5 and 6, and the plain text of what they make.
    fn plain(&mut self) {
        let Self { result, steps, made, atoms, .. } = self;
        let cells = &steps.cells;
        made.clear();
        atoms.clear();
        let space = |cell: &Cell| matches!(cell.letter, ' ' | '\n');
        let mut at = 0;
        loop {
            let gap = at;
            at += cells[at..].iter().take_while(|cell| space(cell)).count();
            let start = at;
            at += cells[at..].iter().take_while(|cell| !space(cell)).count();
            if start == at {
                break;
            }
            words::atoms(&cells[start..at], (gap as u32, start as u32), made, atoms);
        }
        apart::join(atoms, made);
        let plain = &mut result.plain;
        plain.text.reserve(2 * made.len());
        plain.origins.reserve(made.len() + atoms.len());
        for (index, atom) in atoms.iter().enumerate() {
            let own = &made[atom.first as usize..atom.last as usize];
            if index > 0 && atom.has_gap() {
                let (first, last) = (cells[atom.gap.0 as usize], cells[atom.gap.1 as usize - 1]);
                plain.push(Cell { letter: ' ', start: first.start, end: last.end });
            } else if index > 0 && atom.kind != Kind::Symbol && atoms[index - 1].kind != Kind::Symbol {
                // A link or mention grown to a word.
                plain.push(Cell { letter: ' ', start: own[0].start, end: own[0].start });
            }
            let start = plain.text.len() as u32;
            for &cell in own {
                plain.push(cell);
            }
            result.words.push(Word { start, end: plain.text.len() as u32, kind: atom.kind });
        }
    }
}
