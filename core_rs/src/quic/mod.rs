//! QUIC (RFC 9000, 9001, 9002, 9221) for a server's UDP socket: quinn-proto behind a seam of our own.
//!
//! An [`Endpoint`] takes datagrams and the time and gives [`Event`]s and datagrams. It makes no system calls; [`udp`]
//! alone does, for sockets that somebody else bound.
mod clock;
mod connection;
mod endpoint;
mod hello;
mod ids;
mod negotiation;
mod outgoing;
mod setup;
mod tls;
mod tokens;
pub mod udp;

#[cfg(test)]
mod tests;

pub use endpoint::{Endpoint, Stats};
pub use outgoing::{HIGH_WATER, LOW_WATER};
pub use setup::Setup;
pub use tls::Pem;

use bytes::Bytes;

/// What an event says. Numbers as in `chiron.protocols.quic.endpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Streams may be used; `data` is the server name that the client asked for.
    Opened = 0,
    /// The handshake is complete; `number` is 1 when the session was resumed.
    Connected = 1,
    /// `data` of a stream, in order; `number` is 1 when it is the last.
    Stream = 2,
    /// The peer gave up sending, with code `number`.
    Reset = 3,
    /// The peer wants no more, with code `number`.
    Stopped = 4,
    /// What waits for a stream sank below [`LOW_WATER`], after it had been above [`HIGH_WATER`].
    Writable = 5,
    Datagram = 6,
    /// The peer has another address.
    Moved = 7,
    /// The end: code `number`, reason `data`, `stream` an [`Ending`].
    Closed = 8,
}

/// Who ended a connection, and how. Numbers as in `chiron.protocols.quic.endpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Application = 0,
    Transport = 1,
    Timeout = 2,
    Local = 3,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub connection: u64,
    pub kind: Kind,
    pub stream: u64,
    pub data: Bytes,
    pub number: u64,
}

/// What one connection, and one endpoint, may take. Names as in `chiron.protocols.quic.limits`.
#[derive(Clone, Debug)]
pub struct Limits {
    pub idle_seconds: f64,
    pub handshake_seconds: f64,
    /// Those in their handshake included.
    pub max_connections: usize,
    /// From so many handshakes of unvalidated addresses on, new ones are answered with Retry (RFC 9000 §8.1.2).
    pub retry_handshakes: usize,
    /// Streams of each kind that a peer may have open at first.
    pub streams_bidi: u32,
    pub streams_uni: u32,
    /// Up to which the number of one kind rises, doubled whenever half of it is open.
    pub max_streams: u32,
    /// Bytes that a peer may send on one stream before any was read.
    pub stream_window: u32,
    pub connection_window: u32,
    /// Up to which a connection's window rises, doubled when half of it is read within two round trips.
    pub max_connection_window: u32,
    /// Bytes of DATAGRAM frames that wait, each way, before old ones are dropped.
    pub datagram_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle_seconds: 30.0,
            handshake_seconds: 10.0,
            max_connections: 10_000,
            retry_handshakes: 256,
            streams_bidi: 16,
            streams_uni: 16,
            max_streams: 256,
            stream_window: 262_144,
            connection_window: 1_048_576,
            max_connection_window: 16_777_216,
            datagram_queue: 65_536,
        }
    }
}
