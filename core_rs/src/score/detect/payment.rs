//! Paying beside the platform, in words: `pay me directly`, `my gpay number`, `outside the app`, `skip the commission`.
//!
//! The name of a way to pay is a subject like any other; it takes a person who pays or is paid, or the wish to leave.
use super::{
    text::{Text, Token},
    words::{FIRST, OUTSIDE, PAY, WALLET},
};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// Bytes that one request reaches over.
const REACH: usize = 48;

/// What else says it, in scripts of their own: Persian, Hindi.
const FOREIGN: &[&str] = &[
    "کارت به کارت کن",
    "کارت به کارت بزن",
    "شماره کارتم",
    "به کارت من",
    "به کارتم",
    "خارج از برنامه پرداخت",
    "بیرون از اپ پرداخت",
    "ऐप के बाहर पेमेंट",
    "ऐप के बाहर पैसे",
    "गूगल पे कर",
    "पेटीएम कर",
    "फोनपे कर",
    "मेरे खाते में पैसे",
];

/// Places of the original text, in code points, where such a phrase stands.
pub(super) fn find_foreign(text: &str, mut found: impl FnMut(usize, usize)) {
    if text.is_ascii() {
        return;
    }
    static FINDERS: LazyLock<Vec<Finder<'static>>> =
        LazyLock::new(|| FOREIGN.iter().map(|phrase| Finder::new(*phrase)).collect());
    for (finder, phrase) in FINDERS.iter().zip(FOREIGN) {
        if let Some(at) = finder.find(text.as_bytes()) {
            let start = text[..at].chars().count();
            found(start, start + phrase.chars().count());
        }
    }
}

pub(super) fn find(text: &Text, mut found: impl FnMut(usize, usize)) {
    if text.roles & (WALLET | PAY | OUTSIDE | FIRST) == 0 {
        return;
    }
    for token in &text.tokens {
        let range = if let Some(end) = wallet(text, token) {
            by_wallet(text, token.start, end).or_else(|| if token.cue.is(PAY) { by_paying(text, token) } else { None })
        } else if token.cue.is(PAY) {
            by_paying(text, token)
        } else if token.cue.is(OUTSIDE) {
            beside(text, token)
        } else {
            None
        };
        if let Some((start, end)) = range {
            found(start, end);
        }
    }
}

/// The end of a way to pay, which may be two words.
fn wallet(text: &Text, token: &Token) -> Option<usize> {
    if token.cue.is(WALLET) {
        return Some(token.end);
    }
    if !token.cue.is(FIRST) {
        return None;
    }
    let (start, end) = text.word_after(token.end);
    matches!(
        (text.slice(token.start, token.end), text.slice(start, end)),
        (b"cash", b"app")
            | (b"google" | b"apple" | b"phone" | b"amazon", b"pay")
            | (b"western", b"union")
            | (b"bank", b"transfer" | b"deposit")
            | (b"gift", b"card" | b"cards")
            | (b"phone", b"pe")
    )
    .then_some(end)
}

/// Whether one of `words` is in the same sentence between `from` and at most `REACH` bytes on; its end.
fn ahead(text: &Text, from: usize, words: &[&[u8]]) -> Option<usize> {
    let mut at = from;
    while at < text.len() && at < from + REACH {
        if matches!(text.at(at), b'?' | b'!' | b'\n') || (text.at(at) == b'.' && text.at(at + 1) == b' ') {
            return None;
        }
        let (start, end) = text.word_after(at);
        if start < end && words.contains(&text.slice(start, end)) {
            return Some(end);
        }
        at = end.max(at + 1);
    }
    None
}

fn is_me(word: &[u8]) -> bool {
    matches!(word, b"me" | b"us" | b"mujhe" | b"mereko")
}

