//! A text as the detectors read it: one byte a character, with the words that matter already looked up.
//!
//! ASCII is in lower case; what looks like ASCII (full width, mathematical letters, digits of other scripts, Cyrillic
//! letters with a Latin double) is that; what is invisible is gone. Of the rest, a letter is [`LETTER`], a symbol
//! [`SYMBOL`], a space a space and a sign of currency `$`. So places are indices, and no rule looks beyond a byte.
use super::words::{self, Cue};
use crate::score::eight::{EACH, between, bits};
use std::{borrow::Cow, sync::LazyLock};

/// A letter that is no ASCII and looks like none.
pub(super) const LETTER: u8 = 0x80;
/// A symbol that is no ASCII.
pub(super) const SYMBOL: u8 = 0x81;

/// The shortest address of an account (Bitcoin's).
const LONG: usize = 26;

/// A word that one of the rules looks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) cue: Cue,
}

#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) folded: Cow<'a, [u8]>,
    /// The same in its own case: for addresses whose case counts.
    pub(super) raw: Cow<'a, [u8]>,
    /// First and last-but-one code point behind each byte; none when each stands for itself.
    places: Option<Vec<(u32, u32)>>,
    pub(super) tokens: Vec<Token>,
    /// Which roles any token has.
    pub(super) roles: u16,
    /// Words with a digit, or as long as the address of an account: start and end.
    pub(super) signs: Vec<(usize, usize)>,
    /// Some word is as long as the address of an account.
    pub(super) long: bool,
    pub(super) digits: usize,
    pub(super) ats: bool,
    pub(super) dots: bool,
    pub(super) hashes: bool,
}

const ALPHA: u8 = 1;
const DIGIT: u8 = 2;
const AT: u8 = 4;
const DOT: u8 = 8;
const HASH: u8 = 16;
const UPPER: u8 = 32;

/// What each byte of a folded text is.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'z' | LETTER | b'_' => ALPHA,
            b'A'..=b'Z' => ALPHA | UPPER,
            b'0'..=b'9' => DIGIT,
            b'@' => AT,
            b'.' => DOT,
            b'#' => HASH,
            _ => 0,
        };
        byte += 1;
    }
    class
};

pub(super) fn is_letter(byte: u8) -> bool {
    byte == LETTER || byte.is_ascii_alphabetic()
}

/// A letter, a digit or a low line: what a word, a name or a number goes on with.
pub(super) fn is_word(byte: u8) -> bool {
    CLASS[byte as usize] & (ALPHA | DIGIT) != 0
}

