use super::*;
use crate::hub::{Breach, Layer, event::Event as E};

fn http(bench: &mut Bench) -> u64 {
    let id = bench.open();
    assert!(matches!(&bench.feed(id, b"GET / HTTP/1.1\r\n\r\n")[..], [E::Data(data)] if data.starts_with(b"GET")));
    id
}

fn broken(events: &[E]) -> &Breach {
    let Some(E::Broken(breach)) = events.last() else { panic!("nothing is broken: {events:?}") };
    breach
}

#[test]
fn a_request_comes_as_data_and_its_answer_leaves_once() {
    let mut bench = Bench::new();
    let id = http(&mut bench);
    assert!(!bench.hub.is_dirty());
    assert!(bench.hub.send(id, b"HTTP/1.1 200 OK\r\n\r\n"));
    assert!(bench.hub.send(id, b""));
    assert_eq!(bench.hub.queued(id), 19);
    assert!(bench.hub.is_dirty());
    assert_eq!(bench.flush(), [(id, b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), false)]);
    assert!(!bench.hub.is_dirty());
    assert_eq!(bench.flush(), []);
}

#[test]
fn ids_that_are_gone_do_nothing_and_say_so() {
    let mut bench = Bench::new();
    let gone = bench.bound("p");
    assert!(bench.hub.attach(gone, 1, 1, 0));
    assert!(bench.hub.close(gone));
    let fresh = bench.open();
    assert_ne!(gone, fresh);
    for id in [gone, 0, 1, u64::MAX] {
        assert!(bench.feed(id, b"x").is_empty());
        assert!(bench.feed_end(id).is_empty());
        assert!(bench.upgrade(id, Upgrade::Link, b"").is_empty());
        assert!(bench.bind(id, "p").is_empty());
        assert!(bench.feed_link(id, b"x").is_empty());
        assert!(bench.feed_datagram(id, b"{}").is_empty());
        assert!(!bench.hub.set_datagram(id, 1));
        assert!(!bench.hub.send(id, b"x"));
        assert!(!bench.hub.send_message(id, b"x", true));
        assert!(!bench.hub.finish(id, 1000, ""));
        assert!(!bench.hub.pause(id));
        assert!(!bench.hub.resume(id));
        assert!(!bench.hub.close(id));
        assert!(!bench.hub.send_frame(id, &ok(1)));
        assert!(!bench.hub.attach(id, 1, 2, 0));
        assert!(!bench.hub.fill(id, 1, 1, &[delivery(1, 1)]));
        assert!(!bench.hub.detach(id, 1, 9));
        assert_eq!(bench.hub.go_live(id, 1, 1), None);
        assert_eq!(bench.hub.attached(id, 1), None);
        assert_eq!(bench.hub.queued(id), 0);
    }
    assert!(bench.hub.drop(1, "p", None).is_empty());
    assert_eq!(bench.hub.publish(1, &delivery(1, 1), 1, 0, None), 0);
    assert!(bench.hub.close(fresh));
    assert_eq!(bench.hub.stats(), Default::default());
}

#[test]
fn calls_for_another_kind_of_peer_do_nothing() {
    let mut bench = Bench::new();
    let (connection, streamed) = (bench.open(), bench.streamed("p", 0));
    assert!(!bench.hub.send_frame(connection, &ok(1)));
    assert!(!bench.hub.attach(connection, 1, 1, 0));
    assert!(!bench.hub.send_message(connection, b"x", true));
    assert!(bench.feed_link(connection, b"x").is_empty());
    assert!(bench.feed_datagram(connection, b"{}").is_empty());
    assert!(!bench.hub.set_datagram(connection, 1));
    assert!(bench.feed(streamed, b"x").is_empty());
    assert!(!bench.hub.send(streamed, b"x"));
    assert!(bench.upgrade(streamed, Upgrade::Message, b"").is_empty());
    let link = bench.bound("p");
    assert!(!bench.hub.send(link, b"x"));
    assert!(!bench.hub.send_message(link, b"x", true));
    assert!(bench.upgrade(link, Upgrade::Message, b"").is_empty());
}

