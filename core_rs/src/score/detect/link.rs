//! Links: with a scheme, from `www.` on, or a bare host whose end is a domain and not a file, a member or the next word.
//! Those that lead to a person or to a till are handles and payments.
use super::{
    Kind,
    domain::{self, Tld, in_host},
    text::{Text, is_word},
};

/// Where people are found by name.
const PROFILES: &[&str] = &[
    "wa.me",
    "t.me",
    "telegram.me",
    "telegram.dog",
    "api.whatsapp.com",
    "chat.whatsapp.com",
    "m.me",
    "fb.me",
    "discord.gg",
    "signal.me",
    "signal.group",
    "join.skype.com",
    "line.me",
    "viber.click",
    "kik.me",
    "eitaa.com",
    "ble.ir",
    "rubika.ir",
    "instagr.am",
    "discordapp.com",
    "lnkd.in",
];
/// The same, where a path of one segment is a person.
const NETWORKS: &[&str] = &[
    "instagram.com",
    "facebook.com",
    "fb.com",
    "twitter.com",
    "x.com",
    "tiktok.com",
    "threads.net",
    "snapchat.com",
    "linkedin.com",
    "discord.com",
    "vk.com",
];
/// Where money is sent.
const TILLS: &[&str] = &[
    "paypal.me",
    "cash.app",
    "venmo.com",
    "revolut.me",
    "monzo.me",
    "razorpay.me",
    "rzp.io",
    "buymeacoffee.com",
    "ko-fi.com",
    "bmc.link",
    "buy.stripe.com",
    "zarinp.al",
    "zarinpal.com",
    "idpay.ir",
    "payping.ir",
    "reymit.ir",
    "pay.google.com",
    "wise.com",
    "paypal.com",
    "bkash.com",
];
/// First labels of names in programs: packages, modules, objects.
const NAMES: &[&str] = &[
    "com",
    "org",
    "net",
    "io",
    "edu",
    "dev",
    "java",
    "javax",
    "kotlin",
    "android",
    "self",
    "this",
    "asp",
    "vb",
    "ado",
    "node",
    "socket",
    "system",
    "app",
    "window",
    "document",
    "console",
    "user",
    "obj",
    "object",
    "req",
    "res",
    "request",
    "response",
    "np",
    "os",
    "std",
    "math",
    "session",
    "data",
    "config",
    "db",
    "item",
    "torch",
    "logger",
    "log",
    "model",
    "client",
    "server",
    "http",
    "microsoft",
    "engine",
    "router",
    "ctx",
    "context",
    "dot",
    "args",
    "opts",
    "props",
    "state",
    "event",
    "node",
    "parent",
    "child",
    "file",
    "path",
    "fs",
    "process",
    "module",
    "neural",
    "nn",
    "file",
];

pub(super) fn find(text: &Text, mut found: impl FnMut(Kind, usize, usize)) {
    if !text.dots {
        return;
    }
    let mut done = 0;
    for dot in memchr::memchr_iter(b'.', &text.folded) {
        if dot < done {
            continue;
        }
        let mut start = dot;
        while start > done && in_host(text.folded[start - 1]) {
            start -= 1;
        }
        let mut end = dot + 1;
        while end < text.len() && in_host(text.folded[end]) {
            end += 1;
        }
        done = end;
        let host_end = end;
        while start < end && matches!(text.folded[start], b'.' | b'-') {
            start += 1;
        }
        while end > start && matches!(text.folded[end - 1], b'.' | b'-') {
            end -= 1;
        }
        if let Some((kind, from, to)) = host(text, start, end) {
            found(kind, from, to);
            done = to.max(host_end);
        }
    }
}

fn host(text: &Text, start: usize, end: usize) -> Option<(Kind, usize, usize)> {
    let name = text.slice(start, end);
    let mut labels = name.rsplit(|&byte| byte == b'.');
    let last = labels.next().unwrap_or_default();
    let second = labels.next()?;
    if name.len() > 253 || name.windows(2).any(|pair| pair == b"..") {
        return None;
    }
    let scheme = scheme(text, start);
    let path = path(text, end);
    let from = scheme.unwrap_or(start);
    if scheme.is_some() {
        return (!is_private(name)).then(|| (kind(text, name, end, path), from, path));
    }
    let www = name.starts_with(b"www.") && name.len() > 6;
    if matches!(text.before(start), b'@' | b'/' | b'\\' | b'_' | b'$' | b'.' | b'-') {
        return None;
    }
    if www && last.iter().all(u8::is_ascii_alphabetic) && last.len() >= 2 {
        return Some((kind(text, name, end, path), from, path));
    }
    if matches!(text.at(end), b'(' | b'[' | b'=' | b'_' | b'@') && end < text.len() {
        return None;
    }
    let deeper = path > end + 1 && text.at(end) == b'/' && !text.slice(start, end).starts_with(b"-");
    let bare = match domain::tld(last)? {
        Tld::Sure => true,
        Tld::Weak => deeper || (domain::is_second(second) && name.iter().filter(|&&byte| byte == b'.').count() >= 2),
    };
    let first = name.split(|&byte| byte == b'.').next().unwrap_or_default();
    let program = NAMES.iter().any(|word| word.as_bytes() == first) && !deeper;
    let letters = second.iter().any(u8::is_ascii_alphabetic) || last == b"com";
    (bare && !program && letters && (second.len() > 1 || deeper)).then(|| (kind(text, name, end, path), from, path))
}

