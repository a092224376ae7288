//! Why a text has its score: places for a person to look at, and the words that weigh most.
use super::{
    Engine, Reading, Scratch, beginning, detect,
    lists::Listed,
    model::{HEADS, Heads},
    normalise::{Guise, Normalised},
    words,
};
use std::ops::Range;

/// Features of an explanation.
const FEATURES: usize = 10;
/// A word is a place to look at from this part of the greatest share of its head on.
const MARKED: i64 = 4;
/// Index of the level `attention`, from which a head is explained.
pub(super) const ATTENTION: usize = 0;

#[derive(Debug, Clone)]
pub struct Explanation {
    pub score: super::Score,
    /// In order of their beginning.
    pub spans: Vec<Span>,
    /// Head, piece of text and by how much the head's logit is higher for it; the greatest first.
    pub features: Vec<(&'static str, String, f64)>,
}

/// A place in the text, in code points, half-open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    pub label: &'static str,
    /// Of a term; else 0.
    pub severity: u8,
    /// A term as it is listed; else the place as it is written.
    pub text: String,
}

impl Engine {
    pub(super) fn explain(&self, text: &str, scratch: &mut Scratch) -> Explanation {
        let Scratch { normaliser, reading, search } = scratch;
        let normalised = normaliser.run(text);
        let details = detect::find(beginning(text));
        let score = self.rate(normalised, &details, reading, search);
        let mut spans: Vec<Span> =
            details.into_iter().map(|found| span(text, found.range, found.kind.name())).collect();
        for suspect in &normalised.suspects {
            let label = match suspect.guise {
                Guise::Invisible => "invisible",
                Guise::MixedScript => "mixed_script",
            };
            spans.push(span(text, suspect.start as usize..suspect.end as usize, label));
        }
        for found in search.found() {
            if let Listed::Severity(severity) = found.listed {
                let place = normalised.plain.written(found.place.clone());
                let term = self.terms.text(found.term).to_owned();
                spans.push(Span { severity, text: term, ..span(text, place, "term") });
            }
        }
        let mut features = Vec::new();
        let mut greatest = Heads::<i64>::default();
        for Feature { head, share, place } in self.features(&score.heads, normalised, reading) {
            let word = span(text, place, HEADS[head]);
            features.push((HEADS[head], word.text.clone(), share as f64 / 65536.0));
            // The first of a head is its greatest.
            if greatest[head] == 0 {
                greatest[head] = share;
            }
            if share * MARKED >= greatest[head] {
                spans.push(word);
            }
        }
        spans.sort_by_key(|span| (span.start, span.end));
        Explanation { score, spans, features }
    }

    /// Words without which a head that asks for attention would be lower, and by how much: in the window that made the
    /// head's logit, each is left out once. The greatest share first.
    fn features(&self, heads: &Heads<u32>, normalised: &Normalised, reading: &mut Reading) -> Vec<Feature> {
        let asking = |head: usize| heads[head] >= self.model.thresholds()[head][ATTENTION];
        let Some(logits) = self.logits(words(normalised), reading) else { return Vec::new() };
        let mut shares: Vec<(i64, usize, usize)> = Vec::new();
        let mut windows: Vec<&Range<usize>> = logits.iter().map(|(_, window)| window).collect();
        windows.dedup();
        for window in windows {
            let own = words(normalised).enumerate().take(window.end).skip(window.start);
            let Some(whole) = self.logits(own.clone().map(|(_, word)| word), reading) else { continue };
            for place in window.clone() {
                let others = own.clone().filter(|(index, _)| *index != place).map(|(_, word)| word);
                let without = self.logits(others, reading);
                for (head, (_, of)) in logits.iter().enumerate() {
                    if of == window && asking(head) {
                        let without = without.as_ref().map_or(0, |without| without[head].0);
                        shares.push((whole[head].0 - without, head, place));
                    }
                }
            }
        }
        shares.retain(|(share, ..)| *share > 0);
        shares.sort_by_key(|&(share, head, word)| (-share, head, word));
        shares.truncate(FEATURES);
        let placed = shares.into_iter().map(|(share, head, word)| {
            let place = &normalised.words[word];
            let place = normalised.plain.written(place.start as usize..place.end as usize);
            Feature { head, share, place }
        });
        placed.collect()
    }

    fn logits<'a>(
        &self,
        words: impl Iterator<Item = &'a str>,
        reading: &mut Reading,
    ) -> Option<Heads<(i64, Range<usize>)>> {
        self.read(words, reading);
        self.model.logits(&mut reading.words)
    }
}

struct Feature {
    head: usize,
    /// Of the head's logit, in 65536ths.
    share: i64,
    /// In the text, in code points.
    place: Range<usize>,
}

fn span(text: &str, place: Range<usize>, label: &'static str) -> Span {
    let written = text.chars().skip(place.start).take(place.len()).collect();
    Span { start: place.start, end: place.end, label, severity: 0, text: written }
}
