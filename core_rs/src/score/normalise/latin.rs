//! Letters beyond ASCII that the steps turn into one of ASCII, wherever they stand in a word with Latin letters.
use super::{
    Cell,
    alike::case_fold,
    compatible::{Segment, compatible},
    tables::CLASSES,
    unicode::{Pages, class, class_of, fold, properties_of},
};
use std::sync::LazyLock;

/// What becomes of such a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turned {
    /// In lower case.
    pub(super) letter: u8,
    /// Whether it is Latin; else it only looks so.
    pub(super) latin: bool,
}

/// In `letter` of an entry: it only looks Latin.
const ALIKE: u8 = 0x80;

/// By code point; 0 for others.
static LETTERS: LazyLock<Pages> = LazyLock::new(|| {
    let mut letters = vec![0; 0x11_0000];
    let mut room = Default::default();
    for (first, last, _) in CLASSES.iter().filter(|row| matches!(row.2, class::LATIN | class::GREEK_CYRILLIC)) {
        for code in (*first).max(0x80)..=*last {
            if let Some(turned) = char::from_u32(code).and_then(|letter| alone(letter, &mut room)) {
                letters[code as usize] = turned.letter | if turned.latin { 0 } else { ALIKE };
            }
        }
    }
    Pages::new(&letters)
});

/// None for letters of ASCII, and where more than the letter has a say.
#[inline]
pub(super) fn turned(letter: char) -> Option<Turned> {
    let entry = LETTERS.get(letter);
    (entry != 0).then_some(Turned { letter: entry & !ALIKE, latin: entry & ALIKE == 0 })
}

/// What the steps make of a letter in such a word.
fn alone(letter: char, room: &mut (Vec<Cell>, Vec<Cell>, Segment)) -> Option<Turned> {
    if properties_of(letter).joins() {
        return None;
    }
    let (cells, spare, segment) = room;
    compatible(&[Cell { letter, start: 0, end: 1 }], cells, segment);
    let &[Cell { letter, .. }] = &cells[..] else { return None };
    let kind = class_of(letter);
    cells[0].letter = fold(letter).unwrap_or(letter);
    case_fold(cells, spare);
    match cells[..] {
        [Cell { letter: folded @ 'a'..='z', .. }] if matches!(kind, class::LATIN | class::GREEK_CYRILLIC) => {
            Some(Turned { letter: folded as u8, latin: kind == class::LATIN })
        }
        _ => None,
    }
}
