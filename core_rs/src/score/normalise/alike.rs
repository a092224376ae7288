//! Steps 3 and 4: look-alikes folded to Latin (UTS 39), case folded.
use super::{
    Cell, Guise, Suspect,
    unicode::{case, class, class_of, fold, is_letter, is_word, properties_of},
};
use std::ops::Range;

/// Latin letters that a text must have for words wholly of look-alikes to be folded.
pub(super) const LATIN: u32 = 3;

/// Words wholly of letters of other scripts that look like ASCII ones, and what decides whether they are folded.
pub(super) struct Whole {
    words: Vec<Range<usize>>,
    /// Letters of words that have Latin ones.
    latin: usize,
    /// Letters in words of other scripts that cannot be folded.
    foreign: usize,
}

impl Whole {
    /// Whether there are words without Latin letters.
    pub(super) fn has_others(&self) -> bool {
        self.foreign > 0 || !self.words.is_empty()
    }

    /// Folds them when the text is otherwise Latin: as many Latin letters as that takes, and twice as many as foreign ones.
    pub(super) fn fold(self, cells: &mut [Cell]) {
        if self.latin >= LATIN as usize && self.latin >= 2 * self.foreign {
            for cell in self.words.into_iter().flatten() {
                let letter = &mut cells[cell].letter;
                *letter = fold(*letter).unwrap_or(*letter);
            }
        }
    }
}

/// Folds letters that look like ASCII ones: those of Latin script always, those of other scripts in a word that has
/// Latin letters. The words wholly of others are left.
pub(super) fn alike(cells: &mut [Cell], suspects: &mut Vec<Suspect>) -> Whole {
    let (mut latin, mut foreign) = (0, 0);
    let mut words = Vec::new();
    let mut at = 0;
    while at < cells.len() {
        let first = at;
        let plain = cells[at..].iter().take_while(|cell| cell.letter.is_ascii_alphanumeric()).count();
        if cells.get(at + plain).is_none_or(|next| next.letter.is_ascii()) {
            latin += cells[at..at + plain].iter().filter(|cell| cell.letter.is_ascii_alphabetic()).count();
            at += plain + 1;
            continue;
        }
        // Which classes the run has, how many letters, and whether all is ASCII.
        let (mut kinds, mut letters, mut enclosed, mut ascii) = (0_u16, 0, 0, true);
        while let Some(cell) = cells.get(at) {
            let kind = class_of(cell.letter);
            if kind != class::ENCLOSED && !is_word(kind) {
                break;
            }
            kinds |= 1 << kind;
            letters += usize::from(is_letter(kind));
            enclosed += usize::from(kind == class::ENCLOSED);
            ascii &= cell.letter.is_ascii();
            at += 1;
        }
        if first == at {
            at += 1;
            continue;
        }
        let run = &mut cells[first..at];
        let has = |kind: u8| kinds & 1 << kind != 0;
        if has(class::LATIN) {
            latin += letters;
            if !ascii && fold_word(run) && letters >= 3 {
                let (start, end) = (run[0].start, run[run.len() - 1].end);
                suspects.push(Suspect { start, end, guise: Guise::MixedScript });
            }
        } else if !(has(class::OTHER) || has(class::MARK) || has(class::SPACING))
            && run.iter().all(|cell| class_of(cell.letter) == class::DIGIT || fold(cell.letter).is_some())
        {
            if letters > 0 || enclosed >= 2 {
                words.push(first..at);
            }
        } else {
            foreign += letters;
        }
    }
    Whole { words, latin, foreign }
}

/// Folds a word with Latin letters; whether that turned letters of another script, and left none that is not ASCII.
fn fold_word(run: &mut [Cell]) -> bool {
    let (mut turned, mut ascii) = (false, true);
    for cell in run {
        let kind = class_of(cell.letter);
        if let Some(target) = fold(cell.letter) {
            cell.letter = target;
            turned |= is_letter(kind) && kind != class::LATIN;
        } else if is_letter(kind) && !cell.letter.is_ascii() {
            ascii = false;
        }
    }
    turned && ascii
}

/// Full case folding, but of marks (U+0345); white space becomes a space, but for the line feed. `spare` is room.
pub(super) fn case_fold(cells: &mut Vec<Cell>, spare: &mut Vec<Cell>) {
    for at in 0..cells.len() {
        let letter = cells[at].letter;
        if letter.is_ascii() {
            cells[at].letter = ascii(letter);
            continue;
        }
        let properties = properties_of(letter);
        if properties.class() == class::SPACE {
            cells[at].letter = ' ';
        } else if let Some(folded) = if properties.is_cased() { case(letter) } else { None } {
            let mut letters = folded.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => cells[at].letter = letter,
                _ => {
                    // What is longer moves the rest, once for all.
                    spare.clear();
                    spare.extend(cells.drain(at..));
                    for &cell in &*spare {
                        longer(cell, cells);
                    }
                    return;
                }
            }
        }
    }
}

fn longer(cell: Cell, into: &mut Vec<Cell>) {
    let letter = cell.letter;
    if letter.is_ascii() {
        into.push(Cell { letter: ascii(letter), ..cell });
    } else if class_of(letter) == class::SPACE {
        into.push(Cell { letter: ' ', ..cell });
    } else if let Some(folded) = case(letter) {
        into.extend(folded.chars().map(|letter| Cell { letter, ..cell }));
    } else {
        into.push(cell);
    }
}

/// The same for ASCII.
#[inline]
pub(super) fn ascii(letter: char) -> char {
    match letter {
        '\t' | '\u{b}'..='\r' | '\u{1c}'..='\u{1f}' => ' ',
        _ => letter.to_ascii_lowercase(),
    }
}
