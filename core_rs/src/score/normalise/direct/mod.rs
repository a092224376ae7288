//! The plain text of what shows its words by itself, straight from its bytes: most texts. That is ASCII, other symbols,
//! letters that become one of ASCII wherever a word has Latin ones, and words of scripts without case that no letter of
//! another script is among. Where a chunk (what is between white space) asks for more than the eye sees, it is read by
//! `words`; where an escape may be or a letter changes otherwise, it takes the steps, and where these depend on what is
//! around it, the whole text does. What was made of a chunk is the same wherever it is read again.
mod made;
mod map;
mod reader;
mod seen;

use super::{
    Cell, Guise, Kind, Normalised, READ, Suspect, Word, alike,
    compatible::is_scripted,
    latin::{Turned, turned},
    steps::Steps,
    unicode::{class, digit, properties_of},
    words::{self, Atom},
};
use made::{Before, Made};
use map::Map;
use reader::{Place, Reader, Role, is_foreign, role_of};
use seen::{Chunk, Seen};
use simdutf8::basic::from_utf8;
use unicode_normalization::char::compose;

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

/// What a chunk takes that could not be read.
enum Unread {
    /// The rules of `words`.
    Words,
    /// The steps.
    Steps,
}

/// Room that reading needs, kept from text to text.
#[derive(Debug, Default)]
pub(super) struct Direct {
    map: Map,
    made: Made,
    /// The same with letters joined.
    joined: Made,
    chunk: Vec<Cell>,
    /// What words of the chunk are made of.
    cells: Vec<Cell>,
    atoms: Vec<Atom>,
    suspects: Vec<Suspect>,
    seen: Seen,
}

impl Direct {
    /// Writes plain text, words and what is suspect, in any order; false when the whole text takes the steps.
    pub(super) fn read(&mut self, text: &str, steps: &mut Steps, result: &mut Normalised) -> bool {
        let mut map = std::mem::take(&mut self.map);
        map.read(text);
        let done = self.read_mapped(text, &map, steps, result);
        self.map = map;
        done
    }

    fn read_mapped(&mut self, text: &str, map: &Map, steps: &mut Steps, result: &mut Normalised) -> bool {
        self.made.clear();
        self.suspects.clear();
        self.made.text.reserve(text.len());
        self.made.origins.reserve(text.len());
        let mut reader = Reader { text, map, at: Place { byte: 0, point: 0 } };
        let mut more = 0;
        loop {
            let gap = reader.at.point;
            while reader.is_at_space() && reader.at.byte < text.len() {
                reader.skip(' ');
            }
            if reader.at.byte == text.len() {
                break;
            }
            let gap = (gap, reader.at.point);
            let (letters, count) = map.words(reader.at.byte);
            if count > 0 {
                let Place { byte, point } = reader.at;
                self.made.push_words(&text.as_bytes()[byte..byte + count as usize], letters, point, gap);
                reader.at = Place { byte: byte + count as usize, point: point + count };
                continue;
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
            let Ok(text) = from_utf8(&made.text) else { return false };
            joined.join(made, text);
            std::mem::swap(made, joined);
        }
        let Ok(plain) = from_utf8(&made.text) else { return false };
        let byte = |at: u32| made.origins.get(at as usize).map_or(plain.len() as u32, |origin| origin.byte);
        let words = made.atoms.iter();
        result.words.extend(words.map(|atom| Word { start: byte(atom.first), end: byte(atom.last), kind: atom.kind }));
        result.plain.text.push_str(plain);
        result.suspects.extend_from_slice(&self.suspects);
        std::mem::swap(&mut result.plain.origins, &mut made.origins);
        true
    }

    /// Reads a chunk, and how many characters the steps bring; none when the whole text takes them.
    #[inline]
    fn chunk<'a>(&mut self, reader: Reader<'a>, gap: (u32, u32), steps: &mut Steps) -> Option<(Reader<'a>, usize)> {
        let Place { byte, point } = reader.at;
        let chunk = Chunk::at(&reader);
        if let Some(entry) = chunk.and_then(|chunk| self.seen.get(&chunk)) {
            self.made.push_part(&entry.part, gap, point);
            self.suspects.extend(entry.suspects.iter().map(|suspect| suspect.moved(point)));
            let after = Place { byte: byte + entry.bytes(), point: point + entry.points };
            return Some((Reader { at: after, ..reader }, entry.more));
        }
        let (before, suspects) = (self.made.begin(), self.suspects.len());
        let (after, more) = self.unknown(reader, gap, before, steps)?;
        if let Some(entry) = chunk.and_then(|chunk| self.seen.keep(chunk)) {
            self.made.copy_since(before, point, &mut entry.part);
            entry.suspects.clear();
            entry.suspects.extend(self.suspects[suspects..].iter().map(|suspect| suspect.moved(point.wrapping_neg())));
            (entry.points, entry.more) = (after.at.point - point, more);
        }
        self.made.end(before);
        Some((after, more))
    }

    /// The same for a chunk that is not known.
    #[inline(never)]
    fn unknown<'a>(
        &mut self,
        reader: Reader<'a>,
        gap: (u32, u32),
        before: Before,
        steps: &mut Steps,
    ) -> Option<(Reader<'a>, usize)> {
        let suspects = self.suspects.len();
        let unread = match self.simple(reader, gap) {
            Ok(after) => return Some((after, 0)),
            Err(unread) => unread,
        };
        self.made.cut(before);
        self.suspects.truncate(suspects);
        if let Unread::Words = unread {
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
                        Err(Unread::Words) => return Err(Unread::Words),
                        Err(Unread::Steps) => {
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
                        _ => return Err(Unread::Words),
                    }
                    self.made.close(first, Kind::Word, gap);
                    symbols = ['\0'; 2];
                }
                role @ (Role::Symbol | Role::Closing | Role::Apostrophe) => {
                    closed |= role == Role::Closing;
                    if reader.may_escape() {
                        return Err(Unread::Steps);
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
                Role::Other | Role::Ignored | Role::Mark => return Err(Unread::Steps),
                _ => return Err(Unread::Words),
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
                        _ => return Err(Unread::Words),
                    }
                    self.made.push_byte(b'\'', reader.at.point, reader.at.point + 1);
                    reader.skip(written);
                }
                Role::Letter | Role::Digit | Role::Special => return Err(Unread::Words),
                Role::Foreign | Role::Mark | Role::Ignored | Role::Other => return Err(Unread::Steps),
            }
        }
        // `www.` begins a link.
        let read = &reader.text.as_bytes()[..reader.at.byte];
        let host = reader.ahead(0) == b'.' && matches!(read, [.., b'w' | b'W', b'w' | b'W', b'w' | b'W']);
        if apostrophes > 1 || host {
            return Err(Unread::Words);
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
                    None => return Err(Unread::Steps),
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
                    _ => return Err(Unread::Steps),
                },
                Role::Digit | Role::Special | Role::Foreign | Role::Mark => return Err(Unread::Steps),
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
            return Err(Unread::Steps);
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
                        return Err(Unread::Steps);
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
                Role::Apostrophe | Role::Digit | Role::Special => return Err(Unread::Words),
                Role::Letter | Role::Ignored | Role::Other => return Err(Unread::Steps),
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
