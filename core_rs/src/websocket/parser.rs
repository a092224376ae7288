//! Frames of a client to messages (RFC 6455 §5.2 to §5.6, §7.4, §8.1).
//!
//! ```text
//!            ┌──────────────────────────────────────────────────────────────────────┐
//!            ▼                                                                      │
//!   Opcode ─► Length ─► Extended ─► Key ─► Payload ─► (frame complete) ─────────────┤
//!                └────────(≤ 125)────▲                                              │
//!                                                     close, or a violation ─► Ended
//! ```
//! Every octet is judged as soon as it is there, so what is found, and which rule is broken first, does not depend on
//! how the bytes were cut. What the picture does not say: `message` outlives frames (fragments, §5.4), and control
//! frames pass between fragments without touching it.
use super::{MAX_CONTROL, code, mask::Mask, opcode};
use std::mem;

const CONTINUATION: u8 = 0x0;

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message, its fragments joined. `text` promises UTF-8.
    Message {
        data: Vec<u8>,
        text: bool,
    },
    /// To be answered by a pong with the same payload (§5.5.2).
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Nothing is read behind it. The code is 1005 when the frame had none (§7.1.5).
    Close {
        code: u16,
        reason: String,
    },
}

/// A broken rule: fail the connection (§7.1.7) with a close frame of this code. Nothing is read behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Violation {
    pub code: u16,
    pub reason: &'static str,
}

const fn protocol_error(reason: &'static str) -> Violation {
    Violation { code: code::PROTOCOL_ERROR, reason }
}

const INVALID_TEXT: Violation = Violation { code: code::INVALID_DATA, reason: "text is not UTF-8" };

/// What the next octet is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header(Part),
    Payload,
    /// Behind a close frame or a violation.
    Ended,
}

/// Parts of a frame header (§5.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// FIN, RSV and opcode.
    Opcode,
    /// MASK and the short length.
    Length,
    /// The long length: `left` octets of it are missing, of `octets` in all.
    Extended { left: u8, octets: u8 },
    /// The masking key: `left` octets of it are missing.
    Key { left: u8 },
}

/// The message whose fragments are being joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joining {
    Nothing,
    Text,
    Binary,
}

/// Reads one client's frames. Owns no heap memory between messages.
pub struct Parser {
    /// Payload of the data message so far, over all its fragments.
    message: Vec<u8>,
    /// Payload so far of a control frame that was cut.
    control: Vec<u8>,
    max_message: usize,
    /// Length of the frame, then how much of its payload is missing.
    left: u64,
    mask: Mask,
    stage: Stage,
    opcode: u8,
    fin: bool,
    joining: Joining,
    /// Octets at the end of `message` that begin a character whose rest is missing: 0 to 3.
    unfinished: u8,
}

impl Parser {
    /// `max_message`: most bytes of payload of one message, all fragments together.
    pub fn new(max_message: usize) -> Self {
        Self {
            message: Vec::new(),
            control: Vec::new(),
            max_message,
            left: 0,
            mask: Mask::default(),
            stage: Stage::Header(Part::Opcode),
            opcode: CONTINUATION,
            fin: false,
            joining: Joining::Nothing,
            unfinished: 0,
        }
    }

    /// Another limit, from the next frame header on.
    pub fn set_max_message(&mut self, max_message: usize) {
        self.max_message = max_message;
    }

    /// Reads all of `bytes` and appends what it found to `events`.
    ///
    /// What came before a violation stays in `events`. After a close frame or a violation, bytes are ignored.
    pub fn feed(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Violation> {
        while let Some(event) = self.next(&mut bytes)? {
            events.push(event);
        }
        Ok(())
    }

    /// Reads up to the end of the next message or control frame, and moves `bytes` behind it.
    ///
    /// `None` when all of `bytes` is read and no more is complete.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Event>, Violation> {
        let found = self.advance(bytes);
        if matches!(found, Err(_) | Ok(Some(Event::Close { .. }))) {
            *self = Self { stage: Stage::Ended, ..Self::new(self.max_message) };
        }
        found
    }

    fn advance(&mut self, bytes: &mut &[u8]) -> Result<Option<Event>, Violation> {
        loop {
            match self.stage {
                Stage::Header(part) => {
                    let Some((&octet, rest)) = bytes.split_first() else {
                        return Ok(None);
                    };
                    *bytes = rest;
                    self.stage = match part {
                        Part::Opcode => self.first(octet)?,
                        Part::Length => self.second(octet)?,
                        Part::Extended { left, octets } => self.extended(octet, left - 1, octets)?,
                        Part::Key { left } => {
                            self.mask.0[4 - usize::from(left)] = octet;
                            if left == 1 { Stage::Payload } else { Stage::Header(Part::Key { left: left - 1 }) }
                        }
                    };
                }
                Stage::Payload => {
                    let event = self.payload(bytes)?;
                    if event.is_some() || self.stage == Stage::Payload {
                        return Ok(event);
                    }
                }
                Stage::Ended => {
                    *bytes = &[];
                    return Ok(None);
                }
            }
        }
    }

    fn is_control(&self) -> bool {
        self.opcode & 0x8 != 0
    }

