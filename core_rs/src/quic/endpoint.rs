//! One UDP socket's connections.
use super::{
    Ending, Event, Kind, Limits, Pem,
    clock::Clock,
    connection::Connection,
    negotiation,
    setup::{Built, Setup},
    tls,
};
use crate::{error::Error, tls::TlsError};
use bytes::{Bytes, BytesMut};
use quinn_proto::{ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Incoming, StreamId, Transmit, VarInt};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io, mem,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// Answers that belong to no connection (Retry, version negotiation, stateless reset) wait up to this number.
const MAX_ANSWERS: usize = 1024;

/// Datagrams of one connection that are sent before the next one's turn, in bursts of as many as the socket takes.
const BURSTS: usize = 8;

/// Timers nearer than this are not worth waking up for; event loops round to milliseconds.
const TICK: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Now; those in their handshake included.
    pub connections: u64,
    pub handshakes: u64,
    pub resumed: u64,
    pub refused: u64,
    pub retries: u64,
    pub received_datagrams: u64,
    pub sent_datagrams: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub lost_packets: u64,
    pub moved: u64,
}

/// A datagram, or several of one length, that wait for the socket.
struct Waiting {
    transmit: Transmit,
    bytes: Vec<u8>,
}

pub struct Endpoint {
    quic: quinn_proto::Endpoint,
    tls: tls::Settings,
    clock: Arc<Clock>,
    limits: Limits,
    /// By quinn's handle, which is used again.
    connections: Vec<Option<Box<Connection>>>,
    /// Handles of those that are not over, by our number, which is not used again.
    handles: HashMap<u64, usize>,
    number: u64,
    events: Vec<Event>,
    /// Handles of connections that may have something to report, and to send.
    polling: VecDeque<usize>,
    sending: VecDeque<usize>,
    /// The socket took no more.
    blocked: bool,
    waiting: VecDeque<Waiting>,
    timers: BTreeSet<(Instant, usize)>,
    /// When handshakes have to be complete, of connections by number, in that order.
    handshakes: VecDeque<(Instant, u64)>,
    /// Handshakes under way.
    unfinished: usize,
    refusing: bool,
    stats: Stats,
    /// What quinn writes next.
    buffer: Vec<u8>,
}

impl Endpoint {
    pub fn new(setup: &Setup<'_>) -> Result<Self, Error> {
        let Built { clock, tls, quic } = setup.build()?;
        Ok(Self {
            quic,
            tls,
            clock,
            limits: setup.limits.clone(),
            connections: Vec::new(),
            handles: HashMap::new(),
            number: 0,
            events: Vec::new(),
            polling: VecDeque::new(),
            sending: VecDeque::new(),
            blocked: false,
            waiting: VecDeque::new(),
            timers: BTreeSet::new(),
            handshakes: VecDeque::new(),
            unfinished: 0,
            refusing: false,
            stats: Stats::default(),
            buffer: Vec::new(),
        })
    }

    // ---------------------------------------------------------------------------------------------------- datagrams

    /// The time of what follows.
    pub fn advance(&mut self, now: f64) {
        self.clock.advance(now);
    }

