//! The plain text of what shows its words by itself, straight from its bytes: most texts. That is ASCII, other symbols,
//! letters that become one of ASCII wherever a word has Latin ones, and words of scripts without case that no letter of
//! another script is among. Where a chunk (what is between white space) asks for more than the eye sees, it is read by
//! `words`; where an escape may be or a letter changes otherwise, it takes the steps, and where these depend on what is
//! around it, the whole text does.
use super::{
    Cell, Guise, Kind, Normalised, Origin, READ, Suspect, Word,
    alike::{self, LATIN},
    apart,
    compatible::is_scripted,
    latin::{Turned, turned},
    steps::Steps,
    unicode::{class, digit, properties_of},
    words::{self, Atom},
};
use std::ops::Range;
use unicode_normalization::char::compose;

/// What a character is in a chunk that shows its words and symbols by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Only the steps know.
    Other,
    /// Of ASCII, as digits are.
    Letter,
    Digit,
    /// A letter or vowel sign of a script without case.
    Foreign,
    /// Goes on a word of such a script.
    Mark,
    Space,
    /// A word of its own wherever it stands.
    Symbol,
    /// The same before no letter or digit of its chunk.
    Closing,
    Apostrophe,
    /// Belongs to the rules of `words`.
    Special,
    /// Dropped, at least behind a symbol.
    Ignored,
}

static ASCII: [Role; 128] = {
    let mut table = [Role::Symbol; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Role::Letter,
            b'0'..=b'9' => Role::Digit,
            9..=13 | 28..=31 | b' ' => Role::Space,
            0..=31 | 127 => Role::Other,
            b'.' | b'!' => Role::Closing,
            b'\'' => Role::Apostrophe,
            b'@' | b'$' | b'*' | b'/' => Role::Special,
            _ => Role::Symbol,
        };
        byte += 1;
    }
    table
};

#[inline]
fn role_of(letter: char) -> Role {
    if letter.is_ascii() { ASCII[letter as usize] } else { role_beyond(letter) }
}

/// Of what is not of ASCII.
fn role_beyond(letter: char) -> Role {
    let properties = properties_of(letter);
    if properties.joins() || properties.is_cased() || !properties.is_whole() {
        return Role::Other;
    }
    match (letter, properties.class()) {
        ('’', _) => Role::Apostrophe,
        ('ʼ', _) | (_, class::DIGIT) => Role::Special,
        (_, class::OTHER | class::SPACING) => Role::Foreign,
        (_, class::MARK) if is_foreign(letter) => Role::Mark,
        (_, class::SYMBOL) => Role::Symbol,
        ('\u{80}'..='\u{9f}', _) => Role::Other,
        (_, class::IGNORED) => Role::Ignored,
        _ => Role::Other,
    }
}

/// Of marks, whether they are of a script without case.
fn is_foreign(mark: char) -> bool {
    matches!(mark, '\u{600}'..='\u{fff}')
}

/// Where a text is read: the byte, and the code point that begins there.
#[derive(Clone, Copy)]
struct Place {
    byte: usize,
    point: u32,
}

/// A text from some place on.
#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
    at: Place,
}

