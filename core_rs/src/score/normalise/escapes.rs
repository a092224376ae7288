//! Step 1: one round of percent-decoding and of HTML's character references.
use super::Cell;

/// Percent-decoding (RFC 3986, 2.1): each longest run of `%XX` that is UTF-8 and holds more than control characters.
pub(super) fn decode(cells: &[Cell], into: &mut Vec<Cell>) {
    into.clear();
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < cells.len() {
        at = copy_to('%', cells, at, into);
        if at == cells.len() {
            break;
        }
        bytes.clear();
        let mut end = at;
        while let Some(byte) = octet(&cells[end..]) {
            bytes.push(byte);
            end += 3;
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) if text.chars().any(|letter| !letter.is_control()) => {
                for letter in text.chars() {
                    let width = 3 * letter.len_utf8();
                    into.push(Cell { letter, start: cells[at].start, end: cells[at + width - 1].end });
                    at += width;
                }
            }
            _ => {
                let end = end.max(at + 1);
                into.extend_from_slice(&cells[at..end]);
                at = end;
            }
        }
    }
}

/// Copies what is before the next of a sign, which is at the place that is returned.
fn copy_to(sign: char, cells: &[Cell], at: usize, into: &mut Vec<Cell>) -> usize {
    let end = cells[at..].iter().position(|cell| cell.letter == sign).map_or(cells.len(), |next| at + next);
    into.extend_from_slice(&cells[at..end]);
    end
}

fn octet(cells: &[Cell]) -> Option<u8> {
    match cells {
        [percent, high, low, ..] if percent.letter == '%' => {
            Some((high.letter.to_digit(16)? << 4 | low.letter.to_digit(16)?) as u8)
        }
        _ => None,
    }
}

/// The references amp, lt, gt, quot, nbsp, and numbers of what is neither an ASCII control character nor a surrogate.
pub(super) fn unescape(cells: &[Cell], into: &mut Vec<Cell>) {
    into.clear();
    let mut at = 0;
    loop {
        at = copy_to('&', cells, at, into);
        if at == cells.len() {
            break;
        }
        let (letter, width) = reference(&cells[at + 1..]).unwrap_or(('&', 1));
        into.push(Cell { letter, start: cells[at].start, end: cells[at + width - 1].end });
        at += width;
    }
}

/// What a reference stands for, and its length with `&` and `;`.
fn reference(after: &[Cell]) -> Option<(char, usize)> {
    const NAMED: [(&str, char); 5] = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("nbsp", '\u{a0}')];
    // `#x10FFFF;` and `#1114111;` are the longest.
    let length = after.iter().take(9).position(|cell| cell.letter == ';')?;
    let body = &after[..length];
    let letter = if body.first()?.letter == '#' {
        let hex = matches!(body.get(1)?.letter, 'x' | 'X');
        let digits = if hex { &body[2..] } else { &body[1..] };
        if digits.is_empty() || digits.len() > if hex { 6 } else { 7 } {
            return None;
        }
        let mut code = 0;
        for cell in digits {
            let radix = if hex { 16 } else { 10 };
            code = code * radix + cell.letter.to_digit(radix)?;
        }
        char::from_u32(code).filter(|letter| !letter.is_ascii_control())?
    } else {
        NAMED.into_iter().find(|(name, _)| name.chars().eq(body.iter().map(|cell| cell.letter)))?.1
    };
    Some((letter, length + 2))
}

/// Control characters that stand for those of Windows-1252, as HTML's parser reads them.
pub(super) fn windows_1252(letter: char) -> char {
    const LETTERS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match letter {
        '\u{80}'..='\u{9f}' => LETTERS[letter as usize - 0x80],
        _ => letter,
    }
}
