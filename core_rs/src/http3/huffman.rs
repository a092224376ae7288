//! The Huffman code of RFC 7541 App. B.
//!
//! Its codes are canonical: shorter ones first, and those of one length in the order of their symbols. So their lengths
//! say all of them. What text is made of has at most eight bits, and is found by the next byte.

/// Of the code of each octet, and last of EOS, in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const EOS: u16 = 256;
const SHORT: u32 = 8;
const LONGEST: usize = 30;
/// Short codes that fit into what is read at once.
const STEP: usize = 7;

struct Code {
    /// By the next byte: a symbol and its length; 0 for the beginning of a longer code.
    short: [(u8, u8); 256],
    /// Of each length: its first code, how many there are, and where their symbols are in `symbols`.
    lengths: [(u32, u32, usize); LONGEST + 1],
    symbols: [u16; 257],
    /// Of each octet, and of EOS.
    codes: [u32; 257],
}

static CODE: Code = code();

const fn code() -> Code {
    let mut short = [(0, 0); 256];
    let mut lengths = [(0, 0, 0); LONGEST + 1];
    let mut symbols = [0; 257];
    let mut codes = [0; 257];
    let (mut next, mut known, mut length) = (0u32, 0, 1);
    while length <= LONGEST {
        lengths[length] = (next, 0, known);
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                if length <= SHORT as usize {
                    let spare = SHORT as usize - length;
                    let mut behind = 0;
                    while behind < 1 << spare {
                        short[(next as usize) << spare | behind] = (symbol as u8, length as u8);
                        behind += 1;
                    }
                }
                symbols[known] = symbol as u16;
                codes[symbol] = next;
                lengths[length].1 += 1;
                known += 1;
                next += 1;
            }
            symbol += 1;
        }
        next <<= 1;
        length += 1;
    }
    Code { short, lengths, symbols, codes }
}

/// Writes what is encoded. False, with something of it written, when that is nothing: it holds EOS, or ends in anything
/// but up to seven bits of EOS (RFC 7541 §5.2).
#[must_use]
pub(super) fn decode(encoded: &[u8], into: &mut Vec<u8>) -> bool {
    into.clear();
    into.resize(encoded.len() * 8 / 5 + STEP, 0);
    let (mut rest, mut known) = (encoded, 0);
    // The next bits, highest first, and how many are counted; those below are what follows, or zeros.
    let (mut window, mut bits) = (0u64, 0u32);
    while let Some((eight, _)) = rest.split_first_chunk::<8>() {
        window |= u64::from_be_bytes(*eight) >> bits;
        let whole = (63 - bits) / 8;
        rest = &rest[whole as usize..];
        bits += whole * 8;
        let mut found = 0;
        for octet in &mut into[known..known + STEP] {
            let (symbol, length) = CODE.short[(window >> 56) as usize];
            if length == 0 {
                break;
            }
            *octet = symbol;
            window <<= length;
            bits -= u32::from(length);
            found += 1;
        }
        known += found;
        if found == 0 {
            let Some((symbol, length)) = long(window) else { return false };
            into[known] = symbol;
            known += 1;
            window <<= length;
            bits -= length;
        }
    }
    into.truncate(known);
    window &= u64::MAX.checked_shl(64 - bits).unwrap_or(0);
    loop {
        while bits <= 56
            && let Some((byte, behind)) = rest.split_first()
        {
            window |= u64::from(*byte) << (56 - bits);
            rest = behind;
            bits += 8;
        }
        if bits == 0 {
            return true;
        }
        let (symbol, length) = match CODE.short[(window >> 56) as usize] {
            (_, 0) => match long(window) {
                Some(found) => found,
                None => return false,
            },
            (symbol, length) => (symbol, u32::from(length)),
        };
        if length > bits {
            return bits < 8 && window == u64::MAX << (64 - bits);
        }
        into.push(symbol);
        window <<= length;
        bits -= length;
    }
}

/// The octet of a code of more than eight bits, and the length of that; None for EOS.
#[cold]
fn long(window: u64) -> Option<(u8, u32)> {
    let (symbol, length) = (SHORT + 1..=LONGEST as u32).find_map(|length| {
        let (first, count, at) = CODE.lengths[length as usize];
        let index = ((window >> (64 - length)) as u32).checked_sub(first).filter(|index| *index < count)?;
        Some((CODE.symbols[at + index as usize], length))
    })?;
    (symbol != EOS).then_some((symbol as u8, length))
}

/// Bytes of `text` when it is encoded.
pub(super) fn encoded_size(text: &[u8]) -> usize {
    text.iter().map(|octet| usize::from(LENGTHS[usize::from(*octet)])).sum::<usize>().div_ceil(8)
}

/// Appends `text`, encoded.
pub(super) fn encode(text: &[u8], into: &mut Vec<u8>) {
    let (mut window, mut bits) = (0_u64, 0);
    for octet in text {
        let octet = usize::from(*octet);
        window = window << LENGTHS[octet] | u64::from(CODE.codes[octet]);
        bits += u32::from(LENGTHS[octet]);
        while bits >= 8 {
            bits -= 8;
            into.push((window >> bits) as u8);
        }
    }
    if bits > 0 {
        let spare = 8 - bits;
        into.push((window << spare) as u8 | ((1_u32 << spare) - 1) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(encoded: &[u8]) -> Option<Vec<u8>> {
        let mut into = Vec::new();
        decode(encoded, &mut into).then_some(into)
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::new();
        super::encode(text, &mut encoded);
        assert_eq!(encoded.len(), encoded_size(text));
        encoded
    }

    #[test]
    fn rfc7541_c_4_and_c_6_examples() {
        for (encoded, text) in [
            (&b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..], "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", "custom-value"),
            (
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
        ] {
            assert_eq!(decoded(encoded).as_deref(), Some(text.as_bytes()));
            assert_eq!(encode(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn rfc7541_5_2_padding_is_the_beginning_of_eos_and_less_than_a_byte() {
        assert_eq!(decoded(b""), Some(vec![]));
        assert_eq!(decoded(b"\x07"), Some(b"0".to_vec()));
        for wrong in [&b"\x06"[..], b"\xff", b"\x07\xff", b"\x07\xff\xff\xff\xff", b"\xff\xff\xff\xff"] {
            assert_eq!(decoded(wrong), None, "{wrong:02x?}");
        }
    }

    #[test]
    fn rfc7541_5_2_eos_is_no_symbol() {
        assert_eq!(decoded(b"\xff\xff\xff\xfc\xff"), None);
        assert_eq!(decoded(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text: Vec<u8>) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }

        #[test]
        fn what_is_decoded_was_encoded_so(encoded: Vec<u8>) {
            if let Some(text) = decoded(&encoded) {
                prop_assert_eq!(encode(&text), encoded);
            }
        }
    }
}
