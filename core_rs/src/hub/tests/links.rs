use super::*;
use crate::{
    hub::{Layer, Stats, score_publishes, unscored_bytes},
    score::{Scorer, model::noise},
    wire::ClientFrame,
};
use client::record;

/// What the frames are, in short.
fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| match event {
        Event::Frame(ClientFrame::Connect { id, .. }) => format!("connect {id}"),
        Event::Frame(ClientFrame::Publish { id, retry_after_ms, .. }) => format!("publish {id} {retry_after_ms}"),
        Event::Frame(ClientFrame::Command { id, retry_after_ms, .. }) => format!("command {id} {retry_after_ms}"),
        Event::Frame(ClientFrame::Malformed { id, code, .. }) => format!("malformed {id:?} {code}"),
        Event::Frame(ClientFrame::Pong) => "pong".to_owned(),
        Event::Broken(breach) => format!("broken {} {}", breach.layer.name(), breach.code),
        other => format!("{other:?}"),
    };
    events.iter().map(name).collect()
}

#[test]
fn nothing_behind_connect_is_read_until_the_link_is_bound() {
    let mut bench = Bench::new();
    let id = bench.open();
    let first = [text(CONNECT), text(&publish(2, 1, 1)), text(&publish(3, 1, 2))[..10].to_vec()].concat();
    assert_eq!(names(&bench.upgrade(id, Upgrade::Link, &first)), ["connect 1"]);
    assert!(bench.feed(id, &[&text(&publish(3, 1, 2))[10..], &text("[{\"op\":\"pong\"}]")].concat()).is_empty());
    assert_eq!(names(&bench.bind(id, "p")), ["publish 2 0", "publish 3 0", "pong"]);
    assert!(bench.bind(id, "someone else").is_empty());
    assert_eq!(names(&bench.feed(id, &text(&publish(4, 1, 3)))), ["publish 4 0"]);
}

