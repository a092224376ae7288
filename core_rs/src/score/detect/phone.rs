//! Phone numbers in digits, by the forms in which people write them: international (E.164), North American (NANP),
//! Indian, British and European; others only after a word that announces one.
//!
//! A number that could as well be something else is something else: what stands before and after it, and how its digits
//! are grouped, decide. Numbers that cost the caller nothing (0800, 1-800) are help lines and belong to nobody.
use super::{
    text::{Text, is_word},
    words::{COUNT, NUMBER, PHONE, RECORD},
};

/// Digits of E.164 at most.
const LONGEST: usize = 15;
/// Groups of digits that are looked at; a number has at most one for each digit.
const GROUPS: usize = 16;
/// Bytes before a number in which a word speaks of it, and after.
const BEFORE: usize = 48;
const AFTER: usize = 28;

/// What the words around a number say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Phone,
    Plain,
    Record,
}

/// Groups of digits with what divides them.
#[derive(Debug, Default)]
struct Run {
    start: usize,
    end: usize,
    plus: bool,
    bracket: bool,
    /// Some divider is a sign with spaces around it, as in a sum.
    loose: bool,
    /// Start and length of each group, and the divider before it.
    groups: Vec<(usize, usize, u8)>,
    /// More digits or groups than any number has.
    long: bool,
}

pub(super) fn find(text: &Text, mut found: impl FnMut(usize, usize)) {
    if text.digits < 7 {
        return;
    }
    let mut run = Run::default();
    for &(start, end) in &text.signs {
        let mut at = start.max(run.end);
        while let Some(digit) = (at..end).find(|&at| text.folded[at].is_ascii_digit()) {
            read(text, opens(text, run.end, digit), &mut run);
            at = run.end;
            if run.groups.iter().map(|group| group.1).sum::<usize>() >= 7 {
                if let Some((start, end)) = judge(text, &run) {
                    found(start, end);
                }
            }
        }
    }
}

/// Where the signs before a digit begin, not before `from`: `+`, `(` or one of each.
fn opens(text: &Text, from: usize, digit: usize) -> usize {
    match &text.folded[from..digit] {
        [.., b'+', b'('] | [.., b'(', b'+'] => digit - 2,
        [.., b'+' | b'('] => digit - 1,
        _ => digit,
    }
}

fn read(text: &Text, start: usize, run: &mut Run) {
    *run = Run { start, groups: std::mem::take(&mut run.groups), ..Run::default() };
    run.groups.clear();
    let mut at = start;
    let mut divider = 0;
    while matches!(text.at(at), b'+' | b'(') {
        run.plus |= text.at(at) == b'+';
        run.bracket |= text.at(at) == b'(';
        at += 1;
    }
    loop {
        let first = at;
        while text.at(at).is_ascii_digit() {
            at += 1;
        }
        if run.groups.len() < GROUPS {
            run.groups.push((first, at - first, divider));
        } else {
            run.long = true;
        }
        run.end = at;
        let mut next = at;
        let mut sign = 0;
        while next < at + 3 && matches!(text.at(next), b' ' | b'-' | b'.' | b'/' | b'(' | b')') && next < text.len() {
            let byte = text.at(next);
            if byte != b' ' || sign == 0 {
                sign = byte;
            }
            next += 1;
        }
        if next == at || !text.at(next).is_ascii_digit() {
            return;
        }
        run.loose |= next - at == 3 && text.at(at + 1) != b' ' && text.at(at) == b' ';
        run.bracket |= text.slice(at, next).contains(&b')');
        divider = sign;
        at = next;
    }
}

