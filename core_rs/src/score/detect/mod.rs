//! Details that lead off the platform: how to reach a person elsewhere, and how to pay elsewhere.
//!
//! Each kind has its rules in a file of its own, over one folded view of the text ([`text::Text`]): a byte a character,
//! the words that matter found in the same pass. Every rule looks a bounded way to either side of what set it off, so
//! the time is linear in the text. The rules would rather miss than accuse: what could as well be a price, a date, an
//! order, a file or code is that.
mod account;
mod address;
mod domain;
mod handle;
mod link;
mod payment;
mod phone;
mod spoken;
mod text;
mod words;

use std::ops::Range;
use text::Text;

/// What a detail is. In order: where two overlap, the earlier stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A way to pay beside the platform, an account, or the wish to.
    Payment,
    /// An address of India's Unified Payments Interface.
    Upi,
    Mail,
    /// A name in a messenger or network.
    Handle,
    Link,
    Phone,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Upi => "upi",
            Self::Mail => "mail",
            Self::Handle => "handle",
            Self::Link => "link",
            Self::Phone => "phone",
        }
    }
}

/// A detail and the code points of the text that it is, which are not none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    pub range: Range<usize>,
}

/// The details in a text, in order, none over another.
pub fn find(text: &str) -> Vec<Finding> {
    let view = Text::new(text);
    let mut spans: Vec<(Kind, usize, usize)> = Vec::new();
    address::find(&view, |kind, start, end| spans.push((kind, start, end)));
    link::find(&view, |kind, start, end| spans.push((kind, start, end)));
    handle::find(&view, |start, end| spans.push((Kind::Handle, start, end)));
    phone::find(&view, |start, end| spans.push((Kind::Phone, start, end)));
    spoken::find(&view, |start, end| spans.push((Kind::Phone, start, end)));
    account::find(&view, |start, end| spans.push((Kind::Payment, start, end)));
    payment::find(&view, |start, end| spans.push((Kind::Payment, start, end)));
    let mut findings: Vec<Finding> =
        apart(spans).into_iter().map(|(kind, start, end)| Finding { kind, range: view.original(start, end) }).collect();
    payment::find_foreign(text, |start, end| {
        if findings.iter().all(|finding| finding.range.end <= start || end <= finding.range.start) {
            findings.push(Finding { kind: Kind::Payment, range: start..end });
        }
    });
    findings.sort_by_key(|finding| finding.range.start);
    findings
}

