//! Step 5: links, mentions, words with leetspeak, symbols, within each chunk (what is between white space).
use super::{
    Cell, Kind,
    tables::{DOMAINS, NAMES, UNITS, WORDY},
    unicode::{class_of, is_letter, is_word},
};

/// Letters and signs of a token beyond which it is a key or a hash, not a word.
const LEET_LENGTH: usize = 24;

/// A word or symbol: some of the cells that were made, and the white space before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Atom {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) kind: Kind,
    /// Half-open, among the folded characters; empty when there is none.
    pub(super) gap: (u32, u32),
}

impl Atom {
    pub(super) fn has_gap(&self) -> bool {
        self.gap.0 < self.gap.1
    }

    /// Whether it is a word of one character.
    pub(super) fn is_single(&self) -> bool {
        self.kind == Kind::Word && self.last - self.first == 1
    }
}

fn word_at(chunk: &[Cell], at: usize) -> bool {
    chunk.get(at).is_some_and(|cell| is_word(class_of(cell.letter)))
}

fn letter_at(chunk: &[Cell], at: usize) -> bool {
    chunk.get(at).is_some_and(|cell| is_letter(class_of(cell.letter)))
}

fn is_at(chunk: &[Cell], at: usize, letter: char) -> bool {
    chunk.get(at).is_some_and(|cell| cell.letter == letter)
}

fn begins_with(chunk: &[Cell], text: &str) -> bool {
    chunk.len() >= text.len() && chunk.iter().zip(text.chars()).all(|(cell, letter)| cell.letter == letter)
}

/// A letter or digit of ASCII, or a sign of leetspeak that a letter may follow.
fn signed(letter: char) -> bool {
    matches!(letter, 'a'..='z' | '0'..='9' | '@' | '$')
}

fn signed_at(chunk: &[Cell], at: usize) -> bool {
    chunk.get(at).is_some_and(|cell| signed(cell.letter))
}

fn apostrophe(letter: char) -> bool {
    matches!(letter, '\'' | '’' | 'ʼ')
}

/// Appends the words and symbols of a chunk, and what they are made of to `made`.
pub(super) fn atoms(chunk: &[Cell], gap: (u32, u32), made: &mut Vec<Cell>, atoms: &mut Vec<Atom>) {
    let mut gap = gap;
    let mut at = 0;
    // Up to here no host and no mention begins.
    let (mut hostless, mut nameless) = (0, 0);
    while at < chunk.len() {
        let first = made.len() as u32;
        if let Some(end) = common(chunk, at, made) {
            atoms.push(Atom { first, last: made.len() as u32, kind: Kind::Word, gap });
            (gap, at) = ((0, 0), end);
            continue;
        }
        let symbol = !word_at(chunk, at) && !matches!(chunk[at].letter, '@' | '$');
        let begins = !symbol && (at == 0 || !word_at(chunk, at - 1));
        let link = if symbol { None } else { link(chunk, at, begins, &mut hostless) };
        let mut kind = Kind::Symbol;
        let mut end = at + 1;
        if let Some(found) = link {
            (kind, end) = (Kind::Link, found);
        } else if let Some(found) = if begins && at >= nameless { mention(chunk, at, &mut nameless) } else { None } {
            (kind, end) = (Kind::Mention, found);
        } else if !symbol && (word_at(chunk, at) || (begins && leet_begins(chunk, at))) {
            end = word_end(chunk, at);
            kind = word(&chunk[at..end], made);
        } else if repeats_symbol(chunk[at].letter, gap, made, atoms) {
            made[first as usize - 1].end = chunk[at].end;
            at = end;
            continue;
        } else {
            made.push(chunk[at]);
        }
        let (start, last) = (chunk[at].start, chunk[end - 1].end);
        let stands_for = match kind {
            Kind::Link => "url",
            Kind::Mention => "auser",
            _ => "",
        };
        made.extend(stands_for.chars().map(|letter| Cell { letter, start, end: last }));
        atoms.push(Atom { first, last: made.len() as u32, kind, gap });
        (gap, at) = ((0, 0), end);
    }
}

