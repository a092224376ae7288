//! One connection: what its streams read and send, and what is reported of it.
use super::{
    Ending, Event, Kind, Limits,
    outgoing::{Outgoing, Promise, Turn},
    tls::Handshake,
};
use bytes::{Bytes, BytesMut};
use quinn_proto::{ConnectionError, Dir, ReadError, Side, StreamEvent, StreamId, VarInt};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::Instant,
};

/// What quinn may hold of unsent bytes beyond twice the congestion window.
const SEND_SLACK: u64 = 32_768;

pub(super) struct Connection {
    pub(super) quic: quinn_proto::Connection,
    pub(super) number: u64,
    /// Waits to be polled, and to be asked for datagrams.
    pub(super) polling: bool,
    pub(super) sending: bool,
    /// When the endpoint was told to wake it.
    pub(super) timer: Option<Instant>,
    /// OPENED, CONNECTED and CLOSED were reported.
    opened: bool,
    pub(super) connected: bool,
    pub(super) closed: bool,
    /// Where the peer is, as far as validated.
    pub(super) address: SocketAddr,
    moved: bool,
    outgoing: HashMap<StreamId, Outgoing>,
    /// Streams with something in `outgoing` that quinn may take.
    ready: VecDeque<StreamId>,
    /// Streams that make no events, and whether quinn has something for them.
    paused: HashMap<StreamId, bool>,
    /// Streams that may be read again.
    resumed: Vec<StreamId>,
    promises: HashMap<StreamId, Promise>,
    /// By direction: streams of ours that callers know, and that are open; streams of the peer.
    promised: [u64; 2],
    open: [u64; 2],
    accepted: [u64; 2],
    max_streams: u64,
    window: Window,
}

/// The connection's receive window: doubled while the peer fills it (RFC 9000 §4.2).
struct Window {
    size: u64,
    maximum: u64,
    /// Bytes read since `since`.
    read: u64,
    since: Instant,
}

impl Connection {
    pub(super) fn new(quic: quinn_proto::Connection, number: u64, limits: &Limits, now: Instant) -> Self {
        let address = quic.remote_address();
        Self {
            quic,
            number,
            polling: false,
            sending: false,
            timer: None,
            opened: false,
            connected: false,
            closed: false,
            address,
            moved: false,
            outgoing: HashMap::new(),
            ready: VecDeque::new(),
            paused: HashMap::new(),
            resumed: Vec::new(),
            promises: HashMap::new(),
            promised: [0; 2],
            open: [0; 2],
            accepted: [0; 2],
            max_streams: limits.max_streams.into(),
            window: Window {
                size: limits.connection_window.into(),
                maximum: limits.max_connection_window.into(),
                read: 0,
                since: now,
            },
        }
    }

    fn event(&self, kind: Kind, stream: u64, data: Bytes, number: u64) -> Event {
        Event { connection: self.number, kind, stream, data, number }
    }

    // ---------------------------------------------------------------------------------------------------- what came

    /// Takes a datagram that the endpoint found to be for this connection.
    ///
    /// quinn does not say when a path is validated. A PATH_RESPONSE that comes from the address to which quinn moved is
    /// what validates it (RFC 9000 §8.2.3); the peer alone, which has the keys, could send a wrong one.
    pub(super) fn receive(&mut self, from: SocketAddr, datagram: quinn_proto::ConnectionEvent) {
        if from == self.address || !self.connected {
            return self.quic.handle_event(datagram);
        }
        let before = self.quic.stats().frame_rx.path_response;
        self.quic.handle_event(datagram);
        if self.quic.stats().frame_rx.path_response > before && self.quic.remote_address() == from {
            self.address = from;
            self.moved = true;
        }
    }

