//! One client: a UDP socket of its own, and its one connection.
use super::{
    http3::{self, Reply},
    seen::Seen,
    talk::Talk,
};
use bytes::{Bytes, BytesMut};
use mio::net::UdpSocket;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint, EndpointConfig, Event,
    StreamEvent, StreamId, VarInt,
};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use std::{
    collections::HashMap,
    io::{self, ErrorKind, IoSliceMut},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

/// Longest datagram, or group of joined ones, that the kernel gives.
const MAX_PAYLOAD: usize = 65_535;

/// Application error code of HTTP/3 for an ordinary end (RFC 9114 §8.1).
const H3_NO_ERROR: VarInt = VarInt::from_u32(0x100);

/// What all clients read into and write from.
pub(super) struct Buffers {
    received: Vec<u8>,
    sent: Vec<u8>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { received: vec![0; BATCH_SIZE * MAX_PAYLOAD], sent: Vec::with_capacity(MAX_PAYLOAD) }
    }
}

/// Requests that a client makes by itself.
#[derive(Default)]
pub(super) struct Asking {
    pub(super) request: Bytes,
    pub(super) body_bytes: u64,
    /// Requests on their way at once.
    pub(super) streams: usize,
}

/// What a stream of the client is for.
enum Purpose {
    Request {
        began: Instant,
        reply: Reply,
    },
    Session {
        reply: Reply,
    },
    Link,
    /// What is read of it is of no interest.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    /// The handshake is complete and the control stream open.
    Open,
    Gone,
}

