//! Mail addresses (RFC 5321, and what people write so that it is not found) and UPI addresses (NPCI: `name@psp`).
use super::{
    Kind,
    domain::{self, Domain},
    text::{LETTER, Text, is_word},
    words::{AT, DOT, MAIL},
};

/// Bytes of a local part at most (RFC 5321, 4.5.3.1.1).
const LOCAL: usize = 64;

/// Handles of payment service providers, from NPCI's list of UPI apps; without those that are host names elsewhere.
const PSPS: &[&str] = &[
    "paytm",
    "pthdfc",
    "rapl",
    "sbi",
    "icici",
    "hdfcbank",
    "axisbank",
    "kotak",
    "kotak811",
    "kbl",
    "pnb",
    "boi",
    "cnrb",
    "barodampay",
    "unionbank",
    "unionbankofindia",
    "uboi",
    "federal",
    "fbl",
    "idfcbank",
    "idfcfirst",
    "idbi",
    "indus",
    "rbl",
    "yesbank",
    "yesbankltd",
    "yespay",
    "sib",
    "freecharge",
    "ikwik",
    "mobikwik",
    "airtel",
    "postbank",
    "jio",
    "jupiteraxis",
    "fam",
    "yescred",
    "axisb",
    "axisgo",
    "naviaxis",
    "slice",
    "sliceaxis",
    "superyes",
    "tapicici",
    "timecosmos",
    "waaxis",
    "wahdfcbank",
    "waicici",
    "wasbi",
    "abfspay",
    "pingpay",
    "dlb",
    "dbs",
    "hsbc",
    "citi",
    "citigold",
    "aubank",
    "bandhan",
    "cboi",
    "centralbank",
    "cmsidfc",
    "dcb",
    "equitas",
    "esaf",
    "ezeepay",
    "eazypay",
    "hdfcbankjd",
    "icicibank",
    "imobile",
    "indianbank",
    "indbank",
    "iob",
    "jkb",
    "jsb",
    "karb",
    "karurvysyabank",
    "kvb",
    "kaypay",
    "kmbl",
    "lvb",
    "mahb",
    "myicici",
    "nsdl",
    "obc",
    "payzapp",
    "pockets",
    "psb",
    "rmhdfcbank",
    "rajgovhdfcbank",
    "scb",
    "scbl",
    "shcb",
    "srcb",
    "syndbank",
    "tjsb",
    "uco",
    "ucobank",
    "united",
    "utbi",
    "utkarshbank",
    "vijb",
    "vjb",
    "yesg",
    "goaxb",
    "oneyes",
    "digikhata",
    "freoicici",
    "kiwi",
    "shriramhdfcbank",
    "seyes",
    "twidyes",
    "trans",
    "bpunity",
    "amazonpay",
    "axisfin",
];
/// More of them, which are nothing else even with spaces around the sign.
const OWN_PSPS: &[&str] = &[
    "okhdfcbank",
    "oksbi",
    "okicici",
    "okaxis",
    "ybl",
    "ibl",
    "axl",
    "apl",
    "yapl",
    "ptyes",
    "ptsbi",
    "ptaxis",
    "upi",
];

/// Words before `at` or `dot` that are nobody's name.
const COMMON: &[&str] = &[
    "look",
    "looks",
    "looking",
    "looked",
    "it",
    "is",
    "me",
    "us",
    "out",
    "them",
    "him",
    "her",
    "here",
    "there",
    "live",
    "available",
    "found",
    "find",
    "work",
    "works",
    "working",
    "worked",
    "sold",
    "stay",
    "book",
    "sign",
    "shop",
    "buy",
    "arrive",
    "visit",
    "meet",
    "meeting",
    "register",
    "apply",
    "up",
    "in",
    "on",
    "be",
    "are",
    "was",
    "were",
    "am",
    "not",
    "good",
    "bad",
    "more",
    "that",
    "this",
    "the",
    "a",
    "an",
    "and",
    "or",
    "one",
    "online",
    "now",
    "today",
    "docs",
    "page",
    "free",
    "check",
    "see",
    "start",
    "starts",
    "job",
    "engineer",
    "developer",
    "intern",
    "internship",
    "manager",
    "you",
    "they",
    "we",
    "he",
    "she",
    "anyone",
    "everyone",
    "someone",
    "all",
    "any",
    "every",
    "early",
    "old",
    "failed",
    "classes",
    "course",
    "courses",
    "site",
    "read",
    "ask",
    "just",
    "only",
    "them",
    "again",
    "time",
    "price",
    "prices",
    "point",
    "angry",
    "mad",
    "great",
    "role",
    "position",
];

pub(super) fn is_common(word: &[u8]) -> bool {
    COMMON.iter().any(|common| common.as_bytes() == word)
}

