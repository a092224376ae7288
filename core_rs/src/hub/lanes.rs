//! What waits to leave for one peer, as shared plaintext: three lanes, each bounded in bytes.
//!
//! Order of leaving: the rest of a frame that was begun, control with the pongs, durable, ephemeral. Within a lane it is
//! the order of arrival. A frame that was begun must be completed, whatever happens to its lane: half of it is on the
//! wire.
use super::records;
use std::{collections::VecDeque, sync::Arc};

/// One frame with its framing, shared by all who are sent it.
pub(super) type Encoded = Arc<[u8]>;

/// Pongs that wait; of more, the oldest are dropped, since only the newest ping needs an answer (RFC 6455 §5.5.3).
const MAX_PONGS: usize = 32;

/// A lane that is empty again keeps at most this much room.
const KEPT_CAPACITY: usize = 16;

/// Frames in order, and how many bytes they are. Owns no heap memory while nothing has waited in it.
struct Lane<T> {
    frames: VecDeque<T>,
    bytes: usize,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { frames: VecDeque::new(), bytes: 0 }
    }
}

trait Length {
    fn length(&self) -> usize;
}

impl<T: Length> Lane<T> {
    fn push(&mut self, frame: T) {
        self.bytes += frame.length();
        self.frames.push_back(frame);
    }

    fn pop(&mut self) -> Option<T> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.length();
        self.settle();
        Some(frame)
    }

    fn remove(&mut self, index: usize) {
        if let Some(frame) = self.frames.remove(index) {
            self.bytes -= frame.length();
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let bytes = &mut self.bytes;
        self.frames.retain(|frame| {
            let kept = keep(frame);
            if !kept {
                *bytes -= frame.length();
            }
            kept
        });
        self.settle();
    }

    fn settle(&mut self) {
        if self.frames.is_empty() && self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
    }

    /// Whether `length` more bytes stay within `bound`. A lone frame always fits, or it could never leave.
    fn has_room(&self, length: usize, bound: usize) -> bool {
        self.frames.is_empty() || self.bytes.saturating_add(length) <= bound
    }
}

struct Control {
    frame: Encoded,
    pong: bool,
}

impl Length for Control {
    fn length(&self) -> usize {
        self.frame.len()
    }
}

/// A delivery of the channel `number`.
struct Durable {
    number: u64,
    frame: Encoded,
}

impl Length for Durable {
    fn length(&self) -> usize {
        self.frame.len()
    }
}

/// An ephemeral event; a newer one with the same channel and key takes its place.
struct Slot {
    number: u64,
    key: Key,
    frame: Encoded,
}

impl Length for Slot {
    fn length(&self) -> usize {
        self.frame.len()
    }
}

/// A conflation key, hashed once for all subscribers; the hash only makes unequal keys cheap to tell apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    hash: u64,
    text: Arc<str>,
}

impl Key {
    /// FNV-1a (draft-eastlake-fnv): short keys, no state, and a collision costs one comparison.
    pub(super) fn new(text: &str) -> Self {
        let hash = text
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        Self { hash, text: text.into() }
    }
}

/// A frame that has left in part.
struct Begun {
    frame: Encoded,
    sent: usize,
}

/// Bytes that wait, by lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// The rest of frames that have left in part, of whatever lane.
    pub begun: usize,
    pub control: usize,
    pub durable: usize,
    pub ephemeral: usize,
}

impl Queued {
    pub fn total(&self) -> usize {
        self.begun + self.control + self.durable + self.ephemeral
    }

    /// Counts what became of one of its parts.
    pub(super) fn replace(&mut self, before: Self, after: Self) {
        self.begun = self.begun - before.begun + after.begun;
        self.control = self.control - before.control + after.control;
        self.durable = self.durable - before.durable + after.durable;
        self.ephemeral = self.ephemeral - before.ephemeral + after.ephemeral;
    }
}

#[derive(Default)]
pub(super) struct Lanes {
    begun: Option<Begun>,
    control: Lane<Control>,
    /// How many frames of the control lane are pongs.
    pongs: usize,
    durable: Lane<Durable>,
    ephemeral: Lane<Slot>,
    /// Frames that have left, or begun to.
    left: u64,
}

impl Lanes {
    /// Appends to the control lane. `false`: it now holds more than `bound` (and more than one frame).
    pub(super) fn push_control(&mut self, frame: Encoded, bound: usize) -> bool {
        let fits = self.control.has_room(frame.len(), bound);
        self.control.push(Control { frame, pong: false });
        fits
    }