    /// Takes one datagram: from `remote`, to `local` where that is known.
    pub fn receive(
        &mut self,
        remote: SocketAddr,
        local: Option<IpAddr>,
        congestion: Option<EcnCodepoint>,
        data: BytesMut,
    ) {
        self.stats.received_datagrams += 1;
        self.stats.received_bytes += data.len() as u64;
        self.buffer.clear();
        if let Some(answer) = negotiation::answer(&data) {
            self.buffer = answer;
            let (size, src_ip) = (self.buffer.len(), local);
            return self.answer(Transmit { destination: remote, ecn: None, size, segment_size: None, src_ip });
        }
        let now = self.clock.now();
        match self.quic.handle(now, remote, local, congestion, data, &mut self.buffer) {
            None => {}
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(connection) = self.at(handle.0) {
                    connection.receive(remote, event);
                    self.touch(handle.0);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.admit(incoming),
            Some(DatagramEvent::Response(transmit)) => self.answer(transmit),
        }
    }

    fn admit(&mut self, incoming: Incoming) {
        self.buffer.clear();
        // Those that are over linger until no packet of theirs is expected (RFC 9000 §10.2).
        let full = self.handles.len() >= self.limits.max_connections
            || self.quic.open_connections() >= 2 * self.limits.max_connections;
        if self.refusing || full {
            self.stats.refused += 1;
            let transmit = self.quic.refuse(incoming, &mut self.buffer);
            return self.answer(transmit);
        }
        if self.unfinished >= self.limits.retry_handshakes && !incoming.remote_address_validated() {
            return match self.quic.retry(incoming, &mut self.buffer) {
                Ok(transmit) => {
                    self.stats.retries += 1;
                    self.answer(transmit);
                }
                Err(error) => self.quic.ignore(error.into_incoming()),
            };
        }
        let now = self.clock.now();
        match self.quic.accept(incoming, now, &mut self.buffer, None) {
            Ok((ConnectionHandle(handle), quic)) => {
                self.number += 1;
                if handle >= self.connections.len() {
                    self.connections.resize_with(handle + 1, || None);
                }
                let connection = Connection::new(quic, self.number, &self.limits, now);
                self.connections[handle] = Some(Box::new(connection));
                self.handles.insert(self.number, handle);
                self.unfinished += 1;
                let limit = now + Duration::from_secs_f64(self.limits.handshake_seconds);
                self.handshakes.push_back((limit, self.number));
                self.touch(handle);
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.answer(transmit);
                }
            }
        }
    }

    /// Queues an answer of the endpoint itself, which lies in the buffer.
    fn answer(&mut self, transmit: Transmit) {
        if self.waiting.len() < MAX_ANSWERS {
            let bytes = self.buffer[..transmit.size].to_vec();
            self.waiting.push_back(Waiting { transmit, bytes });
        }
    }

    /// Gives `send` what may be sent, at most `segments` datagrams of one length at a time, until it returns false: it
    /// takes no more, not even these. Then false is returned.
    pub fn transmit(
        &mut self,
        segments: usize,
        send: &mut dyn FnMut(&Transmit, &[u8]) -> io::Result<bool>,
    ) -> io::Result<bool> {
        self.blocked = true;
        while let Some(Waiting { transmit, bytes }) = self.waiting.front() {
            if !send(transmit, bytes)? {
                return Ok(false);
            }
            count(&mut self.stats, transmit);
            self.waiting.pop_front();
        }
        let now = self.clock.now();
        while let Some(handle) = self.sending.pop_front() {
            let Some(connection) = self.connections.get_mut(handle).and_then(Option::as_deref_mut) else { continue };
            connection.sending = false;
            connection.give(&mut self.events);
            let mut bursts = 0;
            loop {
                self.buffer.clear();
                let Some(transmit) = connection.quic.poll_transmit(now, segments, &mut self.buffer) else { break };
                if !send(&transmit, &self.buffer[..transmit.size])? {
                    let bytes = self.buffer[..transmit.size].to_vec();
                    self.waiting.push_back(Waiting { transmit, bytes });
                    connection.sending = true;
                    self.sending.push_front(handle);
                    return Ok(false);
                }
                count(&mut self.stats, &transmit);
                bursts += 1;
                if bursts == BURSTS {
                    connection.sending = true;
                    self.sending.push_back(handle);
                    break;
                }
            }
            self.settle(handle);
        }
        self.blocked = false;
        Ok(true)
    }

    // ------------------------------------------------------------------------------------------------ what happened

    /// What happened since the last call.
    pub fn poll(&mut self) -> Vec<Event> {
        while let Some(handle) = self.polling.pop_front() {
            self.report(handle);
            self.settle(handle);
        }
        mem::take(&mut self.events)
    }

    /// Collects what one connection has to report.
    fn report(&mut self, handle: usize) {
        let now = self.clock.now();
        let Some(connection) = self.connections.get_mut(handle).and_then(Option::as_deref_mut) else { return };
        connection.polling = false;
        if connection.closed {
            return;
        }
        let first = self.events.len();
        let connected = connection.connected;
        connection.poll(now, &mut self.events);
        if !connected && (connection.connected || connection.closed) {
            self.unfinished -= 1;
        }
        if connection.closed {
            self.handles.remove(&connection.number);
        }
        for event in &self.events[first..] {
            match event.kind {
                Kind::Connected => {
                    self.stats.handshakes += 1;
                    self.stats.resumed += event.number;
                }
                Kind::Moved => self.stats.moved += 1,
                _ => {}
            }
        }
    }