/// Which of the first 64 bytes, in lower case, are of words (`is_word`): the first as the lowest bit.
fn word_bits(folded: &[u8]) -> u64 {
    let Some(block) = folded.first_chunk::<64>() else {
        let mut block = [0; 64];
        block[..folded.len()].copy_from_slice(folded);
        return word_bits(&block);
    };
    bits(block, |eight| {
        let ascii = between(eight, b'a', b'z') | between(eight, b'0', b'9') | between(eight, b'_', b'_');
        ascii | between(eight ^ (u64::from(LETTER) * EACH), 0, 0)
    })
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let (raw, places) = if text.is_ascii() {
            (Cow::Borrowed(text.as_bytes()), None)
        } else {
            let (raw, places) = fold(text);
            (Cow::Owned(raw), Some(places))
        };
        let seen = raw.iter().fold(0, |seen, &byte| seen | CLASS[byte as usize]);
        let folded = if seen & UPPER == 0 { raw.clone() } else { Cow::Owned(raw.to_ascii_lowercase()) };
        let mut text = Self {
            folded,
            raw,
            places,
            tokens: Vec::new(),
            roles: 0,
            signs: Vec::new(),
            long: false,
            digits: 0,
            ats: seen & AT != 0,
            dots: seen & DOT != 0,
            hashes: seen & HASH != 0,
        };
        text.read_words();
        text
    }

    /// Finds the cues among words of letters and digits, and what else is known of words.
    fn read_words(&mut self) {
        let (mut start, mut inside) = (0, false);
        for block in (0..self.folded.len()).step_by(64) {
            let words = word_bits(&self.folded[block..]);
            // Where a word begins or has ended.
            let mut edges = words ^ (words << 1 | u64::from(inside));
            while edges != 0 {
                let at = block + edges.trailing_zeros() as usize;
                edges &= edges - 1;
                if inside {
                    self.read_word(start, at);
                }
                (start, inside) = (at, !inside);
            }
        }
        if inside {
            self.read_word(start, self.folded.len());
        }
    }

    fn read_word(&mut self, start: usize, end: usize) {
        let Self { folded, tokens, roles, signs, long, digits, .. } = self;
        let length = end - start;
        let key = (length <= words::LONGEST).then(|| match folded[start..].first_chunk() {
            Some(bytes) => u128::from_le_bytes(*bytes) & u128::MAX >> (8 * (words::LONGEST - length)),
            None => words::key(&folded[start..end]),
        });
        let in_eight = |eight: u64| between(eight, b'0', b'9').count_ones() as usize;
        let count = match key {
            Some(key) => in_eight(key as u64) + in_eight((key >> 64) as u64),
            None => folded[start..end].iter().filter(|byte| byte.is_ascii_digit()).count(),
        };
        if count > 0 || length >= LONG {
            *long |= length >= LONG;
            *digits += count;
            signs.push((start, end));
        }
        if let Some(cue) = key.and_then(|key| words::table().get(key)) {
            *roles |= cue.roles;
            tokens.push(Token { start, end, cue });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.folded.len()
    }

    /// The byte at `at`; a space beyond either end.
    pub(super) fn at(&self, at: usize) -> u8 {
        self.folded.get(at).copied().unwrap_or(b' ')
    }

    /// The byte before `at`; a space before the first.
    pub(super) fn before(&self, at: usize) -> u8 {
        if at == 0 { b' ' } else { self.at(at - 1) }
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &[u8] {
        &self.folded[start..end]
    }

    pub(super) fn starts(&self, at: usize, with: &[u8]) -> bool {
        self.folded.get(at..).is_some_and(|rest| rest.starts_with(with))
    }

    /// After the spaces at `at`, at most `most` of them.
    pub(super) fn skip_spaces(&self, mut at: usize, most: usize) -> usize {
        let end = (at + most).min(self.len());
        while at < end && self.folded[at].is_ascii_whitespace() {
            at += 1;
        }
        at
    }

    /// The word at `at` or after spaces and light punctuation; empty at the end of a sentence.
    pub(super) fn word_after(&self, at: usize) -> (usize, usize) {
        let mut start = at;
        while start < self.len()
            && start < at + 8
            && matches!(self.folded[start], b' ' | b',' | b'\'' | b'"' | b'(' | b'-' | b':')
        {
            start += 1;
        }
        let mut end = start;
        while end < self.len() && end < start + 40 && is_word(self.folded[end]) {
            end += 1;
        }
        (start, end)
    }

    /// The word that ends at `at`, or before the spaces there; empty when there is none in this sentence.
    pub(super) fn word_before(&self, at: usize) -> (usize, usize) {
        let mut end = at;
        while end > 0 && at - end < 8 && matches!(self.folded[end - 1], b' ' | b',' | b'\'' | b'"' | b'(' | b'-' | b':')
        {
            end -= 1;
        }
        let mut start = end;
        while start > 0 && end - start < 40 && is_word(self.folded[start - 1]) {
            start -= 1;
        }
        (start, end)
    }

    /// Tokens that end at or before `at`, nearest first.
    pub(super) fn tokens_before(&self, at: usize) -> impl Iterator<Item = &Token> {
        let count = self.tokens.partition_point(|token| token.end <= at);
        self.tokens[..count].iter().rev()
    }

    /// Tokens that start at or after `at`, nearest first.
    pub(super) fn tokens_after(&self, at: usize) -> impl Iterator<Item = &Token> {
        let first = self.tokens.partition_point(|token| token.start < at);
        self.tokens[first..].iter()
    }

    /// Whether a token of one of `roles` is at most `reach` bytes before `start` or after `end`.
    pub(super) fn near(&self, roles: u16, start: usize, end: usize, reach: usize) -> bool {
        self.tokens_before(start).take_while(|token| start - token.end <= reach).any(|token| token.cue.is(roles))
            || self.tokens_after(end).take_while(|token| token.start - end <= reach).any(|token| token.cue.is(roles))
    }

    /// The code points of the original behind bytes `start` to `end`, which are not none.
    pub(super) fn original(&self, start: usize, end: usize) -> std::ops::Range<usize> {
        match &self.places {
            None => start..end,
            Some(places) => places[start].0 as usize..places[end - 1].1 as usize,
        }
    }
}

/// A byte a character, and the code points that each stands for.
fn fold(text: &str) -> (Vec<u8>, Vec<(u32, u32)>) {
    let mut bytes = Vec::with_capacity(text.len());
    let mut places: Vec<(u32, u32)> = Vec::with_capacity(text.len());
    // Where the word of foreign letters that is being read began: in `text`, and in `bytes`.
    let mut foreign: Option<(usize, usize)> = None;
    let mut rest = text;
    let mut index = 0;
    while let Some(character) = rest.chars().next() {
        let offset = text.len() - rest.len();
        let plain = rest.bytes().take_while(u8::is_ascii).count();
        if plain > 0 {
            if let Some((from, first)) = foreign.take() {
                digit_word(&text[from..offset], first, &mut bytes, &mut places);
            }
            bytes.extend_from_slice(&rest.as_bytes()[..plain]);
            places.extend((index..index + plain as u32).map(|index| (index, index + 1)));
            index += plain as u32;
            rest = &rest[plain..];
            continue;
        }
        let byte = folded_byte(character);
        if byte == LETTER {
            foreign.get_or_insert((offset, bytes.len()));
        } else if byte != 0 {
            if let Some((from, first)) = foreign.take() {
                digit_word(&text[from..offset], first, &mut bytes, &mut places);
            }
        }
        if byte != 0 {
            bytes.push(byte);
            places.push((index, index + 1));
        }
        index += 1;
        rest = &rest[character.len_utf8()..];
    }
    if let Some((from, first)) = foreign {
        digit_word(&text[from..], first, &mut bytes, &mut places);
    }
    (bytes, places)
}

/// Puts the digit in the place of its name, when `word`, which began at `first`, is one.
fn digit_word(word: &str, first: usize, bytes: &mut Vec<u8>, places: &mut Vec<(u32, u32)>) {
    let alone = first == 0 || !is_word(bytes[first - 1]);
    if let (true, Some(digit)) = (alone, words::foreign_digit(word)) {
        let (start, end) = (places[first].0, places[places.len() - 1].1);
        bytes.truncate(first);
        places.truncate(first);
        bytes.push(digit);
        places.push((start, end));
    }
}

/// First digits of the decimal blocks (general category Nd) of scripts in use, each with nine more after it.
const ZEROS: [u32; 21] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20, 0x1040,
    0x17e0, 0x1810, 0xff10, 0x1d7ce, 0x1fbf0,
];