/// The word that begins here, when it is letters alone, without a digit or sign of ASCII, and nothing follows that may
/// make it something else: most words. Its repeats are cut.
#[inline]
fn common(chunk: &[Cell], at: usize, made: &mut Vec<Cell>) -> Option<usize> {
    if at > 0 && word_at(chunk, at - 1) {
        return None;
    }
    let letter = |letter: char| match letter {
        'a'..='z' => true,
        _ => !letter.is_ascii() && !apostrophe(letter) && is_word(class_of(letter)),
    };
    let end = at + chunk[at..].iter().take_while(|cell| letter(cell.letter)).count();
    let ends = chunk.get(end).is_none_or(|next| match next.letter {
        '\'' | '*' | '@' | '$' | '!' | '.' | '-' | '_' | '/' | ':' => false,
        next => !apostrophe(next) && !is_word(class_of(next)),
    });
    if end == at || !ends {
        return None;
    }
    push_cut(chunk[at..end].iter().copied(), made);
    Some(end)
}

/// Whether a symbol repeats the two before it, so that it is left out.
fn repeats_symbol(letter: char, gap: (u32, u32), made: &[Cell], atoms: &[Atom]) -> bool {
    let [.., second, first] = atoms else { return false };
    let same = |atom: &Atom| atom.kind == Kind::Symbol && made[atom.first as usize].letter == letter;
    gap.0 == gap.1 && !first.has_gap() && same(first) && same(second)
}

/// Where the link or mail address that begins here ends.
fn link(chunk: &[Cell], at: usize, begins: bool, hostless: &mut usize) -> Option<usize> {
    let from = &chunk[at..];
    let scheme = from[0].letter == 'h' && (begins_with(from, "http://") || begins_with(from, "https://"));
    if scheme || (begins && from[0].letter == 'w' && begins_with(from, "www.")) {
        let end = link_end(chunk, at);
        return (end - at > "www.".len()).then_some(end);
    }
    if !begins || at < *hostless {
        return None;
    }
    let (end, host) = host_end(chunk, at);
    *hostless = host;
    end
}

/// Where a link ends: at a quotation mark or bracket that no link holds, less the punctuation before it.
fn link_end(chunk: &[Cell], at: usize) -> usize {
    let stops = |letter| matches!(letter, '"' | '<' | '>' | '“' | '”' | '«' | '»' | '`');
    let mut end = at + chunk[at..].iter().take_while(|cell| !stops(cell.letter)).count();
    while end > at
        && matches!(
            chunk[end - 1].letter,
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '’' | ')' | ']' | '}' | '*' | '_' | '~'
        )
    {
        end -= 1;
    }
    end
}

/// Where the link or mail address that begins with a host or local part ends; and how far no other begins.
fn host_end(chunk: &[Cell], at: usize) -> (Option<usize>, usize) {
    let (host, domain) = labels(chunk, at);
    if host > at && is_at(chunk, host, '@') {
        let (end, domain) = labels(chunk, host + 1);
        let mail = domain.len() >= 2 && domain.iter().all(|cell| cell.letter.is_ascii_lowercase());
        return if mail { (Some(end), end) } else { (None, host) };
    }
    let found = if listed(&DOMAINS, domain) && !word_at(chunk, host) {
        let path = ['/', '?', '#', ':'].iter().any(|&letter| is_at(chunk, host, letter));
        Some(if path { link_end(chunk, at) } else { host })
    } else if is_at(chunk, host, '/') && word_at(chunk, host + 1) && listed(&WORDY, domain) {
        Some(link_end(chunk, at))
    } else {
        None
    };
    (found, host)
}

/// Where labels joined by single dots end, and the last of them if there are two or more.
fn labels(chunk: &[Cell], at: usize) -> (usize, &[Cell]) {
    let (mut end, mut last) = (at, at);
    let mut dots = 0;
    loop {
        let begin = end;
        while word_at(chunk, end) || (end > begin && (is_at(chunk, end, '-') || is_at(chunk, end, '_'))) {
            end += 1;
        }
        if end == begin {
            // No label after a dot: the dot is punctuation.
            return match dots {
                0 => (end, &[]),
                1 => (end - 1, &[]),
                _ => (end - 1, &chunk[last..end - 1]),
            };
        }
        last = begin;
        if !is_at(chunk, end, '.') {
            return (end, if dots > 0 { &chunk[last..end] } else { &[] });
        }
        dots += 1;
        end += 1;
    }
}

