//! Finds listed terms in a text.
use super::{
    Allow, Listed, Terms, WORST,
    line::{Line, LookAlike, Token, fits, has_stretches, touched},
    marks::{Marks, may_have},
};
use crate::score::normalise::{Kind, Normalised};
use std::{cmp::Reverse, ops::Range, slice};

/// A term in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Bytes of `Normalised::plain`.
    pub place: Range<usize>,
    /// Of `Normalised::words`, those that it touches.
    pub words: Range<usize>,
    pub listed: Listed,
    /// Number of the term, for [`Terms::text`].
    pub term: usize,
}

/// Parts of a text that are looked through, none over another.
fn join(parts: &mut Vec<Range<usize>>, part: Range<usize>) {
    match parts.last_mut() {
        Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
        _ => parts.push(part),
    }
}

/// Room that a search needs, kept from text to text; what it found last.
#[derive(Debug, Default)]
pub struct Search {
    pub(super) line: Line,
    pub(super) look: LookAlike,
    /// Bytes of the line, or of how it looks, or tokens.
    parts: Vec<Range<usize>>,
    pub(super) found: Vec<Found>,
    /// Tokens of look-alikes that an allowed phrase may hold.
    pub(super) doubtful: Vec<Range<usize>>,
    /// Places of phrases, in bytes of `Normalised::plain`.
    allowed: Vec<Range<usize>>,
}

impl Search {
    /// Of the last search, in order of their beginning. None lies within another that is at least as severe.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The worst severity of the last search; 0 when no term was found.
    pub fn severity(&self) -> u8 {
        self.found.iter().map(|found| found.listed.severity()).max().unwrap_or(0)
    }

    /// `marks` are those of the words of the text.
    pub fn run(&mut self, terms: &Terms, allow: &Allow, text: &Normalised, marks: &[Marks]) {
        self.found.clear();
        self.doubtful.clear();
        let spaced = text.words.iter().any(|word| word.kind == Kind::Spaced);
        let all = marks.iter().fold(Marks::NONE, |all, marks| Marks(all.0 | marks.0));
        // A run that was cut is still two letters.
        let disguised = (spaced || may_have(marks, Marks::LOOKS))
            && (all.has(Marks::DISGUISED) || (all.has(Marks::DOUBLED) && has_stretches(text)));
        if !(spaced || disguised || may_have(marks, Marks::EXACT)) {
            return;
        }
        self.line.read(text);
        self.exact(terms, allow, marks);
        if disguised {
            self.look_alikes(terms, allow, text, marks);
        }
        if !self.found.is_empty() {
            self.settle(allow);
        }
    }

    /// Finds terms as they are listed, where no allowed phrase holds them.
    fn exact(&mut self, terms: &Terms, allow: &Allow, marks: &[Marks]) {
        let Self { line, parts, found, .. } = self;
        let mut push = |pattern: usize, touched: &Range<usize>, place: &Range<usize>| {
            let number = terms.exact.terms[pattern];
            let (words, listed) = (line.indices(touched), terms.terms[number].listed);
            found.push(Found { place: line.plain(touched, place), words, listed, term: number });
        };
        let is_inside = |pattern: usize| terms.terms[terms.exact.terms[pattern]].inside;
        parts.clear();
        for (at, token) in line.tokens.iter().enumerate() {
            let mark = marks[token.word];
            for start in terms.heads.starts(mark) {
                let place = token.start..token.start + start.text.len();
                let ends = line.tokens.get(at + start.words - 1).is_some_and(|last| last.end == place.end);
                // One word is also inside letters that stood apart.
                if ends
                    && !(token.spaced && start.words == 1)
                    && line.text[place.clone()] == *start.text
                    && !allow.covers(start.pattern, &line.text, place.start, true)
                {
                    push(start.pattern, &(at..at + start.words), &place);
                }
            }
            if token.spaced || mark.has(Marks::INSIDE) {
                for (pattern, place) in terms.exact.find(&line.text, slice::from_ref(&(token.start..token.end))) {
                    let counts = token.spaced || is_inside(pattern);
                    if counts && !allow.covers(pattern, &line.text, place.start, false) {
                        push(pattern, &(at..at + 1), &place);
                    }
                }
            }
            let spans = line.tokens.get(at + 1).is_some_and(|next| {
                mark.has(Marks::FIRST)
                    && marks[next.word].has(Marks::SECOND)
                    && terms.heads.spans(&line.text[token.start..token.end], &line.text[next.start..next.end])
            });
            if spans {
                join(parts, token.start..line.text.len().min(token.end + terms.exact.longest));
            }
        }
        for (pattern, place) in terms.exact.find(&line.text, parts) {
            let Some(touched) = touched(&line.tokens, &place, true) else { continue };
            let counts = is_inside(pattern) && touched.len() > 1;
            if counts && !allow.covers(pattern, &line.text, place.start, false) {
                push(pattern, &touched, &place);
            }
        }
    }