    /// Reports what happened.
    pub(super) fn poll(&mut self, now: Instant, events: &mut Vec<Event>) {
        if std::mem::take(&mut self.moved) {
            events.push(self.event(Kind::Moved, 0, Bytes::new(), 0));
        }
        for id in std::mem::take(&mut self.resumed) {
            self.read(id, now, events);
        }
        while let Some(event) = self.quic.poll() {
            match event {
                quinn_proto::Event::HandshakeDataReady => {
                    self.opened = true;
                    let name = self.handshake().and_then(|handshake| handshake.server_name).unwrap_or_default();
                    events.push(self.event(Kind::Opened, 0, name.into(), 0));
                }
                quinn_proto::Event::Connected => {
                    self.connected = true;
                    let resumed = self.handshake().is_some_and(|handshake| handshake.resumed);
                    events.push(self.event(Kind::Connected, 0, Bytes::new(), resumed.into()));
                }
                quinn_proto::Event::Stream(event) => self.stream_event(event, now, events),
                quinn_proto::Event::DatagramReceived => {
                    while let Some(data) = self.quic.datagrams().recv() {
                        events.push(self.event(Kind::Datagram, 0, data, 0));
                    }
                }
                quinn_proto::Event::DatagramsUnblocked => {}
                quinn_proto::Event::ConnectionLost { reason } => {
                    let (ending, code, phrase) = ending(reason);
                    self.report_end(ending, code, phrase, events);
                    return;
                }
            }
        }
        self.give(events);
    }

    fn handshake(&self) -> Option<Handshake> {
        let data = self.quic.crypto_session().handshake_data()?;
        data.downcast().ok().map(|handshake| *handshake)
    }