#[test]
fn nothing_leaves_while_paused() {
    let mut bench = Bench::new();
    let (slow, quick) = (http(&mut bench), http(&mut bench));
    bench.hub.send(slow, b"slow");
    assert!(bench.hub.pause(slow) && bench.hub.pause(slow));
    assert!(!bench.hub.is_dirty());
    bench.hub.send(quick, b"quick");
    bench.hub.send(slow, b"er");
    assert_eq!(bench.flush(), [(quick, b"quick".to_vec(), false)]);
    assert!(!bench.hub.is_dirty());
    bench.hub.finish(slow, 1000, "");
    assert_eq!(bench.flush(), []);
    assert!(bench.hub.resume(slow) && bench.hub.resume(slow));
    assert!(bench.hub.is_dirty());
    assert_eq!(bench.flush(), [(slow, b"slower".to_vec(), true)]);
    assert!(!bench.hub.is_dirty());
}

#[test]
fn a_flush_gives_each_connection_its_share_in_turn() {
    let mut bench = Bench::new();
    let ids: Vec<u64> = (0..3).map(|_| http(&mut bench)).collect();
    for &id in &ids {
        bench.hub.send(id, &[b'x'; 2_500]);
    }
    let mut turns = Vec::new();
    while bench.hub.is_dirty() {
        let flushed = bench.flush_some(2);
        assert!(flushed.len() <= 2);
        turns.extend(flushed.into_iter().map(|(id, bytes, _)| (id, bytes.len())));
    }
    let round = |size| ids.iter().map(move |&id| (id, size));
    assert_eq!(turns, round(1_000).chain(round(1_000)).chain(round(500)).collect::<Vec<_>>());
}

#[test]
fn one_flush_visits_a_connection_once() {
    let mut bench = Bench::new();
    let id = http(&mut bench);
    bench.hub.send(id, &[b'x'; 2_500]);
    assert_eq!(bench.flush_some(10).len(), 1);
    assert!(bench.hub.is_dirty());
}

#[test]
fn finish_sends_what_waits_and_marks_the_last_bytes() {
    let mut bench = Bench::new();
    let id = http(&mut bench);
    bench.hub.send(id, &[b'x'; 1_500]);
    assert!(bench.hub.finish(id, 1000, ""));
    assert!(!bench.hub.send(id, b"more"));
    let lasts: Vec<_> =
        [bench.flush(), bench.flush()].concat().iter().map(|(_, bytes, last)| (bytes.len(), *last)).collect();
    assert_eq!(lasts, [(1_000, false), (500, true)]);
    assert!(bench.hub.finish(id, 1000, ""));
    assert_eq!(bench.flush(), []);
}

#[test]
fn finish_with_nothing_to_send_is_marked_too() {
    let mut bench = Bench::new();
    let id = http(&mut bench);
    bench.hub.finish(id, 1000, "");
    assert!(bench.hub.is_dirty());
    assert_eq!(bench.flush(), [(id, Vec::new(), true)]);
    assert!(bench.feed(id, b"GET / HTTP/1.1\r\n\r\n").is_empty());
    assert!(matches!(bench.feed_end(id)[..], [E::Ended { clean: true }]));
    assert!(bench.feed_end(id).is_empty());
    assert!(!bench.hub.is_dirty());
}

