mod channels;
mod client;
mod links;
mod simulation;
mod transports;

use super::{Event, Hub, Reading, Settings, Upgrade};
use crate::{limit::Limiter, wire::Frame};
use client::{Client, certified, masked};
use std::collections::HashMap;

const SETTINGS: Settings =
    Settings { durable_bytes: 2_000, ephemeral_bytes: 500, control_bytes: 4_000, write_bytes: 1_000 };

/// Most bytes of a message in the tests.
const MAX_MESSAGE: usize = 16_384;

/// (connection, bytes, last) of one flush.
type Flushed = Vec<(u64, Vec<u8>, bool)>;

/// A hub, a clock that stands still unless it is moved, and a limiter.
struct Bench {
    hub: Hub,
    now: f64,
    limiter: Limiter,
}

impl Bench {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        Self { hub: Hub::new(settings), now: 1000.0, limiter: Limiter::new(100) }
    }

    fn read(&mut self, read: impl FnOnce(&mut Hub, &mut Reading<'_>)) -> Vec<Event> {
        let mut events = Vec::new();
        let limiter = Some(&mut self.limiter);
        read(&mut self.hub, &mut Reading { now: self.now, limiter, events: &mut events });
        events
    }

    fn feed(&mut self, id: u64, bytes: &[u8]) -> Vec<Event> {
        self.read(|hub, reading| hub.feed(id, bytes, reading))
    }

    fn feed_end(&mut self, id: u64) -> Vec<Event> {
        self.read(|hub, reading| hub.feed_end(id, reading))
    }

    fn upgrade(&mut self, id: u64, upgrade: Upgrade, trailing: &[u8]) -> Vec<Event> {
        self.read(|hub, reading| hub.upgrade(id, upgrade, trailing, MAX_MESSAGE, reading))
    }

    fn bind(&mut self, link: u64, person: &str) -> Vec<Event> {
        self.read(|hub, reading| hub.bind(link, person, 10.0, 5.0, reading))
    }

    fn feed_datagram(&mut self, link: u64, data: &[u8]) -> Vec<Event> {
        self.read(|hub, reading| hub.feed_datagram(link, data, reading))
    }

    fn feed_link(&mut self, link: u64, bytes: &[u8]) -> Vec<Event> {
        self.read(|hub, reading| hub.feed_link(link, bytes, reading))
    }

    /// A plain connection.
    fn open(&mut self) -> u64 {
        self.hub.open(None).expect("no TLS, no failure").expect("there are ids")
    }

    /// A plain link whose `connect` was read, not bound.
    fn presented(&mut self) -> u64 {
        let id = self.open();
        self.upgrade(id, Upgrade::Link, b"");
        let events = self.feed(id, &text(CONNECT));
        assert!(matches!(events[..], [Event::Frame(crate::wire::ClientFrame::Connect { .. })]), "{events:?}");
        id
    }

    /// A plain link that speaks for a person.
    fn bound(&mut self, person: &str) -> u64 {
        let id = self.presented();
        assert!(self.bind(id, person).is_empty());
        id
    }

    /// A link on a stream that speaks for a person.
    fn streamed(&mut self, person: &str, datagram: usize) -> u64 {
        let id = self.hub.open_link(datagram).expect("there are ids");
        self.bind(id, person);
        id
    }

    /// All that one flush gives: connection, bytes, last.
    fn flush(&mut self) -> Vec<(u64, Vec<u8>, bool)> {
        self.flush_some(usize::MAX)
    }

    fn flush_some(&mut self, limit: usize) -> Flushed {
        self.flush_beside(limit).0
    }

    /// What one flush gives, and its datagrams.
    fn flush_beside(&mut self, limit: usize) -> (Flushed, Vec<(u64, Vec<u8>)>) {
        let (mut out, mut departures, mut datagrams) = (Vec::new(), Vec::new(), Vec::new());
        self.hub.flush(limit, &mut out, &mut departures, &mut datagrams);
        let mut start = 0;
        let entries = departures.into_iter().map(|departure| {
            let bytes = out[start..departure.end].to_vec();
            start = departure.end;
            (departure.connection, bytes, departure.last)
        });
        let entries = entries.collect();
        (entries, datagrams.iter().map(|datagram| (datagram.link, datagram.payload().to_vec())).collect())
    }

    /// What each connection is sent until nothing is left.
    fn drain_all(&mut self) -> HashMap<u64, Vec<u8>> {
        let mut all: HashMap<u64, Vec<u8>> = HashMap::new();
        while self.hub.is_dirty() {
            for (connection, bytes, _) in self.flush() {
                all.entry(connection).or_default().extend(bytes);
            }
        }
        all
    }

    fn drain(&mut self, id: u64) -> Vec<u8> {
        self.drain_all().remove(&id).unwrap_or_default()
    }

    /// What each plain link is sent until nothing is left, as frames.
    fn hear_all(&mut self) -> HashMap<u64, Client> {
        let heard = self.drain_all().into_iter().map(|(id, bytes)| {
            let mut client = Client::upgraded();
            client.hear(&bytes);
            (id, client)
        });
        heard.collect()
    }

    fn hear(&mut self, id: u64) -> Client {
        self.hear_all().remove(&id).unwrap_or_else(Client::upgraded)
    }
}

const CONNECT: &str = r#"{"op":"connect","id":1,"token":"secret"}"#;

fn text(message: &str) -> Vec<u8> {
    masked(1, message.as_bytes())
}

fn publish(id: u64, number: u64, n: u64) -> String {
    format!(
        r#"{{"op":"publish","id":{id},"channel":"conv:{number}","client_id":"01ARZ3NDEKTSV4RRFF{id:08}","n":{n},"kind":"text","body":{{"text":"x"}}}}"#
    )
}

fn delivery(number: u64, offset: u64) -> Frame {
    sized(number, offset, 1)
}

/// A delivery with this many bytes of text.
fn sized(number: u64, offset: u64, length: usize) -> Frame {
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(length));
    Frame::delivery(number, offset, "m", offset, 1, "a", "text", None, body.as_bytes(), None, None).expect("a body")
}

fn event(number: u64, name: &str) -> Frame {
    Frame::event(number, name, b"{}").expect("a body")
}

fn ok(id: u64) -> Frame {
    Frame::ok(id, None).expect("no result")
}

/// A plain link with four channels: peer, link, the texts and lists that they own, and its slot in the table.
#[test]
fn an_idle_link_costs_less_than_a_kibibyte() {
    use super::{attachment::Attachment, link::Link, peer::Peer};
    let person = 2 * size_of::<usize>() + 36;
    let attachments = 4 * (size_of::<Attachment>() + size_of::<super::link::Place>());
    let cost = size_of::<Peer>() + size_of::<Link>() + 2 * person + attachments + 16;
    assert!(cost < 1024, "{cost} bytes");
}