impl Reader<'_> {
    /// The byte ahead; a space at the end.
    #[inline]
    fn ahead(&self, bytes: usize) -> u8 {
        self.text.as_bytes().get(self.at.byte + bytes).copied().unwrap_or(b' ')
    }

    /// The role of what is ahead; a space at the end.
    #[inline]
    fn role(&self, bytes: usize) -> Role {
        match self.ahead(bytes) {
            byte @ ..0x80 => ASCII[byte as usize],
            _ => self.text[self.at.byte + bytes..].chars().next().map_or(Role::Space, role_beyond),
        }
    }

    /// The letters of a short word here of ASCII's letters alone, before a space.
    #[inline]
    fn short(&self) -> Option<(u64, u32)> {
        let eight = self.text.as_bytes()[self.at.byte..].first_chunk()?;
        let eight = u64::from_le_bytes(*eight);
        let count = letters(eight);
        (count > 0 && count < 8 && eight >> (8 * count) & 0xff == u64::from(b' ')).then_some((eight, count))
    }

    #[inline]
    fn is_at_space(&self) -> bool {
        let byte = self.ahead(0);
        byte.is_ascii() && ASCII[byte as usize] == Role::Space
    }

    /// The character here; a space at the end.
    #[inline]
    fn letter(&self) -> char {
        match self.ahead(0) {
            byte @ ..0x80 => byte as char,
            _ => self.text[self.at.byte..].chars().next().unwrap_or(' '),
        }
    }

    #[inline]
    fn skip(&mut self, letter: char) {
        self.at = Place { byte: self.at.byte + letter.len_utf8(), point: self.at.point + 1 };
    }

    /// Whether an escape may begin here.
    fn may_escape(&self) -> bool {
        match self.ahead(0) {
            b'%' => self.ahead(1).is_ascii_hexdigit() && self.ahead(2).is_ascii_hexdigit(),
            b'&' => matches!(self.ahead(1), b'a' | b'l' | b'g' | b'q' | b'n' | b'#'),
            _ => false,
        }
    }
}

/// Plain text as it is made.
#[derive(Debug, Default)]
struct Made {
    text: Vec<u8>,
    origins: Vec<Origin>,
    /// Of `origins`; gaps in code points of the text.
    atoms: Vec<Atom>,
    singles: Singles,
    scripts: Scripts,
}

/// Words of one letter: whether three are as many atoms from each other as letters that stand apart can be.
#[derive(Debug, Default, Clone, Copy)]
struct Singles {
    /// The last two, by their atoms.
    last: [Option<usize>; 2],
    apart: bool,
}

/// The letters of words that were read: what decides whether words wholly of look-alikes are folded (`alike::Whole`).
#[derive(Debug, Default, Clone, Copy)]
struct Scripts {
    /// Letters of words that have Latin ones; not all are counted.
    latin: u32,
    /// Some word has none, and letters that cannot be folded.
    foreign: bool,
    /// A word wholly of look-alikes was folded as if the text were Latin.
    assumed: bool,
}

impl Scripts {
    /// Whether what was assumed is so; else the whole text takes the steps.
    fn holds(self) -> bool {
        !self.assumed || (self.latin >= LATIN && !self.foreign)
    }
}

impl Singles {
    fn add(&mut self, atom: usize) {
        if let [Some(first), Some(second)] = self.last {
            self.apart |= atom - second == second - first && atom - second <= 3;
        }
        self.last = [self.last[1], Some(atom)];
    }
}

/// Characters that are dropped, from the first to the last.
#[derive(Default)]
struct Hidden {
    start: u32,
    end: u32,
    count: u32,
}

impl Hidden {
    fn add(&mut self, more: Self) {
        if more.count > 0 {
            self.start = if self.count == 0 { more.start } else { self.start };
            self.end = more.end;
            self.count += more.count;
        }
    }
}

impl Made {
    fn clear(&mut self) {
        self.cut(0, 0, 0);
        (self.singles, self.scripts) = Default::default();
    }

    /// Leaves only what was made first.
    fn cut(&mut self, bytes: usize, origins: usize, atoms: usize) {
        self.text.truncate(bytes);
        self.origins.truncate(origins);
        self.atoms.truncate(atoms);
    }

    #[inline]
    fn push_byte(&mut self, letter: u8, start: u32, end: u32) {
        self.origins.push(Origin { byte: self.text.len() as u32, start, end });
        self.text.push(letter);
    }

