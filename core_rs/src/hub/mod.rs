//! Connections, links and channels of one worker: bytes in, typed events out; frames in, bytes out.
//!
//! ```text
//!   transport ──feed──► tls ──► WebSocket ──► wire frames ──► events
//!   transport ◄─flush── tls ◄── lanes ◄── frames (acks, pages) and publishes of channels
//! ```
//! What waits to be sent is shared plaintext, so that it can still be replaced, dropped or turned into `lag`; it is
//! encrypted when it leaves. A slow peer costs its lanes' bounds and nobody else anything. Every call with an id that is
//! gone does nothing and says so.
mod attachment;
mod channels;
mod event;
mod lanes;
mod link;
mod peer;
mod peers;
mod records;
mod scoring;
mod table;
#[cfg(test)]
mod tests;
mod transports;

pub use attachment::State;
pub use channels::Gap;
pub use event::{Breach, Event, Layer};
pub use lanes::Queued;
pub use peer::Reading;
pub use scoring::{score_publishes, unscored_bytes};
pub use transports::{Datagram, Departure, Upgrade};

use crate::wire::Frame;
use channels::Channels;
use link::{Link, Stage};
use peer::{Carrier, Mode, Peer};
use peers::Peers;
use std::{collections::HashMap, sync::Arc};

/// Most bytes of one record of a link on a stream (docs/protocol.md).
const MAX_RECORD: usize = 64 * 1024;

/// Bounds, in bytes: of the three lanes of each link, and of what one flush gives for one connection (before TLS).
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub durable_bytes: usize,
    pub ephemeral_bytes: usize,
    pub control_bytes: usize,
    /// At least 1.
    pub write_bytes: usize,
}

/// What there is now; `frames`, `dropped_events` and `lagged` count from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub connections: usize,
    pub links: usize,
    pub attachments: usize,
    pub queued: Queued,
    /// That links were sent.
    pub frames: u64,
    pub dropped_events: u64,
    pub lagged: u64,
}

pub struct Hub {
    peers: Peers,
    channels: Channels,
    /// Bound links by person.
    persons: HashMap<Arc<str>, Vec<u64>>,
    connections: usize,
    links: usize,
    /// Plaintext of one connection on its way to TLS.
    plaintext: Vec<u8>,
}

impl Hub {
    pub fn new(settings: Settings) -> Self {
        Self {
            peers: Peers::new(settings),
            channels: Channels::default(),
            persons: HashMap::new(),
            connections: 0,
            links: 0,
            plaintext: Vec::new(),
        }
    }

    /// A link on a stream: records, each behind its length (RFC 9000 §16), that `feed_link` and `flush` carry. Events of
    /// at most `datagram` bytes leave as datagrams. `None` when no id is left.
    pub fn open_link(&mut self, datagram: usize) -> Option<u64> {
        let id = self.peers.insert(Peer::stream(Link::new(MAX_RECORD), datagram))?;
        self.links += 1;
        Some(id)
    }

    /// Bytes of a link: of its stream, or of its connection where they came otherwise than through a transport.
    pub fn feed_link(&mut self, link: u64, data: &[u8], reading: &mut Reading<'_>) {
        self.peers.change(link, |peer, _| {
            if peer.link.is_some() {
                peer.receive(data, reading);
            }
        });
    }

    /// A datagram that came beside the stream of a link. Before `bind` it is ignored.
    pub fn feed_datagram(&mut self, link: u64, data: &[u8], reading: &mut Reading<'_>) {
        self.peers.change(link, |peer, _| peer.receive_datagram(data, reading));
    }

    /// Events of at most `size` bytes leave as datagrams from now on; with 0, none does.
    pub fn set_datagram(&mut self, link: u64, size: usize) -> bool {
        let set = self.peers.change(link, |peer, _| {
            let Carrier::Stream { datagram, .. } = &mut peer.carrier else { return false };
            *datagram = size;
            true
        });
        set == Some(true)
    }

    /// The link speaks for `person` from now on, for good; reads what arrived behind `connect`.
    ///
    /// Publishes and commands of all links of one person share one limit: `rate` a second, `burst` at once.
    pub fn bind(&mut self, link: u64, person: &str, rate: f64, burst: f64, reading: &mut Reading<'_>) {
        let person: Arc<str> = match self.persons.get_key_value(person) {
            Some((known, _)) => known.clone(),
            None => person.into(),
        };
        let bound = self.peers.change(link, |peer, _| {
            let Some(unbound) = peer.link.as_mut().filter(|link| link.stage != Stage::Bound) else { return false };
            let held = unbound.bind(person.clone(), rate, burst);
            if let Carrier::Transport { mode: Mode::Link(parser), .. } = &mut peer.carrier {
                parser.set_max_message(unbound.max_message());
            }
            peer.plaintext(&held, reading);
            true
        });
        if bound == Some(true) {
            self.persons.entry(person).or_default().push(link);
        }
    }

    /// Queues a frame on a link's control lane; false when the link is gone, finished, or overflown twice over.
    pub fn send_frame(&mut self, link: u64, frame: &Frame) -> bool {
        self.peers.push_control(link, frame)
    }

    /// Links whose control lane grew over its bound since the last call: close them, resumably.
    pub fn take_overflown(&mut self) -> Vec<u64> {
        self.peers.take_overflown()
    }

    /// The carrier is gone: forget everything of it, attachments too.
    pub fn close(&mut self, id: u64) -> bool {
        let Some(peer) = self.peers.remove(id) else { return false };
        if matches!(peer.carrier, Carrier::Transport { .. }) {
            self.connections -= 1;
        }
        let Some(link) = peer.link else { return true };
        self.links -= 1;
        if let Some(person) = link.person() {
            if let Some(links) = self.persons.get_mut(person) {
                links.retain(|&other| other != id);
                if links.is_empty() {
                    self.persons.remove(person);
                }
            }
        }
        self.channels.forget(&mut self.peers, link.places);
        true
    }

    /// Whether a connection or link is not gone.
    pub fn knows(&self, id: u64) -> bool {
        self.peers.get(id).is_some()
    }

    /// Bytes that wait in the lanes of a connection or link; 0 when it is gone.
    pub fn queued(&self, id: u64) -> usize {
        self.peers.get(id).map_or(0, |peer| peer.lanes.queued())
    }

    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.connections,
            links: self.links,
            attachments: self.channels.attachments(),
            queued: self.peers.queued(),
            frames: self.peers.frames(),
            dropped_events: self.peers.dropped_events(),
            lagged: self.channels.lagged(),
        }
    }
}
