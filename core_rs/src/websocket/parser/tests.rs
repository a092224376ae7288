use super::*;
use proptest::prelude::*;

const LIMIT: usize = 70_000;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of a client, as §5.2 draws it. `first` is FIN, RSV and opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(octet, key)| octet ^ key));
    out
}

fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

fn text(data: &str) -> Event {
    Event::Message { data: data.into(), text: true }
}

fn binary(data: &[u8]) -> Event {
    Event::Message { data: data.into(), text: false }
}

fn parse_in(chunks: &[&[u8]]) -> (Vec<Event>, Option<Violation>) {
    let mut parser = Parser::new(LIMIT);
    let mut events = Vec::new();
    for chunk in chunks {
        if let Err(violation) = parser.feed(chunk, &mut events) {
            return (events, Some(violation));
        }
    }
    (events, None)
}

/// In one go, and octet by octet; both must find the same.
fn parse(bytes: &[u8]) -> (Vec<Event>, Option<Violation>) {
    let whole = parse_in(&[bytes]);
    assert_eq!(whole, parse_in(&bytes.chunks(1).collect::<Vec<_>>()));
    whole
}

#[track_caller]
fn accepts(frames: &[Vec<u8>], expected: &[Event]) {
    let (events, violation) = parse(&frames.concat());
    assert_eq!(violation, None);
    assert_eq!(events, expected);
}

#[track_caller]
fn refuses(frames: &[Vec<u8>], code: u16) {
    let (_, violation) = parse(&frames.concat());
    assert_eq!(violation.map(|violation| violation.code), Some(code));
}

#[test]
fn test_rfc6455_5_1_an_unmasked_frame_is_refused() {
    refuses(&[vec![0x81, 0x05, b'H', b'e', b'l', b'l', b'o']], 1002);
    refuses(&[vec![0x81, 0x05]], 1002);
}

#[test]
fn test_rfc6455_5_2_a_reserved_bit_is_refused() {
    for bit in [0x40, 0x20, 0x10] {
        refuses(&[frame(0x81 | bit, b"x")], 1002);
        refuses(&[frame(0x89 | bit, b"x")], 1002);
    }
}

#[test]
fn test_rfc6455_5_2_a_reserved_opcode_is_refused() {
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        refuses(&[frame(0x80 | opcode, b"")], 1002);
    }
}

#[test]
fn test_rfc6455_5_2_lengths_at_the_borders() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
        let data = vec![b'*'; length];
        accepts(&[frame(0x82, &data)], &[binary(&data)]);
    }
}

#[test]
fn test_rfc6455_5_2_a_length_must_be_in_its_shortest_form() {
    refuses(&[vec![0x82, 0xFE, 0, 125]], 1002);
    refuses(&[vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]], 1002);
    refuses(&[vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1]], 1002);
}

#[test]
fn test_rfc6455_5_2_the_top_bit_of_a_length_must_be_0() {
    refuses(&[vec![0x82, 0xFF, 0x80]], 1002);
    refuses(&[vec![0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]], 1009);
}

#[test]
fn test_rfc6455_5_4_fragments_are_joined() {
    accepts(&[frame(0x01, b"a"), frame(0x00, b""), frame(0x00, b"b"), frame(0x80, b"c")], &[text("abc")]);
    accepts(&[frame(0x02, b""), frame(0x80, b""), frame(0x81, b"d")], &[binary(b""), text("d")]);
}

#[test]
fn test_rfc6455_5_4_control_frames_pass_between_fragments() {
    accepts(
        &[frame(0x01, b"a"), frame(0x89, b"1"), frame(0x00, b"b"), frame(0x8A, b"2"), frame(0x80, b"c")],
        &[Event::Ping(b"1".into()), Event::Pong(b"2".into()), text("abc")],
    );
}

#[test]
fn test_rfc6455_5_4_fragments_interleaved_are_refused() {
    refuses(&[frame(0x01, b"a"), frame(0x81, b"b")], 1002);
    refuses(&[frame(0x01, b"a"), frame(0x02, b"b")], 1002);
}