#[test]
fn any_other_first_frame_is_4000() {
    let both = format!("[{CONNECT},{}]", publish(2, 1, 1));
    for first in [publish(2, 1, 1).as_str(), r#"{"op":"pong"}"#, r#"{"op":"connect","id":1}"#, &both, r#"{"op":"new"}"#]
    {
        let mut bench = Bench::new();
        let id = bench.open();
        assert_eq!(names(&bench.upgrade(id, Upgrade::Link, &text(first))), ["broken wire 4000"], "{first}");
        assert_eq!(bench.hear(id).received, [client::Received::Close(4000)]);
    }
}

#[test]
fn connect_has_at_most_8_kib_and_what_follows_may_have_more() {
    let long = |length: usize| format!(r#"{{"op":"connect","id":1,"token":"{}"}}"#, "x".repeat(length));
    let mut bench = Bench::new();
    let id = bench.open();
    assert_eq!(names(&bench.upgrade(id, Upgrade::Link, &text(&long(8_200)))), ["broken websocket 1009"]);
    let id = bench.open();
    let big = publish(2, 1, 1).replace("\"x\"", &format!("\"{}\"", "x".repeat(9_000)));
    assert_eq!(names(&bench.upgrade(id, Upgrade::Link, &[text(&long(8_000)), text(&big)].concat())), ["connect 1"]);
    assert_eq!(names(&bench.bind(id, "p")), ["publish 2 0"]);
    let bigger = publish(3, 1, 2).replace("\"x\"", &format!("\"{}\"", "x".repeat(MAX_MESSAGE)));
    assert_eq!(names(&bench.feed(id, &text(&bigger))), ["broken websocket 1009"]);
}

#[test]
fn what_waits_for_the_welcome_is_bounded() {
    let mut bench = Bench::new();
    let id = bench.presented();
    let chunk = vec![0; MAX_MESSAGE / 2];
    assert!(bench.feed(id, &chunk).is_empty());
    assert!(bench.feed(id, &chunk).is_empty());
    assert_eq!(names(&bench.feed(id, b"x")), ["broken wire 4006"]);
    assert!(bench.feed(id, &chunk).is_empty());
    assert!(bench.bind(id, "p").is_empty());
}

#[test]
fn a_second_connect_is_refused_and_the_link_goes_on() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    let events = bench.feed(id, &[text(CONNECT), text(r#"{"op":"pong"}"#)].concat());
    assert_eq!(names(&events), ["malformed Some(1) protocol", "pong"]);
}

#[test]
fn messages_that_are_no_frames_end_the_link_with_their_code() {
    for (frame, what) in [
        (masked(2, b"{}"), "broken wire 1003"),
        (text("nonsense"), "broken wire 1007"),
        (text("[]"), "broken wire 1002"),
        (masked(1, b"\xff"), "broken websocket 1007"),
        (vec![0x81, 0x00], "broken websocket 1002"),
    ] {
        let mut bench = Bench::new();
        let id = bench.bound("p");
        assert_eq!(names(&bench.feed(id, &frame)), [what]);
        let code = what[what.len() - 4..].parse().expect("a code");
        assert_eq!(bench.hear(id).received, [client::Received::Close(code)]);
    }
}

#[test]
fn all_links_of_a_person_share_one_limit() {
    let mut bench = Bench::new();
    let (first, second) = (bench.bound("p"), bench.bound("p"));
    let other = bench.bound("q");
    for id in 1..=5 {
        let link = if id % 2 == 0 { first } else { second };
        assert_eq!(names(&bench.feed(link, &text(&publish(id, 1, 1)))), [format!("publish {id} 0")]);
    }
    let refused =
        bench.feed(first, &text(&format!("[{},{{\"op\":\"command\",\"id\":7,\"name\":\"x\"}}]", publish(6, 1, 1))));
    assert_eq!(names(&refused), ["publish 6 100", "command 7 100"]);
    assert_eq!(names(&bench.feed(other, &text(&publish(8, 1, 1)))), ["publish 8 0"]);
    bench.now += 0.1;
    assert_eq!(names(&bench.feed(second, &text(&publish(9, 1, 1)))), ["publish 9 0"]);
}

#[test]
fn acks_leave_in_order_and_before_deliveries() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    bench.hub.attach(id, 1, 1, 0);
    bench.hub.go_live(id, 1, 1);
    bench.hub.publish(1, &delivery(1, 1), 1, 0, None);
    for answer in 1..=3 {
        assert!(bench.hub.send_frame(id, &ok(answer)));
    }
    let client = bench.hear(id);
    let ops = client.received.iter().map(|received| match received {
        client::Received::Frame(frame) => format!("{} {}", frame["op"], frame["id"]),
        other => format!("{other:?}"),
    });
    assert_eq!(ops.collect::<Vec<_>>(), ["\"ok\" 1", "\"ok\" 2", "\"ok\" 3", "\"delivery\" null"]);
}

#[test]
fn a_control_lane_that_overflows_is_reported_once_and_still_takes_the_close() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    let mut sent = 0;
    while bench.hub.queued(id) <= SETTINGS.control_bytes {
        assert!(bench.hub.send_frame(id, &ok(sent)));
        sent += 1;
    }
    assert_eq!(bench.hub.take_overflown(), [id]);
    assert!(bench.hub.send_frame(id, &Frame::close(4002, "too slow", 100, true)));
    assert!(bench.hub.take_overflown().is_empty());
    while bench.hub.send_frame(id, &ok(sent)) {}
    assert!(bench.hub.queued(id) < 2 * SETTINGS.control_bytes + 100);
    bench.hub.finish(id, 4002, "too slow");
    let client = bench.hear(id);
    assert_eq!(client.frames("close").len(), 1);
    assert_eq!(client.received.last(), Some(&client::Received::Close(4002)));
}

#[test]
fn a_lone_frame_over_the_bound_does_not_end_a_link_that_reads() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    let page = Frame::page(1, "conv:1", 1, &[sized(1, 1, 10_000)], false, 1, 0, "e").expect("deliveries");
    assert!(bench.hub.send_frame(id, &page));
    assert!(bench.hub.take_overflown().is_empty());
    assert_eq!(bench.hear(id).frames("page").len(), 1);
}

#[test]
fn a_link_that_is_gone_is_not_reported_as_overflown() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    while bench.hub.send_frame(id, &ok(1)) {}
    bench.hub.close(id);
    assert!(bench.hub.take_overflown().is_empty());
    assert_eq!(bench.hub.stats(), Default::default());
}