    #[inline]
    fn push(&mut self, letter: char, start: u32, end: u32) {
        if letter.is_ascii() {
            return self.push_byte(letter as u8, start, end);
        }
        self.origins.push(Origin { byte: self.text.len() as u32, start, end });
        self.text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Letters of ASCII in lower case, the first written at a code point: at most two of one in a row.
    #[inline]
    fn push_letters(&mut self, letters: &[u8], start: u32) {
        let (byte, count) = (self.text.len() as u32, letters.len() as u32);
        let same = |first: u8, second: u8| (first ^ second) & !0x20 == 0;
        if !letters.windows(3).any(|three| same(three[0], three[1]) && same(three[1], three[2])) {
            self.text.extend(letters.iter().map(|letter| letter | 0x20));
            let origin = |at| Origin { byte: byte + at, start: start + at, end: start + at + 1 };
            self.origins.extend((0..count).map(origin));
            return;
        }
        let (mut before, mut last) = (0, 0);
        for (letter, at) in letters.iter().map(|letter| letter | 0x20).zip(start..) {
            if letter == last && letter == before {
                self.stretch(at + 1);
            } else {
                self.push_byte(letter, at, at + 1);
                (before, last) = (last, letter);
            }
        }
    }

    /// At most seven letters of ASCII as one atom behind white space or at the beginning, unless some are cut: their bytes
    /// are the first of eight.
    #[inline]
    fn push_short(&mut self, eight: u64, count: u32, start: u32, gap: (u32, u32)) -> bool {
        let lower = eight | (0x20 * EACH);
        // A byte that is zero is one letter with the two behind it.
        let differ = lower ^ (lower >> 8);
        let differ = (differ | (differ >> 8)) | (u64::MAX << (8 * count.saturating_sub(2)));
        if has_zero(differ) {
            return false;
        }
        let first = self.open(gap, Kind::Word, start);
        let byte = self.text.len() as u32;
        self.text.extend_from_slice(&lower.to_le_bytes());
        self.text.truncate((byte + count) as usize);
        let origin = |at: usize| {
            let at = at as u32;
            Origin { byte: byte + at, start: start + at, end: start + at + 1 }
        };
        self.origins.extend_from_slice(&std::array::from_fn::<_, 8, _>(origin));
        self.origins.truncate((first + count) as usize);
        self.scripts.latin += count;
        self.close(first, Kind::Word, gap);
        true
    }

    /// Opens an atom that is written from `start` on, with a space before it where one belongs.
    #[inline]
    fn open(&mut self, gap: (u32, u32), kind: Kind, start: u32) -> u32 {
        if let Some(before) = self.atoms.last() {
            if gap.0 < gap.1 {
                self.push_byte(b' ', gap.0, gap.1);
            } else if kind != Kind::Symbol && before.kind != Kind::Symbol {
                // A link or mention grown to a word.
                self.push_byte(b' ', start, start);
            }
        }
        self.origins.len() as u32
    }

    /// Leaves of the atom that was opened nothing but the space before it.
    fn reopen(&mut self, first: u32) {
        if let Some(origin) = self.origins.get(first as usize) {
            self.text.truncate(origin.byte as usize);
            self.origins.truncate(first as usize);
        }
    }

    #[inline]
    fn close(&mut self, first: u32, kind: Kind, gap: (u32, u32)) {
        let last = self.origins.len() as u32;
        if kind == Kind::Word && last - first == 1 {
            self.singles.add(self.atoms.len());
        }
        self.atoms.push(Atom { first, last, kind, gap });
    }

    /// The last character stands also for what is left out up to `end`.
    fn stretch(&mut self, end: u32) {
        if let Some(last) = self.origins.last_mut() {
            last.end = end;
        }
    }

    /// What was read, with letters that stand apart joined as `apart::join` does; `text` is that of `read`.
    fn join(&mut self, read: &Self, text: &str) {
        self.clear();
        let letter = |at: u32| text[read.origins[at as usize].byte as usize..].chars().next().unwrap_or(' ');
        let mut at = 0;
        // Atoms and characters that are here.
        let mut done = (0, 0);
        while at < read.atoms.len() {
            let Some((end, step)) = apart::apart(&read.atoms, at, letter) else {
                at += 1;
                continue;
            };
            let atom = read.atoms[at];
            self.copy(read, done.0..at, done.1..atom.first as usize);
            let first = self.origins.len() as u32;
            let (mut before, mut last) = ('\0', '\0');
            for index in (at..=end).step_by(step) {
                let origin = |atom: &Atom| read.origins[atom.first as usize];
                let (own, letter) = (origin(&read.atoms[index]), letter(read.atoms[index].first));
                let next = read.atoms[index..=end].get(step).map_or(0, |next| origin(next).start);
                if letter == last && letter == before {
                    self.stretch(own.end.max(next));
                } else {
                    self.push(letter, own.start, own.end.max(next));
                    (before, last) = (last, letter);
                }
            }
            self.close(first, Kind::Spaced, atom.gap);
            done = (end + 1, read.atoms[end].last as usize);
            at = end + 1;
        }
        self.copy(read, done.0..read.atoms.len(), done.1..read.origins.len());
    }

    /// Appends some atoms and the characters of them and before them.
    fn copy(&mut self, read: &Self, atoms: Range<usize>, origins: Range<usize>) {
        let byte = |at: usize| read.origins.get(at).map_or(read.text.len(), |origin| origin.byte as usize);
        let (first, bytes) = (self.origins.len() as u32, byte(origins.start)..byte(origins.end));
        let moved = |at: u32| at - origins.start as u32 + first;
        let atoms = read.atoms[atoms].iter();
        self.atoms.extend(atoms.map(|atom| Atom { first: moved(atom.first), last: moved(atom.last), ..*atom }));
        let (from, to) = (bytes.start as u32, self.text.len() as u32);
        let origins = read.origins[origins.clone()].iter();
        self.origins.extend(origins.map(|origin| Origin { byte: origin.byte - from + to, ..*origin }));
        self.text.extend_from_slice(&read.text[bytes]);
    }
}

/// 1 in each of eight bytes.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Whether a byte is zero.
fn has_zero(eight: u64) -> bool {
    eight.wrapping_sub(EACH) & !eight & (0x80 * EACH) != 0
}

/// How many bytes are letters of ASCII, from the first, lowest one on.
fn letters(eight: u64) -> u32 {
    let lower = (eight | (0x20 * EACH)) & (0x7f * EACH);
    // In the highest bit of each byte: not below `a`, beyond `z`.
    let (from, beyond) = (lower + (0x80 - 0x61) * EACH, lower + (0x80 - 0x7b) * EACH);
    let other = !(from & !beyond & !eight) & (0x80 * EACH);
    other.trailing_zeros() / 8
}

/// Room that reading needs, kept from text to text.
#[derive(Debug, Default)]
pub(super) struct Direct {
    made: Made,
    /// The same with letters joined.
    joined: Made,
    chunk: Vec<Cell>,
    /// What words of the chunk are made of.
    cells: Vec<Cell>,
    atoms: Vec<Atom>,
    suspects: Vec<Suspect>,
}

impl Direct {
    /// Writes plain text, words and what is suspect, in any order; false when the whole text takes the steps.
    pub(super) fn read(&mut self, text: &str, steps: &mut Steps, result: &mut Normalised) -> bool {
        self.made.clear();
        self.suspects.clear();
        self.made.text.reserve(text.len());
        self.made.origins.reserve(text.len());
        let mut reader = Reader { text, at: Place { byte: 0, point: 0 } };
        let mut more = 0;
        loop {
            let gap = reader.at.point;
            while reader.role(0) == Role::Space && reader.at.byte < text.len() {
                reader.skip(' ');
            }
            if reader.at.byte == text.len() {
                break;
            }
            let gap = (gap, reader.at.point);
            if let Some((eight, count)) = reader.short() {
                if self.made.push_short(eight, count, reader.at.point, gap) {
                    reader.at = Place { byte: reader.at.byte + count as usize, point: reader.at.point + count };
                    continue;
                }
            }
            let Some((after, came)) = self.chunk(reader, gap, steps) else { return false };
            reader = after;
            more += came;
        }
        if reader.at.point as usize + more > READ || !self.made.scripts.holds() {
            return false;
        }
        let Self { made, joined, .. } = self;
        if made.singles.apart {
            let Ok(text) = std::str::from_utf8(&made.text) else { return false };
            joined.join(made, text);
            std::mem::swap(made, joined);
        }
        let Ok(plain) = std::str::from_utf8(&made.text) else { return false };
        let byte = |at: u32| made.origins.get(at as usize).map_or(plain.len() as u32, |origin| origin.byte);
        let words = made.atoms.iter();
        result.words.extend(words.map(|atom| Word { start: byte(atom.first), end: byte(atom.last), kind: atom.kind }));
        result.plain.text.push_str(plain);
        result.suspects.extend_from_slice(&self.suspects);
        std::mem::swap(&mut result.plain.origins, &mut made.origins);
        true
    }