/// Those that no earlier kind overlaps; of one kind the first.
fn apart(mut spans: Vec<(Kind, usize, usize)>) -> Vec<(Kind, usize, usize)> {
    if spans.len() < 2 {
        return spans;
    }
    spans.sort_unstable();
    let mut taken = vec![false; spans.iter().map(|span| span.2).max().unwrap_or(0)];
    spans.retain(|&(_, start, end)| {
        let free = !taken[start..end].contains(&true);
        if free {
            taken[start..end].fill(true);
        }
        free
    });
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    /// Each of `texts` has details of `kind` alone.
    #[track_caller]
    pub(super) fn found(kind: Kind, texts: &[&str]) {
        let wrong: Vec<_> = texts
            .iter()
            .map(|text| (text, find(text)))
            .filter(|(_, findings)| findings.is_empty() || findings.iter().any(|finding| finding.kind != kind))
            .collect();
        assert!(wrong.is_empty(), "not {kind:?} alone: {wrong:#?}");
    }

    /// None of `texts` has any detail.
    #[track_caller]
    pub(super) fn nothing(texts: &[&str]) {
        let wrong: Vec<_> =
            texts.iter().map(|text| (text, find(text))).filter(|(_, findings)| !findings.is_empty()).collect();
        assert!(wrong.is_empty(), "details: {wrong:#?}");
    }

    fn pieces(text: &str) -> Vec<(Kind, String)> {
        let piece = |range: Range<usize>| text.chars().skip(range.start).take(range.len()).collect();
        find(text).into_iter().map(|finding| (finding.kind, piece(finding.range))).collect()
    }

    #[test]
    fn ranges_are_code_points_of_the_original() {
        let text = "ایمیل من: Sara.K@Gmail.com و شماره ۰۹۱۲ ۳۴۵ ۶۷۸۹ 🙂 or t.me/sara_k!";
        let expected =
            [(Kind::Mail, "Sara.K@Gmail.com"), (Kind::Phone, "۰۹۱۲ ۳۴۵ ۶۷۸۹"), (Kind::Handle, "t.me/sara_k")];
        assert_eq!(pieces(text), expected.map(|(kind, piece)| (kind, piece.to_owned())));
    }

    #[test]
    fn the_more_telling_kind_stays_where_two_overlap() {
        let expected = |kind, piece: &str| vec![(kind, piece.to_owned())];
        assert_eq!(pieces("https://wa.me/919876543210"), expected(Kind::Handle, "https://wa.me/919876543210"));
        assert_eq!(pieces("9876543210@ybl"), expected(Kind::Upi, "9876543210@ybl"));
        assert_eq!(pieces("paypal.me/priya"), expected(Kind::Payment, "paypal.me/priya"));
    }

    /// What this thread has used: neighbours on the machine do not count.
    fn processor_time() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is valid for the call to write.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    #[test]
    fn a_flood_takes_no_longer_a_byte_than_a_little_of_it() {
        for unit in [
            "a@",
            "@",
            "a.",
            ".",
            "9 ",
            "98765 43210 ",
            "+",
            "(+",
            "nine ",
            "double ",
            "at ",
            "a at b dot c ",
            "insta @",
            "pay me ",
            "x#1234",
            "my insta is ",
            "outside the app ",
            "DE89 ",
            "0x",
            "1a",
            "a b @ c d . ",
            "paypal ",
            "://",
            "www.",
            "a.com",
            "9.",
            "9-",
            "नौ ",
            "\u{200b}9",
            "one@",
        ] {
            let text = |bytes: usize| unit.repeat(bytes / unit.len() + 1);
            let (short, long) = (text(1 << 12), text(1 << 16));
            let fastest = |text: &str| {
                (0..5)
                    .map(|_| {
                        let start = processor_time();
                        std::hint::black_box(find(text));
                        processor_time() - start
                    })
                    .min()
                    .unwrap_or_default()
            };
            let (few, many) = (fastest(&short), fastest(&long));
            // Sixteen times the bytes: far from the 256 times of a quadratic rule, whatever else the machine does.
            assert!(many < few * 80 + Duration::from_millis(5), "{unit:?}: {few:?}, {many:?}");
        }
    }

    fn bricks() -> impl Strategy<Value = String> {
        let brick = prop_oneof![
            proptest::sample::select(vec![
                "@",
                ".",
                " ",
                "+",
                "(",
                ")",
                "-",
                "/",
                ":",
                "#",
                "98765",
                "43210",
                "91",
                "415",
                "5552671",
                "gmail",
                "com",
                "dot",
                "at",
                "nine",
                "double",
                "eight",
                "my",
                "insta",
                "is",
                "telegram",
                "pay",
                "me",
                "directly",
                "outside",
                "the",
                "app",
                "paypal",
                "https://",
                "www.",
                "t.me/",
                "GB82",
                "0x",
                "bc1",
                "नौ",
                "سه",
                "۰۹۱۲",
                "\u{200b}",
                "é",
                "🙂",
                "\n",
                "commission",
                "without",
                "ybl",
                "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            ])
            .prop_map(str::to_owned),
            "\\PC{0,4}",
        ];
        proptest::collection::vec(brick, 0..40).prop_map(|bricks| bricks.concat())
    }

    proptest! {
        #[test]
        fn ranges_are_in_bounds_in_order_and_apart(text in bricks()) {
            let mut last = 0;
            for finding in find(&text) {
                prop_assert!(last <= finding.range.start && finding.range.start < finding.range.end);
                last = finding.range.end;
            }
            prop_assert!(last <= text.chars().count());
        }

        #[test]
        fn any_text_is_read_to_its_end(text in any::<String>()) {
            find(&text);
        }
    }
}