/// What the words around bytes `start` to `end` say; the nearest decides, one before sooner than one after.
pub(super) fn context(text: &Text, start: usize, end: usize) -> Context {
    for token in text.tokens_before(start).take_while(|token| start - token.end <= BEFORE) {
        if token.cue.is(PHONE) {
            return Context::Phone;
        }
        if token.cue.is(RECORD) && !token.cue.is(NUMBER) {
            return Context::Record;
        }
        if token.cue.is(COUNT) {
            let (from, to) = text.word_before(token.start);
            match text.slice(from, to) {
                b"my" | b"our" | b"his" | b"her" | b"their" | b"personal" | b"private" | b"mera" | b"meri"
                | b"apna" | b"new" | b"ur" | b"your" | b"mi" | b"mon" | b"meine" => return Context::Phone,
                _ => {}
            }
        }
    }
    for token in text.tokens_after(end).take_while(|token| token.start - end <= AFTER) {
        if token.cue.is(RECORD) && !token.cue.is(NUMBER | PHONE) && token.start - end <= 2 {
            return Context::Record;
        }
        if token.cue.is(PHONE) {
            return Context::Phone;
        }
        if token.cue.is(COUNT)
            && matches!(text.word_before(token.start), (a, b) if matches!(text.slice(a, b), b"my" | b"mera"))
        {
            return Context::Phone;
        }
    }
    Context::Plain
}

/// The bytes of the phone number in a run, when there is one: in the whole of it, or without a short number beside it.
fn judge(text: &Text, run: &Run) -> Option<(usize, usize)> {
    let context = context(text, run.start, run.end);
    if !stands_alone(text, run, context) {
        return None;
    }
    let groups = &run.groups[..];
    if !run.long && is_phone(text, run, groups, context) {
        return Some((run.start, run.end));
    }
    let apart = |group: (usize, usize, u8), divider: u8| group.1 <= 2 && divider == b' ';
    let (first, last) = (groups[0], groups[groups.len() - 1]);
    if groups.len() >= 3 && !run.plus && apart(first, groups[1].2) && is_phone(text, run, &groups[1..], context) {
        return Some((groups[1].0, run.end));
    }
    let rest = &groups[..groups.len() - 1];
    if rest.len() >= 2 && apart(last, last.2) && is_phone(text, run, rest, context) {
        let end = rest[rest.len() - 1];
        return Some((run.start, end.0 + end.1));
    }
    None
}

/// Whether nothing that touches the number makes it a part of something else.
fn stands_alone(text: &Text, run: &Run, context: Context) -> bool {
    let before = text.before(run.start);
    let touches = run.start > 0 && is_word(before);
    if touches {
        return false;
    }
    let glued = |sign: u8| before == sign && run.start > 1 && is_word(text.at(run.start - 2));
    let announced =
        text.tokens_before(run.start).next().is_some_and(|token| token.end + 1 == run.start && token.cue.is(PHONE));
    if matches!(before, b'$' | b'#' | b'^' | b'*' | b'%' | b'<' | b'>' | b'~' | b'&' | b'?' | b'\\' | b'@')
        || (before == b',' && text.before(run.start - 1).is_ascii_digit())
        || (before == b':' && text.before(run.start - 1).is_ascii_digit())
        || glued(b'.')
        || glued(b'/')
        || ((glued(b'-') || before == b'=') && !announced)
    {
        return false;
    }
    let after = text.at(run.end);
    let beyond = text.at(run.end + 1);
    if is_word(after)
        || matches!(after, b'%' | b'=' | b'^' | b'*' | b'@' | b'#')
        || (matches!(after, b',' | b':' | b'/' | b'-' | b'+') && is_word(beyond))
    {
        return false;
    }
    if context == Context::Phone || run.plus {
        return true;
    }
    let mut left = run.start;
    while left > 0 && run.start - left < 4 && text.at(left - 1) == b' ' {
        left -= 1;
    }
    let right = text.skip_spaces(run.end, 3);
    let sign = |byte: u8| {
        matches!(byte, b'=' | b'*' | b'^' | b'$' | b'<' | b'>' | b'#' | b'+' | b'/' | b'%' | b'|' | b'[' | b']')
    };
    !(sign(text.before(left)) || ((right > run.end || after == b']') && sign(text.at(right))))
}

