//! A whole worker without a socket: clients, a network that cuts, delays, pauses and resets, and a server that keeps a
//! log. Everything follows from one seed, so a failure replays.
//!
//! Always: a client hears the answers to its commands in the server's order, each once, and behind each `attached` the
//! deliveries from where that attach began, each once, in order, without a gap but its own records; nothing leaves while
//! a transport is paused or behind its last; a stream is given whole records, and datagrams nothing but events; lanes
//! stay within their bounds. In the end: every
//! client that is still there was answered everything and was sent all of each log but its own records, and when all
//! have gone, nothing is left.
use super::*;
use crate::{hub::State, wire::ClientFrame};
use client::Received;
use proptest::prelude::*;
use std::collections::VecDeque;

const REQUEST: &[u8] = b"GET /v1/realtime HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
const CHANNELS: [u64; 2] = [1, 2];

/// Most bytes of a datagram: only some events fit.
const DATAGRAM: usize = 60;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Size of a piece: often a single byte.
    fn piece(&mut self) -> usize {
        if self.chance(30) { 1 } else { 1 + self.below(700) }
    }
}

/// What a client knows of a channel.
#[derive(Default)]
struct Known {
    generation: u64,
    attached: bool,
    /// Highest offset delivered.
    last: u64,
    /// Where each attach began, by generation, and the offset delivered last of the one that was answered last.
    began: Vec<u64>,
    cursor: u64,
}

/// A client, the connection between, and what the server has in mind about it.
struct Party {
    id: u64,
    client: Client,
    /// Bytes under way.
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    known: [Known; CHANNELS.len()],
    publishes: u64,
    /// How much of `client.received` was looked at, and the answers that were in it.
    looked: usize,
    answered: Vec<u64>,
    leaving: bool,
    /// The FIN of a client on a stream is under way behind `up`.
    fin: bool,
    /// Of the server: the request so far, and the answers that it queued.
    request: Vec<u8>,
    presented: bool,
    answers: Vec<u64>,
    finished: bool,
    paused: bool,
    last: bool,
}

/// A read of the log that somebody owes an attachment.
struct Pending {
    link: u64,
    number: u64,
    generation: u64,
    after: u64,
    /// Where the log ended when this read began: it sees no further, however late it comes back.
    head: u64,
}

struct World {
    bench: Bench,
    random: Random,
    /// Per channel: the sender's link of each record.
    logs: [Vec<u64>; CHANNELS.len()],
    /// Records on their way from the log to the hub: channel and offset.
    bus: VecDeque<(u64, u64)>,
    parties: Vec<Party>,
    pending: Vec<Pending>,
}

fn at(number: u64) -> usize {
    number as usize - 1
}

/// The delivery of an offset; some are longer than one flush may give.
fn record(number: u64, offset: u64) -> Frame {
    sized(number, offset, if offset % 13 == 0 { 1_000 } else { 20 })
}

impl World {
    fn new(seed: u64) -> Self {
        let bench = Bench::with(Settings { durable_bytes: 3_000, write_bytes: 700, ..SETTINGS });
        let mut world = Self {
            bench,
            random: Random(seed),
            logs: Default::default(),
            bus: VecDeque::new(),
            parties: Vec::new(),
            pending: Vec::new(),
        };
        for _ in 0..4 {
            let party = world.arrive();
            world.parties.push(party);
        }
        world
    }

    fn arrive(&mut self) -> Party {
        let (id, mut client) = match self.random.below(3) {
            0 => (self.bench.hub.open_link(DATAGRAM), Client::streamed()),
            kind => {
                let settings = (kind == 1).then(|| &certified().0);
                (self.bench.hub.open(settings).expect("the settings are usable"), Client::new(kind == 1))
            }
        };
        let id = id.expect("there are ids");
        let first = [if client.streamed { &[] } else { REQUEST }, &client.message(CONNECT)].concat();
        let up = client.say(&first).into();
        Party {
            id,
            client,
            up,
            down: VecDeque::new(),
            known: Default::default(),
            publishes: 0,
            looked: 0,
            answered: Vec::new(),
            leaving: false,
            fin: false,
            request: Vec::new(),
            presented: false,
            answers: Vec::new(),
            finished: false,
            paused: false,
            last: false,
        }
    }