/// Whether a word is in a sorted list of ASCII words.
fn listed(list: &[&str], word: &[Cell]) -> bool {
    let mut bytes = [0; 12];
    if word.is_empty() || word.len() > bytes.len() {
        return false;
    }
    for (byte, cell) in bytes.iter_mut().zip(word) {
        let Ok(ascii) = u8::try_from(cell.letter) else { return false };
        *byte = ascii;
    }
    list.binary_search_by(|entry| entry.as_bytes().cmp(&bytes[..word.len()])).is_ok()
}

/// Where the mention that begins here ends: `@` (or several) and a name; but `@ss` and `@$` are leetspeak.
fn mention(chunk: &[Cell], at: usize, nameless: &mut usize) -> Option<usize> {
    let signs = chunk[at..].iter().take_while(|cell| cell.letter == '@').count();
    if signs == 0 || (signs == 1 && leet_begins(chunk, at)) {
        return None;
    }
    let name = at + signs;
    let mut end = name;
    while word_at(chunk, end) || is_at(chunk, end, '_') {
        end += 1;
    }
    if end == name {
        *nameless = name;
    }
    (end > name).then_some(end)
}

/// Whether `$` or `@` is the first letter of a word.
fn leet_begins(chunk: &[Cell], at: usize) -> bool {
    let letter = |at: usize| chunk.get(at).map_or('\0', |cell| cell.letter);
    let (second, third) = (letter(at + 1), letter(at + 2));
    match chunk[at].letter {
        '@' => second == '$' || (matches!(second, 's' | '5') && matches!(third, 's' | '5' | '$')),
        '$' => {
            second.is_ascii_lowercase()
                || (matches!(second, '$' | '0' | '1' | '3' | '4' | '5' | '7') && third.is_ascii_lowercase())
        }
        _ => false,
    }
}

/// Where a word ends: letters, marks and digits; apostrophes and `*` between them; signs of leetspeak.
fn word_end(chunk: &[Cell], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(cell) = chunk.get(end) {
        let goes_on = match cell.letter {
            '\'' | '’' => word_at(chunk, end - 1) && word_at(chunk, end + 1),
            '*' if letter_at(chunk, end - 1) => {
                let stars = end + chunk[end..].iter().take_while(|cell| cell.letter == '*').count();
                if !letter_at(chunk, stars) {
                    break;
                }
                end = stars;
                continue;
            }
            '@' | '$' => {
                signed(chunk[end - 1].letter) && !chunk.get(end + 1).is_some_and(|cell| cell.letter.is_ascii_digit())
            }
            '!' => signed(chunk[end - 1].letter) && signed_at(chunk, end + 1) && inner(chunk, at, end),
            letter => is_word(class_of(letter)),
        };
        if !goes_on {
            break;
        }
        end += 1;
    }
    end
}

/// Whether `!` stands for a letter, and does not end a sentence: one side has no vowel, or both are short.
fn inner(chunk: &[Cell], at: usize, sign: usize) -> bool {
    let left = chunk[at.max(sign.saturating_sub(LEET_LENGTH))..sign].rsplit(|cell| cell.letter == '!').next();
    let left = left.unwrap_or_default();
    let right = &chunk[sign + 1..];
    let right = &right[..right.iter().take(LEET_LENGTH).take_while(|cell| signed(cell.letter)).count()];
    let vowel = |cell: &Cell| matches!(cell.letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | '0' | '1' | '3' | '4' | '@');
    !left.iter().any(vowel) || !right.iter().any(vowel) || (left.len() <= 2 && right.len() <= 2)
}

