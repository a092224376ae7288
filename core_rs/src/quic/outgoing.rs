//! What waits to be sent on one stream, in front of quinn's own buffer.
//!
//! quinn keeps what was not acknowledged and takes no more than its send window, which follows the congestion window
//! (see `connection.rs`): so what a slow peer cannot take waits here, where its sender is told of it.
use bytes::Bytes;
use quinn_proto::{SendStream, VarInt, WriteError};
use std::collections::VecDeque;

/// Bytes waiting for one stream above which its sender is asked to stop.
pub const HIGH_WATER: usize = 65_536;
/// Bytes below which it is asked to go on.
pub const LOW_WATER: usize = 16_384;

/// Bytes that one stream gives to quinn before the next one's turn.
const QUANTUM: usize = 16_384;

/// How far a turn of [`Outgoing::give`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// More waits, and quinn takes it.
    More,
    /// quinn takes no more: it will say when it does.
    Blocked,
    /// Nothing waits.
    Done,
}

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pieces: VecDeque<Bytes>,
    size: usize,
    finished: bool,
    /// Was above the high-water mark since the sender was last told to go on.
    high: bool,
}

impl Outgoing {
    /// False: more than [`HIGH_WATER`] bytes wait. After the end of the stream nothing is taken.
    pub(super) fn push(&mut self, mut data: Bytes, end: bool) -> bool {
        if !self.finished {
            self.finished = end;
            self.size += data.len();
            while !data.is_empty() {
                self.pieces.push_back(data.split_to(data.len().min(QUANTUM)));
            }
        }
        self.high |= self.size > HIGH_WATER;
        self.size <= HIGH_WATER
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// One turn of giving bytes to quinn.
    pub(super) fn give(&mut self, stream: &mut SendStream<'_>) -> Turn {
        let mut given = 0;
        while let Some(piece) = self.pieces.front_mut() {
            if given >= QUANTUM {
                return Turn::More;
            }
            match stream.write_chunks(std::slice::from_mut(piece)) {
                Ok(written) => {
                    given += written.bytes;
                    self.size -= written.bytes;
                    if piece.is_empty() {
                        self.pieces.pop_front();
                    }
                }
                Err(WriteError::Blocked) => return Turn::Blocked,
                // Stopped by the peer, finished or reset: nobody wants it.
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
                    self.pieces.clear();
                    self.size = 0;
                }
            }
        }
        if self.finished {
            // An error says that the stream ended otherwise.
            let _ = stream.finish();
        }
        Turn::Done
    }

    /// Whether the sender has to be told to go on; true once after each time that it was told to stop.
    pub(super) fn sank(&mut self) -> bool {
        let sank = self.high && self.size < LOW_WATER;
        self.high &= !sank;
        sank
    }
}

/// What was asked about a stream of ours before the peer's limit let it be opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promise {
    pub(super) reset: Option<VarInt>,
    pub(super) stop: Option<VarInt>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_told_once_to_stop_and_once_to_go_on() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.push(Bytes::from(vec![0; HIGH_WATER]), false));
        assert!(!outgoing.push(Bytes::from_static(b"x"), false));
        assert_eq!(outgoing.size(), HIGH_WATER + 1);
        assert!(!outgoing.sank());
        outgoing.pieces.clear();
        outgoing.size = LOW_WATER;
        assert!(!outgoing.sank());
        outgoing.size -= 1;
        assert!(outgoing.sank());
        assert!(!outgoing.sank());
    }

    #[test]
    fn nothing_is_taken_behind_the_end() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.push(Bytes::from_static(b"all"), true));
        assert!(outgoing.push(Bytes::from_static(b"more"), false));
        assert_eq!(outgoing.size(), 3);
    }
}
