//! No datagram makes the QUIC endpoint panic, and none of a stranger is answered with more than three times as much.
//!
//! Every run begins with the handshake of a real client. The input then says what comes: noise, datagrams of that client
//! changed, cut and repeated, from its own address or a stranger's; what the client and the server's application do in
//! between; and how much time passes.
#![no_main]
use bytes::{Bytes, BytesMut};
use chiron_core::quic::{Endpoint, Limits, Setup};
use libfuzzer_sys::fuzz_target;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, EndpointConfig, crypto::rustls::QuicClientConfig,
};
use rustls::{RootCertStore, crypto::aws_lc_rs, version::TLS13};
use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

const NAME: &str = "chiron.test";

struct Identity {
    chain: String,
    key: String,
    client: ClientConfig,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    Identity { chain: made.cert.pem(), key: made.signing_key.serialize_pem(), client }
});

struct World {
    server: Endpoint,
    endpoint: quinn_proto::Endpoint,
    handle: ConnectionHandle,
    client: Connection,
    base: Instant,
    now: f64,
    /// What the client sent so far.
    sent: Vec<Vec<u8>>,
    /// Bytes that a stranger sent, and was sent.
    given: usize,
    taken: usize,
}

fn home() -> SocketAddr {
    "[2001:db8::2]:50000".parse().unwrap()
}

fn stranger() -> SocketAddr {
    "[2001:db8::66]:6666".parse().unwrap()
}

impl World {
    fn new(retry: bool) -> Self {
        let server = Endpoint::new(&Setup {
            plain: (IDENTITY.chain.as_bytes(), IDENTITY.key.as_bytes()),
            named: None,
            secret: &[1; 32],
            seed: [2; 32],
            ticket_keys: &[vec![3; 32]],
            worker: 0,
            limits: Limits { retry_handshakes: if retry { 0 } else { 100 }, ..Limits::default() },
            now: 0.0,
            wall: Duration::from_secs(1_800_000_000),
        })
        .unwrap();
        let key = ::aws_lc_rs::hmac::Key::new(::aws_lc_rs::hmac::HMAC_SHA256, &[4; 32]);
        let mut config = EndpointConfig::new(Arc::new(key));
        config.rng_seed(Some([4; 32]));
        let mut endpoint = quinn_proto::Endpoint::new(Arc::new(config), None, true, None);
        let base = Instant::now();
        let to = "[2001:db8::1]:443".parse().unwrap();
        let (handle, client) = endpoint.connect(base, IDENTITY.client.clone(), to, NAME).unwrap();
        Self { server, endpoint, handle, client, base, now: 0.0, sent: Vec::new(), given: 0, taken: 0 }
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_secs_f64(self.now)
    }

    /// Everybody handles what came, and the path carries what is sent.
    fn turn(&mut self) {
        let now = self.instant();
        self.server.advance(self.now);
        while !self.server.poll().is_empty() {}
        let mut answers = Vec::new();
        self.server
            .transmit(8, &mut |transmit, bytes| {
                let size = transmit.segment_size.unwrap_or(bytes.len()).max(1);
                answers.extend(bytes.chunks(size).map(|datagram| (transmit.destination, BytesMut::from(datagram))));
                Ok(true)
            })
            .unwrap();
        let mut buffer = Vec::new();
        for (to, bytes) in answers {
            if to != home() {
                self.taken += bytes.len();
                continue;
            }
            let from = "[2001:db8::1]:443".parse().unwrap();
            let event = self.endpoint.handle(now, from, None, None, bytes, &mut buffer);
            if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
                self.client.handle_event(event);
            }
        }
        while self.client.poll().is_some() {}
        while let Some(event) = self.client.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                self.client.handle_event(answer);
            }
        }
        buffer.clear();
        while self.client.poll_transmit(now, 1, &mut buffer).is_some() {
            let datagram = std::mem::take(&mut buffer);
            self.server.receive(home(), None, None, BytesMut::from(&datagram[..]));
            self.sent.push(datagram);
        }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += seconds;
        let now = self.instant();
        self.server.advance(self.now);
        if self.server.next_timeout().is_some_and(|at| at <= self.now) {
            self.server.handle_timeouts();
        }
        self.client.handle_timeout(now);
    }

    fn receive(&mut self, at_home: bool, datagram: &[u8]) {
        let from = if at_home { home() } else { stranger() };
        if !at_home {
            self.given += datagram.len();
        }
        self.server.receive(from, None, None, BytesMut::from(datagram));
    }
}

/// Takes numbers from the input; zeros at its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % end.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let mut world = World::new(input.byte() & 1 == 1);
    for _ in 0..4 {
        world.turn();
        world.pass(0.01);
    }
    while !input.0.is_empty() {
        let step = input.byte();
        let at_home = step & 0x80 == 0;
        match step & 0x0F {
            0 => {
                let length = input.below(1500);
                let noise = input.bytes(length);
                world.receive(at_home, &noise);
            }
            1..=6 => {
                let mut datagram = world.sent[input.below(world.sent.len())].clone();
                for _ in 0..step >> 4 & 3 {
                    let place = input.below(datagram.len());
                    match (step & 0x0F, datagram.is_empty()) {
                        (_, true) => {}
                        (1 | 2, _) => datagram[place] ^= input.byte(),
                        (3, _) => datagram.truncate(place),
                        (4, _) => datagram.extend_from_slice(&world.sent[place % world.sent.len()]),
                        _ => {
                            let noise = input.bytes(place % 64);
                            datagram.splice(place..place, noise);
                        }
                    }
                }
                world.receive(at_home, &datagram);
            }
            7 => world.pass(f64::from(input.byte()) / 100.0),
            8 => {
                if let Some(stream) = world.client.streams().open(if at_home { Dir::Bi } else { Dir::Uni }) {
                    let length = input.below(3000);
                    let _ = world.client.send_stream(stream).write(&vec![7; length]);
                    let _ = world.client.send_stream(stream).finish();
                }
            }
            9 => drop(world.server.open_stream(1, at_home)),
            10 => drop(world.server.send(1, input.below(40) as u64, Bytes::from(vec![1; input.below(9999)]), at_home)),
            11 => world.server.reset(1, input.below(40) as u64, 1),
            12 => world.server.stop(1, input.below(40) as u64, 1),
            13 => world.server.pause(1, input.below(40) as u64),
            14 => world.server.resume(1, input.below(40) as u64),
            _ => drop(world.server.send_datagram(1, Bytes::from(vec![2; input.below(1500)]))),
        }
        if step & 0x40 != 0 {
            world.turn();
        }
    }
    world.turn();
    world.pass(40.0);
    world.turn();
    assert!(world.taken <= 3 * world.given + 3 * 1200 * world.sent.len());
});