    /// Bytes that wait in the control lane.
    pub(super) fn control_bytes(&self) -> usize {
        self.control.bytes
    }

    /// Appends to the durable lane unless that would exceed `bound`.
    pub(super) fn push_durable(&mut self, number: u64, frame: Encoded, bound: usize) -> bool {
        let fits = self.durable.has_room(frame.len(), bound);
        if fits {
            self.durable.push(Durable { number, frame });
        }
        fits
    }

    /// Puts an event into its slot, and drops the oldest ones that exceed `bound`; how many were dropped.
    pub(super) fn push_ephemeral(&mut self, number: u64, key: &Key, frame: Encoded, bound: usize) -> usize {
        let lane = &mut self.ephemeral;
        if let Some(slot) = lane.frames.iter_mut().find(|slot| slot.number == number && slot.key == *key) {
            lane.bytes = lane.bytes - slot.frame.len() + frame.len();
            slot.frame = frame;
        } else {
            lane.push(Slot { number, key: key.clone(), frame });
        }
        let mut dropped = 0;
        while lane.bytes > bound && lane.pop().is_some() {
            dropped += 1;
        }
        dropped
    }

    /// Appends the answer to a ping to the control lane: it leaves in the order in which it was asked for, but neither
    /// before the response that upgrades nor behind the answer to what came later.
    pub(super) fn push_pong(&mut self, frame: Encoded) {
        if self.pongs == MAX_PONGS {
            // From the back: in a flood of pings the oldest pong is never far from there.
            let mut pongs = self.control.frames.iter().enumerate().rev().filter(|(_, control)| control.pong);
            if let Some((oldest, _)) = pongs.nth(MAX_PONGS - 1) {
                self.control.remove(oldest);
                self.pongs -= 1;
            }
        }
        self.control.push(Control { frame, pong: true });
        self.pongs += 1;
    }

    /// Drops what waits of one channel.
    pub(super) fn drop_channel(&mut self, number: u64) {
        self.durable.retain(|delivery| delivery.number != number);
        self.ephemeral.retain(|slot| slot.number != number);
    }

    /// Drops everything but the control lane and the rest of what was begun.
    pub(super) fn drop_deliveries(&mut self) {
        self.durable = Lane::default();
        self.ephemeral = Lane::default();
    }

    /// Bytes that wait.
    pub(super) fn queued(&self) -> usize {
        self.by_lane().total()
    }

    pub(super) fn by_lane(&self) -> Queued {
        Queued {
            begun: self.begun.as_ref().map_or(0, |begun| begun.frame.len() - begun.sent),
            control: self.control.bytes,
            durable: self.durable.bytes,
            ephemeral: self.ephemeral.bytes,
        }
    }