fn is_phone(text: &Text, run: &Run, groups: &[(usize, usize, u8)], context: Context) -> bool {
    let total: usize = groups.iter().map(|group| group.1).sum();
    if !(7..=LONGEST).contains(&total) {
        return false;
    }
    let mut digits = [0u8; LONGEST];
    let mut lengths = [0usize; GROUPS];
    let mut at = 0;
    for (length, group) in lengths.iter_mut().zip(groups) {
        *length = group.1;
        for &digit in text.slice(group.0, group.0 + group.1) {
            digits[at] = digit - b'0';
            at += 1;
        }
    }
    let (digits, lengths) = (&digits[..total], &lengths[..groups.len()]);
    let phone = context == Context::Phone;
    if is_free(digits) || is_date(text, groups) || (!phone && !run.plus && kinds(digits) <= 2) {
        return false;
    }
    if run.plus {
        return digits[0] != 0 && total >= 9 && (context != Context::Record || groups.len() > 1);
    }
    if context == Context::Record || is_decimal(groups) || is_ip(text, groups) || is_isbn(digits, groups) {
        return false;
    }
    if lengths.len() >= 8 {
        return by_single_digits(digits, phone);
    }
    if is_ladder(text, groups) || (run.loose && !run.bracket && !phone) {
        return false;
    }
    if groups.iter().any(|group| group.2 == b'/') && digits[0] != 0 && !phone {
        return false;
    }
    if phone {
        return !is_years(text, groups) && (total != 10 || digits[0] == 9 || !is_counting(digits));
    }
    is_indian(digits, lengths, text, groups)
        || is_north_american(run, digits, lengths, text, groups)
        || is_trunk(digits, lengths)
        || (digits.starts_with(&[0, 0])
            && total >= 11
            && digits[2] != 0
            && (lengths.len() > 1 || is_known_code(&digits[2..])))
}

/// Ten digits from 6 on in the groups that are usual, after 0 or 91 or nothing.
fn is_indian(digits: &[u8], lengths: &[usize], text: &Text, groups: &[(usize, usize, u8)]) -> bool {
    let national = |digits: &[u8]| digits.len() == 10 && digits[0] >= 6 && (digits[0] == 9 || !is_counting(digits));
    match digits.len() {
        10 => {
            national(digits)
                && matches!(
                    lengths,
                    [10] | [5, 5]
                        | [3, 3, 4]
                        | [4, 3, 3]
                        | [3, 4, 3]
                        | [4, 6]
                        | [3, 7]
                        | [5, 3, 2]
                        | [5, 2, 3]
                        | [2, 4, 4]
                        | [4, 2, 4]
                )
                && !(lengths.len() > 1 && are_round(text, groups))
        }
        11 => digits[0] == 0 && national(&digits[1..]) && matches!(lengths, [11] | [1, 10] | [6, 5] | [1, 5, 5]),
        12 => {
            digits[..2] == [9, 1]
                && national(&digits[2..])
                && matches!(lengths, [12] | [2, 10] | [2, 5, 5] | [2, 3, 3, 4] | [2, 4, 3, 3])
        }
        _ => false,
    }
}

/// NPA-NXX-XXXX: area and exchange start at 2.
fn is_north_american(run: &Run, digits: &[u8], lengths: &[usize], text: &Text, groups: &[(usize, usize, u8)]) -> bool {
    let (digits, lengths, groups) = match (digits, lengths) {
        ([1, digits @ ..], [1, lengths @ ..]) => (digits, lengths, &groups[1..]),
        _ => (digits, lengths, groups),
    };
    digits.len() == 10
        && digits[0] >= 2
        && digits[3] >= 2
        && match lengths {
            [3, 3, 4] => run.bracket || groups[2].2 != b' ' || !are_round(text, groups),
            [3, 7] => run.bracket,
            _ => false,
        }
}