    fn stream_event(&mut self, event: StreamEvent, now: Instant, events: &mut Vec<Event>) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.quic.streams().accept(dir) {
                    self.accepted[dir as usize] = id.index() + 1;
                    self.read(id, now, events);
                }
                self.raise_streams(dir);
            }
            StreamEvent::Readable { id } => self.read(id, now, events),
            StreamEvent::Writable { id } => {
                if self.outgoing.contains_key(&id) {
                    self.ready.push_back(id);
                }
            }
            StreamEvent::Stopped { id, error_code } => {
                self.outgoing.remove(&id);
                // RFC 9000 §3.5: whoever is asked to stop resets the stream. An error says that it did already.
                let _ = self.quic.send_stream(id).reset(error_code);
                events.push(self.event(Kind::Stopped, id.into(), Bytes::new(), error_code.into()));
            }
            StreamEvent::Available { .. } => self.keep_promises(),
            StreamEvent::Finished { .. } => {}
        }
    }

    /// Lets the peer open more streams at once when it uses what it has: quinn keeps state for every one allowed.
    fn raise_streams(&mut self, dir: Dir) {
        let limit = self.quic.max_concurrent_streams(dir);
        if limit < self.max_streams && 2 * self.quic.streams().remote_open_streams(dir) > limit {
            let raised = VarInt::from_u64((2 * limit).min(self.max_streams)).unwrap_or(VarInt::MAX);
            self.quic.set_max_concurrent_streams(dir, raised);
        }
    }

    /// Reads what a stream has, which gives its peer credit for more (RFC 9000 §4.1).
    fn read(&mut self, id: StreamId, now: Instant, events: &mut Vec<Event>) {
        if let Some(waits) = self.paused.get_mut(&id) {
            *waits = true;
            // A reset leaves nothing to read, and nothing to wait for.
            if let Ok(Some(code)) = self.quic.recv_stream(id).received_reset() {
                self.paused.remove(&id);
                events.push(self.event(Kind::Reset, id.into(), Bytes::new(), code.into()));
            }
            return;
        }
        let mut stream = self.quic.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        let mut data = Joined::default();
        let mut end = false;
        let mut reset = None;
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => data.push(chunk.bytes),
                Ok(None) => {
                    end = true;
                    break;
                }
                Err(ReadError::Blocked) => break,
                Err(ReadError::Reset(code)) => {
                    reset = Some(code);
                    break;
                }
            }
        }
        drop(chunks);
        let data = data.into_bytes();
        self.widen(data.len(), now);
        if end || !data.is_empty() {
            events.push(self.event(Kind::Stream, id.into(), data, end.into()));
        }
        if let Some(code) = reset {
            events.push(self.event(Kind::Reset, id.into(), Bytes::new(), code.into()));
        }
    }

    fn widen(&mut self, read: usize, now: Instant) {
        let window = &mut self.window;
        window.read += read as u64;
        if 2 * window.read < window.size {
            return;
        }
        let quick = now.saturating_duration_since(window.since) < 2 * self.quic.rtt();
        window.read = 0;
        window.since = now;
        if quick && window.size < window.maximum {
            window.size = (2 * window.size).min(window.maximum);
            self.quic.set_receive_window(VarInt::from_u64(window.size).unwrap_or(VarInt::MAX));
        }
    }

    /// Whether streams with this id send to us, and are known.
    fn receives(&self, id: StreamId) -> bool {
        match id.initiator() {
            Side::Client => id.index() < self.accepted[id.dir() as usize],
            Side::Server => id.dir() == Dir::Bi && id.index() < self.promised[Dir::Bi as usize],
        }
    }

    pub(super) fn pause(&mut self, id: StreamId) {
        if self.receives(id) {
            self.paused.entry(id).or_insert(false);
        }
    }

    /// True: there may be something to report.
    pub(super) fn resume(&mut self, id: StreamId) -> bool {
        let waits = self.paused.remove(&id).unwrap_or(false);
        if waits {
            self.resumed.push(id);
        }
        waits
    }

    pub(super) fn stop(&mut self, id: StreamId, code: VarInt) {
        if !self.receives(id) {
            return;
        }
        self.paused.remove(&id);
        if self.is_promise(id) {
            self.promises.entry(id).or_default().stop = Some(code);
        } else {
            // An error says that it ended, or was stopped before.
            let _ = self.quic.recv_stream(id).stop(code);
        }
    }

    // ------------------------------------------------------------------------------------------------- what is sent

    fn sends(&self, id: StreamId) -> bool {
        match id.initiator() {
            Side::Client => id.dir() == Dir::Bi && id.index() < self.accepted[Dir::Bi as usize],
            Side::Server => id.index() < self.promised[id.dir() as usize],
        }
    }

    fn is_promise(&self, id: StreamId) -> bool {
        id.initiator() == Side::Server && id.index() >= self.open[id.dir() as usize]
    }

    pub(super) fn open_stream(&mut self, dir: Dir) -> StreamId {
        let id = StreamId::new(Side::Server, dir, self.promised[dir as usize]);
        self.promised[dir as usize] += 1;
        self.keep_promises();
        id
    }

    /// Opens promised streams as far as the peer allows; they are numbered in the order of opening.
    fn keep_promises(&mut self) {
        for dir in [Dir::Bi, Dir::Uni] {
            while self.open[dir as usize] < self.promised[dir as usize] {
                let Some(id) = self.quic.streams().open(dir) else { break };
                self.open[dir as usize] += 1;
                let promise = self.promises.remove(&id).unwrap_or_default();
                if let Some(code) = promise.reset {
                    let _ = self.quic.send_stream(id).reset(code);
                } else if self.outgoing.contains_key(&id) {
                    self.ready.push_back(id);
                }
                if let Some(code) = promise.stop {
                    let _ = self.quic.recv_stream(id).stop(code);
                }
            }
        }
    }

    /// False: more than the high-water mark waits.
    pub(super) fn send(&mut self, id: StreamId, data: Bytes, end: bool) -> bool {
        if !self.sends(id) || (data.is_empty() && !end) {
            return true;
        }
        let promise = self.is_promise(id);
        let over = if promise {
            self.promises.get(&id).is_some_and(|promise| promise.reset.is_some())
        } else {
            !matches!(self.quic.send_stream(id).stopped(), Ok(None))
        };
        if over {
            return true;
        }
        let outgoing = self.outgoing.entry(id).or_insert_with(|| {
            if !promise {
                self.ready.push_back(id);
            }
            Outgoing::default()
        });
        outgoing.push(data, end)
    }

    pub(super) fn buffered(&self, id: StreamId) -> usize {
        self.outgoing.get(&id).map_or(0, Outgoing::size)
    }

    pub(super) fn reset(&mut self, id: StreamId, code: VarInt) {
        if !self.sends(id) {
            return;
        }
        self.outgoing.remove(&id);
        if self.is_promise(id) {
            self.promises.entry(id).or_default().reset.get_or_insert(code);
        } else {
            // An error says that it ended otherwise.
            let _ = self.quic.send_stream(id).reset(code);
        }
    }

    /// Gives quinn what waits, as far as it takes it: twice the congestion window, so that a loss does not stop the
    /// stream, and what a slow peer cannot take stays where its sender sees it.
    pub(super) fn give(&mut self, events: &mut Vec<Event>) {
        if self.outgoing.is_empty() {
            return;
        }
        self.quic.set_send_window(2 * self.quic.congestion_state().window() + SEND_SLACK);
        while let Some(id) = self.ready.pop_front() {
            // Its turn may have come twice, or it was reset meanwhile.
            let Some(outgoing) = self.outgoing.get_mut(&id) else { continue };
            let turn = outgoing.give(&mut self.quic.send_stream(id));
            if outgoing.sank() {
                events.push(Event {
                    connection: self.number,
                    kind: Kind::Writable,
                    stream: id.into(),
                    data: Bytes::new(),
                    number: 0,
                });
            }
            match turn {
                Turn::More => self.ready.push_back(id),
                Turn::Blocked => {}
                Turn::Done => {
                    self.outgoing.remove(&id);
                }
            }
        }
    }

    /// False: the peer takes no datagrams, or none so long.
    pub(super) fn send_datagram(&mut self, data: Bytes) -> bool {
        self.quic.datagrams().send(data, true).is_ok()
    }

    pub(super) fn max_datagram(&mut self) -> usize {
        self.quic.datagrams().max_size().unwrap_or(0)
    }

    // ------------------------------------------------------------------------------------------------------ the end

    pub(super) fn close(&mut self, now: Instant, code: VarInt, reason: Bytes) {
        self.quic.close(now, code, reason);
    }

    /// Reports the end, of what was reported at all, and forgets what waited.
    pub(super) fn report_end(&mut self, ending: Ending, code: u64, reason: Bytes, events: &mut Vec<Event>) {
        if self.opened && !self.closed {
            events.push(self.event(Kind::Closed, ending as u64, reason, code));
        }
        self.closed = true;
        self.outgoing = HashMap::new();
        self.ready = VecDeque::new();
        self.paused = HashMap::new();
        self.resumed = Vec::new();
        self.promises = HashMap::new();
    }
}

fn ending(reason: ConnectionError) -> (Ending, u64, Bytes) {
    match reason {
        ConnectionError::ApplicationClosed(close) => (Ending::Application, close.error_code.into(), close.reason),
        ConnectionError::ConnectionClosed(close) => (Ending::Transport, close.error_code.into(), close.reason),
        ConnectionError::TransportError(error) => (Ending::Transport, error.code.into(), error.reason.into()),
        ConnectionError::TimedOut => (Ending::Timeout, 0, Bytes::from_static(b"idle for too long")),
        ConnectionError::LocallyClosed => (Ending::Local, 0, Bytes::new()),
        ConnectionError::Reset => (Ending::Transport, 0, Bytes::from_static(b"stateless reset")),
        error @ (ConnectionError::VersionMismatch | ConnectionError::CidsExhausted) => {
            (Ending::Transport, 0, error.to_string().into())
        }
    }
}

/// Chunks of a stream; one alone is not copied.
#[derive(Default)]
struct Joined {
    first: Bytes,
    all: BytesMut,
}

impl Joined {
    fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = chunk;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}