/// Where `https://` before `start` starts.
fn scheme(text: &Text, start: usize) -> Option<usize> {
    // `user:password@` is no part of a link that a person sends.
    if start < 3 || !text.slice(start - 3, start).eq(b"://") {
        return None;
    }
    let mut first = start - 3;
    while first > 0 && start - first < 12 && text.folded[first - 1].is_ascii_alphabetic() {
        first -= 1;
    }
    matches!(text.slice(first, start - 3), b"http" | b"https" | b"hxxp" | b"hxxps" | b"ftp" | b"tg" | b"ttp" | b"ttps")
        .then_some(first)
}

/// After port, path, query and fragment that follow a host, without what ends a sentence.
fn path(text: &Text, host_end: usize) -> usize {
    let mut end = host_end;
    if text.at(end) == b':' && text.at(end + 1).is_ascii_digit() {
        end += 1;
        while text.at(end).is_ascii_digit() {
            end += 1;
        }
    }
    if !matches!(text.at(end), b'/' | b'?' | b'#') {
        return end;
    }
    while end < text.len()
        && !text.folded[end].is_ascii_whitespace()
        && !matches!(text.folded[end], b'"' | b'<' | b'>' | b'`' | b'|')
    {
        end += 1;
    }
    while end > host_end
        && matches!(text.folded[end - 1], b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b']' | b'\'' | b'*')
    {
        end -= 1;
    }
    end
}

/// A host of one's own machine or network (RFC 1918, RFC 6761).
fn is_private(name: &[u8]) -> bool {
    name.starts_with(b"127.")
        || name.starts_with(b"10.")
        || name.starts_with(b"192.168.")
        || name == b"0.0.0.0"
        || name.ends_with(b".localhost")
        || name.ends_with(b".local")
}

fn kind(text: &Text, name: &[u8], end: usize, to: usize) -> Kind {
    let name = name.strip_prefix(b"www.").or_else(|| name.strip_prefix(b"m.")).unwrap_or(name);
    let is = |list: &[&str]| list.iter().any(|host| host.as_bytes() == name);
    let path = text.slice(end.min(to), to);
    let segments = path.split(|&byte| byte == b'?' || byte == b'#').next().unwrap_or_default();
    let segments = segments.strip_prefix(b"/").unwrap_or(segments);
    let segments = segments.strip_suffix(b"/").unwrap_or(segments);
    if segments.is_empty() || !segments.iter().any(|&byte| is_word(byte)) {
        return Kind::Link;
    }
    let one = !segments.contains(&b'/');
    if is(PROFILES) {
        return Kind::Handle;
    }
    if is(NETWORKS) {
        let named =
            [&b"in/"[..], b"add/", b"invite/", b"users/"].into_iter().any(|prefix| segments.starts_with(prefix));
        let place = matches!(
            segments,
            b"explore"
                | b"home"
                | b"jobs"
                | b"learning"
                | b"search"
                | b"login"
                | b"feed"
                | b"developers"
                | b"help"
                | b"business"
                | b"download"
        );
        return if (one && !place) || named { Kind::Handle } else { Kind::Link };
    }
    let docs = matches!(
        segments.split(|&byte| byte == b'/').next(),
        Some(b"docs" | b"help" | b"developer" | b"blog" | b"webapps" | b"us" | b"gb" | b"in")
    );
    if is(TILLS)
        && (name != b"paypal.com" || segments.starts_with(b"paypalme"))
        && (name != b"wise.com" || segments.starts_with(b"pay"))
        && !docs
    {
        return Kind::Payment;
    }
    Kind::Link
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{found, nothing},
    };

    #[test]
    fn links() {
        found(
            Kind::Link,
            &[
                "https://example.com/x",
                "http://foo.bar/baz?q=1#z",
                "see www.example.org",
                "example.com",
                "foo.co.uk",
                "docs.python.org/3/library",
                "HTTPS://EXAMPLE.COM",
                "(https://a.example.com/b)",
                "bit.ly/3abcd",
                "my-site dot com",
                "hxxps://evil.com",
                "arxiv.org/abs/1706.03762",
                "https://zoom.us/j/123456789",
                "goo.gl/maps/x",
                "zomato.in/menu",
                "university.ac.in",
                "github.com/org/repo",
                "x.com/org/status/1",
                "instagram.com/p/Cabc",
                "linkedin.com/jobs/view/1",
                "foo.ir",
                "youtube.com/watch?v=1",
                "mentorhub (dot) org",
                "https://web.telegram.org",
                "www.uni-bonn.de",
                "stackoverflow.com/q/1",
            ],
        );
    }

    #[test]
    fn what_is_no_link() {
        nothing(&[
            "main.rs",
            "README.md",
            "script.py",
            "app.js",
            "foo.sh",
            "node.js",
            "asp.net",
            "java.io",
            "e.g. this",
            "i.e. that",
            "the U.S.A. and",
            "a.m. or p.m.",
            "Ph.D. thesis",
            "finished.In the end",
            "ok.So what",
            "v1.2.3",
            "self.net",
            "user.name",
            "logger.info(x)",
            "com.example.app",
            "org.apache.commons.io",
            "http://localhost:8000/x",
            "http://127.0.0.1:8000",
            "http://192.168.1.10/",
            "np.dot(a, b)",
            "the dot com bubble",
            "every dot com company",
            "dot net framework",
            "3.14",
            "etc...",
            "wait...what",
            "../../foo.com/x",
            "img.png",
            "a.b.c.d",
            "std::io",
            "file:///etc/hosts",
            "//comment",
            "obj.id",
            "app.live",
            "torch.nn",
            "the dot product",
            "thing.is",
            "look.me",
            "docker-compose.yml",
            "libfoo.so",
            "data.csv",
            "x.T",
            "np.linalg.inv",
            "com is a suffix",
            "www",
            "https",
            "end.de",
            "Hello.World",
            "ein.Haus",
            "self.app.dev",
        ]);
    }
}
