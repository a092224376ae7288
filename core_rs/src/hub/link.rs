//! One link: who it speaks for, and which of its frames may be read yet.
use super::{
    event::{Breach, Event},
    peer::Reading,
};
use crate::wire::{self, ClientFrame};
use std::{mem, sync::Arc};

/// Most bytes of the message that carries `connect` (docs/protocol.md).
pub(super) const MAX_CONNECT: usize = 8 * 1024;

/// Close codes of docs/protocol.md.
mod code {
    pub(super) const NOT_TEXT: u16 = 1003;
    pub(super) const NOT_CONNECTED: u16 = 4000;
    pub(super) const TOO_MANY_IN_FLIGHT: u16 = 4006;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing but one `connect` is read.
    Fresh,
    /// It came: what follows is held as it is until somebody binds the link.
    Presented,
    Bound,
}

/// Where a link stands in the list of a channel.
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) index: u32,
}

pub(super) struct Link {
    pub(super) stage: Stage,
    /// The control lane grew over its bound and this was reported.
    pub(super) overflown: bool,
    max_message: usize,
    /// Bytes behind `connect`, unread.
    held: Vec<u8>,
    person: Arc<str>,
    /// Key of the person's limit.
    key: Arc<str>,
    /// Frames a second, and at once.
    rate: f64,
    burst: f64,
    pub(super) places: Vec<Place>,
}

impl Link {
    pub(super) fn new(max_message: usize) -> Self {
        let nobody: Arc<str> = Arc::default();
        Self {
            stage: Stage::Fresh,
            overflown: false,
            max_message,
            held: Vec::new(),
            person: nobody.clone(),
            key: nobody,
            rate: 0.0,
            burst: 0.0,
            places: Vec::new(),
        }
    }

    /// Most bytes of a message that may be read now.
    pub(super) fn max_message(&self) -> usize {
        if self.stage == Stage::Bound { self.max_message } else { self.max_message.min(MAX_CONNECT) }
    }

    /// The person, once bound.
    pub(super) fn person(&self) -> Option<&Arc<str>> {
        (self.stage == Stage::Bound).then_some(&self.person)
    }

    /// Binds the link; the bytes that were held.
    pub(super) fn bind(&mut self, person: Arc<str>, rate: f64, burst: f64) -> Vec<u8> {
        self.stage = Stage::Bound;
        self.key = format!("person:{person}").into();
        self.person = person;
        self.rate = rate;
        self.burst = burst;
        mem::take(&mut self.held)
    }

    /// Keeps bytes until `bind`: what one read brings, then at most one message.
    ///
    /// Who sends more although reading stopped is not waiting for the welcome.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> Result<(), Breach> {
        if !self.held.is_empty() && self.held.len() + bytes.len() > self.max_message {
            self.held = Vec::new();
            return Err(Breach::wire(code::TOO_MANY_IN_FLIGHT, "too much was sent before the welcome"));
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads one message.
    pub(super) fn message(&mut self, data: &[u8], text: bool, reading: &mut Reading<'_>) -> Result<(), Breach> {
        if !text {
            return Err(Breach::wire(code::NOT_TEXT, "a binary message; the codec is JSON"));
        }
        let frames = wire::parse(data)?;
        if self.stage != Stage::Bound {
            return match <[ClientFrame; 1]>::try_from(frames) {
                Ok([frame @ ClientFrame::Connect { .. }]) => {
                    self.stage = Stage::Presented;
                    reading.events.push(Event::Frame(frame));
                    Ok(())
                }
                _ => Err(Breach::wire(code::NOT_CONNECTED, "connect comes first, alone")),
            };
        }
        for frame in frames {
            let frame = self.admit(frame, reading);
            reading.events.push(Event::Frame(frame));
        }
        Ok(())
    }

    /// Reads one datagram, which holds one message. It may have overtaken `connect`, and then it is ignored.
    ///
    /// What needs its place in the order of a stream, or an answer that may not be missing, has none here.
    pub(super) fn datagram(&mut self, data: &[u8], reading: &mut Reading<'_>) -> Result<(), Breach> {
        if self.stage != Stage::Bound {
            return Ok(());
        }
        let frames = wire::parse(data)?.into_iter().map(|frame| match frame {
            ClientFrame::Pong | ClientFrame::Watermark { .. } | ClientFrame::Malformed { .. } => frame,
            _ => ClientFrame::Malformed {
                id: frame.id(),
                code: "protocol",
                field: "op".to_owned(),
                reason: "this travels on the stream, not as a datagram".to_owned(),
            },
        });
        reading.events.extend(frames.map(Event::Frame));
        Ok(())
    }

    /// Asks the person's limit about publishes and commands; the rest is bounded by commands in flight.
    fn admit(&self, mut frame: ClientFrame, reading: &mut Reading<'_>) -> ClientFrame {
        match &mut frame {
            ClientFrame::Publish { retry_after_ms, .. } | ClientFrame::Command { retry_after_ms, .. } => {
                if let Some(limiter) = &mut reading.limiter {
                    let wait = limiter.check(&self.key, 1.0, self.rate, self.burst, reading.now);
                    // Never rounded down to "now"; `as` saturates, also what will never fit.
                    *retry_after_ms = u64::from((wait * 1000.0).ceil() as u32);
                }
                frame
            }
            ClientFrame::Connect { id, .. } => ClientFrame::Malformed {
                id: Some(*id),
                code: "protocol",
                field: "op".to_owned(),
                reason: "the link is connected already".to_owned(),
            },
            _ => frame,
        }
    }
}