/// Appends a word: repeats cut, letters joined that `*` or `'` parts, leetspeak read.
fn word(written: &[Cell], made: &mut Vec<Cell>) -> Kind {
    let first = made.len();
    push_cut(
        written.iter().map(|&cell| Cell { letter: if apostrophe(cell.letter) { '\'' } else { cell.letter }, ..cell }),
        made,
    );
    let mut kind = Kind::Word;
    let length = made.len() - first;
    if length >= 5 && length % 2 == 1 {
        let cells = &made[first..];
        let sign = cells[1].letter;
        let parts = |(at, cell): (usize, &Cell)| match at % 2 {
            0 => is_letter(class_of(cell.letter)),
            _ => cell.letter == sign,
        };
        if matches!(sign, '*' | '\'') && cells.iter().enumerate().all(parts) {
            for at in 0..=length / 2 {
                let mut cell = made[first + 2 * at];
                if at < length / 2 {
                    cell.end = made[first + 2 * at + 1].end;
                }
                made[first + at] = cell;
            }
            made.truncate(first + length / 2 + 1);
            kind = Kind::Spaced;
        }
    }
    if made[first..].iter().any(|cell| matches!(cell.letter, '0'..='9' | '@' | '$' | '!')) {
        made[first..].split_mut(|cell| matches!(cell.letter, '*' | '\'')).for_each(leet);
    }
    cut_repeats(made, first);
    kind
}

/// At most two of a character in a row, digits excepted; the second stands for all that follow.
fn push_cut(cells: impl Iterator<Item = Cell>, made: &mut Vec<Cell>) {
    let (mut first, mut second) = ('\0', '\0');
    for cell in cells {
        let letter = cell.letter;
        if letter == second && letter == first && !letter.is_ascii_digit() {
            made.last_mut().expect("two were pushed").end = cell.end;
        } else {
            made.push(cell);
            (first, second) = (second, letter);
        }
    }
}

/// The same for cells that were made already, from `first` on.
pub(super) fn cut_repeats(made: &mut Vec<Cell>, first: usize) {
    let mut kept = first;
    for at in first..made.len() {
        let cell = made[at];
        let letter = cell.letter;
        let repeats = kept >= first + 2 && made[kept - 1].letter == letter && made[kept - 2].letter == letter;
        if repeats && !letter.is_ascii_digit() {
            made[kept - 1].end = cell.end;
        } else {
            made[kept] = cell;
            kept += 1;
        }
    }
    made.truncate(kept);
}

fn read(sign: char) -> Option<char> {
    Some(match sign {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        _ => return None,
    })
}

/// A token of ASCII letters and signs of leetspeak as it is meant; letter for letter.
///
/// Left alone: tokens without a letter; longer ones than `LEET_LENGTH`; with 2, 6, 8 or 9 between letters (`b2b`, `k8s`,
/// keys and hashes); a number and its unit or one letter (`10am`, `3d`); digits after a word but for `55` or a single one,
/// not 1, that ends a word of two letters or more which is no name that is numbered (`python3`, `mp3`); `us$` and `$x`.
fn leet(token: &mut [Cell]) {
    let alphabetic = |cell: &&Cell| cell.letter.is_ascii_lowercase();
    let digit = |cell: &Cell| cell.letter.is_ascii_digit();
    if token.len() > LEET_LENGTH || !token.iter().all(|cell| signed(cell.letter) || cell.letter == '!') {
        return;
    }
    let letters = token.iter().filter(alphabetic).count();
    if letters == 0 {
        return;
    }
    let first = token.iter().position(|cell| !digit(cell)).unwrap_or(0);
    let last = token.iter().rposition(|cell| !digit(cell)).map_or(0, |at| at + 1);
    let (core, tail) = (&token[first..last], &token[last..]);
    let numbers = core.iter().any(|cell| matches!(cell.letter, '2' | '6' | '8' | '9'));
    if numbers || (first > 0 && (core.len() == 1 || listed(&UNITS, core))) {
        return;
    }
    let amount = core[core.len() - 1].letter == '$' || (core.len() == 2 && core[0].letter == '$');
    if letters <= 2 && core.len() == letters + 1 && amount {
        return;
    }
    let ends = match tail {
        [first, second] => first.letter == '5' && second.letter == '5',
        [only] => matches!(only.letter, '0' | '3' | '4' | '5' | '7') && letters >= 2 && !listed(&NAMES, core),
        _ => false,
    };
    let start = if first <= 3 && token[..first].iter().all(|cell| read(cell.letter).is_some()) { 0 } else { first };
    let end = if ends { token.len() } else { last };
    for cell in &mut token[start..end] {
        cell.letter = read(cell.letter).unwrap_or(cell.letter);
    }
}
