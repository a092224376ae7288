//! Listed terms, phrases in which they do not count, and the names of groups.
//!
//! Terms are matched on normalised words at their boundaries, and a second time on *look-alikes*: there each letter is
//! the Latin one that it looks like (UTS 39 §4) and a run of one letter is a single one, so that what normalisation left
//! of a disguise is compared with the same of the term. Such a match counts only where one of its words is disguised, and
//! only where the lengths of runs allow it: `аss` is listed where `ass` is, and neither `as` nor `burrn` as `burn`.
use super::normalise::{Kind, Normalised, Normaliser, look_alike};
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};
use std::{cmp::Reverse, collections::HashMap, ops::Range};

/// The greatest severity, of slurs and worse.
const WORST: u8 = 3;

/// Bytes of one term or phrase.
const LONGEST: usize = 200;

/// Letters of a term in another script that is found also as Latin letters: shorter ones look like too many words.
const SHORTEST_LATIN: usize = 4;

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("the {0} are not UTF-8")]
    Encoding(&'static str),
    #[error("line {line} of the {list}: {reason}")]
    Line { list: &'static str, line: usize, reason: &'static str },
    #[error("the {0} are too many")]
    TooMany(&'static str),
}

/// What a term is listed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// From 1, mild, to 3, slur or worst.
    Severity(u8),
    /// The name of a group, which is no offence.
    Identity,
}

impl Listed {
    /// 0 for an identity.
    fn severity(self) -> u8 {
        match self {
            Self::Severity(severity) => severity,
            Self::Identity => 0,
        }
    }
}

struct Term {
    /// Normalised.
    text: Box<str>,
    listed: Listed,
    /// Also inside words.
    inside: bool,
}

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

pub struct Terms {
    terms: Vec<Term>,
    exact: Patterns,
    heads: Heads,
    look_alikes: Patterns,
    /// Lengths of the runs of each look-alike.
    runs: Vec<Box<[u8]>>,
}

/// Phrases in which a term does not count.
pub struct Allow(Patterns);

/// Patterns, and the term that each stands for.
#[derive(Default)]
struct Patterns {
    search: Option<AhoCorasick>,
    terms: Vec<usize>,
    /// Bytes of the longest.
    longest: usize,
}

impl Patterns {
    fn new(patterns: &[(String, usize)]) -> Result<Self, BuildError> {
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        let search = AhoCorasick::builder().kind(kind).build(patterns.iter().map(|(text, _)| text))?;
        let longest = search.max_pattern_len();
        Ok(Self { search: Some(search), terms: patterns.iter().map(|(_, term)| *term).collect(), longest })
    }

    /// Every place of every pattern that lies within one of some parts of the text, which do not overlap: (pattern,
    /// bytes).
    fn find<'a>(&'a self, text: &'a str, parts: &'a [Range<usize>]) -> impl Iterator<Item = (usize, Range<usize>)> {
        let text = text.as_bytes();
        self.search.iter().flat_map(move |search| {
            parts.iter().flat_map(move |part| {
                let found = search.find_overlapping_iter(&text[part.clone()]);
                found.map(|found| (found.pattern().as_usize(), part.start + found.start()..part.start + found.end()))
            })
        })
    }

    fn is_in(&self, text: &str) -> bool {
        self.search.as_ref().is_some_and(|search| search.is_match(text))
    }
}

/// What a word by itself says of the terms that a text may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub(super) u8);

impl Marks {
    pub(super) const NONE: Self = Self(0);
    /// It is a term, or holds one.
    const TERM: Self = Self(1);
    /// A term of more words than one may begin in it.
    const FIRST: Self = Self(2);
    /// It may be the second of them.
    const SECOND: Self = Self(4);
    /// [`is_disguised`]
    const DISGUISED: Self = Self(8);
    /// Two letters beside each other look the same.
    const DOUBLED: Self = Self(16);

    fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    fn add(&mut self, mark: Self) {
        self.0 |= mark.0;
    }
}

/// What terms begin with: most texts have nothing of it, so that none is looked for.
#[derive(Default)]
struct Heads {
    words: HashMap<Box<str>, Marks>,
    /// Terms that are also found inside words.
    inside: Patterns,
    /// The same of more words than one: the ends of the first, the beginnings of the second.
    ends: Vec<Box<str>>,
    beginnings: Vec<Box<str>>,
}