/// The byte for a character that is no ASCII; 0 when it is invisible. Of the first two planes it is looked up.
fn folded_byte(character: char) -> u8 {
    static BYTES: LazyLock<Box<[u8]>> = LazyLock::new(|| {
        let byte = |code| char::from_u32(code).and_then(fold_one).unwrap_or(0);
        (0..0x2_0000).map(byte).collect()
    });
    match BYTES.get(character as usize) {
        Some(&byte) => byte,
        None => fold_one(character).unwrap_or(0),
    }
}

/// The byte for a character that is no ASCII; none when it is invisible.
fn fold_one(character: char) -> Option<u8> {
    let code = character as u32;
    let letter = |offset: u32| Some(b'a' + (offset % 26) as u8);
    match code {
        0x620..=0x64a | 0x671..=0x6d3 => Some(LETTER),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f => None,
        0x202a..=0x202e | 0x2060..=0x206f | 0x20e3 | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 => None,
        0xe0000..=0xe0fff => None,
        0x2010..=0x2015 | 0x2212 | 0xfe58 | 0xfe63 => Some(b'-'),
        0x2024 | 0x3002 | 0xa4f8 | 0xfe52 | 0xff61 => Some(b'.'),
        0xfe6b => Some(b'@'),
        0xa2..=0xa5 | 0x20a0..=0x20cf => Some(b'$'),
        // Superscripts are no digits of a number but mathematics.
        0xb2 | 0xb3 | 0xb9 | 0x2070..=0x209c => Some(SYMBOL),
        0x2460..=0x2468 => Some(b'1' + (code - 0x2460) as u8),
        0x2776..=0x277e => Some(b'1' + (code - 0x2776) as u8),
        0x2780..=0x2788 => Some(b'1' + (code - 0x2780) as u8),
        0x278a..=0x2792 => Some(b'1' + (code - 0x278a) as u8),
        0x24ea | 0x24ff | 0x1f10b | 0x1f10c => Some(b'0'),
        0x24b6..=0x24e9 => letter(code - 0x24b6),
        0x1d400..=0x1d6a3 => letter(code - 0x1d400),
        0x1f110..=0x1f129 | 0x1f130..=0x1f149 | 0x1f150..=0x1f169 | 0x1f170..=0x1f189 => letter((code - 0x1f110) % 32),
        0x1f1e6..=0x1f1ff => Some(SYMBOL),
        0x1d7ce..=0x1d7ff => Some(b'0' + ((code - 0x1d7ce) % 10) as u8),
        0xff01..=0xff5e => Some((code - 0xfee0) as u8),
        0x400..=0x4ff => Some(cyrillic(character)),
        // Signs of Indic vowels are parts of words, whatever their category.
        0x900..=0xdff => match zero_of(code) {
            Some(zero) => Some(b'0' + (code - zero) as u8),
            None if matches!(code, 0x964 | 0x965) => Some(b'.'),
            None => Some(LETTER),
        },
        _ if character.is_alphabetic() => Some(LETTER),
        _ if character.is_whitespace() => Some(b' '),
        _ => Some(zero_of(code).map_or(SYMBOL, |zero| b'0' + (code - zero) as u8)),
    }
}

