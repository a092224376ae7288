//! However a client's frames are cut, they mean the same; and nothing in them breaks a promise of the parser.
#![no_main]
use chiron_core::websocket::{Event, Parser, Violation};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

/// Feeds `stream` in pieces whose lengths `sizes` gives, up to the first violation.
fn parse(stream: &[u8], mut sizes: impl Iterator<Item = usize>) -> (Vec<Event>, Option<Violation>) {
    let mut parser = Parser::new(LIMIT);
    let mut events = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        rest = behind;
        if let Err(violation) = parser.feed(chunk, &mut events) {
            let found = events.len();
            assert_eq!(parser.feed(rest, &mut events), Ok(()), "nothing is refused twice");
            assert_eq!(events.len(), found, "nothing is read behind a violation");
            return (events, Some(violation));
        }
    }
    (events, None)
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (sizes, stream) = input;
    let whole = parse(&stream, std::iter::empty());
    assert_eq!(whole, parse(&stream, std::iter::repeat(1)), "octet by octet");
    assert_eq!(whole, parse(&stream, sizes.iter().map(|size| usize::from(*size))), "cut at {sizes:?}");
    for (i, event) in whole.0.iter().enumerate() {
        match event {
            Event::Message { data, text } => {
                assert!(data.len() <= LIMIT);
                assert!(!text || std::str::from_utf8(data).is_ok());
            }
            Event::Ping(data) | Event::Pong(data) => assert!(data.len() <= 125),
            Event::Close { reason, .. } => {
                assert!(reason.len() <= 123);
                assert_eq!(i + 1, whole.0.len(), "nothing is read behind a close");
            }
        }
    }
});