/// A national number with its trunk prefix 0: British, French, German, Dutch, Iranian, Pakistani and many more.
fn is_trunk(digits: &[u8], lengths: &[usize]) -> bool {
    if digits[0] != 0 || digits[1] == 0 || is_counting(digits) {
        return false;
    }
    match lengths {
        [total] => matches!(total, 10 | 11) || (*total == 12 && digits[1] == 1 && digits[2] >= 5),
        [first, rest @ ..] => {
            (9..=12).contains(&digits.len())
                && (2..=6).contains(first)
                && rest.iter().all(|&length| (2..=8).contains(&length))
        }
        [] => false,
    }
}

/// Country codes whose numbers are also written in one piece after 00.
fn is_known_code(digits: &[u8]) -> bool {
    matches!(digits, [9, 1 | 2 | 8, ..] | [4, 1 | 3 | 4 | 9, ..] | [3, 1..=4 | 9, ..] | [9, 7, 1, ..] | [1, 2..=9, ..])
}

/// A number dictated digit by digit.
fn by_single_digits(digits: &[u8], phone: bool) -> bool {
    match digits.len() {
        10 => digits[0] == 9 || ((digits[0] >= 6 || phone) && !is_monotone(digits)),
        8..=13 => (phone || (digits[0] == 0 && digits.len() >= 10)) && !is_monotone(digits),
        _ => false,
    }
}

/// How many different digits there are.
pub(super) fn kinds(digits: &[u8]) -> u32 {
    digits.iter().fold(0u32, |seen, &digit| seen | 1 << digit).count_ones()
}

/// The same of bytes of any kind.
pub(super) fn kinds_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u128, |seen, &byte| seen | 1 << (byte & 0x7f)).count_ones()
}

/// Whether each step goes the same way, as when counting.
pub(super) fn is_monotone(values: &[u8]) -> bool {
    values.windows(2).all(|pair| pair[0] < pair[1]) || values.windows(2).all(|pair| pair[0] > pair[1])
}

/// 1234567890, 0123456789, 9876543210: each digit the next.
fn is_counting(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| (pair[0] + 1) % 10 == pair[1])
        || digits.windows(2).all(|pair| pair[0] == (pair[1] + 1) % 10)
}

/// Toll-free: 1-800 and its like, 0800, 0808, Indian 1800.
fn is_free(digits: &[u8]) -> bool {
    let digits = match digits {
        [1, rest @ ..] if rest.len() == 10 => rest,
        _ => digits,
    };
    match digits {
        [0, 8, 0, 0 | 8, ..] | [1, 8, 0, 0, ..] => true,
        [8, a, b, ..] if digits.len() == 10 => a == b && matches!(a, 0 | 3..=8),
        _ => false,
    }
}

fn value(text: &Text, group: (usize, usize, u8)) -> usize {
    text.slice(group.0, group.0 + group.1.min(9)).iter().fold(0, |sum, &digit| sum * 10 + usize::from(digit - b'0'))
}

/// Day, month and year in any order that is in use, with the same sign between them, wherever in the run.
fn is_date(text: &Text, groups: &[(usize, usize, u8)]) -> bool {
    groups.windows(3).any(|three| {
        let sign = three[1].2;
        if sign != three[2].2 || !matches!(sign, b'-' | b'.' | b'/' | b' ') {
            return false;
        }
        let (year, other, last) = match (three[0].1, three[1].1, three[2].1) {
            (4, 1 | 2, 1 | 2) => (three[0], three[1], three[2]),
            (1 | 2, 1 | 2, 4) => (three[2], three[0], three[1]),
            _ => return false,
        };
        let (other, last) = (value(text, other), value(text, last));
        (1300..=2199).contains(&value(text, year))
            && (1..=31).contains(&other)
            && (1..=31).contains(&last)
            && other.min(last) <= 12
    }) || groups.iter().any(|group| {
        // 20261130, alone or before a time.
        let number = if group.1 == 8 { value(text, *group) } else { 0 };
        (1900..=2199).contains(&(number / 10_000))
            && (1..=12).contains(&(number / 100 % 100))
            && (1..=31).contains(&(number % 100))
    })
}

