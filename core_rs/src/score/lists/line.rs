//! The words of a text in a row, as they are and as they look.
use crate::score::normalise::{Kind, Normalised, look_alike};
use std::ops::Range;

/// The words of a text in a row, one space between them. A hyphen, dot or underscore that ties two words together is such
/// a space.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// Bytes of the line.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Byte of `Normalised::plain`, and index of `Normalised::words`.
    pub(super) plain: usize,
    pub(super) word: usize,
    /// Letters that stood apart and may be several words.
    pub(super) spaced: bool,
}

impl Line {
    pub(super) fn read(&mut self, text: &Normalised) {
        self.text.clear();
        self.tokens.clear();
        let plain = text.plain.as_str();
        for (index, word) in text.words.iter().enumerate() {
            let (start, end) = (word.start as usize, word.end as usize);
            if matches!(&plain[start..end], "-" | "." | "_") {
                let tied = |index: Option<usize>| {
                    index.and_then(|index| text.words.get(index)).filter(|w| w.kind != Kind::Symbol)
                };
                let (before, after) = (tied(index.checked_sub(1)), tied(index.checked_add(1)));
                if before.is_some_and(|word| word.end as usize == start)
                    && after.is_some_and(|word| word.start as usize == end)
                {
                    continue;
                }
            }
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            let at = self.text.len();
            self.text.push_str(&plain[start..end]);
            let (plain, spaced) = (start, word.kind == Kind::Spaced);
            self.tokens.push(Token { start: at, end: self.text.len(), plain, word: index, spaced });
        }
    }
}

impl Line {
    /// Bytes of `Normalised::plain` for bytes of the line that touch these tokens.
    pub(super) fn plain(&self, touched: &Range<usize>, place: &Range<usize>) -> Range<usize> {
        let (first, last) = (&self.tokens[touched.start], &self.tokens[touched.end - 1]);
        first.plain + (place.start - first.start)..last.plain + (place.end - last.start)
    }

    /// Whether a run of letters that look the same was cut in a token; `stretched` as for [`LookAlike::read`].
    pub(super) fn is_stretched(&self, token: &Token, stretched: impl Fn(&Token, Range<usize>) -> bool) -> bool {
        let mut run: Option<(char, usize)> = None;
        let word = &self.text[token.start..token.end];
        word.char_indices().zip(looks(word)).any(|((at, letter), look)| match run {
            Some((last, begun)) if last == look => stretched(token, begun..at + letter.len_utf8()),
            _ => {
                run = Some((look, at));
                false
            }
        })
    }

    /// Indices of `Normalised::words` for these tokens.
    pub(super) fn indices(&self, touched: &Range<usize>) -> Range<usize> {
        self.tokens[touched.start].word..self.tokens[touched.end - 1].word + 1
    }
}

/// What each letter of a word looks like.
pub(super) fn looks(word: &str) -> impl Iterator<Item = char> {
    word.chars().map(|letter| if letter.is_ascii() { letter } else { look_alike(letter) })
}

/// Whether a word could be read as a Latin one without being it.
pub(super) fn is_disguised(word: &str) -> bool {
    !word.is_ascii() && looks(word).all(|look| look.is_ascii())
}

/// Whether a run of a letter was cut: its second one stands for more than itself.
pub(super) fn has_stretches(text: &Normalised) -> bool {
    let (letters, origins) = (text.plain.as_str().as_bytes(), text.plain.origins());
    // Where nothing was left out, nothing was cut.
    origins.last().is_some_and(|last| last.end as usize > origins.len())
        && origins.windows(2).any(|pair| {
            let (first, second) = (pair[0], pair[1]);
            second.end - first.start > 2 && letters[first.byte as usize] == letters[second.byte as usize]
        })
}

/// The tokens that a match touches, when it is at the boundaries of words or may be inside one.
pub(super) fn touched(tokens: &[Token], place: &Range<usize>, inside: bool) -> Option<Range<usize>> {
    let first = tokens.partition_point(|token| token.end <= place.start);
    let last = tokens.partition_point(|token| token.start < place.end).checked_sub(1)?;
    let (begin, end) = (tokens.get(first)?, tokens.get(last)?);
    let bounded = begin.start == place.start && end.end == place.end;
    (bounded || inside || (first == last && begin.spaced)).then_some(first..last + 1)
}

/// Words of a line as they look.
#[derive(Debug, Default)]
pub(super) struct LookAlike {
    pub(super) text: String,
    /// Length of the run that each byte begins; 0 where none begins, `STRETCHED` where it was cut.
    pub(super) runs: Vec<u8>,
    /// As those of the line, with places here.
    pub(super) tokens: Vec<Token>,
    /// Which of the line's they are.
    pub(super) places: Vec<usize>,
    pub(super) disguised: Vec<bool>,
}

/// A run of any length: it was longer than normalised text keeps.
pub(super) const STRETCHED: u8 = u8::MAX;

impl LookAlike {
    /// Reads some tokens of a line, which are in order; `stretched` says whether the run that ends before a byte of it
    /// was cut.
    pub(super) fn read(
        &mut self,
        line: &Line,
        parts: &[Range<usize>],
        stretched: impl Fn(&Token, Range<usize>) -> bool,
    ) {
        self.text.clear();
        self.runs.clear();
        self.tokens.clear();
        self.places.clear();
        self.disguised.clear();
        for place in parts.iter().cloned().flatten() {
            let token = &line.tokens[place];
            if !self.text.is_empty() {
                self.text.push(' ');
                self.runs.push(1);
            }
            let start = self.text.len();
            let word = &line.text[token.start..token.end];
            let mut disguised = is_disguised(word);
            let mut run: Option<(char, usize)> = None;
            for ((at, letter), look) in word.char_indices().zip(looks(word)) {
                match run {
                    Some((last, begun)) if last == look => {
                        let cut = stretched(token, begun..at + letter.len_utf8());
                        disguised |= cut;
                        let place = self.text.len() - look.len_utf8();
                        self.runs[place] = if cut { STRETCHED } else { self.runs[place].saturating_add(1) };
                    }
                    _ => {
                        run = Some((look, at));
                        self.text.push(look);
                        self.runs.push(1);
                        self.runs.resize(self.text.len(), 0);
                    }
                }
            }
            self.tokens.push(Token { start, end: self.text.len(), ..*token });
            self.places.push(place);
            self.disguised.push(disguised);
        }
    }
}

/// Whether runs of a text can be those of a term: as long, or longer than could be kept.
pub(super) fn fits(text: &[u8], term: &[u8]) -> bool {
    text.iter().zip(term).all(|(&text, &term)| text == term || text == STRETCHED)
}
