//! Text as the lists, the model and the detectors read it, with the way back to the text as it was written.
//!
//! `training/reference/normalise.py` is the specification: the same steps in the same order, in plain Python. The tables
//! of both are made from one source by `training/tables.py`. Code points that Unicode 14 had not assigned are opaque:
//! they are copied, and nothing is said about them.
use std::ops::Range;

/// Bytes of a text that are read; the rest is cut off, before a grapheme cluster that would not fit whole.
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
        let at = |byte: usize| self.origins.partition_point(|origin| origin.byte as usize <= byte) - 1;
        let (first, last) = (self.origins[at(bytes.start)], self.origins[at(bytes.end - 1)]);
        first.start as usize..last.end as usize
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Whether the text was longer than `READ`.
    pub cut: bool,
}

/// The pipeline with its buffers, to be used again for the next text.
#[derive(Debug, Default)]
pub struct Normaliser {
    result: Normalised,
}

impl Normaliser {
    pub fn run(&mut self, text: &str) -> &Normalised {
        // Placeholder of the pipeline: the words between white space.
        let result = &mut self.result;
        *result = Normalised::default();
        let mut gap = false;
        for (index, letter) in text.chars().enumerate() {
            if letter.is_whitespace() {
                gap = true;
                continue;
            }
            let begins = gap || result.words.is_empty();
            for (mapped, spaced) in [(&mut result.folded, gap), (&mut result.plain, gap)] {
                let position = |mapped: &Mapped, start: usize| Origin {
                    byte: mapped.text.len() as u32,
                    start: start as u32,
                    end: start as u32 + 1,
                };
                if spaced && !mapped.text.is_empty() {
                    mapped.origins.push(position(mapped, index - 1));
                    mapped.text.push(' ');
                }
                mapped.origins.push(position(mapped, index));
                mapped.text.extend(letter.to_lowercase().take(1));
            }
            let end = result.plain.text.len() as u32;
            if begins {
                let start = end - letter.len_utf8() as u32;
                result.words.push(Word { start, end, kind: Kind::Word });
            }
            result.words.last_mut().expect("a word has begun").end = end;
            gap = false;
        }
        result
    }
}