fn by_wallet(text: &Text, start: usize, end: usize) -> Option<(usize, usize)> {
    let before = text.word_before(start);
    let after = text.word_after(end);
    let (lead, next) = (text.slice(before.0, before.1), text.slice(after.0, after.1));
    let glued = text.at(after.0.saturating_sub(1)) == b' ' || after.0 == end;
    if glued
        && is_me(next)
        && !matches!(lead, b"the" | b"a")
        && !matches!(text.slice(start, end), b"upi" | b"bitcoin" | b"btc" | b"eth" | b"ethereum" | b"crypto")
    {
        return Some((start, after.1));
    }
    if matches!(next, b"kar" | b"karo" | b"kardo" | b"krdo" | b"kro" | b"karna" | b"kr") {
        return Some((start, after.1));
    }
    let whose = matches!(lead, b"my" | b"your" | b"ur" | b"mera" | b"apna" | b"share" | b"this");
    if whose && matches!(next, b"number" | b"no" | b"num" | b"id" | b"qr" | b"handle" | b"address" | b"link" | b"tag") {
        return Some((before.0, after.1));
    }
    let sign = matches!(text.at(end), b':' | b'=');
    let stated = sign || matches!(next, b"is");
    let said = if sign { after } else { text.word_after(after.1) };
    let remark = matches!(
        text.slice(said.0, said.1),
        b"not"
            | b"down"
            | b"broken"
            | b"locked"
            | b"blocked"
            | b"limited"
            | b"a"
            | b"the"
            | b"slow"
            | b"failing"
            | b"working"
            | b"new"
            | b"in"
            | b"still"
            | b"empty"
    );
    if lead == b"my" && stated && !remark && text.slice(said.0, said.1) != b"" {
        return Some((before.0, said.1));
    }
    // `send me the fee by …`, `pay to my …`: a payer and the one who is paid, in one sentence.
    let from = start.saturating_sub(REACH);
    let pay = text.tokens_before(start).take_while(|token| token.start >= from).find(|token| token.cue.is(PAY))?;
    let between = text.slice(pay.end, start);
    let ends =
        between.iter().any(|byte| matches!(byte, b'?' | b'!' | b'\n')) || between.windows(2).any(|pair| pair == b". ");
    let meant = between
        .split(|&byte| !byte.is_ascii_alphabetic())
        .any(|word| is_me(word) || matches!(word, b"my" | b"you" | b"u" | b"directly" | b"instead"))
        || matches!(next, b"instead" | b"directly" | b"outside");
    let how = matches!(
        lead,
        b"via"
            | b"by"
            | b"on"
            | b"through"
            | b"with"
            | b"over"
            | b"using"
            | b"in"
            | b"my"
            | b"thru"
            | b"a"
            | b"to"
            | b"or"
    );
    (!ends && meant && how && !refuses(text, pay.start)).then_some((pay.start, end))
}

fn by_paying(text: &Text, token: &Token) -> Option<(usize, usize)> {
    let verb = text.slice(token.start, token.end);
    let (start, end) = text.word_after(token.end);
    let whom = text.slice(start, end);
    if refuses(text, token.start) {
        return None;
    }
    if matches!(verb, b"pay" | b"paying") {
        if is_me(whom) || matches!(whom, b"you" | b"u") {
            let (next_start, next_end) = text.word_after(end);
            if text.slice(next_start, next_end) == b"a" {
                return None;
            }
            if let Some(last) = ahead(text, end, &[b"directly", b"cash", b"privately", b"offline"]) {
                return Some((token.start, last));
            }
        }
        if whom == b"directly" {
            let to = text.word_after(end);
            let last = text.word_after(to.1);
            return (text.slice(to.0, to.1) == b"to" && matches!(text.slice(last.0, last.1), b"me" | b"my"))
                .then_some((token.start, last.1));
        }
    }
    // `transfer the fee to my account`
    let account = ahead(text, token.end, &[b"account", b"bank"])?;
    let between = text.slice(token.end, account);
    let words = || between.split(|&byte| !byte.is_ascii_alphabetic());
    let mine = between.windows(6).any(|six| six == b"to my " || six == b"in my ");
    let money = matches!(verb, b"pay" | b"paying" | b"deposit")
        || between.contains(&b'$')
        || words().any(|word| {
            matches!(
                word,
                b"money"
                    | b"amount"
                    | b"fee"
                    | b"fees"
                    | b"payment"
                    | b"rupees"
                    | b"dollars"
                    | b"cash"
                    | b"usd"
                    | b"funds"
                    | b"rs"
            )
        });
    (mine && money).then_some((token.start, account))
}

