//! What a word by itself says of the terms that a text may have.
use super::{Patterns, Term};
use crate::score::memory::ByWord;
use std::{collections::HashMap, hash::BuildHasherDefault};

/// What a word by itself says of the terms that a text may have; above its flags the number of [`Heads::starts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub(in crate::score) u32);

impl Marks {
    pub(in crate::score) const NONE: Self = Self(0);
    /// It is a term, or holds one.
    pub(super) const TERM: Self = Self(1);
    /// A term of more words than one may begin in it.
    pub(super) const FIRST: Self = Self(2);
    /// It may be the second of them.
    pub(super) const SECOND: Self = Self(4);
    /// [`is_disguised`]
    pub(super) const DISGUISED: Self = Self(8);
    /// Two letters beside each other look the same.
    pub(super) const DOUBLED: Self = Self(16);
    /// A term that is also found inside words may be in it.
    pub(super) const INSIDE: Self = Self(32);
    /// As `TERM`, `FIRST` and `SECOND`, for what word and terms look like.
    pub(super) const LOOKS_TERM: Self = Self(64);
    pub(super) const LOOKS_FIRST: Self = Self(128);
    pub(super) const LOOKS_SECOND: Self = Self(256);

    pub(super) const EXACT: [Self; 3] = [Self::TERM, Self::FIRST, Self::SECOND];
    pub(super) const LOOKS: [Self; 3] = [Self::LOOKS_TERM, Self::LOOKS_FIRST, Self::LOOKS_SECOND];
    pub(super) const ALL_LOOKS: u32 = Self::LOOKS_TERM.0 | Self::LOOKS_FIRST.0 | Self::LOOKS_SECOND.0;
    /// Bits of the flags.
    pub(super) const FLAGS: u32 = 9;

    pub(super) fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(super) fn add(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    /// Whether it may be told from what its text looks like.
    pub(super) fn may_be_disguised(self) -> bool {
        self.has(Self::DISGUISED) || self.has(Self::DOUBLED)
    }
}

/// A pattern of whole words.
pub(super) struct Start {
    pub(super) text: Box<str>,
    pub(super) words: usize,
    pub(super) pattern: usize,
}

/// What terms begin with: most texts have nothing of it, so that none is looked for.
#[derive(Default)]
pub(super) struct Heads {
    words: HashMap<Box<str>, Marks, BuildHasherDefault<ByWord>>,
    /// Patterns of whole words by the first of them, from 1 on.
    starts: Vec<Vec<Start>>,
    /// Terms that are also found inside words, and what they look like.
    inside: Patterns,
    /// The same of more words than one: the ends of the first, the beginnings of the second.
    ends: Vec<(Box<str>, Marks)>,
    beginnings: Vec<(Box<str>, Marks)>,
}

impl Heads {
    /// None when they are too many.
    pub(super) fn new(terms: &[Term], exact: &[(String, usize)], look_alikes: &[(String, usize)]) -> Option<Self> {
        let mut heads = Self { starts: vec![Vec::new()], ..Self::default() };
        let mut whole = Vec::new();
        for (patterns, [term, begins, follows]) in [(exact, Marks::EXACT), (look_alikes, Marks::LOOKS)] {
            for (pattern, (text, number)) in patterns.iter().enumerate() {
                let inside = terms[*number].inside;
                let mut words = text.split(' ');
                let (first, second) = (words.next().unwrap_or_default(), words.next());
                match second {
                    None if inside => whole.push((first.to_owned(), 0)),
                    None => heads.mark(first).add(term),
                    Some(second) if inside => {
                        heads.ends.push((first.into(), begins));
                        heads.beginnings.push((second.into(), follows));
                    }
                    Some(second) => {
                        heads.mark(first).add(begins);
                        heads.mark(second).add(follows);
                    }
                }
                if !inside && term == Marks::TERM {
                    let next =
                        u32::try_from(heads.starts.len()).ok().filter(|next| next >> (32 - Marks::FLAGS) == 0)?;
                    let marks = heads.mark(first);
                    if marks.0 >> Marks::FLAGS == 0 {
                        marks.0 |= next << Marks::FLAGS;
                    }
                    let head = (marks.0 >> Marks::FLAGS) as usize;
                    heads.starts.resize_with(heads.starts.len().max(head + 1), Vec::new);
                    heads.starts[head].push(Start {
                        text: text.as_str().into(),
                        words: text.split(' ').count(),
                        pattern,
                    });
                }
            }
        }
        heads.inside = Patterns::new(&whole).ok()?;
        Some(heads)
    }

    fn mark(&mut self, word: &str) -> &mut Marks {
        self.words.entry(word.into()).or_default()
    }

    /// The patterns of whole words that begin with a word of such marks.
    pub(super) fn starts(&self, marks: Marks) -> &[Start] {
        &self.starts[(marks.0 >> Marks::FLAGS) as usize]
    }

    /// Whether a term that is also found inside words may begin in one word and go on in the next.
    pub(super) fn spans(&self, first: &str, second: &str) -> bool {
        self.ends.iter().any(|(end, _)| first.ends_with(&**end))
            && self.beginnings.iter().any(|(beginning, _)| second.starts_with(&**beginning))
    }

    /// `look` is what the word looks like, where that may be something else.
    pub(super) fn marks(&self, word: &str, look: Option<&str>) -> Marks {
        let of = |word: &str| self.words.get(word).copied().unwrap_or_default();
        let mut marks = of(word);
        if let Some(look) = look {
            marks.0 = marks.0 & !Marks::ALL_LOOKS | of(look).0 & Marks::ALL_LOOKS;
        }
        if self.inside.is_in(word) {
            marks.add(Marks::TERM);
            marks.add(Marks::INSIDE);
            marks.add(Marks::LOOKS_TERM);
        } else if look.is_some_and(|look| self.inside.is_in(look)) {
            marks.add(Marks::LOOKS_TERM);
        }
        for (end, begins) in &self.ends {
            if word.ends_with(&**end) || look.is_some_and(|look| look.ends_with(&**end)) {
                marks.add(*begins);
            }
        }
        for (beginning, follows) in &self.beginnings {
            if word.starts_with(&**beginning) || look.is_some_and(|look| look.starts_with(&**beginning)) {
                marks.add(*follows);
            }
        }
        marks
    }
}

/// Whether some term may be in a text: one of such marks, by itself, in its first word, and in its second. One of more
/// words begins with two that follow each other, or have a sign between them that ties them together.
pub(super) fn may_have(marks: &[Marks], [term, first, second]: [Marks; 3]) -> bool {
    let second = |at: usize| marks.get(at).is_some_and(|marks| marks.has(second));
    marks
        .iter()
        .enumerate()
        .any(|(at, marks)| marks.has(term) || (marks.has(first) && (second(at + 1) || second(at + 2))))
}