    /// Reads a chunk, and how many characters the steps bring; none when the whole text takes them.
    fn chunk<'a>(&mut self, reader: Reader<'a>, gap: (u32, u32), steps: &mut Steps) -> Option<(Reader<'a>, usize)> {
        let Made { text, origins, atoms, singles, scripts } = &self.made;
        let before = (text.len(), origins.len(), atoms.len());
        let (singles, scripts, suspects) = (*singles, *scripts, self.suspects.len());
        let unread = match self.simple(reader, gap) {
            Ok(after) => return Some((after, 0)),
            Err(unread) => unread,
        };
        self.made.cut(before.0, before.1, before.2);
        (self.made.singles, self.made.scripts) = (singles, scripts);
        self.suspects.truncate(suspects);
        if let Unread::Special = unread {
            if let Some(after) = self.special(reader, gap) {
                return Some((after, 0));
            }
        }
        self.steps(reader, gap, steps)
    }

    /// Reads a chunk whose words are letters or digits alone, with at most one apostrophe.
    fn simple<'a>(&mut self, mut reader: Reader<'a>, mut gap: (u32, u32)) -> Result<Reader<'a>, Unread> {
        let mut closed = false;
        // The two symbols before, when nothing else was between.
        let mut symbols = ['\0'; 2];
        loop {
            let start = reader.at.point;
            match reader.role(0) {
                Role::Space => return Ok(reader),
                Role::Letter if !closed => {
                    let first = self.made.open(gap, Kind::Word, start);
                    let begin = reader;
                    match self.latin(&mut reader) {
                        Ok(()) => {}
                        Err(Unread::Special) => return Err(Unread::Special),
                        Err(Unread::Other) => {
                            self.made.reopen(first);
                            reader = self.mixed(begin)?;
                        }
                    }
                    self.made.close(first, Kind::Word, gap);
                    symbols = ['\0'; 2];
                }
                Role::Other if !closed => {
                    let first = self.made.open(gap, Kind::Word, start);
                    reader = self.mixed(reader)?;
                    self.made.close(first, Kind::Word, gap);
                    symbols = ['\0'; 2];
                }
                Role::Foreign if !closed => {
                    let first = self.made.open(gap, Kind::Word, start);
                    self.foreign(&mut reader)?;
                    self.made.close(first, Kind::Word, gap);
                    symbols = ['\0'; 2];
                }
                Role::Digit if !closed => {
                    let first = self.made.open(gap, Kind::Word, start);
                    while reader.role(0) == Role::Digit {
                        self.made.push_byte(reader.ahead(0), reader.at.point, reader.at.point + 1);
                        reader.skip('0');
                    }
                    match reader.role(0) {
                        Role::Space | Role::Symbol | Role::Closing => {}
                        Role::Apostrophe if reader.role(reader.letter().len_utf8()) == Role::Space => {}
                        _ => return Err(Unread::Special),
                    }
                    self.made.close(first, Kind::Word, gap);
                    symbols = ['\0'; 2];
                }
                role @ (Role::Symbol | Role::Closing | Role::Apostrophe) => {
                    closed |= role == Role::Closing;
                    if reader.may_escape() {
                        return Err(Unread::Other);
                    }
                    let symbol = reader.letter();
                    reader.skip(symbol);
                    // Two stand for all that follow.
                    if symbols == [symbol; 2] {
                        self.made.stretch(start + 1);
                    } else {
                        let first = self.made.open(gap, Kind::Symbol, start);
                        self.made.push(symbol, start, start + 1);
                        self.made.close(first, Kind::Symbol, gap);
                        symbols = [symbols[1], symbol];
                    }
                    while reader.role(0) == Role::Ignored {
                        reader.skip(reader.letter());
                    }
                }
                Role::Other | Role::Ignored | Role::Mark => return Err(Unread::Other),
                _ => return Err(Unread::Special),
            }
            gap = (0, 0);
        }
    }

    /// A word of ASCII's letters; how the chunk was not read, where it is something else.
    fn latin(&mut self, reader: &mut Reader) -> Result<(), Unread> {
        let (mut letters, mut apostrophes) = (0, 0);
        loop {
            let Place { byte, point } = reader.at;
            let rest = &reader.text.as_bytes()[byte..];
            let count = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            self.made.push_letters(&rest[..count], point);
            letters += count as u32;
            reader.at = Place { byte: byte + count, point: point + count as u32 };
            match reader.role(0) {
                Role::Space | Role::Symbol | Role::Closing => break,
                Role::Apostrophe => {
                    let written = reader.letter();
                    match reader.role(written.len_utf8()) {
                        Role::Letter => apostrophes += 1,
                        Role::Space | Role::Symbol | Role::Closing | Role::Apostrophe => break,
                        _ => return Err(Unread::Special),
                    }
                    self.made.push_byte(b'\'', reader.at.point, reader.at.point + 1);
                    reader.skip(written);
                }
                Role::Letter | Role::Digit | Role::Special => return Err(Unread::Special),
                Role::Foreign | Role::Mark | Role::Ignored | Role::Other => return Err(Unread::Other),
            }
        }
        // `www.` begins a link.
        let read = &reader.text.as_bytes()[..reader.at.byte];
        let host = reader.ahead(0) == b'.' && matches!(read, [.., b'w' | b'W', b'w' | b'W', b'w' | b'W']);
        if apostrophes > 1 || host {
            return Err(Unread::Special);
        }
        self.made.scripts.latin += letters;
        Ok(())
    }

    /// The same of letters that are turned into those of ASCII too, and of what is dropped between them.
    #[inline(never)]
    fn mixed<'a>(&mut self, mut reader: Reader<'a>) -> Result<Reader<'a>, Unread> {
        let start = reader.at.point;
        let (mut end, mut letters, mut latin, mut alike) = (start, 0, false, false);
        // What was dropped between letters, and since the last.
        let (mut hidden, mut waiting) = (Hidden::default(), Hidden::default());
        let (mut before, mut last) = (0, 0);
        loop {
            let (written, point) = (reader.letter(), reader.at.point);
            let Turned { letter, latin: own } = match reader.role(0) {
                Role::Letter => Turned { letter: written as u8 | 0x20, latin: true },
                Role::Other => match turned(written) {
                    Some(turned) => turned,
                    None => return Err(Unread::Other),
                },
                Role::Ignored => {
                    if written != '\u{ad}' {
                        waiting.add(Hidden { start: point, end: point + 1, count: 1 });
                    }
                    reader.skip(written);
                    continue;
                }
                Role::Space | Role::Symbol | Role::Closing => break,
                Role::Apostrophe => match reader.role(written.len_utf8()) {
                    Role::Space | Role::Symbol | Role::Closing | Role::Apostrophe => break,
                    _ => return Err(Unread::Other),
                },
                Role::Digit | Role::Special | Role::Foreign | Role::Mark => return Err(Unread::Other),
            };
            hidden.add(std::mem::take(&mut waiting));
            (latin, alike) = (latin | own, alike | !own);
            (letters, end) = (letters + 1, point + 1);
            reader.skip(written);
            if letter == last && letter == before {
                self.made.stretch(end);
            } else {
                self.made.push_byte(letter, point, end);
                (before, last) = (last, letter);
            }
        }
        // `www.` begins a link.
        if last == b'w' && reader.ahead(0) == b'.' {
            return Err(Unread::Other);
        }
        match latin {
            true => self.made.scripts.latin += letters,
            false => self.made.scripts.assumed = true,
        }
        if hidden.count >= 2 {
            self.suspects.push(Suspect { start: hidden.start, end: hidden.end, guise: Guise::Invisible });
        }
        if latin && alike && letters >= 3 {
            self.suspects.push(Suspect { start, end, guise: Guise::MixedScript });
        }
        Ok(reader)
    }

    /// The same of a script without case.
    fn foreign(&mut self, reader: &mut Reader) -> Result<(), Unread> {
        self.made.scripts.foreign = true;
        let (mut before, mut last) = ('\0', '\0');
        let mut put = |direct: &mut Made, letter: char, start: u32, end: u32| {
            if letter == last && letter == before {
                direct.stretch(end);
            } else {
                direct.push(letter, start, end);
                (before, last) = (last, letter);
            }
        };
        let mut letter = reader.letter();
        loop {
            let start = reader.at.point;
            match role_of(letter) {
                Role::Foreign => {
                    reader.skip(letter);
                    let mark = reader.letter();
                    if !properties_of(mark).joins() {
                        put(&mut self.made, letter, start, start + 1);
                        letter = mark;
                        continue;
                    }
                    // One mark that stays what it is beside its letter.
                    let properties = properties_of(mark);
                    reader.skip(mark);
                    if !is_foreign(mark)
                        || !matches!(properties.class(), class::MARK | class::SPACING)
                        || !properties.is_whole()
                        || properties.is_cased()
                        || compose(letter, mark).is_some()
                        || properties_of(reader.letter()).joins()
                    {
                        return Err(Unread::Other);
                    }
                    put(&mut self.made, letter, start, start + 2);
                    put(&mut self.made, mark, start, start + 2);
                }
                Role::Mark => {
                    reader.skip(letter);
                    put(&mut self.made, letter, start, start + 1);
                }
                // Its script has a use for it.
                Role::Ignored if is_scripted(letter) => reader.skip(letter),
                Role::Space | Role::Symbol | Role::Closing => return Ok(()),
                Role::Apostrophe | Role::Digit | Role::Special => return Err(Unread::Special),
                Role::Letter | Role::Ignored | Role::Other => return Err(Unread::Other),
            }
            letter = reader.letter();
        }
    }

    /// Reads a chunk by all rules of `words`; none when it takes the steps.
    fn special<'a>(&mut self, mut reader: Reader<'a>, gap: (u32, u32)) -> Option<Reader<'a>> {
        self.chunk.clear();
        let (mut latin, mut foreign) = (false, false);
        loop {
            let (start, letter) = (reader.at.point, reader.letter());
            let role = reader.role(0);
            match role {
                Role::Space => break,
                Role::Other | Role::Ignored | Role::Mark => return None,
                _ if reader.may_escape() => return None,
                _ => {}
            }
            latin |= role == Role::Letter;
            foreign |= role == Role::Foreign || letter == 'ʼ';
            let letter = if letter.is_ascii() { alike::ascii(letter) } else { letter };
            let read = if role == Role::Special && !letter.is_ascii() { digit(letter) } else { letter };
            self.chunk.push(Cell { letter: read, start, end: start + 1 });
            reader.skip(letter);
        }
        if latin && foreign {
            return None;
        }
        self.made.scripts.foreign |= foreign;
        self.words(gap);
        Some(reader)
    }

    /// Reads a chunk by all steps, and how many characters these bring; none when the text takes them as a whole.
    fn steps<'a>(&mut self, mut reader: Reader<'a>, gap: (u32, u32), steps: &mut Steps) -> Option<(Reader<'a>, usize)> {
        steps.cells.clear();
        while !reader.is_at_space() {
            let (letter, start) = (reader.letter(), reader.at.point);
            steps.cells.push(Cell { letter, start, end: start + 1 });
            reader.skip(letter);
        }
        let more = steps.chunk(&mut self.suspects)?;
        std::mem::swap(&mut self.chunk, &mut steps.cells);
        self.words(gap);
        Some((reader, more))
    }

    /// Makes the words and symbols of `chunk`.
    fn words(&mut self, gap: (u32, u32)) {
        let Self { made, chunk, cells, atoms, .. } = self;
        cells.clear();
        atoms.clear();
        words::atoms(chunk, gap, cells, atoms);
        for &mut Atom { first, last, kind, gap } in atoms {
            let own = &cells[first as usize..last as usize];
            let start = made.open(gap, kind, own[0].start);
            own.iter().for_each(|cell| made.push(cell.letter, cell.start, cell.end));
            made.close(start, kind, gap);
        }
    }
}

/// What a chunk takes that could not be read.
enum Unread {
    /// The rules of `words`.
    Special,
    /// The steps.
    Other,
}
