//! Names in other places: `my insta is …`, `telegram: …`, `@name on …`, Discord's `name#1234`.
use super::{
    text::{Text, Token, is_letter, is_word},
    words::MESSENGER,
};

/// Words between the place and the name.
const STEPS: usize = 5;

/// Names of places that are also common words: only `my …`, or what says that a name follows, makes them one.
const COMMON_PLACES: &[&str] =
    &["signal", "line", "session", "threads", "bale", "messenger", "kik", "snap", "imo", "soroush", "x"];

/// What is said of a place rather than a name in it.
const REMARKS: &[&str] = &[
    "private",
    "public",
    "down",
    "broken",
    "gone",
    "hacked",
    "new",
    "empty",
    "not",
    "the",
    "a",
    "an",
    "my",
    "your",
    "better",
    "best",
    "good",
    "bad",
    "great",
    "free",
    "blocked",
    "banned",
    "slow",
    "working",
    "open",
    "closed",
    "active",
    "inactive",
    "deleted",
    "disabled",
    "fine",
    "ok",
    "okay",
    "same",
    "here",
    "there",
    "this",
    "that",
    "it",
    "and",
    "or",
    "but",
    "for",
    "to",
    "with",
    "where",
    "which",
    "who",
    "what",
    "when",
    "how",
    "why",
    "boring",
    "usual",
    "well",
    "always",
    "expected",
    "busy",
    "over",
    "fun",
    "useful",
    "useless",
    "dead",
    "fake",
    "real",
    "official",
    "personal",
    "business",
    "important",
    "required",
    "optional",
    "available",
    "unavailable",
    "in",
    "on",
    "at",
    "of",
    "from",
    "by",
    "also",
    "too",
    "please",
    "thanks",
    "really",
    "very",
    "so",
    "just",
    "only",
    "more",
    "less",
    "photos",
    "videos",
    "stories",
    "messages",
    "chat",
    "chats",
    "calls",
    "post",
    "posts",
    "ads",
    "bot",
    "bots",
    "api",
    "group",
    "groups",
    "channel",
    "channels",
    "server",
    "servers",
    "app",
    "none",
    "no",
    "yes",
    "still",
    "now",
    "already",
    "always",
    "never",
    "about",
    "being",
    "getting",
    "going",
    "lagging",
    "crashing",
    "installed",
    "locked",
    "missing",
    "invalid",
    "taken",
    "unique",
    "wrong",
    "correct",
    "unknown",
    "nice",
    "cool",
    "awesome",
    "terrible",
    "popular",
    "instagram",
    "telegram",
    "whatsapp",
    "discord",
    "facebook",
    "twitter",
    "linkedin",
    "tiktok",
    "name",
    "username",
    "handle",
    "id",
    "profile",
    "account",
];

fn among(list: &[&str], word: &[u8]) -> bool {
    list.iter().any(|known| known.as_bytes() == word)
}

pub(super) fn find(text: &Text, mut found: impl FnMut(usize, usize)) {
    if text.roles & MESSENGER == 0 {
        return;
    }
    for token in text.tokens.iter().filter(|token| token.cue.is(MESSENGER)) {
        if let Some((start, end)) = after_place(text, token).or_else(|| before_place(text, token)) {
            found(start, end);
        }
    }
    if text.hashes {
        for hash in memchr::memchr_iter(b'#', &text.folded) {
            if let Some((start, end)) = tag(text, hash) {
                found(start, end);
            }
        }
    }
}

/// A name, its end without what ends a sentence.
fn name(text: &Text, start: usize) -> (usize, usize) {
    let mut end = start;
    while end < text.len() && end - start < 40 && (is_word(text.at(end)) || matches!(text.at(end), b'.' | b'-')) {
        end += 1;
    }
    while end > start && matches!(text.at(end - 1), b'.' | b'-') {
        end -= 1;
    }
    (start, end)
}

