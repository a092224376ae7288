//! A server's endpoint, clients, and the path between them, which harms datagrams as it is told, from a seed.
use crate::quic::{Endpoint, Event, Kind, Limits, Setup, clock::Clock};
use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, ConnectionHandle, DatagramEvent, Dir, EndpointConfig, ReadError, StreamEvent, StreamId,
    TransportConfig, VarInt, WriteError, crypto::rustls::QuicClientConfig,
};
use rustls::{RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer, version::TLS13};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) const NAME: &str = "chiron.test";
pub(super) const START: f64 = 5000.0;

/// A self-signed leaf, which clients trust as it is.
pub(super) struct Identity {
    pub(super) chain: String,
    pub(super) key: String,
    pub(super) certificate: CertificateDer<'static>,
}

pub(super) fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    Identity { chain: made.cert.pem(), key: made.signing_key.serialize_pem(), certificate: made.cert.der().clone() }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        ((self.roll() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.roll() as u8).collect()
    }
}

/// What the path does: shares of datagrams, and seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Harm {
    pub(super) loss: f64,
    pub(super) repetition: f64,
    pub(super) corruption: f64,
    pub(super) delay: f64,
    /// Added to each datagram's delay, at random: later ones overtake.
    pub(super) jitter: f64,
}

pub(super) const NO_HARM: Harm = Harm { loss: 0.0, repetition: 0.0, corruption: 0.0, delay: 0.005, jitter: 0.0 };

/// A client's application: what it is to send, and what it got.
#[derive(Default)]
pub(super) struct Talk {
    pub(super) connected: bool,
    pub(super) lost: Option<String>,
    pub(super) got: HashMap<StreamId, Vec<u8>>,
    pub(super) ended: Vec<StreamId>,
    pub(super) resets: Vec<(StreamId, u64)>,
    pub(super) stops: Vec<(StreamId, u64)>,
    pub(super) datagrams: Vec<Bytes>,
    rest: BTreeMap<StreamId, (Bytes, bool)>,
}

pub(super) struct Client {
    pub(super) endpoint: quinn_proto::Endpoint,
    pub(super) handle: ConnectionHandle,
    pub(super) quic: quinn_proto::Connection,
    pub(super) address: SocketAddr,
    pub(super) talk: Talk,
    /// Streams are left unread.
    pub(super) deaf: bool,
}

impl Client {
    pub(super) fn open(&mut self, dir: Dir) -> StreamId {
        self.quic.streams().open(dir).unwrap()
    }

    pub(super) fn send(&mut self, id: StreamId, data: impl Into<Bytes>, end: bool) {
        let (rest, ended) = self.talk.rest.entry(id).or_default();
        *rest = [&rest[..], &data.into()].concat().into();
        *ended |= end;
    }

    pub(super) fn close(&mut self, now: Instant, code: u32) {
        self.quic.close(now, code.into(), Bytes::from_static(b"bye"));
    }

    fn write(&mut self) {
        let Talk { rest, .. } = &mut self.talk;
        rest.retain(|&id, (data, end)| {
            let mut stream = self.quic.send_stream(id);
            while !data.is_empty() {
                match stream.write(data) {
                    Ok(count) => drop(data.split_to(count)),
                    Err(WriteError::Blocked) => return true,
                    Err(_) => return false,
                }
            }
            if *end {
                stream.finish().unwrap();
            }
            false
        });
    }

    fn read(&mut self, id: StreamId) {
        let mut stream = self.quic.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => self.talk.got.entry(id).or_default().extend_from_slice(&chunk.bytes),
                Ok(None) => {
                    self.talk.ended.push(id);
                    break;
                }
                Err(ReadError::Blocked) => break,
                Err(ReadError::Reset(code)) => {
                    self.talk.resets.push((id, code.into()));
                    break;
                }
            }
        }
    }

    fn poll(&mut self) {
        while let Some(event) = self.quic.poll() {
            match event {
                quinn_proto::Event::Connected => self.talk.connected = true,
                quinn_proto::Event::ConnectionLost { reason } => self.talk.lost = Some(reason.to_string()),
                quinn_proto::Event::DatagramReceived => {
                    while let Some(data) = self.quic.datagrams().recv() {
                        self.talk.datagrams.push(data);
                    }
                }
                quinn_proto::Event::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.quic.streams().accept(dir) {
                        if !self.deaf {
                            self.read(id);
                        }
                    }
                }
                quinn_proto::Event::Stream(StreamEvent::Readable { id }) if !self.deaf => self.read(id),
                quinn_proto::Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.talk.stops.push((id, error_code.into()));
                }
                _ => {}
            }
        }
        self.write();
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(answer);
            }
        }
    }
}

