//! The other end, without I/O: a client of HTTP, WebSocket and, if wanted, TLS, or one whose link is on a stream.
use crate::tls::Settings;
use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};
use serde_json::Value;
use std::{
    io::{Read, Write},
    sync::{Arc, OnceLock},
};

/// One certificate for all tests: the server's settings, and a client that trusts them.
pub(super) fn certified() -> &'static (Settings, Arc<ClientConfig>) {
    static CERTIFIED: OnceLock<(Settings, Arc<ClientConfig>)> = OnceLock::new();
    CERTIFIED.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let key = made.signing_key.serialize_pem();
        let settings = Settings::new(made.cert.pem().as_bytes(), key.as_bytes(), &[vec![7; 32]]).expect("it is usable");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("it is readable");
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        (settings, Arc::new(config))
    })
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Received {
    Frame(Value),
    Pong(Vec<u8>),
    Close(u16),
}

pub(super) struct Client {
    tls: Option<Box<ClientConnection>>,
    /// Its bytes are records.
    pub(super) streamed: bool,
    /// Plaintext that is not read yet.
    inbox: Vec<u8>,
    /// The head of the HTTP response was read.
    upgraded: bool,
    pub(super) received: Vec<Received>,
    /// close_notify came.
    pub(super) notified: bool,
}

impl Client {
    pub(super) fn new(secure: bool) -> Self {
        let tls = secure.then(|| {
            let name = ServerName::try_from("localhost").expect("a name");
            Box::new(ClientConnection::new(certified().1.clone(), name).expect("the configuration is usable"))
        });
        Self { tls, streamed: false, inbox: Vec::new(), upgraded: false, received: Vec::new(), notified: false }
    }

    pub(super) fn streamed() -> Self {
        Self { streamed: true, ..Self::upgraded() }
    }

    /// A plain client behind the response that upgraded it.
    pub(super) fn upgraded() -> Self {
        Self { upgraded: true, ..Self::new(false) }
    }

    /// A message in the framing of the link.
    pub(super) fn message(&self, text: &str) -> Vec<u8> {
        if self.streamed { record(text) } else { masked(1, text.as_bytes()) }
    }

    /// Bytes that say `plaintext`, behind what the handshake has to say. Before it is complete, rustls keeps plaintext.
    pub(super) fn say(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let Some(tls) = &mut self.tls else { return plaintext.to_vec() };
        tls.writer().write_all(plaintext).expect("a small write");
        self.pending()
    }

    pub(super) fn pending(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut out).expect("a Vec takes every write");
            }
        }
        out
    }

    pub(super) fn close_notify(&mut self) -> Vec<u8> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.pending()
    }

    /// The server's bytes arrive; what the TLS of the client answers.
    pub(super) fn hear(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        match &mut self.tls {
            None => self.inbox.extend_from_slice(bytes),
            Some(tls) => {
                while !bytes.is_empty() {
                    assert!(!self.notified, "bytes behind close_notify");
                    tls.read_tls(&mut bytes).expect("there is room");
                    let state = tls.process_new_packets().expect("the server speaks TLS");
                    let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
                    tls.reader().read_exact(&mut plaintext).expect("that many are there");
                    self.inbox.extend(plaintext);
                    self.notified = state.peer_has_closed();
                }
            }
        }
        self.read();
        self.pending()
    }

    fn read(&mut self) {
        if !self.upgraded {
            let Some(end) = self.inbox.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            assert!(self.inbox.starts_with(b"HTTP/1.1 101 "));
            self.inbox.drain(..end + 4);
            self.upgraded = true;
        }
        let next = if self.streamed { server_record } else { server_frame };
        while let Some((opcode, payload, size)) = next(&self.inbox) {
            assert!(!self.is_closed(), "a frame behind the close frame");
            self.received.push(match opcode {
                1 => Received::Frame(serde_json::from_slice(&payload).expect("frames are JSON")),
                8 if payload.is_empty() => Received::Close(1005),
                8 => Received::Close(u16::from_be_bytes([payload[0], payload[1]])),
                10 => Received::Pong(payload),
                _ => panic!("opcode {opcode}"),
            });
            self.inbox.drain(..size);
        }
    }

    /// Whether nothing waits for the rest of its frame or record.
    pub(super) fn is_read_up(&self) -> bool {
        self.inbox.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.received.last(), Some(Received::Close(_)))
    }

    /// Frames of the server with this `op`.
    pub(super) fn frames(&self, op: &str) -> Vec<&Value> {
        let frames = self.received.iter().filter_map(|received| match received {
            Received::Frame(frame) => Some(frame),
            _ => None,
        });
        frames.filter(|frame| frame["op"] == op).collect()
    }

    /// Offsets of the deliveries of one channel, in the order of arrival.
    pub(super) fn offsets(&self, number: u64) -> Vec<u64> {
        let deliveries = self.frames("delivery").into_iter().filter(|frame| frame["number"] == number);
        deliveries.filter_map(|frame| frame["offset"].as_u64()).collect()
    }
}

/// The first frame of the server: opcode, payload, size of it all (RFC 6455 §5.2).
fn server_frame(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(first & 0xF0, 0x80, "frames of the server are final and without extensions");
    assert_eq!(second & 0x80, 0, "frames of the server have no mask");
    let (length, header) = match second & 0x7F {
        126 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(rest.get(..8)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let payload = bytes.get(header..header + length)?.to_vec();
    Some((first & 0x0F, payload, header + length))
}

/// The first record of the server, as a text frame: opcode, payload, size of it all.
fn server_record(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let header = 1 << (bytes.first()? >> 6);
    let octets = bytes.get(..header)?.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let length = octets & !(0b11 << (8 * header - 2));
    Some((1, bytes.get(header..header + length)?.to_vec(), header + length))
}

/// A record of a client.
pub(super) fn record(message: &str) -> Vec<u8> {
    [&(message.len() as u16 | 0x4000).to_be_bytes()[..], message.as_bytes()].concat()
}

/// A masked frame of a client.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}