/// Two or more groups that are all years.
fn is_years(text: &Text, groups: &[(usize, usize, u8)]) -> bool {
    groups.len() >= 2 && groups.iter().all(|&group| group.1 == 4 && (1300..=2199).contains(&value(text, group)))
}

fn is_decimal(groups: &[(usize, usize, u8)]) -> bool {
    matches!(groups, [_, (_, _, b'.')])
        || (groups.len() >= 2
            && groups[groups.len() - 1].2 == b'.'
            && groups[1..groups.len() - 1].iter().any(|group| group.2 == b' ')
            && groups[groups.len() - 1].1 <= 2)
}

fn is_ip(text: &Text, groups: &[(usize, usize, u8)]) -> bool {
    groups.len() == 4
        && groups[1..].iter().all(|group| group.2 == b'.')
        && groups.iter().all(|&group| group.1 <= 3 && value(text, group) <= 255)
}

/// ISO 2108: thirteen digits after 978 or 979, or ten, with the right check digit.
fn is_isbn(digits: &[u8], groups: &[(usize, usize, u8)]) -> bool {
    match digits.len() {
        13 => {
            let sum: u32 =
                (0..).zip(digits).map(|(place, &digit)| u32::from(digit) * if place % 2 == 0 { 1 } else { 3 }).sum();
            digits[..2] == [9, 7] && digits[2] >= 8 && sum % 10 == 0
        }
        10 => {
            let sum: u32 = (1..=10).rev().zip(digits).map(|(weight, &digit)| weight * u32::from(digit)).sum();
            sum % 11 == 0 && (groups.len() == 4 && groups[3].1 == 1)
        }
        _ => false,
    }
}

/// Three or more numbers of one length that rise or fall: a list, not a number.
fn is_ladder(text: &Text, groups: &[(usize, usize, u8)]) -> bool {
    // 06 12 34 56 78 is French all the same, when its steps differ.
    let french = groups.len() == 5 && text.at(groups[0].0) == b'0' && groups.iter().all(|group| group.1 == 2);
    let step = |pair: &[(usize, usize, u8)]| value(text, pair[1]).abs_diff(value(text, pair[0]));
    groups.len() >= 3
        && !(french && groups.windows(2).any(|pair| step(pair) != step(&groups[..2])))
        && groups[1..].iter().all(|group| group.2 == b' ' && group.1.abs_diff(groups[0].1) <= 1)
        && (groups.windows(2).all(|pair| value(text, pair[0]) < value(text, pair[1]))
            || groups.windows(2).all(|pair| value(text, pair[0]) > value(text, pair[1])))
        && groups.iter().all(|group| group.1 <= 3)
}