    /// Lets a connection and the endpoint tell each other what they have to; sets the timer; forgets what is drained.
    fn settle(&mut self, handle: usize) {
        let Some(connection) = self.connections.get_mut(handle).and_then(Option::as_deref_mut) else { return };
        while let Some(event) = connection.quic.poll_endpoint_events() {
            if let Some(answer) = self.quic.handle_event(ConnectionHandle(handle), event) {
                connection.quic.handle_event(answer);
            }
        }
        let timer = connection.quic.poll_timeout();
        let drained = connection.quic.is_drained();
        if timer != connection.timer || drained {
            if let Some(old) = connection.timer.take() {
                self.timers.remove(&(old, handle));
            }
        }
        if drained {
            self.report(handle);
            if let Some(connection) = self.connections[handle].take() {
                self.stats.lost_packets += connection.quic.stats().path.lost_packets;
            }
        } else if timer != connection.timer {
            connection.timer = timer;
            self.timers.extend(timer.map(|at| (at, handle)));
        }
    }

    /// A connection has to be polled and asked for datagrams.
    fn touch(&mut self, handle: usize) {
        let Some(connection) = self.connections.get_mut(handle).and_then(Option::as_deref_mut) else { return };
        if !mem::replace(&mut connection.polling, true) {
            self.polling.push_back(handle);
        }
        if !mem::replace(&mut connection.sending, true) {
            self.sending.push_back(handle);
        }
    }

    // ------------------------------------------------------------------------------------------------------- timers

    /// When to call `handle_timeouts`, in the caller's seconds.
    pub fn next_timeout(&mut self) -> Option<f64> {
        let now = self.clock.now();
        while let Some((_, number)) = self.handshakes.front() {
            if self.of(*number).is_some_and(|connection| !connection.connected) {
                break;
            }
            self.handshakes.pop_front();
        }
        let unsent = !self.sending.is_empty() || !self.waiting.is_empty();
        let left = !self.events.is_empty() || !self.polling.is_empty() || (unsent && !self.blocked);
        let next =
            [self.timers.first().map(|(at, _)| *at), self.handshakes.front().map(|(at, _)| *at), left.then_some(now)];
        let next = next.into_iter().flatten().min()?;
        Some(self.clock.seconds(next.max(now + TICK)))
    }