/// What the server does with an event.
pub(super) type Handle = Box<dyn FnMut(&mut Endpoint, &Event)>;

pub(super) struct World {
    pub(super) server: Endpoint,
    pub(super) clients: Vec<Client>,
    pub(super) now: f64,
    pub(super) events: Vec<Event>,
    pub(super) handle: Handle,
    pub(super) harm: Harm,
    pub(super) dice: Dice,
    /// Everything that came off the path: sender and bytes.
    pub(super) passed: Vec<(SocketAddr, Vec<u8>)>,
    clock: Clock,
    /// By time of arrival and order: receiver, sender, bytes.
    path: BTreeMap<(u64, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
}

pub(super) fn server_address() -> SocketAddr {
    "[2001:db8::1]:443".parse().unwrap()
}

pub(super) fn server(identity: &Identity, secret: u8, limits: Limits) -> Endpoint {
    Endpoint::new(&Setup {
        plain: (identity.chain.as_bytes(), identity.key.as_bytes()),
        named: None,
        secret: &[secret; 32],
        seed: [secret; 32],
        ticket_keys: &[vec![secret; 32]],
        worker: 3,
        limits,
        now: START,
        wall: Duration::from_secs(1_800_000_000),
    })
    .unwrap()
}

pub(super) fn client_config(identities: &[&Identity], alpn: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for identity in identities {
        roots.add(identity.certificate.clone()).unwrap();
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.enable_early_data = true;
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.transport_config(Arc::new(TransportConfig::default()));
    config
}

impl World {
    pub(super) fn new(server: Endpoint, seed: u64) -> Self {
        Self {
            server,
            clients: Vec::new(),
            now: START,
            events: Vec::new(),
            handle: Box::new(|_, _| {}),
            harm: NO_HARM,
            dice: Dice(seed),
            passed: Vec::new(),
            clock: Clock::new(START, Duration::ZERO),
            path: BTreeMap::new(),
            sent: 0,
        }
    }

    pub(super) fn instant(&self) -> Instant {
        self.clock.advance(self.now)
    }

    /// A client that begins a handshake.
    pub(super) fn join(&mut self, config: ClientConfig) -> usize {
        self.join_as(config, NAME)
    }

    pub(super) fn join_as(&mut self, config: ClientConfig, name: &str) -> usize {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.dice.roll().to_le_bytes());
        let key = ::aws_lc_rs::hmac::Key::new(::aws_lc_rs::hmac::HMAC_SHA256, &seed);
        let mut endpoint_config = EndpointConfig::new(Arc::new(key));
        endpoint_config.rng_seed(Some(seed));
        let mut endpoint = quinn_proto::Endpoint::new(Arc::new(endpoint_config), None, true, None);
        let now = self.instant();
        let (handle, quic) = endpoint.connect(now, config, server_address(), name).unwrap();
        let address = SocketAddr::new("2001:db8::2".parse().unwrap(), 50_000 + self.clients.len() as u16);
        self.clients.push(Client { endpoint, handle, quic, address, talk: Talk::default(), deaf: false });
        self.clients.len() - 1
    }

    /// A client whose handshake is complete on both sides.
    pub(super) fn connect(&mut self, config: ClientConfig) -> usize {
        let index = self.join(config);
        let before = self.server.stats().handshakes;
        assert!(
            self.run(10.0, |world| world.clients[index].talk.connected && world.server.stats().handshakes > before),
            "{:?}",
            self.clients[index].talk.lost
        );
        index
    }

    fn put(&mut self, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let copies = 1 + usize::from(self.dice.chance(self.harm.repetition));
        for _ in 0..copies {
            if self.dice.chance(self.harm.loss) {
                continue;
            }
            let mut bytes = bytes.to_vec();
            if self.dice.chance(self.harm.corruption) && !bytes.is_empty() {
                let place = self.dice.below(bytes.len());
                bytes[place] ^= 1 << self.dice.below(8);
            }
            let jitter = self.harm.jitter * (self.dice.roll() as f64 / u64::MAX as f64);
            let arrival = ((self.now + self.harm.delay + jitter) * 1e9) as u64;
            self.sent += 1;
            self.path.insert((arrival, self.sent), (to, from, bytes));
        }
    }

    /// Everybody handles what came, and sends.
    pub(super) fn turn(&mut self) {
        let now = self.instant();
        self.server.advance(self.now);
        loop {
            let events = self.server.poll();
            if events.is_empty() {
                break;
            }
            for event in events {
                (self.handle)(&mut self.server, &event);
                self.events.push(event);
            }
        }
        let mut sent = Vec::new();
        let whole = self.server.transmit(10, &mut |transmit, bytes| {
            let size = transmit.segment_size.unwrap_or(bytes.len()).max(1);
            sent.extend(bytes.chunks(size).map(|datagram| (transmit.destination, datagram.to_vec())));
            Ok(true)
        });
        assert!(whole.unwrap());
        for (to, bytes) in sent {
            self.put(to, server_address(), &bytes);
        }
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            client.poll();
            let mut sent = Vec::new();
            let mut buffer = Vec::new();
            while let Some(transmit) = client.quic.poll_transmit(now, 1, &mut buffer) {
                sent.push(std::mem::take(&mut buffer)[..transmit.size].to_vec());
            }
            client.poll();
            let address = client.address;
            for bytes in sent {
                self.put(server_address(), address, &bytes);
            }
        }
    }