    fn step(&mut self) {
        let who = self.random.below(self.parties.len());
        match self.random.below(100) {
            0..=29 => {
                let size = self.random.piece();
                self.carry_up(who, size);
            }
            30..=54 => {
                let size = self.random.piece();
                self.carry_down(who, size);
            }
            55..=64 => {
                let limit = 1 + self.random.below(3);
                self.flush(limit);
            }
            65..=68 => self.toggle_pause(who),
            69..=73 => self.bind(who),
            74..=78 => self.client_publishes(who),
            79..=81 => self.client_attaches(who),
            82 => self.client_detaches(who),
            83 => self.client_asks(who),
            84..=86 => self.server_appends(),
            87..=88 => {
                let records = 1 + self.random.below(4);
                self.publish(records);
            }
            89..=93 => self.read_log(),
            94..=95 => self.collect(),
            96 => {
                let number = CHANNELS[self.random.below(CHANNELS.len())];
                let key = self.random.below(3).to_string();
                let name = "typing".repeat(1 + self.random.below(5));
                self.bench.hub.publish_event(number, &key, &event(number, &name), 0);
            }
            97 => {
                if self.random.chance(20) {
                    self.reset(who);
                }
            }
            98 => {
                if self.random.chance(20) {
                    self.finish(who, 1001);
                }
            }
            _ => {
                if self.random.chance(20) && self.parties[who].presented && !self.parties[who].leaving {
                    if self.parties[who].client.streamed {
                        self.parties[who].fin = true;
                    } else {
                        self.client_says(who, &masked(8, b"\x03\xe8"));
                    }
                    self.parties[who].leaving = true;
                }
            }
        }
        for party in &self.parties {
            let bound = 2 * SETTINGS.control_bytes + 3_000 + SETTINGS.ephemeral_bytes + 3_000;
            assert!(self.bench.hub.queued(party.id) <= bound);
        }
    }

    // -------------------------------------------------------------------------------------------------- the network

    fn carry_up(&mut self, who: usize, size: usize) {
        let party = &mut self.parties[who];
        let size = size.min(party.up.len());
        let bytes: Vec<u8> = party.up.drain(..size).collect();
        if !bytes.is_empty() {
            let streamed = party.client.streamed;
            let id = party.id;
            let events = if streamed { self.bench.feed_link(id, &bytes) } else { self.bench.feed(id, &bytes) };
            self.handle(who, events);
        }
        let party = &mut self.parties[who];
        if party.fin && party.up.is_empty() {
            party.fin = false;
            let id = party.id;
            let events = self.bench.feed_end(id);
            self.handle(who, events);
        }
    }

    fn carry_down(&mut self, who: usize, size: usize) {
        let party = &mut self.parties[who];
        let size = size.min(party.down.len());
        let bytes: Vec<u8> = party.down.drain(..size).collect();
        let answer = party.client.hear(&bytes);
        party.up.extend(answer);
        self.look(who);
        let party = &self.parties[who];
        if party.last && party.down.is_empty() {
            assert_eq!(party.answered, party.answers, "an answer was lost before the close");
            self.leave(who);
        }
    }