#[test]
fn test_rfc6455_5_4_a_continuation_of_nothing_is_refused() {
    refuses(&[frame(0x80, b"a")], 1002);
    refuses(&[frame(0x00, b"a")], 1002);
    refuses(&[frame(0x01, b"a"), frame(0x80, b"b"), frame(0x80, b"c")], 1002);
}

#[test]
fn test_rfc6455_5_4_a_fragmented_control_frame_is_refused() {
    for opcode in [0x8, 0x9, 0xA] {
        refuses(&[frame(opcode, b"")], 1002);
    }
}

#[test]
fn test_rfc6455_5_5_a_control_frame_has_at_most_125_bytes() {
    accepts(&[frame(0x89, &[7; 125])], &[Event::Ping(vec![7; 125])]);
    for first in [0x88, 0x89, 0x8A] {
        refuses(&[frame(first, &[7; 126])], 1002);
    }
}

#[test]
fn test_rfc6455_5_5_1_nothing_is_read_behind_a_close() {
    accepts(
        &[closing(1000, b"bye"), frame(0x81, b"late"), vec![0xFF; 20]],
        &[Event::Close { code: 1000, reason: "bye".into() }],
    );
    accepts(&[frame(0x01, b"half"), frame(0x88, b"")], &[Event::Close { code: 1005, reason: String::new() }]);
}

#[test]
fn test_rfc6455_5_5_1_half_a_close_code_is_refused() {
    refuses(&[frame(0x88, &[3])], 1002);
}

#[test]
fn test_rfc6455_5_5_1_a_close_reason_is_utf8() {
    accepts(&[closing(4000, "schön".as_bytes())], &[Event::Close { code: 4000, reason: "schön".into() }]);
    refuses(&[closing(1000, b"\xC3")], 1007);
}

#[test]
fn test_rfc6455_7_1_5_a_close_without_a_body_is_1005() {
    accepts(&[frame(0x88, b"")], &[Event::Close { code: 1005, reason: String::new() }]);
}

#[test]
fn test_rfc6455_7_4_close_codes() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        accepts(&[closing(code, b"")], &[Event::Close { code, reason: String::new() }]);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        refuses(&[closing(code, b"")], 1002);
    }
}

#[test]
fn test_rfc6455_5_6_text_may_end_a_fragment_inside_a_character() {
    let octets = "κόσμε🜚".as_bytes();
    for cut in 0..=octets.len() {
        accepts(&[frame(0x01, &octets[..cut]), frame(0x80, &octets[cut..])], &[text("κόσμε🜚")]);
    }
}

#[test]
fn test_rfc6455_8_1_text_that_is_not_utf8_is_refused() {
    let cases: [&[u8]; 9] = [
        b"\xFF",
        b"ok \x80",
        b"\xC0\x80",
        b"\xE0\x80\x80",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xF5",
        b"cut \xE2\x82",
        b"\xE2\x28\xA1",
    ];
    for octets in cases {
        refuses(&[frame(0x81, octets)], 1007);
        refuses(&[frame(0x01, octets), frame(0x80, b"")], 1007);
        accepts(&[frame(0x82, octets)], &[binary(octets)]);
    }
}

#[test]
fn test_rfc6455_8_1_text_fails_at_its_first_bad_octet() {
    let whole = frame(0x01, "fine\u{FFFD}".as_bytes());
    let mut bad = whole[..whole.len() - 1].to_vec();
    bad.push(*whole.last().unwrap() ^ 0xFF);
    for end in 0..bad.len() {
        assert_eq!(parse(&bad[..end]).1, None);
    }
    refuses(&[bad], 1007);
}

#[test]
fn test_rfc6455_10_4_size_is_limited_before_the_payload_is_there() {
    let whole = frame(0x82, &[0; LIMIT + 1]);
    refuses(&[whole[..10].to_vec()], 1009);
    let fragments = [frame(0x02, &[0; LIMIT]), frame(0x80, b"!")];
    refuses(&[fragments[0].clone(), fragments[1][..2].to_vec()], 1009);
    accepts(&[fragments[0].clone(), frame(0x80, b"")], &[binary(&[0; LIMIT])]);
}