fn zero_of(code: u32) -> Option<u32> {
    ZEROS.into_iter().find(|&zero| (zero..zero + 10).contains(&code))
}

/// The Latin double of a Cyrillic letter (UTS 39, confusables), where it has one.
fn cyrillic(character: char) -> u8 {
    match character {
        'а' | 'А' => b'a',
        'В' => b'b',
        'с' | 'С' => b'c',
        'ԁ' => b'd',
        'е' | 'Е' => b'e',
        'Н' | 'һ' => b'h',
        'і' | 'І' => b'i',
        'ј' | 'Ј' => b'j',
        'К' => b'k',
        'М' => b'm',
        'о' | 'О' => b'o',
        'р' | 'Р' => b'p',
        'ѕ' | 'Ѕ' => b's',
        'Т' => b't',
        'х' | 'Х' => b'x',
        'у' | 'У' => b'y',
        _ => LETTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let bytes = Text::new(text).folded.into_owned();
        bytes.into_iter().map(|byte| if byte == LETTER { '~' } else { byte as char }).collect()
    }

    #[test]
    fn what_looks_like_ascii_is_that() {
        for (text, expected) in [
            ("Ｍａｉｌ＠ｘ．ｃｏｍ", "mail@x.com"),
            ("९८७६", "9876"),
            ("۰۹۱۲ ٣٤", "0912 34"),
            ("𝟗𝟖 ⑨⑧ 9️⃣8️⃣", "98 98 98"),
            ("𝓰𝓶𝓪𝓲𝓵", "gmail"),
            ("ⓖⓜⓐⓘⓛ", "gmail"),
            ("g\u{200b}m\u{ad}ail", "gmail"),
            ("gmаil", "gmail"),
            ("€5 ₹9", "$5 $9"),
            ("10²", "10\u{81}"),
            ("नौ आठ सात", "9 8 7"),
            ("نه، هشت", "9\u{81} 8"),
            ("größe", "gr~~e"),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
    }

    #[test]
    fn the_bytes_of_words_are_the_same_one_by_one_and_together() {
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_uppercase()) {
            assert_eq!(word_bits(&[byte]) != 0, is_word(byte), "{byte}");
        }
    }

    #[test]
    fn places_lead_back() {
        let text = Text::new("é\u{200b}g\u{200b}m आठ x");
        assert_eq!(text.slice(0, 3), [LETTER, b'g', b'm']);
        assert_eq!(text.original(1, 3), 2..5);
        assert_eq!(text.original(4, 5), 6..8);
    }
}
