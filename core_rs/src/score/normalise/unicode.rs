//! What the rules ask about a character. Tables of Unicode 14, spread into pages at first use.
use super::tables::{CASES, CLASSES, FOLDS, JOINS, ZEROS};
use std::sync::LazyLock;
use unicode_normalization::char::decompose_compatible;

/// `training/reference/classes.py`.
pub(super) mod class {
    pub(in super::super) const OPAQUE: u8 = 0;
    pub(in super::super) const LATIN: u8 = 1;
    pub(in super::super) const GREEK_CYRILLIC: u8 = 2;
    pub(in super::super) const OTHER: u8 = 4;
    pub(in super::super) const DIGIT: u8 = 5;
    pub(in super::super) const MARK: u8 = 6;
    pub(in super::super) const SPACING: u8 = 7;
    pub(in super::super) const SPACE: u8 = 8;
    pub(in super::super) const IGNORED: u8 = 9;
    pub(in super::super) const SYMBOL: u8 = 10;
    pub(in super::super) const ENCLOSED: u8 = 11;
}

const CLASS: u8 = 0x0f;
const JOINING: u8 = 0x10;
const FOLDING: u8 = 0x20;
const CASED: u8 = 0x40;
const WHOLE: u8 = 0x80;

/// A byte for each code point, equal pages stored once.
pub(super) struct Pages {
    index: [u8; 0x1100],
    /// Fewer are used.
    pages: Box<[[u8; 256]; 256]>,
}

impl Pages {
    /// From one byte for each code point.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut result = Self { index: [0; 0x1100], pages: Box::new([[0; 256]; 256]) };
        let mut seen = std::collections::HashMap::new();
        for (number, page) in bytes.chunks_exact(256).enumerate() {
            let page: [u8; 256] = page.try_into().expect("chunks are exact");
            let next = seen.len();
            let at = *seen.entry(page).or_insert(next);
            result.index[number] = u8::try_from(at).expect("tables of Unicode 14 have fewer than 256 different pages");
            result.pages[at] = page;
        }
        result
    }

    #[inline]
    pub(super) fn get(&self, letter: char) -> u8 {
        let code = letter as usize;
        self.pages[self.index[code >> 8] as usize][code & 0xff]
    }
}

/// By code point: its class, whether it is in JOINS, FOLDS, CASES, and whether it is its own compatibility decomposition.
static PROPERTIES: LazyLock<Pages> = LazyLock::new(|| {
    let mut bytes = vec![class::OPAQUE; 0x11_0000];
    for &(first, last, kind) in &CLASSES {
        for code in first..=last {
            let letter = char::from_u32(code).expect("the tables hold no surrogates");
            let mut whole = true;
            decompose_compatible(letter, |part| whole &= part == letter);
            bytes[code as usize] = kind | if whole { WHOLE } else { 0 };
        }
    }
    for &(first, last) in &JOINS {
        for byte in &mut bytes[first as usize..=last as usize] {
            *byte |= if *byte & CLASS == class::OPAQUE { 0 } else { JOINING };
        }
    }
    for &(code, _) in &FOLDS {
        bytes[code as usize] |= FOLDING;
    }
    for &(code, _) in &CASES {
        bytes[code as usize] |= CASED;
    }
    Pages::new(&bytes)
});

/// What is asked of one character several times.
#[derive(Clone, Copy)]
pub(super) struct Properties(u8);

impl Properties {
    pub(super) fn class(self) -> u8 {
        self.0 & CLASS
    }

    /// Whether it may compose with, or be sorted among, what is before it.
    pub(super) fn joins(self) -> bool {
        self.0 & JOINING != 0
    }

    /// Whether it is its own compatibility decomposition.
    pub(super) fn is_whole(self) -> bool {
        self.0 & WHOLE != 0
    }

    /// Whether case folding changes it, where it is beyond ASCII.
    pub(super) fn is_cased(self) -> bool {
        self.0 & CASED != 0
    }
}

#[inline]
pub(super) fn properties_of(letter: char) -> Properties {
    Properties(properties(letter))
}

#[inline]
fn properties(letter: char) -> u8 {
    PROPERTIES.get(letter)
}

/// The class of a character.
#[inline]
pub(super) fn class_of(letter: char) -> u8 {
    if letter.is_ascii() { ASCII[letter as usize] } else { properties(letter) & CLASS }
}

pub(super) static ASCII: [u8; 128] = {
    let mut table = [class::SYMBOL; 128];
    let mut code = 0;
    while code < 128 {
        table[code] = match code as u8 {
            9..=13 | 28..=31 | b' ' => class::SPACE,
            0..=31 | 127 => class::IGNORED,
            b'0'..=b'9' => class::DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' => class::LATIN,
            _ => class::SYMBOL,
        };
        code += 1;
    }
    table
};

/// Whether words are made of it.
#[inline]
pub(super) fn is_word(kind: u8) -> bool {
    (class::LATIN..=class::SPACING).contains(&kind)
}

#[inline]
pub(super) fn is_letter(kind: u8) -> bool {
    (class::LATIN..=class::OTHER).contains(&kind)
}

/// The ASCII letter or digit that a letter looks like, if it is not one.
pub(super) fn fold(letter: char) -> Option<char> {
    if letter.is_ascii() || properties(letter) & FOLDING == 0 {
        return None;
    }
    FOLDS.binary_search_by_key(&(letter as u32), |entry| entry.0).ok().map(|at| FOLDS[at].1 as char)
}

/// The full case folding of a character beyond ASCII, if it is not itself.
pub(super) fn case(letter: char) -> Option<&'static str> {
    if properties(letter) & CASED == 0 {
        return None;
    }
    CASES.binary_search_by_key(&(letter as u32), |entry| entry.0).ok().map(|at| CASES[at].1)
}

/// A decimal digit of any script as the ASCII one.
pub(super) fn digit(letter: char) -> char {
    let code = letter as u32;
    let at = ZEROS.partition_point(|&zero| zero <= code);
    match at.checked_sub(1).map(|at| code - ZEROS[at]) {
        Some(value @ 0..10) => (b'0' + value as u8) as char,
        _ => letter,
    }
}