    pub fn handle_timeouts(&mut self) {
        let now = self.clock.now();
        while let Some(&(at, handle)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(connection) = self.at(handle) {
                connection.timer = None;
                connection.quic.handle_timeout(now);
                self.touch(handle);
            }
        }
        while let Some(&(limit, number)) = self.handshakes.front() {
            if limit > now {
                break;
            }
            self.handshakes.pop_front();
            if self.of(number).is_some_and(|connection| !connection.connected) {
                let reason = Bytes::from_static(b"the handshake took too long");
                self.end(number, VarInt::from_u32(0), reason, Ending::Timeout);
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------ callers

    fn at(&mut self, handle: usize) -> Option<&mut Connection> {
        self.connections.get_mut(handle)?.as_deref_mut()
    }

    /// A connection that is not over.
    fn of(&self, number: u64) -> Option<&Connection> {
        self.connections.get(*self.handles.get(&number)?)?.as_deref()
    }

    /// Does something to a connection that is not over, which may then have something to send.
    fn with<R>(&mut self, number: u64, call: impl FnOnce(&mut Connection) -> R) -> Option<R> {
        let handle = *self.handles.get(&number)?;
        let connection = self.connections.get_mut(handle)?.as_deref_mut()?;
        let result = call(connection);
        if !mem::replace(&mut connection.sending, true) {
            self.sending.push_back(handle);
        }
        Some(result)
    }

    /// False: more than the high-water mark waits for the stream.
    pub fn send(&mut self, number: u64, stream: u64, data: Bytes, end: bool) -> bool {
        let Some(id) = stream_id(stream) else { return true };
        self.with(number, |connection| connection.send(id, data, end)).unwrap_or(true)
    }

    pub fn open_stream(&mut self, number: u64, unidirectional: bool) -> Option<u64> {
        let dir = if unidirectional { Dir::Uni } else { Dir::Bi };
        self.with(number, |connection| connection.open_stream(dir).into())
    }

    pub fn reset(&mut self, number: u64, stream: u64, code: u64) {
        let (Some(id), Ok(code)) = (stream_id(stream), VarInt::from_u64(code)) else { return };
        self.with(number, |connection| connection.reset(id, code));
    }

    pub fn stop(&mut self, number: u64, stream: u64, code: u64) {
        let (Some(id), Ok(code)) = (stream_id(stream), VarInt::from_u64(code)) else { return };
        self.with(number, |connection| connection.stop(id, code));
    }

    pub fn pause(&mut self, number: u64, stream: u64) {
        let Some(id) = stream_id(stream) else { return };
        self.with(number, |connection| connection.pause(id));
    }

    pub fn resume(&mut self, number: u64, stream: u64) {
        let (Some(id), Some(&handle)) = (stream_id(stream), self.handles.get(&number)) else { return };
        if self.at(handle).is_some_and(|connection| connection.resume(id)) {
            self.touch(handle);
        }
    }

    /// False: the peer takes no datagrams, or none so long.
    pub fn send_datagram(&mut self, number: u64, data: Bytes) -> bool {
        self.with(number, |connection| connection.send_datagram(data)).unwrap_or(false)
    }

    pub fn max_datagram(&mut self, number: u64) -> usize {
        let handle = self.handles.get(&number).copied();
        handle.and_then(|handle| self.at(handle)).map_or(0, Connection::max_datagram)
    }

    pub fn buffered(&self, number: u64, stream: u64) -> usize {
        let (Some(id), Some(connection)) = (stream_id(stream), self.of(number)) else { return 0 };
        connection.buffered(id)
    }

    pub fn close(&mut self, number: u64, code: u64, reason: &str) {
        let Ok(code) = VarInt::from_u64(code) else { return };
        self.end(number, code, Bytes::copy_from_slice(reason.as_bytes()), Ending::Local);
    }

    fn end(&mut self, number: u64, code: VarInt, reason: Bytes, ending: Ending) {
        let Some(handle) = self.handles.remove(&number) else { return };
        let now = self.clock.now();
        let Some(connection) = self.connections.get_mut(handle).and_then(Option::as_deref_mut) else { return };
        connection.close(now, code, reason.clone());
        connection.report_end(ending, code.into(), reason, &mut self.events);
        if !connection.connected {
            self.unfinished -= 1;
        }
        self.touch(handle);
    }

    pub fn peer(&self, number: u64) -> Option<SocketAddr> {
        self.of(number).map(|connection| connection.address)
    }

    /// From now on new connections are refused.
    pub fn refuse(&mut self) {
        self.refusing = true;
    }

    /// Presents other certificates from the next handshake on. After an error the old ones stay.
    pub fn reload(&mut self, plain: Pem<'_>, named: Option<Pem<'_>>) -> Result<(), TlsError> {
        self.tls.reload(plain, named)
    }

    pub fn set_ticket_keys(&mut self, keys: &[Vec<u8>]) -> Result<(), TlsError> {
        self.tls.set_ticket_keys(keys)
    }

    pub fn stats(&self) -> Stats {
        let lost = self.connections.iter().flatten().map(|connection| connection.quic.stats().path.lost_packets);
        Stats {
            connections: self.handles.len() as u64,
            lost_packets: self.stats.lost_packets + lost.sum::<u64>(),
            ..self.stats
        }
    }
}

fn count(stats: &mut Stats, transmit: &Transmit) {
    stats.sent_datagrams += transmit.size.div_ceil(transmit.segment_size.unwrap_or(transmit.size).max(1)) as u64;
    stats.sent_bytes += transmit.size as u64;
}

fn stream_id(stream: u64) -> Option<StreamId> {
    VarInt::from_u64(stream).ok().map(StreamId::from)
}
