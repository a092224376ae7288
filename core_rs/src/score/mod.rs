//! What a text is worth a moderator's look for: numbers and places, no verdict. Pure: no clock, no policy; `chat.service`
//! decides what a score means.
//!
//! ```text
//!   text ─normalise─► words ─model──► probabilities of five heads ─┐
//!                       ├───lists──► terms, identities ───────────── + ─► score, or explanation
//!                       └───detect─► details of contact ───────────┘
//! ```
//! Everything is arithmetic of integers over tables, so a text has the same score on every machine.
pub mod detect;
mod eight;
mod explain;
pub mod lists;
mod memory;
pub mod model;
pub mod normalise;

use explain::ATTENTION;
pub use explain::{Explanation, Span};
pub use lists::ListError;
pub use model::{HEADS, Heads, LEVELS, ModelError};

use detect::{Finding, Kind};
use lists::{Allow, Listed, Marks, Search, Terms};
use memory::{Key, Known, Memory};
use model::Model;
use normalise::{Normalised, Normaliser};
use std::{
    cell::RefCell,
    ops::Range,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Heads that the mention of a group alone may raise: abuse and hate.
const OF_GROUPS: [usize; 2] = [0, 1];
/// Index of the level `flag`.
const FLAG: usize = 1;
/// Words that are looked up together: what is far off in the processor's memory is then waited for at once.
const TOGETHER: usize = 32;

/// What keeps a file from being used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScorerError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    List(#[from] ListError),
}

/// Kinds of details, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    const ALL: [Kind; 6] = [Kind::Mail, Kind::Phone, Kind::Handle, Kind::Upi, Kind::Link, Kind::Payment];

    /// In a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Self::ALL.into_iter().filter(move |&kind| self.0 & Self::bit(kind) != 0)
    }

    fn bit(kind: Kind) -> u8 {
        1 << kind as u8
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | Self::bit(kind)))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Calibrated probabilities in 1/65536.
    pub heads: Heads<u32>,
    /// Of the worst listed term: 0 none, 1 mild, 2 strong, 3 slur or worst.
    pub severity: u8,
    /// Details of contact and payment.
    pub contact: Kinds,
    /// Invisible characters in clusters, or several words of mixed scripts.
    pub suspicious: bool,
    /// Abuse or hate are at `flag` by the mention of a group alone.
    pub identity_only: bool,
    /// The text was longer than is read.
    pub cut: bool,
}

/// What is used together: one call sees one engine, whatever is followed meanwhile.
struct Engine {
    model: Model,
    terms: Terms,
    allow: Allow,
    /// By which words are remembered: no other has the same.
    number: u32,
}

/// Room that scoring needs, kept from text to text.
#[derive(Default)]
struct Scratch {
    normaliser: Normaliser,
    reading: Reading,
    search: Search,
}

/// The words of a text as an engine knows them.
#[derive(Default)]
struct Reading {
    memory: Memory,
    pieces: model::Pieces,
    words: model::Scratch,
    look: String,
    marks: Vec<Marks>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Scores texts, on any number of threads, and changes its files while it does.
pub struct Scorer {
    engine: RwLock<Arc<Engine>>,
}

impl Scorer {
    pub fn new(model: &[u8], terms: &[u8], allow: &[u8]) -> Result<Self, ScorerError> {
        let terms = Terms::new(terms)?;
        let allow = Allow::new(allow, &terms)?;
        let engine = Engine { model: Model::new(model)?, terms, allow, number: number() };
        Ok(Self { engine: RwLock::new(engine.into()) })
    }

