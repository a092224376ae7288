//! No text makes the scorer panic; every span and origin lies in the text; what is read for the score alone is the same;
//! and a verdict with its reasons, or with what was remembered, is the verdict.
#![no_main]
use chiron_core::score::{
    Scorer,
    normalise::{Mapped, Normaliser},
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The files that the wheel ships.
static SCORER: LazyLock<Scorer> = LazyLock::new(|| {
    Scorer::new(
        include_bytes!("../../../server/moderation/weights/model.bin"),
        include_bytes!("../../../server/moderation/weights/terms.tsv"),
        include_bytes!("../../../server/moderation/weights/allow.txt"),
    )
    .expect("the shipped files are in order")
});

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let length = text.chars().count();
    let (mut normaliser, mut reader) = (Normaliser::default(), Normaliser::default());
    let normalised = normaliser.run(&text);
    // What was read twice is known.
    for _ in 0..3 {
        let read = reader.read(&text);
        assert_eq!(read.plain, normalised.plain);
        assert_eq!((&read.words, &read.suspects), (&normalised.words, &normalised.suspects));
        assert_eq!((read.suspicious, read.cut), (normalised.suspicious, normalised.cut));
    }
    let in_order = |mapped: &Mapped| {
        assert_eq!(mapped.origins().len(), mapped.as_str().chars().count());
        let mut before = (0, 0);
        for origin in mapped.origins() {
            assert!(before <= (origin.start, origin.end) && before.1 <= origin.end);
            assert!(origin.start <= origin.end && origin.end as usize <= length);
            before = (origin.start, origin.end);
        }
    };
    in_order(&normalised.folded);
    in_order(&normalised.plain);
    for word in &normalised.words {
        assert!(!normalised.plain.as_str()[word.start as usize..word.end as usize].is_empty());
    }
    let score = SCORER.score(&text);
    let explanation = SCORER.explain(&text);
    assert_eq!(score, explanation.score);
    assert_eq!(score, SCORER.score(&text));
    let mut start = 0;
    for span in &explanation.spans {
        assert!(start <= span.start && span.start < span.end && span.end <= length, "{span:?}");
        start = span.start;
    }
});
