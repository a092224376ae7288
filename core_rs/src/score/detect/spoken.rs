//! Phone numbers in words: `nine eight double five …`, `nau aath saat …`, also with digits among them.
use super::{
    phone::{self, Context},
    text::Text,
    words::{AMBIGUOUS, Cue, MULTIPLE, NUMBER},
};

/// Bytes between two words of one number.
const GAP: usize = 4;
/// Digits of a number in words that nothing announces.
const PLAIN: usize = 8;

pub(super) fn find(text: &Text, mut found: impl FnMut(usize, usize)) {
    if text.roles & NUMBER == 0 {
        return;
    }
    let mut index = 0;
    while index < text.tokens.len() {
        if !text.tokens[index].cue.is(NUMBER | MULTIPLE) {
            index += 1;
            continue;
        }
        let (sequence, after) = Sequence::read(text, index);
        if sequence.is_phone(text) {
            found(sequence.start, sequence.end);
        }
        index = after.max(index + 1);
    }
}

#[derive(Debug, Default)]
struct Sequence {
    start: usize,
    end: usize,
    digits: Vec<u8>,
    /// What each word or group said.
    values: Vec<u8>,
    words: usize,
    ambiguous: usize,
    /// Numbers from ten on: in pairs of digits when all are.
    large: usize,
}

impl Sequence {
    /// What follows from a token on, and the first token after it.
    fn read(text: &Text, first: usize) -> (Self, usize) {
        let mut index = first;
        let mut sequence = Self { start: text.tokens[first].start, ..Self::default() };
        sequence.lead(text);
        let mut at = text.tokens[first].start;
        let mut times = 1;
        // The tens that wait for their unit: `ninety` before `eight`.
        let mut tens: Option<u8> = None;
        while sequence.digits.len() <= 2 * 16 {
            let token = text.tokens.get(index).filter(|token| token.start == at && token.cue.is(NUMBER | MULTIPLE));
            if let Some(token) = token {
                index += 1;
                at = token.end;
                sequence.end = at;
                if token.cue.is(MULTIPLE) && !token.cue.is(NUMBER) {
                    times = token.cue.value;
                    at = gap(text, at);
                    continue;
                }
                sequence.say(token.cue, times, &mut tens);
                times = 1;
            } else if text.at(at).is_ascii_digit() && at < text.len() {
                let from = at;
                while text.at(at).is_ascii_digit() {
                    at += 1;
                }
                if super::text::is_word(text.at(at)) {
                    break;
                }
                tens = None;
                for &digit in text.slice(from, at).iter().take(16) {
                    for _ in 0..times {
                        sequence.digits.push(digit - b'0');
                    }
                    sequence.values.push(digit - b'0');
                }
                times = 1;
                sequence.end = at;
            } else {
                break;
            }
            at = gap(text, at);
        }
        (sequence, index)
    }

    /// Digits just before the first word.
    fn lead(&mut self, text: &Text) {
        let mut at = self.start;
        while at > 0 && self.start - at < 20 && matches!(text.at(at - 1), b'0'..=b'9' | b' ' | b'-') {
            at -= 1;
        }
        if at > 0 && (super::text::is_word(text.at(at - 1)) || matches!(text.at(at - 1), b'.' | b':' | b'$' | b'#')) {
            return;
        }
        let first = (at..self.start).find(|&at| text.at(at).is_ascii_digit());
        if let Some(first) = first {
            let digits = text.slice(first, self.start).iter().filter(|byte| byte.is_ascii_digit());
            self.digits.extend(digits.map(|digit| digit - b'0'));
            self.values.extend_from_slice(&self.digits);
            self.start = first;
        }
    }

    fn say(&mut self, cue: Cue, times: u8, tens: &mut Option<u8>) {
        self.words += 1;
        self.ambiguous += usize::from(cue.is(AMBIGUOUS));
        match (cue.value, tens.take()) {
            (unit @ 1..=9, Some(ten)) => {
                *self.digits.last_mut().expect("the tens put two") = unit;
                *self.values.last_mut().expect("the tens put one") = ten + unit;
            }
            (digit @ 0..=9, _) => {
                self.digits.extend(std::iter::repeat_n(digit, usize::from(times)));
                self.values.push(digit);
            }
            (number, _) => {
                self.large += 1;
                self.digits.extend([number / 10, number % 10]);
                self.values.push(number);
                *tens = (number >= 20).then_some(number);
            }
        }
    }

    fn is_phone(&self, text: &Text) -> bool {
        let total = self.digits.len();
        if self.words < 3 || !(7..=15).contains(&total) || 2 * self.ambiguous > self.words {
            return false;
        }
        let (from, to) = text.word_before(self.start);
        if matches!(text.slice(from, to), b"point" | b"dot" | b"equals" | b"count") {
            return false;
        }
        let phone = phone::context(text, self.start, self.end) == Context::Phone;
        let dictated = total == 10 && self.digits[0] == 9 && self.large == 0;
        let pairs = 2 * self.large >= total - 1;
        (dictated || !phone::is_monotone(&self.values))
            && (phone || total >= PLAIN)
            && phone::kinds(&self.digits) >= if phone { 2 } else { 4 }
            && (phone || self.large == 0 || (pairs && total == 10))
    }
}

/// After what may stand between two words of one number.
fn gap(text: &Text, from: usize) -> usize {
    let mut at = from;
    while at < from + GAP && at < text.len() && matches!(text.at(at), b' ' | b',' | b'-' | b'.' | b'\n' | b'/' | b'_') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{found, nothing},
    };

    #[test]
    fn numbers_in_words() {
        found(
            Kind::Phone,
            &[
                "nine eight seven six five four three two one zero",
                "my number is nine eight double five four three two one zero seven",
                "nau aath saat chhe paanch chaar teen do ek shunya",
                "call me: seven oh three, five five five, one two three four",
                "nine, eight, seven, six, one, two, three, four, five, zero",
                "NINE EIGHT SEVEN ONE TWO THREE FOUR FIVE SIX SEVEN",
                "nine 8 seven 6 five 4 three 1 two 0",
                "98765 four three two one zero",
                "zero seven nine double one one two three four five six",
                "whatsapp nine eight one two triple four five six seven",
                "ninety eight seventy six twenty one forty five ten",
                "नौ आठ सात छह पांच चार तीन दो एक शून्य",
                "صفر نه یک دو سه چهار پنج شش هفت هشت نه",
                "phone: five five five one two three four",
                "cero seis uno dos tres cuatro cinco seis siete ocho",
                "ek do teen chaar ek do teen chaar call karo",
            ],
        );
    }

    #[test]
    fn what_only_counts() {
        nothing(&[
            "one two three four five six seven eight nine ten",
            "ten nine eight seven six five four three two one zero",
            "nine eight seven six five four three two one",
            "one two three, one two three",
            "ek do teen chaar paanch chhe saat aath nau das",
            "three point one four one five nine two six five",
            "one zero one one zero zero one zero",
            "one one two three five eight thirteen twenty one",
            "two three five seven eleven thirteen",
            "five six people and two or three more",
            "nineteen eighty four",
            "no one to one at nine or ten",
            "chapters one two three four five",
            "twenty four hours a day seven days a week",
            "one, two, and three of five are done; six to eight are not",
            "I have one or two questions on three of the four",
            "do char sat to do",
            "seven eight nine",
            "count: one two four three five seven six eight",
            "a four by four grid, eight by eight, two by two",
        ]);
    }
}