    /// Scores from now on as another does; calls that are under way end with what they began with.
    pub fn follow(&self, other: &Self) {
        let engine = other.engine();
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    pub fn score(&self, text: &str) -> Score {
        SCRATCH.with_borrow_mut(|scratch| self.engine().score(text, scratch))
    }

    /// The same score, with the places and words that made it.
    pub fn explain(&self, text: &str) -> Explanation {
        SCRATCH.with_borrow_mut(|scratch| self.engine().explain(text, scratch))
    }

    /// By head and level, in 1/65536.
    pub fn thresholds(&self) -> Heads<[u32; LEVELS.len()]> {
        *self.engine().model.thresholds()
    }

    /// SHA-256 of the model's file.
    pub fn model(&self) -> [u8; 32] {
        *self.engine().model.digest()
    }

    fn engine(&self) -> Arc<Engine> {
        // A writer only assigns, so what a panic left behind it is whole.
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Of the next engine.
fn number() -> u32 {
    static ENGINES: AtomicU32 = AtomicU32::new(1);
    ENGINES.fetch_add(1, Ordering::Relaxed)
}

impl Engine {
    fn score(&self, text: &str, scratch: &mut Scratch) -> Score {
        let Scratch { normaliser, reading, search } = scratch;
        self.rate(normaliser.read(text), &detect::find(beginning(text)), reading, search)
    }

    fn rate(&self, normalised: &Normalised, details: &[Finding], reading: &mut Reading, search: &mut Search) -> Score {
        self.read(words(normalised), reading);
        search.run(&self.terms, &self.allow, normalised, &reading.marks);
        let heads = self.model.score(&mut reading.words);
        let severity = search.severity();
        Score {
            heads,
            severity,
            contact: details.iter().map(|found| found.kind).collect(),
            suspicious: normalised.suspicious,
            identity_only: severity == 0 && self.flags(&heads) && self.is_only_identity(normalised, search, reading),
            cut: normalised.cut,
        }
    }

    fn read<'a>(&self, words: impl Iterator<Item = &'a str>, reading: &mut Reading) {
        reading.words.clear();
        reading.marks.clear();
        reading.pieces.clear();
        // From the first unknown word on: each, and whether it is one.
        let mut waiting = Vec::new();
        for word in words {
            let Reading { memory, pieces, words: read, marks, .. } = reading;
            let key = Key::new(word);
            match memory.get(self.number, key) {
                Some(known) if waiting.is_empty() => {
                    read.push(word, &known.word);
                    marks.push(known.marks);
                }
                found => {
                    if found.is_none() {
                        pieces.push(word);
                    }
                    waiting.push((key, found.is_none()));
                    if waiting.len() == TOGETHER {
                        self.learn(&mut waiting, reading);
                    }
                }
            }
        }
        self.learn(&mut waiting, reading);
    }

    /// Reads the words that wait; those that are unknown are those whose pieces are there.
    fn learn(&self, waiting: &mut Vec<(Key, bool)>, reading: &mut Reading) {
        let Reading { memory, pieces, words: read, look, marks } = reading;
        self.model.find(pieces);
        let mut learnt = Vec::new();
        for (key, unknown) in waiting.drain(..) {
            let word = key.word;
            let known = match unknown {
                false => *memory.get(self.number, key).expect("nothing was kept since it was found"),
                true => {
                    let brings = self.model.word(word, pieces, learnt.len());
                    let known = Known { word: brings, marks: self.terms.marks(word, look) };
                    learnt.push((key, known));
                    known
                }
            };
            read.push(word, &known.word);
            marks.push(known.marks);
        }
        pieces.clear();
        learnt.into_iter().for_each(|(key, known)| memory.keep(self.number, key, known));
    }

    /// Whether abuse or hate are at `flag`.
    fn flags(&self, heads: &Heads<u32>) -> bool {
        OF_GROUPS.iter().any(|&head| heads[head] >= self.model.thresholds()[head][FLAG])
    }

    /// Whether no head asks for attention once the names of groups are people's: nothing else speaks against it.
    fn is_only_identity(&self, text: &Normalised, search: &Search, reading: &mut Reading) -> bool {
        let words: Vec<&str> = words(text).collect();
        let (mut replaced, mut next) = (Vec::with_capacity(words.len()), 0);
        for identity in search.found().iter().filter(|found| found.listed == Listed::Identity) {
            let Range { start, end } = identity.words;
            if next <= start {
                replaced.extend_from_slice(&words[next..start]);
                replaced.push(if words[end - 1].ends_with('s') { "people" } else { "person" });
            }
            next = next.max(end);
        }
        if next == 0 {
            return false;
        }
        replaced.extend_from_slice(&words[next..]);
        self.read(replaced.into_iter(), reading);
        let heads = self.model.score(&mut reading.words);
        heads.iter().zip(self.model.thresholds()).all(|(score, thresholds)| *score < thresholds[ATTENTION])
    }
}

/// What detectors read of a text: no more than is normalised.
fn beginning(text: &str) -> &str {
    let mut end = text.len().min(normalise::READ);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The words that the model reads.
fn words(text: &Normalised) -> impl Iterator<Item = &str> + Clone {
    let plain = text.plain.as_str();
    text.words.iter().map(|word| &plain[word.start as usize..word.end as usize])
}