    /// Frames that have left, or begun to, since the start.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_none() && self.front().is_none()
    }

    /// The frame that leaves next, behind what was begun.
    fn front(&self) -> Option<&Encoded> {
        let control = self.control.frames.front().map(|control| &control.frame);
        control
            .or_else(|| self.durable.frames.front().map(|delivery| &delivery.frame))
            .or_else(|| self.ephemeral.frames.front().map(|slot| &slot.frame))
    }

    fn pop(&mut self) -> Option<Encoded> {
        self.left += 1;
        if let Some(control) = self.control.pop() {
            self.pongs -= usize::from(control.pong);
            return Some(control.frame);
        }
        self.durable.pop().map(|delivery| delivery.frame).or_else(|| self.ephemeral.pop().map(|slot| slot.frame))
    }

    /// Moves at most `budget` bytes to `out`. Only a frame that is longer than `budget` is cut.
    pub(super) fn gather(&mut self, out: &mut Vec<u8>, budget: usize) {
        let mut left = budget;
        if let Some(begun) = &mut self.begun {
            let rest = &begun.frame[begun.sent..];
            let size = rest.len().min(left);
            out.extend_from_slice(&rest[..size]);
            left -= size;
            begun.sent += size;
            if begun.sent < begun.frame.len() {
                return;
            }
            self.begun = None;
        }
        while let Some(length) = self.front().map(|frame| frame.len()) {
            if length > left && left < budget {
                return;
            }
            let Some(frame) = self.pop() else { return };
            let size = length.min(left);
            out.extend_from_slice(&frame[..size]);
            left -= size;
            if size < length {
                self.begun = Some(Begun { frame, sent: size });
                return;
            }
        }
    }

    /// Moves whole records to `out`: at most `budget` bytes, unless the first alone is longer.
    ///
    /// Events whose body has at most `datagram` bytes go to `datagrams` instead, within the same budget.
    pub(super) fn gather_records(
        &mut self,
        out: &mut Vec<u8>,
        budget: usize,
        datagram: usize,
        mut datagrams: impl FnMut(Encoded),
    ) {
        let mut left = budget;
        while let Some(length) = self.front().map(|record| record.len()) {
            if length > left && left < budget {
                return;
            }
            let is_event = self.control.frames.is_empty() && self.durable.frames.is_empty();
            let Some(record) = self.pop() else { return };
            if is_event && records::body(&record).len() <= datagram {
                datagrams(record);
            } else {
                out.extend_from_slice(&record);
            }
            left = left.saturating_sub(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Encoded {
        text.as_bytes().into()
    }

    fn gathered(lanes: &mut Lanes, budget: usize) -> String {
        let mut out = Vec::new();
        lanes.gather(&mut out, budget);
        String::from_utf8(out).expect("frames of the test are text")
    }

    #[test]
    fn control_leaves_before_durable_before_ephemeral() {
        let mut lanes = Lanes::default();
        lanes.push_ephemeral(1, &Key::new("k"), frame("e"), 100);
        assert!(lanes.push_durable(1, frame("d1"), 100));
        assert!(lanes.push_durable(2, frame("d2"), 100));
        assert!(lanes.push_control(frame("c1"), 100));
        assert!(lanes.push_control(frame("c2"), 100));
        assert_eq!(lanes.by_lane(), Queued { begun: 0, control: 4, durable: 4, ephemeral: 1 });
        assert_eq!(gathered(&mut lanes, 5), "c1c2");
        assert_eq!(gathered(&mut lanes, 1), "d");
        assert_eq!(lanes.by_lane(), Queued { begun: 1, control: 0, durable: 2, ephemeral: 1 });
        assert_eq!(lanes.left(), 3);
        assert_eq!(gathered(&mut lanes, 100), "1d2e");
        assert_eq!(lanes.left(), 5);
        assert!(lanes.is_empty());
        assert_eq!(lanes.queued(), 0);
    }

    #[test]
    fn pongs_leave_in_order_and_of_a_flood_the_newest() {
        let mut lanes = Lanes::default();
        lanes.push_control(frame("ack"), 100);
        for n in 0..100 {
            lanes.push_pong(frame(&format!("{n:02}")));
        }
        lanes.push_control(frame("close"), 100);
        assert_eq!(lanes.queued(), 3 + 2 * MAX_PONGS + 5);
        let left = gathered(&mut lanes, 1000);
        assert!(left.starts_with("ack686970") && left.ends_with("9899close"), "{left}");
        lanes.push_pong(frame("again"));
        assert_eq!(gathered(&mut lanes, 100), "again");
    }

    #[test]
    fn a_frame_that_was_begun_is_completed_first() {
        let mut lanes = Lanes::default();
        lanes.push_durable(1, frame("durable"), 100);
        assert_eq!(gathered(&mut lanes, 3), "dur");
        lanes.drop_channel(1);
        lanes.drop_deliveries();
        lanes.push_control(frame("control"), 100);
        assert_eq!(lanes.queued(), 11);
        assert_eq!(gathered(&mut lanes, 2), "ab");
        assert_eq!(gathered(&mut lanes, 5), "le");
        assert_eq!(gathered(&mut lanes, 7), "control");
        assert!(lanes.is_empty());
    }

    #[test]
    fn only_a_frame_over_the_budget_is_cut() {
        let mut lanes = Lanes::default();
        lanes.push_control(frame("four"), 100);
        lanes.push_control(frame("seven77"), 100);
        assert_eq!(gathered(&mut lanes, 8), "four");
        assert_eq!(gathered(&mut lanes, 8), "seven77");
    }

    /// What leaves on the stream, and what as datagrams.
    fn gathered_records(lanes: &mut Lanes, budget: usize, datagram: usize) -> (String, Vec<String>) {
        let (mut out, mut datagrams) = (Vec::new(), Vec::new());
        lanes.gather_records(&mut out, budget, datagram, |record| datagrams.push(record.to_vec()));
        let text = |bytes| String::from_utf8(bytes).expect("records of the test are text");
        (text(out), datagrams.into_iter().map(text).collect())
    }

    #[test]
    fn whole_records_leave_within_the_budget_and_a_longer_one_alone() {
        let mut lanes = Lanes::default();
        for text in ["\x05first", "\x032nd", "\x033rd", "\x034th"] {
            lanes.push_control(frame(text), 100);
        }
        assert_eq!(gathered_records(&mut lanes, 1, 100), ("\x05first".into(), vec![]));
        assert_eq!(gathered_records(&mut lanes, 7, 100), ("\x032nd".into(), vec![]));
        assert_eq!(gathered_records(&mut lanes, 8, 100), ("\x033rd\x034th".into(), vec![]));
        assert!(lanes.is_empty());
    }

    #[test]
    fn events_that_fit_a_datagram_leave_as_one_behind_the_records() {
        let mut lanes = Lanes::default();
        for (key, text) in [("a", "\x03one"), ("b", "\x05three"), ("c", "\x03two")] {
            lanes.push_ephemeral(1, &Key::new(key), frame(text), 100);
        }
        lanes.push_durable(1, frame("\x01d"), 100);
        assert_eq!(gathered_records(&mut lanes, 6, 3), ("\x01d".into(), vec!["\x03one".into()]));
        assert_eq!(gathered_records(&mut lanes, 100, 3), ("\x05three".into(), vec!["\x03two".into()]));
        assert_eq!(lanes.left(), 4);
        lanes.push_ephemeral(1, &Key::new("a"), frame("\x03one"), 100);
        assert_eq!(gathered_records(&mut lanes, 100, 0), ("\x03one".into(), vec![]));
    }

    #[test]
    fn an_event_replaces_the_one_with_its_channel_and_key() {
        let mut lanes = Lanes::default();
        let (a, b) = (Key::new("a"), Key::new("b"));
        lanes.push_ephemeral(1, &a, frame("old"), 100);
        lanes.push_ephemeral(1, &b, frame("b"), 100);
        lanes.push_ephemeral(2, &a, frame("two"), 100);
        assert_eq!(lanes.push_ephemeral(1, &Key::new("a"), frame("newer"), 100), 0);
        assert_eq!(lanes.queued(), 9);
        assert_eq!(gathered(&mut lanes, 100), "newerbtwo");
    }

    #[test]
    fn the_oldest_events_are_dropped_over_the_bound() {
        let mut lanes = Lanes::default();
        let dropped: usize =
            (0..10).map(|i| lanes.push_ephemeral(1, &Key::new(&i.to_string()), frame(&format!("<{i}>")), 10)).sum();
        assert_eq!(dropped, 7);
        assert_eq!(gathered(&mut lanes, 100), "<7><8><9>");
    }

    #[test]
    fn the_durable_lane_refuses_what_exceeds_its_bound_but_takes_a_lone_frame() {
        let mut lanes = Lanes::default();
        assert!(lanes.push_durable(1, frame("longer than the bound"), 10));
        assert!(!lanes.push_durable(1, frame("x"), 10));
        assert_eq!(gathered(&mut lanes, 100), "longer than the bound");
        assert!(lanes.push_durable(1, frame("x"), 10));
    }

    #[test]
    fn a_channel_is_dropped_alone() {
        let mut lanes = Lanes::default();
        for number in [1, 2, 1, 3] {
            lanes.push_durable(number, frame(&number.to_string()), 100);
            lanes.push_ephemeral(number, &Key::new("k"), frame(&format!("e{number}")), 100);
        }
        lanes.push_control(frame("c"), 100);
        lanes.drop_channel(1);
        assert_eq!(lanes.queued(), 7);
        assert_eq!(gathered(&mut lanes, 100), "c23e2e3");
    }

    #[test]
    fn room_of_a_burst_is_given_back() {
        let mut lanes = Lanes::default();
        for _ in 0..1000 {
            lanes.push_control(frame("c"), 10_000);
            lanes.push_durable(1, frame("d"), 10_000);
        }
        gathered(&mut lanes, 10_000);
        assert!(lanes.control.frames.capacity() <= KEPT_CAPACITY);
        assert!(lanes.durable.frames.capacity() <= KEPT_CAPACITY);
    }
}
