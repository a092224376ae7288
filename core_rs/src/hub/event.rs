//! What a peer's bytes meant.
use crate::{tls, websocket, wire};

/// Which protocol a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Tls,
    WebSocket,
    Wire,
}

impl Layer {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::WebSocket => "websocket",
            Self::Wire => "wire",
        }
    }
}

/// A broken rule: what ends a connection, and what its peer may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub layer: Layer,
    /// The WebSocket close code (RFC 6455 §7.4.1); for TLS, the alert (RFC 8446 §6.2).
    pub code: u16,
    pub reason: String,
}

impl Breach {
    pub(super) fn wire(code: u16, reason: &str) -> Self {
        Self { layer: Layer::Wire, code, reason: reason.to_owned() }
    }
}

impl From<websocket::Violation> for Breach {
    fn from(violation: websocket::Violation) -> Self {
        Self { layer: Layer::WebSocket, code: violation.code, reason: violation.reason.to_owned() }
    }
}

impl From<wire::Violation> for Breach {
    fn from(violation: wire::Violation) -> Self {
        Self { layer: Layer::Wire, code: violation.code, reason: violation.reason }
    }
}

impl From<tls::Failure> for Breach {
    fn from(failure: tls::Failure) -> Self {
        Self { layer: Layer::Tls, code: failure.alert, reason: failure.reason }
    }
}

/// One event of [`Hub::feed`](super::Hub::feed) and its like, in the order of the bytes.
#[derive(Clone, Debug)]
pub enum Event {
    /// Plaintext of a connection that was not upgraded.
    Data(Vec<u8>),
    /// The TLS handshake is complete.
    Secured { protocol: Option<String>, server_name: Option<String>, resumed: bool },
    /// The peer will send nothing more. Clean: close_notify or, without TLS, FIN.
    Ended { clean: bool },
    /// A whole WebSocket message of a connection in mode `message`.
    Message { data: Vec<u8>, text: bool },
    /// The peer's close frame; the answer is queued.
    PeerClosed { code: u16, reason: String },
    /// What the peer may be told is queued; nothing more is read.
    Broken(Breach),
    /// A frame of a link. Its `retry_after_ms` is above 0 when the limit of the bound person refuses it.
    Frame(wire::ClientFrame),
}
