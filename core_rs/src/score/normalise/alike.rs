//! Steps 3 and 4: look-alikes folded to Latin (UTS 39), case folded.
use super::{
    Cell, Guise, Suspect,
    unicode::{case, class, class_of, fold, is_letter, is_word},
};

/// Folds letters that look like ASCII ones: those of Latin script always; those of other scripts in a word that has
/// Latin letters; and in words wholly of look-alikes, when the text is otherwise Latin: at least three Latin letters, and
/// twice as many as letters in words of other scripts that cannot be folded.
pub(super) fn alike(cells: &mut [Cell], suspects: &mut Vec<Suspect>) {
    let (mut latin, mut foreign) = (0, 0);
    let mut whole = Vec::new();
    let mut at = 0;
    while at < cells.len() {
        let in_run = |cell: &&Cell| matches!(class_of(cell.letter), class::ENCLOSED) || is_word(class_of(cell.letter));
        let length = cells[at..].iter().take_while(in_run).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let run = &mut cells[at..at + length];
        let kinds = || run.iter().map(|cell| class_of(cell.letter));
        let letters = kinds().filter(|&kind| is_letter(kind)).count();
        if kinds().any(|kind| kind == class::LATIN) {
            latin += letters;
            if !run.iter().all(|cell| cell.letter.is_ascii()) && fold_word(run) && letters >= 3 {
                let (start, end) = (run[0].start, run[length - 1].end);
                suspects.push(Suspect { start, end, guise: Guise::MixedScript });
            }
        } else if run.iter().all(|cell| match class_of(cell.letter) {
            class::DIGIT => true,
            class::OTHER | class::MARK | class::SPACING => false,
            _ => fold(cell.letter).is_some(),
        }) {
            if letters > 0 || kinds().filter(|&kind| kind == class::ENCLOSED).count() >= 2 {
                whole.push(at..at + length);
            }
        } else {
            foreign += letters;
        }
        at += length;
    }
    if latin >= 3 && latin >= 2 * foreign {
        for cell in whole.into_iter().flatten() {
            let letter = &mut cells[cell].letter;
            *letter = fold(*letter).unwrap_or(*letter);
        }
    }
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

/// Full case folding, but of marks (U+0345); white space becomes a space, but for the line feed.
pub(super) fn case_fold(cells: &[Cell], into: &mut Vec<Cell>) {
    into.clear();
    for &cell in cells {
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
}

/// The same for ASCII.
#[inline]
pub(super) fn ascii(letter: char) -> char {
    match letter {
        '\t' | '\u{b}'..='\r' | '\u{1c}'..='\u{1f}' => ' ',
        _ => letter.to_ascii_lowercase(),
    }
}