#[test]
fn bytes_behind_the_request_are_read_as_frames() {
    let mut bench = Bench::new();
    let id = http(&mut bench);
    bench.hub.send(id, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    let events = bench.upgrade(id, Upgrade::Message, &[text("one"), masked(2, b"two")[..3].to_vec()].concat());
    assert!(matches!(&events[..], [E::Message { data, text: true }] if data == b"one"));
    let events = bench.feed(id, &masked(2, b"two")[3..]);
    assert!(matches!(&events[..], [E::Message { data, text: false }] if data == b"two"));
    assert!(bench.hub.send_message(id, b"{}", true));
    assert!(!bench.hub.send(id, b"HTTP"));
    let mut client = Client::new(false);
    client.hear(&bench.drain(id));
    assert_eq!(client.received, [client::Received::Frame(serde_json::json!({}))]);
}

#[test]
fn test_rfc6455_5_5_3_of_a_flood_of_pings_the_newest_are_answered() {
    let mut bench = Bench::new();
    let id = bench.presented();
    bench.bind(id, "p");
    let flood: Vec<u8> = (0..100).flat_map(|i: u8| masked(9, &[i])).collect();
    assert!(bench.feed(id, &flood).is_empty());
    let newest: Vec<_> = (68..100).map(|i| client::Received::Pong(vec![i])).collect();
    assert_eq!(bench.hear(id).received, newest);
}

#[test]
fn a_pong_does_not_overtake_the_response_that_upgrades() {
    let mut bench = Bench::new();
    let id = http(&mut bench);
    bench.hub.send(id, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    bench.upgrade(id, Upgrade::Link, &[masked(9, b"early"), masked(8, b"")].concat());
    let mut client = Client::new(false);
    client.hear(&bench.drain(id));
    assert_eq!(client.received, [client::Received::Pong(b"early".to_vec()), client::Received::Close(1005)]);
}

#[test]
fn test_rfc6455_5_5_1_a_close_frame_is_answered_behind_acks_and_nothing_follows() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    bench.hub.attach(id, 1, 1, 0);
    bench.hub.go_live(id, 1, 1);
    bench.hub.send_frame(id, &ok(7));
    bench.hub.publish(1, &delivery(1, 1), 1, 0, None);
    let events = bench.feed(id, &[masked(8, b"\x0f\xa0bye"), text("behind")].concat());
    assert!(matches!(&events[..], [E::PeerClosed { code: 4000, reason }] if reason == "bye"), "{events:?}");
    assert!(!bench.hub.send_frame(id, &ok(8)));
    assert_eq!(bench.hub.publish(1, &delivery(1, 2), 2, 0, None), 0);
    assert!(bench.feed(id, &masked(9, b"ping")).is_empty());
    bench.hub.finish(id, 1001, "not sent: one close frame is enough");
    let client = bench.hear(id);
    assert_eq!(client.received.len(), 2);
    assert_eq!(client.received[1], client::Received::Close(4000));
}

#[test]
fn test_rfc6455_7_1_5_a_close_frame_without_a_code_is_1005() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    assert!(matches!(bench.feed(id, &masked(8, b""))[..], [E::PeerClosed { code: 1005, .. }]));
    assert_eq!(bench.hear(id).received, [client::Received::Close(1005)]);
}

#[test]
fn test_rfc6455_7_1_7_a_broken_rule_is_reported_once_and_told_the_peer() {
    let mut bench = Bench::new();
    let id = http(&mut bench);
    bench.upgrade(id, Upgrade::Message, b"");
    let events = bench.feed(id, &[text("good"), vec![0xFF; 20]].concat());
    assert!(matches!(events[0], E::Message { .. }));
    let breach = broken(&events);
    assert_eq!((breach.layer, breach.code), (Layer::WebSocket, 1002));
    assert!(bench.feed(id, &text("more")).is_empty());
    assert_eq!(bench.hear(id).received, [client::Received::Close(1002)]);
    bench.hub.finish(id, 1000, "");
    assert_eq!(bench.flush(), [(id, Vec::new(), true)]);
}

#[test]
fn after_finish_messages_are_not_reported_but_the_peers_close_is() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    bench.hub.finish(id, 1001, "draining");
    assert_eq!(bench.hear(id).received, [client::Received::Close(1001)]);
    assert!(bench.feed(id, &text(&publish(1, 1, 1))).is_empty());
    assert!(matches!(bench.feed(id, &masked(8, b"\x03\xe9"))[..], [E::PeerClosed { code: 1001, .. }]));
    assert!(!bench.hub.is_dirty());
}

#[test]
fn a_frame_that_was_begun_is_completed_before_the_close_frame() {
    let mut bench = Bench::new();
    let id = bench.bound("p");
    bench.hub.attach(id, 1, 1, 0);
    bench.hub.go_live(id, 1, 1);
    bench.hub.publish(1, &sized(1, 1, 1_500), 1, 0, None);
    bench.hub.publish(1, &delivery(1, 2), 2, 0, None);
    let begun = bench.flush().remove(0).1;
    bench.hub.finish(id, 4002, "too slow");
    let mut client = Client::upgraded();
    client.hear(&begun);
    client.hear(&bench.drain(id));
    assert_eq!(client.offsets(1), [1]);
    assert_eq!(client.received.last(), Some(&client::Received::Close(4002)));
}

// ------------------------------------------------------------------------------------------------------------- TLS

struct Secured {
    bench: Bench,
    id: u64,
    client: Client,
}

impl Secured {
    fn new() -> Self {
        let mut bench = Bench::new();
        let id = bench.hub.open(Some(&certified().0)).expect("the settings are usable").expect("there are ids");
        let mut secured = Self { bench, id, client: Client::new(true) };
        let hello = secured.client.pending();
        assert!(secured.exchange(hello).iter().any(|event| matches!(event, E::Secured { .. })));
        secured
    }