pub(super) fn find(text: &Text, mut found: impl FnMut(Kind, usize, usize)) {
    if text.ats {
        for at in memchr::memchr_iter(b'@', &text.folded) {
            if let Some((kind, start, end)) = around_sign(text, at) {
                found(kind, start, end);
            }
        }
    }
    if text.roles & AT != 0 {
        for token in text.tokens.iter().filter(|token| token.cue.is(AT)) {
            if let Some((start, end)) = around_word(text, token.start, token.end) {
                found(Kind::Mail, start, end);
            }
        }
    }
    if text.roles & DOT != 0 {
        for token in text.tokens.iter().filter(|token| token.cue.is(DOT)) {
            if let Some((start, end)) = spelled_host(text, token.start, token.end) {
                found(Kind::Link, start, end);
            }
        }
    }
}

fn in_local(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b'%' | b'+' | b'-')
}

/// Where the local part that ends at `end` starts.
fn local(text: &Text, end: usize) -> usize {
    let mut start = end;
    while start > 0 && end - start < LOCAL && in_local(text.folded[start - 1]) {
        start -= 1;
    }
    while start < end && !is_word(text.folded[start]) {
        start += 1;
    }
    start
}

/// The same where its letters may stand apart.
fn spread_local(text: &Text, end: usize) -> usize {
    let mut start = local(text, end);
    while end - start < LOCAL && start >= 2 && end - start != 0 {
        let single = is_word(text.at(start)) && !in_local(text.at(start + 1));
        if !(single && text.at(start - 1) == b' ' && is_word(text.at(start - 2)) && !is_word(text.before(start - 2))) {
            break;
        }
        start -= 2;
    }
    start
}

fn around_sign(text: &Text, at: usize) -> Option<(Kind, usize, usize)> {
    let mut end = at;
    while end > 0 && at - end < 2 && text.folded[end - 1] == b' ' {
        end -= 1;
    }
    let apart = end < at;
    let start = if apart { spread_local(text, end) } else { local(text, end) };
    if start == end {
        return None;
    }
    let domain = domain::read(text, at + 1)?;
    if let Some((kind, end)) = address(text, start, end, &domain, apart) {
        return Some((kind, start, end));
    }
    None
}

fn address(text: &Text, start: usize, end: usize, domain: &Domain, apart: bool) -> Option<(Kind, usize)> {
    let name = text.slice(start, end);
    let first = &domain.first[..];
    let is = |list: &[&str]| list.iter().any(|psp| psp.as_bytes() == first);
    if domain.whole {
        // `git@host.com:path` names a repository (scp), and `x@w.T` a product of matrices.
        let repository = name == b"git" && matches!(text.at(domain.end), b':' | b'/');
        let product = name.len() == 1 && first.len() == 1;
        return (!repository && !product && first.iter().any(|&byte| byte != b'-')).then_some((Kind::Mail, domain.end));
    }
    let follows = matches!(text.at(domain.end), b':' | b'/' | b'@' | b'~');
    if name.len() >= 2 && !follows && apart == domain.spaced && (is(OWN_PSPS) || (!apart && !domain.spaced && is(PSPS)))
    {
        return Some((Kind::Upi, domain.end));
    }
    (domain::is_provider(first) && first != b"live" && first != b"hey" && !follows && !is_common(name))
        .then_some((Kind::Mail, domain.end))
}