    /// Time goes on to whatever happens next.
    fn step(&mut self, deadline: f64) {
        let mut next = self.server.next_timeout().unwrap_or(f64::INFINITY);
        if let Some(((arrival, _), _)) = self.path.first_key_value() {
            next = next.min(*arrival as f64 / 1e9);
        }
        for client in &mut self.clients {
            if let Some(at) = client.quic.poll_timeout() {
                next = next.min(self.clock.seconds(at) + 1e-6);
            }
        }
        self.now = next.max(self.now + 1e-6).min(deadline);
        let now = self.instant();
        self.server.advance(self.now);
        while let Some(entry) = self.path.first_entry() {
            if entry.key().0 as f64 / 1e9 > self.now {
                break;
            }
            let (to, from, bytes) = entry.remove();
            self.deliver(to, from, &bytes);
            self.passed.push((from, bytes));
        }
        self.server.handle_timeouts();
        for client in &mut self.clients {
            client.quic.handle_timeout(now);
        }
    }

    pub(super) fn deliver(&mut self, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        if to == server_address() {
            self.server.receive(from, None, None, BytesMut::from(bytes));
            return;
        }
        let now = self.instant();
        let Some(client) = self.clients.iter_mut().find(|client| client.address == to) else { return };
        let mut buffer = Vec::new();
        let event = client.endpoint.handle(now, from, None, None, BytesMut::from(bytes), &mut buffer);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            client.quic.handle_event(event);
        }
    }

    /// Runs until `done`, or for so many seconds; whether it is done.
    pub(super) fn run(&mut self, seconds: f64, mut done: impl FnMut(&Self) -> bool) -> bool {
        let deadline = self.now + seconds;
        loop {
            self.turn();
            if done(self) {
                return true;
            }
            if self.now >= deadline {
                return false;
            }
            self.step(deadline);
        }
    }

    pub(super) fn rest(&mut self, seconds: f64) {
        self.run(seconds, |_| false);
    }

    pub(super) fn of(&self, kind: Kind) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind == kind).collect()
    }

    /// All bytes of a stream that the server was given.
    pub(super) fn stream(&self, connection: u64, stream: u64) -> Vec<u8> {
        let of =
            |event: &&Event| event.kind == Kind::Stream && (event.connection, event.stream) == (connection, stream);
        self.events.iter().filter(of).flat_map(|event| event.data.to_vec()).collect()
    }
}

/// Sends back what comes on bidirectional streams, and reads no more while too much of it waits.
pub(super) fn echo() -> Handle {
    Box::new(|server, event| match event.kind {
        Kind::Stream if event.stream & 2 == 0 => {
            let (connection, stream) = (event.connection, event.stream);
            if !server.send(connection, stream, event.data.clone(), event.number == 1) {
                server.pause(connection, stream);
            }
        }
        Kind::Writable => server.resume(event.connection, event.stream),
        _ => {}
    })
}

pub(super) fn id(stream: u64) -> StreamId {
    StreamId::from(VarInt::from_u64(stream).unwrap())
}