    /// Carries bytes both ways until nobody has anything to say; the server's events.
    fn exchange(&mut self, mut bytes: Vec<u8>) -> Vec<E> {
        let mut events = Vec::new();
        loop {
            events.extend(self.bench.feed(self.id, &bytes));
            let flushed = self.bench.drain(self.id);
            bytes = self.client.hear(&flushed);
            if bytes.is_empty() && flushed.is_empty() {
                return events;
            }
        }
    }
}

#[test]
fn a_secured_connection_reports_itself_and_then_its_plaintext() {
    let mut secured = Secured::new();
    let request = secured.client.say(b"GET / HTTP/1.1\r\n\r\n");
    assert!(matches!(&secured.exchange(request)[..], [E::Data(data)] if data == b"GET / HTTP/1.1\r\n\r\n"));
}

#[test]
fn what_is_queued_during_the_handshake_leaves_behind_it() {
    let mut bench = Bench::new();
    let id = bench.hub.open(Some(&certified().0)).expect("usable").expect("there are ids");
    bench.hub.send(id, b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert!(!bench.hub.is_dirty());
    let mut secured = Secured { bench, id, client: Client::new(true) };
    let hello = secured.client.pending();
    secured.exchange(hello);
    assert_eq!(secured.bench.hub.queued(id), 0);
}

#[test]
fn test_rfc8446_6_1_finish_ends_with_close_notify() {
    let mut secured = Secured::new();
    secured.bench.hub.finish(secured.id, 1000, "");
    let flushed = secured.bench.flush();
    assert!(flushed[0].2 && !flushed[0].1.is_empty());
    secured.client.hear(&flushed[0].1);
    assert!(secured.client.notified);
}

#[test]
fn test_rfc8446_6_1_an_end_without_close_notify_is_not_clean() {
    let mut secured = Secured::new();
    let id = secured.id;
    assert!(matches!(secured.bench.feed_end(id)[..], [E::Ended { clean: false }]));
    let mut secured = Secured::new();
    let id = secured.id;
    let notify = secured.client.close_notify();
    assert!(matches!(secured.bench.feed(id, &notify)[..], [E::Ended { clean: true }]));
    assert!(secured.bench.feed_end(id).is_empty());
    assert!(secured.bench.hub.send(id, b"an answer may still leave"));
}

#[test]
fn a_failed_handshake_leaves_its_alert_and_nothing_else() {
    let mut bench = Bench::new();
    let id = bench.hub.open(Some(&certified().0)).expect("usable").expect("there are ids");
    bench.hub.send(id, b"never encrypted");
    let events = bench.feed(id, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(broken(&events).layer, Layer::Tls);
    assert!(bench.feed(id, b"more").is_empty());
    bench.hub.finish(id, 1000, "");
    let flushed = bench.flush();
    assert_eq!(flushed.len(), 1);
    let (_, bytes, last) = &flushed[0];
    assert!(*last);
    // One record of type alert with a fatal one (RFC 8446 §5.1, §6).
    assert_eq!((bytes[0], bytes.len(), bytes[5]), (21, 7, 2));
}

#[test]
fn finish_before_the_handshake_sends_nothing_in_clear() {
    let mut bench = Bench::new();
    let id = bench.hub.open(Some(&certified().0)).expect("usable").expect("there are ids");
    bench.hub.send(id, b"secret");
    bench.hub.finish(id, 1000, "");
    let flushed = bench.flush();
    assert!(flushed[0].2);
    assert!(!flushed[0].1.windows(6).any(|six| six == b"secret"));
}

#[test]
fn a_damaged_record_ends_a_secured_link_without_plaintext() {
    let mut secured = Secured::new();
    let id = secured.id;
    secured.bench.upgrade(id, Upgrade::Message, b"");
    secured.bench.hub.send_message(id, b"waits", true);
    let mut record = secured.client.say(b"x");
    if let Some(last) = record.last_mut() {
        *last ^= 1;
    }
    let events = secured.bench.feed(id, &record);
    assert_eq!((broken(&events).layer, broken(&events).code), (Layer::Tls, 20));
    assert_eq!(secured.bench.hub.queued(id), 0);
    secured.bench.hub.finish(id, 1000, "");
    let flushed = secured.bench.flush();
    assert!(flushed[0].2);
    assert!(!secured.bench.hub.is_dirty());
}