/// `outside the platform` where money is the matter; `without the commission`.
fn beside(text: &Text, token: &Token) -> Option<(usize, usize)> {
    let word = text.slice(token.start, token.end);
    if refuses(text, token.start) {
        return None;
    }
    let mut at = token.end;
    let mut place = false;
    let mut ours = false;
    for _ in 0..5 {
        let (start, end) = text.word_after(at);
        match text.slice(start, end) {
            b"of" | b"the" | b"this" | b"their" | b"your" | b"its" | b"any" | b"paying" => {}
            b"app" | b"platform" | b"site" | b"website" | b"chiron" | b"service" => {
                place = true;
                ours = true;
                if matches!(word, b"outside" | b"off") && money_near(text, token.start, end) {
                    return Some((token.start, end));
                }
            }
            b"fee" | b"fees" | b"cut" | b"charge" | b"charges" if ours => {
                return leaving(word).then_some((token.start, end));
            }
            b"commission" | b"commissions" if place || leaving(word) => {
                return leaving(word).then_some((token.start, end));
            }
            _ => return None,
        }
        at = end;
    }
    None
}

fn leaving(word: &[u8]) -> bool {
    matches!(word, b"bypass" | b"avoid" | b"skip" | b"without")
}

fn money_near(text: &Text, start: usize, end: usize) -> bool {
    let from = start.saturating_sub(REACH);
    let pay = text
        .tokens_before(start)
        .take_while(|token| token.start >= from)
        .find(|token| token.cue.is(PAY | WALLET) && !is_send(text, token));
    match pay {
        Some(token) => !refuses(text, token.start),
        None => ahead(
            text,
            end,
            &[
                b"pay",
                b"payment",
                b"cheaper",
                b"discount",
                b"cash",
                b"paypal",
                b"upi",
                b"gpay",
                b"fee",
                b"fees",
                b"half",
            ],
        )
        .is_some(),
    }
}

fn is_send(text: &Text, token: &Token) -> bool {
    matches!(text.slice(token.start, token.end), b"send" | b"transfer" | b"wire")
}

/// Whether the sentence says not to.
fn refuses(text: &Text, at: usize) -> bool {
    let mut at = at;
    for _ in 0..4 {
        let (start, end) = text.word_before(at);
        if matches!(
            text.slice(start, end),
            b"never"
                | b"not"
                | b"dont"
                | b"cannot"
                | b"cant"
                | b"without"
                | b"t"
                | b"no"
                | b"nobody"
                | b"refuse"
                | b"against"
        ) {
            return true;
        }
        if start == end {
            return false;
        }
        at = start;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{found, nothing},
    };

    #[test]
    fn paying_elsewhere() {
        found(
            Kind::Payment,
            &[
                "pay me directly",
                "Can you pay me in cash?",
                "paypal.me/kim",
                "venmo me 20",
                "pay via paypal to my account please, send me half",
                "send me the fee on gpay",
                "my paypal is kim",
                "what is your gpay number",
                "let us pay outside the app",
                "pay me outside of the platform",
                "I can pay you directly",
                "we can skip the commission",
                "avoid the platform fee",
                "without the platform fees",
                "cash app me",
                "my venmo: kim",
                "transfer the fee to my account",
                "pay directly to my account",
                "paytm karo",
                "upi kar do",
                "pay me through western union",
                "send the money to my paypal",
                "you pay me by bank transfer",
                "outside this app I can give you a discount",
                "cash.app/$kim",
                "venmo.com/kim",
                "my upi id",
                "share gpay number",
                "deposit money in my bank account",
                "zelle me",
                "pay me with gift cards",
                "revolut.me/kim",
                "کارت به کارت کن لطفا",
            ],
        );
    }

    #[test]
    fn what_only_speaks_of_money() {
        nothing(&[
            "PayPal has an interesting architecture",
            "I work at Paytm",
            "integrating the Venmo API",
            "pay attention to me",
            "you pay me a compliment directly",
            "pay me a visit",
            "I paid for the course",
            "send me the file",
            "bitcoin is volatile",
            "outside the app we use Redis",
            "please never pay outside the app",
            "avoid late fees",
            "without fear",
            "what is UPI?",
            "paying attention directly helps",
            "the payment gateway uses paypal",
            "how does google pay work",
            "cash flow",
            "the app takes a commission",
            "a bank transfer takes two days",
            "transfer the file to my account",
            "off the top of my head",
            "outside the box",
            "send me a message directly",
            "my paypal integration is failing",
            "skip the line",
            "bypass the cache",
            "avoid the cut",
            "western music",
            "the crypto library",
            "crypto is not safe",
            "we store the iban in a column",
            "do not pay me directly",
            "my bank is closed",
            "gift ideas",
            "without a platform",
            "the fee is 5 %",
            "you can pay in the app",
            "pay by card in the app",
        ]);
    }
}