/// `name at host dot com`, `name (at) host.com`, `name at the rate host.com`.
fn around_word(text: &Text, start: usize, end: usize) -> Option<(usize, usize)> {
    let (mut from, mut to) = (start, end);
    let mut sure = false;
    let (mut left, right) = (from, text.skip_spaces(to, 1));
    while left > 0 && from - left < 1 && text.before(left) == b' ' {
        left -= 1;
    }
    if matches!(
        (text.before(left), text.at(right)),
        (b'(', b')') | (b'[', b']') | (b'{', b'}') | (b'<', b'>') | (b'*', b'*')
    ) {
        (from, to, sure) = (left - 1, right + 1, true);
    } else {
        for rate in [&b" the rate of "[..], b" the rate ", b" d rate ", b" rate "] {
            if text.starts(to, rate) {
                (to, sure) = (to + rate.len() - 1, true);
                break;
            }
        }
    }
    let domain = domain::read(text, to)?;
    if !domain.whole && !domain::is_provider(&domain.first) {
        return None;
    }
    let mut name_end = from;
    while name_end > 0 && from - name_end < 2 && text.folded[name_end - 1] == b' ' {
        name_end -= 1;
    }
    let mut name_start = spread_local(text, name_end);
    let name = text.slice(name_start, name_end);
    if name.is_empty() || is_common(name) {
        return None;
    }
    let telling = name.iter().any(|&byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_'));
    let announced =
        text.tokens_before(name_start).take_while(|token| name_start - token.end <= 40).any(|token| token.cue.is(MAIL));
    // `john dot doe at …`
    let (word_start, word_end) = text.word_before(name_start);
    let dotted = text.slice(word_start, word_end) == b"dot";
    if dotted {
        let before = text.word_before(word_start);
        if before.0 < before.1 {
            name_start = before.0;
        }
    }
    let shown = if domain.whole { domain.spelled || telling || announced } else { telling || dotted };
    (sure || dotted || shown).then_some((name_start, domain.end))
}

/// `my-site dot com`, outside an address.
fn spelled_host(text: &Text, start: usize, end: usize) -> Option<(usize, usize)> {
    let open = matches!(text.before(start), b'(' | b'[' | b'{') as usize;
    let close = matches!(text.at(end), b')' | b']' | b'}') as usize;
    let mut name_end = start - open;
    if text.before(name_end) == b' ' {
        name_end = name_end.saturating_sub(1);
    }
    let name_start = local(text, name_end);
    let (from, to) = (text.skip_spaces(end + close, 1), end + close);
    let mut after = from;
    while after < text.len() && is_word(text.at(after)) && after < from + 8 {
        after += 1;
    }
    let ending = text.slice(from.min(after), after);
    if to == from && close == 0 || name_end - name_start < 3 || !matches!(ending, b"com" | b"org" | b"io" | b"ir") {
        return None;
    }
    let (next_start, next_end) = text.word_after(after);
    let era = matches!(
        text.slice(next_start, next_end),
        b"bubble"
            | b"boom"
            | b"bust"
            | b"era"
            | b"crash"
            | b"company"
            | b"companies"
            | b"startup"
            | b"startups"
            | b"years"
            | b"days"
            | b"age"
            | b"billionaire"
            | b"mania"
    );
    let name = text.slice(name_start, name_end);
    (!era && !is_common(name) && !name.contains(&LETTER)).then_some((name_start, after))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{found, nothing},
    };

    #[test]
    fn mail_addresses() {
        found(
            Kind::Mail,
            &[
                "john@example.com",
                "John.Doe+x@Sub.Example.co.uk",
                "write to a_b@gmail.com.",
                "name at domain dot com",
                "john (at) gmail (dot) com",
                "john [at] gmail.com",
                "john{at}gmail{dot}com",
                "john.doe at gmail.com",
                "john @ gmail . com",
                "john@gmail dot com",
                "j o h n @ g m a i l . c o m",
                "john at the rate gmail dot com",
                "my email is john at gmail.com",
                "john.doe at gmail",
                "john dot doe at gmail dot com",
                "priya99@gmail",
                "mailto:sara@uni.ac.ir",
                "jöhn@bücher.de",
                "ＪＯＨＮ＠ＧＭＡＩＬ．ＣＯＭ",
                "john@gmаil.com",
                "john\u{200b}@gmail.com",
                "xy@y.io",
                "sara at yahoo dot com",
                "john@gmail. com",
                "reach me: kim AT uni DOT edu",
                "name [at] company [dot] org",
                "<john@mail.ru>",
                "john@gmail(.)com",
            ],
        );
    }

    #[test]
    fn what_is_no_address() {
        nothing(&[
            "I am at home",
            "look at it",
            "@property",
            "@app.route",
            "a @ b",
            "x@w.T",
            "react@18.2.0",
            "git@github.com:org/repo.git",
            "user@localhost",
            "root@server:~",
            "ssh me@host",
            "A@B",
            "meet @ cafe. Come early",
            "see you @ 5",
            "we met at a dot in the plane",
            "I work at google",
            "the dot product at x",
            "at the rate of 5 percent",
            "good at maths",
            "@param name the name",
            "email me",
            "what is an email address?",
            "numpy @ matrix",
            "half at noon, half at one",
            "she is at yahoo",
            "looking at outlook",
            "W @ x + b",
            "@dataclass",
            "one at a time",
            "at gmail they use java",
            "p@ssw0rd",
            "c@t",
        ]);
    }

    #[test]
    fn upi_addresses() {
        found(
            Kind::Upi,
            &[
                "name@okhdfcbank",
                "priya.k@oksbi",
                "9876543210@ybl",
                "send to sara@paytm",
                "a1@okicici",
                "rahul@upi",
                "x_y@axl",
                "pay kim@okaxis now",
                "Ravi@OKSBI",
                "name @ ybl",
                "ravi@ibl.",
                "neha-1@hdfcbank",
            ],
        );
    }

    #[test]
    fn what_is_no_upi_address() {
        nothing(&[
            "she works @ paytm",
            "works at paytm",
            "@ybl",
            "upi is a payment interface",
            "root@dev",
            "user@sbi:/home",
            "name@okay",
            "the UPI of India",
            "x@ybl1",
            "axl rose",
            "react@latest",
            "node@lts",
            "user@host",
            "what does @upi mean",
        ]);
    }
}