pub(super) struct Client {
    pub(super) socket: UdpSocket,
    state: UdpSocketState,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    quic: Connection,
    pub(super) timer: Option<Instant>,
    pub(super) stage: Stage,
    streams: HashMap<StreamId, Purpose>,
    pub(super) asking: Asking,
    flying: usize,
    /// The request of a session that is to be opened, and then its stream.
    pub(super) wanted: Option<Vec<u8>>,
    link: Option<StreamId>,
    pub(super) talk: Option<Box<Talk>>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr, name: &str, config: ClientConfig, now: Instant) -> Result<Self, String> {
        let local: SocketAddr =
            if address.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { "[::1]:0".parse().map_err(text)? };
        let socket = UdpSocket::bind(local).map_err(text)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).map_err(text)?;
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let (handle, quic) = endpoint.connect(now, config, address, name).map_err(text)?;
        Ok(Self {
            socket,
            state,
            endpoint,
            handle,
            quic,
            timer: None,
            stage: Stage::Connecting,
            streams: HashMap::new(),
            asking: Asking::default(),
            flying: 0,
            wanted: None,
            link: None,
            talk: None,
        })
    }

    /// Reads all that the socket has.
    pub(super) fn receive(&mut self, now: Instant, buffers: &mut Buffers) -> Result<(), String> {
        loop {
            let mut slices = buffers.received.chunks_exact_mut(MAX_PAYLOAD).map(IoSliceMut::new).collect::<Vec<_>>();
            let mut metas = [RecvMeta::default(); BATCH_SIZE];
            let count = match self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Nobody listens there (yet): QUIC asks again.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(text(error)),
            };
            for (meta, slice) in metas.iter().zip(&slices).take(count) {
                let ecn = meta.ecn.and_then(|codepoint| EcnCodepoint::from_bits(codepoint as u8));
                for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                    let bytes = BytesMut::from(datagram);
                    match self.endpoint.handle(now, meta.addr, meta.dst_ip, ecn, bytes, &mut buffers.sent) {
                        Some(DatagramEvent::ConnectionEvent(_, event)) => self.quic.handle_event(event),
                        Some(DatagramEvent::NewConnection(incoming)) => self.endpoint.ignore(incoming),
                        Some(DatagramEvent::Response(_)) | None => {}
                    }
                    buffers.sent.clear();
                }
            }
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if self.timer.is_some_and(|timer| timer <= now) {
            self.quic.handle_timeout(now);
        }
    }

    /// Does what has become possible, and sends what that says.
    pub(super) fn drive(&mut self, now: Instant, buffers: &mut Buffers, seen: &mut Seen) -> Result<(), String> {
        while let Some(event) = self.quic.poll() {
            match event {
                Event::Connected => {
                    self.stage = Stage::Open;
                    seen.done += u64::from(self.wanted.is_none());
                    let control = self.quic.streams().open(Dir::Uni).ok_or("the server takes no control stream")?;
                    self.write(control, &http3::control())?;
                    if let Some(request) = self.wanted.take() {
                        let id = self.quic.streams().open(Dir::Bi).ok_or("the server takes no stream")?;
                        self.write(id, &request)?;
                        self.streams.insert(id, Purpose::Session { reply: Reply::default() });
                    }
                }
                Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.quic.streams().accept(dir) {
                        self.streams.insert(id, Purpose::Other);
                        self.read(id, now, seen)?;
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id, now, seen)?,
                Event::Stream(StreamEvent::Stopped { error_code, .. }) => {
                    return Err(format!("a stream was stopped: {error_code}"));
                }
                Event::DatagramReceived => {
                    while let Some(datagram) = self.quic.datagrams().recv() {
                        let size = http3::varint(&datagram).map_or(0, |(_, size)| size);
                        if let Some(talk) = &mut self.talk {
                            talk.beside(&datagram[size..], seen);
                        }
                    }
                }
                Event::ConnectionLost { reason } => {
                    self.stage = Stage::Gone;
                    return Err(format!("a connection was lost: {reason}"));
                }
                Event::Stream(_) | Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
            }
        }
        self.ask(now, seen)?;
        self.say()?;
        self.transmit(now, buffers)?;
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(event);
            }
        }
        self.timer = self.quic.poll_timeout();
        Ok(())
    }

    /// Ends the connection; `drive` says so.
    pub(super) fn close(&mut self, now: Instant) {
        self.stage = Stage::Gone;
        self.quic.close(now, H3_NO_ERROR, Bytes::new());
    }

    fn read(&mut self, id: StreamId, now: Instant, seen: &mut Seen) -> Result<(), String> {
        let Some(mut purpose) = self.streams.remove(&id) else { return Ok(()) };
        let ended = self.take(id, &mut purpose, now, seen)?;
        match &purpose {
            Purpose::Request { began, reply } if ended => {
                if !reply.accepted || reply.body != self.asking.body_bytes {
                    return Err(format!("an answer of {} bytes", reply.body));
                }
                seen.answered(now - *began, reply.body);
                self.flying -= 1;
                return Ok(());
            }
            Purpose::Link | Purpose::Session { .. } if ended => return Err("a link was closed".to_owned()),
            Purpose::Session { reply } if reply.accepted && self.link.is_none() => self.open_link(id, seen)?,
            _ => {}
        }
        if !ended {
            self.streams.insert(id, purpose);
        }
        Ok(())
    }

    /// Reads what a stream has; whether that was the last of it.
    fn take(&mut self, id: StreamId, purpose: &mut Purpose, now: Instant, seen: &mut Seen) -> Result<bool, String> {
        let mut stream = self.quic.recv_stream(id);
        let mut chunks = stream.read(true).map_err(text)?;
        let ended = loop {
            let chunk = match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break true,
                Err(quinn_proto::ReadError::Blocked) => break false,
                Err(error) => return Err(text(error)),
            };
            match purpose {
                Purpose::Request { reply, .. } | Purpose::Session { reply } => reply.read(&chunk.bytes)?,
                Purpose::Link => {
                    if let Some(talk) = &mut self.talk {
                        talk.hear(&chunk.bytes, now, seen)?;
                    }
                }
                Purpose::Other => {}
            }
        };
        // `drive` sends whatever there is to send.
        let _ = chunks.finalize();
        Ok(ended)
    }

    /// The session was accepted: the link may have its stream.
    fn open_link(&mut self, session: StreamId, seen: &mut Seen) -> Result<(), String> {
        let stream = self.quic.streams().open(Dir::Bi).ok_or("the server takes no stream of a session")?;
        self.write(stream, &http3::session_stream(session.into()))?;
        self.streams.insert(stream, Purpose::Link);
        self.link = Some(stream);
        if let Some(talk) = &mut self.talk {
            talk.begin(seen);
        }
        Ok(())
    }

    /// Makes as many requests as may be on their way.
    fn ask(&mut self, now: Instant, seen: &mut Seen) -> Result<(), String> {
        while self.stage == Stage::Open && self.flying < self.asking.streams && seen.unasked > 0 {
            let Some(id) = self.quic.streams().open(Dir::Bi) else { return Ok(()) };
            let request = self.asking.request.clone();
            self.write(id, &request)?;
            self.quic.send_stream(id).finish().map_err(text)?;
            self.streams.insert(id, Purpose::Request { began: now, reply: Reply::default() });
            self.flying += 1;
            seen.unasked -= 1;
        }
        Ok(())
    }

    /// Sends what the link has to say.
    fn say(&mut self) -> Result<(), String> {
        if let (Some(id), Some(talk)) = (self.link, &mut self.talk) {
            if !talk.out.is_empty() {
                let bytes = std::mem::take(&mut talk.out);
                self.write(id, &bytes)?;
            }
        }
        Ok(())
    }

    /// What is written here is far below what any server lets a stream hold.
    fn write(&mut self, id: StreamId, bytes: &[u8]) -> Result<(), String> {
        match self.quic.send_stream(id).write(bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) => Err("the server takes too little of a stream".to_owned()),
            Err(error) => Err(text(error)),
        }
    }

    fn transmit(&mut self, now: Instant, buffers: &mut Buffers) -> Result<(), String> {
        let segments = self.state.max_gso_segments().min(10);
        while let Some(transmit) = self.quic.poll_transmit(now, segments, &mut buffers.sent) {
            let sent = self.state.try_send(
                UdpSockRef::from(&self.socket),
                &quinn_udp::Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn.and_then(|codepoint| quinn_udp::EcnCodepoint::from_bits(codepoint as u8)),
                    contents: &buffers.sent[..transmit.size],
                    segment_size: transmit.segment_size,
                    src_ip: transmit.src_ip,
                },
            );
            buffers.sent.clear();
            match sent {
                Ok(()) => {}
                // Lost on its way, as it may be: QUIC sends it again.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {}
                Err(error) => return Err(text(error)),
            }
        }
        Ok(())
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Registers its socket, under the number of the client.
impl mio::event::Source for Client {
    fn register(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        self.socket.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        self.socket.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &mio::Registry) -> io::Result<()> {
        self.socket.deregister(registry)
    }
}