    /// Finds terms that look as they are listed, with a disguised word.
    fn look_alikes(&mut self, terms: &Terms, allow: &Allow, text: &Normalised, marks: &[Marks]) {
        let Self { line, look, parts, found, doubtful, .. } = self;
        let stretched = |token: &Token, run: Range<usize>| {
            text.plain.written(token.plain + run.start..token.plain + run.end).len() > 2
        };
        let mark = |at: usize| line.tokens.get(at).map_or(Marks::NONE, |token| marks[token.word]);
        // Tokens where one can be: that are one, hold one or begin one.
        parts.clear();
        for (at, token) in line.tokens.iter().enumerate() {
            let own = mark(at);
            if own.has(Marks::LOOKS_FIRST) && mark(at + 1).has(Marks::LOOKS_SECOND) {
                let end = line.tokens.len().min(at + terms.look_alike_words);
                if (at..end).any(|at| mark(at).may_be_disguised()) {
                    join(parts, at..end);
                }
            }
            if (token.spaced || own.has(Marks::LOOKS_TERM))
                && (own.has(Marks::DISGUISED) || (own.has(Marks::DOUBLED) && line.is_stretched(token, stretched)))
            {
                join(parts, at..at + 1);
            }
        }
        look.read(line, parts, stretched);
        // The same in bytes of how they look.
        let mut read = 0;
        for part in &mut *parts {
            let tokens = &look.tokens[read..read + part.len()];
            read += part.len();
            *part = tokens[0].start..tokens[tokens.len() - 1].end;
        }
        for (pattern, place) in terms.look_alikes.find(&look.text, parts) {
            let number = terms.look_alikes.terms[pattern];
            let term = &terms.terms[number];
            let Some(touched) = touched(&look.tokens, &place, term.inside) else { continue };
            if !look.disguised[touched.clone()].contains(&true) || !fits(&look.runs[place], &terms.runs[pattern]) {
                continue;
            }
            let touched = look.places[touched.start]..look.places[touched.end - 1] + 1;
            let whole = line.tokens[touched.start].start..line.tokens[touched.end - 1].end;
            found.push(Found {
                place: line.plain(&touched, &whole),
                words: line.indices(&touched),
                listed: term.listed,
                term: number,
            });
            doubtful.extend(allow.may_hold(&line.text[whole]).then_some(touched));
        }
    }

    /// Drops what is allowed, and what lies within something at least as severe.
    pub(super) fn settle(&mut self, allow: &Allow) {
        let Self { line, parts, found, doubtful, allowed, .. } = self;
        found.sort_by_key(|found| (found.place.start, Reverse((found.place.end, found.listed.severity()))));
        allowed.clear();
        parts.clear();
        doubtful.sort_unstable_by_key(|tokens| tokens.start);
        let reach = allow.phrases.longest;
        for tokens in &*doubtful {
            let (first, last) = (line.tokens[tokens.start], line.tokens[tokens.end - 1]);
            join(parts, first.start.saturating_sub(reach)..line.text.len().min(last.end + reach));
        }
        for (_, phrase) in allow.phrases.find(&line.text, parts) {
            if let Some(touched) = touched(&line.tokens, &phrase, true) {
                allowed.push(line.plain(&touched, &phrase));
            }
        }
        allowed.sort_by_key(|place| place.start);
        let mut phrases = allowed.iter().peekable();
        // How far phrases reach that have begun, and terms by their severity.
        let (mut free, mut reached) = (0, [0; WORST as usize + 1]);
        found.retain(|found| {
            while let Some(phrase) = phrases.next_if(|phrase| phrase.start <= found.place.start) {
                free = free.max(phrase.end);
            }
            let severity = usize::from(found.listed.severity());
            let within = free >= found.place.end || reached[severity..].iter().any(|&end| end >= found.place.end);
            if !within {
                reached[severity] = found.place.end;
            }
            !within
        });
    }
}