    fn first(&mut self, octet: u8) -> Result<Stage, Violation> {
        self.fin = octet & 0x80 != 0;
        self.opcode = octet & 0x0F;
        if octet & 0x70 != 0 {
            return Err(protocol_error("a reserved bit is set"));
        }
        match self.opcode {
            CONTINUATION if self.joining == Joining::Nothing => {
                return Err(protocol_error("a continuation without a message"));
            }
            CONTINUATION => {}
            opcode::TEXT | opcode::BINARY if self.joining != Joining::Nothing => {
                return Err(protocol_error("a message inside a fragmented message"));
            }
            opcode::TEXT => self.joining = Joining::Text,
            opcode::BINARY => self.joining = Joining::Binary,
            opcode::CLOSE | opcode::PING | opcode::PONG if !self.fin => {
                return Err(protocol_error("a fragmented control frame"));
            }
            opcode::CLOSE | opcode::PING | opcode::PONG => {}
            _ => return Err(protocol_error("a reserved opcode")),
        }
        Ok(Stage::Header(Part::Length))
    }

    fn second(&mut self, octet: u8) -> Result<Stage, Violation> {
        if octet & 0x80 == 0 {
            return Err(protocol_error("a frame without a mask"));
        }
        let short = octet & 0x7F;
        if self.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(protocol_error("a control frame of over 125 bytes"));
        }
        self.left = 0;
        match short {
            126 => Ok(Stage::Header(Part::Extended { left: 2, octets: 2 })),
            127 => Ok(Stage::Header(Part::Extended { left: 8, octets: 8 })),
            _ => {
                self.left = u64::from(short);
                self.measured()
            }
        }
    }

    fn extended(&mut self, octet: u8, left: u8, octets: u8) -> Result<Stage, Violation> {
        if octets == 8 && left == 7 && octet & 0x80 != 0 {
            return Err(protocol_error("a length of over 63 bits"));
        }
        self.left = self.left << 8 | u64::from(octet);
        if left > 0 {
            return Ok(Stage::Header(Part::Extended { left, octets }));
        }
        if self.left < if octets == 2 { 126 } else { 1 << 16 } {
            return Err(protocol_error("a length that is not encoded in its shortest form"));
        }
        self.measured()
    }

    /// The length is known: refuse before anything is buffered.
    fn measured(&self) -> Result<Stage, Violation> {
        if !self.is_control() && self.left > self.max_message.saturating_sub(self.message.len()) as u64 {
            return Err(Violation { code: code::TOO_BIG, reason: "the message is too large" });
        }
        Ok(Stage::Header(Part::Key { left: 4 }))
    }

    /// Takes what there is of the payload; the event when that completes one. Leaves the stage when the frame is over.
    fn payload(&mut self, bytes: &mut &[u8]) -> Result<Option<Event>, Violation> {
        let size = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (chunk, rest) = bytes.split_at(size);
        *bytes = rest;
        self.left -= size as u64;
        let into = if self.is_control() { &mut self.control } else { &mut self.message };
        let start = into.len();
        into.extend_from_slice(chunk);
        self.mask.apply(&mut into[start..]);
        if !self.is_control() && self.joining == Joining::Text {
            self.check_text(start)?;
        }
        if self.left > 0 {
            return Ok(None);
        }
        self.stage = Stage::Header(Part::Opcode);
        if self.is_control() {
            let body = mem::take(&mut self.control);
            return Ok(Some(match self.opcode {
                opcode::PING => Event::Ping(body),
                opcode::PONG => Event::Pong(body),
                _ => close(&body)?,
            }));
        }
        if !self.fin {
            return Ok(None);
        }
        if self.unfinished > 0 {
            return Err(INVALID_TEXT);
        }
        let text = mem::replace(&mut self.joining, Joining::Nothing) == Joining::Text;
        Ok(Some(Event::Message { data: mem::take(&mut self.message), text }))
    }

    /// Checks what `message` has from `start` on, and the character that was cut there (§8.1, at the first bad octet).
    fn check_text(&mut self, start: usize) -> Result<(), Violation> {
        let fresh = &self.message[start - usize::from(self.unfinished)..];
        self.unfinished = match simdutf8::compat::from_utf8(fresh) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => (fresh.len() - error.valid_up_to()) as u8,
            Err(_) => return Err(INVALID_TEXT),
        };
        Ok(())
    }
}

/// The body of a close frame (§5.5.1).
fn close(body: &[u8]) -> Result<Event, Violation> {
    match *body {
        [] => Ok(Event::Close { code: code::NONE, reason: String::new() }),
        [_] => Err(protocol_error("a close frame with half a code")),
        [high, low, ref reason @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            if !is_sendable(code) {
                return Err(protocol_error("a close code that must not be sent"));
            }
            let reason = simdutf8::basic::from_utf8(reason)
                .map_err(|_| Violation { code: code::INVALID_DATA, reason: "the close reason is not UTF-8" })?;
            Ok(Event::Close { code, reason: reason.to_owned() })
        }
    }
}

/// Codes that may travel: those of §7.4.1 and of the IANA registry that §7.4.2 opens, libraries' and applications' own.
fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests;