    fn flush(&mut self, limit: usize) {
        let (flushed, datagrams) = self.bench.flush_beside(limit);
        assert!(flushed.len() <= limit);
        for (id, frame) in datagrams {
            let party = self.parties.iter().find(|party| party.id == id).expect("no datagram behind close");
            assert!(!party.paused && !party.last && party.client.streamed);
            assert!(frame.len() <= DATAGRAM && frame.starts_with(br#"{"op":"event","#), "{frame:?}");
        }
        for (id, bytes, last) in flushed {
            let party = self.parties.iter_mut().find(|party| party.id == id).expect("no bytes behind close");
            assert!(!party.paused, "bytes left while paused");
            assert!(!party.last, "bytes left behind the last ones");
            // Records and their headers: a little more than the budget.
            assert!(bytes.len() <= 700 + 4_000, "{}", bytes.len());
            if party.client.streamed {
                let mut given = Client::streamed();
                given.hear(&bytes);
                assert!(given.is_read_up(), "half a record");
                assert!(bytes.len() <= 700 || given.received.len() == 1, "{}", bytes.len());
            }
            party.down.extend(bytes);
            party.last = last;
        }
    }

    fn toggle_pause(&mut self, who: usize) {
        let party = &mut self.parties[who];
        party.paused = !party.paused;
        let known = if party.paused { self.bench.hub.pause(party.id) } else { self.bench.hub.resume(party.id) };
        assert!(known);
    }

    /// The connection is gone without a word, and somebody else comes.
    fn reset(&mut self, who: usize) {
        assert!(self.bench.hub.close(self.parties[who].id));
        assert!(!self.bench.hub.close(self.parties[who].id));
        self.parties[who] = self.arrive();
    }

    /// The client has read to the end, and closes its side.
    fn leave(&mut self, who: usize) {
        let id = self.parties[who].id;
        if self.parties[who].presented && !self.parties[who].client.streamed {
            assert!(self.parties[who].client.is_closed(), "the last bytes of a link are a close frame");
        }
        let events = self.bench.feed_end(id);
        assert!(events.iter().all(|event| matches!(event, Event::Ended { .. })), "{events:?}");
        self.reset(who);
    }

    // --------------------------------------------------------------------------------------------------- the server

    fn handle(&mut self, who: usize, events: Vec<Event>) {
        for event in events {
            let id = self.parties[who].id;
            match event {
                Event::Secured { .. } => {}
                Event::Data(data) => self.request(who, &data),
                Event::Frame(frame) => self.frame(who, frame),
                Event::PeerClosed { code, .. } => {
                    assert_eq!(code, 1000);
                    self.parties[who].finished = true;
                    assert!(self.bench.hub.finish(id, 1000, ""));
                }
                Event::Ended { clean: true } if self.parties[who].client.streamed => {
                    self.parties[who].finished = true;
                    assert!(self.bench.hub.finish(id, 1000, ""));
                }
                other => panic!("a well-behaved client: {other:?}"),
            }
        }
    }

    fn request(&mut self, who: usize, data: &[u8]) {
        let party = &mut self.parties[who];
        party.request.extend_from_slice(data);
        if party.request.len() < REQUEST.len() {
            return;
        }
        let trailing = party.request.split_off(REQUEST.len());
        assert!(self.bench.hub.send(party.id, RESPONSE));
        let id = party.id;
        let events = self.bench.upgrade(id, Upgrade::Link, &trailing);
        self.handle(who, events);
    }

    fn frame(&mut self, who: usize, frame: ClientFrame) {
        let link = self.parties[who].id;
        match frame {
            ClientFrame::Connect { .. } => self.parties[who].presented = true,
            ClientFrame::Publish { id, channel, retry_after_ms, .. } => {
                if retry_after_ms == 0 {
                    let number = if channel == "conv:1" { 1 } else { 2 };
                    self.append(number, link);
                }
                let ack = Frame::ack(id, "m", 1, 1, 1, false, None);
                self.answer(who, id, &ack);
            }
            ClientFrame::Attach { id, channel, generation, after, .. } => {
                let number = if channel == "conv:1" { 1 } else { 2 };
                let after = after.expect("clients of the test say where they are");
                let attached = Frame::attached(id, &channel, number, generation, "complete", "e", 0, None);
                // A close frame behind it in the same read, and the link takes nothing any more.
                let open = self.answer(who, id, &attached);
                assert_eq!(self.bench.hub.attach(link, number, generation, after), open);
                if open {
                    self.begin_read(link, number, generation, after);
                }
            }
            ClientFrame::Detach { id, channel, generation } => {
                let number = if channel == "conv:1" { 1 } else { 2 };
                let detached = self.bench.hub.detach(link, number, generation);
                assert!(!self.answer(who, id, &ok(id)) || detached);
            }
            ClientFrame::Watermark { id, .. } => {
                self.answer(who, id, &ok(id));
            }
            other => panic!("clients of the test do not say {other:?}"),
        }
    }

    fn answer(&mut self, who: usize, id: u64, frame: &Frame) -> bool {
        let party = &mut self.parties[who];
        let queued = self.bench.hub.send_frame(party.id, frame);
        if queued {
            party.answers.push(id);
        }
        queued
    }

    fn bind(&mut self, who: usize) {
        let party = &self.parties[who];
        if party.presented && !party.finished {
            let (id, person) = (party.id, format!("person {}", party.id));
            let events = self.bench.bind(id, &person);
            self.handle(who, events);
        }
    }

    fn append(&mut self, number: u64, sender: u64) {
        let log = &mut self.logs[at(number)];
        log.push(sender);
        self.bus.push_back((number, log.len() as u64));
    }

    fn server_appends(&mut self) {
        let number = CHANNELS[self.random.below(CHANNELS.len())];
        for _ in 0..1 + self.random.below(4) {
            self.append(number, 0);
        }
    }

    /// Publishes what was logged, in its order; the bus is a hint, which may lose or repeat.
    fn publish(&mut self, records: usize) {
        for _ in 0..records.min(self.bus.len()) {
            let Some((number, offset)) = self.bus.pop_front() else { return };
            let times = match self.random.below(20) {
                0..3 => 0,
                3 => 2,
                _ => 1,
            };
            let sender = self.logs[at(number)][offset as usize - 1];
            for _ in 0..times {
                self.bench.hub.publish(number, &record(number, offset), offset, sender, None);
            }
        }
    }

    /// One of the reads comes back with a page; behind the last page the attachment may go live.
    fn read_log(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let index = self.random.below(self.pending.len());
        let Pending { link, number, generation, after, head } = self.pending.swap_remove(index);
        let until = head.min(after + 1 + self.random.below(10) as u64);
        let page: Vec<Frame> = (after + 1..=until).map(|offset| record(number, offset)).collect();
        if !self.bench.hub.fill(link, number, generation, &page) {
            return;
        }
        if until < head {
            self.pending.push(Pending { link, number, generation, after: until, head });
        } else if let Some(after) = self.bench.hub.go_live(link, number, generation) {
            self.begin_read(link, number, generation, after);
        }
    }

    fn begin_read(&mut self, link: u64, number: u64, generation: u64, after: u64) {
        let head = self.logs[at(number)].len() as u64;
        self.pending.push(Pending { link, number, generation, after, head });
    }

    fn collect(&mut self) {
        for gap in self.bench.hub.take_gaps() {
            self.begin_read(gap.link, gap.number, gap.generation, gap.after);
        }
        for id in self.bench.hub.take_overflown() {
            let who = self.parties.iter().position(|party| party.id == id).expect("overflown links are alive");
            self.finish(who, 4002);
        }
    }

    fn finish(&mut self, who: usize, code: u16) {
        self.parties[who].finished = true;
        assert!(self.bench.hub.finish(self.parties[who].id, code, "the server ends it"));
    }

    // --------------------------------------------------------------------------------------------------- the client

    fn client_says(&mut self, who: usize, plaintext: &[u8]) {
        let party = &mut self.parties[who];
        if !party.leaving && !party.client.is_closed() && !party.client.notified {
            let bytes = party.client.say(plaintext);
            party.up.extend(bytes);
        }
    }

    /// Over WebSocket by a ping; on a stream by a datagram, which may arrive at any time.
    fn client_asks(&mut self, who: usize) {
        let party = &self.parties[who];
        if !party.client.streamed {
            self.client_says(who, &masked(9, b"are you there?"));
        } else if !party.leaving {
            let events =
                self.bench.feed_datagram(party.id, br#"{"op":"watermark","id":5,"channel":"conv:1","read":1}"#);
            self.handle(who, events);
        }
    }

    fn client_publishes(&mut self, who: usize) {
        let number = CHANNELS[self.random.below(CHANNELS.len())];
        let party = &mut self.parties[who];
        // What a client may have in flight before the welcome is bounded.
        if party.publishes < 20 || party.answered.len() > 1 {
            party.publishes += 1;
            let message = publish(1_000 + party.publishes, number, party.publishes);
            let message = party.client.message(&message);
            self.client_says(who, &message);
        }
    }

    fn client_attaches(&mut self, who: usize) {
        let number = CHANNELS[self.random.below(CHANNELS.len())];
        let known = &mut self.parties[who].known[at(number)];
        if known.generation >= 8 {
            return;
        }
        known.generation += 1;
        known.attached = true;
        known.began.push(known.last);
        let message = format!(
            r#"{{"op":"attach","id":{},"channel":"conv:{number}","gen":{},"epoch":"e","after":{}}}"#,
            10 * number + known.generation,
            known.generation,
            known.last
        );
        let message = self.parties[who].client.message(&message);
        self.client_says(who, &message);
    }

    fn client_detaches(&mut self, who: usize) {
        let number = CHANNELS[self.random.below(CHANNELS.len())];
        let known = &mut self.parties[who].known[at(number)];
        if known.attached {
            known.attached = false;
            let message =
                format!(r#"{{"op":"detach","id":{number},"channel":"conv:{number}","gen":{}}}"#, known.generation);
            let message = self.parties[who].client.message(&message);
            self.client_says(who, &message);
        }
    }

    /// Looks at what the client was told since the last time.
    fn look(&mut self, who: usize) {
        let party = &mut self.parties[who];
        for received in &party.client.received[party.looked..] {
            let Received::Frame(frame) = received else { continue };
            match frame["op"].as_str().expect("every frame has one") {
                "ack" | "ok" => party.answered.push(frame["id"].as_u64().expect("a number")),
                "attached" => {
                    party.answered.push(frame["id"].as_u64().expect("a number"));
                    let known = &mut party.known[at(frame["number"].as_u64().expect("a number"))];
                    known.cursor = known.began[frame["gen"].as_u64().expect("a number") as usize - 1];
                }
                "delivery" => {
                    let number = frame["number"].as_u64().expect("a number");
                    let offset = frame["offset"].as_u64().expect("a number");
                    let (known, log) = (&mut party.known[at(number)], &self.logs[at(number)]);
                    assert!(offset > known.cursor, "offset {offset} behind {}", known.cursor);
                    for own in known.cursor + 1..offset {
                        assert_eq!(log[own as usize - 1], party.id, "offset {own} was left out before {offset}");
                    }
                    known.cursor = offset;
                    known.last = known.last.max(offset);
                }
                _ => {}
            }
        }
        party.looked = party.client.received.len();
        assert!(party.answers.starts_with(&party.answered), "{:?} {:?}", party.answers, party.answered);
    }

    // ------------------------------------------------------------------------------------------------------- the end

    /// Everything that is under way arrives, and every read of the log comes back.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let quiet = !self.bench.hub.is_dirty()
                && self.bus.is_empty()
                && self.pending.is_empty()
                && self.parties.iter().all(|party| party.up.is_empty() && party.down.is_empty() && !party.fin);
            if quiet {
                return;
            }
            for who in 0..self.parties.len() {
                if self.parties[who].paused {
                    self.toggle_pause(who);
                }
                self.carry_up(who, usize::MAX);
                self.bind(who);
            }
            self.publish(usize::MAX);
            self.collect();
            for _ in 0..self.pending.len() {
                self.read_log();
            }
            self.flush(usize::MAX);
            for who in 0..self.parties.len() {
                self.carry_down(who, usize::MAX);
            }
        }
        panic!("the world does not come to rest");
    }

    /// Who was made pull-only attaches again, until nobody has to.
    fn catch_up(&mut self) {
        for _ in 0..1_000 {
            self.settle();
            let mut lagging = false;
            for who in 0..self.parties.len() {
                for number in CHANNELS {
                    if self.bench.hub.attached(self.parties[who].id, number) == Some(State::Lagging) {
                        lagging = true;
                        let known = &mut self.parties[who].known[at(number)];
                        known.generation += 1;
                        known.began.push(known.last);
                        known.cursor = known.last;
                        let (generation, after) = (known.generation, known.last);
                        let link = self.parties[who].id;
                        assert!(self.bench.hub.attach(link, number, generation, after));
                        self.begin_read(link, number, generation, after);
                    }
                }
            }
            if !lagging {
                return;
            }
        }
        panic!("somebody lags for ever");
    }

    fn end(mut self) {
        self.catch_up();
        // What the bus lost at the end of a log shows only with the next record.
        for number in CHANNELS {
            self.append(number, 0);
            let offset = self.logs[at(number)].len() as u64;
            self.bench.hub.publish(number, &record(number, offset), offset, 0, None);
        }
        self.catch_up();
        for party in &self.parties {
            assert_eq!(party.answered, party.answers);
            for number in CHANNELS {
                let state = self.bench.hub.attached(party.id, number);
                let known = &party.known[at(number)];
                if state == Some(State::Live) {
                    assert_eq!(known.last, self.logs[at(number)].len() as u64);
                } else {
                    assert_eq!((state, known.attached), (None, false));
                }
            }
        }
        for party in &self.parties {
            self.bench.hub.close(party.id);
        }
        let left = self.bench.hub.stats();
        assert_eq!((left.connections, left.links, left.attachments, left.queued.total()), (0, 0, 0, 0));
        assert!(!self.bench.hub.is_dirty());
        assert_eq!(self.bench.flush(), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 64, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_network_does_nothing_is_lost_doubled_or_reordered(seed: u64, steps in 500usize..3_000) {
        let mut world = World::new(seed);
        for _ in 0..steps {
            world.step();
        }
        world.end();
    }
}