#[test]
fn a_control_frame_is_not_counted_against_the_size_of_messages() {
    let mut parser = Parser::new(2);
    let mut events = Vec::new();
    parser.feed(&[frame(0x89, b"ping"), frame(0x82, b"ok")].concat(), &mut events).unwrap();
    assert_eq!(events, [Event::Ping(b"ping".into()), binary(b"ok")]);
    parser.set_max_message(3);
    parser.feed(&frame(0x82, b"now"), &mut events).unwrap();
    assert_eq!(parser.feed(&frame(0x82, b"much"), &mut events).unwrap_err().code, 1009);
}

#[test]
fn what_came_before_a_violation_is_kept_and_nothing_follows_it() {
    let mut parser = Parser::new(LIMIT);
    let mut events = Vec::new();
    let bytes = [frame(0x81, b"kept"), frame(0x83, b""), frame(0x81, b"late")].concat();
    assert_eq!(parser.feed(&bytes, &mut events).unwrap_err().code, 1002);
    assert_eq!(parser.feed(&frame(0x81, b"later"), &mut events), Ok(()));
    assert_eq!(events, [text("kept")]);
}

#[test]
fn next_stops_behind_one_event() {
    let bytes = [frame(0x81, b"one"), frame(0x81, b"two")].concat();
    let mut rest = bytes.as_slice();
    let mut parser = Parser::new(LIMIT);
    assert_eq!(parser.next(&mut rest), Ok(Some(text("one"))));
    assert_eq!(rest, frame(0x81, b"two"));
    assert_eq!(parser.next(&mut rest), Ok(Some(text("two"))));
    assert_eq!(parser.next(&mut rest), Ok(None));
}

#[test]
fn an_idle_parser_is_small_and_holds_no_buffer() {
    assert!(size_of::<Parser>() <= 100, "{} bytes", size_of::<Parser>());
    let mut parser = Parser::new(LIMIT);
    let bytes = [frame(0x01, b"a"), frame(0x89, b"b"), frame(0x80, b"c")].concat();
    for octet in bytes {
        parser.feed(&[octet], &mut Vec::new()).unwrap();
    }
    assert_eq!((parser.message.capacity(), parser.control.capacity()), (0, 0));
}

/// Streams that reach every rule: mostly sound frames, some of them damaged.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "\\PC{0,40}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just("ω".repeat(40_000).into_bytes()),
    ];
    let first = prop_oneof![
        8 => prop::sample::select(&[0x81u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A][..]),
        1 => any::<u8>(),
    ];
    let sound = (first, payload).prop_map(|(first, payload)| frame(first, &payload));
    let close = (900u16..5100, "\\PC{0,5}").prop_map(|(code, reason)| closing(code, reason.as_bytes()));
    let noise = prop::collection::vec(any::<u8>(), 0..20);
    prop::collection::vec(prop_oneof![16 => sound, 1 => close, 1 => noise], 0..10).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same(stream in streams(), cuts in prop::collection::vec(0.0..1.0f64, 0..40)) {
        let mut places: Vec<usize> = cuts.iter().map(|cut| (cut * stream.len() as f64) as usize).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let chunks: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(parse_in(&chunks), parse_in(&[&stream]));
    }

    #[test]
    fn any_fragmenting_gives_the_same_message(
        message in "\\PC{0,60}",
        cuts in prop::collection::vec(0.0..1.0f64, 0..6),
    ) {
        let octets = message.as_bytes();
        let mut places: Vec<usize> = cuts.iter().map(|cut| (cut * octets.len() as f64) as usize).collect();
        places.sort_unstable();
        let mut bytes = Vec::new();
        let mut begin = 0;
        for (i, &end) in places.iter().enumerate() {
            bytes.extend(frame(if i == 0 { 0x01 } else { 0x00 }, &octets[begin..end]));
            begin = end;
        }
        bytes.extend(frame(if places.is_empty() { 0x81 } else { 0x80 }, &octets[begin..]));
        prop_assert_eq!(parse_in(&[&bytes]), (vec![text(&message)], None));
    }
}