impl Heads {
    /// Of patterns and whether they are also found inside words.
    fn new<'a>(patterns: impl Iterator<Item = (&'a str, bool)>) -> Result<Self, BuildError> {
        let mut heads = Self::default();
        let mut whole = Vec::new();
        for (pattern, inside) in patterns {
            let mut words = pattern.split(' ');
            let (first, second) = (words.next().unwrap_or_default(), words.next());
            let mut mark = |word: &str, mark| heads.words.entry(word.into()).or_default().add(mark);
            match second {
                None if inside => whole.push((first.to_owned(), 0)),
                None => mark(first, Marks::TERM),
                Some(second) if inside => {
                    heads.ends.push(first.into());
                    heads.beginnings.push(second.into());
                }
                Some(second) => {
                    mark(first, Marks::FIRST);
                    mark(second, Marks::SECOND);
                }
            }
        }
        heads.inside = Patterns::new(&whole)?;
        Ok(heads)
    }

    fn marks(&self, word: &str) -> Marks {
        let mut marks = self.words.get(word).copied().unwrap_or_default();
        if self.inside.is_in(word) {
            marks.add(Marks::TERM);
        }
        if self.ends.iter().any(|end| word.ends_with(&**end)) {
            marks.add(Marks::FIRST);
        }
        if self.beginnings.iter().any(|beginning| word.starts_with(&**beginning)) {
            marks.add(Marks::SECOND);
        }
        marks
    }
}

/// The words of a text in a row, one space between them. A hyphen, dot or underscore that ties two words together is such
/// a space.
#[derive(Debug, Default)]
struct Line {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    /// Bytes of the line.
    start: usize,
    end: usize,
    /// Byte of `Normalised::plain`, and index of `Normalised::words`.
    plain: usize,
    word: usize,
    /// Letters that stood apart and may be several words.
    spaced: bool,
}

