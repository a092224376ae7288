//! Names of hosts as people write them: `gmail.com`, `gmail . com`, `gmail dot com`, `g m a i l (dot) c o m`.
use super::text::{LETTER, Text, is_word};
use crate::score::memory::ByWord;
use std::{borrow::Cow, collections::HashMap, hash::BuildHasherDefault, sync::LazyLock};

/// Top-level domains that are hardly ever anything else: no word of a language, no ending of a file, no member of a class.
const SURE: &[&str] = &[
    "com", "org", "net", "edu", "gov", "mil", "biz", "xyz", "ir", "uk", "eu", "fr", "nl", "ru", "br", "jp", "cn", "au",
    "dk", "pt", "ua", "kr", "tw", "hk", "sg", "ae", "pk", "bd", "lk", "np", "za", "ng", "ke", "io", "gg", "ly", "tv",
    "cz", "gr", "hu", "ie", "il", "ro", "sk", "vn", "nz", "mx", "cl", "ph", "eg", "sa", "qa", "asia", "edu", "academy",
    "agency", "shop", "store", "online", "site", "website", "tech", "club", "blog", "wiki", "cloud", "space", "pro",
];
/// The others: after a name they are a domain when there is more to say so.
const WEAK: &[&str] = &[
    "in", "me", "co", "de", "it", "is", "at", "be", "so", "to", "my", "no", "am", "us", "es", "se", "ai", "app", "dev",
    "info", "name", "live", "link", "page", "id", "ca", "ch", "fi", "pl", "tr", "cc", "id", "art", "fm", "im", "la",
    "mobi", "sh", "st", "al", "click", "gl", "group", "world", "life", "social", "chat", "email", "zone", "digital",
    "work", "today",
];
/// Second-level names below which a country's registry sells.
const SECOND: &[&str] = &["co", "ac", "com", "org", "net", "gov", "edu", "nic", "gob", "ltd"];
/// Those that are also written with spaces around the dot, or in words.
const SPACED: &[&str] = &["com", "org", "net", "edu", "io", "ir", "uk", "co", "gov", "app", "dev", "de", "fr", "ru"];

const PROVIDERS: &[&str] = &[
    "gmail",
    "googlemail",
    "yahoo",
    "ymail",
    "hotmail",
    "outlook",
    "live",
    "icloud",
    "proton",
    "protonmail",
    "rediffmail",
    "aol",
    "gmx",
    "yandex",
    "zoho",
    "tutanota",
    "fastmail",
    "chmail",
    "msn",
    "mailinator",
    "hey",
    "gmal",
    "gmial",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tld {
    Sure,
    Weak,
}

pub(super) fn tld(label: &[u8]) -> Option<Tld> {
    static TLDS: LazyLock<HashMap<&[u8], Tld, BuildHasherDefault<ByWord>>> = LazyLock::new(|| {
        let lists = [(WEAK, Tld::Weak), (SURE, Tld::Sure)];
        lists.iter().flat_map(|(names, tld)| names.iter().map(|name| (name.as_bytes(), *tld))).collect()
    });
    TLDS.get(label).copied()
}

/// Whether a name ends as a domain does: in any country's code, or in one of the others that are known.
pub(super) fn ends_domain(label: &[u8]) -> bool {
    (label.len() == 2 && label.iter().all(u8::is_ascii_lowercase))
        || tld(label).is_some()
        || matches!(
            label,
            b"museum"
                | b"aero"
                | b"coop"
                | b"jobs"
                | b"health"
                | b"ninja"
                | b"consulting"
                | b"solutions"
                | b"foundation"
                | b"institute"
                | b"education"
                | b"engineering"
                | b"university"
                | b"school"
                | b"law"
                | b"legal"
                | b"studio"
                | b"design"
                | b"media"
                | b"company"
                | b"support"
                | b"systems"
                | b"expert"
                | b"center"
                | b"care"
                | b"fit"
                | b"top"
                | b"icu"
                | b"vip"
        )
}

pub(super) fn is_second(label: &[u8]) -> bool {
    SECOND.iter().any(|name| name.as_bytes() == label)
}

pub(super) fn is_provider(label: &[u8]) -> bool {
    PROVIDERS.iter().any(|name| name.as_bytes() == label)
}

/// What was read after an `@`.
#[derive(Debug, Default)]
pub(super) struct Domain<'a> {
    /// After the last byte that belongs to it.
    pub(super) end: usize,
    /// Its first label, without spaces.
    pub(super) first: Cow<'a, [u8]>,
    /// It ends in a top-level domain.
    pub(super) whole: bool,
    /// Spaces before it or inside.
    pub(super) spaced: bool,
    /// A dot in words or brackets.
    pub(super) spelled: bool,
}