// ------------------------------------------------------------------------------------------------ links on streams

/// An answer as the server frames it.
fn answered(id: u64) -> Vec<u8> {
    [&[18], format!(r#"{{"op":"ok","id":{id}}}"#).as_bytes()].concat()
}

#[test]
fn a_link_on_a_stream_reads_records_in_any_pieces() {
    let mut bench = Bench::new();
    let id = bench.hub.open_link(0).expect("there are ids");
    let stream = [record(CONNECT), record(&publish(2, 1, 1))].concat();
    let mut events = Vec::new();
    for byte in stream {
        events.extend(bench.feed_link(id, &[byte]));
    }
    assert_eq!(names(&events), ["connect 1"]);
    assert_eq!(names(&bench.bind(id, "p")), ["publish 2 0"]);
    assert!(matches!(bench.feed_end(id)[..], [Event::Ended { clean: true }]));
}

#[test]
fn whole_records_leave_by_flush_within_its_share_and_a_longer_one_alone() {
    let mut bench = Bench::new();
    let (id, other) = (bench.streamed("p", 0), bench.streamed("q", 0));
    let page = Frame::page(2, "conv:1", 1, &[sized(1, 1, 2_000)], false, 1, 0, "e").expect("deliveries");
    bench.hub.send_frame(id, &ok(1));
    bench.hub.send_frame(id, &page);
    bench.hub.send_frame(id, &ok(3));
    bench.hub.send_frame(other, &ok(4));
    assert!(bench.hub.is_dirty());
    assert_eq!(bench.flush(), [(id, answered(1), false), (other, answered(4), false)]);
    let flushed = bench.flush();
    assert!(matches!(&flushed[..], [(link, bytes, false)] if *link == id && bytes[2..] == *page.payload()));
    assert_eq!(bench.flush(), [(id, answered(3), false)]);
    assert!(!bench.hub.is_dirty());
    assert_eq!(bench.hub.queued(id), 0);
}

#[test]
fn nothing_of_a_link_on_a_stream_leaves_while_it_is_paused() {
    let mut bench = Bench::new();
    let id = bench.streamed("p", 1_000);
    bench.hub.attach(id, 1, 1, 0);
    assert!(bench.hub.pause(id));
    bench.hub.send_frame(id, &ok(1));
    assert_eq!(bench.hub.publish_event(1, "k", &event(1, "old"), 0), 1);
    assert!(!bench.hub.is_dirty());
    assert_eq!(bench.flush_beside(9), (vec![], vec![]));
    assert_eq!(bench.hub.publish_event(1, "k", &event(1, "new"), 0), 1);
    assert!(bench.hub.resume(id));
    let beside = vec![(id, event(1, "new").payload().to_vec())];
    assert_eq!(bench.flush_beside(9), (vec![(id, answered(1), false)], beside));
}

#[test]
fn links_on_streams_share_frames_with_links_over_websocket() {
    let mut bench = Bench::new();
    let (streamed, link) = (bench.streamed("p", 0), bench.bound("q"));
    for id in [streamed, link] {
        assert!(bench.hub.attach(id, 1, 1, 0));
        assert_eq!(bench.hub.go_live(id, 1, 1), None);
    }
    let frame = delivery(1, 1);
    assert_eq!(bench.hub.publish(1, &frame, 1, 0, None), 2);
    let mut sent = bench.drain_all();
    assert_eq!(sent[&streamed][2..], *frame.payload());
    let mut client = Client::upgraded();
    client.hear(&sent.remove(&link).expect("it was sent the frame"));
    assert_eq!(client.offsets(1), [1]);
}

#[test]
fn only_events_that_fit_leave_as_datagrams() {
    let mut bench = Bench::new();
    let (small, large) = (event(1, "small"), event(1, &"l".repeat(200)));
    let id = bench.streamed("p", small.payload().len());
    bench.hub.attach(id, 1, 1, 0);
    bench.hub.go_live(id, 1, 1);
    let tell = |bench: &mut Bench| {
        bench.hub.publish_event(1, "small", &small, 0);
        bench.hub.publish_event(1, "large", &large, 0);
    };
    tell(&mut bench);
    let (stream, beside) = bench.flush_beside(9);
    assert!(matches!(&stream[..], [(_, bytes, false)] if bytes.ends_with(large.payload())));
    assert_eq!(beside, [(id, small.payload().to_vec())]);

    assert!(bench.hub.set_datagram(id, small.payload().len() - 1));
    tell(&mut bench);
    let (stream, beside) = bench.flush_beside(9);
    assert_eq!((stream.len(), beside.len()), (1, 0));

    assert!(bench.hub.set_datagram(id, usize::MAX));
    tell(&mut bench);
    let (stream, beside) = bench.flush_beside(9);
    assert_eq!((stream.len(), beside.len()), (0, 2));
    bench.hub.publish(1, &delivery(1, 1), 1, 0, None);
    bench.hub.send_frame(id, &ok(1));
    let (stream, beside) = bench.flush_beside(9);
    assert_eq!((stream.len(), beside.len()), (1, 0), "records never leave as datagrams");
    assert_eq!(bench.hub.stats().frames, 8);
}

#[test]
fn datagrams_count_towards_the_share_of_a_link() {
    let mut bench = Bench::new();
    let id = bench.streamed("p", 1_000);
    bench.hub.attach(id, 1, 1, 0);
    for key in ["a", "b", "c", "d"] {
        bench.hub.publish_event(1, key, &event(1, &key.repeat(50)), 0);
    }
    let settings = Settings { write_bytes: 200, ..SETTINGS };
    bench.hub.peers.settings = settings;
    let shares = [bench.flush_beside(9).1.len(), bench.flush_beside(9).1.len(), bench.flush_beside(9).1.len()];
    assert_eq!(shares, [2, 2, 0]);
}

#[test]
fn a_datagram_carries_what_needs_no_order() {
    let mut bench = Bench::new();
    let id = bench.hub.open_link(0).expect("there are ids");
    let watermark = br#"{"op":"watermark","id":7,"channel":"conv:1","read":3}"#;
    assert!(bench.feed_datagram(id, watermark).is_empty(), "it overtook connect");
    assert!(bench.feed_datagram(id, b"nonsense").is_empty());
    assert_eq!(names(&bench.feed_link(id, &record(CONNECT))), ["connect 1"]);
    assert!(bench.feed_datagram(id, watermark).is_empty());
    bench.bind(id, "p");
    let events = bench.feed_datagram(id, watermark);
    assert!(matches!(&events[..], [Event::Frame(ClientFrame::Watermark { id: 7, .. })]), "{events:?}");
    assert_eq!(names(&bench.feed_datagram(id, br#"{"op":"pong"}"#)), ["pong"]);
    assert_eq!(names(&bench.feed_datagram(id, publish(2, 1, 1).as_bytes())), ["malformed Some(2) protocol"]);
    assert_eq!(names(&bench.feed_datagram(id, b"nonsense")), ["broken wire 1007"]);
    assert!(bench.feed_datagram(id, watermark).is_empty());
}

#[test]
fn test_rfc9220_3_a_link_over_websocket_is_fed_bytes_that_no_transport_read() {
    let mut bench = Bench::new();
    let id = bench.open();
    assert!(bench.feed_link(id, &text(CONNECT)).is_empty(), "it is no link yet");
    bench.upgrade(id, Upgrade::Link, b"");
    assert_eq!(names(&bench.feed_link(id, &text(CONNECT))), ["connect 1"]);
    bench.bind(id, "p");
    assert!(!bench.hub.set_datagram(id, 100));
    assert!(bench.feed_datagram(id, br#"{"op":"pong"}"#).is_empty());
    assert_eq!(names(&bench.feed_link(id, &text(r#"{"op":"pong"}"#))), ["pong"]);
    let events = bench.feed_link(id, &masked(8, b"\x03\xe8"));
    assert!(matches!(&events[..], [Event::PeerClosed { code: 1000, .. }]));
    bench.hub.finish(id, 1000, "");
    assert_eq!(bench.flush(), [(id, b"\x88\x02\x03\xe8".to_vec(), true)]);
}

#[test]
fn a_record_over_64_kib_breaks_a_link() {
    let mut bench = Bench::new();
    let id = bench.streamed("p", 0);
    let events = bench.feed_link(id, &(65_537u32 | 0x8000_0000).to_be_bytes());
    assert!(matches!(&events[..], [Event::Broken(breach)] if breach.layer == Layer::Wire && breach.code == 1009));
    assert!(!bench.hub.send_frame(id, &ok(1)));
    assert!(bench.hub.finish(id, 1009, ""));
    assert_eq!(bench.flush(), [(id, vec![], true)]);
}

#[test]
fn a_finished_link_on_a_stream_sends_its_control_lane_and_marks_the_last_bytes() {
    let mut bench = Bench::new();
    let id = bench.streamed("p", 1_000);
    bench.hub.attach(id, 1, 1, 0);
    bench.hub.go_live(id, 1, 1);
    bench.hub.publish(1, &delivery(1, 1), 1, 0, None);
    bench.hub.publish_event(1, "k", &event(1, "typing"), 0);
    bench.hub.send_frame(id, &ok(1));
    let close = Frame::close(1001, "draining", 100, true);
    bench.hub.send_frame(id, &close);
    assert!(bench.hub.finish(id, 1001, ""));
    assert!(!bench.hub.send_frame(id, &ok(2)));
    let (stream, beside) = bench.flush_beside(9);
    let [(link, bytes, true)] = &stream[..] else { panic!("{stream:?}") };
    assert_eq!((*link, &bytes[..19]), (id, &answered(1)[..]));
    assert!(bytes.ends_with(close.payload()) && beside.is_empty());
    assert!(bench.hub.finish(id, 1001, "") && !bench.hub.is_dirty());
    assert!(bench.hub.close(id));
    assert_eq!(bench.hub.stats(), Stats { frames: 2, ..Default::default() });
}

/// A publish of one kind and body.
fn said(id: u64, kind: &str, body: &str) -> String {
    format!(
        r#"{{"op":"publish","id":{id},"channel":"conv:1","client_id":"01ARZ3NDEKTSV4RRFF{id:08}","n":1,"kind":"{kind}","body":{body}}}"#
    )
}

#[test]
fn publishes_of_text_that_pass_the_limit_are_scored_on_every_transport() {
    let scorer = Scorer::new(&noise(1), b"2\tass", b"").expect("the files can be used");
    let mut bench = Bench::new();
    let link = bench.bound("p");
    let streamed = bench.streamed("q", 0);
    let messages = [
        said(1, "text", r#"{"text":"you \u0061ss"}"#),
        said(2, "text", r#"{"text":7}"#),
        said(3, "attachment", r#"{"text":"you ass"}"#),
        format!("[{},{}]", said(4, "text", r#"{"text":"ass"}"#), said(5, "text", r#"{"text":"x"}"#)),
    ];
    for stream in [false, true] {
        let mut events = Vec::new();
        for message in &messages {
            events.extend(if stream {
                bench.feed_link(streamed, &record(message))
            } else {
                bench.feed(link, &text(message))
            });
        }
        let refused = events.len() - 1;
        if let Event::Frame(ClientFrame::Publish { retry_after_ms, .. }) = &mut events[refused] {
            *retry_after_ms = 1;
        }
        assert!(unscored_bytes(&events) > 0);
        score_publishes(&mut events, &scorer);
        let severities: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Frame(ClientFrame::Publish { score, .. }) => score.map(|score| score.severity),
                event => panic!("no publish: {event:?}"),
            })
            .collect();
        assert_eq!(severities, [Some(2), None, None, Some(2), None]);
    }
}
