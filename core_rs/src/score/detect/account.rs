//! Accounts that show by their check digits: IBAN (ISO 13616), cards (ISO/IEC 7812), Bitcoin, Tron and Ethereum addresses.
use super::{
    phone::{self, Context},
    text::{Text, is_word},
};
use aws_lc_rs::digest;

/// Lengths of IBANs by country (SWIFT IBAN registry).
const IBANS: &str = "ad24 ae23 al28 at20 az28 ba20 be16 bg22 bh22 br29 by28 ch21 cr22 cy28 cz24 de22 dk18 do28 ee20 eg29 es24 \
    fi18 fo18 fr27 gb22 ge22 gi23 gl18 gr27 gt28 hr21 hu28 ie22 il23 iq23 ir26 is26 it27 jo30 kw30 kz20 lb28 lc32 li21 lt20 lu20 \
    lv21 ly25 mc27 md24 me22 mk19 mr27 mt31 mu30 nl18 no15 om23 pk24 pl28 ps29 pt25 qa29 ro24 rs22 ru33 sa24 sc31 sd18 se24 si19 \
    sk24 sm27 st25 sv28 tl23 tn24 tr26 ua29 va22 vg24 xk20";

pub(super) fn find(text: &Text, mut found: impl FnMut(usize, usize)) {
    if text.digits < 12 && !text.long {
        return;
    }
    let mut done = 0;
    for &(start, after) in &text.signs {
        if start < done {
            continue;
        }
        let end = if text.folded[start].is_ascii_digit() {
            card(text, start).or_else(|| address(text, start, after))
        } else {
            iban(text, start).or_else(|| address(text, start, after))
        };
        if let Some(end) = end {
            found(start, end);
            done = end;
        }
    }
}

/// Two letters, two digits, and as many more as the country has, with spaces or none; modulo 97 is 1 (ISO 7064).
fn iban(text: &Text, start: usize) -> Option<usize> {
    let head = text.folded.get(start..start + 4)?;
    if !(head[0].is_ascii_lowercase()
        && head[1].is_ascii_lowercase()
        && head[2].is_ascii_digit()
        && head[3].is_ascii_digit())
    {
        return None;
    }
    let country = IBANS.split_whitespace().find(|entry| entry.as_bytes()[..2] == head[..2])?;
    let length: usize = country[2..].parse().expect("two digits");
    let mut signs = Vec::with_capacity(length);
    let mut at = start;
    while signs.len() < length {
        let byte = *text.folded.get(at)?;
        if byte.is_ascii_alphanumeric() {
            signs.push(byte);
        } else if !matches!(byte, b' ' | b'-') || !text.before(at).is_ascii_alphanumeric() {
            return None;
        }
        at += 1;
    }
    if at < text.len() && is_word(text.at(at)) {
        return None;
    }
    let rest = signs[4..].iter().chain(&signs[..4]).fold(0u32, |rest, &sign| match sign {
        b'0'..=b'9' => (rest * 10 + u32::from(sign - b'0')) % 97,
        _ => (rest * 100 + u32::from(sign - b'a') + 10) % 97,
    });
    (rest == 1).then_some(at)
}

/// 13 to 19 digits of an issuer, in groups of four or in one, that the formula of Luhn finds right.
fn card(text: &Text, start: usize) -> Option<usize> {
    if matches!(text.before(start), b'.' | b'-' | b'#' | b'=' | b'/' | b'+') {
        return None;
    }
    let mut digits = Vec::with_capacity(20);
    let mut groups = Vec::with_capacity(8);
    let mut at = start;
    loop {
        let first = at;
        while text.at(at).is_ascii_digit() && digits.len() < 20 {
            digits.push(text.at(at) - b'0');
            at += 1;
        }
        groups.push(at - first);
        if matches!(text.at(at), b' ' | b'-')
            && text.at(at + 1).is_ascii_digit()
            && digits.len() < 20
            && groups.len() < 6
        {
            at += 1;
        } else {
            break;
        }
    }
    if (at < text.len() && is_word(text.at(at))) || phone::kinds(&digits) <= 2 {
        return None;
    }
    let number = |count: usize| digits.iter().take(count).fold(0u32, |sum, &digit| sum * 10 + u32::from(digit));
    let issued = match digits.len() {
        16 => {
            matches!(number(2), 40..=49 | 51..=55 | 60 | 62 | 65 | 81 | 82)
                || matches!(number(4), 2221..=2720 | 3528..=3589 | 5022 | 5029 | 5054 | 5058 | 5859 | 5892 | 6104 | 6273 | 6274 | 6276 | 6280 | 6362 | 6367 | 6369 | 6391 | 6393 | 6395 | 6396 | 9891 | 9919)
        }
        15 => matches!(number(2), 34 | 37),
        14 => matches!(number(2), 36 | 38 | 39) || matches!(number(3), 300..=305),
        13 => number(1) == 4,
        18 | 19 => matches!(number(2), 62 | 50 | 63 | 67),
        _ => false,
    };
    let grouped = matches!(groups[..], [_] | [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 4, 3]);
    let record = phone::context(text, start, at) == Context::Record && !announced(text, start);
    (issued && grouped && !record && luhn(&digits)).then_some(at)
}