/// All groups end in 0: amounts.
fn are_round(text: &Text, groups: &[(usize, usize, u8)]) -> bool {
    groups.iter().all(|group| text.at(group.0 + group.1 - 1) == b'0')
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{found, nothing},
    };

    #[test]
    fn numbers_in_digits() {
        found(
            Kind::Phone,
            &[
                "+91 98765 43210",
                "call me on 9876543210",
                "my number is 98765-43210",
                "+1 (415) 555-2671",
                "(415) 555-2671",
                "415-555-2671",
                "415.555.2671",
                "1-415-555-2671",
                "+44 20 7946 0958",
                "020 7946 0958",
                "07911 123456",
                "+447911123456",
                "0044 20 7946 0958",
                "+49 170 1234567",
                "0170/1234567",
                "030-1234567 89",
                "06 12 34 56 78",
                "+33 6 12 34 56 78",
                "01.42.68.53.00",
                "0912 345 6789",
                "09123456789",
                "+98 912 345 6789",
                "۰۹۱۲۳۴۵۶۷۸۹",
                "९८७६५४३२१०",
                "+91-9876543210",
                "919876543210",
                "0091 98765 43210",
                "98765 43210",
                "987-654-3210",
                "ph: 040-23456789",
                "tel:+14155552671",
                "whatsapp 98765 43210",
                "Text 4155552671 tonight",
                "My cell: 5552671",
                "9 8 7 6 5 4 3 2 1 0",
                "9-8-7-6-5-4-3-1-2-0",
                "９８７６５４３２１０",
                "9️⃣8️⃣7️⃣6️⃣5️⃣4️⃣3️⃣2️⃣1️⃣0️⃣",
                "98765\u{200b}43210",
                "+971 50 123 4567",
                "+55 11 91234-5678",
                "0300-1234567",
                "+86 138 0013 8000",
                "my mobile no. is 98765 43210",
                "98765 43210 is my number",
                "reach me at 415 555 2671",
                "phone=9876543210",
                "Ph-9876543210",
                "gpay 9876543210",
                "0412 345 678",
                "+61 412 345 678",
                "+7 (912) 345-67-89",
                "8 98765 43210",
                "call 0611223344",
                "(030) 12345678",
                "your mobile, 07700 900123, is right?",
            ],
        );
    }

    #[test]
    fn what_is_no_number_of_a_phone() {
        nothing(&[
            "The order number is 9876543210",
            "ticket 8734659210 is closed",
            "ISBN 978-3-16-148410-0",
            "978-0-306-40615-7",
            "0-306-40615-2",
            "2024-11-30 19:29:35",
            "30.11.2026",
            "30/11/2026 at 10:30",
            "2026-11-30",
            "1999-2004",
            "192.168.100.200",
            "10.0.0.255:8080",
            "3.14159265358979",
            "x = 9876543210",
            "2147483647",
            "4294967295",
            "1700000000",
            "1234567890",
            "0123456789",
            "9999999999",
            "1000000000",
            "$9876543210",
            "₹98,76,543",
            "€ 1.234.567,89",
            "12 345 678",
            "10 20 30 40 50 60",
            "1 2 3 4 5 6 7 8 9 10",
            "1 1 2 3 5 8 13 21 34 55",
            "2 4 8 16 32 64 128 256",
            "5 3 4 6 7 8 9 1 2",
            "550e8400-e29b-41d4-a716-446655440000",
            "0x9876543210",
            "deadbeef9876543210",
            "id=9876543210",
            "#9876543210",
            "9876543210 + 1",
            "7 * 9876543210",
            "9876543210 bytes were read",
            "6543217890 rows",
            "between 60000-70000 people",
            "tensor of shape 128 256 3072",
            "v1.2.3.4567890",
            "commit 9876543210abcdef",
            "error code 0800 123456",
            "call 1-800-273-8255 if you are in danger",
            "0800 123 4567",
            "In 1984 2001 2010",
            "19:30 - 20:45",
            "10:30 11:45 12:15 13:00",
            "2^31 - 1 = 2147483647",
            "page 123-456-7890",
            "PMID 98765432",
            "meeting id: 987 6543 2100",
            "port 8080 8443 9090",
            "arr = [9876543210, 8765432109]",
            "98765 - 43210",
            "12.5 67.8 90.1 23.4",
            "score 98 76 54 32 10",
            "01 02 03 04 05 06",
            "the hash is 9876543210",
            "UTR 987654321012",
            "0.0000001234567",
            "1e10 9876543.210",
            "lat 48.8566 lon 2.3522",
            "population 9876543210",
            "20261130 193000",
            "September 11 2001 09 11",
            "MacBook 2019 2020 2021",
            "1 000 000 000",
            "65536 * 65536",
            "/api/users/9876543210",
            "file-9876543210.txt",
            "version 2024.11.30.1",
            "call me in 5 minutes at 10:30",
            "phone me between 2019-12-01 and 2020-01-15",
        ]);
    }
}
