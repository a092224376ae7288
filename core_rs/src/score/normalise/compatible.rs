//! Step 2: NFKC (UAX 15); invisible characters and diacritics dropped.
use super::{
    Cell, Guise, READ, Suspect,
    unicode::{Properties, class, class_of, digit, is_word, properties_of},
};
use unicode_normalization::char::{canonical_combining_class, compose, decompose_compatible};

/// Joiners, spaces without width, marks of direction and variation selectors: other scripts need them.
pub(super) fn is_scripted(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{61c}' | '\u{2060}' | '\u{feff}' | '\u{180b}'..='\u{180f}'
        | '\u{fe00}'..='\u{fe0f}')
}

/// Whether a letter or mark is of a script other than Latin, Greek and Cyrillic.
fn other(letter: char) -> bool {
    match class_of(letter) {
        class::MARK => !matches!(letter, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'),
        kind => !matches!(kind, class::LATIN | class::GREEK_CYRILLIC | class::DIGIT) && is_word(kind),
    }
}

/// Copies what is not dropped, and finds words with two or more dropped characters inside that they have no use for.
///
/// A soft hyphen never counts; joiners, spaces without width, marks of direction and variation selectors do not beside a
/// letter or mark of another script than Latin, Greek and Cyrillic, nor a selector before the keycap (U+20E3).
pub(super) fn invisible(cells: &[Cell], into: &mut Vec<Cell>, suspects: &mut Vec<Suspect>) {
    into.clear();
    let mut before: Option<char> = None;
    let mut waiting = 0..0;
    let (mut start, mut end, mut count) = (0, 0, 0);
    let last = Cell { letter: ' ', start: 0, end: 0 };
    let mut at = 0;
    while at <= cells.len() {
        if count == 0 && waiting.is_empty() {
            // Of ASCII that is not dropped only the last matters to what follows.
            let plain = cells[at..].iter().take_while(|cell| is_plain(cell.letter)).count();
            if let [.., last] = cells[at..at + plain] {
                into.extend_from_slice(&cells[at..at + plain]);
                before = is_word(class_of(last.letter)).then_some(last.letter);
                at += plain;
                waiting = at..at;
            }
        }
        let cell = cells.get(at).unwrap_or(&last);
        at += 1;
        let kind = class_of(cell.letter);
        if kind == class::IGNORED {
            waiting.end = at;
            continue;
        }
        if at <= cells.len() {
            into.push(*cell);
        }
        if !is_word(kind) {
            if count >= 2 {
                suspects.push(Suspect { start, end, guise: Guise::Invisible });
            }
            count = 0;
        } else if let (Some(before), false) = (before, waiting.is_empty()) {
            let lawful = other(before) || other(cell.letter) || cell.letter == '\u{20e3}';
            for dropped in &cells[waiting.clone()] {
                if dropped.letter != '\u{ad}' && !(lawful && is_scripted(dropped.letter)) {
                    start = if count == 0 { dropped.start } else { start };
                    end = dropped.end;
                    count += 1;
                }
            }
        }
        before = is_word(kind).then_some(cell.letter);
        waiting = at..at;
    }
}

/// Whether it is of ASCII and not dropped.
fn is_plain(letter: char) -> bool {
    letter.is_ascii() && class_of(letter) != class::IGNORED
}

/// Characters of a segment with their combining classes.
pub(super) type Segment = Vec<(u8, char)>;

/// NFKC of what holds no ignored character, without the marks on Latin, Greek and Cyrillic letters and on digits; decimal
/// digits are ASCII.
///
/// Done for each segment (a character and those after it that may compose with it or be sorted), which is all that its
/// result's characters are known to come from; no more when `READ` characters have come out (U+FDFA is 18). Whether some
/// were left.
pub(super) fn compatible(cells: &[Cell], into: &mut Vec<Cell>, segment: &mut Segment) -> bool {
    into.clear();
    let mut base = class::SPACE;
    let mut at = 0;
    let properties = |at: usize| cells.get(at).map(|cell| properties_of(cell.letter));
    let joins = |next: Option<Properties>| next.is_some_and(Properties::joins);
    let mut here = properties(0);
    while let (Some(own), true) = (here, into.len() < READ) {
        let (cell, kind) = (cells[at], own.class());
        // ASCII stays as it is before more of it.
        let plain = cells[at..].windows(2).take(READ - into.len());
        let plain = plain.take_while(|pair| pair[0].letter.is_ascii() && pair[1].letter.is_ascii()).count();
        if let [.., last] = cells[at..at + plain] {
            into.extend_from_slice(&cells[at..at + plain]);
            base = class_of(last.letter);
            at += plain;
            here = properties(at);
            continue;
        }
        here = properties(at + 1);
        let joined = joins(here);
        if kind == class::OPAQUE || (!joined && cell.letter.is_ascii()) {
            into.push(cell);
            base = kind;
            at += 1;
            continue;
        }
        let on_latin = matches!(base, class::LATIN | class::GREEK_CYRILLIC | class::DIGIT);
        if !joined && own.is_whole() {
            if kind != class::MARK || !on_latin {
                into.push(Cell { letter: if kind == class::DIGIT { digit(cell.letter) } else { cell.letter }, ..cell });
            }
            if kind != class::MARK && kind != class::SPACING {
                base = kind;
            }
            at += 1;
            continue;
        }
        let mut last = at;
        while joins(here) {
            last += 1;
            here = properties(last + 1);
        }
        segment.clear();
        for part in &cells[at..=last] {
            decompose_compatible(part.letter, |letter| segment.push((canonical_combining_class(letter), letter)));
        }
        // Canonical ordering: marks between starters, stably.
        segment.chunk_by_mut(|first, second| (first.0 == 0) == (second.0 == 0)).for_each(|run| {
            run.sort_by_key(|part| part.0);
        });
        segment.retain(|&(_, letter)| {
            let kind = class_of(letter);
            let folded = kind == class::MARK && matches!(base, class::LATIN | class::GREEK_CYRILLIC | class::DIGIT);
            if kind != class::MARK && kind != class::SPACING {
                base = kind;
            }
            !folded
        });
        let (start, end) = (cell.start, cells[last].end);
        recompose(segment);
        into.extend(segment.iter().map(|&(_, letter)| Cell {
            letter: if class_of(letter) == class::DIGIT { digit(letter) } else { letter },
            start,
            end,
        }));
        at = last + 1;
    }
    at < cells.len()
}

/// The canonical composition algorithm (UAX 15; D117 of the Unicode standard) on an ordered decomposition.
fn recompose(segment: &mut Segment) {
    let mut kept = 0;
    let mut starter: Option<usize> = None;
    // The combining class of what was kept last after the starter.
    let mut last: Option<u8> = None;
    for at in 0..segment.len() {
        let (order, letter) = segment[at];
        if let (Some(starter), true) = (starter, last.is_none_or(|last| last < order)) {
            if let Some(composite) = compose(segment[starter].1, letter) {
                segment[starter].1 = composite;
                continue;
            }
        }
        segment[kept] = segment[at];
        if order == 0 {
            (starter, last) = (Some(kept), None);
        } else {
            last = Some(order);
        }
        kept += 1;
    }
    segment.truncate(kept);
}