/// `card` or `debit` just before.
fn announced(text: &Text, start: usize) -> bool {
    let from = start.saturating_sub(24);
    text.slice(from, start).windows(4).any(|four| four == b"card" || four == b"visa" || four == b"debi")
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([1, 2].into_iter().cycle())
        .map(|(&digit, weight)| {
            let product = u32::from(digit) * weight;
            product / 10 + product % 10
        })
        .sum();
    sum % 10 == 0
}

/// The end of a word that is an address of Ethereum (0x and 40 hexadecimal digits), Bitcoin or Tron.
fn address(text: &Text, start: usize, end: usize) -> Option<usize> {
    let raw = &text.raw[start..end];
    let found = match (raw.len(), raw) {
        (42, [b'0', b'x' | b'X', rest @ ..]) => rest.iter().all(u8::is_ascii_hexdigit) && phone::kinds_of(rest) > 4,
        (26..=35, [b'1' | b'3', ..]) | (34, [b'T', ..]) => base58(raw),
        (42..=62, [b'b' | b'B', b'c' | b'C', b'1', ..]) => bech32(text.slice(start, end)),
        _ => false,
    };
    found.then_some(end)
}

/// Base58Check: 21 bytes and the first four of their SHA-256, taken twice.
fn base58(word: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0u8; 25];
    for sign in word {
        let Some(digit) = ALPHABET.iter().position(|known| known == sign) else { return false };
        let mut carry = digit as u32;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let once = digest::digest(&digest::SHA256, &bytes[..21]);
    let twice = digest::digest(&digest::SHA256, once.as_ref());
    twice.as_ref()[..4] == bytes[21..]
}

/// BIP 173 and BIP 350: the check of `bc1…` in lower case is 1 or 0x2bc830a3.
fn bech32(word: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let mut check = 1u32;
    let mut add = |value: u32| {
        let top = check >> 25;
        check = (check & 0x01ff_ffff) << 5 ^ value;
        for (bit, generator) in GENERATOR.into_iter().enumerate() {
            if top >> bit & 1 == 1 {
                check ^= generator;
            }
        }
    };
    // The part before the last 1, spread as BIP 173 has it.
    for value in [3, 3, 0, 2, 3] {
        add(value);
    }
    for sign in &word[3..] {
        let Some(value) = ALPHABET.iter().position(|known| known == sign) else { return false };
        add(value as u32);
    }
    matches!(check, 1 | 0x2bc8_30a3)
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{found, nothing},
    };

    #[test]
    fn accounts_with_right_check_digits() {
        found(
            Kind::Payment,
            &[
                "DE89 3704 0044 0532 0130 00",
                "GB82WEST12345698765432",
                "FR1420041010050500013M02606",
                "IR06 2960 0000 0010 0324 2000 01",
                "4539 1488 0343 6467",
                "5555-4444-3333-1111",
                "my card 4539148803436467",
                "3782 822463 10005",
                "6011 0009 9013 9424",
                "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
                "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                "0x52908400098527886E0F7030069857D2E4169EE7",
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            ],
        );
    }

    #[test]
    fn what_fails_its_check() {
        nothing(&[
            "DE88 3704 0044 0532 0130 00",
            "GB82TEST12345698765432",
            "4539 1488 0343 6468",
            "order 4539148803436467",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "0x52908400098527886E0F7030069857D2E4169EE",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "0xffffffffffffffffffffffffffffffffffffffff",
            "IS12 is a code",
            "de89",
            "1111111111111111111111111111",
            "AB12 3456 7890 1234",
            "e3b0c44298fc1c149afbf4c8996fb924",
            "ISO 27001 2013 and 9001 2015 1234",
            "IT10 is the room",
            "tracking 6011000990139424",
            "GB82",
        ]);
    }
}