impl Line {
    fn read(&mut self, text: &Normalised) {
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
    fn plain(&self, touched: &Range<usize>, place: &Range<usize>) -> Range<usize> {
        let (first, last) = (&self.tokens[touched.start], &self.tokens[touched.end - 1]);
        first.plain + (place.start - first.start)..last.plain + (place.end - last.start)
    }

    /// Whether a run of letters that look the same was cut in a token; `stretched` as for [`LookAlike::read`].
    fn is_stretched(&self, token: &Token, stretched: impl Fn(&Token, Range<usize>) -> bool) -> bool {
        let mut run: Option<(char, usize)> = None;
        self.text[token.start..token.end].char_indices().any(|(at, letter)| {
            let look = if letter.is_ascii() { letter } else { look_alike(letter) };
            match run {
                Some((last, begun)) if last == look => stretched(token, begun..at + letter.len_utf8()),
                _ => {
                    run = Some((look, at));
                    false
                }
            }
        })
    }

    /// The token of a word that is one.
    fn of_word(&self, word: usize) -> &Token {
        &self.tokens[self.tokens.partition_point(|token| token.word < word)]
    }

    /// Indices of `Normalised::words` for these tokens.
    fn indices(&self, touched: &Range<usize>) -> Range<usize> {
        self.tokens[touched.start].word..self.tokens[touched.end - 1].word + 1
    }
}

/// Whether a word could be read as a Latin one without being it.
fn is_disguised(word: &str) -> bool {
    !word.is_ascii() && word.chars().all(|letter| look_alike(letter).is_ascii())
}

/// Whether some term may be in a text, as it is; one of more words begins with two that follow each other, or have a sign
/// between them that ties them together.
fn may_have_terms(text: &Normalised, marks: &[Marks]) -> bool {
    let second = |at: usize| marks.get(at).is_some_and(|marks| marks.has(Marks::SECOND));
    marks
        .iter()
        .enumerate()
        .any(|(at, marks)| marks.has(Marks::TERM) || (marks.has(Marks::FIRST) && (second(at + 1) || second(at + 2))))
        || text.words.iter().any(|word| word.kind == Kind::Spaced)
}

/// Whether a run of a letter was cut: its second one stands for more than itself.
fn has_stretches(text: &Normalised) -> bool {
    let (letters, origins) = (text.plain.as_str().as_bytes(), text.plain.origins());
    // Where nothing was left out, nothing was cut.
    origins.last().is_some_and(|last| last.end as usize > origins.len())
        && origins.windows(2).any(|pair| {
            let (first, second) = (pair[0], pair[1]);
            second.end - first.start > 2 && letters[first.byte as usize] == letters[second.byte as usize]
        })
}

/// The tokens that a match touches, when it is at the boundaries of words or may be inside one.
fn touched(tokens: &[Token], place: &Range<usize>, inside: bool) -> Option<Range<usize>> {
    let first = tokens.partition_point(|token| token.end <= place.start);
    let last = tokens.partition_point(|token| token.start < place.end).checked_sub(1)?;
    let (begin, end) = (tokens.get(first)?, tokens.get(last)?);
    let bounded = begin.start == place.start && end.end == place.end;
    (bounded || inside || (first == last && begin.spaced)).then_some(first..last + 1)
}

/// A line as it looks.
#[derive(Debug, Default)]
struct LookAlike {
    text: String,
    /// Length of the run that each byte begins; 0 where none begins, `STRETCHED` where it was cut.
    runs: Vec<u8>,
    /// As those of the line, with places here.
    tokens: Vec<Token>,
    disguised: Vec<bool>,
}

/// A run of any length: it was longer than normalised text keeps.
const STRETCHED: u8 = u8::MAX;

impl LookAlike {
    /// Reads a line; `stretched` says whether the run that ends before a byte of it was cut.
    fn read(&mut self, line: &Line, stretched: impl Fn(&Token, Range<usize>) -> bool) {
        self.text.clear();
        self.runs.clear();
        self.tokens.clear();
        self.disguised.clear();
        for token in &line.tokens {
            if !self.text.is_empty() {
                self.text.push(' ');
                self.runs.push(1);
            }
            let start = self.text.len();
            let word = &line.text[token.start..token.end];
            let mut disguised = is_disguised(word);
            let mut run: Option<(char, usize)> = None;
            for (at, letter) in word.char_indices() {
                let look = if letter.is_ascii() { letter } else { look_alike(letter) };
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
            self.disguised.push(disguised);
        }
    }
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
    line: Line,
    look: LookAlike,
    /// Bytes of the line, or of how it looks.
    parts: Vec<Range<usize>>,
    found: Vec<Found>,
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
        let Self { line, look, parts, found, .. } = self;
        found.clear();
        let all = marks.iter().fold(Marks::NONE, |all, marks| Marks(all.0 | marks.0));
        let stretched = |token: &Token, run: Range<usize>| {
            text.plain.written(token.plain + run.start..token.plain + run.end).len() > 2
        };
        // A run that was cut is still two letters.
        let disguised = all.has(Marks::DISGUISED) || (all.has(Marks::DOUBLED) && has_stretches(text));
        if !disguised && !may_have_terms(text, marks) {
            return;
        }
        line.read(text);
        // Where a term can be: in what is one, holds one or begins one.
        parts.clear();
        let mark = |at: usize| line.tokens.get(at).map_or(Marks::NONE, |token| marks[token.word]);
        for (at, token) in line.tokens.iter().enumerate() {
            if mark(at).has(Marks::FIRST) && mark(at + 1).has(Marks::SECOND) {
                join(parts, token.start..line.text.len().min(token.end + terms.exact.longest));
            } else if token.spaced || mark(at).has(Marks::TERM) {
                join(parts, token.start..token.end);
            }
        }
        for (pattern, place) in terms.exact.find(&line.text, parts) {
            let number = terms.exact.terms[pattern];
            let term = &terms.terms[number];
            if let Some(touched) = touched(&line.tokens, &place, term.inside) {
                found.push(Found {
                    place: line.plain(&touched, &place),
                    words: line.indices(&touched),
                    listed: term.listed,
                    term: number,
                });
            }
        }
        let of_token = |token: &Token| {
            let marks = marks[token.word];
            marks.has(Marks::DISGUISED) || (marks.has(Marks::DOUBLED) && line.is_stretched(token, stretched))
        };
        if disguised && line.tokens.iter().any(of_token) {
            look.read(line, stretched);
            // Only with a disguised word.
            parts.clear();
            let reach = terms.look_alikes.longest;
            for (token, _) in look.tokens.iter().zip(&look.disguised).filter(|(_, disguised)| **disguised) {
                join(parts, token.start.saturating_sub(reach)..look.text.len().min(token.end + reach));
            }
            for (pattern, place) in terms.look_alikes.find(&look.text, parts) {
                let number = terms.look_alikes.terms[pattern];
                let term = &terms.terms[number];
                let Some(touched) = touched(&look.tokens, &place, term.inside) else { continue };
                if !look.disguised[touched.clone()].contains(&true) || !fits(&look.runs[place], &terms.runs[pattern]) {
                    continue;
                }
                let whole = line.tokens[touched.start].start..line.tokens[touched.end - 1].end;
                found.push(Found {
                    place: line.plain(&touched, &whole),
                    words: line.indices(&touched),
                    listed: term.listed,
                    term: number,
                });
            }
        }
        if !found.is_empty() {
            self.settle(allow);
        }
    }

