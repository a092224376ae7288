//! One link's attachment to one channel: what it is to be sent next, and whether that may be sent at once.
//!
//! ```text
//!   attach ──► Filling ──go_live without a gap──► Live ──the durable lane is full──► Lagging ──► (detach, or attach again)
//!                 ▲                                │
//!                 └────────a gap in publishes──────┘
//! ```
//! `expected` only rises, and every delivery passes it: so no offset is sent twice, and none is left out but by the
//! word of the log that filled. While filling, live deliveries wait; the newest `WAITING` of them are kept, and what
//! was dropped shows as a gap in `go_live`, to be read from the log.
use super::lanes::Encoded;
use std::collections::VecDeque;

/// Deliveries that wait while an attachment fills: as many as an attach may have missed (docs/protocol.md).
const WAITING: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Filling,
    Live,
    /// Pull-only: it is sent nothing durable until it is attached again.
    Lagging,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Live => "live",
            Self::Lagging => "lagging",
        }
    }
}

/// What to do with a published delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is the next one: send it.
    Next,
    /// It waits, or is old, or the link lags.
    Kept,
    /// Offsets are missing: the attachment fell back to filling and waits to be read on.
    Gap,
}

pub(super) struct Attachment {
    pub(super) link: u64,
    pub(super) generation: u64,
    /// The offset to be sent next.
    pub(super) expected: u64,
    /// Offsets above `expected`, rising; without a frame where the link's own ack stands for it.
    waiting: VecDeque<(u64, Option<Encoded>)>,
    state: State,
}

impl Attachment {
    pub(super) fn new(link: u64, generation: u64, after: u64) -> Self {
        Self { link, generation, expected: after.saturating_add(1), waiting: VecDeque::new(), state: State::Filling }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// The last offset that need not be read.
    pub(super) fn read_after(&self) -> u64 {
        self.expected.saturating_sub(1)
    }

    /// A delivery was published. Of `Next`, the caller sends `frame` or, without one, nothing.
    pub(super) fn arrive(&mut self, offset: u64, frame: impl FnOnce() -> Option<Encoded>) -> Arrival {
        if offset < self.expected || self.state == State::Lagging {
            return Arrival::Kept;
        }
        if self.state == State::Live && offset == self.expected {
            self.expected += 1;
            return Arrival::Next;
        }
        if self.waiting.back().is_none_or(|(newest, _)| *newest < offset) {
            self.waiting.push_back((offset, frame()));
            if self.waiting.len() > WAITING {
                self.waiting.pop_front();
            }
        }
        if self.state == State::Live {
            self.state = State::Filling;
            return Arrival::Gap;
        }
        Arrival::Kept
    }

    /// A delivery from the log: whether it is to be sent.
    pub(super) fn fill(&mut self, offset: u64) -> bool {
        let fresh = offset >= self.expected && self.state != State::Lagging;
        if fresh {
            self.expected = offset.saturating_add(1);
        }
        fresh
    }

    /// The next waiting delivery, in order: `Some(None)` where nothing has to be sent for it.
    pub(super) fn release(&mut self) -> Option<Option<Encoded>> {
        while let Some((offset, _)) = self.waiting.front() {
            if *offset > self.expected {
                return None;
            }
            let (offset, frame) = self.waiting.pop_front()?;
            if offset == self.expected {
                self.expected += 1;
                return Some(frame);
            }
        }
        None
    }

    /// Behind `release`: live when nothing waits any more, else the offset to read on after.
    pub(super) fn settle(&mut self) -> Option<u64> {
        if self.state != State::Filling {
            return None;
        }
        if !self.waiting.is_empty() {
            return Some(self.read_after());
        }
        self.waiting = VecDeque::new();
        self.state = State::Live;
        None
    }

    /// The link takes no more: from now on it has to read for itself.
    pub(super) fn lag(&mut self) {
        self.state = State::Lagging;
        self.waiting = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(offset: u64) -> impl FnOnce() -> Option<Encoded> {
        move || Some(offset.to_string().into_bytes().into())
    }

    fn released(attachment: &mut Attachment) -> Vec<Option<String>> {
        std::iter::from_fn(|| attachment.release())
            .map(|frame| frame.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
            .collect()
    }

    #[test]
    fn test_live_deliveries_wait_until_the_log_was_read() {
        let mut attachment = Attachment::new(1, 1, 10);
        assert_eq!(attachment.arrive(13, frame(13)), Arrival::Kept);
        assert_eq!(attachment.arrive(14, || None), Arrival::Kept);
        assert!(attachment.fill(11));
        assert!(!attachment.fill(11));
        assert_eq!(released(&mut attachment), Vec::<Option<String>>::new());
        assert_eq!(attachment.settle(), Some(11));
        assert!(attachment.fill(12));
        assert!(attachment.fill(13));
        assert_eq!(released(&mut attachment), [None]);
        assert_eq!(attachment.settle(), None);
        assert_eq!(attachment.state(), State::Live);
        assert_eq!(attachment.arrive(15, frame(15)), Arrival::Next);
    }

    #[test]
    fn test_a_gap_in_publishes_falls_back_to_filling() {
        let mut attachment = Attachment::new(1, 1, 0);
        assert_eq!(attachment.settle(), None);
        assert_eq!(attachment.arrive(1, frame(1)), Arrival::Next);
        assert_eq!(attachment.arrive(1, frame(1)), Arrival::Kept);
        assert_eq!(attachment.arrive(3, frame(3)), Arrival::Gap);
        assert_eq!(attachment.read_after(), 1);
        assert_eq!(attachment.arrive(4, frame(4)), Arrival::Kept);
        assert_eq!(attachment.arrive(4, frame(4)), Arrival::Kept);
        assert!(attachment.fill(2));
        assert_eq!(released(&mut attachment), [Some("3".into()), Some("4".into())]);
        assert_eq!(attachment.settle(), None);
    }

    #[test]
    fn test_more_than_may_wait_is_read_from_the_log() {
        let mut attachment = Attachment::new(1, 1, 0);
        let many = WAITING as u64 + 10;
        for offset in 1..=many {
            attachment.arrive(offset, frame(offset));
        }
        assert_eq!(attachment.waiting.len(), WAITING);
        assert_eq!(released(&mut attachment), Vec::<Option<String>>::new());
        assert_eq!(attachment.settle(), Some(0));
        for offset in 1..=10 {
            assert!(attachment.fill(offset));
        }
        assert_eq!(released(&mut attachment).len(), WAITING);
        assert_eq!(attachment.settle(), None);
    }

    #[test]
    fn test_who_lags_is_sent_nothing() {
        let mut attachment = Attachment::new(1, 1, 0);
        attachment.arrive(1, frame(1));
        attachment.lag();
        assert!(!attachment.fill(1));
        assert_eq!(attachment.release(), None);
        assert_eq!(attachment.settle(), None);
        assert_eq!(attachment.arrive(1, frame(1)), Arrival::Kept);
        assert_eq!(attachment.state(), State::Lagging);
    }
}