/// Letters with a digit, a low line or a dot: hardly a word.
fn is_telling(name: &[u8]) -> bool {
    name.len() >= 4
        && name.len() <= 32
        && is_letter(name[0])
        && name.iter().any(|&byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.'))
        && !name.ends_with(b".com")
        && !name.ends_with(b".org")
}

fn after_place(text: &Text, token: &Token) -> Option<(usize, usize)> {
    let (from, to) = text.word_before(token.start);
    let lead = text.slice(from, to);
    let mine = matches!(lead, b"my" | b"mera" | b"meri" | b"mi" | b"mein" | b"mine" | b"our");
    let led = mine || matches!(lead, b"on" | b"at" | b"via" | b"dm" | b"add" | b"the" | b"and" | b"");
    let common = among(COMMON_PLACES, text.slice(token.start, token.end));
    let (mut named, mut stated) =
        (matches!(text.slice(token.start, token.end), b"instaid" | b"insta_id" | b"snapid"), false);
    let mut at = token.end;
    for _ in 0..STEPS {
        let sign = at;
        while at < text.len()
            && at < sign + 4
            && matches!(text.at(at), b' ' | b':' | b'-' | b'=' | b'>' | b'(' | b'"' | b'\'' | b'*' | b'`' | b'\n')
        {
            let colon = matches!(text.at(at), b':' | b'=') || (text.at(at) == b'-' && text.before(at) == b' ');
            stated |= colon;
            at += 1;
        }
        if text.at(at) == b'@' && at < text.len() {
            let (start, end) = name(text, at + 1);
            return (end - start >= 3 && text.slice(start, end).iter().any(|&byte| is_word(byte))).then_some((at, end));
        }
        let (start, end) = name(text, at);
        let word = text.slice(start, end);
        match word {
            b"id" | b"ids" | b"handle" | b"username" | b"user" | b"userid" | b"nick" | b"nickname" | b"tag" => {
                named = true
            }
            b"is" | b"hai" | b"es" | b"est" | b"ist" => stated = true,
            b"as" | b"under" => stated = true,
            b"name" | b"account" | b"profile" | b"at" | b"it's" | b"me" | b"my" => {}
            _ => {
                let telling = is_telling(word);
                let clear = named || !common || (telling && (mine || matches!(lead, b"on" | b"via" | b"dm" | b"add")));
                let begins = end > start && (mine || named || stated);
                if !begins || !clear || !(stated || named) || among(REMARKS, word) {
                    return None;
                }
                if telling {
                    return Some((start, end));
                }
                let plain = word.len() >= 4 && word.len() <= 32 && word.iter().all(u8::is_ascii_lowercase);
                let mut after = end;
                while matches!(text.at(after), b'"' | b'\'' | b')' | b'`' | b' ')
                    && after < end + 3
                    && after < text.len()
                {
                    after += 1;
                }
                let ends = after >= text.len() || matches!(text.at(after), b'.' | b'!' | b',' | b'\n' | b';');
                let rest = name(text, after);
                let goes_on = after > end
                    && matches!(
                        text.slice(rest.0, rest.1),
                        b"add" | b"follow" | b"text" | b"dm" | b"ping" | b"msg" | b"message"
                    );
                return (plain && (mine || (led && stated) || named) && (ends || goes_on)).then_some((start, end));
            }
        }
        at = end;
    }
    None
}

/// `@name on telegram`, `name_12 (insta)`.
fn before_place(text: &Text, token: &Token) -> Option<(usize, usize)> {
    if matches!(text.slice(token.start, token.end), b"line" | b"session" | b"bale" | b"threads") {
        return None;
    }
    let (mut from, to) = text.word_before(token.start);
    match text.slice(from, to) {
        b"on" | b"in" | b"at" => {}
        b"my" => {
            let (earlier, end) = text.word_before(from);
            if text.slice(earlier, end) != b"is" {
                return None;
            }
            from = earlier;
        }
        _ if text.before(token.start) == b'(' && text.at(token.end) == b')' => from = token.start - 1,
        _ => return None,
    }
    let mut end = from;
    while end > 0 && from - end < 3 && matches!(text.at(end - 1), b' ' | b',' | b'-') {
        end -= 1;
    }
    let mut start = end;
    while start > 0 && end - start < 40 && (is_word(text.at(start - 1)) || text.at(start - 1) == b'.') {
        start -= 1;
    }
    let name = text.slice(start, end);
    if name.len() >= 3 && text.before(start) == b'@' && !is_word(text.before(start - 1)) {
        return Some((start - 1, end));
    }
    let (before_start, before_end) = text.word_before(start);
    let presented = matches!(
        text.slice(before_start, before_end),
        b"me"
            | b"im"
            | b"am"
            | b"m"
            | b"as"
            | b"add"
            | b"is"
            | b"username"
            | b"id"
            | b"handle"
            | b"follow"
            | b"find"
            | b"dm"
            | b"ping"
            | b"its"
            | b"message"
    );
    (presented && name.len() >= 5 && is_telling(name) && name.iter().filter(|&&byte| is_letter(byte)).count() >= 4)
        .then_some((start, end))
}

/// Discord's old names: 2 to 32 characters, `#`, four digits.
fn tag(text: &Text, hash: usize) -> Option<(usize, usize)> {
    let end = hash + 5;
    if !(hash + 1..end).all(|at| text.at(at).is_ascii_digit()) || (end < text.len() && is_word(text.at(end))) {
        return None;
    }
    let mut start = hash;
    while start > 0 && hash - start < 32 && (is_word(text.at(start - 1)) || text.at(start - 1) == b'.') {
        start -= 1;
    }
    let length = hash - start;
    let issue = matches!(text.slice(start, hash), b"issue" | b"pr" | b"bug" | b"ticket" | b"no" | b"order" | b"room");
    (length >= 2 && !issue && text.near(MESSENGER, start, end, 60)).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{found, nothing},
    };

    #[test]
    fn names_elsewhere() {
        found(
            Kind::Handle,
            &[
                "my insta is priya_k99",
                "insta: priya.k",
                "telegram: @johnny",
                "Telegram: johnny",
                "@john_d on telegram",
                "wa.me/919876543210",
                "t.me/johnny",
                "https://t.me/johnny",
                "discord name#1234",
                "my discord is kim#0420",
                "add me on snap: kim_22",
                "my ig is kimmy",
                "IG @kim.lee",
                "snapchat - kim_lee",
                "my telegram id is johnny",
                "find me on discord as kim_77",
                "my skype: live.kim",
                "instagram.com/kim.lee",
                "linkedin.com/in/kim-lee",
                "discord.gg/abcd",
                "dm me on insta @kim",
                "my telegram handle: johnny, text me",
                "message me @kim on ig",
                "my wechat id: kim88",
                "twitter: @kim",
                "my insta id kim_lee",
                "I'm kim_lee22 on insta",
                "twitter.com/kim",
                "my instagram is priya",
                "add kim_lee99 on discord",
            ],
        );
    }

    #[test]
    fn what_is_no_name() {
        nothing(&[
            "my telegram is not working",
            "instagram is a great platform",
            "telegram is free",
            "my insta is private",
            "my discord is down",
            "@kim, can you look?",
            "thanks @kim",
            "thanks @kim, did you try telegram?",
            "discord issue#1234",
            "see chiron#1234",
            "C#1234",
            "telegram: the app",
            "signal is h264 encoded",
            "line: 42",
            "the signal is x1_noise",
            "my session is over",
            "threads: a1_x",
            "I like instagram",
            "we built a telegram bot",
            "whatsapp me",
            "on discord we talk",
            "my linkedin profile is new",
            "facebook is 100x worse",
            "post it on twitter",
            "the discord server is down",
            "instagram stories are fun",
            "Python threads are slow",
            "twitter api v2",
            "is telegram secure?",
            "messenger rna",
            "signal processing",
            "the line is straight",
            "instagram and facebook",
            "@Override on line 5",
            "my telegram account was hacked",
            "my instagram is boring",
            "my line is busy",
            "telegram id is required",
            "open telegram.",
            "my discord is broken.",
        ]);
    }
}
