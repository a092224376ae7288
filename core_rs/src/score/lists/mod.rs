//! Listed terms, phrases in which they do not count, and the names of groups.
//!
//! Terms are matched on normalised words at their boundaries, and a second time on *look-alikes*: there each letter is
//! the Latin one that it looks like (UTS 39 §4) and a run of one letter is a single one, so that what normalisation left
//! of a disguise is compared with the same of the term. Such a match counts only where one of its words is disguised, and
//! only where the lengths of runs allow it: `аss` is listed where `ass` is, and neither `as` nor `burrn` as `burn`.
mod line;
mod marks;
mod search;
#[cfg(test)]
mod tests;

pub use marks::Marks;
pub use search::{Found, Search};

use super::normalise::{Normaliser, look_alike};
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};
use line::{Line, LookAlike, is_disguised, looks};
use marks::Heads;
use std::{ops::Range, slice};

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

pub struct Terms {
    terms: Vec<Term>,
    exact: Patterns,
    heads: Heads,
    look_alikes: Patterns,
    /// Words of the look-alike that has most.
    look_alike_words: usize,
    /// Lengths of the runs of each look-alike.
    runs: Vec<Box<[u8]>>,
}

/// Phrases in which a term does not count.
pub struct Allow {
    phrases: Patterns,
    /// By pattern of the terms.
    holding: Vec<Holding>,
    /// Of all phrases.
    threes: Threes,
}

/// Three bytes that follow each other in some texts, or others of the same number.
struct Threes(Box<[u64; Self::NUMBERS / 64]>);

impl Default for Threes {
    fn default() -> Self {
        Self(Box::new([0; Self::NUMBERS / 64]))
    }
}

impl Threes {
    const NUMBERS: usize = 1 << 14;

    fn add(&mut self, three: [u8; 3]) {
        let number = Self::number(three);
        self.0[number / 64] |= 1 << (number % 64);
    }

    #[inline]
    fn has(&self, three: [u8; 3]) -> bool {
        let number = Self::number(three);
        self.0[number / 64] & 1 << (number % 64) != 0
    }

    fn number([first, second, third]: [u8; 3]) -> usize {
        let number = u32::from_le_bytes([first, second, third, 0]);
        number.wrapping_mul(0x9E37_79B9) as usize >> (32 - Self::NUMBERS.trailing_zeros())
    }
}

/// Each three bytes that follow each other.
fn threes(text: &str) -> impl Iterator<Item = [u8; 3]> {
    text.as_bytes().windows(3).map(|three| [three[0], three[1], three[2]])
}

/// Phrases that hold a pattern.
#[derive(Clone, Default)]
struct Holding {
    /// Those in which it stands as words of its own, and the byte of it.
    words: Vec<(Box<str>, usize)>,
    /// The others.
    inside: Vec<(Box<str>, usize)>,
}

impl Allow {
    /// Whether a pattern at a byte of a line is part of a phrase there; `words` when it is words of its own.
    fn covers(&self, pattern: usize, line: &str, at: usize, words: bool) -> bool {
        let is_at = |(phrase, before): &(Box<str>, usize)| {
            at.checked_sub(*before).is_some_and(|start| line.as_bytes()[start..].starts_with(phrase.as_bytes()))
        };
        let holding = &self.holding[pattern];
        holding.words.iter().any(is_at) || (!words && holding.inside.iter().any(is_at))
    }

    /// Whether some phrase may hold a part of a line, which has all its threes then.
    fn may_hold(&self, part: &str) -> bool {
        threes(part).all(|three| self.threes.has(three))
    }
}

/// Patterns, and the term that each stands for.
#[derive(Default)]
struct Patterns {
    search: Option<AhoCorasick>,
    terms: Vec<usize>,
    /// Bytes of the longest.
    longest: usize,
    /// What those of three bytes or more begin with.
    beginnings: Threes,
    /// Whether some are shorter.
    short: bool,
}

impl Patterns {
    fn new(patterns: &[(String, usize)]) -> Result<Self, BuildError> {
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        let search = AhoCorasick::builder().kind(kind).build(patterns.iter().map(|(text, _)| text))?;
        let mut beginnings = Threes::default();
        let firsts = patterns.iter().filter_map(|(text, _)| threes(text).next());
        firsts.for_each(|three| beginnings.add(three));
        Ok(Self {
            terms: patterns.iter().map(|(_, term)| *term).collect(),
            longest: search.max_pattern_len(),
            short: search.min_pattern_len() < 3,
            search: Some(search),
            beginnings,
        })
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
        let may_be = self.short || threes(text).any(|three| self.beginnings.has(three));
        may_be && self.search.as_ref().is_some_and(|search| search.is_match(text))
    }
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
            look.read(written, slice::from_ref(&(0..written.tokens.len())), |_, _| false);
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
        let heads = Heads::new(&terms, &exact, &look_alikes).ok_or(ListError::TooMany(list))?;
        let look_alike_words = look_alikes.iter().map(|(text, _)| text.split(' ').count()).max().unwrap_or(0);
        let patterns = |patterns: &[_]| Patterns::new(patterns).map_err(|_| ListError::TooMany(list));
        let (exact, look_alikes) = (patterns(&exact)?, patterns(&look_alikes)?);
        Ok(Self { terms, exact, heads, look_alikes, look_alike_words, runs })
    }

    /// What a normalised word says of the terms of its text; `room` is room.
    pub fn marks(&self, word: &str, room: &mut String) -> Marks {
        let doubled = match word.is_ascii() {
            true => word.as_bytes().windows(2).any(|pair| pair[0] == pair[1]),
            false => looks(word).zip(looks(word).skip(1)).any(|(first, second)| first == second),
        };
        let look = (doubled || !word.is_ascii()).then(|| {
            room.clear();
            let mut last = None;
            room.extend(looks(word).filter(|&look| last.replace(look) != Some(look)));
            &**room
        });
        let mut marks = self.heads.marks(word, look);
        if is_disguised(word) {
            marks.add(Marks::DISGUISED);
        }
        if doubled {
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
    /// Reads one phrase a line, in which such terms do not count.
    pub fn new(file: &[u8], terms: &Terms) -> Result<Self, ListError> {
        let list = "allowed phrases";
        let mut phrases = Phrases::default();
        let (mut patterns, mut holding) = (Vec::new(), vec![Holding::default(); terms.exact.terms.len()]);
        let mut found = Threes::default();
        for (line, content) in lines(file, list)? {
            let phrase = phrases.read(content.trim()).map_err(|reason| ListError::Line { list, line, reason })?;
            let text = &phrase.text;
            for (pattern, place) in terms.exact.find(text, slice::from_ref(&(0..text.len()))) {
                let (before, after) = (&text[..place.start], &text[place.end..]);
                let words =
                    (before.is_empty() || before.ends_with(' ')) && (after.is_empty() || after.starts_with(' '));
                let Holding { words: own, inside } = &mut holding[pattern];
                if words { own } else { inside }.push((text.as_str().into(), place.start));
            }
            threes(text).for_each(|three| found.add(three));
            patterns.push((text.clone(), 0));
        }
        let phrases = Patterns::new(&patterns).map_err(|_| ListError::TooMany(list))?;
        Ok(Self { phrases, holding, threes: found })
    }
}
