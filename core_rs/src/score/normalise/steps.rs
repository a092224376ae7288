//! Steps 1 to 4, of a whole text or of one chunk of it (what is between white space).
use super::{
    Cell, Suspect, alike, compatible, escapes,
    unicode::{class, class_of, properties_of},
};

/// Characters on their way through the steps, and the room that these need.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) cells: Vec<Cell>,
    spare: Vec<Cell>,
    segment: compatible::Segment,
}

impl Steps {
    /// All steps. Whether characters were cut off.
    pub(super) fn text(&mut self, suspects: &mut Vec<Suspect>) -> bool {
        if self.decode(suspects) {
            self.ascii_case();
            return false;
        }
        let cut = self.compatible();
        alike::alike(&mut self.cells, suspects).fold(&mut self.cells);
        alike::case_fold(&mut self.cells, &mut self.spare);
        cut
    }

    /// The same for a chunk, and how many characters came on top; none where what is around it matters, or how long the
    /// text is. What is suspect then is left among `suspects`.
    pub(super) fn chunk(&mut self, suspects: &mut Vec<Suspect>) -> Option<usize> {
        let mut more = 0;
        if self.decode(suspects) {
            self.ascii_case();
        } else {
            if self.cells.first().is_some_and(|first| properties_of(first.letter).joins()) {
                return None;
            }
            let before = self.cells.len();
            if self.compatible() || alike::alike(&mut self.cells, suspects).has_others() {
                return None;
            }
            more = self.cells.len().saturating_sub(before);
            alike::case_fold(&mut self.cells, &mut self.spare);
        }
        let space = |cell: &Cell| matches!(cell.letter, ' ' | '\n');
        (!self.cells.is_empty() && !self.cells.iter().any(space)).then_some(more)
    }

    /// Step 1, and what is dropped before NFKC. Whether all is ASCII, of which nothing was dropped: only its case is left.
    fn decode(&mut self, suspects: &mut Vec<Suspect>) -> bool {
        let Self { cells, spare, .. } = self;
        if cells.iter().any(|cell| cell.letter == '%') {
            escapes::decode(cells, spare);
            std::mem::swap(cells, spare);
        }
        if cells.iter().any(|cell| cell.letter == '&') {
            escapes::unescape(cells, spare);
            std::mem::swap(cells, spare);
        }
        let (mut ascii, mut ignored) = (true, false);
        for cell in &mut *cells {
            cell.letter = escapes::windows_1252(cell.letter);
            ascii &= cell.letter.is_ascii();
            ignored |= class_of(cell.letter) == class::IGNORED;
        }
        if ignored {
            compatible::invisible(cells, spare, suspects);
            std::mem::swap(cells, spare);
        }
        ascii && !ignored
    }

    fn compatible(&mut self) -> bool {
        let cut = compatible::compatible(&self.cells, &mut self.spare, &mut self.segment);
        std::mem::swap(&mut self.cells, &mut self.spare);
        cut
    }

    fn ascii_case(&mut self) {
        self.cells.iter_mut().for_each(|cell| cell.letter = alike::ascii(cell.letter));
    }
}
