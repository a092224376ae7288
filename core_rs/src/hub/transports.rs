//! The edge's half of the hub: connections, from their first byte to the last.
use super::{
    Hub,
    lanes::Encoded,
    link::{Link, MAX_CONNECT},
    peer::{Carrier, Mode, Peer, Reading},
    records,
};
use crate::{
    tls::{self, TlsError},
    websocket::{Parser, opcode, write_frame},
};

/// What the bytes of a connection are behind its HTTP upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// WebSocket messages.
    Message,
    /// WebSocket messages that are wire frames.
    Link,
}

/// Bytes that leave on one connection or stream: those of `out` from the end of the departure before to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    pub connection: u64,
    pub end: usize,
    /// Nothing follows: half-close behind them.
    pub last: bool,
}

/// An event that leaves beside the stream of its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub link: u64,
    record: Encoded,
}

impl Datagram {
    /// The frame, without the length that records have on a stream.
    pub fn payload(&self) -> &[u8] {
        records::body(&self.record)
    }
}

impl Hub {
    /// A connection whose bytes are HTTP/1.1 until `upgrade`. `None` when no id is left.
    pub fn open(&mut self, tls: Option<&tls::Settings>) -> Result<Option<u64>, TlsError> {
        let session = tls.map(tls::Session::new).transpose()?.map(Box::new);
        let id = self.peers.insert(Peer::transport(session));
        self.connections += usize::from(id.is_some());
        Ok(id)
    }

    /// The transport read `bytes`.
    pub fn feed(&mut self, connection: u64, bytes: &[u8], reading: &mut Reading<'_>) {
        self.change_transport(connection, |peer| peer.receive(bytes, reading));
    }

    /// The transport, or the stream of a link, saw FIN.
    pub fn feed_end(&mut self, id: u64, reading: &mut Reading<'_>) {
        self.peers.change(id, |peer, _| peer.receive_end(reading));
    }

    /// From here on the bytes are WebSocket frames; `trailing` came behind the HTTP request.
    ///
    /// Does nothing when the connection was upgraded or finished before.
    pub fn upgrade(
        &mut self,
        connection: u64,
        upgrade: Upgrade,
        trailing: &[u8],
        max_message: usize,
        reading: &mut Reading<'_>,
    ) {
        let linked = self.change_transport(connection, |peer| {
            let open = peer.is_open();
            let Carrier::Transport { mode: mode @ Mode::Http, .. } = &mut peer.carrier else { return false };
            if !open {
                return false;
            }
            match upgrade {
                Upgrade::Message => *mode = Mode::Message(Parser::new(max_message)),
                Upgrade::Link => {
                    *mode = Mode::Link(Parser::new(max_message.min(MAX_CONNECT)));
                    peer.link = Some(Box::new(Link::new(max_message)));
                }
            }
            peer.plaintext(trailing, reading);
            upgrade == Upgrade::Link
        });
        self.links += usize::from(linked == Some(true));
    }

    /// Queues plaintext of a connection that was not upgraded.
    pub fn send(&mut self, connection: u64, data: &[u8]) -> bool {
        self.queue(connection, |mode| matches!(mode, Mode::Http).then(|| data.into()))
    }

    /// Queues one WebSocket message (mode `message`).
    pub fn send_message(&mut self, connection: u64, data: &[u8], text: bool) -> bool {
        self.queue(connection, |mode| {
            matches!(mode, Mode::Message(_)).then(|| {
                let mut frame = Vec::new();
                write_frame(if text { opcode::TEXT } else { opcode::BINARY }, data, &mut frame);
                frame.into()
            })
        })
    }

    /// Whoever queues here bounds it by what `queued` says: these bytes can be neither dropped nor replaced.
    fn queue(&mut self, connection: u64, encode: impl FnOnce(&Mode) -> Option<Encoded>) -> bool {
        let queued = self.change_transport(connection, |peer| {
            let Carrier::Transport { mode, .. } = &peer.carrier else { return false };
            let Some(frame) = encode(mode).filter(|_| peer.is_open()) else { return false };
            if !frame.is_empty() {
                peer.lanes.push_control(frame, usize::MAX);
            }
            true
        });
        queued == Some(true)
    }

    /// No more is queued: what waits in the control lane leaves, then the close frame of an upgraded connection (unless
    /// one was queued before), then close_notify. `flush` marks the last bytes. The other lanes are dropped.
    pub fn finish(&mut self, id: u64, code: u16, reason: &str) -> bool {
        self.peers.change(id, |peer, _| peer.finish(code, reason)).is_some()
    }

    /// The transport takes no more: nothing leaves until `resume`.
    pub fn pause(&mut self, connection: u64) -> bool {
        self.peers.set_paused(connection, true)
    }

    pub fn resume(&mut self, connection: u64) -> bool {
        self.peers.set_paused(connection, false)
    }

    /// Whether `flush` has something to do for a connection that is not paused.
    pub fn is_dirty(&self) -> bool {
        self.peers.is_dirty()
    }

    /// How many connections the next `flush` will visit, at most.
    pub fn ready(&self) -> usize {
        self.peers.ready()
    }

    /// Appends to `out` what at most `limit` connections and links may send now, in turn, each once.
    ///
    /// One that has more to send stands behind those that wait, so that a busy one cannot keep others from their turn.
    /// A link whose events all leave as datagrams has no departure.
    pub fn flush(
        &mut self,
        limit: usize,
        out: &mut Vec<u8>,
        departures: &mut Vec<Departure>,
        datagrams: &mut Vec<Datagram>,
    ) {
        let Self { peers, plaintext, .. } = self;
        let mut looks = peers.scheduled();
        for _ in 0..limit {
            let Some(connection) = peers.next_ready(&mut looks) else { break };
            let start = out.len();
            let beside = |record| datagrams.push(Datagram { link: connection, record });
            let last =
                peers.change(connection, |peer, settings| peer.emit(out, plaintext, settings.write_bytes, beside));
            let last = last == Some(true);
            if last || out.len() > start {
                departures.push(Departure { connection, end: out.len(), last });
            }
        }
    }

    fn change_transport<R>(&mut self, id: u64, change: impl FnOnce(&mut Peer) -> R) -> Option<R> {
        let change = |peer: &mut Peer| matches!(peer.carrier, Carrier::Transport { .. }).then(|| change(peer));
        self.peers.change(id, |peer, _| change(peer)).flatten()
    }
}
