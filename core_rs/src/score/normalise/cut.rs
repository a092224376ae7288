//! How much of a text is read.
use super::{
    READ,
    unicode::{class, class_of},
};

/// Code points over which the end of a grapheme cluster is looked for; a longer cluster is cut.
const LOOK_BACK: usize = 256;

/// The first `READ` bytes of the text, or less: never a part of an extended grapheme cluster (UAX 29), unless it is
/// longer than `LOOK_BACK`.
pub(super) fn cut(text: &str) -> &str {
    if text.len() <= READ {
        return text;
    }
    let mut end = READ;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut after = text[end..].chars().next().expect("the text is longer");
    let mut at = end;
    for before in text[..end].chars().rev().take(LOOK_BACK) {
        if parts(before, after) {
            return &text[..at];
        }
        at -= before.len_utf8();
        after = before;
    }
    &text[..end]
}

/// Whether a cluster surely ends between two characters. Rules GB3 to GB13 of UAX 29, with less context: where they ask
/// for what stood earlier (flags, emoji sequences, conjuncts), the answer is no.
fn parts(before: char, after: char) -> bool {
    let (first, second) = (class_of(before), class_of(after));
    let kept = |kind| kind != class::OPAQUE && kind != class::IGNORED;
    let flag = |letter| ('\u{1f1e6}'..='\u{1f1ff}').contains(&letter);
    let mark = |kind| kind == class::MARK || kind == class::SPACING;
    let extends = matches!(after, '\u{1f3fb}'..='\u{1f3ff}' | '\u{ff9e}' | '\u{ff9f}' | '\u{e33}' | '\u{eb3}');
    // Letters that a cluster may go on from (Prepend); the others among them are format characters.
    let prepended = matches!(
        before,
        '\u{d4e}' | '\u{111c2}' | '\u{111c3}' | '\u{1193f}' | '\u{11941}' | '\u{11a3a}' | '\u{11a84}'
            ..='\u{11a89}' | '\u{11d46}'
    );
    let leading = matches!(before, '\u{1100}'..='\u{115f}' | '\u{a960}'..='\u{a97c}');
    kept(first)
        && kept(second)
        && !(mark(second) || extends || prepended || leading)
        && !(mark(first) && second == class::OTHER)
        && (before, after) != ('\r', '\n')
        && !(flag(before) && flag(after))
        && !(jamo(after) && (jamo(before) || ('\u{ac00}'..='\u{d7a3}').contains(&before)))
}

fn jamo(letter: char) -> bool {
    matches!(letter, '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7ff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    proptest! {
        #[test]
        fn parts_only_between_clusters(text in "[\\PC\u{300}-\u{36f}\u{1f1e6}-\u{1f1ff}\u{200d}\u{1f468}\u{900}-\u{980}\u{1100}-\u{11ff}\u{ac00}-\u{ac10}\r\n]{0,40}") {
            let bounds: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
            for ((_, before), (at, after)) in text.char_indices().zip(text.char_indices().skip(1)) {
                prop_assert!(!parts(before, after) || bounds.contains(&at), "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn a_text_is_cut_before_what_would_not_fit_whole() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        for filling in READ - family.len() + 1..READ {
            let text = format!("{}{family} and more", "a".repeat(filling));
            assert_eq!(cut(&text), "a".repeat(filling));
        }
        assert_eq!(cut(&"\u{301}".repeat(READ)).len(), READ);
    }
}