    /// Drops what is allowed, and what lies within something at least as severe.
    fn settle(&mut self, allow: &Allow) {
        let Self { line, parts, found, allowed, .. } = self;
        found.sort_by_key(|found| (found.place.start, Reverse((found.place.end, found.listed.severity()))));
        allowed.clear();
        parts.clear();
        let reach = allow.0.longest;
        for found in &*found {
            let (first, last) = (line.of_word(found.words.start), line.of_word(found.words.end - 1));
            join(parts, first.start.saturating_sub(reach)..line.text.len().min(last.end + reach));
        }
        for (_, phrase) in allow.0.find(&line.text, parts) {
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

/// Whether runs of a text can be those of a term: as long, or longer than could be kept.
fn fits(text: &[u8], term: &[u8]) -> bool {
    text.iter().zip(term).all(|(&text, &term)| text == term || text == STRETCHED)
}

/// Lines of a list that say something, with their numbers.
fn lines<'a>(file: &'a [u8], list: &'static str) -> Result<impl Iterator<Item = (usize, &'a str)>, ListError> {
    let text = std::str::from_utf8(file).map_err(|_| ListError::Encoding(list))?;
    let lines = text.strip_prefix('\u{FEFF}').unwrap_or(text).lines();
    Ok((1..).zip(lines).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')))
}

/// Reads phrases as the texts are read in which they are looked for.
#[derive(Default)]
struct Phrases {
    normaliser: Normaliser,
    line: Line,
}

impl Phrases {
    fn read(&mut self, phrase: &str) -> Result<&Line, &'static str> {
        if phrase.len() > LONGEST {
            return Err("it is longer than 200 bytes");
        }
        self.line.read(self.normaliser.run(phrase));
        if self.line.text.is_empty() { Err("nothing is left of it when it is normalised") } else { Ok(&self.line) }
    }
}

impl Terms {
    /// Reads lines of a severity, a tab and a term, and flags behind another tab.
    pub fn new(file: &[u8]) -> Result<Self, ListError> {
        let list = "terms";
        let (mut phrases, mut look) = (Phrases::default(), LookAlike::default());
        let (mut terms, mut exact, mut look_alikes, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (line, content) in lines(file, list)? {
            let wrong = |reason| ListError::Line { list, line, reason };
            let mut columns = content.split('\t').map(str::trim);
            let listed = match columns.next() {
                Some("1") => Listed::Severity(1),
                Some("2") => Listed::Severity(2),
                Some("3") => Listed::Severity(WORST),
                Some("identity") => Listed::Identity,
                _ => return Err(wrong("it does not begin with 1, 2, 3 or identity and a tab")),
            };
            let phrase = columns.next().ok_or(wrong("it does not begin with 1, 2, 3 or identity and a tab"))?;
            let (mut inside, mut spaced) = (false, false);
            for flag in columns.next().unwrap_or_default().split(',').filter(|flag| !flag.is_empty()) {
                match flag {
                    "sub" => inside = true,
                    "spaced" => spaced = true,
                    _ => return Err(wrong("the flags are sub and spaced, with a comma between them")),
                }
            }
            if columns.next().is_some() {
                return Err(wrong("it has more than three columns"));
            }
            let number = terms.len();
            let written = phrases.read(phrase).map_err(wrong)?;
            look.read(written, |_, _| false);
            exact.push((written.text.clone(), number));
            // Among Latin words, normalisation makes it Latin too.
            let latin: String = written.text.chars().map(look_alike).collect();
            if latin != written.text && latin.is_ascii() && latin.len() >= SHORTEST_LATIN {
                exact.push((latin, number));
            }
            look_alikes.push((look.text.clone(), number));
            runs.push(Box::from(look.runs.as_slice()));
            if spaced {
                exact.push((written.text.replace(' ', ""), number));
            }
            terms.push(Term { text: written.text.as_str().into(), listed, inside });
        }
        let heads = exact.iter().map(|(text, number)| (text.as_str(), terms[*number].inside));
        let heads = Heads::new(heads).map_err(|_| ListError::TooMany(list))?;
        let patterns = |patterns: &[_]| Patterns::new(patterns).map_err(|_| ListError::TooMany(list));
        let (exact, look_alikes) = (patterns(&exact)?, patterns(&look_alikes)?);
        Ok(Self { terms, exact, heads, look_alikes, runs })
    }

    /// What a normalised word says of the terms of its text.
    pub fn marks(&self, word: &str) -> Marks {
        let mut marks = self.heads.marks(word);
        if is_disguised(word) {
            marks.add(Marks::DISGUISED);
        }
        let looks = || word.chars().map(|letter| if letter.is_ascii() { letter } else { look_alike(letter) });
        if looks().zip(looks().skip(1)).any(|(first, second)| first == second) {
            marks.add(Marks::DOUBLED);
        }
        marks
    }

    /// A term as it is matched.
    pub fn text(&self, term: usize) -> &str {
        &self.terms[term].text
    }
}

impl Allow {
    /// Reads one phrase a line.
    pub fn new(file: &[u8]) -> Result<Self, ListError> {
        let list = "allowed phrases";
        let mut phrases = Phrases::default();
        let mut patterns = Vec::new();
        for (line, content) in lines(file, list)? {
            let phrase = phrases.read(content.trim()).map_err(|reason| ListError::Line { list, line, reason })?;
            patterns.push((phrase.text.clone(), 0));
        }
        Patterns::new(&patterns).map(Self).map_err(|_| ListError::TooMany(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: &str = "# sample\n2\tass\n3\tcunt\tsub\n2\tpiece of shit\n1\tdamn\n2\tcock\tsub\n1\tson of a gun\tspaced\n3\tсука\n\
                         \nidentity\tkurds\nidentity\tblack people\n1\tdick\n2\tdickhead\n1\tsluts\n";
    const ALLOW: &str = "# towns\nScunthorpe\nCocktail\nDick Cheney\n";

    fn found(text: &str) -> Vec<(String, u8)> {
        let (terms, allow) = (Terms::new(TERMS.as_bytes()).unwrap(), Allow::new(ALLOW.as_bytes()).unwrap());
        let (mut normaliser, mut search) = (Normaliser::default(), Search::default());
        let normalised = normaliser.run(text);
        let plain = normalised.plain.as_str();
        let words = normalised.words.iter().map(|word| &plain[word.start as usize..word.end as usize]);
        search.run(&terms, &allow, normalised, &words.map(|word| terms.marks(word)).collect::<Vec<_>>());
        let plain = normalised.plain.as_str();
        search.found().iter().map(|found| (plain[found.place.clone()].to_owned(), found.listed.severity())).collect()
    }

    fn pieces<const N: usize>(pieces: [(&str, u8); N]) -> Vec<(String, u8)> {
        pieces.map(|(piece, severity)| (piece.to_owned(), severity)).to_vec()
    }

    #[test]
    fn terms_are_found_at_the_boundaries_of_words() {
        assert_eq!(found("What an ASS you are , damn"), pieces([("ass", 2), ("damn", 1)]));
        assert_eq!(found("the class will assess a bass"), []);
        assert_eq!(found("piece of shit"), pieces([("piece of shit", 2)]));
        assert_eq!(found("xcuntx"), pieces([("cunt", 3)]));
        assert_eq!(found("sonofagun"), pieces([("sonofagun", 1)]));
        assert_eq!(found("some kurds"), pieces([("kurds", 0)]));
    }

    #[test]
    fn what_lies_within_a_term_as_severe_is_not_found_again() {
        assert_eq!(found("dickhead"), pieces([("dickhead", 2)]));
        assert_eq!(found("dick head"), pieces([("dick", 1)]));
    }

    #[test]
    fn a_term_inside_an_allowed_phrase_does_not_count() {
        assert_eq!(found("scunthorpe cocktails with dick cheney"), []);
        assert_eq!(found("scunthorpe cunt"), pieces([("cunt", 3)]));
        assert_eq!(found("dick cheney is a dick"), pieces([("dick", 1)]));
    }

    #[test]
    fn many_matches_take_no_longer_each_than_few() {
        let start = std::time::Instant::now();
        assert_eq!(found(&"ass ".repeat(4000)).len(), 4000);
        assert_eq!(found(&"dick cheney ".repeat(1300)).len(), 0);
        assert!(start.elapsed().as_secs() < 5);
    }

    proptest! {
        #[test]
        fn nothing_is_missed_where_no_term_seems_to_be(pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "ass", "аss", "cunt", "piece", "of", "shit", "damn", "cock", "cocktail", "son", "a", "gun", "сука", "kurds",
                "black", "people", "dick", "cheney", "head", "sluts", "xx", "yyy", "sh i t", "go", "s u n", "scunthorpe",
            ]).prop_map(str::to_owned),
            "[ .,_-]{1,3}",
            "[a-dаск]{1,3}",
            Just(" ".to_owned()),
        ], 0..24)) {
            let terms = [TERMS, "2\txx yyy\tsub\n2\ta gun go\n"].concat();
            let (terms, allow) = (Terms::new(terms.as_bytes()).unwrap(), Allow::new(ALLOW.as_bytes()).unwrap());
            let (mut normaliser, mut search, mut all) = (Normaliser::default(), Search::default(), Search::default());
            let text = normaliser.run(&pieces.concat());
            let words = text.words.iter().map(|word| &text.plain.as_str()[word.start as usize..word.end as usize]);
            let marks: Vec<Marks> = words.map(|word| terms.marks(word)).collect();
            search.run(&terms, &allow, text, &marks);
            let every = Marks::TERM.0 | Marks::FIRST.0 | Marks::SECOND.0 | Marks::DOUBLED.0;
            all.run(&terms, &allow, text, &marks.iter().map(|marks| Marks(marks.0 | every)).collect::<Vec<_>>());
            prop_assert_eq!(search.found(), all.found());
        }
    }

    #[test]
    fn a_list_that_cannot_be_used_names_the_line() {
        let line = |file: &[u8]| Terms::new(file).err().expect("the list cannot be used").to_string();
        assert_eq!(line(b"\xFF"), "the terms are not UTF-8");
        assert_eq!(line(b"# x\n4\tass"), "line 2 of the terms: it does not begin with 1, 2, 3 or identity and a tab");
        assert_eq!(line(b"1\tass\n\n1"), "line 3 of the terms: it does not begin with 1, 2, 3 or identity and a tab");
        assert_eq!(
            line(b"1\tass\tsup"),
            "line 1 of the terms: the flags are sub and spaced, with a comma between them"
        );
        assert_eq!(line(b"1\tass\tsub\tx"), "line 1 of the terms: it has more than three columns");
        assert_eq!(line(b"1\t \t"), "line 1 of the terms: nothing is left of it when it is normalised");
        assert_eq!(
            line(["1\t", &"x".repeat(201)].concat().as_bytes()),
            "line 1 of the terms: it is longer than 200 bytes"
        );
        assert!(Terms::new(b"").is_ok());
        assert!(Terms::new("\u{FEFF}1\tass,\r\n".as_bytes()).is_ok());
        assert_eq!(Allow::new(b"a\n\xE2").err().expect("no UTF-8").to_string(), "the allowed phrases are not UTF-8");
    }
}
