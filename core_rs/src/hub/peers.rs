//! All peers, and which of them `flush` has to visit: every change of a peer passes through here, so that the sum of
//! what waits and the queue of those that have something to send are always right.
use super::{
    Settings,
    lanes::{Encoded, Key, Queued},
    peer::Peer,
    table::Table,
};
use crate::wire::Frame;
use std::collections::VecDeque;

pub(super) struct Peers {
    table: Table<Peer>,
    pub(super) settings: Settings,
    /// Ids whose peer is `scheduled`, and ids of peers that are gone.
    queue: VecDeque<u64>,
    /// Peers that are scheduled and not paused.
    ready: usize,
    /// Bytes in all lanes.
    queued: Queued,
    /// Frames of links that have left.
    frames: u64,
    dropped_events: u64,
    overflown: Vec<u64>,
}

impl Peers {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            table: Table::default(),
            settings,
            queue: VecDeque::new(),
            ready: 0,
            queued: Queued::default(),
            frames: 0,
            dropped_events: 0,
            overflown: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, peer: Peer) -> Option<u64> {
        self.table.insert(peer)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Peer> {
        self.table.get(id)
    }

    pub(super) fn queued(&self) -> Queued {
        self.queued
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    pub(super) fn dropped_events(&self) -> u64 {
        self.dropped_events
    }

    /// Changes a peer, then counts and schedules what the change left to send.
    pub(super) fn change<R>(&mut self, id: u64, change: impl FnOnce(&mut Peer, &Settings) -> R) -> Option<R> {
        let peer = self.table.get_mut(id)?;
        let (before, left) = (peer.lanes.by_lane(), peer.lanes.left());
        let result = change(peer, &self.settings);
        self.queued.replace(before, peer.lanes.by_lane());
        if peer.link.is_some() {
            self.frames += peer.lanes.left() - left;
        }
        if !peer.scheduled && peer.has_output() {
            peer.scheduled = true;
            self.queue.push_back(id);
            if !peer.paused {
                self.ready += 1;
            }
        }
        Some(result)
    }

    pub(super) fn set_paused(&mut self, id: u64, paused: bool) -> bool {
        let Some(peer) = self.table.get_mut(id) else { return false };
        if peer.scheduled && peer.paused != paused {
            if paused {
                self.ready -= 1;
            } else {
                self.ready += 1;
            }
        }
        peer.paused = paused;
        // Flush forgets those that it finds paused.
        self.change(id, |_, _| ()).is_some()
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Box<Peer>> {
        let peer = self.table.remove(id)?;
        self.queued.replace(peer.lanes.by_lane(), Queued::default());
        if peer.scheduled && !peer.paused {
            self.ready -= 1;
        }
        if self.table.len() == 0 {
            self.queue = VecDeque::new();
        }
        Some(peer)
    }

    /// Whether `flush` has something to do.
    pub(super) fn is_dirty(&self) -> bool {
        self.ready > 0
    }

    /// Peers that `flush` would visit now.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// How many entries of the queue one flush may look at, so that it visits no peer twice.
    pub(super) fn scheduled(&self) -> usize {
        self.queue.len()
    }

    /// The next peer that is scheduled and not paused, among the first `looks` entries of the queue.
    pub(super) fn next_ready(&mut self, looks: &mut usize) -> Option<u64> {
        while *looks > 0 && self.ready > 0 {
            *looks -= 1;
            let id = self.queue.pop_front()?;
            let Some(peer) = self.table.get_mut(id) else { continue };
            peer.scheduled = false;
            if !peer.paused {
                self.ready -= 1;
                return Some(id);
            }
        }
        None
    }

    // --------------------------------------------------------------------------------------------------------- lanes

    /// Queues a frame on a link's control lane, and notes a lane that grew over its bound.
    ///
    /// That frame is still queued, and as much again: the close frame has to find room. Then nothing is.
    pub(super) fn push_control(&mut self, id: u64, frame: &Frame) -> bool {
        let outcome = self.change(id, |peer, settings| {
            let framing = peer.framing();
            let open = peer.is_open();
            let link = peer.link.as_mut().filter(|_| open)?;
            if peer.lanes.control_bytes() > settings.control_bytes.saturating_mul(2) {
                return None;
            }
            let fits = peer.lanes.push_control(frame.encoded(framing), settings.control_bytes);
            Some(!fits && !std::mem::replace(&mut link.overflown, !fits))
        });
        match outcome.flatten() {
            None => false,
            Some(overflown) => {
                if overflown {
                    self.overflown.push(id);
                }
                true
            }
        }
    }

    /// Queues an event on a link's ephemeral lane.
    pub(super) fn push_event(&mut self, id: u64, key: &Key, frame: &Frame) -> bool {
        let dropped = self.change(id, |peer, settings| {
            let number = frame.number().unwrap_or(0);
            (peer.link.is_some() && peer.is_open()).then(|| {
                peer.lanes.push_ephemeral(number, key, frame.encoded(peer.framing()), settings.ephemeral_bytes)
            })
        });
        let Some(dropped) = dropped.flatten() else { return false };
        self.dropped_events += dropped as u64;
        true
    }

    /// Queues a delivery of a channel on a link's durable lane.
    pub(super) fn push_delivery(&mut self, id: u64, number: u64, frame: Encoded) -> Pushed {
        let pushed = self.change(id, |peer, settings| {
            if !peer.is_open() {
                Pushed::Closed
            } else if peer.lanes.push_durable(number, frame, settings.durable_bytes) {
                Pushed::Queued
            } else {
                Pushed::Full
            }
        });
        pushed.unwrap_or(Pushed::Closed)
    }

    pub(super) fn take_overflown(&mut self) -> Vec<u64> {
        let mut overflown = std::mem::take(&mut self.overflown);
        overflown.retain(|&id| self.table.get(id).is_some());
        overflown
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    /// The durable lane has no room.
    Full,
    /// The link takes nothing any more.
    Closed,
}