/// Labels of one domain that are read at most.
const LABELS: usize = 6;

pub(super) fn read<'a>(text: &'a Text, at: usize) -> Option<Domain<'a>> {
    let mut domain = Domain::default();
    let mut at = at;
    let start = text.skip_spaces(at, 2);
    let (mut spaced, mut spelled) = (start > at, false);
    at = start;
    for count in 0..LABELS {
        let (label, end, letters) = label(text, at)?;
        if label.is_empty() {
            break;
        }
        let gaps = spaced || letters;
        if count == 0 {
            domain = Domain { end, first: label, whole: false, spaced: gaps, spelled: false };
        } else {
            let ends = if gaps || spelled {
                SPACED.iter().any(|name| name.as_bytes() == &*label)
                    || (*label == *b"in" && (is_provider(&domain.first) || domain.whole))
            } else {
                ends_domain(&label)
            };
            if ends {
                domain = Domain { end, whole: true, spaced: gaps, spelled, ..domain };
            } else if gaps || spelled {
                break;
            }
        }
        spaced = gaps;
        let Some((next, dot)) = dot(text, end) else { break };
        spaced |= dot == Dot::Spaced;
        spelled |= dot == Dot::Spelled;
        at = next;
    }
    (domain.end > 0).then_some(domain)
}

/// A label and its end; its letters may stand apart, when all do.
fn label<'a>(text: &'a Text, start: usize) -> Option<(Cow<'a, [u8]>, usize, bool)> {
    let part = |byte: u8| is_word(byte) && byte != b'_' || byte == b'-';
    let single = |at: usize| part(text.at(at)) && at < text.len() && !part(text.at(at + 1));
    let mut end = start;
    if single(start) && text.at(start + 1) == b' ' && single(start + 2) {
        let mut letters = vec![text.at(start)];
        end = start + 1;
        while letters.len() < 24 && text.at(end) == b' ' && single(end + 1) && end < text.len() {
            letters.push(text.at(end + 1));
            end += 2;
        }
        return Some((letters.into(), end, true));
    }
    while end < text.len() && end < start + 64 && part(text.at(end)) {
        end += 1;
    }
    let label = text.slice(start.min(end), end);
    (label.first() != Some(&b'-')).then(|| (label.into(), end, false))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dot {
    Plain,
    Spaced,
    Spelled,
}

/// After the dot at `at`, and how it is written.
pub(super) fn dot(text: &Text, at: usize) -> Option<(usize, Dot)> {
    let start = text.skip_spaces(at, 1);
    if text.at(start) == b'.' && start < text.len() {
        let next = text.skip_spaces(start + 1, 1);
        return Some((next, if next - at == 1 { Dot::Plain } else { Dot::Spaced }));
    }
    for word in [&b"(dot)"[..], b"[dot]", b"{dot}", b"<dot>", b"(.)", b"[.]", b"( dot )", b"-dot-", b"_dot_", b"*dot*"]
    {
        if text.starts(start, word) {
            return Some((text.skip_spaces(start + word.len(), 1), Dot::Spelled));
        }
    }
    let spelled = start > at && (text.starts(start, b"dot ") || text.starts(start, b"d0t "));
    spelled.then(|| (text.skip_spaces(start + 3, 3), Dot::Spelled))
}

/// Whether a byte belongs to the name of a host.
pub(super) fn in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | LETTER)
}
